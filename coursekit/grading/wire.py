"""A submission's job and run as plain data, for workers on other machines.

What comes back is fed to the same `Inbox` that reads a local submission's frames: a worker is trusted to tell the truth about
how a process ended, but what the submission said is bounded and checked again where it is judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from coursekit.checks.codec import pack
from coursekit.errors import EvidenceError, SchedulerError
from coursekit.grading.frames import Inbox, framed
from coursekit.grading.results import CellJob, Ending, Limits, SubmissionJob, SubmissionRun

_HEADER = 4


@dataclass(frozen=True)
class Parcel:
    """A job without paths, as a worker gets it: nothing in it is a student's name."""

    cells: list[tuple[int, str, str | None]]
    files: dict[str, bytes]
    """What lies beside the notebook, by relative path."""


def parcel(job: SubmissionJob, limits: Limits) -> Parcel:
    """A job with its files read. Raises `OSError`, and `InputError` where they are too large."""
    from coursekit.grading.scratch import regular_files

    files = {}
    if job.files is not None:
        files = {name.as_posix(): path.read_bytes() for name, path in regular_files(job.files, limits.scratch_bytes)}
    return Parcel([(cell.index, cell.source, cell.question) for cell in job.cells], files)


def unpack_job(parcel: Parcel, folder: Path, draws: Mapping[str, Any]) -> SubmissionJob:
    """The job, with its files below `folder`."""
    for name, content in parcel.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise SchedulerError(f"a file beside a notebook is called {name!r}, expected a path below its folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    cells = tuple(CellJob(index, source, question) for index, source, question in parcel.cells)
    return SubmissionJob(key="", cells=cells, draws=draws, files=folder if parcel.files else None)


def dump(run: SubmissionRun) -> bytes:
    """What became of a submission: how it ended, then its frames."""
    ending = {"ending": run.ending, "detail": run.detail, "cpu": run.cpu_seconds, "wall": run.wall_seconds}
    frames: list[dict[str, Any]] = [
        {"kind": "cell", "index": c.index, "outputs": c.outputs, "error": c.error, "seconds": c.seconds}
        for c in run.cells.values()
    ]
    frames += [{"kind": "evidence", "question": name, "evidence": found} for name, found in run.evidence.items()]
    frames += [{"kind": "missing", "question": name, "names": list(names)} for name, names in run.missing.items()]
    frames += [{"kind": "note", "text": text} for text in run.notes]
    frames.append({"kind": "end", "probe_seconds": run.probe_cpu_seconds})
    head = json.dumps(ending).encode()
    return b"".join([len(head).to_bytes(_HEADER, "big"), head, *(framed(pack(frame)) for frame in frames)])


def load(job: SubmissionJob, limits: Limits, data: object) -> SubmissionRun:
    """The run again, checked. Raises `EvidenceError` where `data` is nothing that `dump` makes."""
    if not isinstance(data, bytes):
        raise EvidenceError(f"a worker sent {type(data).__name__}, expected bytes.")
    end = _HEADER + int.from_bytes(data[:_HEADER], "big")
    try:
        head = json.loads(data[_HEADER:end])
        ending, detail = head["ending"], str(head["detail"])[:500]
        cpu, wall = float(head["cpu"]), float(head["wall"])
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError(f"a worker sent a malformed report ({type(error).__name__}: {error}).") from error
    if ending not in get_args(Ending):
        raise EvidenceError(f"a worker sent the ending {ending!r}, expected one of {get_args(Ending)}.")
    inbox = Inbox(job, limits)
    inbox.feed(data[end:])
    return inbox.run("too much output" if inbox.overflow else ending, detail, cpu=cpu, wall=wall)


def failed(job: SubmissionJob, detail: str) -> SubmissionRun:
    """The run of a submission that could not be run."""
    return Inbox(job, Limits()).run("crashed", detail, cpu=0.0, wall=0.0)
