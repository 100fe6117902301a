"""The networks that the probes of this unit attack: small, smooth, and made from drawn numbers alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings
from coursekit.checks.draws import Rng

CHANNELS, HEIGHT, WIDTH, CLASSES, FEATURES = 2, 5, 4, 5, 4
_SIZES = (FEATURES * CHANNELS * 9, FEATURES, CLASSES * FEATURES * HEIGHT * WIDTH, CLASSES)


def draw_weights(rng: Rng, gain: float = 2.0) -> Tensor:
    """The weights of one `SmallNet` as a vector (P,). `gain`: how steep its logits are, about the spread of one."""
    scales = (1 / math.sqrt(CHANNELS * 9), 0.2, gain / math.sqrt(FEATURES * HEIGHT * WIDTH), 0.2)
    return torch.cat([rng.normal(size, scale=scale) for size, scale in zip(_SIZES, scales)])


class SmallNet(nn.Module):
    """Images (N, 2, 5, 4) -> logits (N, 5): a convolution, tanh and a linear layer, in the dtype of its weights.

    Smooth, because a rectifier's kinks would let two right answers part ways; images are not square, so that swapped
    axes show.
    """

    def __init__(self, weights: Tensor, seen: Tensor | None = None) -> None:
        """`seen` (H, W) is 1 at the pixels that the network looks at and 0 at those whose gradient is exactly 0."""
        super().__init__()
        self.register_buffer("seen", torch.ones(HEIGHT, WIDTH, dtype=weights.dtype) if seen is None else seen)
        # Bare parameters: modules of torch would first draw weights of their own, at ten times the cost.
        pieces = [piece.clone() for piece in weights.split(_SIZES)]
        self.kernel = nn.Parameter(pieces[0].reshape(FEATURES, CHANNELS, 3, 3))
        self.shift = nn.Parameter(pieces[1])
        self.head = nn.Parameter(pieces[2].reshape(CLASSES, -1))
        self.bias = nn.Parameter(pieces[3])

    def forward(self, x: Tensor) -> Tensor:
        features = torch.tanh(nn.functional.conv2d(x * self.seen, self.kernel, self.shift, padding=1))
        return nn.functional.linear(features.flatten(1), self.head, self.bias)


def in_float64(rng: Rng) -> Rng:
    """For draws where a sign or a count is to be exact: a gradient is within rounding of 0, 1e-15, once in 1e10 draws."""
    return Rng(rng.integer(0, 2**31), "float64", torch.float64)


def draw_images(rng: Rng, N: int) -> Tensor:
    """Images (N, 2, 5, 4) of which every third pixel is black or white, so that the range of pixels matters from the "
    "start."""
    x = rng.uniform(N, CHANNELS, HEIGHT, WIDTH, low=-0.9, high=0.9)
    extreme = torch.arange(x.numel()).reshape(x.shape) % 3 == 0
    return torch.where(extreme, x.sign(), x)


def image_state(x: Tensor) -> Findings:
    """What a function could have left behind in an image, besides other pixels."""
    return {"image requires a gradient": x.requires_grad, "gradient kept in the image": x.grad}


def used_net(weights: Tensor) -> SmallNet:
    """A net as it is found in the middle of its life: a gradient is still there, one parameter is frozen, train mode "
    "is on."""
    net = SmallNet(weights)
    net.bias.requires_grad_(False)
    net.kernel.grad = torch.full_like(net.kernel, 0.25)
    return net
