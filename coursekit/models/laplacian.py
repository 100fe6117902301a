"""The Laplacian pyramid, and the networks that draw by it: LAPGAN (Denton et al. 2015), from 8 to 32 pixels.

::

    low, high = split(x)                        # x (N, C, H, W): half the size, and what that lacks
    assert torch.allclose(join(low, high), x, atol=1e-6)
    cascade = load_cascade()
    steps = cascade.refine(cascade.base(z), generator=generator(0))      # 8 -> 16 -> 32
    pictures = steps[-1].picture

One filter serves both ways: the binomial 1 4 6 4 1 (Burt and Adelson 1983, a = 3/8), REDUCE and EXPAND in their words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from coursekit import shipped
from coursekit.errors import InputError
from coursekit.models.dcgan import Discriminator, Generator


class Octave(NamedTuple):
    """A picture in two parts."""

    low: Tensor
    """(N, C, ceil(H/2), ceil(W/2)): the smaller picture."""
    high: Tensor
    """(N, C, H, W): what the smaller picture, made larger, lacks. About zero where the picture is smooth."""


def _kernel(like: Tensor) -> Tensor:
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=like.dtype, device=like.device) / 16
    return torch.outer(row, row).expand(like.shape[1], 1, 5, 5)


def halve(x: Tensor) -> Tensor:
    """x (N, C, H, W), H and W at least 3 -> (N, C, ceil(H/2), ceil(W/2)): blurred, then each second pixel.

    REDUCE, Burt and Adelson (1983), equation 1; the picture is mirrored at its border.
    """
    if x.dim() != 4 or min(x.shape[2:]) < 3:
        raise InputError.of(
            "a picture to halve",
            got=tuple(x.shape),
            expected="(N, C, H, W), edges of 3 or more",
            do="Build fewer levels.",
        )
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), _kernel(x), stride=2, groups=x.shape[1])


def widen(x: Tensor, size: Sequence[int]) -> Tensor:
    """x (N, C, h, w) -> (N, C, *size), where h, w are half of `size`, rounded up: EXPAND, Burt and Adelson (1983), equation 2.

    Each new pixel is a mean of the small ones around it, weighted by the same filter. Linear in x; a constant stays as it is.
    """
    height, width = size
    if tuple(x.shape[2:]) != (-(-height // 2), -(-width // 2)):
        raise InputError.of(
            "a picture to widen", got=tuple(x.shape), expected=f"half of {height} x {width}, rounded up",
            do="Pass the size of the level that it is compared with.",
        )  # fmt: skip

    def spread(picture: Tensor) -> Tensor:
        wide = F.conv_transpose2d(picture, _kernel(picture), stride=2, groups=picture.shape[1])
        return wide[:, :, 2 : 2 + height, 2 : 2 + width]

    return spread(x) / spread(torch.ones_like(x))


def split(x: Tensor) -> Octave:
    """Pictures (N, C, H, W) -> their two parts. `join` undoes it up to rounding, whatever the filter."""
    low = halve(x)
    return Octave(low, x.sub(widen(low, x.shape[2:])))


def join(low: Tensor, high: Tensor) -> Tensor:
    """The two parts of pictures -> pictures, of the size of `high`."""
    return high.add(widen(low, high.shape[2:]))


class BaseGenerator(nn.Module):
    """z (N, Z) -> pictures (N, C, 8, 8) in [-1, 1]: the cascade's first, which is told nothing."""

    def __init__(self, *, latent: int = 32, channels: int = 3, width: int = 48) -> None:
        super().__init__()
        self.latent, self.width = latent, width
        self.first = nn.Linear(latent, 16 * width, bias=False)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, channels, 3, 1, 1),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.rest(self.first(z).view(len(z), self.width, 4, 4)))


class BaseDiscriminator(nn.Module):
    """Pictures (N, C, 8, 8) -> scores (N,); spectral norm."""

    def __init__(self, *, channels: int = 3, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(channels, width, 3, 1, 1)), nn.LeakyReLU(0.2, inplace=True),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True),
            spectral_norm(nn.Conv2d(2 * width, 2 * width, 3, 1, 1)), nn.LeakyReLU(0.2, inplace=True),
            nn.Flatten(), spectral_norm(nn.Linear(32 * width, 1)),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(1)


class DetailGenerator(nn.Module):
    """G_k: noise z (N, edge * edge) and the low-pass picture l (N, C, edge, edge) -> a difference picture of l's size.

    The noise is one more plane beside l's colours (Denton et al. 2015). `scale`, the deviation of real difference
    pictures, is ours: the last layer then works with numbers of order 1.
    """

    scale: Tensor

    def __init__(self, *, edge: int, channels: int = 3, width: int = 24, scale: float = 0.2) -> None:
        super().__init__()
        self.edge, self.latent = edge, edge * edge
        self.register_buffer("scale", torch.tensor(scale))
        layers, before = list[nn.Module](), channels + 1
        for _ in range(3):
            layers += [nn.Conv2d(before, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            before = width
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, 1, 1))

    def forward(self, z: Tensor, l: Tensor) -> Tensor:
        seen = torch.cat([l, z.view(len(z), 1, self.edge, self.edge).to(l.dtype)], 1)
        return self.scale * self.layers(seen)


class DetailDiscriminator(nn.Module):
    """D_k: difference pictures h and low-pass pictures l, (N, C, edge, edge) each -> scores (N,).

    It looks at h (in units of `scale`) and at the sum h + l, as in the paper: the picture itself. No information is lost.
    """

    scale: Tensor

    def __init__(self, *, edge: int, channels: int = 3, width: int = 16, scale: float = 0.2) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))
        self.judge = Discriminator(channels=2 * channels, width=width, size=edge, norm="spectral", fine=width)

    def forward(self, h: Tensor, l: Tensor) -> Tensor:
        return self.judge(torch.cat([h / self.scale, h + l], 1))


class Stage(NamedTuple):
    """One doubling of a chain, all (N, C, edge, edge)."""

    wide: Tensor
    """The picture so far, made larger: what the generator was told."""
    difference: Tensor
    """What it added."""
    picture: Tensor


class Cascade(nn.Module):
    """A base of 8 x 8 pixels and a detail generator for each doubling, coarsest first."""

    def __init__(
        self, *, latent: int = 32, base: int = 48, details: Sequence[int] = (32, 24), scales: Sequence[float] = (0.2, 0.2)
    ) -> None:  # fmt: skip
        super().__init__()
        self.latent = latent
        self.base = BaseGenerator(latent=latent, width=base)
        levels = enumerate(zip(details, scales, strict=True), start=1)
        self.details = nn.ModuleList(DetailGenerator(edge=8 * 2**i, width=w, scale=s) for i, (w, s) in levels)

    def refine(
        self, small: Tensor, *, generator: torch.Generator, strength: Sequence[float] | None = None
    ) -> list[Stage]:
        """Pictures of 8 x 8 pixels, or of 16 x 16, ... -> the doublings that are left, coarsest first.

        `small` may be real or generated. `strength`: a factor for the difference of each of these doublings: 0 leaves it out,
        1 is the chain.
        """
        todo = [G for G in self.details if G.edge > small.shape[-1]]
        stages = list[Stage]()
        for G, factor in zip(todo, strength or [1.0] * len(todo), strict=True):
            wide = widen(small, (G.edge, G.edge))  # type: ignore[arg-type]
            noise = torch.randn(len(wide), G.latent, generator=generator)  # type: ignore[call-overload]
            added = factor * G(noise, wide)
            small = wide + added
            stages.append(Stage(wide, added, small))
        return stages

    def forward(self, z: Tensor, *, generator: torch.Generator) -> Tensor:
        """z (N, Z) -> pictures at full size. Values a little beyond [-1, 1] occur: a sum has no tanh."""
        return self.refine(self.base(z), generator=generator)[-1].picture


def load_cascade(name: str = "cascade", *, data: Path | None = None) -> Cascade:
    """The shipped cascade of birds; eval mode, weights fixed (benchmarks/train_pyramid.py).

    "cascade": 8 to 32 pixels. "cascade_hundred": 8 to 16 pixels, trained on 100 pictures only.
    """
    net = Cascade(**shipped.row(f"conditional/{name}", data)["config"])
    shipped.load(f"conditional/{name}", net, data=data)
    return net


def load_single(name: str = "single", *, data: Path | None = None) -> Generator:
    """The shipped generator that draws at full size at once, trained for as long as its cascade: "single" or "single_hundred"."""
    net = Generator(**shipped.row(f"conditional/{name}", data)["config"])
    shipped.load(f"conditional/{name}", net, data=data)
    return net
