"""Notebooks from their sources: solutions from the exercises, lectures from their text, each with its jupytext pair."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbclient
import nbformat
from nbformat import NotebookNode

from coursekit.course import Course, Unit
from coursekit.errors import NotebookError
from coursekit.exercises import catalogue
from coursekit.exercises.notebook import build as build_solution

CELL_SECONDS = 120
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def build(course: Course, units: Sequence[Unit], *, check: bool = False, lectures: bool = False) -> list[Path]:
    """Write what is stale (or only tell, with `check`); return its paths."""
    stale: list[Path] = []
    for of in units:
        if of in catalogue.units():
            stale += _solution(course, of, check)
        for text in sorted((course.lectures / of.name).glob("*.py")):
            stale += _lecture(text, check, lectures)
    return stale


def _solution(course: Course, of: Unit, check: bool) -> list[Path]:
    path = course.solution(of)
    notebook = build_solution(of)
    text = jupytext.writes(notebook, fmt="py:percent")
    if (
        path.is_file()
        and _texts(nbformat.read(path, as_version=4)) == _texts(notebook)
        and _same(path.with_suffix(".py"), text)
    ):
        return []
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:  # what it trains and saves is not part of the source
            execute(notebook, path, where=Path(scratch))
        path.with_suffix(".py").write_text(text, encoding="utf-8")
    return [path]


def _lecture(text: Path, check: bool, run: bool) -> list[Path]:
    path = text.with_suffix(".ipynb")
    notebook = jupytext.read(text)
    if path.is_file() and _texts(nbformat.read(path, as_version=4)) == _texts(notebook):
        return []
    if not check and run:
        notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        execute(notebook, path)
    return [path] if check or run else []


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _texts(notebook: NotebookNode) -> list[Any]:
    """What a pair must agree on: types, texts, tags and nbgrader's fields (jupytext drops trailing blank lines)."""
    return [
        (c.cell_type, c.source.rstrip(), sorted(c.metadata.get("tags", [])), dict(c.metadata.get("nbgrader", {})))
        for c in notebook.cells
    ]


def execute(notebook: NotebookNode, path: Path, where: Path | None = None) -> None:
    """Run a notebook in its static form, in `where` (default: its folder), and write it to `path` whole or not at all."""
    client = nbclient.NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(where or path.parent)}},
    )
    with tempfile.TemporaryDirectory() as home:  # whoever builds has scores of their own, which are not the notebook's
        try:
            # One thread: the networks are small, and two that wait for each other on a busy machine take minutes.
            own = {"COURSEKIT_STATIC": "1", "COURSEKIT_HOME": home, "OMP_NUM_THREADS": "1"}
            client.execute(env={**os.environ, **own})
        except nbclient.exceptions.CellExecutionError as error:
            raise NotebookError(f"{path.name}: a cell failed.\n{_COLOURS.sub('', str(error))}") from error
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # time stamps would change in every build
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise NotebookError(f"{path.name}: a cell wrote to standard error: {output.text[:300]}")
    notebook.metadata["language_info"] = {"name": "python", "version": ".".join(map(str, sys.version_info[:2]))}
    draft = path.with_name(f".{path.name}.part")
    nbformat.write(notebook, draft)
    draft.replace(path)
