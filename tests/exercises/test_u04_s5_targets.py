"""The references of section 5, second half, against minimisation, torch's cross entropy and its spectral norm."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from coursekit.exercises.u04_gan.known import s5_targets as known
from coursekit.losses import least_squares_d, least_squares_g
from coursekit.runtime import generator, seeded

losses, best = (known.LEAST_SQUARES_GAME.reference[name] for name in ("least_squares_losses", "best_score"))


def test_least_squares_with_the_kits_targets_are_the_kits_losses() -> None:
    real, fake = torch.randn(6, generator=generator(0)), torch.randn(4, generator=generator(1))
    d_loss, g_loss = losses(real, fake, 0.0, 1.0, 1.0)
    torch.testing.assert_close(d_loss, least_squares_d(real, fake))
    torch.testing.assert_close(g_loss, least_squares_g(fake))


def test_best_score_is_the_bottom_of_a_scan() -> None:
    p_data, p_g = torch.tensor([0.2, 0.9, 0.0], dtype=torch.float64), torch.tensor([0.6, 0.1, 0.3], dtype=torch.float64)
    grid = torch.linspace(-2, 2, 40001, dtype=torch.float64)[:, None]
    a, b = -1.2, 0.7
    curve = p_data * (grid - b) ** 2 + p_g * (grid - a) ** 2
    torch.testing.assert_close(best(p_data, p_g, a, b), grid[curve.argmin(0), 0], atol=2e-4, rtol=0)


def test_the_slides_value_drives_fakes_to_0_and_the_mended_one_to_1() -> None:
    for g_loss, end in ((lambda s: (s**2).mean(), 0.0), (lambda s: losses(torch.ones(1), s, 0.0, 1.0, 1.0)[1], 1.0)):
        scores = torch.tensor([0.3, -0.8, 1.7], requires_grad=True)
        for _ in range(200):
            (grad,) = torch.autograd.grad(g_loss(scores), scores)
            scores = (scores - 0.5 * grad).detach().requires_grad_()
        torch.testing.assert_close(scores.detach(), torch.full((3,), end), atol=1e-4, rtol=0)


def test_labelled_loss_is_torchs_cross_entropy() -> None:
    real, fake = torch.randn(5, 4, generator=generator(2)), torch.randn(3, 4, generator=generator(3))
    labels = torch.tensor([0, 2, 1, 1, 0])
    expected = F.cross_entropy(real, labels) + F.cross_entropy(fake, torch.tensor([3, 3, 3]))
    torch.testing.assert_close(known.LABELLED_DISCRIMINATOR.reference["labelled_d_loss"](real, labels, fake), expected)


def test_realness_is_the_logit_of_what_is_left() -> None:
    logits = torch.randn(6, 4, generator=generator(4), dtype=torch.float64)
    p = 1 - logits.softmax(1)[:, -1]
    realness = known.LABELLED_DISCRIMINATOR.reference["realness"]
    torch.testing.assert_close(realness(logits), torch.logit(p))
    huge = torch.tensor([[0.0, 0.0, 1000.0], [1000.0, 1000.0, 0.0]])
    torch.testing.assert_close(realness(huge), torch.tensor([math.log(2) - 1000, 1000 + math.log(2)]))


@pytest.mark.parametrize("shape", [(4, 6), (4, 2, 3, 3)])
def test_spectral_weight_is_torchs_spectral_norm(shape) -> None:
    """torch's own parametrisation, step by step, from the same u; and the gradient of one."""
    with seeded(7):
        layer = nn.Linear(6, 4, bias=False) if len(shape) == 2 else nn.Conv2d(2, 4, 3, bias=False)
        layer = nn.utils.parametrizations.spectral_norm(layer.double(), n_power_iterations=1)
    hook, W = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    spectral_weight = known.SPECTRAL_WEIGHT.reference
    weight = layer.weight  # in train mode every look is an iteration: u' from v, then v from u'
    for _ in range(3):
        v, (ours, u) = hook._v.clone(), spectral_weight(W, hook._u)
        weight = layer.weight
        torch.testing.assert_close(u, hook._u)
        torch.testing.assert_close(ours.detach(), W.detach() / (hook._u @ W.detach().flatten(1) @ v))
    # At the singular vectors the two agree whatever the order.
    for _ in range(400):
        weight = layer.weight
        ours, u = spectral_weight(W, u)
    torch.testing.assert_close(ours, weight, rtol=1e-6, atol=1e-8)
    scale = torch.linspace(-1, 2, W.numel(), dtype=torch.float64).reshape(W.shape)
    mine, theirs = (torch.autograd.grad((w * scale).sum(), W)[0] for w in (ours, weight))
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-8)


def test_sigma_becomes_the_largest_singular_value_and_its_gradient_exact() -> None:
    W = torch.randn(4, 6, generator=generator(5), dtype=torch.float64)
    u = F.normalize(torch.ones(4, dtype=torch.float64), dim=0)
    for _ in range(500):
        W_bar, u = known.SPECTRAL_WEIGHT.reference(W, u)
    assert torch.linalg.matrix_norm(W_bar, 2).item() == pytest.approx(1.0, rel=1e-6)
    W.requires_grad_()
    scale = torch.linspace(-1, 2, 24, dtype=torch.float64).reshape(4, 6)
    (mine,) = torch.autograd.grad((known.SPECTRAL_WEIGHT.reference(W, u)[0] * scale).sum(), W)
    (exact,) = torch.autograd.grad((W / torch.linalg.matrix_norm(W, 2) * scale).sum(), W)
    torch.testing.assert_close(mine, exact, rtol=1e-5, atol=1e-7)
