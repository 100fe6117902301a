"""Grading speed: `coursekit grade` against `nbgrader autograde` plus `generate_feedback`, on the same submissions.

Paired, in one run, one after the other, on the machine at hand::

    python benchmarks/grading.py --json

- ``ratio``: wall seconds of nbgrader's two commands over those of ours, start-up of both included.
- ``overhead_ms``: CPU milliseconds a submission that are neither the student's cells nor the probes. Start-up is taken
  out of it by grading the class and a class of twice the size: it is the slope between the two.
- ``limit_ratio``: wall seconds from the first submission to the last recorded result, over the CPU seconds of cells and
  probes divided by the cores. ``limit_ratio_with_start_up`` has the whole command in the numerator.
- ``split``: wall seconds of our command by phase. Judging, recording and feedback overlap with running.
- ``same_scores``: whether all three doors (stock nbgrader, nbgrader with the kit's engine, `coursekit grade`) gave every
  submission the same score in every check cell.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from coursekit.course import Course, unit
from coursekit.demo import fresh_course
from coursekit.grading.classroom import Student, make_class
from coursekit.grading.host import read_release
from coursekit.grading.release import release

OF = unit("01")
SUBMISSIONS = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    args = parser.parse_args()
    source = Course.find(Path(__file__).parent)
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(source, Path(scratch))
    print(json.dumps(report) if args.json else as_text(report))
    return 0


def measure(source: Course, scratch: Path) -> dict[str, Any]:
    course = fresh_course(source, scratch / "ours")
    release(course, [OF])
    students = pick(make_class(OF, read_release(course, OF), hostile=False))
    twins = [replace(student, name=f"{student.name}-twin") for student in students]
    for student in students:
        student.hand_in(course.submitted, OF)
    theirs = Course(scratch / "theirs")
    shutil.copytree(course.root, theirs.root, symlinks=True)
    plugged = Course(scratch / "plugged")
    shutil.copytree(course.root, plugged.root, symlinks=True)
    double = Course(scratch / "double")
    shutil.copytree(course.root, double.root, symlinks=True)
    for twin in twins:
        twin.hand_in(double.submitted, OF)

    ours = grade(course)
    nbgrader = run_nbgrader(theirs, engine="stock")
    engine = run_nbgrader(plugged, engine="")
    larger = grade(double)
    cores = os.cpu_count() or 1
    n = len(students)
    timing = ours["timing"]
    slope = (larger["cpu"] - ours["cpu"]) - (larger["timing"]["cells_cpu"] - timing["cells_cpu"])
    limit = timing["cells_cpu"] / cores
    return {
        "submissions": n,
        "cores": cores,
        "ratio": round(nbgrader["wall"] / ours["wall"], 2),
        "overhead_ms": round(1000 * slope / n, 1),
        "limit_ratio": round(timing["run_wall"] / limit, 2),
        "limit_ratio_with_start_up": round(ours["wall"] / limit, 2),
        "seconds": {
            "ours": round(ours["wall"], 2),
            "nbgrader": round(nbgrader["wall"], 2),
            "nbgrader_autograde": round(nbgrader["autograde"], 2),
            "nbgrader_generate_feedback": round(nbgrader["feedback"], 2),
            "nbgrader_with_our_engine": round(engine["wall"], 2),
            "cells_and_probes_cpu": round(timing["cells_cpu"], 2),
        },
        "split": {
            "start-up": round(ours["wall"] - timing["run_wall"], 2),
            "run": round(timing["run_wall"], 2),
            "judge": round(timing["judge"], 2),
            "record": round(timing["record"], 2),
            "feedback": round(timing["feedback"], 2),
        },
        "same_scores": ours["scores"] == nbgrader["scores"] == engine["scores"],
    }


def pick(students: list[Student]) -> list[Student]:
    """Twelve of the kinds that a class is made of, notebooks that stock nbgrader can grade."""
    kinds = [s for s in students if s.name.startswith(("perfect", "blank", "alternative", "mistake"))]
    return kinds[:SUBMISSIONS]


def grade(course: Course) -> dict[str, Any]:
    """`coursekit grade` in a process of its own; its wall and CPU seconds, its phases, the scores."""
    script = (
        "import json, sys; from dataclasses import asdict; from pathlib import Path\n"
        "from coursekit.course import Course, unit; from coursekit.grading.batch import grade\n"
        "from coursekit.grading.collect import collect\n"
        f"course, of = Course(Path({str(course.root)!r})), unit({OF.number!r})\n"
        "batch = grade(collect(course.submitted, of), of, course, jobs=2)\n"
        "assert not batch.failures, batch.failures\n"
        "print(json.dumps([asdict(batch.timing), {r.student: r.scores() for r in batch.results}]))\n"
    )
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    timing, scores = json.loads(out.strip().splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "timing": timing, "scores": scores}


def run_nbgrader(course: Course, engine: str) -> dict[str, Any]:
    """nbgrader's two commands, as an instructor types them; `engine` as in nbgrader_config.py."""
    environment = {
        **os.environ,
        "COURSEKIT_ENGINE": engine,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    seconds = []
    for command in (["autograde", OF.name], ["generate_feedback", OF.name]):
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "nbgrader", *command], check=True, cwd=course.root, env=environment, capture_output=True
        )
        seconds.append(time.perf_counter() - begun)
    return {"wall": sum(seconds), "autograde": seconds[0], "feedback": seconds[1], "scores": scores(course)}


def scores(course: Course) -> dict[str, dict[str, float]]:
    """What nbgrader wrote, for the automatically graded cells."""
    import contextlib

    from coursekit.grading.host import Ledger

    with contextlib.closing(Ledger(course, OF)) as ledger:
        return {
            folder.name: {k: auto for k, (auto, _) in ledger.scores(folder.name).items() if k.startswith("check-")}
            for folder in sorted(course.submitted.iterdir())
        }


def as_text(report: dict[str, Any]) -> str:
    s = report["seconds"]
    return "\n".join(
        [
            f"{report['submissions']} submissions of unit {OF.number} on {report['cores']} cores",
            f"coursekit grade       {s['ours']:7.2f} s  {report['split']}",
            f"nbgrader, two commands {s['nbgrader']:6.2f} s",
            f"ratio {report['ratio']}, overhead {report['overhead_ms']} ms a submission, {report['limit_ratio']} times the limit "
            f"({report['limit_ratio_with_start_up']} with start-up); same scores: {report['same_scores']}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
