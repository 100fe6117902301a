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
import selectors
import signal
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from coursekit.checks.codec import pack
from coursekit.errors import CoursekitError, SandboxUnavailable
from coursekit.grading import sandbox, scratch
from coursekit.grading.frames import Inbox
from coursekit.grading.results import Ending, Limits, SubmissionJob, SubmissionRun
from coursekit.grading.running import Running
from coursekit.grading.submission import Settings
from coursekit.grading.warm import WarmProcess

_PIPE_BYTES = 1 << 20


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
        )
        self._running: dict[int, Running] = {}
        self._again: deque[SubmissionJob] = deque()
        self._draws: tuple[Mapping[str, Any], bytes] = ({}, b"")
        self._numbers = 0
        self._folder: Path | None = None
        self._process: WarmProcess | None = None

    def __enter__(self) -> Pool:
        if not self._settings.trust:
            sandbox.require()
        if not hasattr(os, "fork"):
            raise SandboxUnavailable(
                "grading forks a process for each submission: got a system that cannot, expected Linux or macOS. "
                "On Windows use the Windows Subsystem for Linux."
            )
        self._folder = Path(tempfile.mkdtemp(prefix="coursekit-"))
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
        if self._folder is not None:
            with contextlib.suppress(OSError):  # whatever a submission did to its folder, its results stand
                scratch.remove(self._folder)
            self._folder = None

    def run(self, jobs: Iterable[SubmissionJob]) -> Iterator[SubmissionRun]:
        """Run submissions; yields what became of each, in order of completion."""
        waiting = iter(jobs)
        try:
            while self._fill(waiting):
                self._listen()
                self._keep_time()
                ended = [self._ended(r) for r in list(self._running.values()) if r.exit is not None]
                if ended:
                    self._fill(waiting)  # the next ones run while the caller is busy with these
                for run in ended:
                    before = time.monotonic()
                    yield run
                    for other in self._running.values():
                        other.excuse(time.monotonic() - before)
        finally:  # the caller may have stopped listening
            self._abandon()

    def _fill(self, waiting: Iterator[SubmissionJob]) -> bool:
        """Hand out as much as may run at a time; whether anything is running."""
        while not self._again and len(self._running) < self.jobs:
            job = next(waiting, None)
            if job is None:
                break
            self._hand_out(job, attempt=1)
        if self._again and not self._running:
            self._hand_out(self._again.popleft(), attempt=2)
        return bool(self._running)

    def _ended(self, running: Running) -> SubmissionRun:
        while running.open and running.read():
            pass  # its process is gone, so what the pipe holds is all there will be
        run = running.result()
        self._forget(running)
        return run

    def _hand_out(self, job: SubmissionJob, attempt: int) -> None:
        self._numbers += 1
        folder = self._home / str(self._numbers)
        folder.mkdir(mode=0o700)
        cells = [[cell.index, cell.source, cell.question] for cell in job.cells]
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        _widen(reading)
        now = time.monotonic()
        self._running[self._numbers] = Running(
            self._numbers, job, Inbox(job, self.limits), self.limits, reading, folder, now, now, attempt
        )
        message = {"job": self._numbers, "scratch": str(folder), "files": str(job.files) if job.files else None}
        try:
            with tempfile.TemporaryFile(dir=self._home) as payload:
                draws = self._packed(job.draws)
                payload.write(len(draws).to_bytes(8, "big") + draws + pack(cells))
                payload.seek(0)
                self._warm.send(message, [payload.fileno(), writing])
        finally:
            os.close(writing)

    def _packed(self, draws: Mapping[str, Any]) -> bytes:
        """Draws as bytes; those of a batch are the same for every submission, and packed once."""
        if self._draws[0] is not draws:
            self._draws = draws, pack(dict(draws))
        return self._draws[1]

    def _listen(self) -> None:
        """Wait for frames, ends, or the next deadline."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._warm.socket, selectors.EVENT_READ)
            for running in self._running.values():
                if running.open:
                    selector.register(running.pipe, selectors.EVENT_READ, running)
            deadline = min(running.deadline for running in self._running.values())
            events = selector.select(max(0.0, deadline - time.monotonic()) + 0.01)
        for key, _ in events:
            if key.data is not None:
                key.data.read()
                if key.data.inbox.overflow:
                    self._end(key.data, "too much output")
        if any(key.data is None for key, _ in events):
            self._hear()

    def _hear(self) -> None:
        """Messages of the warm process: who ended, and how."""
        messages = self._warm.receive()
        if messages is None:
            self._revive()
            return
        for message in messages:
            running = self._running.get(message["ended"])
            if running is not None:
                running.exit, running.cpu = message["status"], message["cpu"]

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
            self._process = WarmProcess(self._settings, self._home)
        return self._process

    @property
    def _home(self) -> Path:
        if self._folder is None:
            raise CoursekitError("Pool: used outside its `with` block; enter the block before `run`.")
        return self._folder


def _widen(pipe: int) -> None:
    """Let a fork write on while its reader judges another one. Linux only; elsewhere it waits."""
    with contextlib.suppress(OSError):  # an ordinary user's pipes have a total budget
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
