"""Adversarial losses: pure functions of the discriminator's scores, one per equation.

Scores have any one shape, usually (N,) or (N, 1); a loss is their mean over all entries, in float32, to be *descended*.
A score is a logit: P(real) = sigma(score). Logarithms of sigma are written with softplus, which neither overflows nor
meets log 0: -log sigma(s) = softplus(-s) and -log(1 - sigma(s)) = softplus(s). The critics of `least_squares`, `hinge` and
`wasserstein` give scores that are no logits; autoencoders give energies, low on real data (`energy_game`, `balanced_game`).
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


def smoothed_game(target: float) -> Game:
    """`NON_SATURATING`, but D's label for real data is `target` < 1; that for fakes stays 0.

    One-sided label smoothing: Salimans et al. (2016), section 3.4. Its best D(x) is target p / (p + q): never sure.
    """

    def smoothed_d(real: Tensor, fake: Tensor) -> Tensor:
        real = real.float()
        return (F.softplus(real) - target * real).mean() + F.softplus(fake.float()).mean()

    return Game(smoothed_d, non_saturating_g, logits=True)


def realness(logits: Tensor) -> Tensor:
    """Logits (N, K+1) of K classes and "fake" (last) -> (N,): the logit of P(real) = 1 - P(fake).

    Salimans et al. (2016), section 5: with softmax, P(real) is the sum of the K classes' shares.
    """
    logits = logits.float()
    return logits[:, :-1].logsumexp(1) - logits[:, -1]


def classes_d(real: Tensor, fake: Tensor) -> Tensor:
    """-E log P(real | x) - E log P(fake | G(z)), logits (N, K+1): the unsupervised part of Salimans et al. (2016), section 5.

    The supervised part, -log P(y | x, real), is `training.penalties.class_loss`. Their sum is the log loss of all K + 1 classes.
    """
    return minimax_d(realness(real), realness(fake))


def classes_g(fake: Tensor) -> Tensor:
    """-E log P(real | G(z)) from logits (N, K+1)."""
    return non_saturating_g(realness(fake))


@dataclass(frozen=True)
class _ClassGame(Game):
    def opinion(self, score: Tensor) -> Tensor:
        return torch.sigmoid(realness(score))


CLASSES = _ClassGame(classes_d, classes_g, logits=True)


def energy_g(fake: Tensor) -> Tensor:
    """E E(G(z)): the generator of EBGAN and of BEGAN lowers the energy of its samples."""
    return fake.float().mean()


def energy_game(margin: float) -> Game:
    """D descends E E(x) + E max(0, m - E(G(z))): EBGAN, Zhao et al. (2017), equations 1 and 2. Scores are energies >= 0."""

    def energy_d(real: Tensor, fake: Tensor) -> Tensor:
        return real.float().mean() + torch.relu(margin - fake.float()).mean()

    return Game(energy_d, energy_g)


def balanced_game(k: Callable[[], float]) -> Game:
    """D descends E E(x) - k_t E E(G(z)): BEGAN, Berthelot et al. (2017), section 3.4. `k()` is asked at every step."""

    def balanced_d(real: Tensor, fake: Tensor) -> Tensor:
        return real.float().mean() - k() * fake.float().mean()

    return Game(balanced_d, energy_g)


def next_balance(k: float, real: float, fake: float, *, gamma: float, rate: float) -> float:
    """k_{t+1} = k_t + rate (gamma E(x) - E(G(z))), kept in [0, 1]: Berthelot et al. (2017), section 3.4."""
    return min(1.0, max(0.0, k + rate * (gamma * real - fake)))
