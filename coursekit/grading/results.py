"""What the pool is given and what it gives back: plain values, made by the parent and by nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # the module is read by processes that have not imported torch yet
    from coursekit.checks.declare import Evidence, Inputs

Ending = Literal["finished", "timed out", "out of memory", "crashed", "too much output"]
"""The worst that happened to a submission. After anything but "crashed" the other cells may still have run."""

Output = dict[str, Any]
"""One output of a cell, in the form of nbformat 4."""

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one submission may use."""

    cell_seconds: float = 20.0
    wall_seconds: float = 120.0
    grace_seconds: float = 5.0
    """How long after a cell's time limit the pool waits for the cell to be stopped from inside."""
    memory_bytes: int = 2048 * MIB
    """Address space on top of what the warm process maps already."""
    file_bytes: int = 256 * MIB
    """The size of one file."""
    scratch_bytes: int = 512 * MIB
    """All files together, where the system can mount a scratch folder of that size."""
    output_bytes: int = 1 * MIB
    """Output of all cells together; the rest is cut, visibly."""
    evidence_bytes: int = 64 * MIB
    threads: int = 1
    """Threads that torch computes with."""
    processes: int = 128
    """Threads in all; enforced by the kernel for ordinary users. For root it is 300, from Linux 6.14 on."""


@dataclass(frozen=True)
class CellJob:
    """A code cell to run, or, with a question, the place where that question's evidence is gathered."""

    index: int
    source: str
    question: str | None = None


@dataclass(frozen=True, kw_only=True)
class SubmissionJob:
    """A notebook to run."""

    key: str
    """Names the submission to the caller; never reaches the worker."""
    cells: tuple[CellJob, ...]
    draws: Mapping[str, list[Inputs]] = field(default_factory=dict)
    """The inputs for each question."""
    files: Path | None = None
    """A folder whose regular files, notebooks apart, are copied into the scratch folder."""


@dataclass(frozen=True)
class CellRun:
    """What one cell put out."""

    index: int
    outputs: list[Output]
    error: str | None
    """Exception and message, in one line."""
    seconds: float
    """CPU seconds of the cell, or of the probes where it is a check."""


@dataclass(frozen=True, kw_only=True)
class SubmissionRun:
    """What became of a submission. Everything but `key`, `ending` and the parent's clocks was said by the submission."""

    key: str
    ending: Ending
    detail: str
    cells: dict[int, CellRun]
    evidence: dict[str, list[Evidence]]
    digests: dict[str, bytes] = field(default_factory=dict)
    """Of each question's evidence, as it came: equal evidence gets an equal verdict."""
    missing: dict[str, tuple[str, ...]]
    """Question -> the answers that the notebook does not define."""
    notes: tuple[str, ...]
    """What a person should know: frames out of place, evidence that could not be gathered."""
    cpu_seconds: float
    """From the kernel, by the process that waited for it."""
    probe_cpu_seconds: float
    """The share of it spent in gathering evidence, by the submission's own count."""
    wall_seconds: float


def ran_out_of_memory(error: str) -> bool:
    """Whether a cell's error, in one line, says that memory was refused: by Python, or by torch's allocator."""
    kind, _, message = error.partition(": ")
    return kind.endswith("MemoryError") or "DefaultCPUAllocator" in message
