"""From what a run brought to what it is worth: every exercise gets a score, whatever happened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nbformat
import pytest
import torch
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from room import UNIT, cell, filled, first, full, judged, keys, none, place, right

from coursekit.checks.engine import gather
from coursekit.checks.isolate import quiet
from coursekit.exercises.audit import solution_answer
from coursekit.grading import assess
from coursekit.grading.assess import Examiner, Submission, answer_cell, check_cell
from coursekit.grading.mend import mend
from coursekit.grading.results import CellRun, SubmissionRun

NOTHING = SubmissionRun(
    key="", ending="finished", detail="", cells={}, evidence={}, missing={}, notes=(), cpu_seconds=0.0,
    probe_cpu_seconds=0.0, wall_seconds=0.0,
)  # fmt: skip


def test_right_answers_get_everything(release: NotebookNode) -> None:
    result = judged(release, "al", right())
    assert result.earned == result.possible == sum(key.question.points for key in keys().values())
    assert {**result.scores(), "why": None} == full()
    assert (result.status, result.answers[answer_cell(first())]) == (
        "scored",
        cell(filled(release), answer_cell(first())).source,
    )


def test_a_mistake_is_named_and_costs_its_points(release: NotebookNode) -> None:
    key = keys()[first()]
    result = judged(release, "al", {**right(), first(): key.bundle(key.mistakes[0].answer)})
    verdict = result.verdicts[first()]
    assert verdict.diagnosis is not None and verdict.diagnosis.name == key.mistakes[0].name
    assert verdict.earned < verdict.possible
    assert result.earned == result.possible - (verdict.possible - verdict.earned)
    assert key.mistakes[0].name in result.comments()[answer_cell(first())]


def test_hidden_draws_stay_hidden(release: NotebookNode) -> None:
    """Feedback tells where an answer goes wrong, never by how much: nobody can read the inputs from it."""
    secret = Examiner(UNIT, seed=7).expectations
    for k in range(3):
        result = judged(release, "al", {name: key.bundle(key.mistakes[k].answer) for name, key in keys().items()})
        told = str(result.verdicts) + str(result.notebook) + str(result.comments())
        assert "other values" in told and "the reference's values" in told
        for name in keys():
            found = [v for draw in secret[name].expected for part in draw.values() for v in part.values()]
            tensors = [v for v in found if isinstance(v, torch.Tensor) and v.is_floating_point()]
            values = [float(v) for tensor in tensors for v in tensor.flatten() if abs(v) > 1e-3 and v % 1]
            assert len(values) > 5
            assert not [value for value in values if f"{value:.6g}" in told]


def test_seeds_draw_differently_and_repeatably() -> None:
    one, again, other = (str(Examiner(UNIT, seed).draws[first()]) for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize(
    ("run", "status"),
    [
        ({}, "scored"),
        ({"ending": "timed out"}, "timed out"),
        ({"ending": "out of memory"}, "out of memory"),
        ({"ending": "crashed"}, "crashed"),
        ({"ending": "too much output"}, "partly run"),
        ({"cells": {1: CellRun(1, [], "NameError: x", 0.0)}}, "partly run"),
    ],
)
def test_an_ending_becomes_a_status_and_keeps_the_points(
    release: NotebookNode, run: dict[str, Any], status: str
) -> None:
    result = judged(release, "al", right(), **run, detail="why")
    assert (result.status, result.detail) == (status, "why")
    assert {**result.scores(), "why": None} == full()


def test_evidence_that_never_came_is_worth_nothing(release: NotebookNode) -> None:
    result = judged(release, "al", {}, notes=("no evidence: stopped after 20 s",))
    assert {**result.scores(), "why": 0.0} == none()
    assert result.status == "partly run"
    assert result.notes == ("no evidence: stopped after 20 s",)


@pytest.mark.parametrize("evidence", [[], [{}], [{"nobody": {}}] * 2, [3, 4], [{"values": 3}] * 2])
def test_absurd_evidence_is_worth_nothing(release: NotebookNode, evidence: Any) -> None:
    result = judged(release, "al", {}, evidence=dict.fromkeys(keys(), evidence))
    assert {**result.scores(), "why": 0.0} == none()


def test_what_cannot_be_read_gets_its_zeros(release: NotebookNode) -> None:
    result = Examiner(UNIT, 1).unreadable(Submission("al", None), "no \ud800 JSON")
    assert {**result.scores(), "why": 0.0} == none()
    assert (result.status, result.detail, result.notebook) == ("unreadable", "no ? JSON", None)
    assert result.unanswered == {"why"}


def test_a_job_probes_where_the_checks_stand(release: NotebookNode) -> None:
    mended = mend(release, filled(release))
    job = Examiner(UNIT, 1).job("7", mended, Submission("al", None))
    asked = {c.question: c.index for c in job.cells if c.question}
    assert asked == {name: place(release, check_cell(name)) for name in keys()}
    assert job.draws.keys() == keys().keys()
    assert [c.index for c in job.cells] == [k for k, c in enumerate(release.cells) if c.cell_type == "code"]


def test_a_checks_output_is_the_judges(release: NotebookNode) -> None:
    """Whatever a submission put out there: the verdict is shown, and what other cells put out is cleaned."""
    check, answer = place(release, check_cell(first())), place(release, answer_cell(first()))
    forged = [{"output_type": "execute_result", "data": {"text/plain": "1000.0"}, "metadata": {}, "execution_count": 1}]
    loud = [{"output_type": "display_data", "data": {"text/html": "<script>x</script><b>hi</b>"}, "metadata": {}}]
    runs = {check: CellRun(check, forged, None, 0.0), answer: CellRun(answer, loud, None, 0.0)}
    notebook = judged(release, "al", {}, cells=runs).notebook
    assert notebook is not None
    nbformat.validate(notebook)
    [shown] = notebook.cells[check].outputs
    assert shown.data["text/plain"] == "0.0" and "1000" not in str(shown)
    assert notebook.cells[answer].outputs[0].data["text/html"] == "<b>hi</b>"


def test_a_students_markdown_is_cleaned_and_the_release_is_not(release: NotebookNode) -> None:
    handed_in = filled(release)
    cell(handed_in, "why").source = "Since a<b. <script>alert(1)</script>"
    result = Examiner(UNIT, 1).result(Submission("al", None), release, mend(release, handed_in), NOTHING)
    assert result.notebook is not None
    assert cell(result.notebook, "why").source == "Since a< b. < script>alert(1)< /script>"
    task = f"task-{answer_cell(first())}"
    assert cell(result.notebook, task).source == cell(release, task).source
    assert "<details>" in cell(release, task).source


def test_a_pasted_picture_is_on_the_page_and_a_lost_one_does_not_end_it(release: NotebookNode) -> None:
    handed_in = filled(release)
    mine = cell(handed_in, "why")
    mine.source = "![a](attachment:a.png)\n\n![lost](attachment:lost.png)\n\n![x](attachment:x.svg)"
    mine["attachments"] = {"a.png": {"image/png": "iVBORw0KGgo="}, "x.svg": {"image/svg+xml": "<svg onload='f()'/>"}}
    result = Examiner(UNIT, 1).result(Submission("al", None), release, mend(release, handed_in), NOTHING)
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(result.notebook)
    assert 'src="data:image/png;base64,iVBORw0KGgo="' in page
    assert 'src="not-kept:lost.png"' in page and 'src="not-kept:x.svg"' in page and "onload" not in page


@pytest.mark.parametrize("text", [None, "", " \n", "written"])
def test_only_a_blank_manual_answer_counts_as_unanswered(release: NotebookNode, text: str | None) -> None:
    handed_in = filled(release)
    cell(handed_in, "why").source = cell(release, "why").source if text is None else text
    result = Examiner(UNIT, 1).result(Submission("al", None), release, mend(release, handed_in), NOTHING)
    assert result.unanswered == (frozenset() if text == "written" else {"why"})


def test_a_comment_quotes_exceptions_without_their_markup(release: NotebookNode) -> None:
    def answer(*_: Any) -> None:
        raise ValueError("<script>alert(1)</script> [a](javascript:alert(1))")

    comment = judged(release, "al", {first(): answer}).comments()[answer_cell(first())]
    assert "ValueError" in comment and "<script" not in comment and "javascript:" not in comment


def test_equal_evidence_is_judged_once_and_unequal_evidence_apart(
    release: NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    judge = assess.judge
    monkeypatch.setattr(assess, "judge", lambda question, *rest: calls.append(question.id) or judge(question, *rest))
    examiner = Examiner(UNIT, 7)
    key = keys()[first()]
    with quiet():
        good, bad = (
            gather(key.question, key.bundle(answer), examiner.draws[first()])
            for answer in (solution_answer(key), key.mistakes[0].answer)
        )
    handed_in = mend(release, filled(release))
    worth = []
    for evidence, digest in ((good, b"1"), (good, b"1"), (bad, b"2"), (bad, b"2"), (good, b"1"), (bad, None)):
        run = replace(NOTHING, evidence={first(): evidence}, digests={first(): digest} if digest else {})
        result = examiner.result(Submission("al", None), release, handed_in, run)
        worth.append(result.verdicts[first()].earned)
    full = key.question.points
    assert worth[0] == worth[1] == worth[4] == full and worth[2] == worth[3] == worth[5] < full
    assert calls.count(first()) == 3
