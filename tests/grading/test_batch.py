"""A class from its folders to the gradebook and the pages; and one student's trouble is nobody else's."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from room import (
    NAME,
    TRUST,
    UNIT,
    cell,
    filled,
    first,
    full,
    grade_id,
    gradebook,
    hand_in,
    judged,
    keys,
    nbgrader,
    none,
    place,
    right,
    texts,
)  # fmt: skip
from traitlets.config import Config

from coursekit.course import Course
from coursekit.errors import CourseError, GradebookError
from coursekit.grading import batch as batch_module
from coursekit.grading import host
from coursekit.grading.assess import Examiner, Submission, SubmissionResult, answer_cell, check_cell
from coursekit.grading.batch import Batch, assess, grade
from coursekit.grading.classroom import make_class
from coursekit.grading.collect import collect
from coursekit.grading.host import Ledger
from coursekit.grading.report import feedback_path, report_path
from coursekit.grading.results import Limits

LIMITS = Limits(cell_seconds=3.0, wall_seconds=60.0, memory_bytes=1 << 30)


def run(course: Course, **options: Any) -> Batch:
    return grade(collect(course.submitted, UNIT), UNIT, course, limits=LIMITS, trust=TRUST, **options)


def exported(course: Course) -> dict[str, float]:
    """Students' totals as `nbgrader export` writes them."""
    nbgrader(course, "export")
    with (course.root / "grades.csv").open(newline="") as file:
        return {
            row["student_id"]: float(row["score"]) for row in csv.DictReader(file) if row["assignment"] == UNIT.name
        }


def students(course: Course, release: NotebookNode, names: Sequence[str]) -> None:
    for name in names:
        hand_in(course, name, filled(release))


@pytest.fixture
def easy(monkeypatch: pytest.MonkeyPatch, release: NotebookNode) -> None:
    """Whoever hands in gets full marks."""

    def all_right(submissions: Sequence[Submission], *_: Any) -> Iterator[SubmissionResult]:
        for submission in submissions:
            yield judged(release, submission.student, right())

    without_processes(monkeypatch, all_right)


def without_processes(monkeypatch: pytest.MonkeyPatch, assess: Callable[..., Iterator[SubmissionResult]]) -> None:
    """Let results come from `assess`: no pool is started."""
    monkeypatch.setattr(batch_module, "_Warming", contextlib.nullcontext)
    monkeypatch.setattr(batch_module, "_assess", assess)


@pytest.mark.slow
def test_a_class_is_graded_as_expected_regraded_and_read_by_nbgrader(course: Course, release: NotebookNode) -> None:
    """Perfect, blank, alternative, mistaken, damaged and hostile; then a regrade after somebody lost a cell."""
    room = make_class(UNIT, release)
    for student in room:
        student.hand_in(course.submitted, UNIT)
    (course.submitted / "empty").mkdir()
    seen: list[str] = []
    done = run(course, on_result=lambda result: seen.append(result.student))
    assert done.failures == []
    assert sorted(seen) == sorted([s.name for s in room] + ["empty"]) == [r.student for r in done.results]
    expected = {s.name: {check_cell(name): s.expected[name] for name in keys()} for s in room}
    expected["empty"] = {check_cell(name): 0.0 for name in keys()}
    given = gradebook(course)
    assert {name: {c: v for c, v in cells.items() if c != "why"} for name, cells in given.items()} == expected
    assert len({sum(cells.values()) for cells in expected.values()}) > 3  # a class of equals would prove little

    # Where nbgrader puts things.
    for student in room:
        notebook = nbformat.read(course.autograded / student.name / UNIT.name / NAME, as_version=4)
        if student.name in ("broken-json", "not-a-notebook"):
            assert "could not be read" in notebook.cells[0].source
            continue
        assert [grade_id(c) for c in notebook.cells if grade_id(c)] == [grade_id(c) for c in release.cells]
        for name in keys():
            [output] = cell(notebook, check_cell(name)).outputs
            assert float(output.data["text/plain"]) == student.expected[name]
    assert all(feedback_path(course, name, UNIT).is_file() for name in given)

    # What formgrader asks, and nbgrader's own commands, work on the result.
    config = Config(
        CourseDirectory={"root": str(course.root), "course_id": "coursekit", "db_url": f"sqlite:///{course.gradebook}"}
    )
    rows = NbGraderAPI(CourseDirectory(config=config), config=config).get_submissions(UNIT.name)
    assert {row["student"]: row["autograded"] for row in rows} == dict.fromkeys(given, True)
    totals = exported(course)
    assert totals == {name: sum(cells.values()) for name, cells in expected.items()}
    nbgrader(course, "generate_feedback", UNIT.name, "--student", "mistake-1", "--force")
    page = (course.feedback / "mistake-1" / UNIT.name / f"{UNIT.name}.html").read_text()
    assert keys()[first()].mistakes[0].name in page and "Content-Security-Policy" not in page

    # Regrade: the lost cell's old score goes, a person's marks stay, nobody else changes.
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        book.find_grade("why", UNIT.name, UNIT.name, "perfect").manual_score = 2.0
        book.find_comment("why", UNIT.name, UNIT.name, "perfect").manual_comment = "well said"
        book.db.commit()
    damaged = filled(release)
    del damaged.cells[place(damaged, answer_cell(first()))]
    hand_in(course, "perfect", damaged)
    regraded = grade(collect(course.submitted / "perfect", UNIT), UNIT, course, trust=TRUST)
    assert regraded.results[0].notes == (f"cell {answer_cell(first())}: was deleted",)
    again = gradebook(course)
    assert again.pop("perfect") == {**full(), check_cell(first()): 0.0}
    assert again == {name: cells for name, cells in given.items() if name != "perfect"}
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        assert book.find_comment("why", UNIT.name, UNIT.name, "perfect").comment == "well said"
    lost = keys()[first()].question.points
    assert exported(course)["perfect"] == totals["perfect"] - lost + 2.0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_result_and_assessing_records_nothing(
    course: Course, release: NotebookNode
) -> None:
    hand_in(course, "al", filled(release))
    hand_in(course, "bea", "no JSON")
    place_ = collect(course.submitted, UNIT)
    one, two = (sorted(assess(place_, UNIT, course, seed=3, trust=TRUST), key=lambda r: r.student) for _ in range(2))
    assert [(r.student, r.status, r.scores()) for r in one] == [(r.student, r.status, r.scores()) for r in two]
    assert [r.status for r in one] == ["scored", "unreadable"]
    assert gradebook(course) == {}
    assert not course.autograded.exists() and not course.feedback.exists()


def test_one_students_score_that_cannot_be_written_is_nobody_elses_loss(
    easy: None, course: Course, release: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    students(course, release, ["al", "bea", "cy"])
    real, beas = host._set_grade, []

    def fails_in_the_end(grade: Any, *rest: Any) -> None:
        real(grade, *rest)
        if grade.student.id == "bea":
            beas.append(grade)
            if len(beas) % len(full()) == 0:  # at her last cell, however often it is tried
                raise ValueError("disk full")

    monkeypatch.setattr(host, "_set_grade", fails_in_the_end)
    done = run(course)
    assert [f.partition(":")[0] for f in done.failures] == ["bea"] and "disk full" in done.failures[0]
    assert gradebook(course) == {"al": full(), "cy": full()}  # of hers nothing, not a half
    assert "bea" in report_path(course, UNIT).read_text()
    monkeypatch.setattr(host, "_set_grade", real)  # the same command again brings hers
    assert run(course).failures == [] and gradebook(course) == dict.fromkeys(("al", "bea", "cy"), full())


@pytest.mark.parametrize("blocked", ["autograded", "feedback"])
def test_a_page_that_cannot_be_written_costs_only_itself(
    easy: None, course: Course, release: NotebookNode, blocked: str
) -> None:
    students(course, release, ["al", "bea"])
    (course.root / blocked).mkdir()
    (course.root / blocked / "al").write_text("a file where a folder should be")
    done = run(course)
    assert len(done.failures) == 1 and done.failures[0].startswith("al:")
    assert gradebook(course) == {"al": full(), "bea": full()}
    assert feedback_path(course, "bea", UNIT).is_file()


def test_a_report_that_cannot_be_written_costs_no_grade(easy: None, course: Course, release: NotebookNode) -> None:
    students(course, release, ["al"])
    course.reports.write_text("a file where a folder should be")
    done = run(course)
    assert len(done.failures) == 1 and done.failures[0].startswith("class report:")
    assert gradebook(course) == {"al": full()}


def test_a_killed_batch_is_taken_up_again_without_a_lost_or_doubled_grade(
    easy: None, course: Course, release: NotebookNode
) -> None:
    students(course, release, ["al", "bea", "cy"])

    def interrupt(result: SubmissionResult) -> None:
        if result.student == "bea":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(course, on_result=interrupt)
    assert gradebook(course) == {"al": full(), "bea": full()}
    run(course)
    assert gradebook(course) == {"al": full(), "bea": full(), "cy": full()}  # `gradebook` itself refuses doubles


def test_an_unreadable_regrade_leaves_no_notebook_of_the_last_one(
    course: Course, release: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [judged(release, "al", right()), Examiner(UNIT, 1).unreadable(Submission("al", None), "broken")]
    without_processes(monkeypatch, lambda *_: iter([results.pop(0)]))
    page = course.autograded / "al" / UNIT.name / NAME
    grade([], UNIT, course)
    assert texts(nbformat.read(page, as_version=4)) == texts(filled(release))
    grade([], UNIT, course)
    assert texts(nbformat.read(page, as_version=4)) == ["This submission could not be read: broken"]
    assert gradebook(course) == {"al": none()}
    assert "broken" in feedback_path(course, "al", UNIT).read_text()


def test_nothing_is_run_where_nothing_could_be_recorded(
    course: Course, release: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    students(course, release, ["al"])
    without_processes(monkeypatch, lambda *_: pytest.fail("ran"))
    course.gradebook.write_bytes(b"no database")
    with pytest.raises(GradebookError):
        run(course)
    course.gradebook.unlink()
    course.assignment(UNIT).unlink()
    with pytest.raises(CourseError, match="coursekit release"):
        run(course)


def test_files_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from coursekit.files import replace

    target = tmp_path / "folder" / "page.html"
    replace(target, "old")

    def full_disk(self: Path, *_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        replace(target, "new")
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_the_gradebook_is_closed_whatever_happens(easy: None, course: Course, release: NotebookNode) -> None:
    students(course, release, ["al"])
    opened: list[Ledger] = []
    real = Ledger.close
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(Ledger, "close", lambda self: (opened.append(self), real(self))[1])
        with pytest.raises(ZeroDivisionError):
            run(course, on_result=lambda result: 1 / 0)
    assert len(opened) == 1
