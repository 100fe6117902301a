"""One run at a time on a course: the other one is told who and since when; a dead holder does no harm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from room import KIT

from coursekit.course import Course
from coursekit.errors import CourseBusy, CourseError
from coursekit.grading import lock
from coursekit.grading.lock import alone

HOLD = """
import sys, time
from pathlib import Path
from coursekit.course import Course
from coursekit.grading.lock import alone
with alone(Course(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path) -> Course:
    return Course(tmp_path)


def test_another_run_is_told_who_holds_it_and_a_killed_one_lets_go(place: Course) -> None:
    command = [sys.executable, "-c", HOLD, str(place.root)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(KIT)}
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(
                CourseBusy, match=rf"process {holder.pid} on .* since \d{{4}}-\d\d-\d\d .*what it has done stays"
            ),
            alone(place),
        ):
            pytest.fail("two at a time")
        holder.send_signal(signal.SIGKILL)
    assert (place.private / "lock").read_text() != ""  # what it wrote is still there
    with alone(place):
        pass
    assert (place.private / "lock").read_text() == ""


def test_a_process_that_is_started_meanwhile_does_not_inherit_it(place: Course) -> None:
    with alone(place):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    with alone(place):
        pass
    child.communicate(b"\n")


def test_it_is_given_back_whatever_happens(place: Course) -> None:
    with pytest.raises(ZeroDivisionError), alone(place):
        _ = 1 / 0
    with alone(place):
        pass


def test_a_holder_that_cannot_be_read_and_a_file_system_without_locks(
    place: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_SETTLE_SECONDS", 0.0)
    with alone(place):
        (place.private / "lock").write_text("[3")
        with pytest.raises(CourseBusy, match="being graded by another process"), alone(place):
            pass

    def unknown(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", unknown)
    with pytest.raises(CourseError, match=r"cannot be locked \(Operation not supported\).*local disk"), alone(place):
        pass
