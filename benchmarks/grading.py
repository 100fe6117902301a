"""Grading speed: `coursekit grade` against `nbgrader autograde` plus `generate_feedback`, on the same submissions.

Paired, in one run, one after the other, on the machine at hand::

    python benchmarks/grading.py --json
    python benchmarks/grading.py --submissions 300 --json

- ``ratio``: wall seconds of nbgrader's two commands over those of ours, on the same 12, start-up of both included.
- ``overhead_ms``: CPU milliseconds a submission that are neither the student's cells nor the probes. Start-up is taken
  out of it by grading the class and a larger one (twice the size, or `--submissions`): it is the slope between the two.
- ``limit_ratio``: wall seconds from the first submission to the last recorded result, over the CPU seconds of cells and
  probes divided by the cores. ``limit_ratio_with_start_up`` has the whole command in the numerator.
- ``split``: wall seconds of our command by phase. Judging, recording and feedback overlap with running.
- ``same_scores``: whether all three doors (stock nbgrader, nbgrader with the kit's engine, `coursekit grade`) gave every
  submission the same score in every check cell.

With ``--submissions N`` a class of N is graded, too, with two workers and with one. Each of its students answers every
exercise in one of the catalogue's ways: right, differently, mistaken or not at all. Of it (``class``)::

    limit_ratio         as above
    rate, rate_1        submissions a second with two workers and with one; growth is their ratio
    times_nbgrader      rate, start-up included, over that of nbgrader on its 12
    parent_ms           CPU of the one parent process a submission: what does not get faster by more workers
    most_workers        how many of them that parent could feed: CPU of everything else over parent_ms
    rss_mb              resident memory of the parent after 50, 150 and N results
    judged              share of answers whose evidence nobody before had sent, bit by bit: the others' verdicts are known
    as_expected         every score is the one that the catalogue says
"""

from __future__ import annotations

import argparse
import json
import os
import random
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
from coursekit.exercises import catalogue
from coursekit.grading.assess import answer_cell, check_cell
from coursekit.grading.classroom import Student, make_class
from coursekit.grading.host import read_release
from coursekit.grading.release import release

OF = unit("01")
SUBMISSIONS = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--submissions", type=int, default=SUBMISSIONS, help="grade a class of this size, too")
    args = parser.parse_args()
    if args.submissions < SUBMISSIONS:
        parser.error(f"--submissions: got {args.submissions}, expected at least {SUBMISSIONS}")
    source = Course.find(Path(__file__).parent)
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(source, Path(scratch), args.submissions)
    print(json.dumps(report) if args.json else as_text(report))
    return 0


def measure(source: Course, scratch: Path, submissions: int = SUBMISSIONS) -> dict[str, Any]:
    course = fresh_course(source, scratch / "ours")
    release(course, [OF])
    kinds = make_class(OF, read_release(course, OF), damaged=False, hostile=False)
    students = pick(kinds)

    def room(name: str, members: list[Student]) -> Course:
        there = Course(scratch / name)
        shutil.copytree(course.root, there.root, symlinks=True)
        for student in members:
            student.hand_in(there.submitted, OF)
        return there

    twins = [replace(student, name=f"{student.name}-twin") for student in students]
    larger = crowd(kinds, submissions) if submissions > SUBMISSIONS else [*students, *twins]
    rooms = {name: room(name, students) for name in ("small", "stock", "plugged")}
    ours, nbgrader = grade(rooms["small"]), run_nbgrader(rooms["stock"], engine="stock")
    engine = run_nbgrader(rooms["plugged"], engine="")
    large = grade(room("large", larger))

    cores, timing, n = os.cpu_count() or 1, ours["timing"], len(students)
    overhead = (large["cpu"] - large["timing"]["cells_cpu"]) - (ours["cpu"] - timing["cells_cpu"])
    limit = timing["cells_cpu"] / cores
    report = {
        "submissions": n,
        "cores": cores,
        "load": [round(load, 2) for load in os.getloadavg()],
        "ratio": round(nbgrader["wall"] / ours["wall"], 2),
        "overhead_ms": round(1000 * overhead / (len(larger) - n), 1),
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
    if submissions > SUBMISSIONS:
        alone = grade(room("alone", larger), jobs=1)
        report["class"] = of_class(larger, large, alone, nbgrader["wall"] / n)
    return report


def of_class(students: list[Student], two: dict[str, Any], one: dict[str, Any], nbgrader: float) -> dict[str, Any]:
    """The figures of a class graded with two workers and with one; `nbgrader` is its seconds a submission."""
    n, timing = len(students), two["timing"]
    limit = timing["cells_cpu"] / min(2, os.cpu_count() or 1)
    expected = {s.name: {check_cell(name): points for name, points in s.expected.items()} for s in students}
    rate, rate_1 = n / timing["run_wall"], n / one["timing"]["run_wall"]
    parent = two["parent_cpu"] / n
    return {
        "submissions": n,
        "wall_s": round(two["wall"], 2),
        "run_s": round(timing["run_wall"], 2),
        "cells_and_probes_cpu_s": round(timing["cells_cpu"], 2),
        "limit_ratio": round(timing["run_wall"] / limit, 3),
        "rate": round(rate, 2),
        "rate_1": round(rate_1, 2),
        "growth": round(rate / rate_1, 2),
        "times_nbgrader": round(nbgrader * n / two["wall"], 1),
        "parent_ms": round(1000 * parent, 1),
        "fork_overhead_ms": round(1000 * (two["forks_cpu"] - timing["cells_cpu"]) / n, 1),
        "most_workers": round(two["forks_cpu"] / n / parent, 1),
        "rss_mb": two["rss_mb"],
        "judged": round(two["judged"] / (n * len(students[0].expected)), 3),
        "as_expected": two["scores"] == expected == one["scores"],
    }


def pick(students: list[Student]) -> list[Student]:
    """Twelve of the kinds that a class is made of, notebooks that stock nbgrader can grade."""
    kinds = [s for s in students if s.name.startswith(("perfect", "blank", "alternative", "mistake"))]
    return kinds[:SUBMISSIONS]


def crowd(kinds: list[Student], size: int) -> list[Student]:
    """Students who answer each exercise as one of `kinds` does: six in ten right, two differently, the others not."""
    chance = random.Random(1)
    sources = {kind.name: _answers(kind) for kind in kinds}
    right, blank = (next(k for k in kinds if k.name == name) for name in ("perfect", "blank"))
    others = [kind for kind in kinds if kind.name.startswith("alternative")]
    mistaken = [kind for kind in kinds if kind.name.startswith("mistake")]
    files = {key.question.id: key.question.file for key in catalogue.keys(OF).values() if key.question.file}
    students = []
    for number in range(size):
        notebook, expected, beside = json.loads(right.text), {}, {}
        for name in right.expected:
            [kind] = chance.choices([[right], others, mistaken, [blank]], weights=[60, 20, 17, 3])
            chosen = chance.choice(kind)
            expected[name] = chosen.expected[name]
            _cell(notebook, answer_cell(name))["source"] = sources[chosen.name][answer_cell(name)]
            if (file := files.get(name)) in chosen.files:
                beside[file] = chosen.files[file]
        students.append(Student(f"student-{number:04d}", json.dumps(notebook), expected, "a mixture", beside))
    return students


def _answers(student: Student) -> dict[str, Any]:
    cells = json.loads(student.text)["cells"]
    return {fields["grade_id"]: cell["source"] for cell in cells if (fields := cell["metadata"].get("nbgrader"))}


def _cell(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    cell: dict[str, Any] = next(
        c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name
    )
    return cell


GRADE = """\
import json, os, sys, time
from dataclasses import asdict
from pathlib import Path
from coursekit.course import Course, unit
from coursekit.grading import assess, warm
from coursekit.grading.batch import grade
from coursekit.grading.collect import collect

judged, finished, forks, memory, clock = [0], [0], [0.0], {}, []
judge = assess.judge

def counted(*arguments):
    judged[0] += 1
    return judge(*arguments)

def on_result(result):
    finished[0] += 1
    forks[0] += result.cpu_seconds
    clock.append(time.process_time())
    if finished[0] in (50, 150, count):
        pages = int(Path("/proc/self/statm").read_text().split()[1]) if os.path.exists("/proc/self/statm") else 0
        memory[finished[0]] = round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

assess.judge = counted
warm._STOP_SECONDS = 60.0  # a worker that is killed takes the count of its CPU seconds with it
course, of = Course(Path(sys.argv[1])), unit(sys.argv[2])
submissions = collect(course.submitted, of)
count = len(submissions)
batch = grade(submissions, of, course, jobs=int(sys.argv[3]), on_result=on_result)
assert not batch.failures, batch.failures
print(json.dumps({
    "timing": asdict(batch.timing),
    "scores": {r.student: r.scores() for r in batch.results},
    "judged": judged[0],
    "forks_cpu": forks[0],
    "parent_cpu": (clock[-1] - clock[0]) * count / (count - 1),
    "rss_mb": memory,
}))
"""


def grade(course: Course, jobs: int = 2) -> dict[str, Any]:
    """`coursekit grade` in a process of its own; its wall and CPU seconds, its phases, the scores."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", GRADE, str(course.root), OF.number, str(jobs)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(out.strip().splitlines()[-1]), "wall": wall, "cpu": cpu}


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
            [sys.executable, "-m", "nbgrader", *command],
            check=True,
            cwd=course.root,
            env=environment,
            capture_output=True,
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
    lines = [
        f"{report['submissions']} submissions of unit {OF.number} on {report['cores']} cores, load {report['load'][0]}",
        f"coursekit grade       {s['ours']:7.2f} s  {report['split']}",
        f"nbgrader, two commands {s['nbgrader']:6.2f} s",
        f"ratio {report['ratio']}, overhead {report['overhead_ms']} ms a submission, {report['limit_ratio']} times the limit "
        f"({report['limit_ratio_with_start_up']} with start-up); same scores: {report['same_scores']}",
    ]
    if "class" in report:
        c = report["class"]
        lines += [
            f"{c['submissions']} submissions: {c['wall_s']} s, {c['limit_ratio']} times the limit, {c['rate']} a second "
            f"({c['rate_1']} with one worker), {c['times_nbgrader']} times nbgrader's rate; as expected: {c['as_expected']}",
            f"the parent takes {c['parent_ms']} ms of each, could feed {c['most_workers']} workers, and has (MB) {c['rss_mb']}",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
