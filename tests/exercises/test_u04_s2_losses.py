"""The references of section 2 against autograd in float64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises.u04_gan.known import s2_losses as known
from coursekit.runtime import generator

SEEDS = range(3)


def logits(seed: int, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(6, generator=generator(seed), dtype=torch.float64)


def slopes(a: Tensor) -> Tensor:
    """By autograd, from torch's own cross entropy: minimax is minus that with the label 0, non-saturating that with 1."""
    a = a.clone().requires_grad_()
    bce = nn.BCEWithLogitsLoss(reduction="sum")
    losses = [-bce(a, torch.zeros_like(a)), bce(a, torch.ones_like(a)), -a.exp().sum()]
    return torch.stack([torch.autograd.grad(loss, a)[0] for loss in losses])


@pytest.mark.parametrize("seed", SEEDS)
def test_slopes_are_autograds(seed: int) -> None:
    torch.testing.assert_close(known.GENERATOR_SLOPES.reference(logits(seed)), slopes(logits(seed)))


def test_slopes_at_the_tables_places() -> None:
    found = known.GENERATOR_SLOPES.reference(torch.tensor([-5.0, 0.0, 5.0], dtype=torch.float64))
    assert [round(v, 4) for v in found[0].tolist()] == [-0.0067, -0.5, -0.9933]
    assert [round(v, 4) for v in found[1].tolist()] == [-0.9933, -0.5, -0.0067]
    assert found[2].tolist() == pytest.approx([-math.exp(-5), -1, -math.exp(5)])


def test_slopes_far_out_are_those_of_float64() -> None:
    far = torch.tensor([44.5, -46.0])
    exact = [[-1.0, -math.exp(-46)], [-math.exp(-44.5), -1.0], [-math.exp(44.5), -math.exp(-46)]]
    torch.testing.assert_close(known.GENERATOR_SLOPES.reference(far), torch.tensor(exact), rtol=1e-5, atol=0.0)


def test_maximum_likelihood_is_what_row_2_descends() -> None:
    """With D = D*, the expectation over fakes of -exp(a) has the gradient of KL(data || fakes) (Goodfellow 2016, 8.3)."""
    p = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    theta = torch.tensor([0.3, -0.4, 0.1], dtype=torch.float64, requires_grad=True)
    q = theta.softmax(0)
    (exact,) = torch.autograd.grad((p * (p / q).log()).sum(), theta)
    # Each fake's loss f(a) reaches theta through its probability: sum_k f(a_k) dq_k/dtheta.
    q = theta.softmax(0)
    (found,) = torch.autograd.grad((q * -(p / q).detach()).sum(), theta)
    torch.testing.assert_close(found, exact)


@pytest.mark.parametrize("seed", SEEDS)
def test_shares_are_slopes_over_their_sum(seed: int) -> None:
    two = slopes(logits(seed))[:2].abs()
    torch.testing.assert_close(known.GRADIENT_SHARES.reference(logits(seed)), two / two.sum(1, keepdim=True))


def test_shares_are_what_a_shared_weight_hears() -> None:
    """All fakes moved by one number: the gradient of the mean loss, fake by fake."""
    a = logits(5)
    shift = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    (each,) = torch.autograd.grad(F.softplus(-(a + shift)).mean(), shift)
    torch.testing.assert_close(known.GRADIENT_SHARES.reference(a)[1], each / each.sum())


def test_shares_beyond_what_sigma_holds() -> None:
    e = math.e
    low = known.GRADIENT_SHARES.reference(torch.tensor([-1200.0, -1201.0]))
    high = known.GRADIENT_SHARES.reference(torch.tensor([1200.0, 1201.0]))
    torch.testing.assert_close(low, torch.tensor([[e / (1 + e), 1 / (1 + e)], [0.5, 0.5]]))
    torch.testing.assert_close(high, torch.tensor([[0.5, 0.5], [e / (1 + e), 1 / (1 + e)]]))
