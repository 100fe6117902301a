"""Real data, through the interface of the rendered worlds. Nothing is shipped, and nothing downloaded unless asked for.

    digits = real.load("mnist", split="test")
    batch = digits.draw(64, generator=generator(0))       # Sample: pictures, labels, captions where there are any
    digits.card.terms                                     # what the publishers allow

The publishers' own files are looked for in ``data/real/NAME/`` of the course, or in ``$COURSEKIT_DATA/NAME/``. Where they
are absent, DataAbsent says which files, where from, and which rendered world needs none. A file that is truncated, corrupt
or of another format is a DataFileError that names it.

The map::

    data         RealData and RealCard: what load() returns
    cards        what each set is, whose it is, what its publishers allow
    places       where files are looked for, and the message when they are not there
    download     the only code that opens a connection, when called with download=True
    readers      the formats: idx, CIFAR's records, .mat, columns of text, archives, captions
    pictures     JPEG to a square of a size, when it is drawn
    grids        MNIST, Fashion-MNIST, CIFAR-10, SVHN: held in memory as bytes
    photographs  Flowers102, CUB, CelebA: listed in memory, decoded when drawn
    shakespeare  Tiny Shakespeare: windows of characters
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from coursekit.datasets.arguments import require_at_least
from coursekit.datasets.real import grids, photographs, shakespeare
from coursekit.datasets.real.cards import CARDS
from coursekit.datasets.real.data import RealCard, RealData
from coursekit.datasets.real.download import fetch, needed
from coursekit.datasets.real.places import Place, place
from coursekit.errors import InputError

__all__ = ["NAMES", "RealCard", "RealData", "load"]


class _Set(NamedTuple):
    splits: tuple[str, ...]
    size: int  # edge in pixels, or characters of a window, unless load() is told another
    open: Callable[[Place, str, int], RealData]


_TWO, _THREE = ("train", "test"), ("train", "val", "test")
_SETS: Mapping[str, _Set] = {
    "mnist": _Set(_TWO, 28, grids.open_idx),
    "fashion_mnist": _Set(_TWO, 28, grids.open_idx),
    "cifar10": _Set(_TWO, 32, grids.open_cifar10),
    "svhn": _Set((*_TWO, "extra"), 32, grids.open_svhn),
    "flowers102": _Set(_THREE, 64, photographs.open_flowers102),
    "cub": _Set(_TWO, 64, photographs.open_cub),
    "celeba": _Set(_THREE, 64, photographs.open_celeba),
    "tiny_shakespeare": _Set(_TWO, 100, shakespeare.open_text),
}
NAMES = tuple(_SETS)


def load(
    name: str, *, split: str = "train", size: int | None = None, download: bool = False, root: str | Path | None = None
) -> RealData:
    """One split of a real data set, its pictures (N, C, size, size) float32 in [-1, 1].

    `size` is the edge in pixels (default: the original's; 64 where originals vary), for text the characters of a window.
    `root` is a folder that holds a folder NAME for each set (default: see above). `download` fetches what is missing from
    the publishers first, checks it against their checksum, and is the only way that a connection is opened.

    Raises DataAbsent where files are missing, DataFileError where one is corrupt, InputError for a wrong argument.
    """
    if name not in _SETS:
        near = difflib.get_close_matches(str(name), NAMES, n=2, cutoff=0.5)
        raise InputError.of(
            "`name` of a real data set", got=name, expected=f"one of {', '.join(NAMES)}",
            do=f"Did you mean {' or '.join(map(repr, near))}?" if near else "Rendered ones are in coursekit.datasets.worlds.",
        )  # fmt: skip
    chosen = _SETS[name]
    if split not in chosen.splits:
        raise InputError.of(
            f"`split` of {name}", got=split, expected=f"one of {', '.join(chosen.splits)}", do="Pass one of these."
        )
    size = chosen.size if size is None else size
    require_at_least(8, size=size)
    card, files = CARDS[name], ", ".join(remote.file for remote in needed(name, split))
    where = place(name, root, title=card.title, files=files, page=card.page, standin=card.standin)
    if download:
        fetch(where, split)
    return chosen.open(where, split, size)
