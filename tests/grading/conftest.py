"""A small course for the tests of grading, in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from room import UNIT, small_unit

from coursekit.course import Course
from coursekit.exercises.notebook import build


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A course folder with its release, made once; each test works on a copy."""
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
