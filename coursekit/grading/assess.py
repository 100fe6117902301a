"""From one submission's run to its result. Trusted code on plain data: nothing of the submission is executed here."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import nbformat
from nbformat import NotebookNode

from coursekit.checks.declare import Inputs
from coursekit.checks.isolate import quiet
from coursekit.checks.judge import LiveExpectation, Verdict, judge, missing
from coursekit.checks.score import Score, next_step, part_lines, points
from coursekit.course import Unit
from coursekit.exercises import catalogue
from coursekit.grading.clean import clean_outputs, clean_text
from coursekit.grading.mend import Mended, new_notebook, shallow
from coursekit.grading.results import CellJob, SubmissionJob, SubmissionRun
from coursekit.runtime import threads

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
            if cell.cell_type == "code"
        )
        return SubmissionJob(key=key, cells=cells, draws=self.draws, files=submission.folder)

    def result(
        self, submission: Submission, release: NotebookNode, mended: Mended, run: SubmissionRun
    ) -> SubmissionResult:
        """Judge a run."""
        with threads(1):  # the second core belongs to the next submission
            verdicts = {
                name: judge(expectation.key.question, expectation, run.evidence.get(name)).redacted()
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
        )

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
            elif index in run.cells:
                fresh.outputs = clean_outputs(run.cells[index].outputs)
            fresh.execution_count = None
        elif not cell.metadata.get("nbgrader", {}).get("locked"):
            fresh.source = clean_text(cell.source)
        copy.cells.append(fresh)
    return copy


def _verdict_output(verdict: Verdict) -> NotebookNode:
    data = Score(verdict)._repr_mimebundle_()
    fields = {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": None}
    output: NotebookNode = nbformat.from_dict(fields)
    return output


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
