"""BigGAN in small: one generator for all classes, its batch norms told which (Brock et al. 2019).

::

    G, D = ClassGenerator(classes=10), ClassDiscriminator(classes=10)
    z = truncated_noise(64, G.latent, 0.5, generator=own)       # entries beyond 0.5 are drawn again
    G(z, labels)                                                # pictures of these classes

Shapes: noise z (N, Z), labels y (N,) int64, pictures (N, C, size, size), size a power of two from 16, scores (N,): a critic's,
for the hinge loss. The paper's parts at hand: an embedding of the class shared by all layers, a piece of z for each block,
class-conditional batch norm, residual blocks, a projection discriminator with spectral norm. Left out: spectral norm in the
generator, self-attention, orthogonal regularisation, 128 to 512 pixels, batches of 2,048 and a thousand classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from coursekit import runtime, shipped
from coursekit.errors import InputError
from coursekit.models.progressive import double


def truncated_noise(n: int, latent: int, threshold: float, *, generator: torch.Generator) -> Tensor:
    """(n, latent): N(0, 1), each entry drawn again until it is within [-threshold, threshold].

    Brock et al. (2019), section 3.1.
    """
    if not threshold > 0:
        raise InputError.of(
            "`threshold`", got=threshold, expected="above 0", do="Try 2 for most of the noise, 0.5 for its middle."
        )
    # In one draw: the quantiles of the middle part are uniform between those of its ends.
    low = math.erf(-threshold / math.sqrt(2))
    u = low * (1 - 2 * torch.rand(n, latent, generator=generator, dtype=torch.float64))
    return (math.sqrt(2) * torch.erfinv(u)).clamp(-threshold, threshold).float()


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm whose gain and bias are linear in a code (N, D): 1 + gain(code), bias(code).

    Dumoulin et al. (2017); de Vries et al. (2017).
    """

    def __init__(self, maps: int, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=False)
        self.gain, self.bias = (nn.Linear(width, maps, bias=False) for _ in range(2))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        gain, bias = self.gain(code)[:, :, None, None], self.bias(code)[:, :, None, None]
        return self.norm(x) * (1 + gain) + bias


class _Up(nn.Module):
    """Norm, ReLU, double the edge, convolve, norm, ReLU, convolve; plus a short cut (Brock et al. 2019, figure 15b)."""

    def __init__(self, before: int, after: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ConditionalBatchNorm2d(before, width), ConditionalBatchNorm2d(after, width)
        self.conv1, self.conv2 = (nn.Conv2d(n, after, 3, padding=1) for n in (before, after))
        self.short = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        h = self.conv1(double(torch.relu(self.norm1(x, code))))
        return self.conv2(torch.relu(self.norm2(h, code))) + double(self.short(x))


class _Down(nn.Module):
    """ReLU, convolve, ReLU, convolve, halve the edge; plus a short cut (figure 15c)."""

    def __init__(self, before: int, after: int, *, first: bool, halve: bool) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        self.conv1, self.conv2 = (spectral_norm(nn.Conv2d(n, after, 3, padding=1)) for n in (before, after))
        self.short = spectral_norm(nn.Conv2d(before, after, 1)) if before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(torch.relu(self.conv1(x if self.first else torch.relu(x))))  # no ReLU on a picture
        if self.halve:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + self.short(x)


class ClassGenerator(nn.Module):
    """z (N, Z), y (N,) -> pictures (N, C, size, size) in [-1, 1].

    Z is a multiple of the number of blocks and one more: each, and the first layer, has its piece of z.
    """

    def __init__(
        self, *, classes: int, latent: int = 64, channels: int = 1, width: int = 32, size: int = 32, embedding: int = 32
    ) -> None:
        super().__init__()
        doublings = _doublings(size)
        if latent % (doublings + 1):
            raise InputError.of(
                "latent",
                got=latent,
                expected=f"a multiple of {doublings + 1}",
                do="Each block gets an equal piece of z.",
            )
        self.classes, self.latent, self.piece = classes, latent, latent // (doublings + 1)
        self.embed = nn.Embedding(classes, embedding)  # one for all layers; each layer has its own linear map of it
        maps = [width * min(2 ** (doublings - 1), 2**i) for i in range(doublings, -1, -1)]
        self.maps = maps
        self.first = nn.Linear(self.piece, maps[0] * 16)
        self.blocks = nn.ModuleList(_Up(a, b, self.piece + embedding) for a, b in pairwise(maps))
        self.norm = nn.BatchNorm2d(maps[-1])
        self.to_picture = nn.Conv2d(maps[-1], channels, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        head, *pieces = z.split(self.piece, 1)
        label = self.embed(y)
        h = self.first(head).view(len(z), self.maps[0], 4, 4)
        for block, piece in zip(self.blocks, pieces):
            h = block(h, torch.cat([piece, label], 1))
        return torch.tanh(self.to_picture(torch.relu(self.norm(h))))


class ClassDiscriminator(nn.Module):
    """Pictures and labels -> scores: psi(phi(x)) + <e(y), phi(x)>, a projection (Miyato and Koyama 2018, equation 3)."""

    def __init__(self, *, classes: int, channels: int = 1, width: int = 32, size: int = 32) -> None:
        super().__init__()
        doublings = _doublings(size)
        maps = [channels, *(width * min(4, 2**i) for i in range(doublings))]
        blocks = [_Down(a, b, first=i == 0, halve=True) for i, (a, b) in enumerate(pairwise(maps))]
        self.blocks = nn.Sequential(*blocks, _Down(maps[-1], maps[-1], first=False, halve=False))
        self.plain = spectral_norm(nn.Linear(maps[-1], 1))
        self.embed = spectral_norm(nn.Embedding(classes, maps[-1]))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        code = torch.relu(self.blocks(x)).sum((2, 3))
        return self.plain(code).squeeze(1) + (self.embed(y) * code).sum(1)


@torch.no_grad()
def standing_statistics(G: nn.Module, draw: Callable[[], tuple[Tensor, Tensor]], *, batches: int = 20) -> None:
    """Average G's batch statistics anew over forward passes of `draw()` -> (z, y), in place (Brock et al. 2019, appendix D).

    Other noise than in training, truncated noise above all, has other statistics than those that batch norm has remembered.
    """
    norms = [m for m in G.modules() if isinstance(m, nn.BatchNorm2d)]
    before, training = [m.momentum for m in norms], G.training
    # Nothing but the batch norms is set to training.
    G.eval()
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # a plain mean over all batches
        m.train()
    try:
        for _ in range(batches):
            G(*draw())
    finally:
        for m, momentum in zip(norms, before):
            m.momentum = momentum
        G.train(training)


def load_classes(*, data: Path | None = None) -> ClassGenerator:
    """The shipped generator of digits at 32 pixels (benchmarks/train_larger.py), in eval mode, its weights frozen."""
    about = shipped.row("larger/digits_classes", data)["config"]
    with runtime.seeded(0):
        net = ClassGenerator(classes=about["classes"], width=about["width"], size=about["size"])
    shipped.load("larger/digits_classes", net, data=data)
    return net


def _doublings(size: int) -> int:
    doublings = round(math.log2(size / 4)) if size > 0 else 0
    if doublings < 2 or 4 * 2**doublings != size:
        raise InputError.of(
            "size", got=size, expected="16, 32, 64 or a further power of two", do="Render at one of these."
        )
    return doublings
