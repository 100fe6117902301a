"""Damaged notebooks are mended, and whatever a file holds, reading it ends in a notebook or in `NotebookError`."""

from __future__ import annotations

import copy
import functools
import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from room import NAME, cell, filled, first, grade_id, keys, mended, place, solution, texts

from coursekit.errors import NotebookError
from coursekit.grading.assess import answer_cell
from coursekit.grading.mend import MAX_CELLS, MAX_NOTEBOOK_BYTES, MISSING, mend, read_submission


def locked(notebook: NotebookNode) -> list[str]:
    """The texts of what a student may not change."""
    return [c.source for c in notebook.cells if grade_id(c) and not c.metadata.nbgrader.solution]


def test_an_honest_notebook_stays_as_it_is(release: NotebookNode) -> None:
    done = mended(release, lambda nb: None)
    assert texts(done.notebook) == texts(filled(release))
    assert done.notes == ()
    nbformat.validate(done.notebook)


def test_outputs_and_foreign_metadata_are_left_behind(release: NotebookNode) -> None:
    def change(nb: NotebookNode) -> None:
        check = cell(nb, f"check-{answer_cell(first())}")
        check.outputs = [nbformat.v4.new_output("stream", text="1000 points")]
        check.metadata["nbgrader"]["points"] = 1000
        check.metadata["slideshow"] = {"slide_type": "skip"}
        nb.metadata["kernelspec"] = {"name": "evil", "display_name": "x"}

    done = mended(release, change).notebook
    assert not any(c.get("outputs") for c in done.cells)
    assert [c.metadata.get("nbgrader") for c in done.cells] == [c.metadata.nbgrader for c in release.cells]
    assert done.metadata == release.metadata


def test_an_edited_check_is_restored_and_noted(release: NotebookNode) -> None:
    name = f"check-{answer_cell(first())}"

    def change(nb: NotebookNode) -> None:
        cell(nb, name).source = "1000.0"

    done = mended(release, change)
    assert texts(done.notebook) == texts(filled(release))
    assert done.notes == (f"cell {name}: was edited; restored",)


def test_deleted_locked_cells_come_back_in_place(release: NotebookNode) -> None:
    def change(nb: NotebookNode) -> None:
        nb.cells = [c for c in nb.cells if c.metadata.nbgrader.solution]

    done = mended(release, change)
    assert texts(done.notebook) == texts(filled(release))
    assert len(done.notes) == len(locked(release)) and all("was deleted; restored" in note for note in done.notes)


def test_a_deleted_answer_is_told_apart_from_a_blank_one(release: NotebookNode) -> None:
    name = answer_cell(first())

    def change(nb: NotebookNode) -> None:
        del nb.cells[place(nb, name)]
        del nb.cells[place(nb, "why")]

    done = mended(release, change)
    assert cell(done.notebook, name).source == MISSING
    assert cell(done.notebook, "why").source == MISSING.removeprefix("# ")
    assert set(done.notes) == {f"cell {name}: was deleted", "cell why: was deleted"}


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_an_answer_split_in_the_middle_of_its_function_is_joined(release: NotebookNode, lines: int) -> None:
    name = answer_cell(first())

    def change(nb: NotebookNode) -> None:
        whole = cell(nb, name)
        half = copy.deepcopy(whole)
        text = whole.source.rstrip().split("\n")
        whole.source, half.source = "\n".join(text[:lines]), "\n".join(text[lines:])
        nb.cells.insert(place(nb, name) + 1, half)

    done = mended(release, change)
    assert cell(done.notebook, name).source == solution(first()).rstrip()
    assert done.notes == (f"cell {name}: was split in 2; joined",)
    assert len(done.notebook.cells) == len(release.cells)


def test_an_answer_split_between_statements_stays_two_cells(release: NotebookNode) -> None:
    name = answer_cell(first())

    def change(nb: NotebookNode) -> None:
        helper = copy.deepcopy(cell(nb, name))
        helper.source = "%time helper = 1"
        nb.cells.insert(place(nb, name), helper)

    done = mended(release, change)
    where = place(done.notebook, name)
    assert texts(done.notebook)[where : where + 2] == ["%time helper = 1", solution(first())]
    assert [grade_id(c) for c in done.notebook.cells].count(name) == 1


def test_of_a_duplicated_answer_the_filled_one_counts(release: NotebookNode) -> None:
    name = answer_cell(first())

    def change(nb: NotebookNode) -> None:
        nb.cells.append(copy.deepcopy(cell(release, name)))  # as handed out, and last

    done = mended(release, change)
    assert texts(done.notebook) == texts(filled(release))
    assert done.notes == (f"cell {name}: was there 2 times; the one that was filled in was kept",)


def test_a_duplicated_check_is_there_once(release: NotebookNode) -> None:
    name = f"check-{answer_cell(first())}"

    def change(nb: NotebookNode) -> None:
        nb.cells[:0] = [copy.deepcopy(cell(nb, name)) for _ in range(2)]

    done = mended(release, change)
    assert texts(done.notebook) == texts(filled(release))
    assert f"cell {name}: was there 3 times; restored" in done.notes


@pytest.mark.parametrize("kind", ["raw", "markdown", "heading", None, 7])
def test_retyped_cells_get_their_type_back(release: NotebookNode, kind: Any) -> None:
    def change(nb: NotebookNode) -> None:
        for c in nb.cells:
            c["cell_type"] = kind

    done = mended(release, change)
    assert [(c.cell_type, c.source) for c in done.notebook.cells] == [
        (c.cell_type, c.source) for c in filled(release).cells
    ]
    assert any("type was changed" in note for note in done.notes)


def test_reordered_cells_are_put_back(release: NotebookNode) -> None:
    done = mended(release, lambda nb: nb.cells.reverse())
    assert texts(done.notebook) == texts(filled(release))
    assert done.notes == ("cells were in another order; restored",)


def test_a_cell_under_another_name_is_an_extra_one(release: NotebookNode) -> None:
    name = answer_cell(first())

    def change(nb: NotebookNode) -> None:
        cell(nb, name).metadata.nbgrader["grade_id"] = "mine"

    done = mended(release, change)
    where = place(done.notebook, name)
    assert cell(done.notebook, name).source == MISSING
    # It stood before the lost answer's own place; the code still runs before the check.
    assert solution(first()) in texts(done.notebook)[where - 1 : where + 1]
    assert "mine" not in {grade_id(c) for c in done.notebook.cells}
    assert done.notes == (f"cell {name}: was deleted",)


def test_extra_cells_keep_their_place_and_type(release: NotebookNode) -> None:
    name = answer_cell(first())
    note, raw = nbformat.v4.new_markdown_cell("note"), nbformat.v4.new_raw_cell("raw")
    code = nbformat.v4.new_code_cell("helper = 1")

    def change(nb: NotebookNode) -> None:
        nb.cells.insert(place(nb, name) + 1, note)
        nb.cells.insert(place(nb, name), code)
        nb.cells.insert(0, raw)
        nb.cells.insert(1, nbformat.v4.new_code_cell(" \n"))  # an empty cell says nothing

    done = mended(release, change).notebook
    assert texts(done) == texts_with(
        release, {0: "raw", place(release, name): "helper = 1", place(release, name) + 1: "note"}
    )
    assert [done.cells[k].cell_type for k in (0, place(done, name) - 1, place(done, name) + 1)] == [
        "raw",
        "code",
        "markdown",
    ]
    assert len({c.id for c in done.cells}) == len(done.cells)


def test_pasted_pictures_stay_with_their_cells(release: NotebookNode) -> None:
    png = {"image/png": "iVBORw0KGgo="}
    text = "![image.png](attachment:image.png)"

    def change(nb: NotebookNode) -> None:
        mine = cell(nb, "why")
        mine.source, mine["attachments"] = text, {"image.png": png, "x.svg": {"image/svg+xml": "<svg/>"}}
        note = nbformat.v4.new_markdown_cell(text)  # under the same name another picture
        note["attachments"] = {"image.png": {"image/jpeg": "/9j/AAAA"}}
        nb.cells.insert(place(nb, "why") + 1, note)
        nb.cells.append(nbformat.v4.new_raw_cell("raw", attachments={"image.png": png}))

    done = mended(release, change).notebook
    nbformat.validate(done)
    at = place(done, "why")
    assert [done.cells[k].attachments for k in (at, at + 1)] == [
        {"image.png": png},
        {"image.png": {"image/jpeg": "/9j/AAAA"}},
    ]
    assert not any("attachments" in c for k, c in enumerate(done.cells) if k not in (at, at + 1))


def texts_with(release: NotebookNode, extras: dict[int, str]) -> list[str]:
    """The filled notebook's texts, each extra one before the cell of that number."""
    found = []
    for k, text in enumerate(texts(filled(release))):
        found += [extras[k]] if k in extras else []
        found.append(text)
    return found


def test_unknown_grade_ids_are_extra_cells_without_a_name(release: NotebookNode) -> None:
    def change(nb: NotebookNode) -> None:
        extra = nbformat.v4.new_code_cell(
            "1000.0", metadata={"nbgrader": {"grade_id": "bonus", "grade": True, "points": 9}}
        )
        nb.cells.append(extra)

    done = mended(release, change).notebook
    assert done.cells[-1].source == "1000.0" and done.cells[-1].metadata == {}


def test_a_notebook_of_another_assignment_is_refused(release: NotebookNode) -> None:
    with pytest.raises(NotebookError, match="no cell of the assignment"):
        mend(release, nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]))


@pytest.mark.parametrize(
    ("source", "text"),
    [(["a = 1\n", "b = 2"], "a = 1\nb = 2"), (["a", None, 3, "b"], "ab"), (7, ""), (None, ""), ({"a": 1}, ""),
     ("\ud800", "?")],
)  # fmt: skip
def test_a_source_may_be_anything(release: NotebookNode, source: Any, text: str) -> None:
    name = answer_cell(first())
    data = json.loads(nbformat.writes(filled(release)))
    next(c for c in data["cells"] if grade_id(c) == name)["source"] = source
    assert cell(mend(release, data).notebook, name).source == text


@pytest.mark.parametrize(
    "metadata", [None, 3, [], {"nbgrader": 3}, {"nbgrader": {"grade_id": ["x"]}}, {"nbgrader": None}]
)
def test_metadata_may_be_anything(release: NotebookNode, metadata: Any) -> None:
    data = json.loads(nbformat.writes(filled(release)))
    data["cells"][-1]["metadata"] = metadata
    data["cells"].append({"source": "no metadata, no type"})
    data["metadata"] = metadata
    done = mend(release, data)
    assert locked(done.notebook) == locked(release)
    assert "no metadata, no type" in texts(done.notebook)


# Files.


def read(tmp_path: Path, content: bytes | str) -> dict[str, Any]:
    path = tmp_path / NAME
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_submission(path)


def test_format_3_is_converted(release: NotebookNode, tmp_path: Path) -> None:
    old = nbformat.convert(filled(release), 3)
    data = read(tmp_path, nbformat.writes(old, version=3))
    done = mend(release, data)
    assert cell(done.notebook, answer_cell(first())).source == solution(first())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"nbformat": 5, "cells": []}', "format 5, expected 4"),
        ('{"nbformat": 3, "worksheets": 7}', "cannot be converted"),
        ('{"nbformat": [], "cells": []}', "expected 4"),
        ('{"nbformat": 4}', "without a list of cells"),
        ('{"nbformat": 4, "cells": {}}', "without a list of cells"),
        ('{"nbformat": 4, "cells": [1]}', "without a list of cells"),
        ("[1, 2]", "no notebook"),
        ('"text"', "no notebook"),
        ("{}", "no notebook"),
        ("", "not valid JSON"),
        ('{"cells": [', "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"PK\x03\x04 a zip", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("1" * 10_000, "not valid JSON"),
    ],
)
def test_what_is_no_notebook_is_told(tmp_path: Path, content: bytes | str, says: str) -> None:
    with pytest.raises(NotebookError, match=says):
        read(tmp_path, content)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with path.open("wb") as file:
        file.truncate(MAX_NOTEBOOK_BYTES + 1)
    with pytest.raises(NotebookError, match="52 MB, expected at most 50 MB"):
        read_submission(path)


def test_too_many_cells_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=f"at most {MAX_CELLS}"):
        read(tmp_path, json.dumps({"nbformat": 4, "cells": [{}] * (MAX_CELLS + 1)}))


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="cannot be read"):
        read_submission(tmp_path / "absent.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    with pytest.raises(NotebookError, match="not a file"):
        read_submission(tmp_path / "folder.ipynb")
    os.mkfifo(tmp_path / "pipe.ipynb")
    with pytest.raises(NotebookError, match="not a file"):
        read_submission(tmp_path / "pipe.ipynb")


def test_a_link_is_not_followed_to_the_solution(course: Any, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.symlink_to(next(course.solutions.glob("*/*.ipynb")))
    with pytest.raises(NotebookError, match="a link"):
        read_submission(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("{}")
    path.chmod(0)
    with pytest.raises(NotebookError, match="Permission denied"):
        read_submission(path)


GRADE_IDS = ["setup", "intro", "why", "progress", "nobody", ""]
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
keyed = functools.partial(st.dictionaries, st.text(max_size=5), max_size=3)
anything = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | keyed(inner))
cells = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading"]) | anything,
        "source": st.text(max_size=20) | st.lists(st.text(max_size=9), max_size=3) | anything,
        "input": anything,
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "nbgrader": st.fixed_dictionaries({}, optional={"grade_id": st.sampled_from(GRADE_IDS) | anything})
            },
        )
        | anything,
        "outputs": anything,
        "id": anything,
        "attachments": anything,
    },
)
notebooks = st.fixed_dictionaries(
    {},
    optional={
        "nbformat": st.sampled_from([3, 4, 4, 4, 5]) | anything,
        "nbformat_minor": st.sampled_from([0, 5]) | anything,
        "cells": st.lists(cells, max_size=6) | anything,
        "worksheets": st.lists(st.fixed_dictionaries({}, optional={"cells": st.lists(cells, max_size=3)}), max_size=2)
        | anything,
        "metadata": anything,
    },
)


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=notebooks | anything, more=st.lists(cells, max_size=8))
def test_whatever_is_handed_in_ends_in_a_notebook_or_in_an_error_of_ours(
    release: NotebookNode, tmp_path: Path, data: Any, more: list[Any]
) -> None:
    for content in (data, {"nbformat": 4, "cells": [{"source": "x", "metadata": release.cells[0].metadata}, *more]}):
        try:
            done = mend(release, read(tmp_path, json.dumps(content)))
        except NotebookError as error:
            assert str(error)
        else:
            nbformat.validate(done.notebook)
            assert locked(done.notebook) == locked(release)
            assert [grade_id(c) for c in done.notebook.cells if grade_id(c)] == [grade_id(c) for c in release.cells]


@settings(max_examples=100, deadline=None, database=None)
@given(st.binary(max_size=200))
def test_whatever_bytes_a_file_holds_only_our_error_comes(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    with pytest.raises(NotebookError):
        read(tmp_path_factory.getbasetemp(), content)


def test_every_exercise_has_a_cell_to_answer_and_one_to_check(release: NotebookNode) -> None:
    found = [grade_id(c) for c in release.cells]
    assert all(answer_cell(name) in found and f"check-{answer_cell(name)}" in found for name in keys())
