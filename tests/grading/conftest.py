"""A small course for the tests of grading: three exercises and a question for a person, in a folder of its own."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from nbformat import NotebookNode

from coursekit.checks.declare import ManualQuestion, Rubric
from coursekit.course import Course, unit
from coursekit.exercises import catalogue

UNIT = unit("01")


@contextlib.contextmanager
def small_unit() -> Iterator[None]:
    """Cut the unit down: its first three exercises that are written rather than trained, and one manual question."""
    keys = {name: key for name, key in catalogue.keys(UNIT).items() if key.outcome is None and not key.question.setup}
    keys = dict(list(keys.items())[:3])
    manual = ManualQuestion(
        unit=UNIT.number, name="why", title="Why?", task="Say why.", points=2.0, minutes=5, difficulty=2
    )
    section = ModuleType("s0_small", "## A small section")
    for key in keys.values():
        setattr(section, key.question.name, key.question)
    vars(section)["why"] = manual
    rubric = Rubric(question=manual, model_answer="Because gradients vanish.", criteria=((2.0, "the reason"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "sections", lambda of: (section,))
        patch.setattr(catalogue, "keys", lambda of: keys)
        patch.setattr(catalogue, "rubrics", lambda of: {manual.id: rubric})
        patch.setattr(catalogue, "_by_id", functools.cache(catalogue._by_id.__wrapped__))
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A course folder with its release, made once; each test works on a copy."""
    import nbformat

    from coursekit.exercises.notebook import build
    from coursekit.grading.host import generate_assignment

    place = tmp_path_factory.mktemp("template") / "course"
    course = Course(place)
    course.solution(UNIT).parent.mkdir(parents=True)
    shutil.copy(root / "nbgrader_config.py", place)
    with small_unit():
        nbformat.write(build(UNIT), course.solution(UNIT))
        generate_assignment(course, UNIT)
    return place


@pytest.fixture
def course(template: Path, tmp_path: Path) -> Iterator[Course]:
    """A course of the test's own, released, with an empty gradebook."""
    shutil.copytree(template, tmp_path / "course")
    with small_unit():
        yield Course(tmp_path / "course")


@pytest.fixture
def release(course: Course) -> NotebookNode:
    """The assignment as it was handed out."""
    from coursekit.grading.host import read_release

    return read_release(course, UNIT)
