"""Small networks and data for the tests of the loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from coursekit.runtime import generator, seeded

MODES = 8
RADIUS, SPREAD = 1.0, 0.05


def points(seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """G: (N, 4) -> (N, 2), and D: (N, 2) -> (N, 1)."""
    with seeded(seed):
        G = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
        D = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    return G, D


def images(seed: int = 0, *, dropout: float = 0.3) -> tuple[nn.Module, nn.Module]:
    """A tiny DCGAN, 8 x 8: batch norm and dropout, which carry state and draw. G: (N, 4) -> (N, 1, 8, 8)."""
    with seeded(seed):
        G = nn.Sequential(
            nn.Linear(4, 8 * 2 * 2), nn.Unflatten(1, (8, 2, 2)), nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.BatchNorm2d(8),
            nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip
        D = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Dropout(dropout), nn.Conv2d(8, 8, 4, 2, 1), nn.BatchNorm2d(8),
            nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8 * 2 * 2, 1),
        )  # fmt: skip
    return G, D


def ring(batch: int, seed: int = 0) -> Callable[[int], Tensor]:
    """The k-th batch of points on eight Gaussians around a circle."""

    def draw(k: int) -> Tensor:
        own = generator(seed * 100_000 + k)
        angle = torch.randint(MODES, (batch,), generator=own) * (2 * math.pi / MODES)
        middle = RADIUS * torch.stack([angle.cos(), angle.sin()], 1)
        return middle + SPREAD * torch.randn(batch, 2, generator=own)

    return draw


def squares(batch: int, seed: int = 0) -> Callable[[int], Tensor]:
    """The k-th batch of pictures (batch, 1, 8, 8): a light square of 4 x 4 somewhere on dark ground."""

    def draw(k: int) -> Tensor:
        own = generator(seed * 100_000 + k)
        x = torch.full((batch, 1, 8, 8), -1.0)
        for row, (top, left) in enumerate(torch.randint(5, (batch, 2), generator=own).tolist()):
            x[row, :, top : top + 4, left : left + 4] = 1.0
        return x

    return draw


def equal(one: object, other: object) -> bool:
    """Bit for bit, through nested dicts, lists and tensors."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other))
    return type(one) is type(other) and one == other
