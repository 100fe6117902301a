"""A style-based generator in small (Karras et al. 2019): z is mapped to w, and w styles every layer.

::

    G = StyleGenerator()
    w = G.map(z)                                      # (N, W)
    G.synthesise(G.mix(w_a, w_b, from_layer=4))       # coarse layers styled by a, fine ones by b
    G(z, psi=0.5)                                     # every w half-way to the mean w

Shapes: noise z (N, Z), styles w (N, W), or one for each of L layers: (N, L, W); pictures (N, C, 32, 32), not limited to [-1, 1].
Layers 0 and 1 work on 4 x 4 cells, 2 and 3 on 8 x 8, 4 and 5 on 16 x 16, 6 and 7 on 32 x 32. In the paper: 18 layers, 512 maps,
8 layers of mapping. Left out: progressive growing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import runtime, shipped
from coursekit.errors import InputError
from coursekit.models.progressive import SLOPE, EqualisedConv2d, EqualisedLinear, pixel_norm

MAPS = (64, 64, 32, 16)
"""Feature maps at 4, 8, 16, 32 pixels."""
MEAN_DECAY = 0.995
"""Of the running mean of w (Karras et al. 2019, official settings)."""


class AdaIN(nn.Module):
    """x -> y_s (x - mean(x)) / std(x) + y_b for each map of each picture, (y_s, y_b) an affine function of w (equation 1).

    Mean and standard deviation are over places, without Bessel's correction. So a map leaves with mean y_b and deviation |y_s|,
    whatever the layers before have done to it.
    """

    def __init__(self, maps: int, width: int) -> None:
        super().__init__()
        self.affine = EqualisedLinear(width, 2 * maps, gain=1.0)
        with torch.no_grad():
            self.affine.bias[:maps] = 1.0  # at the start a style changes nothing, on average

    def style(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """w (N, W) -> scale y_s and shift y_b, each (N, C, 1, 1)."""
        scale, shift = self.affine(w)[:, :, None, None].chunk(2, 1)
        return scale, shift

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        scale, shift = self.style(w)
        variance, mean = torch.var_mean(x.float(), (2, 3), correction=0, keepdim=True)
        gain = scale * torch.rsqrt(variance + 1e-8)
        # One multiplication and one addition for each pixel, whatever the order in memory.
        return torch.addcmul((shift - gain * mean).to(x.dtype), x, gain.to(x.dtype))


class StyledLayer(nn.Module):
    """Double the edge, if `up`; convolve, unless this is the first layer; add noise; LeakyReLU; AdaIN."""

    def __init__(self, before: int, after: int, width: int, *, edge: int, up: bool, first: bool = False) -> None:
        super().__init__()
        self.edge, self.up = edge, up
        self.conv = nn.Identity() if first else EqualisedConv2d(before, after, 3)
        self.strength = nn.Parameter(torch.zeros(after, 1, 1))
        """How much of the noise each map receives; learnt, 0 at the start."""
        self.adain = AdaIN(after, width)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        if self.up:  # smoothly: the paper's configuration B; pixels drawn four times leave a grid in flat places
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        x = self.conv(x)
        return self.adain(F.leaky_relu(x + self.strength * noise, SLOPE), w)


class StyleGenerator(nn.Module):
    """z (N, Z) -> pictures (N, C, 32, 32)."""

    mean_w: Tensor

    def __init__(
        self, *, latent: int = 64, width: int = 64, channels: int = 3, maps: Sequence[int] = MAPS, depth: int = 4,
        mixing: float = 0.9,
    ) -> None:  # fmt: skip
        """depth: layers of the mapping network; mixing: share of training pictures whose layers are styled by two w."""
        super().__init__()
        self.latent, self.mixing = latent, mixing
        widths = [latent, *[width] * depth]
        self.mapping = nn.ModuleList(EqualisedLinear(a, b, rate=0.01) for a, b in pairwise(widths))
        self.constant = nn.Parameter(torch.ones(1, maps[0], 4, 4))
        layers, before = [], maps[0]
        for i, after in enumerate(maps):
            edge = 4 * 2**i
            layers += [
                StyledLayer(before, after, width, edge=edge, up=i > 0, first=i == 0),
                StyledLayer(after, after, width, edge=edge, up=False),
            ]
            before = after
        self.layers = nn.ModuleList(layers)
        self.to_rgb = EqualisedConv2d(before, channels, 1, gain=1.0)
        self.register_buffer("mean_w", torch.zeros(width))
        own = runtime.generator(0)
        for i, layer in enumerate(layers):  # in eval mode the noise is always this one
            self.register_buffer(f"noise{i}", torch.randn(1, 1, layer.edge, layer.edge, generator=own))

    def map(self, z: Tensor) -> Tensor:
        """z (N, Z) -> w (N, W). The length of z says nothing: it is normalised first."""
        w = pixel_norm(z)
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), SLOPE)
        return w

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """w' = mean + psi (w - mean): psi = 1 leaves w alone, psi = 0 makes every picture the mean one (appendix B)."""
        return self.mean_w.to(w.dtype).expand_as(w).lerp(w, psi)

    def mix(self, first: Tensor, second: Tensor, *, from_layer: int) -> Tensor:
        """w of `first` (N, W) for the layers below `from_layer`, of `second` from there on: (N, L, W) (section 3.1)."""
        if not 0 <= from_layer <= len(self.layers):
            raise InputError.of(
                "`from_layer`",
                got=from_layer,
                expected=f"from 0 to {len(self.layers)}",
                do="Count layers from the coarsest, 0.",
            )
        later = torch.arange(len(self.layers), device=first.device) >= from_layer
        return torch.where(later[:, None], second[:, None], first[:, None])

    def synthesise(self, w: Tensor, *, noise: torch.Generator | float | None = None) -> Tensor:
        """Pictures from w, (N, W) or (N, L, W). Noise: fresh from a generator; scaled by a number; None: the fixed one."""
        if w.ndim == 2:
            w = w[:, None].expand(-1, len(self.layers), -1)
        x = self.constant.expand(len(w), -1, -1, -1)
        for i, layer in enumerate(self.layers):
            x = layer(x, w[:, i], self._noise(i, len(w), noise))
        return self.to_rgb(x)

    def _noise(self, i: int, n: int, wish: torch.Generator | float | None) -> Tensor:
        fixed: Tensor = getattr(self, f"noise{i}")
        if isinstance(wish, torch.Generator):
            return torch.randn(n, *fixed.shape[1:], generator=wish, device=fixed.device)
        if self.training and wish is None:  # from torch's own generator, as dropout does
            return torch.randn(n, *fixed.shape[1:], device=fixed.device)
        return fixed if wish is None else fixed * wish

    def forward(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        """In train mode: fresh noise, mixed styles, and the mean of w is followed. In eval mode none of these."""
        w = self.map(z)
        if not self.training:
            return self.synthesise(w if psi == 1 else self.truncate(w, psi))
        with torch.no_grad():
            self.mean_w.lerp_(w.detach().float().mean(0), 1 - MEAN_DECAY)
        L = len(self.layers)
        cross = torch.randint(1, L, (len(z), 1, 1), device=z.device)
        cross = torch.where(torch.rand(len(z), 1, 1, device=z.device) < self.mixing, cross, L)
        second = torch.arange(L, device=z.device)[:, None] >= cross  # (N, L, 1)
        return self.synthesise(torch.where(second, w.roll(1, 0)[:, None], w[:, None]))


def deviation_of_noise(G: StyleGenerator, w: Tensor, *, draws: int = 16, seed: int = 0) -> Tensor:
    """(N, 32, 32): standard deviation of each pixel over fresh noise, w (N, W) held; what noise alone decides (figure 5)."""
    own = runtime.generator(seed, device=w.device)
    return torch.stack([G.synthesise(w, noise=own) for _ in range(draws)]).std(0).mean(1)


def load_style(*, data: Path | None = None) -> StyleGenerator:
    """The shipped generator of birds at 32 pixels (benchmarks/train_larger.py), in eval mode, its weights frozen."""
    with runtime.seeded(0):
        net = StyleGenerator()
    shipped.load("larger/birds_style", net, data=data)
    return net
