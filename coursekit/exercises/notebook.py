"""From exercises to the solution notebook that nbgrader takes as its source.

Nothing of an assignment is written by hand twice: text, code holes, checks and points come from the questions and
their keys. nbgrader then derives the student's version from the notebook made here.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Sequence
from typing import Any

import nbformat
from nbformat import NotebookNode

from coursekit.checks.declare import Key, ManualQuestion, Question, Rubric
from coursekit.checks.score import points
from coursekit.course import Unit
from coursekit.errors import ExerciseError
from coursekit.exercises import catalogue

SHOWCASE = "showcase"
"""The tag of a long cell that no exercise needs."""
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"

SETUP = """\
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises import check, hint, progress
"""

CLOSING = """\
## Where you stand

`progress` keeps your best scores on this computer, across sessions. Before you hand in, restart the kernel and run all
cells: what the grader sees is the notebook run from top to bottom.
"""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def build(unit: Unit) -> NotebookNode:
    """The solution notebook of a unit, without outputs."""
    keys, rubrics = catalogue.keys(unit), catalogue.rubrics(unit)
    cells = [_text("intro", _docstring(_asked(unit))), _code("setup", SETUP, locked=True)]
    for section in catalogue.sections(unit):
        cells.append(_text(f"section-{section.__name__.rpartition('.')[2]}", _docstring(section)))
        for item in vars(section).values():
            if isinstance(item, Question):
                if item.id not in keys:
                    raise ExerciseError(
                        f"exercise {item.id} has no answer key in the module of the same name in known/."
                    )
                cells += _exercise(item, keys[item.id])
            elif isinstance(item, ManualQuestion):
                if item.id not in rubrics:
                    raise ExerciseError(f"question {item.id} has no rubric in the module of the same name in known/.")
                cells += _manual(item, rubrics[item.id])
    cells += [_text("closing", CLOSING), _code("progress", f'progress("{unit.number}")', locked=True)]
    check_showcases(cells)
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)


def check_showcases(cells: Sequence[NotebookNode]) -> None:
    """Raise `ExerciseError` where a later cell needs a name that only a skipped one defines."""
    skipped: dict[str, str] = {}
    for cell in cells:
        if cell.cell_type != "code":
            continue
        names = list(ast.walk(ast.parse(cell.source)))
        defined = {n.id for n in names if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        defined |= {n.name for n in names if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        defined |= {
            (a.asname or a.name).partition(".")[0]
            for n in names
            if isinstance(n, ast.Import | ast.ImportFrom)
            for a in n.names
        }
        if SHOWCASE in cell.metadata.get("tags", []):
            skipped |= dict.fromkeys(defined, cell.id)
            continue
        used = {n.id for n in names if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        for name in used & skipped.keys() - defined:
            raise ExerciseError(
                f"cell {skipped[name]} is a {SHOWCASE}, which grading skips, but cell {cell.id} needs its {name!r}: define that "
                "elsewhere, or take the mark away."
            )
        skipped = {name: where for name, where in skipped.items() if name not in defined}


def _asked(unit: Unit) -> Any:
    import importlib

    return importlib.import_module(f"{unit.package}.asked")


def _exercise(question: Question, key: Key) -> list[NotebookNode]:
    cells = [_text(f"task-{question.name}", _task(question))]
    if question.given:
        cells.append(_code(f"given-{question.name}", "\n\n".join(map(source, question.given)), locked=True))
    cells.append(_code(question.name, "\n\n".join(map(source, key.solution)), solution=True))
    if question.setup:
        run = _code(f"run-{question.name}", question.setup.strip() + "\n", locked=True)
        run.metadata["tags"] = ["nbval-ignore-output"]  # it says how long it took, or that it found its file
        if question.showcase:
            run.metadata["tags"].append(SHOWCASE)
        cells.append(run)
    call = f'check("{question.id}", {", ".join(question.answers)})'
    cells.append(_code(f"check-{question.name}", call, locked=True, points=question.points))
    return cells


def _manual(question: ManualQuestion, rubric: Rubric) -> list[NotebookNode]:
    if sum(worth for worth, _ in rubric.criteria) != question.points:
        raise ExerciseError(f"question {question.id}: the rubric's points do not sum to {points(question.points)}.")
    head = f"### {question.title}\n\n{_facts(question)} · graded by a person\n\n{question.task.strip()}"
    marks = "\n".join(f"- {points(worth)}: {what}" for worth, what in rubric.criteria)
    answer = f"{rubric.model_answer.strip()}\n\n**Rubric**\n\n{marks}"
    reply = nbformat.v4.new_markdown_cell(answer, id=_cell_id(question.name))
    reply.metadata["nbgrader"] = _nbgrader(question.name, solution=True, points=question.points)
    return [_text(f"task-{question.name}", head), reply]


def _task(question: Question) -> str:
    hints = "\n".join(
        f"<details><summary>Hint {k} of 3</summary>\n\n{hint}\n\n</details>" for k, hint in enumerate(question.hints, 1)
    )
    parts = "\n".join(f"- {part.tests}: {_worth(part.points)}" for part in question.parts)
    slip = "**A slip on a slide.** " if question.slip else ""
    return (
        f"### {question.title}\n\n{_facts(question)}\n\n{slip}{question.task.strip()}\n\n"
        f"*What the check looks at*\n\n{parts}\n\n{hints}"
    )


def _facts(question: Question | ManualQuestion) -> str:
    level = "●" * question.difficulty + "○" * (5 - question.difficulty)
    return f"Difficulty {level} · about {question.minutes} minutes · {_worth(question.points)}"


def _worth(value: float) -> str:
    return f"{points(value)} point{'' if value == 1 else 's'}"


def source(item: object) -> str:
    """The source of a function or class as a notebook cell shows it."""
    return inspect.getsource(item).strip() + "\n"  # type: ignore[arg-type]


def solution_lines(cell_source: str) -> list[str]:
    """The lines between the marks: what no student's artefact may hold."""
    regions = re.findall(rf"{BEGIN}\n(.*?){END}", cell_source, flags=re.DOTALL)
    return [line.strip() for region in regions for line in region.splitlines() if line.strip()]


def _docstring(module: Any) -> str:
    return inspect.cleandoc(module.__doc__ or "")


def _text(name: str, text: str) -> NotebookNode:
    cell = nbformat.v4.new_markdown_cell(text, id=_cell_id(name))
    cell.metadata["nbgrader"] = _nbgrader(name, locked=True)
    return cell


def _code(
    name: str, text: str, *, locked: bool = False, solution: bool = False, points: float | None = None
) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(text.rstrip(), id=_cell_id(name))
    cell.metadata["nbgrader"] = _nbgrader(name, locked=locked, solution=solution, points=points)
    return cell


def _nbgrader(
    name: str, *, locked: bool = False, solution: bool = False, points: float | None = None
) -> dict[str, Any]:
    """nbgrader's cell metadata, schema 3."""
    fields: dict[str, Any] = {
        "grade": points is not None,
        "grade_id": name,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        fields["points"] = points
    return fields


def _cell_id(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)[:64]
