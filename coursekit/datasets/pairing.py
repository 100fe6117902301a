"""Worlds of two domains, for image translation: the same scene in both, or scenes of each that have nothing in common.

Both pictures of a pair are rendered from generators in the same state, so that they share their style; each rendering
makes the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_at_least
from coursekit.datasets.world import PictureWorld, Sample

Rendering = Callable[[Tensor, int, torch.Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class PairedWorld(PictureWorld):
    """A world whose scenes exist as x and as y."""

    domains: tuple[str, str]
    """What x and y are, such as ("summer", "winter")."""
    sides: tuple[Rendering, Rendering]
    """The renderings of x and of y: (labels (N, A), size, generator) -> (N, C, size, size) in [-1, 1]."""
    told: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})
    """Attributes that belong to the domain, and their ids in x and in y."""

    def pairs(self, n: int, *, generator: torch.Generator, size: int | None = None) -> Sample:
        """n scenes as x and as y, aligned pixel by pixel. `labels` (n, A) are those of x, `more["y_labels"]` of y."""
        labels = self.sample(n, generator=generator)
        state = generator.get_state()
        x = self._side(0, labels, generator, size)
        generator.set_state(state)
        y = self._side(1, labels, generator, size)
        return Sample(x, self._labels(0, labels), y, more={"y_labels": self._labels(1, labels)})

    def unpaired(self, n: int, *, generator: torch.Generator, size: int | None = None) -> Sample:
        """n scenes as x and n others as y: row k of x has nothing to do with row k of y. Labels as for pairs()."""
        pictures, labels = [], []
        for k in (0, 1):
            fresh = self.sample(n, generator=generator)
            pictures.append(self._side(k, fresh, generator, size))
            labels.append(self._labels(k, fresh))
        return Sample(pictures[0], labels[0], pictures[1], more={"y_labels": labels[1]})

    def _side(self, k: int, labels: Tensor, generator: torch.Generator, size: int | None) -> Tensor:
        size = self.sizes[0] if size is None else size
        require_at_least(16, size=size)
        return self.sides[k](self._labels(k, labels), size, generator)

    def _labels(self, k: int, labels: Tensor) -> Tensor:
        labels = labels.clone()
        for name, value in self.told[k].items():
            labels[:, list(self.names).index(name)] = value
        return labels
