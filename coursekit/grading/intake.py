"""The course's door for submissions: whatever was downloaded, matched with who is known, into ``submitted/``."""

from __future__ import annotations

from pathlib import Path

from coursekit.course import Course, Unit
from coursekit.grading.assess import Submission
from coursekit.grading.collect import collect
from coursekit.grading.gather import Gathered, gather, is_plain
from coursekit.grading.roster import Roster, read_roster


def take_in(
    course: Course,
    of: Unit,
    source: Path,
    *,
    layout: str = "auto",
    roster: Path | None = None,
    into: Path | None = None,
) -> Gathered:
    """`gather`, with the roster's names or, without one, those in nbgrader's students table, which learns the new ones.

    With a roster, whoever is not in it is listed and left out.
    """
    from coursekit.grading.host import register, students

    known = read_roster(roster) if roster is not None else Roster(students(course))
    done = gather(source, of, into or course.submitted, layout=layout, roster=known, closed=roster is not None)
    register(course, known.people.values() if roster is not None else done.people.values())
    return done


def submissions(
    course: Course, of: Unit, source: Path | None, *, layout: str = "auto", roster: Path | None = None
) -> tuple[list[Submission], Gathered | None]:
    """What to grade at `source` (default: all that was collected). A download is collected first, and then graded alone."""
    if source is None or not source.exists() or (roster is None and is_plain(source, layout, of)):
        return collect(source or course.submitted, of), None
    done = take_in(course, of, source, layout=layout, roster=roster)
    return [s for student in sorted(done.people) for s in collect(course.submitted / student / of.name, of)], done
