"""Notebooks that were damaged, or made to damage who reads them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import nbformat
from attack import PARTLY, SCORED, UNREADABLE, Attack
from nbformat import NotebookNode

ACT = "document.title='BREACH@TOKEN@';document.documentElement.setAttribute('data-breach','@TOKEN@')"
"""What a script does that got to run: `watch` and the browser look for it."""
HTML = (
    f"<script>{ACT}</script>",
    f'<img src=x onerror="{ACT}">',
    f'<svg onload="{ACT}"><script>{ACT}</script></svg>',
    f'<details open ontoggle="{ACT}">x</details>',
    f'<iframe srcdoc="<script>parent.{ACT.replace(";", ";parent.")}</script>"></iframe>',
    f'<body onload="{ACT}"><style onload="{ACT}"></style><math><mtext></p><style><img src=x onerror="{ACT}"></style></mtext></math>',
    f'<a id=click href="javascript:{ACT}">click</a> [click](javascript:{ACT}) <form action="javascript:{ACT}"><button>b</button></form>',
)
ALL_HTML = "\n\n".join(HTML)


def _attack(name: str, tries: str, change: Callable[[NotebookNode], Any] | None, **more: Any) -> Attack:
    return Attack(name=name, kind="vandalism", tries=tries, change=change, **{"proof": "score", **more})


def _fields(cell: NotebookNode) -> dict[str, Any]:
    return cell.metadata.get("nbgrader", {})


def _is_check(cell: NotebookNode) -> bool:
    return str(_fields(cell).get("grade_id", "")).startswith("check-")


def _is_answer(cell: NotebookNode) -> bool:
    return bool(_fields(cell).get("solution"))


def _each(which: Callable[[NotebookNode], bool], act: Callable[[NotebookNode], Any]) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        for cell in filter(which, notebook.cells):
            act(cell)

    return change


def _only(which: Callable[[NotebookNode], bool]) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        notebook.cells = list(filter(which, notebook.cells))

    return change


def _twice(which: Callable[[NotebookNode], bool]) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        cells = []
        for cell in notebook.cells:
            cells.append(cell)
            if which(cell):
                cells.append(copy.deepcopy(cell))
                cells[-1].id = cell.id[:50] + "-twin"
        notebook.cells = cells

    return change


def _split(notebook: NotebookNode) -> None:
    cells = []
    for cell in notebook.cells:
        lines = cell.source.splitlines()
        if _is_answer(cell) and cell.cell_type == "code" and len(lines) > 2:
            half = copy.deepcopy(cell)
            cell.source, half.source, half.id = "\n".join(lines[:2]), "\n".join(lines[2:]), cell.id[:50] + "-half"
            cells += [cell, half]
        else:
            cells.append(cell)
    notebook.cells = cells


def _reversed(notebook: NotebookNode) -> None:
    notebook.cells = notebook.cells[::-1]


def _retype(kind: str) -> Callable[[NotebookNode], None]:
    def act(cell: NotebookNode) -> None:
        cell.cell_type = kind
        cell.pop("outputs", None)
        cell.pop("execution_count", None)

    return act


def _raw(change: Callable[[dict[str, Any]], Any]) -> Callable[[NotebookNode], str]:
    """A change to the file's JSON that nbformat would not let through."""

    def changed(notebook: NotebookNode) -> str:
        tree = json.loads(nbformat.writes(notebook))
        return json.dumps(change(tree) or tree)

    return changed


def _old_format(notebook: NotebookNode) -> str:
    return str(nbformat.writes(nbformat.convert(copy.deepcopy(notebook), 3), version=3))


def _kernel(notebook: NotebookNode) -> None:
    notebook.metadata["kernelspec"] = {"name": "../../../bin/sh", "display_name": "R", "language": "R"}
    notebook.metadata["language_info"] = {"name": "R", "file_extension": ".R"}


def _outputs(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            bundle = {"text/html": ALL_HTML, "application/javascript": ACT, "image/svg+xml": HTML[2], "text/markdown": ALL_HTML,
                      "text/latex": ALL_HTML, "text/plain": ALL_HTML}  # fmt: skip
            cell.outputs = [nbformat.v4.new_output("execute_result", bundle, execution_count=1)]


def _megabytes(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="x" * 1000 + "\n") for _ in range(1500)]


def _markdown(text: str) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        notebook.cells.insert(2, nbformat.v4.new_markdown_cell(text, id="mine"))
        for cell in notebook.cells:
            if _fields(cell).get("grade_id") == "why":
                cell.source = text

    return change


def _attachments(notebook: NotebookNode) -> None:
    cell = nbformat.v4.new_markdown_cell("![x](attachment:x.svg) ![y](attachment:y.png)", id="mine")
    cell["attachments"] = {"x.svg": {"image/svg+xml": HTML[2]}, "y.png": {f'image/png" onerror="{ACT}': "x"}}
    notebook.cells.insert(2, cell)


def _metadata(value: Any) -> Callable[[NotebookNode], str]:
    def change(tree: dict[str, Any]) -> None:
        for cell in tree["cells"]:
            if "nbgrader" in cell["metadata"]:
                cell["metadata"]["nbgrader"] |= value

    return _raw(change)


def _strange_cells(tree: dict[str, Any]) -> None:
    tree["cells"][2:2] = [
        {}, {"cell_type": "code"}, {"cell_type": 7, "source": [1, None, "x = 1"]}, {"cell_type": "code", "source": {"a": 1}, "metadata": 3, "outputs": 3},
        {"cell_type": "markdown", "source": "x", "metadata": {"nbgrader": [1]}}, {"cell_type": "code", "source": "\ud800 = 1", "metadata": {"nbgrader": {"grade_id": [1]}}},
    ]  # fmt: skip


def _nested(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook)[:-2].rstrip().rstrip("}") + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"


CODE = '"""<script>' + ACT + '</script>"""\nraise ValueError("' + HTML[1].replace('"', "'") + '")'

ATTACKS = [
    _attack("checks edited", "points by the number in the check cell", _each(_is_check, lambda c: c.update(source="1000.0"))),
    _attack("checks edited, no answers", "points by the number in the check cell", _each(_is_check, lambda c: c.update(source="2.0")), answers="none"),
    _attack("checks deleted", "no verdict", _only(lambda c: not _is_check(c))),
    _attack("checks deleted, no answers", "no verdict", _only(lambda c: not _is_check(c)), answers="none"),
    _attack("only answers left", "no frame", _only(_is_answer)),
    _attack("checks three times", "two cells of one name", _twice(_is_check)),
    _attack("answers twice", "two cells of one name", _twice(_is_answer)),
    _attack("answers split", "half an answer", _split),
    _attack("cells in reverse", "checks before answers", _reversed),
    _attack("cells renamed", "names that nobody knows", _each(_is_check, lambda c: c.metadata.nbgrader.update(grade_id="x-" + c.metadata.nbgrader.grade_id))),
    _attack("answers and checks renamed into each other", "a check as an answer", _each(_is_check, lambda c: c.metadata.nbgrader.update(grade_id=c.metadata.nbgrader.grade_id[6:])), answers="none"),
    _attack("checks made raw", "no verdict", _each(_is_check, _retype("raw"))),
    _attack("checks made markdown", "no verdict", _each(_is_check, _retype("markdown"))),
    _attack("more points promised", "the points in the metadata", _metadata({"points": 1000.0})),
    _attack("metadata of no kind", "the metadata's reader", _metadata({"schema_version": 99, "points": "many", "grade": [], "locked": None})),
    _attack("a schema of long ago", "nbgrader's check of versions", _metadata({"schema_version": 1})),
    _attack("a foreign kernel", "a program by its path", _kernel),
    _attack("outputs of the student's own", "points by an output that is there already", _each(lambda c: c.cell_type == "code", lambda c: c.update(outputs=[nbformat.v4.new_output("execute_result", {"text/plain": "2.0"}, execution_count=1)])), answers="none"),
    _attack("30 MB of old outputs", "the reader's time", _megabytes, proof="size"),
    _attack("format 3", "the reader", _old_format),
    _attack("format 5", "the reader", _raw(lambda t: t.update(nbformat=5)), answers="none", ends=(UNREADABLE,)),
    _attack("format 4.0 without cell ids", "the reader", _raw(lambda t: t.update(nbformat_minor=0) or ([c.pop("id") for c in t["cells"]] and None))),
    _attack("one id for all cells", "the reader", _raw(lambda t: [c.update(id="same") for c in t["cells"]] and None)),
    _attack("half a file", "the parser", lambda nb: nbformat.writes(nb)[:-300], answers="none", ends=(UNREADABLE,)),
    _attack("an empty file", "the parser", lambda nb: "", answers="none", ends=(UNREADABLE,)),
    _attack("binary rubbish", "the parser", lambda nb: bytes(range(256)) * 40, answers="none", ends=(UNREADABLE,)),
    _attack("UTF-16", "the parser", lambda nb: nbformat.writes(nb).encode("utf-16"), ends=(SCORED, PARTLY, UNREADABLE)),
    _attack("a list", "the reader", lambda nb: "[1, 2, 3]", answers="none", ends=(UNREADABLE,)),
    _attack("cells that are no list", "the reader", _raw(lambda t: t.update(cells={"a": 1})), answers="none", ends=(UNREADABLE,)),
    _attack("cells of no kind", "the reader", _raw(_strange_cells)),
    _attack("nesting without end", "the parser's stack", _nested, answers="none", ends=(UNREADABLE,)),
    _attack("numbers without end", "the parser", lambda nb: nbformat.writes(nb).replace('"nbformat": 4', '"nbformat": 1e999'), answers="none", ends=(UNREADABLE,)),
    _attack("script in outputs", "a browser", _outputs, proof="browser"),
    _attack("script in new outputs", "a browser", None, where="middle", cells=(f"from IPython.display import *\ndisplay(HTML({ALL_HTML!r}), Javascript({ACT!r}), SVG({HTML[2]!r}), Markdown({ALL_HTML!r}), Latex({ALL_HTML!r}))",
            f"print({ALL_HTML!r})\nclass X:\n    def _repr_html_(self): return {ALL_HTML!r}\n    def __repr__(self): return {ALL_HTML!r}\nX()"), proof="browser"),
    _attack("script in markdown", "a browser", _markdown(ALL_HTML), proof="browser"),
    _attack("script in escaped markdown", "a browser", _markdown("&lt;script&gt;" + ACT + "&lt;/script&gt; [c](&#106;avascript:" + ACT + ") ![x](x\" onerror=\"" + ACT + ") $\\href{javascript:" + ACT + "}{c}$ <scr<script>ipt>"), proof="browser"),
    _attack("script in attachments", "a browser", _attachments, proof="browser"),
    _attack("script in an error's message", "a browser", None, answers="rest", stub=f"class {{name}}(Exception): pass\ndef {{name}}(*a, **k): raise ValueError({ALL_HTML!r})", proof="browser"),
    _attack("script in code and an error's name", "a browser", None, cells=(CODE, f"raise type({HTML[1]!r}, (Exception,), {{}})({ALL_HTML!r})"), proof="browser"),
    _attack("script in a name", "a browser", None, student="%s<img src=x onerror=document.title='BREACH'><script>document.title='BREACH'<", proof="browser"),
    _attack("a formula as a name", "a spreadsheet", None, student="=cmd|' %s'!A0", proof="spreadsheet"),
    _attack("a formula behind a tab as a name", "a spreadsheet", None, student="\t@SUM(%s)", proof="spreadsheet"),
    _attack("a name in many scripts", "whoever counts bytes", None, student="%s Ünïcödé 名前 \u202egnp.exe 😀"),
    _attack("a name that rings the bell", "the instructor's terminal", None, student="%s\x1b]0;@TOKEN@\x07\x1b[2J\nforged 99 of 99", proof="terminal"),
    _attack("a name of 200 letters", "the file system", None, student="%s" + "n" * 190),
    _attack("an error that paints the terminal", "the instructor's terminal", None, cells=("raise SystemError('\\x1b]0;@TOKEN@\\x07\\x1b[2J')",), proof="terminal"),
    _attack("files with names of no kind", "the grader's copy", None, files={"a\nb": b"x", "..hidden": b"x", "-rf": b"x", "x" * 200: b"x", "\u202e.py": b"x"}),
]  # fmt: skip
