"""Holes that an attack of the catalogue once found, each at its own level."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest
from room import UNIT, needs_sandbox

from coursekit.checks.codec import pack
from coursekit.grading.clean import clean_text, one_line
from coursekit.grading.collect import collect
from coursekit.grading.frames import Inbox
from coursekit.grading.pictures import pasted
from coursekit.grading.pool import Pool
from coursekit.grading.results import CellJob, Limits, SubmissionJob


def test_a_terminal_gets_nothing_to_act_on() -> None:
    assert one_line("a\x1b]0;title\x07\x1b[2J\nb\u202ec") == "a?]0;title??[2J?b?c"
    assert one_line("Žofie Müller-名 😀") == "Žofie Müller-名 😀"


def test_names_cannot_act_on_the_pages_of_nbgrader_nor_take_each_others_place(tmp_path: Path) -> None:
    for name in ("a<b>", "a-b-", 'a"b', "a\x1bb", "a\nb"):
        (tmp_path / name / UNIT.name).mkdir(parents=True)
        (tmp_path / name / UNIT.name / f"{UNIT.name}.ipynb").write_text("{}")
    students = [submission.student for submission in collect(tmp_path, UNIT)]
    assert len(set(students)) == 5 and not any(re.search(r'[<>"\x00-\x1f]', name) for name in students)
    assert "a-b-" in students and "a-b" in students


@pytest.mark.parametrize("link", ["![x](attachment:x.png)", "![x](attachment\\:x.png)", "![x](attachment&#58;x.png)"])
def test_a_picture_pasted_into_an_answer_does_not_end_the_page_of_formgrader(link: str) -> None:
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    cleaned = clean_text(link)
    assert "attachment:" not in markdown2html_mistune(cleaned)
    assert clean_text("see the attachment: it has it all") == "see the attachment: it has it all"


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
UNFIT = {
    "script": ("a.svg", {"image/svg+xml": PNG}),
    "not what it says": ("a.png", {"image/png": base64.b64encode(b"<script>" * 9).decode()}),
    "no base64": ("a.png", {"image/png": PNG + '" onerror="x'}),
    "a name that leaves its attribute": ('a"x.png', {"image/png": PNG}),
    "too large": ("a.png", {"image/png": PNG + "A" * (2 << 20)}),
    "no bundle": ("a.png", PNG),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_is_no_picture_is_not_attached(name: str) -> None:
    assert pasted(dict([UNFIT[name]])) == {}
    assert pasted({"b.png": {"text/html": "<script>", "image/png": PNG}}) == {"b.png": {"image/png": PNG}}
    assert len(pasted({f"{k}.png": {"image/png": PNG} for k in range(99)})) == 20


def test_outputs_are_counted() -> None:
    inbox = Inbox(SubmissionJob(key="x", cells=(CellJob(0, ""), CellJob(1, ""))), Limits())
    output = {"output_type": "stream", "name": "stdout", "text": "1"}
    for index in (0, 1):
        frame = pack({"kind": "cell", "index": index, "error": None, "seconds": 0.0, "outputs": [output] * 4000})
        inbox.feed(len(frame).to_bytes(4, "big") + frame)
    assert len(inbox.cells[0].outputs) == 4000 and len(inbox.cells[1].outputs) == 1000
    assert any("outputs" in note for note in inbox.notes)


@needs_sandbox
@pytest.mark.skipif(
    tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (6, 14),
    reason="needs Linux 6.14: pid_max by namespace",
)
def test_threads_are_limited_for_root_too() -> None:
    before = Path("/proc/sys/kernel/pid_max").read_text()
    source = """
import threading, time
threading.stack_size(65536)
started = 0
try:
    while started < 600:
        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
        started += 1
except RuntimeError: pass
print(started)
"""
    with Pool(jobs=1, units=["01"]) as pool:
        [run] = pool.run([SubmissionJob(key="x", cells=(CellJob(0, source),))])
    assert 50 < int(run.cells[0].outputs[0]["text"]) < 320
    assert Path("/proc/sys/kernel/pid_max").read_text() == before


def test_a_helper_module_can_be_imported_and_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "my_helpers.py").write_text("def double(x): return 2 * x\n")
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('the wrong one')\n")
    source = "import colorsys, my_helpers\nprint(my_helpers.double(4), colorsys.rgb_to_hsv(0, 0, 0)[2])"
    with Pool(jobs=1, units=["01"], trust=True) as pool:
        [run] = pool.run([SubmissionJob(key="x", cells=(CellJob(0, source),), files=tmp_path)])
    assert run.cells[0].error is None and run.cells[0].outputs[0]["text"] == "8 0\n"
