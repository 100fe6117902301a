"""What crosses the network is plain data, and is checked again where it is judged."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.checks.codec import pack
from coursekit.course import unit
from coursekit.errors import EvidenceError, InputError, SchedulerError
from coursekit.grading import fingerprint, remote, wire
from coursekit.grading.frames import framed
from coursekit.grading.results import CellJob, CellRun, Limits, SubmissionJob, SubmissionRun

JOB = SubmissionJob(key="7", cells=(CellJob(0, "x = 1"), CellJob(1, "check", "01.q"), CellJob(2, "check", "01.r")))
RUN = SubmissionRun(
    key="7",
    ending="timed out",
    detail="in cell 2",
    cells={0: CellRun(0, [{"output_type": "stream", "name": "stdout", "text": "hi"}], "E: no", 0.5)},
    evidence={"01.q": [{"part": {"h": torch.tensor([1.0, float("nan")]), "n": float("inf")}}]},
    missing={"01.r": ("f",)},
    notes=("odd",),
    cpu_seconds=1.5,
    probe_cpu_seconds=0.25,
    wall_seconds=3.0,
)


def head(**changed: Any) -> bytes:
    text = json.dumps({"ending": "finished", "detail": "", "cpu": 1.0, "wall": 1.0, **changed}).encode()
    return len(text).to_bytes(4, "big") + text


def test_a_run_comes_back_as_it_was() -> None:
    again = wire.load(JOB, Limits(), wire.dump(RUN))
    [found], [sent] = again.evidence["01.q"], RUN.evidence["01.q"]
    assert torch.equal(found["part"]["h"].isnan(), sent["part"]["h"].isnan()) and found["part"]["n"] == float("inf")
    assert set(again.digests) == {"01.q"}
    assert dataclasses.replace(again, evidence={}, digests={}) == dataclasses.replace(RUN, evidence={})


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"ending": "finished"}, "a worker sent dict, expected bytes"),
        (b"", "malformed report"),
        (b"\xff\xff\xff\xffx", "malformed report"),
        (head(ending="won"), "the ending 'won', expected one of"),
        (head(cpu="much"), "malformed report"),
        (b"\x00\x00\x00\x02[]", "malformed report"),
    ],
)
def test_a_report_that_no_worker_makes_is_refused(sent: object, said: str) -> None:
    with pytest.raises(EvidenceError, match=said):
        wire.load(JOB, Limits(), sent)


def test_frames_are_believed_no_more_than_those_of_this_machine() -> None:
    frames = [
        {"kind": "evidence", "question": "01.other", "evidence": []},
        {"kind": "evidence", "question": "01.q", "evidence": [{"part": {"a": 1}}]},
        {"kind": "evidence", "question": "01.q", "evidence": [{"part": {"a": 2}}]},
        {"kind": "cell", "index": 99, "outputs": [], "error": None, "seconds": 0},
    ]
    run = wire.load(JOB, Limits(), head() + b"".join(framed(pack(frame)) for frame in frames))
    assert run.evidence == {"01.q": [{"part": {"a": 1}}]} and run.cells == {} and len(run.notes) >= 2
    flood = wire.load(JOB, Limits(evidence_bytes=10), head() + b"\x7f" * 8 + b"x" * (200 << 20))
    assert flood.ending == "too much output"


def test_a_parcel_holds_no_name_and_no_link_and_its_files_stay_in_their_folder(tmp_path: Path) -> None:
    beside = tmp_path / "al" / "work"
    (beside / "sub").mkdir(parents=True)
    (beside / "sub" / "w.bin").write_bytes(b"weights")
    (beside / "nb.ipynb").write_text("{}")
    (beside / "link").symlink_to("/etc/passwd")
    job = dataclasses.replace(JOB, files=beside)
    sent = wire.parcel(job, Limits())
    assert sent.files == {"sub/w.bin": b"weights"} and "al" not in repr(sent)
    there = wire.unpack_job(sent, tmp_path / "there", {})
    assert there.cells == JOB.cells and (tmp_path / "there" / "sub" / "w.bin").read_bytes() == b"weights"
    assert wire.unpack_job(wire.parcel(JOB, Limits()), tmp_path / "none", {}).files is None
    with pytest.raises(InputError, match="files beside the notebook"):
        wire.parcel(job, Limits(scratch_bytes=3))
    with pytest.raises(SchedulerError, match=r"'\.\./out'"):
        wire.unpack_job(wire.Parcel([], {"../out": b""}), tmp_path / "there", {})


def test_a_worker_with_other_code_refuses() -> None:
    with pytest.raises(SchedulerError, match="install the same on both"):
        remote.Setting("01", "other", Limits(), (), True).pool()
    assert fingerprint.of_worker(unit("01")) == fingerprint.of_worker(unit("01")) != fingerprint.of_checks(unit("01"))


def test_a_scheduler_that_is_not_there_and_one_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = remote.Cluster("tcp://127.0.0.1:9", unit("01"), limits=Limits())
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SchedulerError, match=r"pip install 'coursekit\[scale\]'"):
        cluster.__enter__()
