"""Terms that are added to the discriminator's loss. Each is made with its weight, then called by the loop.

    train_gan(gan, batches, penalty=two_sided(10.0))

A term is a function (D, real (N, ...), fake (N, ...), *conditions) -> scalar. Where it draws, it draws from torch's global
generator, which `Run.turn` seeds at every step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit.training.gan import Penalty, Projection


def slopes(D: nn.Module, x: Tensor, *conditions: Tensor) -> Tensor:
    """Length of the gradient of D's score at each x (N, ...): (N,), differentiable by D's weights.

    One score per example is assumed, and that no example's score depends on another example (no batch norm in D).
    """
    x = x.detach().requires_grad_()
    [gradient] = torch.autograd.grad(D(x, *conditions).sum(), x, create_graph=True)
    return gradient.flatten(1).norm(dim=1)


def between(real: Tensor, fake: Tensor) -> Tensor:
    """One point (N, ...) on each line from a real to a fake example, evenly drawn."""
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    return share * real + (1 - share) * fake


def two_sided(weight: float = 10.0) -> Penalty:
    """weight E (|grad D(x^)| - 1)^2 between real and fake: WGAN-GP, Gulrajani et al. (2017), equation 3."""

    def penalty(D: nn.Module, real: Tensor, fake: Tensor, *conditions: Tensor) -> Tensor:
        return weight * (slopes(D, between(real, fake), *conditions) - 1).square().mean()

    return penalty


def r1(gamma: float) -> Penalty:
    """gamma / 2 E |grad D(x)|^2 on real data: R1, Mescheder et al. (2018), equation 9. Flat where the data are."""

    def penalty(D: nn.Module, real: Tensor, fake: Tensor, *conditions: Tensor) -> Tensor:
        return gamma / 2 * slopes(D, real, *conditions).square().mean()

    return penalty


def class_loss(weight: float = 1.0) -> Penalty:
    """weight times the log loss of the label (N, 1), among the first K of D's K + 1 logits: Salimans et al. (2016), section 5."""

    def penalty(D: nn.Module, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        return weight * F.cross_entropy(D(real, labels)[:, :-1].float(), labels[:, 0])

    return penalty


def clip(c: float) -> Projection:
    """Every weight of D back into [-c, c]: WGAN, Arjovsky et al. (2017), algorithm 1, line 7."""

    def project(D: nn.Module) -> None:
        for p in D.parameters():
            p.clamp_(-c, c)

    return project
