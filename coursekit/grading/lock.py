"""One grading run at a time on a course: two would write one gradebook, one journal and one set of pages."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator

from coursekit.course import Course
from coursekit.errors import CourseBusy, CourseError

_SETTLE_SECONDS = 1.0
"""How long a holder may take from locking the file to writing its name into it."""


@contextlib.contextmanager
def alone(course: Course) -> Iterator[None]:
    """Hold the course's lock; raises `CourseBusy` where another run holds it.

    The kernel gives a lock back when its holder ends, however it ends (flock(2)): a file that a killed run left behind
    does no harm.
    """
    course.private.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(course.private / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, course)
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        _write(descriptor, json.dumps({**holder, "command": " ".join(sys.argv)[:200]}))
        yield
        _write(descriptor, "")
    finally:
        os.close(descriptor)


def _take(descriptor: int, course: Course) -> None:
    """Lock, or say who does. While nobody's name is there, whoever has the lock is about to write it or to let go."""
    until = time.monotonic() + _SETTLE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            holder = _holder(descriptor)
            if holder or time.monotonic() > until:
                raise CourseBusy(
                    f"course {course.root}: is being graded by {holder or 'another process'}, expected one run at a time. Wait "
                    "for it to end, or end it: what it has done stays, and the next run goes on from there."
                ) from error
        except OSError as error:
            raise CourseError(
                f"course {course.root}: cannot be locked ({error.strerror}), expected a file system that knows flock. "
                "Move the course to a local disk."
            ) from error
        time.sleep(0.05)


def _holder(descriptor: int) -> str:
    """Who holds the lock, in words: the kernel does not tell, the holder writes it down. Empty while it has not."""
    try:
        told = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {told['pid']} on {told['host']} since {told['since']} ({told['command']})"
    except (ValueError, KeyError, TypeError):
        return ""


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
