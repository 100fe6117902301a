"""From what was handed in to what is graded: the released notebook with the student's own cells put into it.

The result is built from the *release*, never from the submission: deleted, split, duplicated, retyped, reordered and
edited cells are mended at once, because only the content of answer cells and of cells that the student added is taken
over. Every repair is noted.
"""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import nbformat.reader
from nbformat import NotebookNode

from coursekit.errors import NotebookError
from coursekit.exercises.notebook import SHOWCASE
from coursekit.grading.pictures import pasted

MAX_NOTEBOOK_BYTES = 50 << 20
MAX_CELLS = 5000
MISSING = "# This cell was missing from the notebook that was handed in."


@dataclass(frozen=True)
class Mended:
    """A notebook fit to be graded, and what was done to make it so."""

    notebook: NotebookNode
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Written:
    """What a student wrote into a cell."""

    text: str
    pictures: Mapping[str, Any]
    """Pasted into Markdown: name -> mime type -> base64."""


def read_submission(path: Path) -> dict[str, Any]:
    """A notebook file as a dictionary, format 4. Raises `NotebookError`, never anything else."""
    try:
        if path.is_symlink():  # it could lead to the solution
            raise NotebookError(f"{path.name}: a link, expected a notebook (.ipynb) of its own.")
        size = path.stat().st_size
        if not path.is_file():
            raise NotebookError(f"{path.name}: not a file, expected a notebook (.ipynb).")
        if size > MAX_NOTEBOOK_BYTES:
            raise NotebookError(
                f"{path.name}: {size / 1e6:.0f} MB, expected at most {MAX_NOTEBOOK_BYTES >> 20} MB. "
                "Clear the outputs and hand in again."
            )
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise NotebookError(
            f"{path.name}: cannot be read ({error.strerror}). Check that the file exists and its permissions."
        ) from error
    except (ValueError, RecursionError) as error:
        raise NotebookError(
            f"{path.name}: not valid JSON ({str(error)[:120]}). Hand in the .ipynb file as Jupyter saved it."
        ) from error
    return _format_4(raw, path.name)


def _format_4(raw: Any, name: str) -> dict[str, Any]:
    if not isinstance(raw, dict) or "nbformat" not in raw:
        raise NotebookError(f"{name}: JSON, but no notebook (no nbformat), expected a notebook of format 4.")
    if raw["nbformat"] == 3:
        try:
            raw = json.loads(json.dumps(nbformat.convert(nbformat.reader.reads(json.dumps(raw)), 4)))
        except Exception as error:  # nbformat's converter fails in its own many ways on damaged files
            raise NotebookError(f"{name}: notebook format 3 that cannot be converted ({str(error)[:120]}).") from error
    if raw.get("nbformat") != 4:
        raise NotebookError(
            f"{name}: notebook format {raw.get('nbformat')!r}, expected 4. Open and save it with JupyterLab."
        )
    cells = raw.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise NotebookError(f"{name}: a notebook without a list of cells.")
    if len(cells) > MAX_CELLS:
        raise NotebookError(f"{name}: {len(cells)} cells, expected at most {MAX_CELLS}.")
    return dict(raw)


def mend(release: NotebookNode, submission: dict[str, Any]) -> Mended:
    """The release with the submission's answers and additions. Raises `NotebookError` if no cell is known."""
    known = {_grade_id(cell): cell for cell in release.cells if _grade_id(cell)}
    mine: dict[str, list[_Written]] = defaultdict(list)
    order: list[str] = []
    extras: dict[str, list[NotebookNode]] = defaultdict(list)
    notes: list[str] = []
    anchor = ""
    for cell in submission["cells"]:
        name, written = _grade_id(cell), _Written(_source(cell), pasted(cell.get("attachments")))
        if name in known:
            if name not in mine:
                order.append(name)
            mine[name].append(written)
            anchor = name
            if cell.get("cell_type") != known[name].cell_type:
                notes.append(f"cell {name}: its type was changed; restored")
        elif written.text.strip():
            extras[anchor].append(_extra(cell.get("cell_type"), written))
    if not mine:
        raise NotebookError(
            "no cell of the assignment was found in it, expected the notebook that was handed out, filled in."
        )
    if order != [name for name in known if name in mine]:
        notes.append("cells were in another order; restored")

    cells: list[NotebookNode] = list(extras.pop("", []))
    for cell in release.cells:
        name = _grade_id(cell)
        if name and _is_answer(cell):
            first, rest, said = _answer(cell, mine.get(name, []))
            notes += said
            cells.append(_cell(cell.cell_type, first, cell.metadata, name))
            cells += [_extra(cell.cell_type, written) for written in rest]
        else:
            notes += _note_locked(name, cell.source, mine.get(name)) if name else []
            cells.append(cell)
        cells += extras.pop(name, [])
    return Mended(new_notebook([_clean(cell, k) for k, cell in enumerate(cells)], release.metadata), tuple(notes))


def new_notebook(cells: list[NotebookNode], metadata: Any) -> NotebookNode:
    """A notebook of format 4.5. Made by hand: nbformat's own constructor copies and validates all that it is given."""
    return NotebookNode(cells=cells, metadata=NotebookNode(metadata), nbformat=4, nbformat_minor=5)


def is_showcase(cell: Any) -> bool:
    """Whether the release marks a cell as one that no exercise needs. A student's own tags do not get here."""
    return SHOWCASE in cell.metadata.get("tags", [])


def _note_locked(name: str, released: str, found: list[_Written] | None) -> list[str]:
    if found is None:
        return [f"cell {name}: was deleted; restored"]
    if len(found) > 1:
        return [f"cell {name}: was there {len(found)} times; restored"]
    return [] if found[0].text.strip() == released.strip() else [f"cell {name}: was edited; restored"]


def _answer(cell: NotebookNode, found: list[_Written]) -> tuple[_Written, list[_Written], list[str]]:
    """The answer, further cells to follow it, and notes."""
    name = _grade_id(cell)
    if not found:
        missing = MISSING if cell.cell_type == "code" else MISSING.removeprefix("# ")
        return _Written(missing, {}), [], [f"cell {name}: was deleted"]
    written = [one for one in found if one.text.strip() != cell.source.strip()] or found[:1]
    if len(found) == 1:
        return found[0], [], []
    if len(written) == 1:
        return written[0], [], [f"cell {name}: was there {len(found)} times; the one that was filled in was kept"]
    if cell.cell_type != "code" or all(_parses(one.text) for one in written):
        return written[0], written[1:], [f"cell {name}: was there {len(found)} times; all were kept, in order"]
    return _Written("\n".join(one.text for one in written), {}), [], [f"cell {name}: was split in {len(found)}; joined"]


def _parses(text: str) -> bool:
    """Whether a cell can stand alone. IPython would forgive an indented start; here it is the second half of a split."""
    if text.lstrip("\n")[:1].isspace():
        return False
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        ast.parse(TransformerManager().transform_cell(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_answer(cell: NotebookNode) -> bool:
    return bool(cell.metadata["nbgrader"].get("solution"))


def _grade_id(cell: Any) -> str:
    metadata = cell.get("metadata")
    fields = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = fields.get("grade_id") if isinstance(fields, dict) else None
    return name if isinstance(name, str) else ""


def _source(cell: dict[str, Any]) -> str:
    """A cell's text: nbformat allows a string or a list of lines, and strangers anything."""
    source = cell.get("source", "")
    if isinstance(source, list):
        try:
            source = "".join(source)
        except TypeError:
            source = "".join(line for line in source if isinstance(line, str))
    return source.encode("utf-8", "replace").decode() if isinstance(source, str) else ""


def _extra(kind: Any, written: _Written) -> NotebookNode:
    return _cell(kind if kind in ("code", "markdown") else "raw", written, NotebookNode(), "extra")


def _clean(cell: NotebookNode, number: int) -> NotebookNode:
    """A fresh copy without outputs, with a cell id that is unique and the same in every run."""
    metadata = shallow(nbgrader=cell.metadata["nbgrader"]) if _grade_id(cell) else NotebookNode()
    if is_showcase(cell):
        metadata = shallow(metadata, tags=[SHOWCASE])
    return _cell(cell.cell_type, _Written(cell.source, cell.get("attachments", {})), metadata, f"cell-{number}")


def _cell(kind: str, written: _Written, metadata: NotebookNode, name: str) -> NotebookNode:
    """A cell of nbformat 4.5. Made by hand: nbformat's own constructors validate each cell, at a millisecond apiece."""
    cell = shallow(cell_type=kind, id=name, metadata=metadata, source=written.text)
    if kind == "code":
        return shallow(cell, outputs=[], execution_count=None)
    return shallow(cell, attachments=written.pictures) if kind == "markdown" and written.pictures else cell


def shallow(node: NotebookNode | None = None, **fields: Any) -> NotebookNode:
    """A copy of a node with these fields, its values shared. (NotebookNode's own constructor copies them all, deeply.)"""
    copy = NotebookNode()
    dict.update(copy, node or {}, **fields)
    return copy
