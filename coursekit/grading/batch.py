"""Grade a class: collect, mend, run, judge, record, report; one line of flow."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from coursekit.course import Course, Unit
from coursekit.errors import CoursekitError, NotebookError
from coursekit.files import replace
from coursekit.grading.assess import Examiner, Submission, SubmissionResult
from coursekit.grading.clean import clean_text
from coursekit.grading.mend import Mended, mend, new_notebook, read_submission
from coursekit.grading.pool import Pool
from coursekit.grading.results import Limits, SubmissionJob


@dataclass
class Timing:
    """Wall seconds by phase. Judging, recording and feedback happen while submissions run, within `run_wall`."""

    start_up: float = 0.0
    run_wall: float = 0.0
    """From the first submission to the last result."""
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
    timing: Timing = field(default_factory=Timing)
    failures: list[str] = field(default_factory=list)
    """What could not be written, by student; nothing else is lost by it."""


class _Warming:
    """A pool that starts on the side, while this process imports nbgrader and works out what to expect."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self._side = pool, ThreadPoolExecutor(max_workers=1)
        self._starting = self._side.submit(pool.__enter__)

    def ready(self) -> Pool:
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
    submissions: Sequence[Submission], of: Unit, course: Course, warming: _Warming, seed: int | None, timing: Timing
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
        result = examiner.result(submission, release, mended, run)
        timing.judge += time.perf_counter() - judged
        timing.cells_cpu += sum(cell.seconds for cell in run.cells.values())
        yield result
    for submission, why in unreadable:
        yield examiner.unreadable(submission, why)
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
    on_result: Callable[[SubmissionResult], None] = lambda result: None,
) -> Batch:
    """Grade submissions into the course's gradebook, with autograded notebooks, feedback pages and a class report."""
    batch, begun = Batch(of), time.perf_counter()
    timing = batch.timing
    with _Warming(_pool(of, course, jobs, limits, trust)) as warming:
        from coursekit.grading.host import Ledger
        from coursekit.grading.report import write_feedback, write_report

        with contextlib.closing(Ledger(course, of)) as ledger:
            for result in _assess(submissions, of, course, warming, seed, timing):
                batch.results.append(result)
                start = time.perf_counter()
                try:
                    ledger.record(result)
                    _write_autograded(course, result)
                    recorded = time.perf_counter()
                    write_feedback(course, result)
                    timing.record += recorded - start
                    timing.feedback += time.perf_counter() - recorded
                except (CoursekitError, OSError) as error:
                    batch.failures.append(f"{result.student}: {error}")
                on_result(result)
    batch.results.sort(key=lambda r: r.student)
    start = time.perf_counter()
    try:
        write_report(course, batch)
    except OSError as error:
        batch.failures.append(f"class report: {error}")
    timing.feedback += time.perf_counter() - start
    timing.total = time.perf_counter() - begun
    timing.start_up = timing.total - timing.run_wall
    return batch


def _write_autograded(course: Course, result: SubmissionResult) -> None:
    """Where nbgrader puts it, so that formgrader shows it."""
    folder = course.autograded / result.student / result.unit.name
    # On one line: Python's encoder is ten times as fast without indentation, and nbformat reads either.
    text = json.dumps(result.notebook or _stand_in(result), ensure_ascii=False, sort_keys=True)
    replace(folder / f"{result.unit.name}.ipynb", text)


def _stand_in(result: SubmissionResult) -> NotebookNode:
    """What formgrader shows of a submission that is no notebook."""
    why = nbformat.v4.new_markdown_cell(f"This submission could not be read: {clean_text(result.detail)}", id="unreadable")
    return new_notebook([why], {})
