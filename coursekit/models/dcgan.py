"""DCGAN: a generator of transposed convolutions, a discriminator of strided ones (Radford et al. 2016).

Shapes: noise z (N, Z), pictures (N, C, size, size) in [-1, 1], scores (N,); size is 16, 32, 64, ... Width is the number of
feature maps at half the size; each further halving doubles them.

The paper goes from `width` maps at half the size to the picture in one step. `fine` > 0 puts that many maps at full size in
between, in both networks: the grain goes and small parts come out, for about two thirds more computing (61 ms a step of 32 birds
against 37 at width 32, on one core).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from coursekit import runtime, shipped
from coursekit.errors import InputError

Norm = Literal["batch", "spectral"]


class Generator(nn.Module):
    """z (N, Z) -> pictures (N, C, size, size) in [-1, 1].

    Four of the five guidelines (Radford et al., section 3): transposed convolutions for upsampling, batch norm after each layer
    but the last, ReLU inside and tanh at the end, no fully connected hidden layer: the first layer maps z to 4 x 4 cells.
    `blocks[i]` ends in the feature maps of edge 4 * 2^i.
    """

    def __init__(self, *, latent: int = 100, channels: int = 3, width: int = 64, size: int = 32, fine: int = 0) -> None:
        super().__init__()
        self.latent, self.size = latent, size
        maps = [width * 2**i for i in reversed(range(_doublings(size)))] + [fine] * (fine > 0)
        before, blocks = latent, []
        for i, after in enumerate(maps):
            up = nn.ConvTranspose2d(before, after, 4, *((2, 1) if i else (1, 0)), bias=False)
            blocks.append(nn.Sequential(up, nn.BatchNorm2d(after), nn.ReLU(inplace=True)))
            before = after
        self.blocks = nn.ModuleList(blocks)
        self.to_picture = nn.Conv2d(fine, channels, 3, 1, 1) if fine else nn.ConvTranspose2d(before, channels, 4, 2, 1)

    def features(self, z: Tensor) -> list[Tensor]:
        """The feature maps after each block: (N, maps, edge, edge), edge 4, 8, ..., size / 2; and size where some are fine."""
        h, found = z[:, :, None, None], []
        for block in self.blocks:
            h = block(h)
            found.append(h)
        return found

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.to_picture(self.features(z)[-1]))


class Discriminator(nn.Module):
    """Pictures (N, C, size, size) -> scores (N,), logits or a critic's.

    Strided convolutions, LeakyReLU of slope 0.2. norm="batch" is the paper's: batch norm in each layer but the first and the
    last. norm="spectral" divides each weight by its largest singular value instead (Miyato et al. 2018): no example then
    depends on the rest of its batch. `blocks[i]` ends in the feature maps of edge size / 2^(i+1).
    """

    def __init__(
        self, *, channels: int = 3, width: int = 64, size: int = 32, norm: Norm = "batch", fine: int = 0
    ) -> None:
        super().__init__()
        if norm not in ("batch", "spectral"):
            raise InputError.of("norm", got=norm, expected="batch or spectral", do="Pick one of these.")
        wrap: Callable[[nn.Module], nn.Module] = spectral_norm if norm == "spectral" else lambda layer: layer
        before, blocks = fine or channels, []
        for i in range(_doublings(size)):
            after, batch = width * 2**i, norm == "batch" and i > 0
            down = wrap(nn.Conv2d(before, after, 4, 2, 1, bias=not batch))
            blocks.append(
                nn.Sequential(down, nn.BatchNorm2d(after) if batch else nn.Identity(), nn.LeakyReLU(0.2, inplace=True))
            )
            before = after
        if fine:
            blocks[0] = nn.Sequential(
                wrap(nn.Conv2d(channels, fine, 3, 1, 1)), nn.LeakyReLU(0.2, inplace=True), *blocks[0]
            )
        self.blocks = nn.ModuleList(blocks)
        self.to_score = wrap(nn.Conv2d(before, 1, 4, 1, 0))

    def features(self, x: Tensor) -> list[Tensor]:
        """The feature maps after each block: (N, maps, edge, edge) with edge size / 2, ..., 4."""
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        return self.to_score(self.features(x)[-1]).flatten()


def init_dcgan(net: nn.Module, *, seed: int = 0) -> nn.Module:
    """The paper's initial weights (section 4), in place: kernels N(0, 0.02), gains of batch norm N(1, 0.02), biases 0."""
    own = runtime.generator(seed)
    with torch.no_grad():
        for layer in net.modules():  # however deeply nested
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                layer.weight.normal_(0.0, 0.02, generator=own)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.normal_(1.0, 0.02, generator=own)
            else:
                continue
            if layer.bias is not None:
                layer.bias.zero_()
    return net


def _doublings(size: int) -> int:
    doublings = round(math.log2(size / 4)) if size > 0 else 0
    if doublings < 2 or 4 * 2**doublings != size:
        raise InputError.of(
            "size", got=size, expected="16, 32, 64 or a further power of two", do="Render at one of these."
        )
    return doublings


def load_generator(name: str) -> Generator:
    """The shipped generator data/dcgan/`name`: "birds64", "faces32", "rooms32" or "digits32"; eval mode, weights fixed.

    Made by benchmarks/train_dcgan.py. Raises InputError for a name without a file, ShippedFileError for a file that is not as
    shipped.
    """
    config = shipped.row(f"dcgan/{name}")["config"]
    net = Generator(**config)
    shipped.load(f"dcgan/{name}", net)
    return net
