"""The formats of the original files. Every reader checks what it reads, and a fault is a DataFileError naming the file.

Nothing is unpickled, and no archive may write outside its folder.
"""

from __future__ import annotations

import gzip
import math
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coursekit.datasets.real.places import Place
from coursekit.errors import DataFileError

PIXELS = 3 * 32 * 32  # of a CIFAR-10 picture


def read_bytes(path: Path) -> bytes:
    """A file's content, unzipped if it ends in .gz."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataFileError.of(path, got=_said(error), expected="a complete file that can be read") from error


def read_text(path: Path) -> str:
    """A file's content as UTF-8."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataFileError.of(path, got=_said(error), expected="text in UTF-8") from error


def read_idx(path: Path, dims: int) -> Tensor:
    """Bytes of shape (N, ...) with `dims` axes from an idx file: two zeros, the type, the axes, sizes, then the data.

    https://yann.lecun.com/exdb/mnist, "The IDX file format"; type 8 is unsigned bytes, sizes are big-endian int32.
    """
    content = read_bytes(path)
    magic, expected = content[:4], bytes((0, 0, 8, dims))
    if magic != expected:
        raise DataFileError.of(
            path, got=f"the first bytes {magic.hex(' ') or '(none)'}",
            expected=f"{expected.hex(' ')} (an idx file of bytes with {dims} axes)",
        )  # fmt: skip
    start = 4 + 4 * dims
    if len(content) < start:
        raise DataFileError.of(path, got=f"{len(content)} bytes", expected=f"a header of {start}")
    shape = tuple(np.frombuffer(content, ">i4", count=dims, offset=4).tolist())
    size = int(np.prod(shape, dtype=object))
    if min(shape) < 0 or len(content) != start + size:
        raise DataFileError.of(
            path, got=f"{len(content) - start} bytes of data", expected=f"{size}, as its header says (shape {shape})"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)


def read_cifar(path: Path) -> tuple[Tensor, Tensor]:
    """Bytes (N, 3, 32, 32) and labels (N,) int64 from CIFAR-10's binary version: one byte of label, then the picture."""
    content = read_bytes(path)
    if not content or len(content) % (1 + PIXELS):
        raise DataFileError.of(path, got=f"{len(content)} bytes", expected=f"a multiple of {1 + PIXELS}, a record each")
    records = torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(-1, 1 + PIXELS)
    labels = checked_labels(path, records[:, 0], 10)
    return records[:, 1:].reshape(-1, 3, 32, 32), labels


def read_mat(path: Path, *names: str) -> list[np.ndarray[Any, Any]]:
    """These variables of a MATLAB file (version 5)."""
    from scipy.io import loadmat  # takes a while to import, and few sets need it

    try:
        found = loadmat(path, variable_names=names)
    except Exception as error:  # a corrupt file raises almost anything, from TypeError to a zlib.error
        raise DataFileError.of(path, got=_said(error), expected="a MATLAB file of version 5") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DataFileError.of(path, got=f"no variable {', '.join(missing)}", expected=f"variables {', '.join(names)}")
    return [found[name] for name in names]


def read_columns(path: Path, *types: Callable[[str], Any], skip: int = 0) -> list[tuple[Any, ...]]:
    """The rows of a text file as tuples, its columns separated by blanks, each converted by its type."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines()[skip:], start=1 + skip):
        cells = line.split()
        try:
            if len(cells) != len(types):
                raise ValueError(f"{len(cells)} columns")
            rows.append(tuple(convert(cell) for convert, cell in zip(types, cells)))
        except ValueError as error:
            raise DataFileError.of(
                f"{path}, line {number}", got=str(error),
                expected=f"{len(types)} columns ({', '.join(convert.__name__ for convert in types)})",
            ) from None  # fmt: skip
    if not rows:
        raise DataFileError.of(path, got="no rows", expected="one for each picture")
    return rows


def read_captions(path: Path) -> list[str]:
    """The captions of one picture, a line each. Bytes that their publishers could not decode are left out."""
    lines = [" ".join(line.replace("\ufffd", " ").split()) for line in read_text(path).splitlines()]
    captions = [line for line in lines if line]
    if not captions:
        raise DataFileError.of(path, got="no captions", expected="a line for each (Reed et al. give ten)")
    return captions


def finite(cell: str) -> float:
    """A number that is neither nan nor infinite."""
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"{cell!r}")
    return number


def checked_labels(path: Path, labels: Tensor, count: int) -> Tensor:
    """Labels as (N,) int64, if they are ids below `count`."""
    labels = labels.long()
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < count:
        raise DataFileError.of(
            path,
            got=f"labels from {int(labels.min())} to {int(labels.max())}",
            expected=f"labels from 0 to {count - 1}",
        )
    return labels


def require_equal(path: Path, got: int, expected: int, other: Path) -> None:
    """Raise DataFileError unless a file has as many entries as the one it belongs to."""
    if got != expected:
        raise DataFileError.of(
            path, got=f"{got} entries", expected=f"{expected}, as in {other.name}",
            do="The two files do not belong together: fetch both again.",
        )  # fmt: skip


def unpacked(place: Place, folder: str, archive: str) -> Path:
    """The folder of a set; made from the archive beside it, once, if only that is there."""
    target, packed = place.folder / folder, place.folder / archive
    if target.is_dir():
        return target
    if not packed.is_file():
        raise place.absent(f"the folder {folder} or {archive}")
    draft = place.folder / f".{folder}.part"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with tarfile.open(packed) as tar:
            tar.extractall(draft, filter="data")
        (draft / folder).rename(target)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataFileError.of(
            packed, got=_said(error), expected=f"a complete archive with the folder {folder}, and room to unpack it",
            do=f"Fetch it again, or put the folder {folder} beside it.",
        ) from error  # fmt: skip
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _said(error: Exception) -> str:
    return f"{type(error).__name__} ({error})"
