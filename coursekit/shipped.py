"""Weights that the kit ships: safetensors under data/, each with a row in data/manifest.json.

The row says how the file came about (command, seed, seconds, kind of machine, figures) and holds the SHA-256 that `load`
checks. Weights are stored as float16 and loaded as whatever the network has.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import nn

from coursekit.errors import InputError, ShippedFileError
from coursekit.files import replace

MANIFEST = "manifest.json"


def folder(start: Path | None = None) -> Path:
    """The data/ folder with the manifest: of the course around `start` (the working directory), else of the package."""
    here = (start or Path.cwd()).resolve()
    for root in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if (root / "data" / MANIFEST).is_file():
            return root / "data"
    raise ShippedFileError(
        f"no data/{MANIFEST} at {here}, above it or beside the package: expected the course's data folder. "
        "Change into the course's folder."
    )


def manifest(data: Path | None = None) -> dict[str, dict[str, Any]]:
    """File name -> its row."""
    path = (data or folder()) / MANIFEST
    try:
        rows: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ShippedFileError(f"{path}: cannot be read as JSON ({error}). Restore it from the repository.") from error
    return rows


def save(
    name: str, net: nn.Module, *, command: str, seed: int, seconds: float, figures: Mapping[str, float] | None = None,
    config: Mapping[str, Any] | None = None, data: Path | None = None,
) -> Path:  # fmt: skip
    """Write data/`name`.safetensors (float16) and its row of the manifest; a crash half-way leaves the old file."""
    data = data or folder()
    tensors = {
        key: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for key, value in net.state_dict().items()
    }
    content = write_tensors(tensors, metadata={"config": json.dumps(dict(config or {}))})
    path = data / f"{name}.safetensors"
    replace(path, content)
    record(path, command=command, seed=seed, seconds=seconds, figures=figures, config=config, data=data)
    return path


def record(
    path: Path, *, command: str, seed: int, seconds: float, figures: Mapping[str, float] | None = None,
    config: Mapping[str, Any] | None = None, data: Path | None = None,
) -> None:  # fmt: skip
    """Write the manifest's row for a file below data/ that is there already."""
    data = data or folder()
    content, rows = path.read_bytes(), manifest(data)
    rows[path.resolve().relative_to(data.resolve()).as_posix()] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "command": command,
        "seed": seed,
        "seconds": round(seconds, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "figures": {key: round(value, 4) for key, value in (figures or {}).items()},
        "config": dict(config or {}),
    }
    replace(data / MANIFEST, json.dumps(dict(sorted(rows.items())), indent=1) + "\n")


def row(name: str, data: Path | None = None) -> dict[str, Any]:
    """The row of data/`name`.safetensors: its `config` says how to build the network."""
    rows = manifest(data)
    try:
        return rows[f"{name}.safetensors"]
    except KeyError:
        raise InputError.of(
            "shipped weights", got=name, expected=f"one of {', '.join(k.removesuffix('.safetensors') for k in rows)}",
            do="Pick one of these, or make the file with the command in its lecture.",
        ) from None  # fmt: skip


def load(name: str, net: nn.Module, *, data: Path | None = None) -> nn.Module:
    """Fill `net` from data/`name`.safetensors and return it in eval mode, gradients of its weights off.

    Raises ShippedFileError when the file is absent, differs from the manifest, or does not fit the network.
    """
    data = data or folder()
    expected, path = row(name, data), data / f"{name}.safetensors"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ShippedFileError(
            f"{path}: cannot be read ({error}). Restore it from the repository, or make it: {expected['command']}"
        ) from error
    got = hashlib.sha256(content).hexdigest()
    if got != expected["sha256"]:
        raise ShippedFileError(
            f"{path}: SHA-256 is {got[:12]}… ({len(content)} bytes), expected {expected['sha256'][:12]}… "
            f"({expected['bytes']} bytes). Restore it from the repository, or make it: {expected['command']}"
        )
    try:
        net.load_state_dict(read_tensors(content))
    except RuntimeError as error:
        raise ShippedFileError(
            f"{path}: does not fit this {type(net).__name__} ({error}). Build the network from the manifest's config."
        ) from error
    return net.eval().requires_grad_(False)
