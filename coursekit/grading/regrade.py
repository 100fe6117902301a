"""Grading again: whom, which exercises, and what it changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coursekit.checks.score import points
from coursekit.course import Course, Unit
from coursekit.errors import CourseError
from coursekit.exercises import catalogue
from coursekit.files import replace
from coursekit.grading.assess import Submission, SubmissionResult, check_cell
from coursekit.grading.clean import one_line
from coursekit.grading.export import as_csv, plain

if TYPE_CHECKING:
    from coursekit.grading.host import Grades

_MOST_LINES = 20


@dataclass(frozen=True)
class Change:
    """An automatic score that grading again has changed."""

    student: str
    exercise: str
    before: float
    after: float
    manual: float | None = None
    """A person's score for the same cell. It stays, and it is what counts."""


def choose_students(submissions: Sequence[Submission], names: Iterable[str]) -> list[Submission]:
    """The submissions of these students (of all where none is named)."""
    by_name = {submission.student: submission for submission in submissions}
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in by_name:
            raise CourseError(f"no submission of {name!r} among {len(by_name)}.{_meant(name, by_name)}")
    return [by_name[name] for name in names] if names else list(submissions)


def choose_exercises(of: Unit, names: Iterable[str]) -> frozenset[str] | None:
    """Ids of the exercises with these ids, names or check cells; None (all) where none is named."""
    names = list(names)
    if not names:
        return None
    ids = {identifier: identifier for identifier in catalogue.keys(of)}
    known = {**{i.partition(".")[2]: i for i in ids}, **{check_cell(i): i for i in ids}, **ids}
    by_hand = {q.name for q in catalogue.manual_questions(of)}
    chosen = set()
    for name in names:
        if name in by_hand:
            raise CourseError(f"exercise {name!r} is graded by a person, in nbgrader's formgrader.")
        if name not in known:
            raise CourseError(f"unknown exercise {name!r} of {of.name}.{_meant(name, known)}")
        chosen.add(known[name])
    return frozenset(chosen)


def changes(result: SubmissionResult, was: Mapping[str, float], held: Mapping[str, Grades]) -> list[Change]:
    """What a result changed. `was`: automatic scores before, by check cell; `held`: all that the gradebook had."""
    found = []
    for identifier, verdict in result.verdicts.items():
        cell = check_cell(identifier)
        if cell in was:
            manual = held[cell].manual if cell in held else None
            found.append(Change(result.student, identifier, was[cell], verdict.earned, manual))
    return found


def as_text(found: Sequence[Change]) -> str:
    """For a terminal: before -> after, by student and exercise."""
    students = len({change.student for change in found})
    lines = [f"changed: {len(found)} scores of {students} students"]
    for change in found[:_MOST_LINES]:
        stays = "" if change.manual is None else f"  (a person gave {points(change.manual)}, which stays)"
        lines.append(
            f"  {one_line(change.student):24s} {change.exercise:28s} {points(change.before):>5s} -> {points(change.after)}{stays}"
        )
    if len(found) > _MOST_LINES:
        lines.append(f"  and {len(found) - _MOST_LINES} more")
    return "\n".join(lines)


def path(course: Course, of: Unit) -> Path:
    """Where the changes of the last run on a unit stand."""
    return course.reports / of.name / "changes.csv"


def write(course: Course, of: Unit, found: Sequence[Change]) -> Path:
    """The changes as CSV."""
    rows = [["student", "exercise", "before", "after", "given by a person"]]
    for c in found:
        manual = "" if c.manual is None else f"{c.manual:g}"
        rows.append([plain(c.student), c.exercise, f"{c.before:g}", f"{c.after:g}", manual])
    replace(path(course, of), as_csv(rows))
    return path(course, of)


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
