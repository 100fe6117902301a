"""What the probes of this unit look through: small, smooth networks that take a condition, made from drawn numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.draws import Rng

NOISE, CLASSES, CHANNELS, HEIGHT, WIDTH = 3, 4, 2, 3, 5
"""Sizes that are all different, so that none can be taken for another."""
PIXELS = CHANNELS * HEIGHT * WIDTH


class Curved(nn.Module):
    """Rows (N, F) -> (N, O): linear, tanh, linear, from weights of its own seed; batch norm between if asked for.

    Bare parameters, because modules of torch would first draw weights of their own. No kinks, because two right answers
    could part ways there.
    """

    def __init__(self, inlet: int, outlet: int, seed: int, dtype: torch.dtype, *, hidden: int = 5) -> None:
        super().__init__()
        own = torch.Generator().manual_seed(seed)

        def drawn(*shape: int, scale: float) -> nn.Parameter:
            return nn.Parameter((scale * torch.randn(shape, generator=own, dtype=torch.float64)).to(dtype))

        self.first, self.shift = drawn(hidden, inlet, scale=1.2 / inlet**0.5), drawn(hidden, scale=0.3)
        self.second, self.bias = drawn(outlet, hidden, scale=1.2 / hidden**0.5), drawn(outlet, scale=0.3)

    def forward(self, rows: Tensor) -> Tensor:
        return torch.tanh(rows @ self.first.T + self.shift) @ self.second.T + self.bias


class BatchCentre(nn.Module):
    """Takes the batch's mean from rows (N, F) in train mode, the running one in eval mode: company counts."""

    running_mean: Tensor

    def __init__(self, width: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(width, dtype=dtype))

    def forward(self, rows: Tensor) -> Tensor:
        if not self.training:
            return rows - self.running_mean
        mean = rows.mean(0)
        with torch.no_grad():
            self.running_mean.lerp_(mean, 0.2)
        return rows - 0.5 * mean


class LabelG(nn.Module):
    """Noise (N, 3) and labels (N,) or rows (N, 4) -> pictures (N, 2, 3, 5) in (-1, 1)."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.body = Curved(NOISE + CLASSES, PIXELS, seed, dtype)
        self.centre = BatchCentre(PIXELS, dtype)
        self.calls: list[list[Any]] = []
        """For each pass: the labels, whether in train mode."""

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        self.calls.append([y.detach().clone(), self.training])
        rows = self.centre(self.body(torch.cat([z, as_rows(y, z)], 1)))
        return torch.tanh(rows).reshape(-1, CHANNELS, HEIGHT, WIDTH)


class LabelD(nn.Module):
    """Pictures (N, 2, 3, 5) and labels (N,) -> PROBABILITIES of real (N,)."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.body = Curved(PIXELS + CLASSES, 1, seed, dtype)
        self.centre = BatchCentre(1, dtype)
        self.calls: list[list[Any]] = []
        """For each pass: the labels, whether in train mode, whether the pictures carry a graph."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        self.calls.append([y.detach().clone(), self.training, x.requires_grad])
        rows = self.body(torch.cat([x.flatten(1), as_rows(y, x)], 1))
        return torch.sigmoid(self.centre(rows)[:, 0])


class JointD(nn.Module):
    """Pictures (N, 2, 3, 5) and codes (N, 3) -> logits (N,)."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.body = Curved(PIXELS + NOISE, 1, seed, dtype)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.body(torch.cat([x.flatten(1), z], 1))[:, 0]


class Reader(nn.Module):
    """Pictures (N, 2, 3, 5) -> rows (N, width): an encoder, or the features of a frozen network."""

    def __init__(self, width: int, seed: int, dtype: torch.dtype, *, squash: bool = False) -> None:
        super().__init__()
        self.body = Curved(PIXELS, width, seed, dtype)
        self.squash = squash

    def forward(self, x: Tensor) -> Tensor:
        rows = self.body(x.flatten(1))
        return torch.sigmoid(2 * rows) if self.squash else rows


class PlainG(nn.Module):
    """Codes (N, 3) -> pictures (N, 2, 3, 5) in (-1, 1)."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.body = Curved(NOISE, PIXELS, seed, dtype)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.body(z)).reshape(-1, CHANNELS, HEIGHT, WIDTH)


def as_rows(y: Tensor, like: Tensor) -> Tensor:
    """Labels (N,) as one-hot rows (N, 4); rows stay what they are."""
    return y if y.dim() == 2 else (y[:, None] == torch.arange(CLASSES)).to(like.dtype)


def draw_pictures(rng: Rng, N: int, C: int = CHANNELS, H: int = HEIGHT, W: int = WIDTH) -> Tensor:
    """Pictures (N, C, H, W) in [-1, 1], brighter from left to right, so that no axis is like another."""
    slope = torch.linspace(-0.3, 0.4, W, dtype=rng.dtype)
    return rng.uniform(N, C, H, W, low=-0.6, high=0.6) + slope
