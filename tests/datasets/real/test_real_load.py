"""load(): names, splits, messages where nothing is there, the one way to the network; and Tiny Shakespeare."""

from __future__ import annotations

import hashlib
import inspect
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torchvision import datasets as theirs

from coursekit import shipped
from coursekit.datasets import real, worlds
from coursekit.datasets.real import cards, download
from coursekit.datasets.text import Vocabulary
from coursekit.errors import DataAbsent, DataFileError, InputError
from coursekit.runtime import generator


@pytest.fixture(autouse=True)
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*anything: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", real.NAMES)
def test_where_nothing_is_the_error_says_what_to_do(root: Path, name: str) -> None:
    with pytest.raises(DataAbsent) as caught:
        real.load(name)
    message, card = str(caught.value), cards.CARDS[name]
    for part in (card.title, f"$COURSEKIT_DATA/{name}/", "download=True", card.page, f'worlds.world("{card.standin}")'):
        assert part in message
    assert all(remote.file in message for remote in download.needed(name, "train"))
    assert str(root) not in message  # it may end up in a notebook that others read
    assert card.standin in worlds.WORLDS


def test_files_are_looked_for_in_the_course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mnist: dict, root: Path
) -> None:
    monkeypatch.delenv("COURSEKIT_DATA")
    (tmp_path / "course" / "data").mkdir(parents=True)
    (tmp_path / "course" / "data" / shipped.MANIFEST).write_text("{}")
    monkeypatch.chdir(tmp_path / "course")
    with pytest.raises(DataAbsent, match="in data/real/mnist/"):
        real.load("mnist")
    root.rename(tmp_path / "course" / "data" / "real")
    assert len(real.load("mnist")) == 20
    with pytest.raises(DataAbsent, match=str(tmp_path / "other")):
        real.load("mnist", root=tmp_path / "other")
    assert len(real.load("mnist", root=tmp_path / "course" / "data" / "real")) == 20


def test_wrong_arguments() -> None:
    with pytest.raises(InputError, match="Did you mean 'mnist'"):
        real.load("minst")
    with pytest.raises(InputError, match="expected one of train, test"):
        real.load("mnist", split="val")
    with pytest.raises(InputError, match="`size`"):
        real.load("mnist", size=0)


def test_every_set_has_a_card_and_addresses() -> None:
    assert cards.CARDS.keys() == download.REMOTES.keys() == set(real.NAMES)
    page = cards.render()
    for card in cards.CARDS.values():
        assert all(value for value in vars(card).values())
        assert card.title in page and card.terms in page and "|" not in card.terms + card.limits + card.source


def test_checksums_are_those_of_torchvision() -> None:
    """An independent copy of the publishers' numbers. It has none for CIFAR-10's binary version, CUB and Shakespeare."""
    flowers = inspect.getattr_static(theirs.Flowers102, "_file_dict")
    known = {
        "mnist": dict(theirs.MNIST.resources),
        "fashion_mnist": dict(theirs.FashionMNIST.resources),
        "svhn": {file: digest for _, file, digest in theirs.SVHN.split_list.values()},
        "flowers102": dict(flowers.values()),
        "celeba": {file: digest for _, digest, file in theirs.CelebA.file_list},
    }
    for name, digests in known.items():
        assert all(digests[remote.file] == remote.digest for remote in download.REMOTES[name])
    drive = {file: f"drive:{key}" for key, _, file in theirs.CelebA.file_list}
    assert all(drive[remote.file] == remote.url for remote in download.REMOTES["celeba"])


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """torch.hub's transfer replaced: it notes what is asked for and writes `content`."""
    note = SimpleNamespace(content=b"", asked=[], error=None)

    def transfer(url: str, path: str) -> None:
        note.asked.append((url, path))
        Path(path).write_bytes(note.content)
        if note.error:
            raise note.error

    monkeypatch.setattr(torch.hub, "download_url_to_file", transfer)
    return note


def test_a_download_is_checked_and_moved(root: Path, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    served.content = b"to be or not to be, " * 60
    (remote,) = download.REMOTES["tiny_shakespeare"]
    fitting = remote._replace(digest=hashlib.sha256(served.content).hexdigest())
    monkeypatch.setattr(download, "REMOTES", {"tiny_shakespeare": (fitting,)})
    data = real.load("tiny_shakespeare", download=True)
    target = root / "tiny_shakespeare" / "input.txt"
    assert len(data) == 10 and target.read_bytes() == served.content
    assert served.asked == [(remote.url, str(target.with_name(".input.txt.part")))]
    real.load("tiny_shakespeare", download=True)
    assert len(served.asked) == 1  # what is there and whole is not fetched again
    target.write_bytes(b"half")
    real.load("tiny_shakespeare", download=True)
    assert len(served.asked) == 2 and target.read_bytes() == served.content


def test_a_failed_download_leaves_nothing(root: Path, served: SimpleNamespace) -> None:
    served.content = b"<html>moved</html>"
    with pytest.raises(DataAbsent, match=r"could not be fetched \(its checksum is \w{64}, expected 86c4e6aa"):
        real.load("tiny_shakespeare", download=True)
    served.error = ConnectionResetError("reset")
    with pytest.raises(DataAbsent, match=r"could not be fetched \(reset\).*worlds\.world"):
        real.load("mnist", download=True)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_downloads_of_a_split_and_of_what_is_missing(
    root: Path, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataAbsent):
        real.load("svhn", split="test", download=True)
    assert [url.rpartition("/")[2] for url, _ in served.asked] == ["test_32x32.mat"]
    served.asked.clear()
    (root / "cub" / "CUB_200_2011").mkdir(parents=True)
    with pytest.raises(DataAbsent, match=r"images\.txt"):
        real.load("cub", download=True)
    assert served.asked == []  # the folder is there: the archive is not asked for
    asked = []
    monkeypatch.setattr(theirs.utils, "download_file_from_google_drive", lambda *a: asked.append(a))
    with pytest.raises(DataAbsent, match="could not be fetched"):
        real.load("celeba", download=True)
    assert asked == [("0B7EVK8r0v71pZjFTYXZWM3FlRnM", root / "celeba", ".img_align_celeba.zip.part")]


def test_shakespeare_comes_in_windows(shakespeare: str) -> None:
    train, test = real.load("tiny_shakespeare"), real.load("tiny_shakespeare", split="test", size=20)
    sample = train.all()
    assert (len(train), len(test)) == (8, 4)  # of 900 and 100 characters, one of them kept for y
    assert "".join(sample.x) == shakespeare[:800] and "".join(sample.y) == shakespeare[1:801]
    assert test.all().x[0] == shakespeare[900:920]
    drawn = train.draw(3, generator=generator(0))
    assert len(drawn) == 3 and all(x[1:] == y[:-1] for x, y in zip(drawn.x, drawn.y))
    vocabulary = Vocabulary.of(sample.x, level="char")
    ids = vocabulary.batch(drawn.x).ids
    assert ids.shape == (3, 100) and vocabulary.decode(ids[0]) == drawn.x[0]


def test_a_text_too_short_or_not_text_is_named(root: Path, shakespeare: str) -> None:
    with pytest.raises(DataFileError, match=r"input\.txt: got 100 characters of test, expected more than 100"):
        real.load("tiny_shakespeare", split="test")
    (root / "tiny_shakespeare" / "input.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataFileError, match=r"input\.txt.*UTF-8"):
        real.load("tiny_shakespeare")
