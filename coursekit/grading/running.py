"""One submission that a fork is working on, as the pool sees it: what has come, how late it is, how it ended."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from coursekit.grading import scratch
from coursekit.grading.frames import Inbox
from coursekit.grading.results import Ending, Limits, SubmissionJob, SubmissionRun, ran_out_of_memory

_CHUNK = 1 << 18
_KILL_SECONDS = 5.0
"""A kill that takes longer means that the warm process is stuck."""


@dataclass
class Running:
    """A submission between being handed out and its result."""

    number: int
    job: SubmissionJob
    inbox: Inbox
    limits: Limits
    pipe: int
    folder: Path
    started: float
    """When it was begun; before that, when it was handed out."""
    attempt: int
    heard: float = math.inf
    """When the last whole frame came."""
    begun: bool = False
    """Whether the warm process has told that it works on it: only from then on does its time count."""
    stopped: Ending | None = None
    """Why the pool ended it."""
    stopped_at: float = 0.0
    exit: int | None = None
    """Its exit code, or the number of a signal below zero, once the warm process has told."""
    cpu: float = 0.0
    open: bool = True
    """Whether the pipe may hold more."""
    disturbed: bool = False
    """Whether the machine, or whoever listens, stood still while it ran."""

    @property
    def deadline(self) -> float:
        """When the pool has to act next."""
        if self.stopped:
            return self.stopped_at + _KILL_SECONDS
        if not self.begun:
            return math.inf
        silent = self.heard + self.limits.cell_seconds + self.limits.grace_seconds
        return min(self.started + self.limits.wall_seconds, silent)

    def begin(self) -> None:
        """Its time counts from now on."""
        self.begun, self.started = True, time.monotonic()
        self.heard = self.started

    def read(self) -> int:
        """Take what the pipe holds now; how many bytes that was."""
        try:
            data = os.read(self.pipe, _CHUNK)
        except BlockingIOError:
            return 0
        if data and self.inbox.feed(data):
            self.heard = time.monotonic()
        self.open = bool(data) and not self.inbox.overflow
        return len(data)

    def excuse(self, seconds: float) -> None:
        """Do not count time in which nobody could listen."""
        self.started += seconds
        self.heard += seconds
        self.stopped_at += seconds

    def forget(self) -> None:
        """Close and remove what the parent made for it."""
        os.close(self.pipe)
        with contextlib.suppress(OSError):  # the pool's own folder is removed once more in the end
            scratch.remove(self.folder)

    @property
    def killed(self) -> bool:
        """Whether somebody else ended it: the system, when memory runs out, takes one process to save the others."""
        return self.exit == -signal.SIGKILL and self.stopped is None and not self.inbox.overflow

    def result(self) -> SubmissionRun:
        ending, detail = self._ending()
        return self.inbox.run(ending, detail, cpu=self.cpu, wall=time.monotonic() - self.started)

    def _ending(self) -> tuple[Ending, str]:
        """The worst that happened, and where."""
        inbox, code = self.inbox, self.exit
        where = next((f" in cell {cell.index}" for cell in self.job.cells if cell.index not in inbox.cells), "")
        if self.stopped == "crashed":
            return "crashed", f"the warm process ended twice while this submission was running{where}"
        if self.stopped == "timed out":
            return "timed out", f"stopped from outside after {time.monotonic() - self.started:.0f} s{where}"
        if self.stopped or inbox.overflow:
            return "too much output", f"sent more than a submission may{where}"
        if inbox.fault:
            return "crashed", f"the worker could not begin: {inbox.fault}"
        if code == 0 and inbox.done:
            return _worst_cell(inbox)
        if code == -signal.SIGKILL:
            return "out of memory", f"ended by the system, which does so when memory runs out, also when alone{where}"
        if code == -signal.SIGXCPU:
            return "timed out", f"used up its processor time{where}"
        if code is not None and code < 0:
            return "crashed", f"ended by {signal.Signals(-code).name}{where}"
        return "crashed", f"the process ended itself with exit code {code}{where}"


def _worst_cell(inbox: Inbox) -> tuple[Ending, str]:
    for cell in inbox.cells.values():
        kind, _, message = (cell.error or "").partition(": ")
        if kind == "CellTimeout":
            return "timed out", f"cell {cell.index} {message}; the others ran"
        if ran_out_of_memory(cell.error or ""):
            return "out of memory", f"cell {cell.index} asked for more memory than it may use; the others ran"
    return "finished", ""
