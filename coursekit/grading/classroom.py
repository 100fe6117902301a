"""A class of made-up submissions: perfect, blank, mistaken, damaged and hostile, each with the score it must get.

The answers come from the exercises' own catalogues. What a submission must get is worked out in this process from the
answers themselves, so that the graded score, which takes the long way through notebook, sandbox and gradebook, can be
compared with it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import safetensors.torch
from nbformat import NotebookNode
from torch import Tensor

from coursekit.checks.declare import Key
from coursekit.checks.isolate import quiet
from coursekit.checks.judge import LiveExpectation, judge
from coursekit.course import Unit
from coursekit.exercises import catalogue
from coursekit.exercises.audit import solution_answer
from coursekit.exercises.check import PRACTICE_SEED
from coursekit.exercises.notebook import source
from coursekit.exercises.source import as_code
from coursekit.grading.assess import answer_cell


@dataclass(frozen=True)
class Student:
    """A made-up student: what they hand in, and what it is worth."""

    name: str
    text: str
    """The notebook file's content."""
    expected: Mapping[str, float]
    """Points by exercise."""
    about: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What is handed in beside the notebook."""

    @property
    def points(self) -> float:
        return sum(self.expected.values())

    def hand_in(self, submitted: Path, of: Unit) -> None:
        """Write the submission where nbgrader collects it."""
        folder = submitted / self.name / of.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{of.name}.ipynb").write_text(self.text, encoding="utf-8")
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def make_class(of: Unit, release: NotebookNode, *, damaged: bool = True, hostile: bool = True) -> list[Student]:
    """One student of every kind: every mistake and some alternatives of every exercise, then accidents and attacks."""
    room = _Room(of, release)
    students = [room.perfect(), room.blank()]
    students += [room.alternative(k) for k in range(3)]
    students += [room.mistaken(k) for k in range(max(len(key.mistakes) for key in room.keys.values()))]
    students += room.damaged() if damaged else []
    return students + (room.hostile() if hostile else [])


class _Room:
    def __init__(self, of: Unit, release: NotebookNode) -> None:
        self.unit, self.release = of, release
        self.keys = catalogue.keys(of)
        self.full = {name: key.question.points for name, key in self.keys.items()}
        self.none = dict.fromkeys(self.keys, 0.0)
        self.expectations = {name: LiveExpectation(key, PRACTICE_SEED) for name, key in self.keys.items()}
        self.right = {name: solution_answer(key) for name, key in self.keys.items()}
        self._worth: dict[tuple[str, str], float] = {}

    def perfect(self) -> Student:
        return self.student("perfect", self.right, self.full, "the solution")

    def blank(self) -> Student:
        return Student("blank", nbformat.writes(self.release), self.none, "the assignment as handed out")

    def alternative(self, k: int) -> Student:
        """The k-th alternative of every exercise."""
        answers = {n: list(key.alternatives.values())[k % len(key.alternatives)] for n, key in self.keys.items()}
        return self.student(f"alternative-{k + 1}", answers, self.full, "correct, written differently")

    def mistaken(self, k: int) -> Student:
        """The k-th mistake of every exercise."""
        made = {name: key.mistakes[k % len(key.mistakes)] for name, key in self.keys.items()}
        expected = {name: self.worth(name, mistake.name) for name, mistake in made.items()}
        answers = {name: mistake.answer for name, mistake in made.items()}
        return self.student(f"mistake-{k + 1}", answers, expected, f"mistake {k + 1} of every exercise")

    def worth(self, name: str, mistake: str) -> float:
        """The points of a mistake, judged in this process on the practice draws."""
        if (name, mistake) not in self._worth:
            with quiet():
                expectation = self.expectations[name]
                _, evidence = expectation.mistakes[mistake]
                self._worth[name, mistake] = judge(self.keys[name].question, expectation, evidence).earned
        return self._worth[name, mistake]

    def damaged(self) -> list[Student]:
        """Right answers in notebooks that met with an accident."""
        first = next(iter(self.keys))
        name = answer_cell(first)

        def edited(nb: NotebookNode) -> None:
            for cell in _checks(nb):
                cell.source = "1000.0"

        def deleted(nb: NotebookNode) -> None:
            checks = {id(cell) for cell in _checks(nb)}
            nb.cells = [cell for cell in nb.cells if id(cell) not in checks]

        def reordered(nb: NotebookNode) -> None:
            nb.cells = nb.cells[:2] + nb.cells[2:][::-1]

        def split(nb: NotebookNode) -> None:
            place = _index(nb, name)
            cell = nb.cells[place]
            lines = cell.source.split("\n")
            half = _copy(cell, "-half")
            cell.source, half.source = "\n".join(lines[:2]), "\n".join(lines[2:])
            nb.cells.insert(place + 1, half)

        def duplicated(nb: NotebookNode) -> None:
            place = _index(nb, f"check-{name}")
            nb.cells[place:place] = [_copy(nb.cells[place], f"-{k}") for k in range(2)]

        def retyped(nb: NotebookNode) -> None:
            for cell in _checks(nb):
                cell.cell_type = "raw"
                cell.pop("outputs", None)
                cell.pop("execution_count", None)

        def lost(nb: NotebookNode) -> None:
            del nb.cells[_index(nb, name)]

        def chatty(nb: NotebookNode) -> None:
            noise = "import sys, warnings\nwarnings.warn('careful')\nprint('noise', file=sys.stderr)"
            nb.cells.insert(2, nbformat.v4.new_code_cell(noise))

        kinds: list[tuple[str, Callable[[NotebookNode], None], str]] = [
            ("edited-checks", edited, "check cells overwritten by a number"),
            ("deleted-checks", deleted, "check cells deleted"),
            ("reordered", reordered, "cells in reverse order"),
            ("split-answer", split, "an answer cell split in two"),
            ("duplicated-check", duplicated, "a check cell there three times"),
            ("retyped-checks", retyped, "check cells turned into raw text"),
            ("warnings", chatty, "warnings and text on standard error"),
        ]
        students = [self.student(n, self.right, self.full, about, change) for n, change, about in kinds]
        without = {**self.full, first: 0.0}
        students.append(self.student("lost-answer", self.right, without, "one answer cell deleted", lost))
        students.append(Student("broken-json", self.perfect().text[:-200], self.none, "the file is cut off"))
        students.append(Student("not-a-notebook", json.dumps({"cells": 3}), self.none, "JSON, but no notebook"))
        return students

    def hostile(self) -> list[Student]:
        """Notebooks that loop, eat memory, quit, or try to be graded by themselves."""
        first = next(iter(self.keys))
        only_first = {**self.none, first: self.full[first]}
        students = [
            self._appended(
                "endless-loop", first, "while True:\n    pass", self.full, "an endless loop in a cell of its own"
            ),
            self._appended(
                "memory-bomb",
                first,
                "def eat(held):\n    while True:\n        held.append(bytearray(200_000_000))\n\n\neat([])",
                self.full,
                "eats memory",
            ),
            self._appended(
                "quits", first, "import os\nos._exit(0)", only_first, "kills its process after the first exercise"
            ),
            self._appended("exits", first, "import sys\nsys.exit(0)", self.full, "calls sys.exit"),
        ]
        nb = copy.deepcopy(self.release)
        nb.cells.insert(2, nbformat.v4.new_code_cell(FORGERY))
        students.append(
            Student("forger", nbformat.writes(nb), self.none, "patches check, probes, Score, torch; no answers")
        )
        return students

    def _appended(self, name: str, after: str, code: str, expected: Mapping[str, float], about: str) -> Student:
        def change(nb: NotebookNode) -> None:
            place = _index(nb, f"check-{answer_cell(after)}")
            nb.cells.insert(place + 1, nbformat.v4.new_code_cell(code))

        return self.student(name, self.right, expected, about, change)

    def student(
        self,
        name: str,
        answers: Mapping[str, Any],
        expected: Mapping[str, float],
        about: str,
        change: Callable[[NotebookNode], None] = lambda nb: None,
    ) -> Student:
        """A student who hands in these answers, in the release's notebook, then changed."""
        nb, files = copy.deepcopy(self.release), {}
        for identifier, answer in answers.items():
            key = self.keys[identifier]
            if key.question.file and _is_weights(answer):  # trained weights come in their file, beside the code
                files[key.question.file] = safetensors.torch.save(
                    {name: value.contiguous() for name, value in answer.items()}
                )
                answer = None
            nb.cells[_index(nb, answer_cell(identifier))].source = as_typed(key, answer)
        change(nb)
        return Student(name, str(nbformat.writes(nb)), expected, about, files)


FORGERY = """\
import builtins, sys
import torch
import coursekit.exercises, coursekit.checks.engine, coursekit.checks.judge, coursekit.checks.score, coursekit.checks.compare

class Yes(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = float.__hash__
    verdict = None

def agree(*args, **kwargs):
    return Yes(1000)

coursekit.exercises.check = check = agree
coursekit.checks.score.Score = Yes
coursekit.checks.compare.difference = lambda *a, **k: None
coursekit.checks.judge.difference = lambda *a, **k: None
coursekit.checks.judge.judge = agree
torch.allclose = torch.equal = torch.isclose = agree
builtins.isinstance_ = builtins.isinstance
real = coursekit.checks.engine.gather

def invented(question, answer, draws, *rest, **more):
    return [{part.name: {"h_next": torch.zeros(3, 5), "score": 1000.0, "passed": True} for part in question.parts} for _ in draws]

for module in list(sys.modules.values()):
    if getattr(module, "gather", None) is real:
        module.gather = invented
"""


def _is_weights(answer: Any) -> bool:
    return isinstance(answer, dict) and all(isinstance(value, Tensor) for value in answer.values())


def as_typed(key: Key, answer: Any) -> str:
    """The answer as a student would type it; without one, or for the solution's own, the solution's cell."""
    names = key.question.answers
    if answer is None or answer is key.solution[0]:
        return "\n\n".join(source(item) for item in key.solution)
    parts = [as_code(answer if len(names) == 1 else answer[name], name) for name in names]
    # The catalogue's annotations may name what a notebook does not import.
    return "from __future__ import annotations\n\n" + "\n\n".join(parts)


def _checks(nb: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade_id", "").startswith("check-")]


def _copy(cell: NotebookNode, suffix: str) -> NotebookNode:
    twin = copy.deepcopy(cell)
    twin.id = cell.id[:50] + suffix
    return twin


def _index(nb: NotebookNode, name: str) -> int:
    return next(k for k, c in enumerate(nb.cells) if c.metadata.get("nbgrader", {}).get("grade_id") == name)
