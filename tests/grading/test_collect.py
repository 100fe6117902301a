"""Submissions are found in every layout, and whatever lies about costs nobody else anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nbformat import NotebookNode
from room import NAME, UNIT, hand_in

from coursekit.course import UNITS, Course
from coursekit.errors import CourseError, NotebookError
from coursekit.grading.collect import collect, find_unit
from coursekit.grading.mend import read_submission


def students(place: Path) -> list[str]:
    return [submission.student for submission in collect(place, UNIT)]


def test_nbgraders_layout(course: Course, release: NotebookNode) -> None:
    path = hand_in(course, "bea", release)
    hand_in(course, "al", release)
    (path.parent / "timestamp.txt").write_text("2026-02-03 04:05:06 UTC\n")
    al, bea = collect(course.submitted, UNIT)
    assert (al.student, al.timestamp) == ("al", None)
    assert (bea.student, bea.timestamp) == ("bea", "2026-02-03 04:05:06 UTC")
    assert (bea.notebook, bea.folder) == (path, path.parent)


def test_a_folder_of_notebooks_brings_no_neighbours(tmp_path: Path) -> None:
    for name in ("bea.ipynb", "al.ipynb", "notes.txt", ".hidden.ipynb"):
        (tmp_path / name).write_text("{}")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    found = collect(tmp_path, UNIT)
    assert [(s.student, s.folder) for s in found] == [("al", None), ("bea", None)]


def test_one_notebook(tmp_path: Path) -> None:
    (tmp_path / "cy.ipynb").write_text("{}")
    [only] = collect(tmp_path / "cy.ipynb", UNIT)
    assert (only.student, only.notebook, only.folder) == ("cy", tmp_path / "cy.ipynb", None)


def test_one_students_part_of_nbgraders_layout(
    course: Course, release: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However deep one points, the student is the student, and never the assignment."""
    path = hand_in(course, "al", release)
    for place in (path, path.parent, path.parents[1]):
        assert [(s.student, s.notebook) for s in collect(place, UNIT)] == [("al", path)]
    monkeypatch.chdir(path.parent)
    assert students(Path(NAME)) == students(Path()) == ["al"]


def test_a_missing_notebook_is_a_submission(course: Course, release: NotebookNode) -> None:
    hand_in(course, "al", release).unlink()
    (course.submitted / "bea").mkdir()
    (course.submitted / "cy" / UNIT.name).mkdir(parents=True)
    (course.submitted / "cy" / UNIT.name / "renamed.ipynb").write_text("{}")
    found = collect(course.submitted, UNIT)
    assert [s.student for s in found] == ["al", "bea", "cy"]
    for submission in found:
        with pytest.raises(NotebookError, match="cannot be read"):
            read_submission(submission.notebook)


def test_who_handed_in_another_assignment_only_is_left_out(course: Course, release: NotebookNode) -> None:
    hand_in(course, "al", release)
    (course.submitted / "bea" / UNITS[1].name).mkdir(parents=True)
    assert students(course.submitted) == ["al"]


def test_nothing_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no submission in"):
        collect(tmp_path, UNIT)
    for place in (tmp_path / "absent", tmp_path / "absent" / UNIT.name / NAME):
        with pytest.raises(CourseError, match="nothing to grade at"):
            collect(place, UNIT)


def test_a_timestamp_may_be_anything(course: Course, release: NotebookNode) -> None:
    stamps = {"binary": b"\xff\xfe\x00\x01", "long": b"9" * 10_000, "empty": b" \n"}
    for student, content in stamps.items():
        (hand_in(course, student, release).parent / "timestamp.txt").write_bytes(content)
    (hand_in(course, "folder", release).parent / "timestamp.txt").mkdir()
    os.mkfifo(hand_in(course, "pipe", release).parent / "timestamp.txt")
    found = {s.student: s.timestamp for s in collect(course.submitted, UNIT)}
    assert found["folder"] is found["pipe"] is None and not found["empty"]
    assert len(found["long"] or "") <= 100


def test_links_to_other_peoples_work_are_not_followed(course: Course, release: NotebookNode) -> None:
    hand_in(course, "al", release)
    (course.submitted / "thief").mkdir()
    (course.submitted / "thief" / UNIT.name).symlink_to(course.submitted / "al" / UNIT.name)
    (course.submitted / "cheat" / UNIT.name).mkdir(parents=True)
    (course.submitted / "cheat" / UNIT.name / NAME).symlink_to(course.solution(UNIT))
    (course.submitted / "lone.ipynb").symlink_to(course.solution(UNIT))
    (course.submitted / "twin").symlink_to(course.submitted / "al")
    found = {s.student: s for s in collect(course.submitted, UNIT)}
    assert found.keys() == {"al", "thief", "cheat", "lone", "twin"}
    assert found["thief"].folder is None and found["twin"].folder is None
    for name in ("thief", "cheat", "lone", "twin"):
        with pytest.raises(NotebookError, match="a link"):
            read_submission(found[name].notebook)


def test_names_that_are_no_text_can_be_printed_and_stored(course: Course, release: NotebookNode) -> None:
    folder = course.submitted / os.fsdecode(b"caf\xe9") / UNIT.name
    folder.mkdir(parents=True)
    (course.submitted / os.fsdecode(b"\xff.ipynb")).write_text("{}")
    found = collect(course.submitted, UNIT)
    assert [s.student.encode() for s in found] == ["caf\ufffd".encode(), "\ufffd".encode()]
    assert found[0].folder == folder


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_a_folder_without_permission_costs_its_own_student_only(
    course: Course, release: NotebookNode, mode: int
) -> None:
    hand_in(course, "al", release)
    hand_in(course, "bea", release)
    folder = course.submitted / "al"
    folder.chmod(mode)
    try:
        assert students(course.submitted) == ["al", "bea"]
        if not mode & 0o100:
            with pytest.raises(NotebookError, match="Permission denied"):
                read_submission(collect(course.submitted, UNIT)[0].notebook)
        course.submitted.chmod(mode)
        if not mode & 0o400:
            with pytest.raises(CourseError, match="cannot be listed"):
                collect(course.submitted, UNIT)
    finally:
        course.submitted.chmod(0o700)
        folder.chmod(0o700)


def test_the_assignment_is_found_by_number_or_name_or_alone(course: Course) -> None:
    assert find_unit(course, None) == find_unit(course, "01") == find_unit(course, UNIT.name) == UNIT


def test_an_unknown_assignment_says_which_was_meant(course: Course) -> None:
    with pytest.raises(CourseError, match=rf"Did you mean '{UNIT.name}'\?"):
        find_unit(course, "01_recurent_network")
    with pytest.raises(CourseError, match="unknown assignment 'zzz'") as raised:
        find_unit(course, "zzz")
    assert "Did you mean" not in str(raised.value)


def test_an_assignment_that_is_not_released_is_unknown(course: Course) -> None:
    with pytest.raises(CourseError, match="unknown assignment '02'"):
        find_unit(course, "02")


def test_none_or_two_released_assignments_need_a_name(course: Course) -> None:
    other = course.assignment(UNITS[1])
    other.parent.mkdir()
    other.write_text("{}")
    with pytest.raises(CourseError, match="which assignment"):
        find_unit(course, None)
    other.unlink()
    course.assignment(UNIT).unlink()
    with pytest.raises(CourseError, match="which assignment"):
        find_unit(course, None)
