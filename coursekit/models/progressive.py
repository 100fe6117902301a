"""Progressive growing: train at 4 x 4 pixels, add a layer, fade it in, train on (Karras et al. 2018).

::

    G, D = ProgressiveGenerator(), ProgressiveDiscriminator()      # both at 4 x 4
    G.grow(), D.grow()                                             # 8 x 8, alpha = 0: the new layers exist but do not speak yet
    G.fade(0.3), D.fade(0.3)                                       # 1 - 0.3 of the old way, 0.3 of the new one

Shapes: noise z (N, Z), pictures (N, C, edge, edge), scores (N,). All layers exist from the start, so that one optimiser holds
them; those of edges to come are not called and receive no gradient. Stage and alpha are buffers: a checkpoint, and an average of
the weights, keep them. Left out of the paper: its statistic of minibatches. The loss is the trainer's choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit.errors import InputError

MAPS = (64, 64, 48, 32)
"""Feature maps at 4, 8, 16, 32 pixels."""
SLOPE = 0.2
"""Of the LeakyReLU below 0."""


class EqualisedConv2d(nn.Module):
    """A convolution of stride 1 with weights N(0, 1), multiplied by He's constant on every call.

    Karras et al. (2018), section 4.1.
    Adam's steps have one size whatever a weight's scale. So all weights get one scale, and the layer's comes after.
    """

    def __init__(
        self, before: int, after: int, kernel: int, *, gain: float = math.sqrt(2), padding: int | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale = gain / math.sqrt(before * kernel**2)
        self.padding = kernel // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualisedLinear(nn.Module):
    """The same for a linear layer; `rate` is a factor on its learning rate (0.01 for mapping in Karras et al. 2019)."""

    def __init__(self, before: int, after: int, *, gain: float = math.sqrt(2), rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale, self.rate = rate * gain / math.sqrt(before), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


def pixel_norm(x: Tensor) -> Tensor:
    """a / sqrt(mean over the channels of a^2 + 1e-8), at each place by itself (Karras et al. 2018, section 4.2); (N, C, ...)."""
    return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-8).to(x.dtype)


def double(x: Tensor) -> Tensor:
    """Each pixel four times."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class _Growing(nn.Module):
    """What G and D share: the stage that they are at, and how far its layers are faded in."""

    stage: Tensor
    alpha: Tensor

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.stages = stages
        self.register_buffer("stage", torch.tensor(0))
        self.register_buffer("alpha", torch.tensor(1.0))

    @property
    def edge(self) -> int:
        """Edge of the pictures at this stage, in pixels."""
        return 4 * 2 ** int(self.stage)

    def grow(self) -> None:
        """Double the edge; the new layers start unheard, at alpha = 0. InputError beyond the last stage."""
        if int(self.stage) + 1 == self.stages:
            raise InputError.of(
                "grow()",
                got=f"a network at {self.edge} pixels",
                expected=f"fewer than {self.edge}",
                do="Build it with more `maps`.",
            )
        self.stage += 1
        self.fade(0.0)

    def fade(self, alpha: float) -> None:
        """Set alpha, the new layers' share of the output."""
        if not 0 <= alpha <= 1:
            raise InputError.of(
                "alpha", got=alpha, expected="from 0 to 1", do="Let it rise from 0 to 1 while training."
            )
        self.alpha.fill_(alpha)


class ProgressiveGenerator(_Growing):
    """z (N, Z) -> pictures (N, C, edge, edge), not limited to [-1, 1]: the last layer is linear, as in the paper.

    At alpha = 0 the pictures are those of the stage before, each pixel four times, to the last bit.
    """

    def __init__(self, *, latent: int = 64, channels: int = 3, maps: Sequence[int] = MAPS) -> None:
        super().__init__(len(maps))
        self.latent, self.maps = latent, tuple(maps)
        self.first = EqualisedLinear(latent, maps[0] * 16, gain=math.sqrt(2) / 4)  # the paper's gain for this layer
        convs, before = [], maps[0]
        for after in maps:
            second = EqualisedConv2d(after, after, 3)
            convs.append(nn.ModuleList([second] if not convs else [EqualisedConv2d(before, after, 3), second]))
            before = after
        self.blocks = nn.ModuleList(convs)
        self.to_rgb = nn.ModuleList(EqualisedConv2d(n, channels, 1, gain=1.0) for n in maps)

    def forward(self, z: Tensor) -> Tensor:
        h = self.first(pixel_norm(z)).view(len(z), self.maps[0], 4, 4)
        h, before = pixel_norm(F.leaky_relu(h, SLOPE)), None
        for i in range(int(self.stage) + 1):
            h, before = (h if i == 0 else double(h)), h
            for conv in self.blocks[i]:  # type: ignore[attr-defined]
                h = pixel_norm(F.leaky_relu(conv(h), SLOPE))
        new, alpha = self.to_rgb[int(self.stage)](h), float(self.alpha)
        if alpha == 1 or before is None:
            return new
        return double(self.to_rgb[int(self.stage) - 1](before)).lerp(new, alpha)


class ProgressiveDiscriminator(_Growing):
    """Pictures (N, C, edge, edge) -> scores (N,): the generator's mirror, halving by means of 2 x 2 pixels."""

    def __init__(self, *, channels: int = 3, maps: Sequence[int] = MAPS) -> None:
        super().__init__(len(maps))
        self.from_rgb = nn.ModuleList(EqualisedConv2d(channels, n, 1) for n in maps)
        rows = []
        for i, n in enumerate(maps):
            last = EqualisedConv2d(n, n, 4, padding=0) if i == 0 else EqualisedConv2d(n, maps[i - 1], 3)
            rows.append(nn.ModuleList([EqualisedConv2d(n, n, 3), last]))
        self.blocks = nn.ModuleList(rows)
        self.to_score = EqualisedLinear(maps[0], 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.edge or x.shape[-2] != self.edge:
            raise InputError.of(
                "pictures for the discriminator", got=tuple(x.shape), expected=f"edges of {self.edge} pixels at this stage",
                do="Grow both networks together, and bring the data to this edge (`reals_at`).",
            )  # fmt: skip
        top, alpha = int(self.stage), float(self.alpha)
        h = F.leaky_relu(self.from_rgb[top](x), SLOPE)
        for i in range(top, -1, -1):
            for conv in self.blocks[i]:  # type: ignore[attr-defined]
                h = F.leaky_relu(conv(h), SLOPE)
            h = F.avg_pool2d(h, 2) if i else h
            if i == top and i and alpha < 1:
                # The old way in: the picture made smaller first, read by the layer that was the first one then.
                h = F.leaky_relu(self.from_rgb[i - 1](F.avg_pool2d(x, 2)), SLOPE).lerp(h, alpha)
        return self.to_score(h.flatten(1)).squeeze(1)


def reals_at(x: Tensor, edge: int, alpha: float = 1.0) -> Tensor:
    """Real pictures (N, C, H, W) as a stage sees them: (N, C, edge, edge), each pixel the mean of what it covers.

    While a layer is faded in, the data are blurred alike (Karras et al. 2018, figure 2), lest D know them by their sharpness.
    """
    factor = x.shape[-1] // edge
    if factor < 1 or x.shape[-1] != edge * factor or x.shape[-2] != x.shape[-1]:
        raise InputError.of(
            "real pictures",
            got=tuple(x.shape),
            expected=f"square, the edge a multiple of {edge}",
            do="Render them larger.",
        )
    small = F.avg_pool2d(x, factor)
    if alpha == 1 or edge < 8:
        return small
    return double(F.avg_pool2d(small, 2)).lerp(small, alpha)
