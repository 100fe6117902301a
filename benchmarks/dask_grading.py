"""Scale: a class graded on this machine, then behind Dask's scheduler by two workers, one of which is killed in the middle.

::

    python benchmarks/dask_grading.py --json

Scheduler and workers are processes of their own; each worker has a working directory and a temporary folder that no other one
uses. Both runs have the same seed. One submission in the class tries to reach the scheduler from inside the sandbox.

- ``same``: whether the gradebooks (scores and comments) are equal, row by row; ``lost``: students without a grade.
- ``killed_after``: results that had come when the worker was killed; ``after_the_kill``: those that came later.
- ``tried``, ``reached``: whether the submission that tries ran, and whether it got through to the scheduler.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil

sys.path.insert(0, str(Path(__file__).parent))
from kills import COMMAND, OF, SEED, copied, handed_in, snapshot

from coursekit.course import Course

CALLER = """\
import socket
try:
    socket.create_connection(({host!r}, {port}), timeout=5).close()
    print("reached the scheduler")
except OSError as error:
    print("no way:", type(error).__name__)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=12)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(handed_in(Path(scratch) / "class", args.students), Path(scratch))
    print(json.dumps(report) if args.json else "\n".join(f"{name:15s} {value}" for name, value in report.items()))
    return 0 if report["same"] and not report["lost"] and not report["reached"] else 1


def measure(course: Course, scratch: Path, *, command: tuple[str, ...] = COMMAND) -> dict[str, Any]:
    """Grade here, then there; `command` is what `coursekit` stands for."""
    with cluster(scratch, workers=2) as (address, workers):
        caller = _call(course, address)
        here, there = copied(course, scratch / "here"), copied(course, scratch / "there")
        begun = time.monotonic()
        grade(here, command)
        local = time.monotonic() - begun
        half = len(list(course.submitted.iterdir())) // 2
        begun, lines, killed = time.monotonic(), 0, 0
        for _ in grade_lines(there, command, "--scheduler", address):
            lines += 1
            if lines == half:
                kill(workers[0])
                killed = lines
        remote = time.monotonic() - begun
    whole, now = snapshot(here), snapshot(there)
    said = (there.autograded / caller / OF.name / f"{OF.name}.ipynb").read_text()
    return {
        "submissions": lines,
        "same": all(sorted(whole[kind]) == sorted(now[kind]) for kind in ("grades", "comments")),
        "lost": len({row[0] for row in whole["grades"]} - {row[0] for row in now["grades"]}),
        "grades": len(now["grades"]),
        "killed_after": killed,
        "after_the_kill": lines - killed,
        "reached": "reached the scheduler" in said.replace('print(\\"reached the scheduler\\")', ""),
        "tried": "no way: " in said,
        "seconds": {"here": round(local, 1), "on the cluster": round(remote, 1)},
    }


def _call(course: Course, address: str) -> str:
    """Put a cell that calls the scheduler into somebody's notebook; return whose."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    student = sorted(path.name for path in course.submitted.iterdir())[-1]
    path = course.submitted / student / OF.name / f"{OF.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(2, nbformat.v4.new_code_cell(CALLER.format(host=host, port=int(port))))
    nbformat.write(notebook, path)
    return student


@contextlib.contextmanager
def cluster(scratch: Path, *, workers: int) -> Iterator[tuple[str, list[psutil.Popen]]]:
    """A scheduler and workers on this machine, each worker with folders of its own: its address, and the workers."""
    file = scratch / "scheduler.json"
    tools = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--port",
        "0",
        "--host",
        "127.0.0.1",
        "--no-dashboard",
    ]
    started = [_start([*tools, "--scheduler-file", str(file)], scratch / "scheduler")]
    try:
        address = _address(file)
        for number in range(workers):
            tools = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
            started.append(_start([*tools, "--no-dashboard"], scratch / f"worker-{number}"))
        yield address, started[1:]
    finally:
        for process in started[::-1]:
            kill(process)


def _start(command: list[str], place: Path) -> psutil.Popen:
    (place / "tmp").mkdir(parents=True)
    environment = {**os.environ, "TMPDIR": str(place / "tmp"), "HOME": str(place)}
    with (place / "log").open("wb") as log:
        return psutil.Popen(command, cwd=place, env=environment, stdout=log, stderr=log, start_new_session=True)


def _address(file: Path) -> str:
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(file.read_text())["address"])
        time.sleep(0.1)
    raise SystemExit(f"the scheduler did not start: see {file}")


def kill(process: psutil.Popen) -> None:
    """SIGKILL to a worker with all that it started."""
    with contextlib.suppress(psutil.Error):
        for each in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.Error):
                each.kill()
        process.wait(10)


def grade(course: Course, command: tuple[str, ...], *more: str) -> int:
    return sum(1 for _ in grade_lines(course, command, *more))


def grade_lines(course: Course, command: tuple[str, ...], *more: str) -> Iterator[str]:
    """Run `coursekit grade`; its line for each submission, as it comes."""
    words = ["--course", str(course.root), "grade", "--lines", "--seed", str(SEED), "--assignment", OF.number, *more]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True, bufsize=1) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith("  ") and "/" in line:
                yield line
    if run.returncode != 0:
        raise SystemExit(f"coursekit grade {' '.join(more)} ended with {run.returncode}")


if __name__ == "__main__":
    sys.exit(main())
