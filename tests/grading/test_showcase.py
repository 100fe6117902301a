"""A cell that only shows something is not run in grading, says so, and nothing needs it."""

from __future__ import annotations

import copy

import nbformat
import pytest
from nbformat import NotebookNode
from room import UNIT, filled, keys

from coursekit.errors import ExerciseError
from coursekit.exercises.notebook import SHOWCASE, check_showcases
from coursekit.grading.assess import SKIPPED, Examiner, Submission
from coursekit.grading.mend import mend
from coursekit.grading.results import SubmissionRun


def cell(source: str, *tags: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, id=f"c{abs(hash(source))}", metadata={"tags": list(tags)})


@pytest.mark.parametrize(
    "made", ["x = 1", "def x(): ...", "class x: ...", "import x", "from y import z as x", "for x in (): ..."]
)
def test_what_a_later_cell_needs_may_not_be_skipped(made: str) -> None:
    with pytest.raises(ExerciseError, match="needs its 'x'"):
        check_showcases([cell(made, SHOWCASE), cell("print(x)")])
    check_showcases([cell(made), cell("print(x)")])
    check_showcases([cell(made, SHOWCASE), cell("x = 2"), cell("print(x)")])
    check_showcases([cell(made, SHOWCASE), cell("print(x)", SHOWCASE)])


def test_it_is_skipped_and_says_so_and_students_cannot_mark_cells(release: NotebookNode) -> None:
    shown = copy.deepcopy(release)
    [setup] = [c for c in shown.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "setup"]
    setup.metadata["tags"] = [SHOWCASE]
    theirs = filled(release)
    for each in theirs.cells:
        each.metadata["tags"] = [SHOWCASE]
    theirs.cells.append(nbformat.v4.new_code_cell("mine = 1", metadata={"tags": [SHOWCASE]}))
    mended, examiner = mend(shown, theirs), Examiner(UNIT, 1)
    job = examiner.job("0", mended, Submission("al", None))
    sources = [c.source for c in job.cells]
    assert setup.source not in sources and "mine = 1" in sources
    assert {c.question for c in job.cells if c.question} == set(keys())
    assert len(sources) == sum(c.cell_type == "code" for c in mended.notebook.cells) - 1
    ended = SubmissionRun(
        key="0", ending="finished", detail="", cells={}, evidence={}, missing={}, notes=(),
        cpu_seconds=0.0, probe_cpu_seconds=0.0, wall_seconds=0.0,
    )  # fmt: skip
    result = examiner.result(Submission("al", None), shown, mended, ended)
    assert result.notebook is not None
    [told] = [c.outputs[0].text for c in result.notebook.cells if c.source == setup.source]
    assert told == SKIPPED
