"""The networks that the probes of sections 4 to 6 play with: small, smooth, made from drawn numbers alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coursekit.checks.draws import Rng

LATENT, FEATURES, HIDDEN = 3, 2, 5
CHANNELS, HEIGHT, WIDTH = 2, 3, 4
PIXELS = CHANNELS * HEIGHT * WIDTH
_CRITIC_SIZES = (HIDDEN * FEATURES, HIDDEN, HIDDEN, 1)
_GENERATOR_SIZES = (FEATURES * LATENT, FEATURES)
_IMAGE_SIZES = (HIDDEN * PIXELS, HIDDEN, HIDDEN)


def draw_critic(rng: Rng) -> Tensor:
    """The weights of one `PointCritic` as a vector (P,)."""
    return torch.cat([rng.normal(size, scale=scale) for size, scale in zip(_CRITIC_SIZES, (1.0, 0.5, 0.8, 0.5))])


class PointCritic(nn.Module):
    """Points (N, 2) -> scores (N,). Its buffer is no weight: nobody is to touch it.

    Smooth, because a rectifier's kinks would let two right answers part ways.
    """

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        # Bare parameters: modules of torch would first draw weights of their own, at ten times the cost.
        pieces = [piece.clone() for piece in weights.split(_CRITIC_SIZES)]
        self.W_1 = nn.Parameter(pieces[0].reshape(HIDDEN, FEATURES))
        self.b_1 = nn.Parameter(pieces[1])
        self.w_2 = nn.Parameter(pieces[2])
        self.b_2 = nn.Parameter(pieces[3])
        self.register_buffer("gain", torch.full((HIDDEN,), 1.5, dtype=weights.dtype))

    def forward(self, x: Tensor) -> Tensor:
        return (torch.tanh(x @ self.W_1.T + self.b_1) * self.gain) @ self.w_2 + self.b_2[0]


def draw_generator(rng: Rng) -> Tensor:
    """The weights of one `PointGenerator` as a vector (P,)."""
    return torch.cat([rng.normal(size, scale=scale) for size, scale in zip(_GENERATOR_SIZES, (0.7, 0.4))])


class PointGenerator(nn.Module):
    """Noise (N, 3) -> points (N, 2)."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        pieces = [piece.clone() for piece in weights.split(_GENERATOR_SIZES)]
        self.W = nn.Parameter(pieces[0].reshape(FEATURES, LATENT))
        self.b = nn.Parameter(pieces[1])

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z @ self.W.T + self.b)


def draw_image_critic(rng: Rng, slope: float) -> Tensor:
    """The weights of one `ImageCritic` as a vector (P,), whose gradient at a grey image, 0 everywhere, has length `slope`."""
    W = rng.normal(HIDDEN, PIXELS, scale=1 / math.sqrt(PIXELS))
    v = rng.uniform(HIDDEN, low=0.5, high=1.5) * torch.tensor([1.0, -1, 1, 1, -1], dtype=rng.dtype)
    v = v * slope / (v @ W).norm()
    return torch.cat([W.flatten(), rng.normal(HIDDEN, scale=0.05), v])


class ImageCritic(nn.Module):
    """Images (N, 2, 3, 4) -> scores (N,): steep near grey images, flat where the contrast is high.

    With `dead`, a squared rectifier in place of tanh that a grey image does not reach: there the gradient is exactly 0.
    """

    def __init__(self, weights: Tensor, dead: float | None = None) -> None:
        super().__init__()
        pieces = [piece.clone() for piece in weights.split(_IMAGE_SIZES)]
        self.W = nn.Parameter(pieces[0].reshape(HIDDEN, PIXELS))
        self.b = nn.Parameter(pieces[1])
        self.v = nn.Parameter(pieces[2])
        self.dead = dead

    def forward(self, x: Tensor) -> Tensor:
        a = x.flatten(1) @ self.W.T + self.b
        return (torch.tanh(a) if self.dead is None else torch.relu(a - self.dead).square()) @ self.v
