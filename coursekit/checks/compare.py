"""Expected against got: same keys, shapes and dtypes, close numbers, equal everything else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings


@dataclass(frozen=True)
class Difference:
    """Where findings part from the expected ones. `secret` says that the texts quote hidden values."""

    where: str
    got: str
    expected: str
    secret: bool = False

    def redacted(self) -> Difference:
        """Without the values: what feedback may show of a hidden draw."""
        return Difference(self.where, "other values", "the reference's values") if self.secret else self


def difference(expected: Findings, got: Findings, *, rtol: float, atol: float) -> Difference | None:
    """The first difference, or None. Both orders of keys count as the same."""
    for name in expected:
        if name not in got:
            return Difference(name, "nothing", describe(expected[name]))
        found = _unlike(name, expected[name], got[name], rtol, atol)
        if found:
            return found
    extra = [name for name in got if name not in expected]
    return Difference(extra[0], describe(got[extra[0]]), "nothing") if extra else None


def same(first: Any, second: Any) -> bool:
    """Whether two values are equal to the bit (NaN equals NaN)."""
    return _unlike("", first, second, 0.0, 0.0) is None


def _unlike(where: str, expected: Any, got: Any, rtol: float, atol: float) -> Difference | None:
    if isinstance(expected, Tensor):
        return _unlike_tensor(where, expected, got, rtol, atol)
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple) or len(got) != len(expected):
            return Difference(where, describe(got), describe(expected))
        pairs = enumerate(zip(expected, got))
        return next((d for k, (e, g) in pairs if (d := _unlike(f"{where}[{k}]", e, g, rtol, atol))), None)
    if isinstance(expected, dict):
        if not isinstance(got, dict) or expected.keys() != got.keys():
            return Difference(where, describe(got), describe(expected))
        return next((d for k in expected if (d := _unlike(f"{where}.{k}", expected[k], got[k], rtol, atol))), None)
    if isinstance(expected, float) and type(got) in (int, float):
        if math.isclose(expected, got, rel_tol=rtol, abs_tol=atol) or (math.isnan(expected) and math.isnan(got)):
            return None
        return Difference(where, f"{got:.6g}", f"{expected:.6g}", secret=True)
    if type(expected) is type(got) and expected == got:
        return None
    secret = type(expected) is type(got) and not isinstance(expected, bool)
    return Difference(where, describe(got), describe(expected), secret=secret)


def _unlike_tensor(where: str, expected: Tensor, got: Any, rtol: float, atol: float) -> Difference | None:
    if not isinstance(got, Tensor):
        return Difference(where, describe(got), f"a tensor of shape {tuple(expected.shape)}")
    if got.shape != expected.shape:
        return Difference(where, f"shape {tuple(got.shape)}", f"shape {tuple(expected.shape)}")
    if got.dtype != expected.dtype:
        return Difference(where, f"dtype {got.dtype}", f"dtype {expected.dtype}")
    if torch.equal(got, expected):
        return None
    if not expected.is_floating_point():
        wrong = got != expected
    else:
        wrong = ~torch.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)
    if not bool(wrong.any()):
        return None
    place = tuple(int(k) for k in torch.nonzero(wrong)[0])
    at = f"{where}[{', '.join(map(str, place))}]" if place else where
    share = f" ({int(wrong.sum())} of {wrong.numel()} entries differ)" if wrong.numel() > 1 else ""
    return Difference(at, f"{got[place].item():.6g}{share}", f"{expected[place].item():.6g}", secret=True)


def describe(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
