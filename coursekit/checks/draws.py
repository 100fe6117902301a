"""Seeded inputs: every number in a check comes from one of these."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


class Rng:
    """Draws for one exercise. Same seed, label and torch give the same draws, whatever the process did before."""

    def __init__(self, seed: int, label: str = "", dtype: torch.dtype = torch.float32) -> None:
        digest = hashlib.blake2b(f"{seed}/{label}".encode(), digest_size=8).digest()
        self.generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
        self.dtype = dtype

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        # Drawn in float64 and rounded, so that a float64 run sees (nearly) the numbers of the float32 run.
        return (torch.randn(shape, generator=self.generator, dtype=torch.float64) * scale).to(self.dtype)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        unit = torch.rand(shape, generator=self.generator, dtype=torch.float64)
        return (low + (high - low) * unit).to(self.dtype)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers in [low, high), int64."""
        return torch.randint(low, high, shape, generator=self.generator)

    def integer(self, low: int, high: int) -> int:
        """One whole number in [low, high)."""
        return int(self.integers(low, high, 1))

    def number(self, low: float, high: float) -> float:
        """One number in [low, high)."""
        return float(low + (high - low) * torch.rand((), generator=self.generator, dtype=torch.float64))

    def choice(self, items: Sequence[Item]) -> Item:
        return items[self.integer(0, len(items))]

    def permutation(self, count: int) -> Tensor:
        return torch.randperm(count, generator=self.generator)
