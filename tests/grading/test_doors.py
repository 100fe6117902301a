"""Three doors, one score: stock nbgrader, nbgrader with the kit's engine, and the kit's own command."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from room import NAME, SANDBOX, UNIT, cell, filled, gradebook, keys, nbgrader, place, small_unit, solution

from coursekit.cli import main
from coursekit.course import Course
from coursekit.grading.assess import answer_cell, check_cell
from coursekit.grading.classroom import make_class
from coursekit.grading.host import read_release

pytestmark = pytest.mark.slow

KINDS = ("perfect", "blank", "alternative-1", "mistake-1", "mistake-2")
NOISE = """
import sys as _sys, warnings as _warnings
print("noise", file=_sys.stderr)
_warnings.warn("careful")
"""
Scores = dict[str, dict[str, float | None]]


def noisy(release: NotebookNode) -> NotebookNode:
    """Right answers in cells, and functions, that warn and write to standard error."""
    answers = {}
    for name in keys():
        head, body = solution(name).split("### BEGIN SOLUTION\n")
        indent = " " * (len(body) - len(body.lstrip(" ")))
        inner = "".join(f"{indent}{line}\n" for line in NOISE.strip().splitlines())
        answers[name] = f"{NOISE}{head}### BEGIN SOLUTION\n{inner}{body}{NOISE}"
    notebook = filled(release, answers)
    for name in keys():
        notebook.cells.insert(place(notebook, check_cell(name)), nbformat.v4.new_code_cell(NOISE))
    return notebook


@pytest.fixture(scope="module")
def classroom(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Course, Scores]]:
    """A course with its submissions, and what each must get."""
    root = tmp_path_factory.mktemp("doors") / "course"
    shutil.copytree(template, root)
    course = Course(root)
    with small_unit():
        release = read_release(course, UNIT)
        expected: Scores = {}
        for student in make_class(UNIT, release, hostile=False):
            if student.name in KINDS:
                student.hand_in(course.submitted, UNIT)
                expected[student.name] = {check_cell(name): student.expected[name] for name in keys()} | {"why": 0.0}
        assert expected.keys() == set(KINDS)
        path = course.submitted / "noisy" / UNIT.name / NAME
        path.parent.mkdir(parents=True)
        nbformat.write(noisy(release), path)
        expected["noisy"] = {**expected["perfect"], "why": None}
        yield course, expected


def copied(course: Course, tmp_path: Path) -> Course:
    shutil.copytree(course.root, tmp_path / "copy")
    return Course(tmp_path / "copy")


def test_the_class_tells_the_doors_apart_if_they_differ(classroom: tuple[Course, Scores]) -> None:
    """The scores are not all alike, and the noise is real: it is in the cells and in the functions."""
    course, expected = classroom
    assert len({tuple(scores.values()) for scores in expected.values()}) >= 4
    notebook = nbformat.read(course.submitted / "noisy" / UNIT.name / NAME, as_version=4)
    for name in keys():
        assert cell(notebook, answer_cell(name)).source.count("_sys.stderr") == 3


def test_stock_nbgrader(classroom: tuple[Course, Scores], tmp_path: Path) -> None:
    course = copied(classroom[0], tmp_path)
    nbgrader(course, "autograde", UNIT.name, COURSEKIT_ENGINE="stock")
    assert gradebook(course) == classroom[1]
    notebook = nbformat.read(course.autograded / "noisy" / UNIT.name / NAME, as_version=4)
    streams = [o.name for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "stream"]
    assert streams.count("stderr") >= 2 * len(keys())  # nbgrader saw the noise, outside the checks


@pytest.mark.skipif(not SANDBOX, reason="this system has no sandbox")
def test_nbgrader_with_the_kits_engine(classroom: tuple[Course, Scores], tmp_path: Path) -> None:
    course, expected = copied(classroom[0], tmp_path), classroom[1]
    said = nbgrader(course, "autograde", UNIT.name, COURSEKIT_ENGINE="")
    assert re.search(r"perfect: .* of .* points", said)  # the engine's own line: it was no stock run
    assert gradebook(course) == expected
    notebook = nbformat.read(course.autograded / "perfect" / UNIT.name / NAME, as_version=4)
    for name, key in keys().items():
        [output] = cell(notebook, check_cell(name)).outputs
        assert float(output.data["text/plain"]) == key.question.points
    nbgrader(course, "generate_feedback", UNIT.name)
    assert (course.feedback / "perfect" / UNIT.name / f"{UNIT.name}.html").is_file()

    # Once more by the same door: somebody lost a cell (stock nbgrader would keep the old score), and somebody hands in a
    # link to the solution.
    path = course.submitted / "perfect" / UNIT.name / NAME
    damaged = nbformat.read(path, as_version=4)
    name = next(iter(keys()))
    for grade_id in (answer_cell(name), check_cell(name)):
        del damaged.cells[place(damaged, grade_id)]
    nbformat.write(damaged, path)
    link = course.submitted / "cheat" / UNIT.name / NAME
    link.parent.mkdir(parents=True)
    link.symlink_to(course.solution(UNIT))
    nbgrader(course, "autograde", UNIT.name, "--force", COURSEKIT_ENGINE="")
    graded = gradebook(course)
    cheat = graded.pop("cheat")
    assert {cheat[check_cell(name)] for name in keys()} == {0.0}
    assert graded == {**expected, "perfect": {**expected["perfect"], check_cell(name): 0.0}}


def test_the_kits_own_command(
    classroom: tuple[Course, Scores], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    course = copied(classroom[0], tmp_path)
    trust = [] if SANDBOX else ["--trust-submissions"]
    assert main(["--course", str(course.root), "grade", *trust]) == 0
    assert gradebook(course) == classroom[1]
    said = capsys.readouterr()
    assert said.err == "" and f"grading {len(classroom[1])} submissions of {UNIT.name}" in said.out
