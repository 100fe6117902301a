"""What the tests of grading share: a small unit, filled-in notebooks, and the gradebook read without the kit."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

import coursekit
from coursekit.checks.declare import Key, ManualQuestion, Rubric
from coursekit.checks.engine import gather
from coursekit.checks.isolate import quiet
from coursekit.course import Course, unit
from coursekit.exercises import catalogue
from coursekit.exercises.notebook import source
from coursekit.grading import sandbox
from coursekit.grading.assess import Examiner, Submission, SubmissionResult, answer_cell, check_cell
from coursekit.grading.mend import mend
from coursekit.grading.results import SubmissionRun

SANDBOX = all(ability.available for ability in sandbox.abilities().values() if ability.required)
TRUST = not SANDBOX
"""Where there is no sandbox these tests run without one: what they test is not the sandbox."""

needs_sandbox = pytest.mark.skipif(not SANDBOX, reason="this system has no sandbox")
KIT = Path(coursekit.__file__).parents[1]
UNIT = unit("01")
NAME = f"{UNIT.name}.ipynb"


@contextlib.contextmanager
def small_unit(*more: str) -> Iterator[None]:
    """Cut the unit down: its first three exercises that ask for one function, `more`, and one question for a person."""
    every = catalogue.keys(UNIT)
    keys = dict(itertools.islice(((name, key) for name, key in every.items() if _is_plain(key)), 3))
    keys |= {name: every[name] for name in more}
    manual = ManualQuestion(
        unit=UNIT.number, name="why", title="Why?", task="Say why.", points=2.0, minutes=5, difficulty=2
    )
    section = ModuleType("s0_small", "## A small section")
    for key in keys.values():
        setattr(section, key.question.name, key.question)
    vars(section)["why"] = manual
    rubric = Rubric(question=manual, model_answer="Because gradients vanish.", criteria=((2.0, "the reason"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "sections", lambda of: (section,) if of == UNIT else ())
        patch.setattr(catalogue, "keys", lambda of: keys if of == UNIT else {})
        patch.setattr(catalogue, "rubrics", lambda of: {manual.id: rubric} if of == UNIT else {})
        patch.setattr(catalogue, "_by_id", functools.cache(catalogue._by_id.__wrapped__))
        yield


def _is_plain(key: Key) -> bool:
    """One function to write: nothing is trained, kept in files or split over names."""
    return key.outcome is None and not key.question.setup and len(key.question.answers) == len(key.solution) == 1


def keys() -> dict[str, Key]:
    return catalogue.keys(UNIT)


def first() -> str:
    """The first exercise's id."""
    return next(iter(keys()))


def solution(name: str) -> str:
    """The solution's code."""
    return "\n\n".join(source(item) for item in keys()[name].solution)


def grade_id(cell: Any) -> str:
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))


def place(notebook: NotebookNode, name: str) -> int:
    """Where the cell with this grade id stands."""
    [index] = [k for k, cell in enumerate(notebook.cells) if grade_id(cell) == name]
    return index


def cell(notebook: NotebookNode, name: str) -> NotebookNode:
    return notebook.cells[place(notebook, name)]


def filled(release: NotebookNode, answers: Mapping[str, str] | None = None) -> NotebookNode:
    """The release with these answers (default: all solutions) and an answer for a person to read."""
    notebook = copy.deepcopy(release)
    for name, text in ({name: solution(name) for name in keys()} if answers is None else answers).items():
        cell(notebook, answer_cell(name)).source = text
    cell(notebook, "why").source = "Since gradients vanish."
    return notebook


def texts(notebook: NotebookNode) -> list[str]:
    return [c.source for c in notebook.cells]


def mended(release: NotebookNode, change: Callable[[NotebookNode], None]) -> Any:
    """What becomes of a perfect notebook that met with `change`."""
    notebook = filled(release)
    change(notebook)
    return mend(release, notebook)


def hand_in(course: Course, student: str, notebook: NotebookNode | str) -> Path:
    """Write a submission where nbgrader collects it."""
    path = course.submitted / student / UNIT.name / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notebook if isinstance(notebook, str) else nbformat.writes(notebook), encoding="utf-8")
    return path


def nbgrader(course: Course, *command: str, **more: str) -> str:
    """nbgrader's own command, as an instructor types it, with more in the environment."""
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": scripts, "PYTHONPATH": str(KIT), **more}
    done = subprocess.run(
        ["nbgrader", *command], cwd=course.root, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def judged(release: NotebookNode, student: str, answers: Mapping[str, Any], **run: Any) -> SubmissionResult:
    """A result without any process: the answers' evidence is gathered here."""
    examiner = Examiner(UNIT, seed=7)
    evidence = {}
    for name, answer in answers.items():
        expectation = examiner.expectations[name]
        with quiet():
            evidence[name] = gather(expectation.key.question, answer, expectation.inputs)
    values: dict[str, Any] = {
        "key": student, "ending": "finished", "detail": "", "cells": {}, "evidence": evidence, "missing": {},
        "notes": (), "cpu_seconds": 0.0, "probe_cpu_seconds": 0.0, "wall_seconds": 0.0,
    }  # fmt: skip
    ended = SubmissionRun(**{**values, **run})
    return examiner.result(Submission(student, None), release, mend(release, filled(release)), ended)


def right() -> dict[str, Any]:
    """Right answers, as objects."""
    return {name: key.bundle(key.reference) for name, key in keys().items()}


def gradebook(course: Course) -> dict[str, dict[str, float | None]]:
    """Automatic scores by student and graded cell, straight from the database."""
    query = """
        select submitted_assignment.student_id, base_cell.name, grade.auto_score
        from grade
        join base_cell on base_cell.id = grade.cell_id
        join submitted_notebook on submitted_notebook.id = grade.notebook_id
        join submitted_assignment on submitted_assignment.id = submitted_notebook.assignment_id
    """
    found: dict[str, dict[str, float | None]] = {}
    connection = sqlite3.connect(course.gradebook)
    for student, name, score in connection.execute(query):
        assert name not in found.setdefault(student, {}), f"{student} has two grades for {name}"
        found[student][name] = score
    connection.close()
    return found


def full() -> dict[str, float | None]:
    """The automatic scores of a perfect notebook whose manual answer awaits a person."""
    return {**{check_cell(name): key.question.points for name, key in keys().items()}, "why": None}


def none(why: float | None = 0.0) -> dict[str, float | None]:
    """The automatic scores of a notebook without right answers (default: of a blank one)."""
    return {**dict.fromkeys(map(check_cell, keys()), 0.0), "why": why}
