"""Tiny Shakespeare: text as windows of characters, each with the window one character later."""

from __future__ import annotations

from torch import Tensor

from coursekit.datasets.real.cards import CARDS
from coursekit.datasets.real.data import RealData
from coursekit.datasets.real.places import Place
from coursekit.datasets.real.readers import read_text
from coursekit.datasets.world import Sample
from coursekit.errors import DataFileError


def open_text(place: Place, split: str, size: int) -> RealData:
    """input.txt: the first nine tenths are train, the last is test.

    x are windows of `size` characters that follow one another without overlap, so that "".join(all().x) is the text but for
    its end; y are the same, one character later. `Vocabulary.of(data.all().x, level="char")` makes ids of them.
    """
    path = place.find("input.txt")
    text = read_text(path)
    edge = len(text) * 9 // 10
    text = text[:edge] if split == "train" else text[edge:]
    count = (len(text) - 1) // size
    if count < 1:
        raise DataFileError.of(
            path, got=f"{len(text)} characters of {split}", expected=f"more than {size}, the size of a window",
            do="Fetch the file again, or pass a smaller size.",
        )  # fmt: skip

    def reading(at: Tensor) -> Sample:
        starts = [i * size for i in at.tolist()]
        return Sample([text[s : s + size] for s in starts], y=[text[s + 1 : s + 1 + size] for s in starts])

    return RealData(name=place.name, card=CARDS[place.name], split=split, count=count, reading=reading)
