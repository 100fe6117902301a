"""Small files in the publishers' formats. Nothing here is real data: the pictures are noise, or plain colours."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

Array = np.ndarray


class Grid(NamedTuple):
    """What was written: pictures (N, C, H, W) uint8 and labels (N,)."""

    pixels: Array
    labels: Array


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for real data, where the kit looks."""
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "real"))
    return tmp_path / "real"


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def grid(random: np.random.Generator, n: int, *shape: int) -> Grid:
    return Grid(random.integers(0, 256, (n, *shape), dtype=np.uint8), random.permutation(np.arange(n) % 10))


def idx(data: Array) -> bytes:
    return bytes((0, 0, 8, data.ndim)) + b"".join(n.to_bytes(4, "big") for n in data.shape) + data.tobytes()


@pytest.fixture
def mnist(root: Path, random: np.random.Generator) -> dict[str, Grid]:
    """20 pictures to train on, zipped, and 12 to test on, not zipped."""
    folder = root / "mnist"
    folder.mkdir(parents=True)
    written = {"train": grid(random, 20, 1, 28, 28), "test": grid(random, 12, 1, 28, 28)}
    for split, stem, pack, end in (("train", "train", gzip.compress, ".gz"), ("test", "t10k", bytes, "")):
        pixels, labels = written[split]
        (folder / f"{stem}-images-idx3-ubyte{end}").write_bytes(pack(idx(pixels[:, 0])))
        (folder / f"{stem}-labels-idx1-ubyte{end}").write_bytes(pack(idx(labels.astype(np.uint8))))
    return written


@pytest.fixture
def cifar10(root: Path, random: np.random.Generator) -> dict[str, Grid]:
    """The archive of the binary version: five batches of 4 and a test batch of 3."""
    files, parts = {}, [grid(random, n, 3, 32, 32) for n in (4, 4, 4, 4, 4, 3)]
    for name, (pixels, labels) in zip([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"], parts):
        files[name] = b"".join(bytes([k]) + p.tobytes() for k, p in zip(labels, pixels))
    (root / "cifar10").mkdir(parents=True)
    with tarfile.open(root / "cifar10" / "cifar-10-binary.tar.gz", "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return {"train": Grid(*(np.concatenate(x) for x in zip(*parts[:5]))), "test": parts[5]}


@pytest.fixture
def svhn(root: Path, random: np.random.Generator) -> Grid:
    """The test split: X (32, 32, 3, N), and 10 for the digit 0."""
    pixels, labels = grid(random, 20, 3, 32, 32)
    (root / "svhn").mkdir(parents=True)
    y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
    savemat(root / "svhn" / "test_32x32.mat", {"X": pixels.transpose(2, 3, 1, 0), "y": y})
    return Grid(pixels, labels)


def plain(path: Path, width: int, height: int, colour: tuple[int, int, int]) -> None:
    """A JPEG of one colour: JPEG loses nothing of it but a level or two."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path, quality=95)


def colour(i: int) -> tuple[int, int, int]:
    return (40 * i % 256, 255 - 30 * i, 20 * i)


@pytest.fixture
def flowers(root: Path) -> Path:
    """Seven photographs 1 to 7 of kinds 77, 1, 102, 5, 5, 5, 9; train 3, 1; val 2; test 4 to 7."""
    folder = root / "flowers102"
    kinds = [77, 1, 102, 5, 5, 5, 9]
    for number, kind in enumerate(kinds, start=1):
        plain(folder / "jpg" / f"image_{number:05d}.jpg", 60 + number, 50, colour(number))
        text = folder / "text_c10" / f"class_{kind:05d}" / f"image_{number:05d}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(f"flower {number} has red petals\n" + f"the petals\ufffd\ufffdof {number} are  red\n\n")
    savemat(folder / "imagelabels.mat", {"labels": np.array([kinds], np.uint8)})
    split = {"trnid": [3, 1], "valid": [2], "tstid": [4, 5, 6, 7]}
    savemat(folder / "setid.mat", {key: np.array([ids], np.uint16) for key, ids in split.items()})
    return folder


@pytest.fixture
def cub(root: Path) -> Path:
    """Four photographs 80 x 60 of two kinds, white with a red square where the box is; 1, 3 train and 2, 4 test."""
    folder = root / "cub" / "CUB_200_2011"
    kinds = ["001.Black_footed_Albatross", "002.Laysan_Albatross"]
    pictures = [f"{kinds[i // 2]}/Bird_{i + 1:04d}.jpg" for i in range(4)]
    boxes = [(20, 12, 30, 30), (0, 0, 60, 30), (50, 30, 30, 30), (4, 10, 72, 30)]
    for picture, (x, y, w, h) in zip(pictures, boxes):
        image = Image.new("RGB", (80, 60), (255, 255, 255))
        image.paste((255, 0, 0), (x, y, x + w, y + h))
        path = folder / "images" / picture
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=95, subsampling=0)
        text = root / "cub" / "text_c10" / Path(picture).with_suffix(".txt")
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("this bird is red with white and has a very short beak\nthe bird has red wings\n")
    lists = {
        "images": pictures, "classes": kinds, "image_class_labels": [1, 1, 2, 2], "train_test_split": [1, 0, 1, 0],
        "bounding_boxes": [" ".join(f"{v:.1f}" for v in box) for box in boxes],
    }  # fmt: skip
    for name, values in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{i} {value}\n" for i, value in enumerate(values, start=1)))
    return folder


ATTRIBUTES = (*(f"Attribute_{k}" for k in range(38)), "Smiling", "Young")


@pytest.fixture
def celeba(root: Path, random: np.random.Generator) -> Callable[[bool], Array]:
    """A function (zipped) that writes five faces (1, 2, 5 train, 3 val, 4 test) and returns attributes (5, 40) of 0, 1."""

    def write(zipped: bool) -> Array:
        folder = root / "celeba"
        values = random.integers(0, 2, (5, 40))
        files = [f"{i:06d}.jpg" for i in range(1, 6)]
        for i, file in enumerate(files, start=1):
            plain(folder / "img_align_celeba" / file, 178, 218, colour(i))
        if zipped:
            with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
                for file in files:
                    archive.write(folder / "img_align_celeba" / file, f"img_align_celeba/{file}")
                    (folder / "img_align_celeba" / file).unlink()
            (folder / "img_align_celeba").rmdir()
        rows = [f"{file} {' '.join(f'{2 * v - 1:2d}' for v in row)}" for file, row in zip(files, values)]
        (folder / "list_attr_celeba.txt").write_text("\n".join(["5", " ".join(ATTRIBUTES) + " ", *rows]) + "\n")
        parts = "".join(f"{file} {part}\n" for file, part in zip(files, (0, 0, 1, 2, 0)))
        (folder / "list_eval_partition.txt").write_text(parts)
        return values

    return write


@pytest.fixture
def shakespeare(root: Path) -> str:
    """1,000 characters."""
    text = "".join(chr(97 + k * k % 23) for k in range(990)) + "\n" * 10
    (root / "tiny_shakespeare").mkdir(parents=True)
    (root / "tiny_shakespeare" / "input.txt").write_text(text)
    return text
