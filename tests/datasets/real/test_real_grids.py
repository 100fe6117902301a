"""MNIST, CIFAR-10, SVHN: what was written is read back, and a broken file is named."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torch import Tensor

from coursekit.datasets import real
from coursekit.errors import DataAbsent, DataFileError, InputError
from coursekit.runtime import generator


def levels(x: Tensor) -> np.ndarray:
    """[-1, 1] back to bytes."""
    return ((x + 1) * 127.5).round().to(torch.uint8).numpy()


@pytest.mark.parametrize(("split", "count"), [("train", 20), ("test", 12)])
def test_mnist_is_read_back(mnist: dict, split: str, count: int) -> None:
    data = real.load("mnist", split=split)
    sample = data.all()
    assert (len(data), sample.x.shape, sample.x.dtype) == (count, (count, 1, 28, 28), torch.float32)
    np.testing.assert_array_equal(levels(sample.x), mnist[split].pixels)
    np.testing.assert_array_equal(sample.labels.numpy(), mnist[split].labels[:, None])
    assert data.describe(sample.labels[0]) == {"digit": str(mnist[split].labels[0])}
    assert sample.x.min() >= -1 and sample.x.max() <= 1 and sample.labels.dtype == torch.int64
    assert data.card.standin == "digits" and data.split == split


def test_fashion_mnist_is_the_same_format(root: Path, mnist: dict) -> None:
    (root / "mnist").rename(root / "fashion_mnist")
    data = real.load("fashion_mnist", split="test")
    np.testing.assert_array_equal(levels(data.all().x), mnist["test"].pixels)
    assert data.names["article"][9] == "ankle boot" and len(data.names["article"]) == 10


@pytest.mark.parametrize(("split", "count"), [("train", 20), ("test", 3)])
def test_cifar10_is_read_back_from_its_archive(root: Path, cifar10: dict, split: str, count: int) -> None:
    sample = real.load("cifar10", split=split).all()
    assert len(sample) == count
    np.testing.assert_array_equal(levels(sample.x), cifar10[split].pixels)
    np.testing.assert_array_equal(sample.labels[:, 0].numpy(), cifar10[split].labels)
    (root / "cifar10" / "cifar-10-binary.tar.gz").unlink()  # unpacked once, it is not needed again
    assert len(real.load("cifar10", split=split)) == count
    assert not list((root / "cifar10").glob(".*"))


def test_svhn_is_read_back(svhn: tuple) -> None:
    sample = real.load("svhn", split="test").all()
    np.testing.assert_array_equal(levels(sample.x), svhn.pixels)
    np.testing.assert_array_equal(sample.labels[:, 0].numpy(), svhn.labels)  # 10 is read as the digit 0


def test_pictures_are_resized(mnist: dict) -> None:
    """PIL's reduction by half is the same antialiased triangle filter; it rounds to bytes."""
    x = real.load("mnist", size=14).all().x
    pil = [np.asarray(Image.fromarray(p[0]).resize((14, 14), Image.Resampling.BILINEAR)) for p in mnist["train"].pixels]
    assert x.shape == (20, 1, 14, 14)
    assert np.abs((x[:, 0].numpy() + 1) * 127.5 - np.stack(pil)).max() < 1.5  # two roundings, of rows and of columns


def test_draws_are_seeded_and_come_in_rounds(mnist: dict) -> None:
    data = real.load("mnist")
    first, again, other = (data.draw(45, generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.x, again.x) and torch.equal(first.labels, again.labels)
    assert not torch.equal(first.x, other.x)
    everything = data.all().x.flatten(1)
    where = [int((everything - x).abs().sum(1).argmin()) for x in first.x.flatten(1)]
    assert sorted(where[:20]) == sorted(where[20:40]) == list(range(20))
    before = torch.get_rng_state()
    data.draw(3, generator=generator(0))
    assert torch.equal(before, torch.get_rng_state())


def test_examples_at_positions(mnist: dict) -> None:
    data = real.load("mnist")
    np.testing.assert_array_equal(levels(data.at([3, 0, 3]).x), mnist["train"].pixels[[3, 0, 3]])
    for wrong in ([20], [-1], [], [[1]], [0.5], [True]):
        with pytest.raises(InputError, match="from 0 to 19"):
            data.at(wrong)
    with pytest.raises(InputError, match="`n`"):
        data.draw(0, generator=generator(0))
    with pytest.raises(InputError, match="generator"):
        data.draw(1, generator=None)


def within(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change what a zipped file holds."""
    return lambda packed: gzip.compress(change(gzip.decompress(packed)))


def flipped(packed: bytes) -> bytes:
    """One wrong bit in the middle."""
    at = len(packed) // 2
    return packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :]


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
FAULTS = {
    "truncated": (IMAGES, lambda packed: packed[:-200], "EOFError"),
    "flipped": (IMAGES, flipped, "error|BadGzipFile"),
    "a page": (IMAGES, lambda packed: b"<html>404 Not Found</html>", "BadGzipFile"),
    "magic": (IMAGES, within(lambda c: b"\0\0\x0d" + c[3:]), "00 00 0d 03, expected 00 00 08 03"),
    "axes": (IMAGES, within(lambda c: bytes((0, 0, 8, 1)) + c[4:]), "00 00 08 01, expected 00 00 08 03"),
    "empty": (IMAGES, within(lambda c: b""), r"\(none\)"),
    "header": (IMAGES, within(lambda c: c[:10]), "10 bytes, expected a header of 16"),
    "short": (IMAGES, within(lambda c: c[:-1]), "15679 bytes of data, expected 15680"),
    "long": (IMAGES, within(lambda c: c + b"\0"), "15681 bytes of data, expected 15680"),
    "count": (LABELS, within(lambda c: bytes((0, 0, 8, 1, 0, 0, 0, 19)) + c[8:-1]), "19 entries, expected 20"),
    "label": (LABELS, within(lambda c: c[:-1] + b"\x0a"), "labels from 0 to 10, expected labels from 0 to 9"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_idx_file_is_named(root: Path, mnist: dict, fault: str) -> None:
    file, change, message = FAULTS[fault]
    path = root / "mnist" / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataFileError, match=rf"{file}: got .*({message}).* (f|F)etch") as caught:
        real.load("mnist")
    assert "expected" in str(caught.value)
    assert len(real.load("mnist", split="test")) == 12  # the other split does not suffer


def test_broken_cifar_files_are_named(root: Path, cifar10: dict) -> None:
    archive = root / "cifar10" / "cifar-10-binary.tar.gz"
    whole = archive.read_bytes()
    for content in (whole[: len(whole) // 2], b"no archive"):
        archive.write_bytes(content)
        with pytest.raises(DataFileError, match=r"cifar-10-binary\.tar\.gz: got \w+Error"):
            real.load("cifar10")
        assert [path.name for path in (root / "cifar10").iterdir()] == [archive.name]
    archive.write_bytes(whole)
    assert len(real.load("cifar10")) == 20
    batch = root / "cifar10" / "cifar-10-batches-bin" / "data_batch_3.bin"
    records = batch.read_bytes()
    faults = {
        "12291 bytes, expected a multiple of 3073": records[:-1],
        "0 bytes, expected a multiple of 3073": b"",
        "to 11, expected labels from 0 to 9": b"\x0b" + records[1:],
    }
    for message, content in faults.items():
        batch.write_bytes(content)
        with pytest.raises(DataFileError, match=rf"data_batch_3\.bin: got .*{message}"):
            real.load("cifar10")
    batch.unlink()
    with pytest.raises(DataAbsent, match=r"data_batch_3\.bin"):
        real.load("cifar10")


def test_an_archive_cannot_write_outside_its_folder(root: Path) -> None:
    (root / "cifar10").mkdir(parents=True)
    with tarfile.open(root / "cifar10" / "cifar-10-binary.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("../../../escaped.bin")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(DataFileError, match="OutsideDestination"):
        real.load("cifar10")
    assert not list(root.parent.rglob("escaped.bin"))


def test_broken_mat_files_are_named(root: Path, svhn: tuple) -> None:
    path = root / "svhn" / "test_32x32.mat"
    whole = path.read_bytes()
    newer = whole[:124] + b"\x00\x02" + whole[126:]  # version 7.3, which is HDF5
    for content in (whole[: len(whole) // 2], b"", newer, bytes(range(256)) * 9):
        path.write_bytes(content)
        with pytest.raises(DataFileError, match=r"test_32x32\.mat: got .*expected a MATLAB file of version 5"):
            real.load("svhn", split="test")
    savemat(path, {"X": svhn.pixels.transpose(2, 3, 1, 0)})
    with pytest.raises(DataFileError, match="no variable y"):
        real.load("svhn", split="test")
    savemat(path, {"X": svhn.pixels, "y": svhn.labels})  # (N, C, H, W) is not the publishers' order
    with pytest.raises(DataFileError, match=r"expected X uint8 \(32, 32, 3, N\)"):
        real.load("svhn", split="test")
