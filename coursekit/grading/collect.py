"""What was handed in, where nbgrader keeps it, or in a folder of notebooks. (From elsewhere: see `gather`.)"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import os
from dataclasses import replace
from pathlib import Path

from coursekit.course import UNITS, Course, Unit, unit
from coursekit.errors import CourseError
from coursekit.grading.assess import Submission


def find_unit(course: Course, name: str | None) -> Unit:
    """The unit to grade: the named one, or the only one that has been released."""
    released = {p.parent.name for p in course.assignments.glob("*/*.ipynb") if p.stem == p.parent.name}
    if name is None:
        if len(released) == 1:
            return unit(released.pop())
        raise CourseError(f"which assignment? Got none, expected --assignment with one of {sorted(released)}.")
    try:
        of = unit(name)
    except CourseError:
        of = None
    if of is None or of.name not in released:
        close = difflib.get_close_matches(name, sorted(released), n=1, cutoff=0.3)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise CourseError(f"unknown assignment {name!r}, expected one of {sorted(released)}.{hint}")
    return of


def collect(place: Path, of: Unit) -> list[Submission]:
    """The submissions at `place`, sorted by student.

    Three layouts: one notebook (its name is the student's); a folder of notebooks, one for each student; nbgrader's
    ``STUDENT/ASSIGNMENT/ASSIGNMENT.ipynb``, or one such student's part of it. A folder without its notebook is a
    submission too: it gets its zeros.
    """
    if not os.path.exists(place):
        raise CourseError(f"nothing to grade at {place}: expected a notebook, or a folder with submissions.")
    student = _student(place.absolute(), of)
    if student is not None:
        return [_handed_in(student, of)]
    if place.is_file():
        return [_alone(place)]
    try:
        entries = sorted(place.iterdir())
    except OSError as error:
        raise CourseError(f"{place}: cannot be listed ({error.strerror}). Check its permissions.") from error
    found = [submission for entry in entries if (submission := _submission(entry, of)) is not None]
    if not found:
        raise CourseError(
            f"no submission in {place}: expected STUDENT/{of.name}/{of.name}.ipynb (nbgrader's layout) or STUDENT.ipynb."
        )
    return _distinct(found)


def _distinct(found: list[Submission]) -> list[Submission]:
    """No two students of one name: `_name` may make two names equal, and one grade would then take the other's place."""
    taken = {submission.student for submission in found}
    seen: set[str] = set()
    for place, submission in enumerate(found):
        name = submission.student
        if name in seen:
            name = next(fresh for n in itertools.count(2) if (fresh := f"{submission.student}-{n}") not in taken)
            found[place] = replace(submission, student=name)
        taken.add(name)
        seen.add(name)
    return found


# os.path asks without raising where a student's folder cannot be entered; reading the notebook will tell.


def _student(place: Path, of: Unit) -> Path | None:
    """The student's folder of nbgrader's layout, if `place` is that folder or lies in it."""
    if place.name == f"{of.name}.ipynb" and place.parent.name == of.name:
        return place.parent.parent
    if place.name == of.name:
        return place.parent
    return place if os.path.isdir(place / of.name) else None


def _submission(entry: Path, of: Unit) -> Submission | None:
    if entry.name.startswith("."):
        return None
    if os.path.isfile(entry):
        return _alone(entry) if entry.suffix == ".ipynb" else None
    with contextlib.suppress(OSError):
        if not os.path.isdir(entry / of.name) and _other_units(of) & set(os.listdir(entry)):
            return None  # handed in another assignment only
    return _handed_in(entry, of)


def _handed_in(student: Path, of: Unit) -> Submission:
    folder = student / of.name
    for place in (student, folder):
        if os.path.islink(place):  # it may lead to somebody else's work
            return Submission(_name(student.name), place)
    timestamp = None
    with contextlib.suppress(OSError):
        stamp = folder / "timestamp.txt"
        if stamp.is_file():
            with stamp.open(encoding="utf-8", errors="replace") as file:
                timestamp = file.read(100).strip()
    return Submission(_name(student.name), folder / f"{of.name}.ipynb", folder, timestamp)


def _other_units(of: Unit) -> set[str]:
    return {u.name for u in UNITS if u != of}


def _alone(path: Path) -> Submission:
    """A notebook on its own brings no other files: its neighbours are other students' work."""
    return Submission(_name(path.stem), path)


def _name(text: str) -> str:
    """A file's name as text that can be printed, stored, and shown by nbgrader's pages, which escape nothing."""
    known = os.fsencode(text).decode("utf-8", "replace")
    return "".join(c if c.isprintable() and c not in '<>"' else "-" for c in known)
