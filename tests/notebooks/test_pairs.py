"""What is kept twice agrees: solutions with the exercises, assignments with nbgrader, notebooks with their text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbformat import NotebookNode

from coursekit.course import UNITS, Course, Unit
from coursekit.exercises import catalogue, notebook
from coursekit.exercises.notebook import solution_lines

ROOT = Path(__file__).resolve().parents[2]
COURSE = Course(ROOT)
UNITS_WITH_EXERCISES = catalogue.units()
LECTURES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("lectures/*/*.py"))

MARKED = re.compile("### BEGIN SOLUTION.*?### END SOLUTION", flags=re.DOTALL)

by_unit = pytest.mark.parametrize("of", UNITS_WITH_EXERCISES, ids=lambda of: of.name)


def cells(notebook: NotebookNode) -> list[Any]:
    """What a pair must agree on. jupytext drops blank lines at the end of a cell."""
    return [
        (c.cell_type, c.source.rstrip(), sorted(c.metadata.get("tags", [])), dict(c.metadata.get("nbgrader", {})))
        for c in notebook.cells
    ]


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


@by_unit
def test_a_solution_says_what_the_exercises_say(of: Unit) -> None:
    """Stale? Run `coursekit build`."""
    made = cells(notebook.build(of))
    assert cells(read(COURSE.solution(of))) == made
    assert cells(jupytext.read(COURSE.solution(of).with_suffix(".py"))) == made


@by_unit
def test_a_solution_ran_and_is_right(of: Unit) -> None:
    """Every check in the committed notebook gave full marks, and nothing was written to standard error."""
    for cell in read(COURSE.solution(of)).cells:
        outputs = cell.get("outputs", [])
        assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
        if cell.metadata.nbgrader.grade and cell.cell_type == "code":
            [score] = [o for o in outputs if o.output_type == "execute_result"]
            assert float(score.data["text/plain"]) == cell.metadata.nbgrader.points


@by_unit
def test_an_assignment_is_what_nbgrader_derives(of: Unit, tmp_path: Path) -> None:
    """Stale? Run `coursekit release`."""
    from coursekit.grading.host import generate_assignment

    derived = read(generate_assignment(COURSE, of, db_url=f"sqlite:///{tmp_path}/gradebook.db", release=tmp_path))
    committed = read(COURSE.assignment(of))
    assert cells(committed) == cells(derived)
    assert not any(cell.get("outputs") for cell in committed.cells)
    assert sorted(p.name for p in COURSE.assignment(of).parent.iterdir()) == sorted(
        p.name for p in (tmp_path / of.name).iterdir()
    )


@by_unit
def test_no_line_of_a_solution_is_in_its_assignment(of: Unit) -> None:
    solution, assignment = read(COURSE.solution(of)), read(COURSE.assignment(of))
    hidden = {line for cell in solution.cells for line in solution_lines(cell.source) if len(line) >= 25}
    hidden -= {
        line.strip() for cell in solution.cells for line in MARKED.sub("", cell.source).splitlines()
    }  # given code
    given = {line.strip() for cell in assignment.cells for line in cell.source.splitlines()}
    assert len(hidden) > 10 and sorted(hidden & given) == []
    assert not [line for line in given if "SOLUTION" in line]


@pytest.mark.parametrize("text", LECTURES)
def test_a_lecture_and_its_text_agree(text: str) -> None:
    """Stale? Run `coursekit build --lectures`."""
    path = (ROOT / text).with_suffix(".ipynb")
    assert path.is_file(), f"{text} has no notebook: run `coursekit build --lectures`"
    assert cells(read(path)) == cells(jupytext.read(ROOT / text))


def test_every_notebook_has_its_text() -> None:
    for path in [*ROOT.glob("lectures/*/*.ipynb"), *ROOT.glob("solutions/*/*.ipynb")]:
        assert path.with_suffix(".py").is_file(), f"{path.name} has no .py beside it"
        assert path.parent.name in {of.name for of in UNITS}
