"""The gradebook, through nbgrader: every graded cell is written in every run, people's marks stay, errors lose nothing."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from room import NAME, UNIT, cell, first, full, gradebook, judged, keys, none, place, right
from sqlalchemy import event
from traitlets.config import Config

from coursekit.course import Course
from coursekit.errors import CourseError, GradebookError
from coursekit.exercises import catalogue
from coursekit.grading import host
from coursekit.grading.assess import Examiner, Submission, answer_cell, check_cell
from coursekit.grading.host import Ledger, Order, generate_assignment, read_release


@contextlib.contextmanager
def ledger(course: Course) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(course, UNIT)) as opened:
        yield opened


def test_a_result_arrives_whole(course: Course, release: NotebookNode) -> None:
    with ledger(course) as book:
        book.record(judged(release, "al", right()))
        book.record(Examiner(UNIT, 1).unreadable(Submission("bea", None), "broken"))
        assert book.scores("al")["why"] == (None, None)
    assert gradebook(course) == {"al": full(), "bea": none()}
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        submission = book.find_submission(UNIT.name, "al")
        assert submission.score == sum(value or 0.0 for value in full().values())
        assert [g.cell.name for n in submission.notebooks for g in n.grades if g.needs_manual_grade] == ["why"]
        assert not book.find_submission(UNIT.name, "bea").needs_manual_grade


def test_several_results_take_one_transaction(course: Course, release: NotebookNode) -> None:
    """And one that cannot be written keeps no other from it."""
    students = ("al", "bea", "cy", "d\ud800")
    with ledger(course) as book:
        commits: list[int] = []
        event.listen(book._gradebook.engine, "commit", lambda connection: commits.append(1))
        orders = [Order(judged(release, student, right())) for student in students]
        assert book.record_all(orders[:3]) == {}
        assert len(commits) == 1
        told = book.record_all([orders[3], *(Order(judged(release, student, {})) for student in students[:2])])
        assert list(told) == ["d\ud800"] and "could not be written" in told["d\ud800"]
    assert gradebook(course) == {"al": none(why=None), "bea": none(why=None), "cy": full()}


def test_a_comment_says_why(course: Course, release: NotebookNode) -> None:
    key = keys()[first()]
    with ledger(course) as book:
        book.record(judged(release, "al", {first(): key.bundle(key.mistakes[0].answer)}))
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        comment = book.find_comment(answer_cell(first()), UNIT.name, UNIT.name, "al").auto_comment
    assert key.mistakes[0].name in comment and key.mistakes[0].hint[:20] in comment


def test_manual_marks_survive_a_regrade(course: Course, release: NotebookNode) -> None:
    """And the automatic score beneath them is still the new one."""
    check = check_cell(first())
    with ledger(course) as book:
        book.record(judged(release, "al", right()))
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        grade = book.find_grade(check, UNIT.name, UNIT.name, "al")
        grade.manual_score, grade.extra_credit = 1.5, 0.25
        book.find_grade("why", UNIT.name, UNIT.name, "al").manual_score = 2.0
        book.find_comment(answer_cell(first()), UNIT.name, UNIT.name, "al").manual_comment = "well argued"
        book.db.commit()
    with ledger(course) as book:
        book.record(judged(release, "al", {}))
        assert book.scores("al")[check] == (0.0, 1.5)
        assert book.scores("al")["why"] == (None, 2.0)
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        assert book.find_grade(check, UNIT.name, UNIT.name, "al").score == 1.5 + 0.25
        assert book.find_comment(answer_cell(first()), UNIT.name, UNIT.name, "al").comment == "well argued"
        assert book.find_submission(UNIT.name, "al").score == 1.5 + 0.25 + 2.0


def test_no_old_score_outlives_a_regrade(course: Course, release: NotebookNode) -> None:
    with ledger(course) as book:
        book.record(judged(release, "al", right()))
        assert gradebook(course) == {"al": full()}
        book.record(Examiner(UNIT, 1).unreadable(Submission("al", None), "now broken"))
    assert gradebook(course) == {"al": none()}


@pytest.mark.parametrize("stamp", ["2026-02-03 04:05:06 UTC", "2026-02-03T05:05:06+01:00"])
def test_a_timestamp_is_kept(course: Course, release: NotebookNode, stamp: str) -> None:
    with ledger(course) as book:
        book.record(replace(judged(release, "al", {}), timestamp=stamp))
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        assert str(book.find_submission(UNIT.name, "al").timestamp) == "2026-02-03 04:05:06"


@pytest.mark.parametrize("stamp", ["yesterday", "9" * 100, "\x00", "2026-99-99", "1 2 3", "0001-01-01 00:00 +2300"])
def test_a_nonsensical_timestamp_costs_no_grade(course: Course, release: NotebookNode, stamp: str) -> None:
    with ledger(course) as book:
        book.record(replace(judged(release, "al", right()), timestamp=stamp))
    assert gradebook(course) == {"al": full()}


@pytest.mark.parametrize("name", ["Zoë Núñez", "o'brien; drop table student", "a b", "100%", "x" * 200, "caf\ufffd"])
def test_odd_names_are_names(course: Course, release: NotebookNode, name: str) -> None:
    with ledger(course) as book:
        book.record(judged(release, name, right()))
    assert gradebook(course) == {name: full()}


# The release.


def test_the_release_is_what_nbgrader_makes(course: Course, release: NotebookNode) -> None:
    """Solutions gone, checks locked, checksums there; and the gradebook knows the cells."""
    for name in keys():
        answer = cell(release, answer_cell(name))
        assert "raise NotImplementedError()" in answer.source and "SOLUTION" not in answer.source
        assert cell(release, check_cell(name)).metadata.nbgrader.locked
    assert all(c.metadata.nbgrader.checksum for c in release.cells)
    assert sorted(p.name for p in course.assignment(UNIT).parent.iterdir()) == [NAME]
    with Gradebook(f"sqlite:///{course.gradebook}", "coursekit") as book:
        known = {c.name: c.max_score for c in book.find_notebook(UNIT.name, UNIT.name).grade_cells}
    assert known == {**{check_cell(name): key.question.points for name, key in keys().items()}, "why": 2.0}


def test_a_new_gradebook_learns_the_released_assignment(course: Course, release: NotebookNode) -> None:
    course.gradebook.unlink()
    before = course.assignment(UNIT).read_bytes()
    with ledger(course) as book:
        book.record(judged(release, "al", right()))
    assert gradebook(course) == {"al": full()}
    assert course.assignment(UNIT).read_bytes() == before


def test_files_beside_the_solution_are_handed_out_but_not_what_gives_it_away(course: Course) -> None:
    home = course.solution(UNIT).parent
    (home / f"{UNIT.name}.py").write_text("the solution")
    (home / "trained.safetensors").write_text("its weights")
    (home / "table.csv").write_text("1,2")
    generate_assignment(course, UNIT)
    assert sorted(p.name for p in course.assignment(UNIT).parent.iterdir()) == [NAME, "table.csv"]


@pytest.mark.parametrize("command", ["generate_assignment", "autograde"])
def test_nbgraders_own_command_keeps_the_same_files_back(
    root: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Trained weights stay back from a release; those that a student hands in are graded, and never overwritten."""
    monkeypatch.setattr(sys, "argv", ["nbgrader", command, UNIT.name])
    config = Config()
    exec((root / "nbgrader_config.py").read_text(), {"get_config": lambda: config})
    weights = [] if command == "generate_assignment" else ["*.safetensors"]
    assert config.CourseDirectory.ignore + weights == host.IGNORED
    assert config.CourseDirectory.course_id == host.COURSE_ID
    handed_over = {u.name: [q.file for q in catalogue.questions(u) if q.file] for u in catalogue.units()}
    assert config.Autograde.exclude_overwriting == {name: files for name, files in handed_over.items() if files}


def test_cells_that_changed_after_grading_are_refused_and_the_release_stays(
    course: Course, release: NotebookNode, capfd: pytest.CaptureFixture[str]
) -> None:
    with ledger(course) as book:
        book.record(judged(release, "al", right()))
    solution = nbformat.read(course.solution(UNIT), as_version=4)
    del solution.cells[place(solution, check_cell(first()))]
    nbformat.write(solution, course.solution(UNIT))
    before = course.assignment(UNIT).read_bytes()
    with pytest.raises(GradebookError, match=r"submissions associated with it.*move .*gradebook.db away"):
        generate_assignment(course, UNIT)
    assert course.assignment(UNIT).read_bytes() == before
    assert gradebook(course) == {"al": full()}
    assert capfd.readouterr() == ("", "")


def test_without_a_solution_or_a_release_the_way_is_told(course: Course) -> None:
    course.solution(UNIT).unlink()
    with pytest.raises(CourseError, match="coursekit build"):
        generate_assignment(course, UNIT)
    for damage in ("", "{"):
        course.assignment(UNIT).write_text(damage)
        with pytest.raises(CourseError, match="coursekit release 01"):
            read_release(course, UNIT)
    shutil.rmtree(course.assignments)
    with pytest.raises(CourseError, match="coursekit release 01"):
        Ledger(course, UNIT)


# A gradebook in trouble.


def test_another_courses_gradebook_is_left_alone(course: Course) -> None:
    course.gradebook.unlink()
    with Gradebook(f"sqlite:///{course.gradebook}", "biology") as book:
        book.add_assignment("leaves")
    with pytest.raises(GradebookError, match=r"belongs to another course .*'leaves'.*Move it away"):
        Ledger(course, UNIT)
    with Gradebook(f"sqlite:///{course.gradebook}", "biology") as book:
        assert [a.name for a in book.assignments] == ["leaves"]


def test_what_is_no_database_is_told_in_one_line(course: Course) -> None:
    course.gradebook.write_bytes(b"no database at all " * 100)
    with pytest.raises(GradebookError, match=r"cannot be opened \(file is not a database\)") as raised:
        Ledger(course, UNIT)
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_not_there_is_told(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_url", lambda course: f"sqlite:///{tmp_path}/absent/gradebook.db")
    with pytest.raises(GradebookError, match="unable to open database file"):
        Ledger(course, UNIT)


def test_an_older_gradebook_is_told(course: Course) -> None:
    connection = sqlite3.connect(course.gradebook)
    connection.execute("alter table assignment drop column duedate")
    connection.close()
    with pytest.raises(GradebookError, match="no such column"):
        Ledger(course, UNIT)


def test_a_read_only_gradebook_is_told_and_unchanged(
    course: Course, release: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger(course) as book:
        book.record(judged(release, "al", right()))
    monkeypatch.setattr(host, "_url", lambda course: f"sqlite:///file:{course.gradebook}?mode=ro&uri=true")
    with ledger(course) as book:
        for name in ("al", "bea"):
            with pytest.raises(GradebookError, match=f"'{name}' could not be written.*readonly database") as raised:
                book.record(judged(release, name, {}))
            assert "\n" not in str(raised.value)
    assert gradebook(course) == {"al": full()}


@pytest.mark.slow
def test_a_locked_gradebook_costs_the_grades_of_that_time_only(
    course: Course, release: NotebookNode, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite waits five seconds for somebody else's transaction."""
    with ledger(course) as book:
        book.record(judged(release, "al", right()))
        other = sqlite3.connect(course.gradebook, isolation_level=None)
        other.execute("begin immediate")
        with pytest.raises(GradebookError, match=r"'bea' could not be written, they are unchanged.*database is locked"):
            book.record(judged(release, "bea", right()))
        assert caplog.records == []  # nbgrader would put a page of traceback on the terminal
        other.execute("rollback")
        other.close()
        book.record(judged(release, "cy", right()))
        book.record(judged(release, "bea", {}))
    assert gradebook(course) == {"al": full(), "bea": none(why=None), "cy": full()}
