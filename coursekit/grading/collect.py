"""What was handed in, in the layouts that it comes in."""

from __future__ import annotations

import difflib
from pathlib import Path

from coursekit.course import Course, Unit, unit
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
    ``STUDENT/ASSIGNMENT/ASSIGNMENT.ipynb``. A folder without its notebook is a submission too: it gets its zeros.
    """
    if place.is_file():
        return [_alone(place)]
    if not place.is_dir():
        raise CourseError(f"nothing to grade at {place}: expected a notebook, or a folder with submissions.")
    try:
        entries = sorted(place.iterdir())
    except OSError as error:
        raise CourseError(f"{place}: cannot be listed ({error.strerror}). Check its permissions.") from error
    found = [submission for entry in entries if (submission := _submission(entry, of)) is not None]
    if not found:
        raise CourseError(
            f"no submission in {place}: expected STUDENT/{of.name}/{of.name}.ipynb (nbgrader's layout) or STUDENT.ipynb."
        )
    return found


def _submission(entry: Path, of: Unit) -> Submission | None:
    if entry.name.startswith("."):
        return None
    if entry.is_file():
        return _alone(entry) if entry.suffix == ".ipynb" else None
    folder = entry / of.name
    try:
        if not folder.is_dir() and any(p.is_dir() and p.name in _other_units(of) for p in entry.iterdir()):
            return None  # handed in another assignment only
        stamp = folder / "timestamp.txt"
        timestamp = stamp.read_text().strip() if stamp.is_file() else None
    except OSError:
        timestamp = None
    return Submission(entry.name, folder / f"{of.name}.ipynb", folder, timestamp)


def _other_units(of: Unit) -> set[str]:
    from coursekit.course import UNITS

    return {u.name for u in UNITS if u != of}


def _alone(path: Path) -> Submission:
    """A notebook on its own brings no other files: its neighbours are other students' work."""
    return Submission(path.stem, path, None)
