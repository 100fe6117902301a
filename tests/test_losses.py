"""Adversarial losses against their equations, in float64 and with plain logarithms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit import losses
from coursekit.runtime import generator

REAL = 3 * torch.randn(7, generator=generator(0), dtype=torch.float64) + 1
FAKE = 3 * torch.randn(7, generator=generator(1), dtype=torch.float64) - 1


def p(score: float) -> float:
    return 1 / (1 + math.exp(-score))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def equation(name: str) -> float:
    """The papers' equations, term by term, with D = sigma(score) where they mean a probability."""
    r, f = REAL.tolist(), FAKE.tolist()
    return {
        "minimax_d": -mean([math.log(p(s)) for s in r]) - mean([math.log(1 - p(s)) for s in f]),
        "minimax_g": mean([math.log(1 - p(s)) for s in f]),
        "non_saturating_g": -mean([math.log(p(s)) for s in f]),
        "least_squares_d": 0.5 * mean([(s - 1) ** 2 for s in r]) + 0.5 * mean([s**2 for s in f]),
        "least_squares_g": 0.5 * mean([(s - 1) ** 2 for s in f]),
        "hinge_d": -mean([min(0.0, -1 + s) for s in r]) - mean([min(0.0, -1 - s) for s in f]),
        "wasserstein_d": mean(f) - mean(r),
        "wasserstein_g": -mean(f),
    }[name]


D_LOSSES = ["minimax_d", "least_squares_d", "hinge_d", "wasserstein_d"]
G_LOSSES = ["minimax_g", "non_saturating_g", "least_squares_g", "wasserstein_g"]


def value(name: str, real: Tensor, fake: Tensor) -> Tensor:
    loss = getattr(losses, name)
    return loss(real, fake) if name.endswith("_d") else loss(fake)


@pytest.mark.parametrize("name", D_LOSSES + G_LOSSES)
def test_a_loss_is_its_equation(name: str) -> None:
    assert value(name, REAL, FAKE).item() == pytest.approx(equation(name), rel=2e-6)  # computed in float32


@pytest.mark.parametrize("name", D_LOSSES + G_LOSSES)
def test_the_shape_of_the_scores_does_not_matter(name: str) -> None:
    torch.testing.assert_close(value(name, REAL.view(7, 1), FAKE.view(1, 7)), value(name, REAL, FAKE))


@pytest.mark.parametrize("name", D_LOSSES + G_LOSSES)
def test_a_batch_may_be_split_into_equal_parts(name: str) -> None:
    """What data-parallel training rests on: the mean of the parts' losses is the whole's."""
    real, fake = REAL[:6], FAKE[:6]
    parts = torch.stack([value(name, r, f) for r, f in zip(real.chunk(2), fake.chunk(2))])
    torch.testing.assert_close(parts.mean(), value(name, real, fake))


@pytest.mark.parametrize("name", D_LOSSES + G_LOSSES)
def test_extreme_scores_give_finite_losses_and_gradients(name: str) -> None:
    size = 1e15 if "least_squares" in name else 1e30  # a square of 1e60 is no float32
    for sign in (1, -1):
        real, fake = (torch.full((3,), s * size, requires_grad=True) for s in (sign, -sign))
        loss = value(name, real, fake)
        used = [real, fake] if name.endswith("_d") else [fake]
        gradients = torch.autograd.grad(loss, used)
        assert loss.isfinite() and all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("name", D_LOSSES + G_LOSSES)
def test_bfloat16_scores_are_averaged_in_float32(name: str) -> None:
    real, fake = REAL.bfloat16(), FAKE.bfloat16()
    loss = value(name, real, fake)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, value(name, real.float(), fake.float()), rtol=0, atol=0)


def test_binary_cross_entropy_agrees() -> None:
    """torch's own loss with labels one and zero: the usual way to write the same game."""
    real, fake = REAL.float(), FAKE.float()
    bce = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(losses.minimax_d(real, fake), bce(real, torch.ones(7)) + bce(fake, torch.zeros(7)))
    torch.testing.assert_close(losses.non_saturating_g(fake), bce(fake, torch.ones(7)))
    torch.testing.assert_close(losses.minimax_g(fake), -bce(fake, torch.zeros(7)))


def test_minimax_is_not_the_non_saturating_loss() -> None:
    """dL/ds: -sigma(s) saturates where D is sure (s very negative), sigma(s) - 1 is largest there."""
    s = torch.tensor([-6.0, 0.0, 6.0], requires_grad=True)
    [saturating] = torch.autograd.grad(losses.minimax_g(s), s)
    [other] = torch.autograd.grad(losses.non_saturating_g(s), s)
    expected = torch.tensor([p(-6), p(0), p(6)])
    torch.testing.assert_close(saturating * 3, -expected)
    torch.testing.assert_close(other * 3, expected - 1)
    assert saturating[0].abs() < 0.01 * other[0].abs()


def test_the_best_discriminator_of_equal_distributions_scores_two_log_two() -> None:
    zero = torch.zeros(5)
    assert losses.minimax_d(zero, zero).item() == pytest.approx(2 * math.log(2))  # Goodfellow et al., theorem 1


@pytest.mark.parametrize("game", ["MINIMAX", "NON_SATURATING", "LEAST_SQUARES", "HINGE", "WASSERSTEIN"])
def test_the_sides_of_a_game_pull_against_each_other(game: str) -> None:
    """From an undecided score D lowers that of a fake and raises that of real data; G raises that of a fake."""
    of = getattr(losses, game)
    real, fake = (torch.full((4,), 0.5, requires_grad=True) for _ in range(2))
    up, down = torch.autograd.grad(of.d(real, fake), [real, fake])
    [g] = torch.autograd.grad(of.g(fake), fake)
    assert (up < 0).all() and (down > 0).all() and (g < 0).all()


def test_an_opinion_is_a_probability_where_the_score_is_a_logit() -> None:
    s = torch.tensor([-2.0, 0.0, 3.0])
    torch.testing.assert_close(losses.NON_SATURATING.opinion(s), torch.tensor([p(-2), p(0), p(3)]))
    torch.testing.assert_close(losses.WASSERSTEIN.opinion(s), s)


def test_smoothed_labels_are_a_cross_entropy_whose_best_answer_is_the_target() -> None:
    game = losses.smoothed_game(0.9)
    expected = (
        F.binary_cross_entropy_with_logits(REAL, torch.full_like(REAL, 0.9)) - torch.log(1 - torch.sigmoid(FAKE)).mean()
    )  # fakes keep the label 0
    assert game.d(REAL, FAKE).item() == pytest.approx(expected.item(), rel=2e-6)
    best = torch.tensor([math.log(0.9 / 0.1)], requires_grad=True)
    game.d(best, torch.tensor([-100.0])).backward()
    assert best.grad.abs().item() < 1e-7
    assert game.g is losses.non_saturating_g


def test_classes_and_fake_make_one_log_loss() -> None:
    """The real-or-fake part and the class part add up to the log loss of all K + 1 classes."""
    logits = torch.randn(7, 4, generator=generator(5), dtype=torch.float64)
    fakes = torch.randn(7, 4, generator=generator(6), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 2])
    parts = losses.classes_d(logits, fakes) + F.cross_entropy(logits[:, :3], labels)
    whole = F.cross_entropy(logits, labels) + F.cross_entropy(fakes, torch.full((7,), 3))
    assert parts.item() == pytest.approx(whole.item(), rel=1e-6)
    real = 1 - fakes.softmax(1)[:, -1]
    assert losses.classes_g(fakes).item() == pytest.approx(-real.log().mean().item(), rel=1e-6)
    torch.testing.assert_close(losses.CLASSES.opinion(fakes).double(), real, rtol=1e-5, atol=1e-6)


def test_the_margin_lets_go_of_fakes_beyond_it() -> None:
    real, fake = torch.tensor([0.2, 0.4]), torch.tensor([0.1, 0.9], requires_grad=True)
    game = losses.energy_game(0.5)
    loss = game.d(real, fake)
    assert loss.item() == pytest.approx(0.3 + 0.4 / 2)
    loss.backward()
    assert fake.grad.tolist() == [-0.5, 0.0]
    assert game.g(fake.detach()).item() == pytest.approx(0.5)


def test_the_balanced_game_asks_for_k_at_every_step() -> None:
    ks = iter([0.0, 0.25])
    game = losses.balanced_game(lambda: next(ks))
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([4.0, 8.0])
    assert [game.d(real, fake).item() for _ in range(2)] == [2.0, 0.5]


@pytest.mark.parametrize(("k", "real", "fake", "expected"), [(0.3, 2, 0.5, 0.35), (0.01, 0, 1, 0.0), (0.99, 9, 0, 1.0)])
def test_the_balance_moves_towards_its_ratio_within_bounds(k: float, real: float, fake: float, expected: float) -> None:
    assert losses.next_balance(k, real, fake, gamma=0.5, rate=0.1) == pytest.approx(expected)
