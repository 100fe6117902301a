"""Grade a class: collect, mend, run, judge, record, report; one line of flow."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from coursekit.checks.judge import Verdict
from coursekit.course import Course, Unit
from coursekit.errors import NotebookError
from coursekit.grading import fingerprint, regrade
from coursekit.grading.assess import Examiner, Submission, SubmissionResult
from coursekit.grading.journal import Journal
from coursekit.grading.lock import alone
from coursekit.grading.mend import Mended, mend, read_submission
from coursekit.grading.pool import Pool
from coursekit.grading.regrade import Change
from coursekit.grading.results import Limits, SubmissionJob, SubmissionRun

if TYPE_CHECKING:  # nbgrader is imported while the workers warm up
    from coursekit.grading.recording import Recorder


@dataclass
class Timing:
    """Wall seconds by phase. Judging, recording and feedback happen while submissions run, within `run_wall`."""

    start_up: float = 0.0
    run_wall: float = 0.0
    """From the first submission to the last recorded result."""
    judge: float = 0.0
    record: float = 0.0
    feedback: float = 0.0
    total: float = 0.0
    cells_cpu: float = 0.0
    """CPU seconds of the students' cells and the probes."""


@dataclass
class Batch:
    """What came of grading a class."""

    unit: Unit
    results: list[SubmissionResult] = field(default_factory=list)
    """Without notebooks and answers: `autograded/` holds these, however large the class."""
    timing: Timing = field(default_factory=Timing)
    failures: list[str] = field(default_factory=list)
    """What could not be written, by student; nothing else is lost by it."""
    resumed: int = 0
    """How many of the results are from before this run was killed and taken up again."""
    regraded: bool = False
    """Whether somebody among them had been graded before."""
    changes: list[Change] = field(default_factory=list)
    """The scores that differ from those before."""


class Workers(Protocol):
    """Whatever runs submissions: a `Pool` here, or a cluster's."""

    def __enter__(self) -> Workers: ...
    def close(self) -> None: ...
    def run(self, jobs: Iterable[SubmissionJob]) -> Iterator[SubmissionRun]: ...


Kept = Callable[[str], Mapping[str, Verdict]]
"""For a student, the verdicts that stay as they are."""


class _Warming:
    """Workers that start on the side, while this process imports nbgrader and works out what to expect."""

    def __init__(self, pool: Workers) -> None:
        self._pool, self._side = pool, ThreadPoolExecutor(max_workers=1)
        self._starting = self._side.submit(pool.__enter__)

    def ready(self) -> Workers:
        return self._starting.result()

    def __enter__(self) -> _Warming:
        return self

    def __exit__(self, *_: object) -> None:
        self._side.shutdown(wait=True)
        if self._starting.exception() is None:
            self._pool.close()


def assess(
    submissions: Sequence[Submission],
    of: Unit,
    course: Course,
    *,
    seed: int | None = None,
    jobs: int = 2,
    limits: Limits | None = None,
    trust: bool = False,
) -> Iterator[SubmissionResult]:
    """Run and judge submissions, as they finish. Every one yields exactly one result; nothing is recorded."""
    with _Warming(_pool(of, course, jobs, limits, trust)) as warming:
        yield from _assess(submissions, of, course, warming, seed, Timing())


def _pool(of: Unit, course: Course, jobs: int, limits: Limits | None, trust: bool) -> Pool:
    return Pool(jobs=jobs, limits=limits or Limits(), units=[of.number], hidden=[course.root], trust=trust)


def _assess(
    submissions: Iterable[Submission],
    of: Unit,
    course: Course,
    warming: _Warming,
    seed: int | None,
    timing: Timing,
    kept: Kept = lambda student: {},
) -> Iterator[SubmissionResult]:
    from coursekit.grading.host import read_release

    release = read_release(course, of)
    examiner = Examiner(of, secrets.randbits(62) if seed is None else seed)
    examiner.prepare()
    pending: dict[str, tuple[Submission, Mended]] = {}
    unreadable: list[tuple[Submission, str]] = []

    def work() -> Iterator[SubmissionJob]:
        for number, submission in enumerate(submissions):
            try:
                mended = mend(release, read_submission(Path(submission.notebook)))
            except NotebookError as error:
                unreadable.append((submission, str(error)))
                continue
            key = f"{number}"
            pending[key] = submission, mended
            yield examiner.job(key, mended, submission)

    pool = warming.ready()
    started = time.perf_counter()
    for run in pool.run(work()):
        submission, mended = pending.pop(run.key)
        judged = time.perf_counter()
        result = examiner.result(submission, release, mended, run, kept(submission.student))
        timing.judge += time.perf_counter() - judged
        timing.cells_cpu += sum(cell.seconds for cell in run.cells.values())
        yield result
    for submission, why in unreadable:
        result = examiner.unreadable(submission, why)
        yield dataclasses.replace(result, verdicts={**result.verdicts, **kept(submission.student)})
    timing.run_wall = time.perf_counter() - started


def grade(
    submissions: Sequence[Submission],
    of: Unit,
    course: Course,
    *,
    seed: int | None = None,
    jobs: int = 2,
    limits: Limits | None = None,
    trust: bool = False,
    exercises: frozenset[str] | None = None,
    part: bool = False,
    anew: bool = False,
    workers: Workers | None = None,
    names: bool = False,
    on_start: Callable[[int, str], None] = lambda done, since: None,
    on_result: Callable[[SubmissionResult], None] = lambda result: None,
) -> Batch:
    """Grade submissions into the course's gradebook, with autograded notebooks, feedback pages and a class report.

    A batch that was killed is taken up where it was, unless `anew`; `on_start` is told how many were done, and since when.
    `exercises` (default: all) are those whose scores may change, for whoever was graded before; `part` says that
    `submissions` are a choice. `workers` run the submissions (default: this machine's). Raises `CourseBusy` while
    another run grades this course, `JournalError` where the disk is full: what was done until then stays.
    """
    batch, begun = Batch(of), time.perf_counter()
    timing = batch.timing
    limits = limits or Limits()
    terms = {
        "scope": {
            "students": sorted(s.student for s in submissions) if part else None,
            "exercises": sorted(exercises) if exercises else None,
        },
        "release": fingerprint.of_release(course, of),
        "checks": fingerprint.of_checks(of),
        "limits": {**dataclasses.asdict(limits), "trust": trust},
        "seed": seed,
    }
    with alone(course), _Warming(workers or _pool(of, course, jobs, limits, trust)) as warming:
        from coursekit.grading.recording import Recorder, open_ledger
        from coursekit.grading.report import write_report

        with contextlib.closing(open_ledger(course, of)) as ledger, Journal(course, of, terms, anew=anew) as journal:
            recorder = Recorder(course, ledger, journal, batch.failures, only=exercises)
            kept = _kept(recorder, journal, exercises)
            todo = list(_undone(submissions, journal, recorder, batch))
            on_start(batch.resumed, journal.begun)
            works: dict[str, str] = {}
            try:
                for result in _assess(_digested(todo, works), of, course, warming, journal.seed, timing, kept):
                    recorder.take(result, works.get(result.student, ""))
                    batch.results.append(dataclasses.replace(result, notebook=None, answers={}))  # autograded/ has them
                    on_result(result)
            finally:
                flushing = time.perf_counter()
                recorder.close()
                timing.run_wall += time.perf_counter() - flushing
            timing.record, timing.feedback = recorder.record_seconds, recorder.feedback_seconds
            batch.results.sort(key=lambda r: r.student)
            _compare(batch, journal, recorder)
            start = time.perf_counter()
            try:
                write_report(course, dataclasses.replace(batch, results=_everyone(batch, journal)), names=names)
                if batch.regraded:
                    regrade.write(course, of, batch.changes)
            except OSError as error:
                batch.failures.append(f"class report: {error}")
            timing.feedback += time.perf_counter() - start
            if not batch.failures:
                journal.finish()
    timing.total = time.perf_counter() - begun
    timing.start_up = timing.total - timing.run_wall
    return batch


def _kept(recorder: Recorder, journal: Journal, exercises: frozenset[str] | None) -> Kept:
    """The verdicts of the last time, on exercises that are not to be graded again."""

    def kept(student: str) -> Mapping[str, Verdict]:
        last = journal.last.get(student)
        if exercises is None or last is None or not recorder.graded(student):
            return {}
        return {name: verdict for name, verdict in last.result.verdicts.items() if name not in exercises}

    return kept


def _undone(
    submissions: Sequence[Submission], journal: Journal, recorder: Recorder, batch: Batch
) -> Iterator[Submission]:
    """What is left to do; the results of the rest go into the batch."""
    for submission in submissions:
        entry = journal.last.get(submission.student)
        done = (
            entry is not None and entry.batch == journal.batch and entry.work == fingerprint.of_submission(submission)
        )
        if entry and done and recorder.again(entry.result):
            batch.results.append(entry.result)
            batch.resumed += 1
            continue
        yield submission


def _digested(submissions: Iterable[Submission], works: dict[str, str]) -> Iterator[Submission]:
    """Each with its digest taken before it is read: what changes in between is then seen as changed."""
    for submission in submissions:
        works[submission.student] = fingerprint.of_submission(submission)
        yield submission


def _compare(batch: Batch, journal: Journal, recorder: Recorder) -> None:
    for result in batch.results:
        entry, held = journal.last.get(result.student), recorder.before.get(result.student, {})
        if entry is not None and entry.was is not None:
            batch.regraded = True
            batch.changes += regrade.changes(result, entry.was, held)


def _everyone(batch: Batch, journal: Journal) -> list[SubmissionResult]:
    """The class: whoever has a result by now, from this run or an earlier one."""
    now = {result.student: result for result in batch.results}
    others = {name: entry.result for name, entry in journal.last.items() if name not in now}
    return [result for _, result in sorted({**others, **now}.items())]
