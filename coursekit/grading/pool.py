"""Runs submissions in sandboxed forks of a warm process, several at a time, and never fails because of one.

::

    with Pool(jobs=2, units=["01"]) as pool:
        for run in pool.run(jobs):
            ...

The pool keeps the clock (a process can silence its own timer, not this one), bounds what it reads, and survives the
death of the warm process: what was running then is tried once more, alone, so that only its cause is blamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from coursekit.checks.codec import pack
from coursekit.errors import CoursekitError, SandboxUnavailable
from coursekit.grading import sandbox, scratch
from coursekit.grading.frames import Inbox
from coursekit.grading.results import Ending, Limits, SubmissionJob, SubmissionRun
from coursekit.grading.running import Running
from coursekit.grading.submission import Settings
from coursekit.grading.warm import WarmProcess

_PIPE_BYTES = 1 << 20
_READ_SECONDS, _READ_SOON_SECONDS, _MUCH = 0.05, 0.002, 1 << 15
"""How often the pipes are emptied, and how often where one held much. Waking for every frame would cost more than reading
them does."""
_STANDSTILL_SECONDS = 3.0
"""A wait that takes this much longer than asked for means that the machine, or this process, stood still."""


class Pool:
    """Workers for submissions.

    `units` are those whose questions are asked; `hidden` is never readable in the sandbox (the course's folder),
    `readable` is, on top of the Python installation. With `trust` there is no sandbox at all; without `namespaces` it is
    Landlock and seccomp alone.
    """

    def __init__(
        self,
        *,
        jobs: int = 2,
        limits: Limits | None = None,
        units: Iterable[str] = (),
        hidden: Iterable[Path] = (),
        readable: Iterable[Path] = (),
        trust: bool = False,
        namespaces: bool = True,
    ) -> None:
        self.jobs = max(1, jobs)
        self.limits = limits or Limits()
        self._settings = Settings(
            units=tuple(units),
            hidden=tuple(str(path.resolve()) for path in hidden),
            readable=tuple(str(path.resolve()) for path in readable),
            trust=trust,
            namespaces=namespaces,
            limits=self.limits,
            jobs=self.jobs,
        )
        self._running: dict[int, Running] = {}
        self._again: deque[SubmissionJob] = deque()
        self._draws: _Draws | None = None
        self._numbers = 0
        self._filling = False
        self._listened = 0.0
        self._place: scratch.Place | None = None
        self._process: WarmProcess | None = None

    def __enter__(self) -> Pool:
        if not self._settings.trust:
            sandbox.require()
        if not hasattr(os, "fork"):
            raise SandboxUnavailable(
                "grading forks a process for each submission: got a system that cannot, expected Linux or macOS. "
                "On Windows use the Windows Subsystem for Linux."
            )
        self._place = scratch.Place.make()
        try:
            _ = self._warm
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything and leave nothing behind."""
        if self._process is not None:
            self._process.close()
            self._process = None
        while self._running:
            self._running.popitem()[1].forget()
        if self._draws is not None:
            self._draws.file.close()
            self._draws = None
        if self._place is not None:
            with contextlib.suppress(OSError):  # whatever a submission did to its folder, its results stand
                self._place.remove()
            self._place = None

    def run(self, jobs: Iterable[SubmissionJob]) -> Iterator[SubmissionRun]:
        """Run submissions; yields what became of each, in order of completion."""
        waiting = iter(jobs)
        self._listened = time.monotonic()
        try:
            while self._fill(waiting):
                self._listen()
                self._keep_time()
                ended = [self._ended(r) for r in list(self._running.values()) if r.exit is not None]
                if ended:
                    self._fill(waiting)  # the next ones run while the caller is busy with these
                yield from (run for run in ended if run is not None)
        finally:  # the caller may have stopped listening
            self._abandon()

    def _fill(self, waiting: Iterator[SubmissionJob]) -> bool:
        """Hand out as much as may run at a time, and as much again: the warm process begins the next one by itself,
        however busy this one is. Whether anything is running."""
        while not self._again and len(self._running) < 2 * self.jobs:
            job = next(waiting, None)
            if job is None:
                break
            self._hand_out(job, attempt=1)
        if self._again and not self._running:
            self._hand_out(self._again.popleft(), attempt=2)
        return bool(self._running)

    def _ended(self, running: Running) -> SubmissionRun | None:
        """What became of it; None where it is tried again."""
        while running.open and running.read():
            pass  # its process is gone, so what the pipe holds is all there will be
        run = running.result()
        self._forget(running)
        # Its clock ran on while it stood still; or its neighbours may have used up the memory.
        unlucky = (run.ending == "timed out" and running.disturbed) or running.killed
        if unlucky and running.attempt == 1:
            self._again.append(running.job)
            return None
        return run

    def _hand_out(self, job: SubmissionJob, attempt: int) -> None:
        self._numbers += 1
        folder = self._home / str(self._numbers)
        folder.mkdir(mode=0o700)
        cells = [[cell.index, cell.source, cell.question] for cell in job.cells]
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        _widen(reading)
        self._running[self._numbers] = Running(
            self._numbers, job, Inbox(job, self.limits), self.limits, reading, folder, time.monotonic(), attempt
        )
        draws = self._drawn(job.draws)
        message = {
            "job": self._numbers,
            "draws": draws.number,
            "scratch": str(folder),
            "files": str(job.files) if job.files else None,
        }
        try:
            with tempfile.TemporaryFile(dir=self._home) as payload:
                payload.write(pack(cells))
                payload.seek(0)
                self._warm.send(message, [draws.file.fileno(), payload.fileno(), writing])
        finally:
            os.close(writing)

    def _drawn(self, draws: Mapping[str, Any]) -> _Draws:
        """Draws in a file; those of a batch are the same for every submission, and packed and unpacked once."""
        if self._draws is None or self._draws.values is not draws:
            if self._draws is not None:
                self._draws.file.close()
            file = tempfile.TemporaryFile(dir=self._home)  # noqa: SIM115 (closed here and in close)
            file.write(pack(dict(draws)))
            file.flush()
            self._draws = _Draws(self._numbers, draws, file)
        return self._draws

    def _listen(self) -> None:
        """Wait for an end, the next deadline, or until it is time to empty the pipes; then empty them."""
        self._excuse(time.monotonic() - self._listened)
        begun, deadline = time.monotonic(), min(running.deadline for running in self._running.values())
        wait = min(max(0.0, deadline - begun) + 0.01, _READ_SOON_SECONDS if self._filling else _READ_SECONDS)
        told = select.poll()
        told.register(self._warm.socket, select.POLLIN)
        heard = told.poll(1000 * wait)
        self._listened = time.monotonic()
        if (longer := self._listened - begun - wait) > _STANDSTILL_SECONDS:
            self._excuse(longer)
        self._filling = False
        for running in self._running.values():
            if running.begun and running.open:
                self._filling |= running.read() > _MUCH
                if running.inbox.overflow:
                    self._end(running, "too much output")
        if heard:
            self._hear()

    def _excuse(self, seconds: float) -> None:
        """Deadlines count only time in which somebody listened: not the caller's, and not a machine's sleep."""
        now = time.monotonic()
        for running in self._running.values():
            running.excuse(min(seconds, now - running.started))
            running.disturbed |= running.begun and seconds > _STANDSTILL_SECONDS

    def _hear(self) -> None:
        """Messages of the warm process: who was begun; who ended, and how."""
        messages = self._warm.receive()
        if messages is None:
            self._revive()
            return
        for message in messages:
            running = self._running.get(message["job"])
            if running is not None and "begun" in message:
                running.begin()
            elif running is not None:
                running.exit, running.cpu = message["ended"], message["cpu"]

    def _keep_time(self) -> None:
        now = time.monotonic()
        late = [r for r in self._running.values() if r.exit is None and now >= r.deadline]
        if any(running.stopped for running in late):
            self._revive()  # the warm process did not carry out a kill
            return
        for running in late:
            self._end(running, "timed out")

    def _end(self, running: Running, why: Ending) -> None:
        if running.stopped is None and running.exit is None:
            running.stopped, running.stopped_at = why, time.monotonic()
            self._warm.send({"kill": running.number})

    def _revive(self) -> None:
        """The warm process is gone: start another; what was running is tried again, alone."""
        self._warm.close()
        for running in list(self._running.values()):
            if running.exit is not None:
                continue
            if running.stopped is None and running.attempt == 1:
                self._again.append(running.job)
                self._forget(running)
            else:
                running.exit, running.stopped = -signal.SIGKILL, running.stopped or "crashed"
        self._process = None

    def _abandon(self) -> None:
        """End what still runs."""
        self._again.clear()
        if self._running and self._process is not None:
            self._process.close()
            self._process = None
        while self._running:
            self._running.popitem()[1].forget()

    def _forget(self, running: Running) -> None:
        del self._running[running.number]
        running.forget()

    @property
    def _warm(self) -> WarmProcess:
        """The warm process; another one where the last has ended."""
        if self._process is None:
            try:
                self._process = WarmProcess(self._settings, self._home)
            except SandboxUnavailable:  # it may have been killed before its first word; a lasting cause shows again
                self._process = WarmProcess(self._settings, self._home)
        return self._process

    @property
    def _home(self) -> Path:
        if self._place is None:
            raise CoursekitError("Pool: used outside its `with` block; enter the block before `run`.")
        return self._place.path


@dataclass(frozen=True)
class _Draws:
    """The inputs of a batch, packed in a file that the warm process reads once."""

    number: int
    values: Mapping[str, Any]
    file: IO[bytes]


def _widen(pipe: int) -> None:
    """Let a fork write on while its reader judges another one. Linux only; elsewhere it waits."""
    with contextlib.suppress(OSError):  # an ordinary user's pipes have a total budget
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
