"""From a result to the disk, in an order that loses and doubles nothing whenever it is cut off.

For each result: its pages; then its line in the journal; then, a few at a time, the gradebook. A result without a line is
graded once more; one with a line is written into the gradebook again if it is not there. Both come to the same, since a batch
keeps its draws.
"""

from __future__ import annotations

import errno
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import nbformat
from nbformat import NotebookNode

from coursekit.course import Course, Unit
from coursekit.errors import CoursekitError, GradebookLocked
from coursekit.files import replace as write
from coursekit.grading.assess import SubmissionResult, check_cell
from coursekit.grading.clean import clean_text
from coursekit.grading.host import Grades, Ledger, Order
from coursekit.grading.journal import Journal, Scores
from coursekit.grading.mend import new_notebook
from coursekit.grading.report import feedback_path, write_feedback

GROUP, GROUP_SECONDS = 20, 1.0
"""How many results, and how old, one transaction of the gradebook takes."""
T = TypeVar("T")
PATIENCE = 60.0
"""Seconds to wait for a gradebook that another process holds, once nothing else is left to do."""


def open_ledger(course: Course, of: Unit, patience: float = PATIENCE) -> Ledger:
    """The gradebook; one that another process holds is waited for. Raises `GradebookError`."""
    return _patiently(lambda: Ledger(course, of), course, patience)


class Recorder:
    """Writes results. `only` names the exercises whose scores are written; None means all."""

    def __init__(
        self,
        course: Course,
        ledger: Ledger,
        journal: Journal,
        failures: list[str],
        *,
        only: frozenset[str] | None = None,
    ) -> None:
        self.course, self._ledger, self._journal, self._failures = course, ledger, journal, failures
        self.record_seconds = self.feedback_seconds = 0.0
        self._cells = None if only is None else frozenset(map(check_cell, only))
        self.before: Mapping[str, Mapping[str, Grades]] = ledger.grades()
        """What the gradebook held when this run began, by student."""
        self._waiting: list[Order] = []
        self._since = 0.0

    def take(self, result: SubmissionResult, work: str) -> None:
        """Write a result's pages and its line in the journal; the gradebook follows. Raises `JournalError`."""
        last = self._journal.last.get(result.student)
        order = Order(result, self._cells_of(result), unchanged=last is not None and last.work == work)
        begun = time.perf_counter()
        try:
            write_autograded(self.course, result)
            written = time.perf_counter()
            write_feedback(self.course, result)
        except (CoursekitError, OSError) as error:  # without a line: the next run sees to it
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._journal.trouble(error) from error  # nobody else's pages would fit, either
            self._failures.append(f"{result.student}: {error}")
        else:
            paged = time.perf_counter()
            self._journal.append(work, self._was(order), replace(result, notebook=None))
            self.feedback_seconds += paged - written
            self.record_seconds += written - begun + time.perf_counter() - paged
        self._enter(order)

    def again(self, result: SubmissionResult) -> bool:
        """See to it that the gradebook has a result that an earlier run wrote down; False where its pages are gone."""
        pages = autograded_path(self.course, result), feedback_path(self.course, result.student, result.unit)
        if not all(page.is_file() for page in pages):
            return False
        order, held = Order(result, self._cells_of(result)), self.before.get(result.student, {})
        wanted = {cell: score for cell, score in result.scores().items() if _touches(order, cell)}
        if any(cell not in held or held[cell].automatic != score for cell, score in wanted.items()):
            self._enter(order)
        return True

    def flush(self, patience: float = 0.0) -> None:
        """Write what waits into the gradebook. What another process keeps it from goes on waiting, here for `patience`."""
        begun = time.perf_counter()
        if self._waiting:
            try:
                told = _patiently(lambda: self._ledger.record_all(self._waiting), self.course, patience)
            except GradebookLocked:
                self._since = time.monotonic()
            else:
                self._failures += [f"{student}: {why}" for student, why in told.items()]
                self._waiting = []
        self.record_seconds += time.perf_counter() - begun

    def close(self) -> None:
        """Write the last ones; whoever cannot be written is a failure."""
        self.flush(PATIENCE)
        for order in self._waiting:
            self._failures.append(
                f"{order.result.student}: gradebook {self.course.gradebook} is held by another process; the result is in the "
                "journal. Close formgrader or whatever else writes to it, and run the same command again."
            )

    def _enter(self, order: Order) -> None:
        self._since = self._since if self._waiting else time.monotonic()
        self._waiting.append(order)
        if len(self._waiting) >= GROUP or time.monotonic() - self._since > GROUP_SECONDS:
            self.flush()

    def graded(self, student: str) -> bool:
        """Whether the gradebook had a score of theirs when this run began."""
        return any(grade.automatic is not None for grade in self.before.get(student, {}).values())

    def _cells_of(self, result: SubmissionResult) -> frozenset[str] | None:
        """Whoever was never graded is graded whole."""
        return self._cells if self.graded(result.student) else None

    def _was(self, order: Order) -> Scores | None:
        """The scores that this result replaces by others; None for whoever was never graded."""
        result, held = order.result, self.before.get(order.result.student, {})
        if not self.graded(result.student):
            return None
        before = {cell: held[cell].automatic for cell in result.scores() if cell in held and _touches(order, cell)}
        return {cell: old for cell, old in before.items() if old is not None and old != result.scores()[cell]}


def _patiently(action: Callable[[], T], course: Course, patience: float) -> T:
    """Do it, again and again while another process holds the gradebook; raises `GradebookLocked` after `patience`."""
    until, said = time.monotonic() + patience, False
    while True:
        try:
            return action()
        except GradebookLocked:
            if time.monotonic() >= until:
                raise
            if not said:
                print(f"waiting for another process to let go of {course.gradebook}", file=sys.stderr, flush=True)
                said = True


def _touches(order: Order, cell: str) -> bool:
    return order.only is None or cell in order.only


def autograded_path(course: Course, result: SubmissionResult) -> Path:
    """Where nbgrader puts it, so that formgrader shows it."""
    return course.autograded / result.student / result.unit.name / f"{result.unit.name}.ipynb"


def write_autograded(course: Course, result: SubmissionResult) -> None:
    """The notebook as it was graded."""
    # On one line: Python's encoder is ten times as fast without indentation, and nbformat reads either.
    text = json.dumps(result.notebook or _stand_in(result), ensure_ascii=False, sort_keys=True)
    write(autograded_path(course, result), text)


def _stand_in(result: SubmissionResult) -> NotebookNode:
    """What formgrader shows of a submission that is no notebook."""
    why = nbformat.v4.new_markdown_cell(
        f"This submission could not be read: {clean_text(result.detail)}", id="unreadable"
    )
    return new_notebook([why], {})
