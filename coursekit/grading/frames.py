"""What crosses the border between the parent and a worker, and how the parent checks it.

Two roads. The *control channel* joins the parent and the warm process: lines of JSON, and descriptors beside them. The
*frames* come through a pipe that a submission's process alone writes to: 4 bytes of length (big endian), then
`coursekit.checks.codec` bytes. The writer of frames is a stranger. So the reader bounds what it takes, believes no type,
takes the first frame for each cell and question and only notes the others; and nothing is ever evaluated.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

from coursekit.errors import EvidenceError
from coursekit.grading.results import CellRun, Ending, Limits, Output, SubmissionJob, SubmissionRun

if TYPE_CHECKING:  # the warm process opens its channel before it imports torch
    from coursekit.checks.declare import Evidence

_LENGTH = 4
_JSON_BYTES = 4 << 20
_FRAMES_PER_CELL, _SPARE_CELLS = 3, 30
_OUTPUTS = 5000
"""Outputs of all cells together: a short one takes up many times its text, here and on the pages."""
_DESCRIPTORS = 3
"""A job travels with three: the draws, its payload, and the pipe for its frames."""


class Channel:
    """One end of the control channel."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._bytes = b""
        self._descriptors: deque[int] = deque()

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        line = json.dumps(message).encode() + b"\n"
        sent = socket.send_fds(self.socket, [line], list(descriptors)) if descriptors else 0
        self.socket.sendall(line[sent:])

    def receive(self) -> list[tuple[dict[str, Any], list[int]]] | None:
        """The messages that have arrived (waits for some), each with its descriptors; None at the end."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 16, 8 * _DESCRIPTORS)
        except ConnectionError:
            data, descriptors = b"", []
        if not data:
            return None
        self._descriptors.extend(descriptors)
        *lines, self._bytes = (self._bytes + data).split(b"\n")
        messages = [json.loads(line) for line in lines]
        return [(message, self._belonging(message)) for message in messages]

    def _belonging(self, message: dict[str, Any]) -> list[int]:
        # Messages and descriptors each keep their order, but one read may return several of either.
        return [self._descriptors.popleft() for _ in range(_DESCRIPTORS)] if "scratch" in message else []


def framed(packed: bytes) -> bytes:
    """One frame as `Inbox.feed` takes it."""
    return len(packed).to_bytes(_LENGTH, "big") + packed


def write(descriptor: int, packed: bytes) -> None:
    """Send one frame."""
    view = memoryview(framed(packed))
    while view:
        view = view[os.write(descriptor, view) :]


@dataclass
class Inbox:
    """What has arrived from one submission, checked."""

    job: SubmissionJob
    limits: Limits
    cells: dict[int, CellRun] = field(default_factory=dict)
    evidence: dict[str, list[Evidence]] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    """Of each question's evidence, as it came."""
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fault: str = ""
    """Why the worker could not run the submission at all."""
    probe_seconds: float = 0.0
    done: bool = False
    overflow: bool = False
    """Whether more bytes came than a submission may send: take no more of them."""

    def __post_init__(self) -> None:
        self._buffer = bytearray()
        # A character of output takes up to 12 bytes in JSON. JSON has a budget of its own because a small text can
        # describe objects that take up twenty times its size here.
        self._json_left = _JSON_BYTES + 12 * self.limits.output_bytes
        self._left = self.limits.evidence_bytes + self._json_left
        self._frames_left = _FRAMES_PER_CELL * (len(self.job.cells) + _SPARE_CELLS)
        self._outputs_left = _OUTPUTS
        self._questions = {cell.question for cell in self.job.cells if cell.question}
        self._indices = {cell.index for cell in self.job.cells}

    def feed(self, data: bytes) -> bool:
        """Take bytes; whether a whole frame was among them."""
        self._left -= len(data)
        self._buffer += data
        complete = False
        while not self.overflow and len(self._buffer) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._buffer[:_LENGTH], "big")
            # Refused at once where it announces more than may still come.
            self.overflow = end - len(self._buffer) > self._left or self._left < 0 or self._frames_left == 0
            if self.overflow or len(self._buffer) < end:
                break
            self._take(bytes(self._buffer[_LENGTH:end]))
            del self._buffer[:end]
            complete = True
        if self.overflow:
            self._buffer.clear()
        return complete

    def run(self, ending: Ending, detail: str, *, cpu: float, wall: float) -> SubmissionRun:
        """What became of the submission: how it ended, from outside, and what it sent. Seconds."""
        return SubmissionRun(
            key=self.job.key,
            ending=ending,
            detail=detail,
            cells=self.cells,
            evidence=self.evidence,
            digests=self.digests,
            missing=self.missing,
            notes=tuple(self.notes),
            cpu_seconds=cpu,
            probe_cpu_seconds=self.probe_seconds,
            wall_seconds=wall,
        )

    def _take(self, packed: bytes) -> None:
        from coursekit.checks.codec import unpack

        self._frames_left -= 1
        self._json_left -= min(len(packed), int.from_bytes(packed[:4], "big"))
        if self._json_left < 0:
            self.overflow = True
            return
        try:
            frame = unpack(packed)
        except EvidenceError as error:
            self._note(f"a malformed frame was ignored: {error}")
            return
        kind = frame.get("kind") if isinstance(frame, dict) else None
        if kind == "cell":
            self._take_cell(frame)
        elif kind == "evidence":
            self._take_evidence(frame, packed)
        elif kind == "missing":
            self._take_missing(frame)
        elif kind == "fault":
            self.fault = self.fault or _line(frame.get("text"))
        elif kind == "note":
            self._note(_line(frame.get("text")))
        elif kind == "end":
            self.done = True
            self.probe_seconds = _seconds(frame.get("probe_seconds"))
        else:
            self._note("a frame of an unknown kind was ignored.")

    def _take_cell(self, frame: dict[str, Any]) -> None:
        index = frame.get("index")
        if type(index) is not int or index not in self._indices or index in self.cells:
            self._note(f"a second or unknown report on cell {_line(index)} was ignored.")
            return
        raw = frame.get("outputs")
        items = raw[: self._outputs_left] if isinstance(raw, list) else []
        self._outputs_left -= len(items)
        if isinstance(raw, list) and len(items) < len(raw):
            self._note(f"more than {_OUTPUTS} outputs: the rest was left out.")
        outputs = [output for item in items if (output := _output(item))]
        error = frame.get("error")
        self.cells[index] = CellRun(index, outputs, _line(error) if error else None, _seconds(frame.get("seconds")))

    def _take_evidence(self, frame: dict[str, Any], packed: bytes) -> None:
        question, evidence = frame.get("question"), frame.get("evidence")
        if not self._expects(question) or not _is_evidence(evidence):
            self._note(f"evidence that is repeated, unknown or no evidence at all was ignored: {_line(question)}.")
            return
        self.evidence[question] = evidence
        self.digests[question] = hashlib.blake2b(packed, digest_size=32).digest()

    def _take_missing(self, frame: dict[str, Any]) -> None:
        question, names = frame.get("question"), frame.get("names")
        if self._expects(question) and isinstance(names, list):
            self.missing[question] = tuple(_line(name) for name in names[:20])

    def _expects(self, question: object) -> TypeGuard[str]:
        if not isinstance(question, str) or question not in self._questions:
            return False
        return question not in self.evidence and question not in self.missing

    def _note(self, text: str) -> None:
        if len(self.notes) < 20 and text not in self.notes:
            self.notes.append(text)


def _is_evidence(value: object) -> TypeGuard[list[Evidence]]:
    """Findings by part, for each draw. What the findings are is for the judge to see."""
    return isinstance(value, list) and all(
        isinstance(draw, dict) and all(isinstance(findings, dict) for findings in draw.values()) for draw in value
    )


def _output(item: object) -> Output | None:
    """An output rebuilt from the parts that nbformat knows, or None."""
    if not isinstance(item, dict):
        return None
    kind = item.get("output_type")
    if kind == "stream":
        name = "stderr" if item.get("name") == "stderr" else "stdout"
        return {"output_type": kind, "name": name, "text": _clean(item.get("text"))}
    if kind == "error":
        lines = item.get("traceback")
        trace = [_clean(line) for line in lines[:50]] if isinstance(lines, list) else []
        return {
            "output_type": kind,
            "ename": _line(item.get("ename")),
            "evalue": _clean(item.get("evalue")),
            "traceback": trace,
        }
    if kind not in ("display_data", "execute_result"):
        return None
    data, metadata = item.get("data"), item.get("metadata")
    output = {
        "output_type": kind,
        "data": {_clean(m): _clean(v) for m, v in data.items()} if isinstance(data, dict) else {},
        "metadata": {_clean(m): _details(v) for m, v in metadata.items()} if isinstance(metadata, dict) else {},
    }
    if kind == "execute_result":
        count = item.get("execution_count")
        output["execution_count"] = count if type(count) is int and 0 <= count < 1_000_000 else None
    return output


def _details(value: object) -> dict[str, Any]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {_clean(name): _clean(v) if isinstance(v, str) else v for name, v in pairs if type(v) in (str, int, float)}


def _clean(value: object) -> str:
    """A string that can be written as UTF-8; anything else becomes empty."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def _line(value: object) -> str:
    """A short single line."""
    return " ".join(_clean(value if isinstance(value, str) else repr(value)[:500]).split())[:500]


def _seconds(value: object) -> float:
    number = value if isinstance(value, int | float) else 0.0
    return float(number) if 0 <= number < 1e9 else 0.0
