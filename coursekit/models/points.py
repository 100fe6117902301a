"""Small networks for points of the plane: generator, critics, and an autoencoder that judges.

Shapes: noise z (N, Z), points x (N, 2), scores (N,), K classes. All are perceptrons with two or three hidden layers.
Conditions, such as labels that the loss alone uses, may come along; these networks do not read them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


def mean_distance(x: Tensor) -> Tensor:
    """(N, D) -> (N, 1): mean Euclidean distance of each row to the N - 1 others; 0 where all rows are equal.

    The simplest statistic by which D sees a batch as a whole, after the minibatch discrimination of Salimans et al.
    (2016), section 3.2 (they learn a projection, and sum exp(-L1)). Its gradient where two rows coincide is 0.
    """
    # The faster way through a matrix product is off by 1e-3 where rows nearly coincide, which is what matters here.
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.sum(1, keepdim=True) / max(1, len(x) - 1)


class Noise(nn.Module):
    """Adds N(0, std^2) in training, nothing in eval mode: instance noise (Arjovsky & Bottou 2017, section 3)."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training and self.std else x


class PointGenerator(nn.Module):
    """z (N, Z) -> points (N, 2), unbounded."""

    def __init__(self, *, latent: int = 2, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        self.layers = perceptron(latent, 2, width, depth, nn.ReLU())

    def forward(self, z: Tensor, *conditions: Tensor) -> Tensor:
        return self.layers(z)


class PointCritic(nn.Module):
    """Points (N, 2) -> scores (N,); with `classes` = K, logits (N, K+1), the last of which means "fake".

    statistic: `mean_distance` of the batch joins the input. spectral: every matrix is divided by its largest singular
    value (Miyato et al. 2018), so that the scores' slope is at most `slope`, by which they are multiplied. batch_norm: in
    every hidden layer but the first. noise: standard deviation added to the input in training.
    """

    def __init__(
        self, *, width: int = 64, depth: int = 3, classes: int = 0, statistic: bool = False, spectral: bool = False,
        slope: float = 1.0, batch_norm: bool = False, noise: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.statistic, self.slope, self.classes = statistic, slope, classes
        self.noise = Noise(noise)
        self.layers = perceptron(
            2 + statistic, classes + 1, width, depth, nn.LeakyReLU(0.2), batch_norm=batch_norm, spectral=spectral
        )

    def forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        x = self.noise(x)
        if self.statistic:
            x = torch.cat([x, mean_distance(x)], 1)
        scores = self.slope * self.layers(x)
        return scores if self.classes else scores[:, 0]


class PointAutoencoder(nn.Module):
    """Points (N, 2) -> energies (N,): the distance to what remains of a point after a code of `code` numbers.

    A code as wide as the data would let everything pass: the narrow code is what makes energy an opinion.
    """

    def __init__(self, *, width: int = 64, code: int = 1) -> None:
        super().__init__()
        self.encode = perceptron(2, code, width, 2, nn.LeakyReLU(0.2))
        self.decode = perceptron(code, 2, width, 2, nn.LeakyReLU(0.2))

    def reconstruct(self, x: Tensor) -> Tensor:
        """(N, 2) -> (N, 2)."""
        return self.decode(self.encode(x))

    def forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        return (self.reconstruct(x) - x).norm(dim=1)


def perceptron(
    ins: int, outs: int, width: int, depth: int, activation: nn.Module, *, batch_norm: bool = False, spectral: bool = False
) -> nn.Sequential:  # fmt: skip
    """`depth` hidden layers of `width`, and a linear one."""
    layers: list[nn.Module] = []
    for k in range(depth):
        layers.append(nn.Linear(width if k else ins, width))
        if batch_norm and k:
            layers.append(nn.BatchNorm1d(width))
        layers.append(activation)
    layers.append(nn.Linear(width, outs))
    return nn.Sequential(*(spectral_norm(m) if spectral and isinstance(m, nn.Linear) else m for m in layers))
