"""What real data is to the kit: a world whose examples are fixed, with a card that says whose they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_at_least, require_generator
from coursekit.datasets.world import Card, Sample, World
from coursekit.errors import DataAbsent, InputError


@dataclass(frozen=True, kw_only=True)
class RealCard(Card):
    """A data card of real data."""

    stands_for: str = "nothing: it is real"
    terms: str
    """What the publishers say about its use. No legal advice: read the page."""
    size: str
    """Examples and bytes."""
    used_for: str
    """What the course uses it for."""
    page: str
    """Where the publishers offer it."""
    standin: str
    """The rendered world that needs no file."""


@dataclass(frozen=True, kw_only=True)
class RealData(World):
    """One split of a real data set. Its len() is the number of examples N."""

    split: str
    count: int
    reading: Callable[[Tensor], Sample]
    """(n,) int64 positions -> these examples, without captions. Pictures on disk are decoded here, and no others."""
    telling: Callable[[int], list[str]] | None = None
    """Position -> every caption of that picture. None: there are no captions on this machine."""

    def __len__(self) -> int:
        return self.count

    def at(self, index: Tensor | Sequence[int], *, generator: torch.Generator | None = None) -> Sample:
        """The examples at positions (n,), with one caption each: the first, or, given a generator, any of them."""
        ids = self._ids(index)
        sample = self.reading(ids)
        if self.telling is None:
            return sample
        # One number for each picture, however many captions it has: equal seeds stay equal.
        dice = torch.rand(len(ids), generator=generator) if generator is not None else torch.zeros(len(ids))
        told = [self.telling(i) for i in ids.tolist()]
        chosen = [texts[int(die * len(texts))] for texts, die in zip(told, dice.tolist())]
        return dataclasses.replace(sample, captions=chosen)

    def draw(self, n: int, *, generator: torch.Generator) -> Sample:
        """n examples at random; none comes again before all have come. Equal seeds give equal examples."""
        require_at_least(1, n=n)
        require_generator(generator)
        rounds = [torch.randperm(self.count, generator=generator) for _ in range(-(-n // self.count))]
        return self.at(torch.cat(rounds)[:n], generator=generator)

    def all(self) -> Sample:
        """The whole split in the publishers' order. Large sets of photographs may not fit into memory: see the card."""
        return self.at(torch.arange(self.count))

    def captions(self, index: Tensor | Sequence[int]) -> list[list[str]]:
        """Every caption of the pictures at these positions (Reed et al. collected ten for each)."""
        if self.telling is None:
            raise DataAbsent(
                f"{self.card.title}: its captions are not on this machine, or it has none. Flowers102 and CUB have them: put "
                "the folder text_c10 of https://github.com/reedscot/cvpr2016 beside the pictures' folder. The kit's own "
                'need no file: worlds.world("birds") and worlds.world("flowers").'
            )
        return [self.telling(i) for i in self._ids(index).tolist()]

    def _ids(self, index: Tensor | Sequence[int]) -> Tensor:
        ids = torch.as_tensor(index)
        whole = ids.dim() == 1 and len(ids) > 0 and not ids.is_floating_point() and ids.dtype != torch.bool
        if not whole or int(ids.min()) < 0 or int(ids.max()) >= self.count:
            raise InputError.of(
                f"`index` into {self.name}", got=index, expected=f"whole numbers (n,) from 0 to {self.count - 1}",
                do="Use draw() for examples at random, all() for every one.",
            )  # fmt: skip
        return ids.long()
