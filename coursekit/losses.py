"""Adversarial losses: pure functions of the discriminator's scores, one per equation.

Scores have any one shape, usually (N,) or (N, 1); a loss is their mean over all entries, in float32, to be *descended*.
A score is a logit: P(real) = sigma(score). Logarithms of sigma are written with softplus, which neither overflows nor
meets log 0: -log sigma(s) = softplus(-s) and -log(1 - sigma(s)) = softplus(s). The critics of `least_squares`, `hinge` and
`wasserstein` give scores that are no logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def minimax_d(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))): the discriminator's side of Goodfellow et al. (2014), equation 1."""
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def minimax_g(fake: Tensor) -> Tensor:
    """E log(1 - D(G(z))): the generator's side of the same equation. Its gradient vanishes where D is sure of a fake."""
    return -F.softplus(fake.float()).mean()


def non_saturating_g(fake: Tensor) -> Tensor:
    """-E log D(G(z)): the generator's loss that Goodfellow et al. (2014), section 3, train with instead."""
    return F.softplus(-fake.float()).mean()


def least_squares_d(real: Tensor, fake: Tensor) -> Tensor:
    """E (D(x) - 1)^2 / 2 + E D(G(z))^2 / 2: Mao et al. (2017), equation 9 with a = 0, b = 1."""
    return ((real.float() - 1).square().mean() + fake.float().square().mean()) / 2


def least_squares_g(fake: Tensor) -> Tensor:
    """E (D(G(z)) - 1)^2 / 2: Mao et al. (2017), equation 9 with c = 1."""
    return (fake.float() - 1).square().mean() / 2


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))): Lim and Ye (2017); Miyato et al. (2018), equation 16."""
    return torch.relu(1 - real.float()).mean() + torch.relu(1 + fake.float()).mean()


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """E D(G(z)) - E D(x): Arjovsky et al. (2017), algorithm 1. D must be kept Lipschitz by other means."""
    return fake.float().mean() - real.float().mean()


def wasserstein_g(fake: Tensor) -> Tensor:
    """-E D(G(z)): Arjovsky et al. (2017), algorithm 1; also the generator's side of `hinge_d` (Miyato et al., equation 17)."""
    return -fake.float().mean()


@dataclass(frozen=True)
class Game:
    """The two losses of an adversarial game, and how to read a score."""

    d: Callable[[Tensor, Tensor], Tensor]
    """(scores of real, scores of fake) -> what D descends."""
    g: Callable[[Tensor], Tensor]
    """(scores of fake) -> what G descends."""
    logits: bool = False
    """Whether sigma(score) is P(real)."""

    def opinion(self, score: Tensor) -> Tensor:
        """Scores -> D(x) as people plot it: P(real) where the score is a logit, else the score itself."""
        return torch.sigmoid(score.float()) if self.logits else score.float()


MINIMAX = Game(minimax_d, minimax_g, logits=True)
NON_SATURATING = Game(minimax_d, non_saturating_g, logits=True)
LEAST_SQUARES = Game(least_squares_d, least_squares_g)
HINGE = Game(hinge_d, wasserstein_g)
WASSERSTEIN = Game(wasserstein_d, wasserstein_g)
