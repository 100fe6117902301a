"""No loss: `coursekit grade` is killed at random moments and started again; then everything it wrote is compared.

In rounds on a made-up class of unit 01::

    python benchmarks/kills.py --kills 50 --json

SIGKILL hits the whole process tree, the parent alone, the warm process alone or the process of one submission: while it
starts, between two results and within the milliseconds in which one is written. A run that was killed is started again
with the same command, until one ends by itself. Its gradebook (scores and comments), autograded notebooks and feedback
are then compared with those of an undisturbed run.

- ``recovered``: kills of rounds that ended with exit code 0 and in which nothing was lost, doubled or different.
- ``lost``, ``doubled``, ``different``: grades that are absent, there twice, or not those of the undisturbed run; and pages.
- ``left_processes``, ``left_folders``: what a killed run left behind for more than ten seconds, or after the next run.
- ``resumed``: submissions that a run took over from those before it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from coursekit.course import Course, unit
from coursekit.demo import fresh_course
from coursekit.grading.classroom import make_class
from coursekit.grading.host import read_release
from coursekit.grading.release import release

OF = unit("01")
SEED = 20
KINDS = ("everything", "everything", "parent", "warm process", "submission")
FAULTS = ("failed", "lost", "doubled", "different", "left_processes", "left_folders")
ROUND = 10
"""Kills until a run is let through."""
PATIENCE = 10.0
COMMAND = (sys.executable, "-m", "coursekit.cli")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--students", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        course = handed_in(Path(scratch) / "class", args.students)
        report = measure(course, Path(scratch), kills=args.kills, rng=random.Random(args.seed))
    print(json.dumps(report) if args.json else as_text(report))
    return 0 if report["recovered"] == report["kills"] else 1


def measure(
    course: Course, scratch: Path, *, kills: int, rng: random.Random, command: tuple[str, ...] = COMMAND
) -> dict[str, Any]:
    """Kill and compare; `course` stays as it is, and `command` is what `coursekit` stands for."""
    undisturbed = Run(copied(course, scratch / "undisturbed"), scratch / "tmp-undisturbed", command)
    begun = time.monotonic()
    if undisturbed.wait() != 0:
        raise SystemExit(f"the undisturbed run failed:\n{undisturbed.said}")
    seconds, whole = time.monotonic() - begun, snapshot(undisturbed.course)
    total: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    number = 0
    while total["kills"] < kills:
        number += 1
        place = copied(course, scratch / f"round-{number}")
        found = one_round(
            place, scratch / f"tmp-{number}", min(ROUND, kills - total["kills"]), seconds, rng, command, kinds
        )
        found.update(compare(whole, snapshot(place)))
        bad = {name: found[name] for name in FAULTS if found[name]}
        found["recovered"] = 0 if bad else found["kills"]
        total.update(found)
        print(
            f"round {number}: {found['kills']} kills, {total['recovered']} of {total['kills']} recovered {bad or ''}",
            file=sys.stderr,
            flush=True,
        )
        shutil.rmtree(place.root)
    names = (
        "kills",
        "recovered",
        "lost",
        "doubled",
        "different",
        "failed",
        "resumed",
        "left_processes",
        "left_folders",
    )
    return {
        **{name: total[name] for name in names},
        "rounds": number,
        "kinds": dict(kinds),
        "grades": len(whole["grades"]),
    }


def one_round(
    course: Course,
    tmp: Path,
    kills: int,
    seconds: float,
    rng: random.Random,
    command: tuple[str, ...],
    kinds: Counter[str],
) -> Counter[str]:
    """Kill runs on one course until `kills` have been dealt, then let one through."""
    found: Counter[str] = Counter()
    while True:
        run = Run(course, tmp, command)
        while found["kills"] < kills and run.await_moment(rng, seconds):
            kind = rng.choice(KINDS)
            if not run.kill(kind, rng):
                continue
            found["kills"] += 1
            kinds[kind] += 1
            if kind in ("everything", "parent"):
                break
        code = run.wait()
        found["resumed"] += run.resumed
        found["left_processes"] += len(left_processes(tmp))
        if code == 0:
            break
        if code != -signal.SIGKILL:
            print(run.said, file=sys.stderr)
            found["failed"] += 1
            break
    found["left_folders"] = len(list(tmp.iterdir()))
    return found


class Run:
    """One `coursekit grade` with a temporary folder of its own."""

    def __init__(self, course: Course, tmp: Path, command: tuple[str, ...]) -> None:
        tmp.mkdir(exist_ok=True)
        self.course, self.lines, self.said, self.resumed, self.hit = course, 0, "", 0, False
        self._begun = time.monotonic()
        self.process = subprocess.Popen(
            [
                *command,
                "--course",
                str(course.root),
                "grade",
                "--lines",
                "--seed",
                str(SEED),
                "--assignment",
                OF.number,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(tmp), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    def await_moment(self, rng: random.Random, seconds: float) -> bool:
        """Wait for a random moment; whether the run was still going then."""
        if rng.random() < 0.3:
            until, lines = time.monotonic() + rng.uniform(0.0, seconds), 10**6
        else:  # the milliseconds after a result hold most of what can be torn
            until, lines = time.monotonic() + 120.0, self.lines + rng.randint(1, 4)
        while time.monotonic() < until and self.process.poll() is None:
            self._read()
            if self.lines >= lines:
                time.sleep(rng.uniform(0.0, 0.1))
                break
            time.sleep(0.002)
        return self.process.poll() is None

    def kill(self, kind: str, rng: random.Random) -> bool:
        """SIGKILL; whether there was something to kill."""
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self.process.pid)
            below = parent.children(recursive=True)
            warm = [p for p in parent.children() if "coursekit.grading.worker" in p.cmdline()]
            forks = [p for process in warm for p in process.children()]
            # A submission that meets with two of these in one run is taken to be their cause: rightly, outside this file.
            inner = {"warm process": warm, "submission": rng.sample(forks, min(1, len(forks)))}
            chosen = {"everything": [parent, *below], "parent": [parent], **({} if self.hit else inner)}.get(kind, [])
            self.hit |= kind in inner and bool(chosen)
            for process in chosen:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            return bool(chosen)
        return False

    def wait(self) -> int:
        while self.process.poll() is None:
            self._read()
            time.sleep(0.01)
        self._read()
        told = re.search(r"(\d+) of \d+ were done", self.said)
        self.resumed = int(told[1]) if told else 0
        assert self.process.stdout is not None
        self.process.stdout.close()
        return int(self.process.returncode)

    def _read(self) -> None:
        assert self.process.stdout is not None
        while data := self.process.stdout.read(1 << 16):
            self.said += data.decode(errors="replace")
        self.lines = sum(line.startswith("  ") and "/" in line for line in self.said.splitlines())


def left_processes(tmp: Path) -> list[psutil.Process]:
    """Processes that still run with `tmp` as their place, after some patience."""
    until = time.monotonic() + PATIENCE
    while True:
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                place = process.environ()
                if str(tmp) in (place.get("TMPDIR"), str(Path(place.get("HOME", "/")).parent)):
                    left.append(process)
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.1)


def handed_in(place: Path, students: int) -> Course:
    """A course of this repository at `place`, with so many submissions."""
    course = fresh_course(Course.find(Path(__file__).parent), place)
    release(course, [OF])
    for student in make_class(OF, read_release(course, OF), hostile=False)[:students]:
        student.hand_in(course.submitted, OF)
    return course


def copied(course: Course, place: Path) -> Course:
    shutil.copytree(course.root, place, symlinks=True)
    return Course(place)


def snapshot(course: Course) -> dict[str, Any]:
    """All that a run leaves to people: grades with comments, notebooks, pages."""
    with contextlib.closing(sqlite3.connect(course.gradebook)) as connection:
        grades = connection.execute(
            "select a.student_id, c.name, g.auto_score, g.manual_score, g.needs_manual_grade from grade g"
            " join base_cell c on c.id = g.cell_id join submitted_notebook n on n.id = g.notebook_id"
            " join submitted_assignment a on a.id = n.assignment_id"
        ).fetchall()
        comments = connection.execute(
            "select a.student_id, c.name, m.auto_comment from comment m"
            " join base_cell c on c.id = m.cell_id join submitted_notebook n on n.id = m.notebook_id"
            " join submitted_assignment a on a.id = n.assignment_id"
        ).fetchall()
    pages = {
        str(path.relative_to(course.root)): _settled(path.read_text())
        for folder in (course.autograded, course.feedback)
        for path in folder.rglob("*.*")
    }
    return {"grades": grades, "comments": comments, "pages": pages}


def _settled(text: str) -> str:
    """Without durations, which no two runs have in common."""
    return re.sub(r"\d+(\.\d+)? (s|ms|seconds)\b", "some s", text)


def compare(whole: dict[str, Any], now: dict[str, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind in ("grades", "comments"):
        seen = Counter(row[:2] for row in now[kind])
        found["doubled"] += sum(count - 1 for count in seen.values())
        found["lost"] += len({row[:2] for row in whole[kind]} - seen.keys())
        found["different"] += len(set(now[kind]) ^ set(whole[kind]))
    found["lost"] += len(whole["pages"].keys() - now["pages"].keys())
    found["different"] += sum(whole["pages"].get(name) != text for name, text in now["pages"].items())
    return found


def as_text(r: dict[str, Any]) -> str:
    kinds = ", ".join(f"{count} of {'the ' * (kind != 'everything')}{kind}" for kind, count in r["kinds"].items())
    return (
        f"{r['kills']} kills ({kinds}) in {r['rounds']} rounds of {r['grades']} grades: {r['recovered']} recovered, "
        f"{r['lost']} lost, {r['doubled']} doubled, {r['different']} different; {r['resumed']} submissions taken over, "
        f"{r['left_processes']} processes and {r['left_folders']} folders left behind"
    )


if __name__ == "__main__":
    sys.exit(main())
