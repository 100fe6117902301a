"""The same sandboxed workers behind a Dask scheduler: `coursekit grade --scheduler ADDRESS`.

::

    parent  --  cells, files, draws: plain data, no names  -->  scheduler  -->  Dask worker: one warm `Pool`
    parent  <--  bytes of how it ended and of its frames  <----------------------

Each Dask worker keeps one warm pool for every thread it has, and runs a submission in it as `coursekit grade` does on one
machine; workers share no file system with each other or with the parent. What a submission said is checked again in the parent
(`wire.load`), judged there, and recorded there. A worker that is lost costs time: Dask gives its submissions to another.

Who trusts whom: parent, scheduler and workers trust each other entirely, since Dask's messages are pickles. A submission
is in the sandbox, without network, descriptors or files of the worker's, so it cannot speak to any of them; but whoever else
reaches the scheduler's port can run code on all of them. Keep it in a private network, or use Dask's TLS.
"""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from coursekit.checks.codec import pack, unpack
from coursekit.course import Unit, unit
from coursekit.errors import CoursekitError, EvidenceError, InputError, SchedulerError
from coursekit.grading import fingerprint, wire
from coursekit.grading.pool import Pool
from coursekit.grading.results import Limits, SubmissionJob, SubmissionRun
from coursekit.grading.scratch import Place

CONNECT_SECONDS = 30.0
_ALONE_SECONDS = 300.0
"""How long a batch waits without any worker."""
_LOOK_SECONDS = 5.0
_AHEAD = 2
"""Submissions for each thread of the cluster that wait at the scheduler: enough to keep it busy, little enough to hold."""


class Cluster:
    """Workers behind the scheduler at `address`; used as a `Pool` is. Raises `SchedulerError`."""

    def __init__(
        self, address: str, of: Unit, *, limits: Limits, hidden: Iterable[Path] = (), trust: bool = False
    ) -> None:
        self.address, self.limits = address, limits
        self._setting = Setting(of.number, fingerprint.of_worker(of), limits, tuple(map(str, hidden)), trust)
        self._client: Any = None
        self._draws: tuple[Any, bytes] = (None, b"")

    def __enter__(self) -> Cluster:
        try:
            from distributed import Client
        except ImportError as error:
            raise SchedulerError(
                "grading on a cluster needs Dask distributed, which is not installed here: pip install 'coursekit[scale]'."
            ) from error
        try:
            self._client = Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            self.close()
            raise SchedulerError(
                f"scheduler {self.address}: no worker could be reached in {CONNECT_SECONDS:g} s ({str(error)[:200]}), expected "
                "a Dask scheduler with at least one worker. Start them with `dask scheduler` and `dask worker ADDRESS`."
            ) from error
        return self

    def close(self) -> None:
        if self._client is not None:
            self._client.close(timeout=5)
            self._client = None

    def run(self, jobs: Iterable[SubmissionJob]) -> Iterator[SubmissionRun]:
        """Run submissions; yields what became of each, in order of completion."""
        waiting, ended = iter(jobs), queue.SimpleQueue[Any]()
        running: dict[str, tuple[Any, SubmissionJob]] = {}
        while True:
            places = max(2, _AHEAD * sum(self._threads()))
            while len(running) < places and (job := next(waiting, None)) is not None:
                try:
                    sent = wire.parcel(job, self.limits)
                except (OSError, InputError) as error:
                    yield wire.failed(job, f"the files beside the notebook could not be read: {error}")
                    continue
                future = self._client.submit(run_one, sent, self._packed(job), self._setting, pure=False)
                running[future.key] = future, job
                future.add_done_callback(ended.put)
            if not running:
                return
            future, job = running.pop(self._next(ended).key)
            yield self._run_of(future, job)

    def _run_of(self, future: Any, job: SubmissionJob) -> SubmissionRun:
        from distributed.scheduler import KilledWorker

        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                return wire.failed(job, "each worker that ran this submission was lost")
            if isinstance(error, CoursekitError):
                raise SchedulerError(f"scheduler {self.address}: a worker says: {error}") from error
            raise SchedulerError(
                f"scheduler {self.address}: a worker failed ({type(error).__name__}: {str(error)[:300]}), expected one with "
                "the same coursekit and the same libraries as here."
            ) from error
        if future.status != "finished":
            raise SchedulerError(
                f"scheduler {self.address}: lost ({future.status}). What was graded stays; start the scheduler and run the "
                "same command again."
            )
        try:
            return wire.load(job, self.limits, future.result())
        except EvidenceError as error:
            return wire.failed(job, str(error))

    def _next(self, ended: queue.SimpleQueue[Any]) -> Any:
        """The next future that is done. Raises `SchedulerError` where there has been no worker for long."""
        alone = 0.0
        while True:
            with contextlib.suppress(queue.Empty):
                return ended.get(timeout=_LOOK_SECONDS)
            alone = 0.0 if self._threads() else alone + _LOOK_SECONDS
            if alone >= _ALONE_SECONDS:
                raise SchedulerError(
                    f"scheduler {self.address}: has had no worker for {alone:.0f} s. What was graded stays; start workers and "
                    "run the same command again."
                )

    def _threads(self) -> list[int]:
        try:
            return list(self._client.nthreads().values())
        except (OSError, TimeoutError):  # a scheduler that is gone: its futures say so
            return []

    def _packed(self, job: SubmissionJob) -> bytes:
        if self._draws[0] is not job.draws:
            self._draws = job.draws, pack(dict(job.draws))
        return self._draws[1]


class Setting:
    """What a pool on a worker is made for."""

    def __init__(self, number: str, code: str, limits: Limits, hidden: tuple[str, ...], trust: bool) -> None:
        self.number, self.code, self.limits, self.hidden, self.trust = number, code, limits, hidden, trust

    def key(self) -> str:
        return repr((self.number, self.code, self.limits, self.hidden, self.trust))

    def pool(self) -> Pool:
        """A warm pool. Raises `CoursekitError` where this machine's code is not the parent's."""
        if fingerprint.of_worker(unit(self.number)) != self.code:
            raise SchedulerError(
                "this worker's coursekit or its libraries differ from those of the one who grades; install the same on both."
            )
        hidden = [Path(path) for path in self.hidden if Path(path).exists()]
        return Pool(jobs=1, limits=self.limits, units=[self.number], hidden=hidden, trust=self.trust).__enter__()


# What follows runs in a Dask worker.

_LOCK = threading.Lock()
_IDLE: dict[str, list[Pool]] = {}
"""Warm pools, by what they were made for."""


def run_one(sent: wire.Parcel, draws: bytes, setting: Setting) -> bytes:
    """Run one submission on this worker."""
    pool = _borrow(setting)
    with Place.make() as folder:
        [run] = pool.run([wire.unpack_job(sent, folder / "files", unpack(draws))])
    with _LOCK:  # a pool that failed is not handed on
        _IDLE.setdefault(setting.key(), []).append(pool)
    return wire.dump(run)


def _borrow(setting: Setting) -> Pool:
    """An idle pool of this kind, or a new one; those of other kinds are closed."""
    with _LOCK:
        others = [pool for key in list(_IDLE) if key != setting.key() for pool in _IDLE.pop(key)]
        mine = _IDLE.get(setting.key(), [])
        found = mine.pop() if mine else None
    for pool in others:
        pool.close()
    return found or setting.pool()


@atexit.register
def _close() -> None:
    with _LOCK:
        for pools in _IDLE.values():
            for pool in pools:
                pool.close()
        _IDLE.clear()
