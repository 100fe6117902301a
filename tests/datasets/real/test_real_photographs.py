"""Flowers102, CUB, CelebA: only what is drawn is decoded, cut as the cards say, with captions and attributes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from coursekit.datasets import birds, real
from coursekit.datasets.real import photographs, pictures
from coursekit.errors import DataAbsent, DataFileError
from coursekit.runtime import generator


def colour(i: int) -> tuple[int, int, int]:
    return (40 * i % 256, 255 - 30 * i, 20 * i)


def middles(x: torch.Tensor) -> np.ndarray:
    """The middle pixel of each picture in 0 to 255."""
    return ((x[:, :, x.shape[2] // 2, x.shape[3] // 2] + 1) * 127.5).numpy()


def test_flowers_have_kinds_splits_and_captions(flowers: Path) -> None:
    train, val, test = (real.load("flowers102", split=split, size=32) for split in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (2, 1, 4)
    sample = train.all()
    assert sample.x.shape == (2, 3, 32, 32) and sample.labels.tolist() == [[101], [76]]
    assert train.describe(sample.labels[1]) == {"flower": "passion flower"}  # image_00001 is one, in the real set, too
    assert test.all().labels.tolist() == [[4], [4], [4], [8]]
    assert np.abs(middles(sample.x) - [colour(3), colour(1)]).max() <= 2  # JPEG of one colour
    assert sample.captions == ["flower 3 has red petals", "flower 1 has red petals"]
    assert train.captions([1]) == [["flower 1 has red petals", "the petals of 1 are red"]]
    drawn = {train.draw(2, generator=generator(seed)).captions[0] for seed in range(30)}
    assert len(drawn) == 4  # two pictures, two captions each
    assert train.draw(2, generator=generator(3)).captions == train.draw(2, generator=generator(3)).captions


def test_flowers_from_their_archive(flowers: Path) -> None:
    with tarfile.open(flowers / "102flowers.tgz", "w:gz") as tar:
        tar.add(flowers / "jpg", "jpg")
    for path in (flowers / "jpg").iterdir():
        path.unlink()
    (flowers / "jpg").rmdir()
    assert np.abs(middles(real.load("flowers102", split="val").all().x) - [colour(2)]).max() <= 2


def test_only_what_is_drawn_is_decoded(flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(photographs, "decode", lambda path, *more: (seen.append(path.name), pictures.decode(path))[1])
    data = real.load("flowers102", split="test")
    assert seen == []
    data.at([2])
    assert seen == ["image_00006.jpg"]


def test_without_their_folder_captions_are_absent_and_pictures_are_not(flowers: Path) -> None:
    (flowers / "text_c10").rename(flowers / "elsewhere")
    data = real.load("flowers102")
    assert data.all().captions is None
    with pytest.raises(DataAbsent, match=r"text_c10.*worlds\.world\(\"birds\"\)"):
        data.captions([0])


def test_a_missing_or_empty_caption_file_is_named(flowers: Path) -> None:
    data, path = real.load("flowers102"), flowers / "text_c10" / "class_00077" / "image_00001.txt"
    path.write_text(" \n\n")
    with pytest.raises(DataFileError, match=r"image_00001\.txt: got no captions"):
        data.all()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataFileError, match=r"image_00001\.txt.*UTF-8"):
        data.all()
    path.unlink()
    with pytest.raises(DataFileError, match=r"image_00001\.txt: got FileNotFoundError"):
        data.all()


def test_corrupt_photographs_are_named(flowers: Path) -> None:
    data, path = real.load("flowers102", split="test"), flowers / "jpg" / "image_00005.jpg"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8))
    noise.save(path)
    for content in (path.read_bytes()[:-900], b"", b"GIF89a"):
        path.write_bytes(content)
        with pytest.raises(DataFileError, match=r"image_00005\.jpg.*expected a complete picture"):
            data.all()
    path.unlink()
    with pytest.raises(DataFileError, match=r"image_00005\.jpg: got no such file"):
        data.all()
    assert len(data.at([0, 2])) == 2


def test_lists_of_flowers_must_fit(flowers: Path) -> None:
    savemat(flowers / "setid.mat", {"trnid": [[1, 8]]})
    with pytest.raises(DataFileError, match=r"setid\.mat: got 2 pictures up to number 8, expected numbers from 1 to 7"):
        real.load("flowers102")
    savemat(flowers / "setid.mat", {"trnid": [[1, 2]]})
    savemat(flowers / "imagelabels.mat", {"labels": [[103, 1, 2, 3]]})
    with pytest.raises(DataFileError, match=r"imagelabels\.mat: got labels from 0 to 102"):
        real.load("flowers102")


def test_birds_are_cut_around_their_boxes(cub: Path) -> None:
    train, test = (real.load("cub", split=split, size=40) for split in ("train", "test"))
    sample = train.all()
    assert sample.x.shape == (2, 3, 40, 40) and sample.labels.tolist() == [[0], [1]]
    assert train.names["bird"] == ("Black footed Albatross", "Laysan Albatross")
    red = (sample.x[:, 0] > 0) & (sample.x[:, 1] < 0)
    # The box is 30 of 40 pixels of the square: rows and columns 5 to 34.
    assert red[0].sum() == 900 and red[0, 5:35, 5:35].all()
    # The second is in the picture's lower right corner, and the square is moved into the picture.
    assert red[1].sum() == 900 and red[1, 10:, 10:].all()
    long, longer = test.all().x
    # 60 x 30 in the upper left corner: there is room for a square of 60, of which it takes the upper half.
    assert (long[1] < 0)[:19].all() and (long[1] > 0)[21:].all()
    # 72 x 30: longer than the picture is high. White goes on above and below, and the box is as wide as the square.
    # Nothing is black, as it would be without the edge going on. JPEG colours the rim of the red by some levels.
    assert (longer[0] > 0.7).all() and (longer[1] < 0)[20, 1:-1].all() and (longer[1] > 0.7)[[0, -1]].all()


def test_real_captions_parse_like_rendered_ones(cub: Path) -> None:
    captions = real.load("cub").captions([0])[0]
    assert birds.parse(captions[0]) == {"body": "red", "belly": "white", "beak": "short"}
    assert birds.parse(captions[1]) == {"wing": "red"}


CUB_FAULTS = {
    "images": ("1 a.jpg\n2 b.jpg extra\n", r"images\.txt, line 2: got 3 columns, expected 2 columns \(int, str\)"),
    "image_class_labels": ("1 1\n2 1\n3 3\n4 2\n", r"image_class_labels\.txt: got labels from 0 to 2, expected labels"),
    "train_test_split": ("1 1\n2 0\n3 1\n", r"train_test_split\.txt: got 3 entries, expected 4, as in images\.txt"),
    "bounding_boxes": ("1 0 0 nan 9\n", r"bounding_boxes\.txt, line 1: got 'nan'"),
    "classes": ("", r"classes\.txt: got no rows"),
}


@pytest.mark.parametrize("name", CUB_FAULTS)
def test_lists_of_birds_must_fit(cub: Path, name: str) -> None:
    content, message = CUB_FAULTS[name]
    (cub / f"{name}.txt").write_text(content)
    with pytest.raises(DataFileError, match=message):
        real.load("cub")
    (cub / f"{name}.txt").unlink()
    with pytest.raises(DataAbsent, match=rf"{name}\.txt"):
        real.load("cub")


def test_a_box_beside_its_picture_is_named(cub: Path) -> None:
    (cub / "bounding_boxes.txt").write_text("1 200 0 9 9\n2 0 0 9 9\n3 0 0 9 9\n4 0 0 9 9\n")
    with pytest.raises(
        DataFileError, match=r"bounding_boxes\.txt: got .*Bird_0001\.jpg, expected a box within its \(80, 60\)"
    ):
        real.load("cub").all()


@pytest.mark.parametrize("zipped", [False, True])
def test_faces_have_forty_attributes(celeba: Callable, zipped: bool) -> None:
    values = celeba(zipped)
    for split, rows in (("train", [0, 1, 4]), ("val", [2]), ("test", [3])):
        data = real.load("celeba", split=split, size=32)
        sample = data.all()
        assert sample.x.shape == (len(rows), 3, 32, 32) and sample.captions is None
        np.testing.assert_array_equal(sample.labels.numpy(), values[rows])
        assert np.abs(middles(sample.x) - [colour(i + 1) for i in rows]).max() <= 2
        assert data.describe(sample.labels[0])["Smiling"] == ("no", "yes")[values[rows[0], 38]]


def test_faces_are_cut_to_their_middle(root: Path, celeba: Callable) -> None:
    celeba(False)
    image = Image.new("RGB", (178, 218), (255, 0, 0))
    image.paste((0, 0, 255), (0, 20, 178, 198))  # the square in the middle
    image.save(root / "celeba" / "img_align_celeba" / "000004.jpg", quality=100, subsampling=0)
    x = real.load("celeba", split="test", size=178).all().x
    assert (x[0, 2] > 0.9).all() and (x[0, 0] < -0.9).all()


ATTRIBUTE_FAULTS = {
    "columns": (lambda lines: [*lines[:3], lines[3] + " 1", *lines[4:]], ", line 4: got 42 columns"),
    "blank": (lambda lines: [*lines, ""], ", line 8: got 1 columns"),
    "names": (lambda lines: [lines[0], "Smiling Young", *lines[2:]], ": got 2 names, expected 40 names"),
    "count": (lambda lines: lines[:-1], ": got 4 rows, expected 5"),
    "values": (lambda lines: [*lines[:2], lines[2][:-1] + "7", *lines[3:]], ", line 3: got .* 1 or -1"),
    "empty": (lambda lines: [], ": got 0 names"),
}


@pytest.mark.parametrize("fault", ATTRIBUTE_FAULTS)
def test_lists_of_faces_must_fit(root: Path, celeba: Callable, fault: str) -> None:
    celeba(False)
    change, message = ATTRIBUTE_FAULTS[fault]
    path = root / "celeba" / "list_attr_celeba.txt"
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))
    with pytest.raises(DataFileError, match=rf"list_attr_celeba\.txt{message}"):
        real.load("celeba")


def test_files_of_faces_must_fit(root: Path, celeba: Callable) -> None:
    celeba(True)
    folder = root / "celeba"
    (folder / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    with pytest.raises(DataFileError, match=r"list_eval_partition\.txt: got 1 entries, expected 5"):
        real.load("celeba")
    celeba(True)
    archive = folder / "img_align_celeba.zip"
    for content in (archive.read_bytes()[:-30], b"no archive", io.BytesIO().getvalue()):
        archive.write_bytes(content)
        with pytest.raises(DataFileError, match=r"img_align_celeba\.zip: got BadZipFile"):
            real.load("celeba").all()
    celeba(False)
    Image.new("RGB", (409, 687)).save(folder / "img_align_celeba" / "000001.jpg")
    with pytest.raises(DataFileError, match=r"000001\.jpg: got \(409, 687\) pixels, expected \(178, 218\)"):
        real.load("celeba").all()
