"""From a student's object to evidence: plain data, and nothing that could act on its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.checks.compare import same
from coursekit.checks.declare import Evidence, Findings, Inputs, Part, Question, copy_inputs
from coursekit.checks.isolate import isolated

RAISED = "raised"
"""The finding that stands for an exception; its message is under `MESSAGE`."""
MESSAGE = "message"
CHANGED = "inputs changed in place"

MAX_ELEMENTS = 4_000_000
MAX_TEXT = 10_000
MAX_ITEMS = 10_000
_DTYPES = {
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
}  # fmt: skip


def gather(question: Question, answer: Any, draws: list[Inputs], dtype: torch.dtype = torch.float32) -> list[Evidence]:
    """Probe `answer` with every part of `question` on every draw."""
    return [{part.name: _find(part, answer, inputs, dtype) for part in question.parts} for inputs in draws]


def _find(part: Part, answer: Any, inputs: Inputs, dtype: torch.dtype) -> Findings:
    mine = copy_inputs(inputs)
    with isolated(dtype):
        try:
            findings = {name: plain(value) for name, value in part.probe(answer, mine).items()}
        except Exception as error:  # whatever a student's code raises is a finding
            return {RAISED: type(error).__name__, MESSAGE: str(error)[:500]}
        findings[CHANGED] = not all(same(inputs[name], mine.get(name)) for name in inputs)
    return findings


def plain(value: Any) -> Any:
    """`value` as plain data; what is not becomes a string that says so, and equals no right answer."""
    if isinstance(value, Tensor):
        return _plain_tensor(value)
    if value is None or type(value) in (bool, int, float):
        return value
    if type(value) is str:
        return value[:MAX_TEXT]
    if type(value) in (list, tuple):
        return [plain(item) for item in value[:MAX_ITEMS]]
    return f"<a {type(value).__name__}>"


def opaque(evidence: list[Evidence]) -> list[str]:
    """Where evidence holds a string in place of a value that `plain` cannot carry: any other such value would equal it."""
    found = {
        f"{part}: {name} is {value}"
        for draw in evidence
        for part, findings in draw.items()
        for name, whole in findings.items()
        for value in (whole if isinstance(whole, list) else [whole])
        if isinstance(value, str) and value.startswith("<a ")
    }
    return sorted(found)


def _plain_tensor(value: Tensor) -> Any:
    if value.dtype not in _DTYPES or value.layout is not torch.strided:
        return f"<a tensor of {value.dtype}, {value.layout}>"
    if value.numel() > MAX_ELEMENTS:
        return f"<a tensor of shape {tuple(value.shape)}, too large>"
    return value.detach().as_subclass(Tensor).cpu().contiguous().clone()
