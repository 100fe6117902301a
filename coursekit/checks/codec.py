"""Plain data as bytes and back: JSON for the shape of things, safetensors for tensors. Nothing is ever unpickled.

Layout: 4 bytes, the length of the JSON part (big endian); the JSON part; the safetensors part. In the JSON a tensor is
``{"$tensor": name}`` and a number that JSON has no word for is ``{"$float": "nan" | "inf" | "-inf"}``. Without tensors
there is no safetensors part.
"""

from __future__ import annotations

import json
import math
from typing import Any

import safetensors.torch
from torch import Tensor

from coursekit.errors import EvidenceError

MAX_DEPTH = 32
_HEADER = 4


def pack(value: Any) -> bytes:
    """Bytes of plain data (dicts with string keys, lists, tensors, numbers, strings, truth values, None)."""
    tensors: dict[str, Tensor] = {}

    def walk(item: Any) -> Any:
        if isinstance(item, Tensor):
            name = f"t{len(tensors)}"
            tensors[name] = item.detach().cpu().contiguous().clone()
            return {"$tensor": name}
        if isinstance(item, dict):
            return {str(key): walk(entry) for key, entry in item.items()}
        if isinstance(item, list | tuple):
            return [walk(entry) for entry in item]
        if isinstance(item, float) and not math.isfinite(item):
            return {"$float": str(item)}
        return item

    try:
        text = json.dumps(walk(value), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise EvidenceError(f"cannot pack {type(value).__name__}: {error}. Expected plain data only.") from error
    blob: bytes = safetensors.torch.save(tensors) if tensors else b""
    return len(text).to_bytes(_HEADER, "big") + text + blob


def unpack(data: bytes, *, max_bytes: int = 256 << 20) -> Any:
    """The plain data in `data`. Raises `EvidenceError` on anything malformed: `data` may come from a stranger."""
    if len(data) > max_bytes:
        raise EvidenceError(f"frame of {len(data)} bytes, expected at most {max_bytes}.")
    if len(data) < _HEADER:
        raise EvidenceError(f"frame of {len(data)} bytes, expected at least {_HEADER}.")
    end = _HEADER + int.from_bytes(data[:_HEADER], "big")
    if end > len(data):
        raise EvidenceError(f"frame announces {end - _HEADER} bytes of JSON, got {len(data) - _HEADER}.")
    try:
        tree = json.loads(data[_HEADER:end].decode("utf-8"), parse_constant=_no_constant)
        tensors = safetensors.torch.load(bytes(data[end:])) if end < len(data) else {}
    except EvidenceError:
        raise
    except Exception as error:  # json, unicode and safetensors each have their own errors, and Rust's may be any
        raise EvidenceError(f"malformed frame: {type(error).__name__}: {str(error)[:200]}.") from error
    return _restore(tree, tensors, 0)


def _restore(item: Any, tensors: dict[str, Tensor], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise EvidenceError(f"frame nests deeper than {MAX_DEPTH}.")
    if isinstance(item, list):
        return [_restore(entry, tensors, depth + 1) for entry in item]
    if not isinstance(item, dict):
        return item
    if item.keys() == {"$tensor"}:
        name = item["$tensor"]
        if not isinstance(name, str) or name not in tensors:
            raise EvidenceError(f"frame names a tensor {name!r} that it does not hold.")
        return tensors[name]
    if item.keys() == {"$float"}:
        if item["$float"] not in ("nan", "inf", "-inf"):
            raise EvidenceError(f"frame has an unknown number {item['$float']!r}.")
        return float(item["$float"])
    return {key: _restore(entry, tensors, depth + 1) for key, entry in item.items()}


def _no_constant(word: str) -> Any:
    raise EvidenceError(f"frame has the bare constant {word}, which JSON has no word for.")
