"""From one submission's run to its result. Trusted code on plain data: nothing of the submission is executed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from nbformat import NotebookNode

from coursekit.checks.declare import Inputs
from coursekit.checks.isolate import quiet
from coursekit.checks.judge import LiveExpectation, Verdict, judge, missing
from coursekit.checks.score import Score, next_step, part_lines, points
from coursekit.course import Unit
from coursekit.exercises import catalogue
from coursekit.grading.clean import clean_outputs, clean_text
from coursekit.grading.mend import Mended, is_showcase, new_notebook, shallow
from coursekit.grading.results import CellJob, SubmissionJob, SubmissionRun
from coursekit.runtime import threads

_MOST_KNOWN = 4000
"""Verdicts that are kept for whoever sends the same evidence: about 10 MB."""

SKIPPED = "Not run in grading: this cell shows something, and no exercise needs it.\n"
Status = Literal["scored", "partly run", "timed out", "out of memory", "crashed", "unreadable"]


@dataclass(frozen=True)
class Submission:
    """What was handed in: by whom, which notebook, and the folder with the files beside it."""

    student: str
    notebook: Any
    """Path of the notebook; it may be missing, unreadable or no notebook at all."""
    folder: Any = None
    timestamp: str | None = None


@dataclass(frozen=True)
class SubmissionResult:
    """What a submission is worth, whatever it did."""

    student: str
    unit: Unit
    status: Status
    detail: str = ""
    notes: tuple[str, ...] = ()
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By exercise id, redacted: safe to show to the student."""
    notebook: NotebookNode | None = None
    """The mended notebook with the outputs of this run, safe to show in a browser."""
    answers: dict[str, str] = field(default_factory=dict)
    """The student's own text by grade id."""
    unanswered: frozenset[str] = frozenset()
    """Grade ids of manually graded cells that were left as handed out."""
    timestamp: str | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    exercise_seconds: dict[str, float] = field(default_factory=dict)
    """CPU seconds by exercise id: of the answer's cell and the probes."""

    @property
    def earned(self) -> float:
        return sum(verdict.earned for verdict in self.verdicts.values())

    @property
    def possible(self) -> float:
        return sum(verdict.possible for verdict in self.verdicts.values())

    def scores(self) -> dict[str, float]:
        """Points by the grade id of the check cell: one for every exercise, in every case."""
        return {check_cell(identifier): verdict.earned for identifier, verdict in self.verdicts.items()}

    def comments(self) -> dict[str, str]:
        """Markdown by the grade id of the answer cell. Escaped: exceptions quote the student's code."""
        return {answer_cell(identifier): _comment(verdict) for identifier, verdict in self.verdicts.items()}


def check_cell(identifier: str) -> str:
    """The grade id of an exercise's check cell."""
    return f"check-{identifier.partition('.')[2]}"


def answer_cell(identifier: str) -> str:
    return identifier.partition(".")[2]


class Examiner:
    """Sets the secret draws of a batch and judges what comes back."""

    def __init__(self, unit: Unit, seed: int) -> None:
        self.unit = unit
        self._known: dict[tuple[str, bytes], Verdict] = {}
        self.expectations = {name: LiveExpectation(key, seed) for name, key in catalogue.keys(unit).items()}

    @cached_property
    def draws(self) -> dict[str, list[Inputs]]:
        """What the worker is told: the inputs, and nothing that was computed from them."""
        return {name: expectation.inputs for name, expectation in self.expectations.items()}

    def prepare(self) -> None:
        """Work out what right and mistaken answers bring to light, once for the batch."""
        with threads(1), quiet():
            for expectation in self.expectations.values():
                _ = expectation.expected, expectation.mistakes

    def job(self, key: str, mended: Mended, submission: Submission) -> SubmissionJob:
        """The work order for a submission."""
        exercises = {check_cell(name): name for name in self.expectations}
        cells = tuple(
            CellJob(index, cell.source, exercises.get(cell.metadata.get("nbgrader", {}).get("grade_id", "")))
            for index, cell in enumerate(mended.notebook.cells)
            if cell.cell_type == "code" and not is_showcase(cell)
        )
        return SubmissionJob(key=key, cells=cells, draws=self.draws, files=submission.folder)

    def result(
        self,
        submission: Submission,
        release: NotebookNode,
        mended: Mended,
        run: SubmissionRun,
        kept: Mapping[str, Verdict] | None = None,
    ) -> SubmissionResult:
        """Judge a run, all but the exercises whose verdicts are `kept` from an earlier one."""
        kept = kept or {}
        with threads(1):  # the second core belongs to the next submission
            verdicts = {
                name: kept.get(name) or self._verdict(name, expectation, run)
                for name, expectation in self.expectations.items()
            }
        notebook = _with_outputs(mended.notebook, run, verdicts)
        return SubmissionResult(
            student=submission.student,
            unit=self.unit,
            status=_status(run, verdicts),
            detail=run.detail,
            notes=(*mended.notes, *run.notes),
            verdicts=verdicts,
            notebook=notebook,
            answers=_answers(mended.notebook),
            unanswered=_unanswered(release, mended.notebook),
            timestamp=submission.timestamp,
            seconds=run.wall_seconds,
            cpu_seconds=run.cpu_seconds,
            exercise_seconds=_exercise_seconds(mended.notebook, run, verdicts),
        )

    def _verdict(self, name: str, expectation: LiveExpectation, run: SubmissionRun) -> Verdict:
        """A verdict depends on the evidence alone, and many students send the same, to the bit: it is judged once."""
        digest = run.digests.get(name)
        known = self._known.get((name, digest)) if digest else None
        if known is not None:
            return known
        verdict = judge(expectation.key.question, expectation, run.evidence.get(name)).redacted()
        if digest:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[name, digest] = verdict
        return verdict

    def unreadable(self, submission: Submission, why: str) -> SubmissionResult:
        """The result of what cannot be run: every exercise gets its 0, so that no older score survives."""
        verdicts = {name: missing(expectation.key.question) for name, expectation in self.expectations.items()}
        return SubmissionResult(
            student=submission.student,
            unit=self.unit,
            status="unreadable",
            detail=why.encode("utf-8", "replace").decode(),
            verdicts=verdicts,
            unanswered=frozenset(q.name for q in catalogue.manual_questions(self.unit)),
            timestamp=submission.timestamp,
        )


def _status(run: SubmissionRun, verdicts: dict[str, Verdict]) -> Status:
    if run.ending in ("timed out", "out of memory", "crashed"):
        return run.ending
    complete = run.ending == "finished" and all(cell.error is None for cell in run.cells.values())
    return "scored" if complete and not any(v.status == "missing" for v in verdicts.values()) else "partly run"


def _with_outputs(notebook: NotebookNode, run: SubmissionRun, verdicts: dict[str, Verdict]) -> NotebookNode:
    """A copy with the outputs of the run; a check cell's output is the judge's own verdict."""
    by_cell = {check_cell(name): verdict for name, verdict in verdicts.items()}
    copy = new_notebook([], notebook.metadata)
    for index, cell in enumerate(notebook.cells):
        fresh = shallow(cell)
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if cell.cell_type == "code":
            if name in by_cell:
                fresh.outputs = [_verdict_output(by_cell[name])]
            elif is_showcase(cell):
                fresh.outputs = [NotebookNode(output_type="stream", name="stdout", text=SKIPPED)]
            elif index in run.cells:
                fresh.outputs = clean_outputs(run.cells[index].outputs)
            fresh.execution_count = None
        elif not cell.metadata.get("nbgrader", {}).get("locked"):
            fresh.source = clean_text(cell.source, cell.get("attachments", ()))
        copy.cells.append(fresh)
    return copy


def _verdict_output(verdict: Verdict) -> NotebookNode:
    data = Score(verdict)._repr_mimebundle_()
    return shallow(output_type="execute_result", data=data, metadata={}, execution_count=None)


def _exercise_seconds(notebook: NotebookNode, run: SubmissionRun, verdicts: Mapping[str, Verdict]) -> dict[str, float]:
    spent = {
        cell.metadata.get("nbgrader", {}).get("grade_id"): run.cells[index].seconds
        for index, cell in enumerate(notebook.cells)
        if index in run.cells
    }
    return {name: round(spent.get(answer_cell(name), 0.0) + spent.get(check_cell(name), 0.0), 4) for name in verdicts}


def _answers(notebook: NotebookNode) -> dict[str, str]:
    return {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }


def _unanswered(release: NotebookNode, notebook: NotebookNode) -> frozenset[str]:
    """Manually graded cells that say what the release says, or nothing."""
    handed_out = {
        cell.metadata["nbgrader"]["grade_id"]: cell.source.strip()
        for cell in release.cells
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.metadata["nbgrader"].get("grade")
    }
    now = _answers(notebook)
    return frozenset(name for name, text in handed_out.items() if now.get(name, "").strip() in ("", text))


def _comment(verdict: Verdict) -> str:
    lines = [f"{points(verdict.earned)} of {points(verdict.possible)} points, {verdict.status}."]
    for part in verdict.parts:
        if part.status not in ("passed", "not started"):
            lines.append(f"- {part.tests}: {'; '.join(part_lines(part))}")
    if step := next_step(verdict):
        lines += ["", step]
    return clean_text("\n".join(lines))
