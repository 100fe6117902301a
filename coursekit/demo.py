"""The kit's main job, shown on a class of made-up students: ``make demo``.

Builds the release, makes submissions of every kind from the exercises' catalogues, grades them, and compares the
score that each must get with the one that arrived in nbgrader's gradebook. Right, wrong and empty answers to every exercise of
every unit; notebooks that met with an accident or attack the grader in the first unit, since they are the same in all.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import time
from pathlib import Path

from coursekit.course import Course, Unit
from coursekit.errors import CoursekitError
from coursekit.exercises import catalogue
from coursekit.grading.batch import Batch, grade
from coursekit.grading.classroom import Student, make_class
from coursekit.grading.collect import collect
from coursekit.grading.host import Ledger, read_release
from coursekit.grading.release import release
from coursekit.grading.report import feedback_path, line, report_path
from coursekit.grading.results import Limits
from coursekit.training.progress import track

LIMITS = Limits(cell_seconds=4.0, wall_seconds=60.0, memory_bytes=1 << 30)
"""Tight, so that the endless loop and the memory bomb end soon."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Grade a class of made-up students.")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trust-submissions", action="store_true")
    args = parser.parse_args()
    try:
        return run(Course.find(), jobs=args.jobs, trust=args.trust_submissions)
    except CoursekitError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2


def run(source: Course, *, jobs: int, trust: bool) -> int:
    """Play the demo in ``demo/``; return the exit code."""
    begun = time.monotonic()
    course = fresh_course(source, source.root / "demo")
    failures = 0
    units = catalogue.units()
    print(f"releasing {len(units)} units", flush=True)
    release(course, units, on_written=lambda path: print(f"  wrote {path.relative_to(source.root)}", flush=True))
    for of in units:
        print(f"== {of.title}: class, grading", flush=True)
        students = make_class(of, read_release(course, of), damaged=of is units[0], hostile=of is units[0])
        for student in track(students, "handing in"):
            student.hand_in(course.submitted, of)
        submissions = collect(course.submitted, of)
        print(f"grading {len(submissions)} submissions, {jobs} at a time")
        batch = grade(
            submissions,
            of,
            course,
            jobs=jobs,
            limits=LIMITS,
            trust=trust,
            on_result=lambda r: print(line(r), flush=True),
        )
        failures += compare(course, of, students, batch)
        print(f"class report    {report_path(course, of).relative_to(source.root)}")
        print(f"a feedback page {feedback_path(course, 'mistake-1', of).relative_to(source.root)}")
    print(f"{time.monotonic() - begun:.0f} s in all")
    return 1 if failures else 0


def fresh_course(source: Course, place: Path) -> Course:
    """A course folder of its own beside the real one, so that no real grade is touched."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    shutil.copy(source.root / "nbgrader_config.py", place)
    shutil.copytree(source.solutions, place / "solutions")
    for name in ("coursekit", "pyproject.toml", "coursekit_torchvision.pth", "LICENSE", "constraints.txt"):
        (place / name).symlink_to(source.root / name)
    return Course(place)


def compare(course: Course, of: Unit, students: list[Student], batch: Batch) -> int:
    """Print expected against given, as the gradebook has it; return how many differ."""
    wrong = 0
    statuses = {result.student: result.status for result in batch.results}
    print(f"{'student':20s} {'expected':>8s} {'given':>8s}     {'status':14s} what it is")
    with contextlib.closing(Ledger(course, of)) as ledger:
        for student in students:
            automatic = {name: auto for name, (auto, _) in ledger.scores(student.name).items()}
            given = {name: automatic.get(f"check-{name.partition('.')[2]}") for name in student.expected}
            equal = given == dict(student.expected)
            wrong += not equal
            total = sum(score or 0.0 for score in given.values())
            mark = "   " if equal else "!!!"
            status = statuses.get(student.name, "no result")
            print(f"{student.name:20s} {student.points:8g} {total:8g} {mark} {status:14s} {student.about}")
            if not equal:
                print(f"    differ: { {n: (e, given[n]) for n, e in student.expected.items() if given[n] != e} }")
    wrong += len(batch.failures)
    print(f"{len(students)} students, {'every score as expected' if not wrong else f'{wrong} NOT as expected'}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
