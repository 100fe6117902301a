"""Which rows of the syllabus are covered is counted from the notebooks, and a tag that lies is an error."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from coursekit.course import Course
from coursekit.coverage import as_text, count, tagged
from coursekit.errors import CourseError

SYLLABUS = "id,name,unit,source\nA-01,cells,01,x\nA-02,gates,01,x\nB-01,attention,01,y\n"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    course = Course(tmp_path)
    course.lectures.mkdir()
    (course.lectures / "syllabus.csv").write_text(SYLLABUS)
    return course


def write(course: Course, name: str, *cells: tuple[str, list[str]], folder: str = "lectures") -> None:
    """A notebook with cells of a type and tags."""
    path = course.root / folder / "01_x" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    nbformat.write(
        nbformat.v4.new_notebook(cells=[make[kind]("", metadata={"tags": tags}) for kind, tags in cells]), path
    )


def test_rows_are_counted_by_group(course: Course) -> None:
    write(course, "1.ipynb", ("code", ["covers:A-01", "nbval-ignore-output"]), ("markdown", ["other"]), ("code", []))
    write(course, "2.ipynb", ("code", ["covers:A-01"]))
    write(course, "01_x.ipynb", ("code", ["covers:B-01"]), folder="solutions")
    (course.lectures / "uncovered.csv").write_text("id,reason\nA-02,shown in unit 02\n")
    report = count(course)
    assert report["groups"] == {
        "A": {"rows": 2, "covered": 1, "missing": {"A-02": "shown in unit 02"}},
        "B": {"rows": 1, "covered": 1, "missing": {}},
    }
    assert report["where"] == {"A-01": ["01_x/1.ipynb", "01_x/2.ipynb"], "B-01": ["01_x/01_x.ipynb"]}
    assert as_text(report) == (
        "group A: 1 of 2 rows covered\n  not A-02: shown in unit 02\ngroup B: 1 of 1 rows covered"
    )
    json.dumps(report)


def test_a_row_without_a_reason_is_named(course: Course) -> None:
    write(course, "1.ipynb", ("code", ["covers:A-01"]))
    assert "not A-02: no reason given" in as_text(count(course))


def test_a_tag_on_prose_is_an_error(course: Course) -> None:
    write(course, "1.ipynb", ("code", []), ("markdown", ["covers:A-01"]))
    with pytest.raises(CourseError, match=r"1\.ipynb, cell 1: covers:A-01 on prose"):
        count(course)


def test_a_tag_of_an_unknown_row_is_an_error(course: Course) -> None:
    write(course, "1.ipynb", ("code", ["covers:A-99"]))
    with pytest.raises(CourseError, match=r"unknown rows \['A-99'\]"):
        count(course)


def test_without_a_syllabus_the_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no syllabus at"):
        count(Course(tmp_path))


def test_the_kits_own_tags_are_true(root: Path) -> None:
    """Every tag names a row, on code; and every row left out on purpose has its reason."""
    report = count(Course(root))
    assert sum(group["covered"] for group in report["groups"].values()) == len(tagged(Course(root)))
    rows = {row for group in report["groups"].values() for row in group["missing"]} | report["where"].keys()
    assert len(rows) == sum(group["rows"] for group in report["groups"].values())
