"""The references of section 1 against sampling, scipy's divergence, torch's losses and closed forms of densities."""

from __future__ import annotations

import math

import pytest
import scipy.integrate
import scipy.spatial.distance
import scipy.stats
import torch
from torch import Tensor, nn

from coursekit.exercises.u04_gan.known import s1_framework as known
from coursekit.exercises.u04_gan.known import s1_noise as noise
from coursekit.runtime import generator

SEEDS = range(3)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def log_ratio(x: Tensor) -> Tensor:
    """The logit of D* for data N(0, 1) and fakes N(1, 1): log p - log q."""
    return 0.5 - x


def test_game_value_of_two_gaussians_is_the_integral() -> None:
    real, fake = normal(0, 20_000), normal(1, 30_000) + 1
    value, error = known.GAME_VALUE.reference(log_ratio(real), log_ratio(fake))

    def integrand(x: float) -> float:
        p, q = scipy.stats.norm.pdf(x), scipy.stats.norm.pdf(x, loc=1)
        return p * math.log(p / (p + q)) + q * math.log(q / (p + q))

    exact = scipy.integrate.quad(integrand, -8, 9)[0]
    assert abs(float(value) - exact) < 4 * float(error)  # false alarm: 6e-5, and the seed is fixed
    assert float(error) < 0.01


def test_game_value_scatters_as_its_error_says() -> None:
    drawn = [
        known.GAME_VALUE.reference(log_ratio(normal(2 * k, 20)), log_ratio(normal(2 * k + 1, 12) + 1))
        for k in range(400)
    ]
    values, errors = torch.stack([v for v, _ in drawn]), torch.stack([e for _, e in drawn])
    # The standard deviation of 400 values is known to about 1 / sqrt(800) = 3.5 %.
    assert abs(float(values.std() / errors.square().mean().sqrt()) - 1) < 0.12


@pytest.mark.parametrize("seed", SEEDS)
def test_game_value_is_minus_torchs_cross_entropy(seed: int) -> None:
    real, fake = 60 * normal(seed, 9), 60 * normal(seed + 50, 4)
    bce = nn.BCEWithLogitsLoss()
    value, error = known.GAME_VALUE.reference(real, fake)
    torch.testing.assert_close(value, -bce(real, torch.ones_like(real)) - bce(fake, torch.zeros_like(fake)))
    each = nn.BCEWithLogitsLoss(reduction="none")
    errors = [scipy.stats.sem(each(a, torch.full_like(a, label)).numpy()) for a, label in ((real, 1.0), (fake, 0.0))]
    assert float(error) == pytest.approx(math.hypot(*errors))


@pytest.mark.parametrize("seed", SEEDS)
def test_optimal_value_is_scipys_divergence(seed: int) -> None:
    p, q = normal(seed, 7).abs(), normal(seed + 9, 7).abs()
    p[1], q[4] = 0, 0
    p[5], q[5] = 0, 0
    p, q = p / p.sum(), q / q.sum()
    best, value = known.OPTIMAL_DISCRIMINATOR.reference(p, q)
    js = scipy.spatial.distance.jensenshannon(p.numpy(), q.numpy()) ** 2  # the distance is the root
    assert float(value) == pytest.approx(2 * js - math.log(4), abs=1e-12)
    assert [best[1], best[4], best[5]] == [0, 1, 0.5]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_other_discriminator_does_better(seed: int) -> None:
    p, q = normal(seed, 5).softmax(0), normal(seed + 9, 5).softmax(0)
    best, value = known.OPTIMAL_DISCRIMINATOR.reference(p, q)
    others = torch.cat([(torch.logit(best) + 0.3 * normal(seed + 20, 2000, 5)).sigmoid(), best[None]])
    values = (p * others.log() + q * (1 - others).log()).sum(1)
    assert int(values.argmax()) == 2000
    torch.testing.assert_close(values[-1], value)


@pytest.mark.parametrize("seed", SEEDS)
def test_losses_of_p_fake_are_torchs_with_the_labels_turned(seed: int) -> None:
    real, fake = 40 * normal(seed, 6), 40 * normal(seed + 9, 4)
    d_loss, g_losses = known.LOSSES_OF_P_FAKE.reference(real, fake)
    bce = nn.BCEWithLogitsLoss()
    torch.testing.assert_close(d_loss, (bce(-real, torch.ones_like(real)) + bce(-fake, torch.zeros_like(fake))) / 2)
    each = nn.BCEWithLogitsLoss(reduction="none")
    torch.testing.assert_close(g_losses, each(-fake, torch.ones_like(fake)))


def test_the_optimum_of_the_slides_game_is_the_share_of_fakes() -> None:
    """At a place with p = 0.3 and q = 0.7 the D of the slide says 0.7: descending D's loss gets there."""
    b = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for _ in range(200):
        # At a logit of 60 on the right side the other kind costs nothing and drops out.
        to_real, _ = known.LOSSES_OF_P_FAKE.reference(b.expand(1), torch.tensor([60.0], dtype=torch.float64))
        to_fake, _ = known.LOSSES_OF_P_FAKE.reference(torch.tensor([-60.0], dtype=torch.float64), b.expand(1))
        (slope,) = torch.autograd.grad(0.3 * to_real + 0.7 * to_fake, b)
        b = (b - 4 * slope).detach().requires_grad_()
    assert float(b.detach().sigmoid()) == pytest.approx(0.7, abs=1e-6)


def test_push_forward_through_exp_is_log_normal() -> None:
    z = normal(0, 8)
    x, log_density = noise.PUSH_FORWARD.reference(torch.exp, torch.distributions.Normal(0.2, 0.7).log_prob, z)
    torch.testing.assert_close(x, z.exp())
    torch.testing.assert_close(
        log_density, torch.distributions.LogNormal(0.2, 0.7).log_prob(z.exp()), rtol=1e-6, atol=1e-6
    )


def test_push_forward_of_uniform_noise_through_a_falling_map_is_exponential() -> None:
    u = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64)
    x, log_density = noise.PUSH_FORWARD.reference(lambda z: -torch.log(z) / 2, torch.zeros_like, u)
    torch.testing.assert_close(log_density, torch.distributions.Exponential(2.0).log_prob(x), rtol=1e-6, atol=1e-6)


def test_push_forward_is_where_the_samples_are() -> None:
    """A histogram of a million images of Gaussian noise."""

    def bent(z: Tensor) -> Tensor:
        return 2 * (z + 0.5 * torch.tanh(2 * z)) + 1

    x = bent(normal(3, 1_000_000))
    z = torch.tensor([-1.0, -0.1, 0.4, 1.2], dtype=torch.float64)
    places, log_density = noise.PUSH_FORWARD.reference(bent, torch.distributions.Normal(0.0, 1.0).log_prob, z)
    counted = torch.stack([((x - place).abs() < 0.05).double().mean() / 0.1 for place in places])
    torch.testing.assert_close(log_density.exp(), counted, rtol=0.04, atol=0.0)  # 4 spreads of the smallest count
