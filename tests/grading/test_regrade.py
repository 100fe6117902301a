"""Grading again: one student, one exercise or all; what a person gave stays, and what changed is said."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from room import UNIT, filled, first, full, gradebook, hand_in, judged, keys, none, right

from coursekit.checks.judge import Verdict
from coursekit.course import Course
from coursekit.errors import CourseError
from coursekit.grading import batch as batch_module
from coursekit.grading import regrade
from coursekit.grading.assess import Submission, SubmissionResult, check_cell
from coursekit.grading.batch import Batch, grade
from coursekit.grading.collect import collect
from coursekit.grading.report import feedback_path, report_path

Answers = Callable[[str], dict[str, Any]]


class Class:
    """A class whose answers may change between two gradings; nothing is run."""

    def __init__(self, course: Course, release: NotebookNode) -> None:
        self.course, self.release = course, release
        self.answers: Answers = lambda student: right()

    def assess(self, submissions: Iterable[Submission], *rest: Any) -> Iterator[SubmissionResult]:
        kept: Callable[[str], dict[str, Verdict]] = rest[5]
        for submission in submissions:
            result = judged(self.release, submission.student, self.answers(submission.student))
            result.verdicts.update(kept(submission.student))
            yield result

    def grade(self, *names: str, exercises: Iterable[str] = (), **more: Any) -> Batch:
        chosen = regrade.choose_students(collect(self.course.submitted, UNIT), names)
        only = regrade.choose_exercises(UNIT, exercises)
        return grade(chosen, UNIT, self.course, exercises=only, part=bool(names), **more)


@pytest.fixture
def room(course: Course, release: NotebookNode, monkeypatch: pytest.MonkeyPatch) -> Class:
    for name in ("al", "bea"):
        hand_in(course, name, filled(release))
    found = Class(course, release)
    monkeypatch.setattr(batch_module, "_Warming", contextlib.nullcontext)
    monkeypatch.setattr(batch_module, "_assess", found.assess)
    return found


def by_hand(course: Course, student: str, cell: str, score: float) -> None:
    """What a person does in formgrader."""
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        grade = book.find_grade(cell, UNIT.name, UNIT.name, student)
        grade.manual_score, grade.needs_manual_grade = score, False
        book.find_comment("why", UNIT.name, UNIT.name, student).manual_comment = "well said"
        book.db.commit()


def marks(course: Course, student: str, cell: str) -> tuple[Any, ...]:
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        grade = book.find_grade(cell, UNIT.name, UNIT.name, student)
        comment = book.find_comment("why", UNIT.name, UNIT.name, student).manual_comment
        return grade.auto_score, grade.manual_score, grade.needs_manual_grade, comment


def test_after_a_corrected_check_all_is_said_and_what_a_person_gave_stays(room: Class) -> None:
    course, cell, worth = room.course, check_cell(first()), keys()[first()].question.points
    room.answers = lambda student: {} if student == "al" else right()
    begun = room.grade()
    assert not begun.regraded and not regrade.path(course, UNIT).exists()
    by_hand(course, "al", "why", 1.5)
    by_hand(course, "al", cell, 0.5)
    room.answers = lambda student: {first(): right()[first()]} if student == "al" else right()
    again = room.grade()
    assert again.regraded and [(c.student, c.exercise, c.before, c.after, c.manual) for c in again.changes] == [
        ("al", first(), 0.0, worth, 0.5)
    ]
    assert gradebook(course) == {"al": {**none(None), cell: worth}, "bea": full()}
    assert marks(course, "al", "why") == (None, 1.5, False, "well said")  # the same hand-in: no second look at it
    assert marks(course, "al", cell)[:2] == (worth, 0.5)
    [row] = csv.DictReader(regrade.path(course, UNIT).read_text().splitlines())
    assert list(row.values()) == ["al", first(), "0", f"{worth:g}", "0.5"]
    told = regrade.as_text(again.changes)
    assert (
        told.startswith("changed: 1 scores of 1 students")
        and "0 -> " in told
        and "a person gave 0.5, which stays" in told
    )


def test_a_new_hand_in_asks_for_a_second_look_at_what_a_person_graded(room: Class) -> None:
    room.grade()
    by_hand(room.course, "al", "why", 1.5)
    hand_in(room.course, "al", filled(room.release, {}))
    room.grade("al")
    assert marks(room.course, "al", "why") == (None, 1.5, True, "well said")


def test_one_student(room: Class) -> None:
    room.grade()
    room.answers = lambda student: {}
    again = room.grade("al")
    assert [r.student for r in again.results] == ["al"] and len(again.changes) == len(keys())
    assert gradebook(room.course) == {"al": none(None), "bea": full()}
    page = report_path(room.course, UNIT).read_text()
    assert "bea" in page and "al" in page  # the report is still on the class


def test_one_exercise(room: Class) -> None:
    """The others keep their scores, in the gradebook and on the page, whatever they would get now."""
    course, name = room.course, list(keys())[1]
    room.grade("al")
    room.answers = lambda student: {}
    again = room.grade(exercises=[name.partition(".")[2]])
    assert {(c.student, c.exercise) for c in again.changes} == {("al", name)}
    assert gradebook(course) == {
        "al": {**full(), check_cell(name): 0.0},
        "bea": none(None),
    }  # bea was never graded: whole
    [al] = [r for r in again.results if r.student == "al"]
    assert al.earned == sum(v or 0.0 for v in gradebook(course)["al"].values())
    assert f"{al.earned:g}" in feedback_path(course, "al", UNIT).read_text()


def test_an_unfinished_batch_of_a_choice_is_no_ones_else(room: Class) -> None:
    with pytest.raises(KeyboardInterrupt):
        room.grade(on_result=stop_at("al"))
    assert room.grade("bea").resumed == 0
    assert room.grade().resumed == 1


def stop_at(student: str) -> Callable[[SubmissionResult], None]:
    def stop(result: SubmissionResult) -> None:
        if result.student == student:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(
    ("students", "exercises", "said"),
    [
        (["bae"], [], r"no submission of 'bae' among 2\. Did you mean 'bea'\?"),
        ([], ["nothing"], r"unknown exercise 'nothing'"),
        ([], ["why"], r"'why' is graded by a person"),
    ],
)
def test_who_or_what_is_not_there_is_told(room: Class, students: list[str], exercises: list[str], said: str) -> None:
    with pytest.raises(CourseError, match=said):
        room.grade(*students, exercises=exercises)


def test_a_name_that_a_spreadsheet_would_compute(course: Course) -> None:
    regrade.write(course, UNIT, [regrade.Change("=1+1", "01.x", 0.0, 1.0)])
    assert "'=1+1" in regrade.path(course, UNIT).read_text()


def test_many_changes_are_cut() -> None:
    told = regrade.as_text([regrade.Change(f"s{k}", "01.x", 0.0, 1.0) for k in range(30)])
    assert told.splitlines()[-1] == "  and 10 more" and len(told.splitlines()) == 22
