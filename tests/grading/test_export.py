"""What leaves for a learning platform: manual grades and late penalties in it, nothing that a spreadsheet computes."""

from __future__ import annotations

import contextlib
import csv
import datetime
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from room import UNIT, first, judged, nbgrader, right

from coursekit.cli import main
from coursekit.course import Course
from coursekit.errors import CourseError
from coursekit.grading.assess import check_cell
from coursekit.grading.export import export, with_roster
from coursekit.grading.host import Ledger, register, students
from coursekit.grading.penalties import Standing
from coursekit.grading.roster import Person, Roster, read_roster

DUE = "2026-03-01 12:00:00 UTC"
PLUGIN = """
from nbgrader.plugins import BasePlugin
class PointADay(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return {"negative": -5.0, "huge": 1e9, "free": None}.get(student_id, total_seconds_late / 86400)
"""


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def opened(course: Course) -> Any:
    from nbgrader.api import Gradebook

    return contextlib.closing(Gradebook(f"sqlite:///{course.gradebook}"))


def set_due(course: Course) -> None:
    with opened(course) as gradebook:
        gradebook.update_or_create_assignment(UNIT.name, duedate=DUE, course_id="coursekit")


def give(course: Course, student: str, points: float) -> None:
    """A person's points, entered as formgrader does."""
    with opened(course) as gradebook:
        grade = gradebook.find_grade("why", UNIT.name, UNIT.name, student)
        grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.db.commit()


def record(course: Course, release: NotebookNode, *handed_in: tuple[str, str | None]) -> float:
    """Grade right answers, handed in at these times; return what each is worth."""
    with contextlib.closing(Ledger(course, UNIT)) as ledger:
        for student, time in handed_in:
            result = replace(judged(release, student, right()), timestamp=time)
            ledger.record(result)
    return result.earned


def standings(course: Course) -> dict[str, Standing]:
    with contextlib.closing(Ledger(course, UNIT)) as ledger:
        return {s.person.id: s for s in ledger.standings()}


def test_a_penalty_for_being_late_reaches_every_export(
    course: Course, release: NotebookNode, capsys: pytest.CaptureFixture[str]
) -> None:
    """nbgrader's plugin, set up in nbgrader's configuration; the due date is nbgrader's, the time that of timestamp.txt."""
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + '\nc.AssignLatePenalties.plugin_class = "pointaday.PointADay"\n')
    (course.root / "pointaday.py").write_text(PLUGIN)
    record(course, release, ("al", None))  # the assignment must be there to be due
    set_due(course)
    times = [("early", "2026-03-01 11:59:59 UTC"), ("late", "2026-03-03 12:00:00 UTC"), ("none", None)]
    times += [(odd, "2026-03-02 12:00:00 UTC") for odd in ("negative", "huge", "free")]
    earned = record(course, release, *times)
    give(course, "late", 1.5)

    expected = {"early": (0.0, earned), "none": (0.0, earned), "late": (2.0, earned + 1.5 - 2.0)}
    expected |= {"negative": (0.0, earned), "huge": (earned, 0.0), "free": (0.0, earned)}
    found = standings(course)
    for student, (penalty, score) in expected.items():
        assert (found[student].penalty, found[student].score) == (penalty, score), student
    assert found["late"].seconds_late == 2 * 86400 and not found["late"].waiting and found["early"].waiting

    capsys.readouterr()
    for form, key, field in (
        ("csv", "student_id", "score"),
        ("canvas", "SIS Login ID", UNIT.name),
        ("moodle", "ID number", "Grade"),
    ):
        assert main(["--course", str(course.root), "export", "--format", form]) == 0
        told = {row[key]: row[field] for row in rows(capsys.readouterr().out)}
        assert {student: float(told[student]) for student in expected} == {
            s: score for s, (_, score) in expected.items()
        }
    nbgrader(course, "export", "--to", "theirs.csv")
    theirs = {row["student_id"]: row for row in rows((course.root / "theirs.csv").read_text())}
    assert float(theirs["late"]["late_submission_penalty"]) == 2.0
    assert {student: float(theirs[student]["score"]) for student in expected} == {
        s: score for s, (_, score) in expected.items()
    }


def test_the_stock_plugin_and_a_penalty_that_is_lifted(course: Course, release: NotebookNode) -> None:
    config = course.root / "nbgrader_config.py"
    before = config.read_text()
    config.write_text(before + '\nc.LateSubmissionPlugin.penalty_method = "zero"\n')
    late = ("al", "2026-03-03 12:00:00 UTC")
    record(course, release, late)
    set_due(course)
    earned = record(course, release, late)
    assert (standings(course)["al"].penalty, standings(course)["al"].score) == (earned, 0.0)
    give(course, "al", 2.0)
    assert standings(course)["al"].score == 0.0  # points given afterwards are late as well
    config.write_text(before)
    assert (standings(course)["al"].penalty, standings(course)["al"].score) == (0.0, earned + 2.0)


def test_a_broken_configuration_is_told_before_anything_is_graded(course: Course, release: NotebookNode) -> None:
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + '\nc.AssignLatePenalties.plugin_class = "no.such.Plugin"\n')
    with pytest.raises(CourseError, match=r"nbgrader_config\.py: .*no"):
        record(course, release, ("al", None))


def test_round_trips(course: Course, release: NotebookNode, tmp_path: Path) -> None:
    """What is exported for a platform names the same people with the same points when it is read again."""
    people = [
        Person("joneil", "José", "O'Neil", "jose@example.org", "501", "joneil", "Lab A"),
        Person("evil", "=1+1", "@SUM(A1)", "+x@example.org", "502", "evil", "-1"),
        Person("gone", "Has", "Left", "gone@example.org", "503", "gone", "Lab B"),
    ]
    register(course, people)
    earned = record(course, release, ("joneil", None), ("evil", None))
    give(course, "evil", 0.5)
    with contextlib.closing(Ledger(course, UNIT)) as ledger:
        found, maximum = with_roster(ledger.standings(), Roster(people)), ledger.maximum()
    scores = {"501": earned, "502": earned + 0.5, "503": None}

    canvas = export(found, maximum, UNIT, form="canvas", column="Recurrent networks (77)")
    (tmp_path / "canvas.csv").write_text(canvas, encoding="utf-8")
    again = read_roster(tmp_path / "canvas.csv").people
    assert {p.id: (p.first_name, p.last_name, p.lms_id, p.section) for p in again.values()} == {
        p.id: (p.first_name, p.last_name, p.lms_id, p.section) for p in people
    }
    possible, *told = rows(canvas)
    assert possible["Student"].strip() == "Points Possible"
    assert float(possible["Recurrent networks (77)"]) == sum(maximum.values())
    assert {r["ID"]: float(v) if (v := r["Recurrent networks (77)"]) else None for r in told} == scores

    moodle = export(found, maximum, UNIT, form="moodle")
    (tmp_path / "moodle.csv").write_text(moodle, encoding="utf-8")
    again = read_roster(tmp_path / "moodle.csv").people
    assert {p.id: (p.email, p.lms_id) for p in again.values()} == {p.id: (p.email, p.lms_id) for p in people}
    assert {r["Identifier"]: float(r["Grade"]) if r["Grade"] else None for r in rows(moodle)} == {
        f"Participant {n}": score for n, score in scores.items()
    }
    for text in (canvas, moodle, export(found, maximum, UNIT)):
        for row in csv.reader(io.StringIO(text, newline="")):
            assert not [field for field in row if field.lstrip()[:1] in ("=", "+", "-", "@")]

    plain = {row["student_id"]: row for row in rows(export(found, maximum, UNIT))}
    assert float(plain["evil"]["why"]) == 0.5 and plain["joneil"]["why"] == "0"
    assert plain["joneil"]["needs_manual_grade"] == "yes" and plain["evil"]["needs_manual_grade"] == "no"
    assert plain["gone"]["score"] == plain["gone"][check_cell(first())] == ""
    assert {s.person.id for s in found} == {p.id for p in students(course)} == {"joneil", "evil", "gone"}


def test_whoever_is_known_stays_known(course: Course) -> None:
    register(course, [Person("al", "Al", "Jones", "al@example.org", "1")])
    register(course, [Person("al", lms_id="2")])
    assert students(course) == [Person("al", "Al", "Jones", "al@example.org", "2")]


def test_a_format_that_is_none() -> None:
    with pytest.raises(CourseError, match="unknown format 'xls'"):
        export([], {}, UNIT, form="xls")


def test_to_a_file(course: Course, release: NotebookNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(course, release, ("al", None))
    (tmp_path / "r.csv").write_text("id,first_name,last_name\nal,Al,Jones\n")
    words = ["export", "--to", str(tmp_path / "s.csv"), "--roster", str(tmp_path / "r.csv")]
    assert main(["--course", str(course.root), *words]) == 0
    assert capsys.readouterr().out.endswith("s.csv: 1 students, 1 with answers to grade by hand\n")
    [row] = rows((tmp_path / "s.csv").read_bytes().decode())
    assert row["last_name"] == "Jones"


def test_a_due_date_is_a_time(course: Course, release: NotebookNode) -> None:
    """What `set_due` relies on: nbgrader keeps it through a release of the same assignment."""
    from coursekit.grading.host import generate_assignment

    record(course, release, ("al", None))
    set_due(course)
    generate_assignment(course, UNIT)
    with opened(course) as gradebook:
        assert gradebook.find_assignment(UNIT.name).duedate == datetime.datetime(2026, 3, 1, 12)
