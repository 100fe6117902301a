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
import os
import selectors
import signal
import site
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from coursekit.checks.codec import pack
from coursekit.errors import SandboxUnavailable
from coursekit.grading import sandbox, scratch
from coursekit.grading.frames import Channel, Inbox
from coursekit.grading.results import Ending, Limits, SubmissionJob, SubmissionRun
from coursekit.grading.sandbox.trees import PACKAGE
from coursekit.grading.worker import Settings

_START_SECONDS = 120.0
_KILL_SECONDS = 5.0
"""A kill that takes longer means that the warm process is stuck."""
_CHUNK = 1 << 18


@dataclass
class _Running:
    """A submission that a fork is working on."""

    number: int
    job: SubmissionJob
    inbox: Inbox
    pipe: int
    folder: Path
    started: float
    heard: float
    """When the last whole frame came."""
    attempt: int
    stopped: Ending | None = None
    """Why the pool ended it."""
    stopped_at: float = 0.0
    exit: int | None = None
    cpu: float = 0.0
    open: bool = field(default=True)


class Pool:
    """Workers for submissions. `units` are those whose questions are asked; `hidden` is never readable in the sandbox
    (the course's folder), `readable` is, on top of the Python installation. With `trust` there is no sandbox; without `namespaces` it is Landlock and seccomp alone."""

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
        self.trust = trust
        self._namespaces = namespaces
        self._units = tuple(units)
        self._hidden = tuple(str(path) for path in hidden)
        self._readable = tuple(str(path) for path in readable)
        self._running: dict[int, _Running] = {}
        self._again: deque[SubmissionJob] = deque()
        self._numbers = 0
        self._folder: Path | None = None
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    def __enter__(self) -> Pool:
        if not self.trust:
            sandbox.require()
        self._folder = Path(tempfile.mkdtemp(prefix="coursekit-"))
        try:
            self._start()
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
        self._stop()
        for running in list(self._running.values()):
            self._forget(running)
        if self._folder is not None:
            scratch.remove(self._folder)
            self._folder = None

    def run(self, jobs: Iterable[SubmissionJob]) -> Iterator[SubmissionRun]:
        """Run submissions; yields what became of each, in order of completion."""
        waiting = iter(jobs)
        exhausted = False
        try:
            while True:
                while not exhausted and not self._again and len(self._running) < self.jobs:
                    job = next(waiting, None)
                    if job is None:
                        exhausted = True
                    else:
                        self._hand_out(job, attempt=1)
                if self._again and not self._running:
                    self._hand_out(self._again.popleft(), attempt=2)
                if not self._running:
                    return
                self._listen()
                self._keep_time()
                yield from self._collect()
        finally:  # the caller may stop listening
            if self._running:
                self._stop()
                for running in list(self._running.values()):
                    self._forget(running)

    # The warm process

    def _start(self) -> None:
        assert self._folder is not None
        ours, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (closed in _stop)
        settings = Settings(
            theirs.fileno(), self._units, self._hidden, self._readable, self.trust, self._namespaces, self.limits
        )
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "coursekit.grading.worker", settings.dumps()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                pass_fds=(theirs.fileno(),),
                cwd=self._folder,
                env=_environment(self._folder),
                start_new_session=True,  # an interrupt at the terminal is for the parent alone
            )
        self._channel = Channel(ours)
        ours.settimeout(_START_SECONDS)
        try:
            ready = self._channel.receive()
        except TimeoutError:
            ready = None
        if ready is None:
            said = self._said()
            self._stop()
            raise SandboxUnavailable(
                f"the warm process did not start: got {said or 'no word from it'}, expected a report within "
                f"{_START_SECONDS:g} s. Run `coursekit doctor`, or grade with --trust-submissions."
            )
        ours.settimeout(None)

    def _said(self) -> str:
        """The last lines of the warm process's standard error."""
        if self._log is None:
            return ""
        self._log.seek(0)
        return " / ".join(self._log.read()[-2000:].decode(errors="replace").strip().splitlines()[-3:])

    def _stop(self) -> None:
        """End the warm process and with it, by its namespaces or by the death signal, all of its forks."""
        if self._channel is not None:
            self._channel.socket.close()
            self._channel = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)  # it kills its forks and ends when the channel closes
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    # One submission

    def _hand_out(self, job: SubmissionJob, attempt: int) -> None:
        assert self._folder is not None and self._channel is not None
        self._numbers += 1
        folder = self._folder / str(self._numbers)
        folder.mkdir(mode=0o700)
        cells = [[cell.index, cell.source, cell.question] for cell in job.cells]
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        now = time.monotonic()
        running = _Running(
            self._numbers, job, Inbox(job, self.limits), reading, folder, started=now, heard=now, attempt=attempt
        )
        self._running[running.number] = running
        message = {"job": running.number, "scratch": str(folder), "files": str(job.files) if job.files else None}
        try:
            with tempfile.TemporaryFile(dir=self._folder) as payload:
                payload.write(pack({"cells": cells, "draws": dict(job.draws)}))
                payload.seek(0)
                self._channel.send(message, [payload.fileno(), writing])
        except ConnectionError:
            self._revive()
        finally:
            os.close(writing)

    def _listen(self) -> None:
        """Wait for frames, ends, or the next deadline."""
        assert self._channel is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel.socket, selectors.EVENT_READ)
            for running in self._running.values():
                if running.open:
                    selector.register(running.pipe, selectors.EVENT_READ, running)
            deadline = min(self._deadline(running) for running in self._running.values())
            events = selector.select(max(0.0, deadline - time.monotonic()) + 0.01)
        for key, _ in events:
            if key.data is not None:
                self._read(key.data)
        if any(key.data is None for key, _ in events):
            self._hear()

    def _hear(self) -> None:
        """Messages of the warm process: who ended, and how."""
        assert self._channel is not None
        messages = self._channel.receive()
        if messages is None:
            self._revive()
            return
        for message, _ in messages:
            running = self._running.get(message["ended"])
            if running is not None:
                running.exit, running.cpu = message["status"], message["cpu"]

    def _read(self, running: _Running, most: int = _CHUNK) -> bool:
        """Take what a pipe holds now, up to `most` bytes; whether there may be more."""
        try:
            data = os.read(running.pipe, most)
        except BlockingIOError:
            return False
        if not data:
            running.open = False
            return False
        if running.inbox.feed(data):
            running.heard = time.monotonic()
        if running.inbox.overflow:
            self._end(running, "too much output")
            running.open = False
            return False
        return True

    def _deadline(self, running: _Running) -> float:
        """When the pool has to act next."""
        if running.stopped:
            return running.stopped_at + _KILL_SECONDS
        limits = self.limits
        return min(running.started + limits.wall_seconds, running.heard + limits.cell_seconds + limits.grace_seconds)

    def _keep_time(self) -> None:
        now = time.monotonic()
        late = [r for r in self._running.values() if r.exit is None and now >= self._deadline(r)]
        if any(running.stopped for running in late):
            self._revive()  # the warm process did not carry out a kill
            return
        for running in late:
            self._end(running, "timed out")

    def _end(self, running: _Running, why: Ending) -> None:
        if running.stopped is None and running.exit is None:
            running.stopped, running.stopped_at = why, time.monotonic()
            assert self._channel is not None
            with contextlib.suppress(ConnectionError):  # its death is noticed where messages are read
                self._channel.send({"kill": running.number})

    def _revive(self) -> None:
        """The warm process is gone: start another; what was running is tried again, alone."""
        self._stop()
        for running in list(self._running.values()):
            if running.exit is None:
                if running.stopped is None and running.attempt == 1:
                    self._again.append(running.job)
                    self._forget(running)
                else:
                    running.exit = -signal.SIGKILL
                    running.stopped = running.stopped or "crashed"
        self._start()

    def _collect(self) -> Iterator[SubmissionRun]:
        for running in [r for r in self._running.values() if r.exit is not None]:
            while running.open and self._read(running):
                pass  # its process is gone, so what the pipe holds is all there will be
            ended = _result(running)
            self._forget(running)
            yield ended

    def _forget(self, running: _Running) -> None:
        os.close(running.pipe)
        del self._running[running.number]
        scratch.remove(running.folder)


def _result(running: _Running) -> SubmissionRun:
    inbox = running.inbox
    ending, detail = _ending(running)
    return SubmissionRun(
        key=running.job.key,
        ending=ending,
        detail=detail,
        cells=inbox.cells,
        evidence=inbox.evidence,
        missing=inbox.missing,
        notes=tuple(inbox.notes),
        cpu_seconds=running.cpu,
        probe_cpu_seconds=inbox.probe_seconds,
        wall_seconds=time.monotonic() - running.started,
    )


def _ending(running: _Running) -> tuple[Ending, str]:
    """The worst that happened, and where."""
    inbox, code = running.inbox, running.exit
    where = next((f" in cell {cell.index}" for cell in running.job.cells if cell.index not in inbox.cells), "")
    if running.stopped == "crashed":
        return "crashed", f"the warm process ended twice while this submission was running{where}"
    if running.stopped == "timed out":
        return "timed out", f"stopped from outside after {time.monotonic() - running.started:.0f} s{where}"
    if running.stopped:
        return running.stopped, f"sent more than a submission may{where}"
    if inbox.fault:
        return "crashed", f"the worker could not begin: {inbox.fault}"
    if code == 0 and inbox.done:
        return _worst_cell(inbox)
    if code == -signal.SIGKILL:
        return "out of memory", f"ended by the system, which does so when memory runs out{where}"
    if code == -signal.SIGXCPU:
        return "timed out", f"used up its processor time{where}"
    if code is not None and code < 0:
        return "crashed", f"ended by {signal.Signals(-code).name}{where}"
    return "crashed", f"the process ended itself with exit code {code}{where}"


def _worst_cell(inbox: Inbox) -> tuple[Ending, str]:
    for cell in inbox.cells.values():
        kind = (cell.error or "").partition(":")[0]
        if kind == "CellTimeout":
            return "timed out", f"cell {cell.index} {(cell.error or '').partition(': ')[2]}; the others ran"
        if kind.endswith("MemoryError") or "DefaultCPUAllocator" in (cell.error or ""):
            return "out of memory", f"cell {cell.index} asked for more memory than it may use; the others ran"
    return "finished", ""


def _environment(home: Path) -> dict[str, str]:
    """The environment of the warm process: no secret of the parent's, and nothing that changes results."""
    here = str(PACKAGE.parent)
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    installed = {*site.getsitepackages(), site.getusersitepackages()}
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return {
        **kept,
        **({} if here in installed else {"PYTHONPATH": here}),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "XDG_CACHE_HOME": cache,  # matplotlib's list of fonts takes a second to make
        "MPLBACKEND": "agg",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "COURSEKIT_SANDBOX": "1",
        "COURSEKIT_STATIC": "1",
    }
