"""Networks that are told what to draw: conditions join the noise in G, and the pictures in D.

::

    G = ConditionalGenerator(latent=32, condition=10)
    D = ConditionalDiscriminator(condition=10, how="concatenate")
    c = F.one_hot(labels, 10).float()
    D(G(z, c), c)                               # scores: is it real, *and* does it belong to c?

Shapes: noise z (N, Z), conditions c (N, K) float32 (one-hot labels, several of them side by side, or codes), pictures
(N, C, size, size) in [-1, 1], scores (N,), a critic's. `size` is 4 to 7 times a power of two: 28, for example, or 32.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from coursekit import shipped
from coursekit.errors import InputError

How = Literal["concatenate", "project", "ignore"]


class ConditionalGenerator(nn.Module):
    """z (N, Z), c (N, K) -> pictures (N, C, size, size) in [-1, 1]; G(z|y) of Mirza and Osindero (2014), figure 1.

    Noise and condition side by side are the input of one linear layer, whose output is the coarsest map. To that layer a one-hot
    c is a choice of bias: a vector for each class, with nothing in common between two of them. `gain` multiplies c: loud
    conditions are heard first.
    """

    def __init__(
        self, *, latent: int, condition: int, channels: int = 1, width: int = 16, size: int = 28, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.latent, self.condition, self.gain = latent, condition, gain
        self.edge, doublings = _coarsest(size)
        maps = [width * 2**i for i in reversed(range(doublings))]
        self.maps = maps[0]
        self.first = nn.Linear(latent + condition, maps[0] * self.edge**2, bias=False)
        blocks: list[nn.Module] = [nn.BatchNorm2d(maps[0]), nn.ReLU(inplace=True)]
        for before, after in pairwise(maps):
            up = nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)
            blocks += [up, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.blocks = nn.Sequential(*blocks)
        self.to_picture = nn.ConvTranspose2d(maps[-1], channels, 4, 2, 1)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        h = self.first(torch.cat([z, self.gain * c], 1)).view(len(z), self.maps, self.edge, self.edge)
        return torch.tanh(self.to_picture(self.blocks(h)))


class _Body(nn.Module):
    """Pictures -> phi (N, features): strided convolutions with spectral norm (Miyato et al. 2018), LeakyReLU of slope 0.2."""

    def __init__(self, *, channels: int, width: int, size: int) -> None:
        super().__init__()
        edge, doublings = _coarsest(size)
        layers: list[nn.Module] = []
        before = channels
        for i in range(doublings):
            layers += [spectral_norm(nn.Conv2d(before, width * 2**i, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True)]
            before = width * 2**i
        layers += [spectral_norm(nn.Conv2d(before, 2 * before, 3, 2, 1)), nn.LeakyReLU(0.2, inplace=True), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        self.features = 2 * before * ((edge + 1) // 2) ** 2

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ConditionalDiscriminator(nn.Module):
    """Pictures (N, C, size, size), c (N, K) -> scores (N,).

    how="concatenate": each entry of c becomes a constant map beside the picture's channels (Mirza and Osindero 2014, with
    convolutions). how="project": psi(phi(x)) + <V c, phi(x)>, Miyato and Koyama (2018), equation 3.
    how="ignore": c is not looked at.
    """

    def __init__(
        self, *, condition: int, how: How = "concatenate", channels: int = 1, width: int = 16, size: int = 28
    ) -> None:
        super().__init__()
        if how not in ("concatenate", "project", "ignore"):
            raise InputError.of("how", got=how, expected="concatenate, project or ignore", do="Pick one of these.")
        self.how = how
        self.body = _Body(channels=channels + condition * (how == "concatenate"), width=width, size=size)
        self.plain = spectral_norm(nn.Linear(self.body.features, 1))
        if how == "project":
            # Without the paper's spectral norm: in a few hundred steps V must be free to grow.
            self.of_condition = nn.Linear(condition, self.body.features, bias=False)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        if self.how == "concatenate":
            maps = c[:, :, None, None].expand(-1, -1, *x.shape[2:])
            x = torch.cat([x, maps.to(x.dtype)], 1)
        phi = self.body(x)
        score = self.plain(phi).squeeze(1)
        if self.how == "project":
            score = score + (self.of_condition(c) * phi).sum(1)
        return score


class Reading(NamedTuple):
    """What a second head reads from pictures: Q(c|x)."""

    log_p: Tensor
    """(N, K) log probabilities of the categories."""
    mean: Tensor
    """(N, U) of the continuous codes."""
    logvar: Tensor
    """(N, U) log variances."""

    def log_likelihood(self, c: Tensor) -> Tensor:
        """(N, 2) nats: log Q of the category and of the continuous codes of c (N, K + U), the one-hot category first.

        Their sum is log Q(c|x); what there is none of has 0.
        """
        category, rest = c.split([self.log_p.shape[1], self.mean.shape[1]], 1)
        squares = (rest - self.mean).square() / self.logvar.exp()
        density = -0.5 * (squares + self.logvar + math.log(2 * math.pi))
        return torch.stack([(category * self.log_p).sum(1), density.sum(1)], 1)


class AuxiliaryDiscriminator(nn.Module):
    """Pictures (N, C, size, size), c (N, K + U) -> (N, 3): the score, and by a second head log Q of category and of codes.

    With c a label (U = 0) it is the discriminator of AC-GAN (Odena et al. 2017). With c a code that G was given it is D and Q of
    InfoGAN (Chen et al. 2016, section 5). The score knows nothing of c. `training.conditional.auxiliary_game` makes losses of
    the three columns.
    """

    def __init__(
        self, *, categories: int, continuous: int = 0, channels: int = 1, width: int = 16, size: int = 28, hidden: int = 64
    ) -> None:  # fmt: skip
        super().__init__()
        self.categories, self.continuous = categories, continuous
        self.body = _Body(channels=channels, width=width, size=size)
        self.plain = spectral_norm(nn.Linear(self.body.features, 1))
        self.second = nn.Sequential(
            nn.Linear(self.body.features, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, categories + 2 * continuous)
        )

    def read(self, x: Tensor) -> Reading:
        """Q(c|x) of pictures (N, C, size, size)."""
        return self._reading(self.body(x))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        phi = self.body(x)
        return torch.cat([self.plain(phi).float(), self._reading(phi).log_likelihood(c)], 1)

    def _reading(self, phi: Tensor) -> Reading:
        logits, mean, logvar = self.second(phi).float().split([self.categories, self.continuous, self.continuous], 1)
        # A variance of nearly 0 would let one surprise outweigh the rest of the batch: deviations stay within 0.22 to 2.7.
        return Reading(F.log_softmax(logits, 1), mean, logvar.clamp(-3, 2))


def load_cgan(*, data: Path | None = None) -> ConditionalGenerator:
    """The shipped generator of upright digits with one-hot labels (benchmarks/train_conditional.py), eval mode, weights fixed."""
    G = ConditionalGenerator(**shipped.row("conditional/cgan", data)["config"]["generator"])
    shipped.load("conditional/cgan", G, data=data)
    return G


def load_infogan(*, data: Path | None = None) -> tuple[ConditionalGenerator, AuxiliaryDiscriminator]:
    """The shipped InfoGAN: its generator and its D, whose `read` is Q; eval mode, weights fixed."""
    about = shipped.row("conditional/infogan", data)["config"]
    G, D = ConditionalGenerator(**about["generator"]), AuxiliaryDiscriminator(**about["discriminator"])
    shipped.load("conditional/infogan", nn.ModuleDict({"generator": G, "discriminator": D}), data=data)
    return G, D


def _coarsest(size: int) -> tuple[int, int]:
    """The edge of the coarsest map, 4 to 7, and how often it is doubled."""
    edge, doublings = size, 0
    while edge > 7 and edge % 2 == 0:
        edge, doublings = edge // 2, doublings + 1
    if not 4 <= edge <= 7 or doublings < 1:
        raise InputError.of("size", got=size, expected="4 to 7 times a power of two, at least 8", do="Try 28 or 32.")
    return edge, doublings
