"""Scores as CSV, for a learning platform or a spreadsheet, from the gradebook as it stands: manual grades and penalties count.

Names come from students. A field that a spreadsheet would take for a formula gets an apostrophe before it, as OWASP's
"CSV Injection" advises, and `read_roster` takes it off again. A platform that imports the file does not: it finds the student by
the number beside the name.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace

from coursekit.course import Unit
from coursekit.errors import CourseError
from coursekit.grading.penalties import Standing
from coursekit.grading.roster import Person, Roster

Row = Sequence[str]


def plain(text: str) -> str:
    """A field that no spreadsheet computes."""
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] in ("\t", "\r") else text


def as_canvas(standings: Sequence[Standing], maximum: dict[str, float], of: Unit, column: str) -> list[Row]:
    """Canvas's gradebook import: identity columns, the assignment's, and a second line with the points possible.

    `column` is "Name (id)" for an assignment that Canvas has; a name without its id makes Canvas offer a new one. A student
    without a submission gets an empty field, which Canvas leaves alone. (Canvas Instructor Guide, "How do I import grades in the
    Gradebook?"; Canvas LMS, lib/gradebook_importer.rb: Student, ID, SIS User ID, SIS Login ID, Section.)
    """
    identity = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    rows: list[Row] = [
        [*identity, plain(column or of.name)],
        ["    Points Possible", "", "", "", "", _number(sum(maximum.values()))],
    ]
    for s in standings:
        p = s.person
        names = [p.sortable_name or p.id, p.lms_id, "", p.login or p.id, p.section]
        rows.append([*map(plain, names), _score(s)])
    return rows


def as_moodle(standings: Sequence[Standing], maximum: dict[str, float], of: Unit, column: str) -> list[Row]:
    """Moodle's grading worksheet ("Upload grading worksheet"), which Grades > Import > CSV file reads as well, by email.

    (Moodle, mod/assign/feedback/offline/importgradeslib.php, which looks for "Identifier" and "Grade"; grade/import/csv.)
    """
    rows: list[Row] = [
        ["Identifier", "Full name", "ID number", "Email address", "Grade", "Maximum grade", "Feedback comments"]
    ]
    for s in standings:
        p = s.person
        number = f"Participant {p.lms_id}" if p.lms_id else ""
        said = f"late: {_number(s.penalty)} points taken off" if s.penalty else ""
        names = [number, p.full_name or p.id, p.id, p.email]
        rows.append([*map(plain, names), _score(s), _number(sum(maximum.values())), said])
    return rows


def as_plain(standings: Sequence[Standing], maximum: dict[str, float], of: Unit, column: str) -> list[Row]:
    """Everything: a column for each graded cell, what was taken off for being late, and whether a person has yet to grade."""
    identity = ["student_id", "last_name", "first_name", "email"]
    rows: list[Row] = [
        [*identity, *maximum, "raw_score", "late_seconds", "late_penalty", "score", "max_score", "needs_manual_grade"]
    ]
    for s in standings:
        p, points = s.person, s.points
        cells = [_number(points[name]) if points is not None and name in points else "" for name in maximum]
        raw = "" if points is None else _number(sum(points.values()))
        late = [f"{s.seconds_late:.0f}", _number(s.penalty)] if points is not None else ["", ""]
        total = _number(sum(maximum.values()))
        names = map(plain, (p.id, p.last_name, p.first_name, p.email))
        rows.append([*names, *cells, raw, *late, _score(s), total, "yes" if s.waiting else "no"])
    return rows


FORMATS: dict[str, Callable[[Sequence[Standing], dict[str, float], Unit, str], list[Row]]] = {
    "csv": as_plain,
    "canvas": as_canvas,
    "moodle": as_moodle,
}


def with_roster(standings: Sequence[Standing], roster: Roster) -> list[Standing]:
    """The standings in the roster's words: names, numbers and sections that only the platform knows."""
    return [
        replace(s, person=_merged(s.person, roster.find(id=s.person.id, lms_id=s.person.lms_id))) for s in standings
    ]


def _merged(mine: Person, theirs: Person | None) -> Person:
    if theirs is None:
        return mine
    told = {name: value for name, value in vars(theirs).items() if value}
    return replace(mine, **(told | {"id": mine.id}))


def as_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def export(
    standings: Sequence[Standing], maximum: dict[str, float], of: Unit, *, form: str = "csv", column: str = ""
) -> str:
    """The scores of an assignment as CSV in one of `FORMATS`."""
    if form not in FORMATS:
        raise CourseError(f"unknown format {form!r}, expected one of {', '.join(FORMATS)}.")
    return as_csv(FORMATS[form](sorted(standings, key=lambda s: s.person.id), maximum, of, column))


def _score(standing: Standing) -> str:
    return "" if standing.score is None else _number(standing.score)


def _number(value: float) -> str:
    """Two decimals at most: platforms show no more, and 0.1 + 0.2 is not worth seeing."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
