"""Photographs of all sizes: listed in memory, decoded when drawn. Flowers102 and CUB with Reed's captions, CelebA."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from coursekit.datasets.real.cards import CARDS
from coursekit.datasets.real.data import RealData
from coursekit.datasets.real.pictures import Box, around, cut, decode, middle, stacked
from coursekit.datasets.real.places import Place
from coursekit.datasets.real.readers import (
    checked_labels,
    finite,
    read_captions,
    read_columns,
    read_mat,
    read_text,
    require_equal,
    unpacked,
)
from coursekit.datasets.world import Sample
from coursekit.errors import DataFileError

CAPTIONS = "text_c10"
_CELEBA = (178, 218)  # width and height of an aligned picture


def open_flowers102(place: Place, split: str, size: int) -> RealData:
    """jpg/image_NNNNN.jpg, imagelabels.mat, setid.mat, text_c10/class_NNNNN/image_NNNNN.txt."""
    listed, classes = place.find("setid.mat"), place.find("imagelabels.mat")
    folder = unpacked(place, "jpg", "102flowers.tgz")
    key = {"train": "trnid", "val": "valid", "test": "tstid"}[split]
    (chosen,), (kinds,) = read_mat(listed, key), read_mat(classes, "labels")
    numbers, kinds = chosen.reshape(-1).astype(np.int64), kinds.reshape(-1).astype(np.int64)
    if not len(numbers) or numbers.min() < 1 or numbers.max() > len(kinds):
        raise DataFileError.of(
            listed, got=f"{len(numbers)} pictures up to number {numbers.max(initial=0)}",
            expected=f"numbers from 1 to {len(kinds)}, as in {classes.name}",
        )  # fmt: skip
    ids = checked_labels(classes, torch.from_numpy(kinds[numbers - 1] - 1), 102)
    paths = [folder / f"image_{number:05d}.jpg" for number in numbers]
    texts = [f"class_{kind + 1:05d}/image_{number:05d}.txt" for kind, number in zip(ids.tolist(), numbers.tolist())]
    from torchvision.datasets import Flowers102  # seconds to import; the original files hold no names

    return _listed(
        place, split, size, {"flower": tuple(Flowers102.classes)}, ids.unsqueeze(1), texts=texts,
        image=lambda i: decode(paths[i]), box=lambda i, image: middle(*image.size),
    )  # fmt: skip


def open_cub(place: Place, split: str, size: int) -> RealData:
    """CUB_200_2011/ with images/ and its lists, text_c10/KIND/PICTURE.txt."""
    folder = unpacked(place, "CUB_200_2011", "CUB_200_2011.tgz")

    def column(file: str, *types: Callable[[str], object]) -> tuple[Path, dict[int, tuple[Any, ...]]]:
        path = place.find(f"{folder.name}/{file}")
        return path, {row[0]: row[1:] for row in read_columns(path, int, *types)}

    first, pictures = column("images.txt", str)
    others = [
        column("image_class_labels.txt", int), column("train_test_split.txt", int),
        column("bounding_boxes.txt", finite, finite, finite, finite),
    ]  # fmt: skip
    for path, rows in others:
        require_equal(path, len(rows.keys() & pictures.keys()), len(pictures), first)
    (kinds_file, kinds), (_, parts), (boxes_file, boxes) = others
    names = tuple(name.partition(".")[2].replace("_", " ") for (name,) in column("classes.txt", str)[1].values())
    chosen = [k for k in pictures if parts[k][0] == (split == "train")]
    if not chosen:
        raise DataFileError.of(others[1][0], got=f"no picture of {split}", expected="1 for train, 0 for test")
    ids = checked_labels(kinds_file, torch.tensor([kinds[k][0] - 1 for k in chosen]), len(names))
    files = [Path(pictures[k][0]) for k in chosen]

    def box(i: int, found: Image.Image) -> Box:
        x, y, w, h = boxes[chosen[i]]
        if min(w, h) <= 0 or x >= found.width or y >= found.height or min(x + w, y + h) <= 0:
            raise DataFileError.of(
                boxes_file, got=f"{boxes[chosen[i]]} for {files[i]}", expected=f"a box within its {found.size} pixels"
            )
        return around((x, y, w, h), *found.size)

    return _listed(
        place, split, size, {"bird": names}, ids.unsqueeze(1), texts=[f.with_suffix(".txt").as_posix() for f in files],
        image=lambda i: decode(folder / "images" / files[i]), box=box,
    )  # fmt: skip


def open_celeba(place: Place, split: str, size: int) -> RealData:
    """img_align_celeba/ or its .zip, list_attr_celeba.txt, list_eval_partition.txt."""
    told, parted = place.find("list_attr_celeba.txt"), place.find("list_eval_partition.txt")
    pictures = place.find("img_align_celeba", "img_align_celeba.zip")
    attributes, files, labels = _attributes(told)
    parts = dict(read_columns(parted, str, int))
    require_equal(parted, len(parts.keys() & set(files)), len(files), told)
    kept = [i for i, file in enumerate(files) if parts[file] == {"train": 0, "val": 1, "test": 2}[split]]
    if not kept:
        raise DataFileError.of(parted, got=f"no picture of {split}", expected="0 for train, 1 for val, 2 for test")
    files = [files[i] for i in kept]
    archive: list[zipfile.ZipFile] = []  # opened once, when the first picture is drawn: its index alone takes a second

    def image(i: int) -> Image.Image:
        if pictures.is_dir():
            return decode(pictures / files[i])
        try:
            if not archive:
                archive.append(zipfile.ZipFile(pictures))
            with archive[0].open(f"img_align_celeba/{files[i]}") as stream:
                return decode(pictures / files[i], stream)
        except (zipfile.BadZipFile, KeyError, OSError, EOFError, zlib.error) as error:
            raise DataFileError.of(
                pictures, got=f"{type(error).__name__} ({error})", expected=f"a zip file with a sound {files[i]}"
            ) from error

    def box(i: int, found: Image.Image) -> Box:
        if found.size != _CELEBA:
            raise DataFileError.of(
                pictures / files[i], got=f"{found.size} pixels", expected=f"{_CELEBA}",
                do="Take the aligned pictures (img_align_celeba), not those in the wild.",
            )  # fmt: skip
        return middle(*_CELEBA)

    names = dict.fromkeys(attributes, ("no", "yes"))
    return _listed(place, split, size, names, labels[kept], image=image, box=box)


def _attributes(path: Path) -> tuple[list[str], list[str], Tensor]:
    """Names of the attributes, of the files, and labels (N, 40): the count, the names, then a row of 1 and -1 for each."""
    lines = read_text(path).splitlines()
    names = lines[1].split() if len(lines) > 1 else []
    if len(names) != 40:
        raise DataFileError.of(path, got=f"{len(names)} names", expected="40 names of attributes in line 2")
    files, values = [], bytearray()
    for number, line in enumerate(lines[2:], start=3):
        file, *cells = line.split() or [""]
        if len(cells) != 40 or not {"1", "-1"}.issuperset(cells):
            raise DataFileError.of(
                f"{path}, line {number}", got=f"{1 + len(cells)} columns: {line[:60]!r}",
                expected="a file and 40 numbers that are 1 or -1",
            )  # fmt: skip
        files.append(file)
        values += bytes(cell == "1" for cell in cells)  # 200,000 lines: kept as strings they would take half a gigabyte
    if lines[0].strip() != str(len(files)) or not files:
        raise DataFileError.of(path, got=f"{len(files)} rows", expected=f"{lines[0].strip()}, as its first line says")
    return names, files, torch.frombuffer(values, dtype=torch.uint8).reshape(-1, 40).long()


def _listed(
    place: Place, split: str, size: int, names: Mapping[str, tuple[str, ...]], labels: Tensor, *,
    image: Callable[[int], Image.Image], box: Callable[[int, Image.Image], Box], texts: Sequence[str] | None = None,
) -> RealData:  # fmt: skip
    """labels (N, A); `image` and `box` take a position; `texts` are the files of captions, used if their folder is there."""

    def picture(i: int) -> np.ndarray[Any, Any]:
        found = image(i)
        return cut(found, box(i, found), size)

    def told(i: int) -> list[str]:
        assert texts is not None
        return read_captions(place.folder / CAPTIONS / texts[i])

    return RealData(
        name=place.name, card=CARDS[place.name], names=names, split=split, count=len(labels),
        reading=lambda at: Sample(stacked([picture(i) for i in at.tolist()]), labels[at]),
        telling=told if texts is not None and (place.folder / CAPTIONS).is_dir() else None,
    )  # fmt: skip
