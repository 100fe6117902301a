"""Sets whose pictures share one size and fit into memory as bytes: MNIST, Fashion-MNIST, CIFAR-10, SVHN."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from coursekit.datasets.real.cards import CARDS
from coursekit.datasets.real.data import RealData
from coursekit.datasets.real.pictures import scaled
from coursekit.datasets.real.places import Place
from coursekit.datasets.real.readers import checked_labels, read_cifar, read_idx, read_mat, require_equal, unpacked
from coursekit.datasets.world import Sample
from coursekit.errors import DataFileError

_DIGITS = {"digit": tuple("0123456789")}
_NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "mnist": _DIGITS,
    "svhn": _DIGITS,
    "fashion_mnist": {
        "article": (
            "t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
        )
    },
    "cifar10": {
        "thing": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    },
}  # fmt: skip


def open_idx(place: Place, split: str, size: int) -> RealData:
    """MNIST or Fashion-MNIST from their four idx files, zipped or not."""
    stem = {"train": "train", "test": "t10k"}[split]
    images, labels = (
        place.find(f"{stem}-{kind}-ubyte.gz", f"{stem}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")
    )
    pixels, ids = read_idx(images, 3), read_idx(labels, 1)
    require_equal(labels, len(ids), len(pixels), images)
    return _held(place, split, size, pixels.unsqueeze(1), checked_labels(labels, ids, 10))


def open_cifar10(place: Place, split: str, size: int) -> RealData:
    """CIFAR-10 from the folder or archive of its binary version."""
    folder = unpacked(place, "cifar-10-batches-bin", "cifar-10-binary.tar.gz")
    files = [f"data_batch_{k}.bin" for k in range(1, 6)] if split == "train" else ["test_batch.bin"]
    parts = [read_cifar(place.find(f"{folder.name}/{file}")) for file in files]
    return _held(place, split, size, *(torch.cat(part) for part in zip(*parts)))


def open_svhn(place: Place, split: str, size: int) -> RealData:
    """SVHN, cropped digits, from a .mat file: X (32, 32, 3, N) bytes, y (N, 1), where 10 stands for the digit 0."""
    path = place.find(f"{split}_32x32.mat")
    x, y = read_mat(path, "X", "y")
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[:3] != (32, 32, 3) or y.size != x.shape[3]:
        raise DataFileError.of(
            path, got=f"X {x.dtype} {x.shape}, y {y.shape}", expected="X uint8 (32, 32, 3, N), y (N, 1)"
        )
    pixels = torch.from_numpy(np.ascontiguousarray(x.transpose(3, 2, 0, 1)))
    ids = torch.from_numpy(y.reshape(-1).astype(np.int64))
    ids[ids == 10] = 0
    return _held(place, split, size, pixels, checked_labels(path, ids, 10))


def _held(place: Place, split: str, size: int, pixels: Tensor, ids: Tensor) -> RealData:
    """pixels (N, C, H, W) bytes, ids (N,)."""
    labels = ids.unsqueeze(1)
    return RealData(
        name=place.name, card=CARDS[place.name], names=_NAMES[place.name], split=split, count=len(pixels),
        reading=lambda at: Sample(scaled(pixels[at], size), labels[at]),
    )  # fmt: skip
