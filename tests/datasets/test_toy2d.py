"""Points in the plane: densities against torch.distributions, change of variables by autograd, and Monte-Carlo."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from coursekit.datasets import toy2d
from coursekit.errors import InputError
from coursekit.runtime import generator

WORLDS = toy2d.WORLDS
GAUSSIANS = ("ring", "grid", "pinwheel")


def spots(n: int = 300) -> torch.Tensor:
    return (torch.rand(n, 2, generator=generator(9)) * 2.4 - 1.2).double()


def mixture(centres: torch.Tensor, sigma: float) -> MixtureSameFamily:
    parts = Independent(Normal(centres.double(), torch.tensor(sigma).double()), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(centres))), parts)


@pytest.mark.parametrize(("name", "count"), [("ring", 8), ("grid", 25), ("moons", 12), ("spiral", 16), ("pinwheel", 5)])
def test_all_modes_are_apart_and_equally_likely(name: str, count: int) -> None:
    world = WORLDS[name]
    assert world.modes().shape == (count, 2)
    assert torch.pdist(world.modes()).min() > 3 * min(torch.as_tensor(world.sigma).flatten())
    labels = world.draw(20_000, generator=generator(0)).labels[:, 0]
    shares = torch.bincount(labels, minlength=count) / 20_000
    assert (shares * count - 1).abs().max() < 5 * math.sqrt(count / 20_000)  # five standard deviations


def test_ring_and_grid_have_the_density_of_their_mixture() -> None:
    angles = torch.arange(8) * math.pi / 4
    circle = torch.stack([angles.cos(), angles.sin()], 1)
    square = torch.cartesian_prod(torch.arange(-1, 1.1, 0.5), torch.arange(-1, 1.1, 0.5))
    for name, centres in (("ring", circle), ("grid", square)):
        assert torch.allclose(WORLDS[name].log_prob(spots()), mixture(centres, 0.05).log_prob(spots()), atol=1e-4)
        near = (WORLDS[name].modes().unsqueeze(1) - centres).norm(dim=2).amin(0)
        assert near.max() < 1e-6


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_points_lie_around_their_own_mode(name: str) -> None:
    world = WORLDS[name]
    sample = world.draw(20_000, generator=generator(0))
    away = sample.x - world.modes()[sample.labels[:, 0]]
    assert away.std(0).sub(0.05).abs().max() < 0.0015  # six standard deviations of 0.05 / sqrt(2 * 20,000)
    nearest = torch.cdist(sample.x, world.modes()).argmin(1)
    assert (nearest == sample.labels[:, 0]).float().mean() > 0.999


def test_pinwheel_is_a_twist_of_gaussians_that_keeps_areas() -> None:
    """The density at the image of a point is that of the point over the Jacobian, which autograd says is 1."""
    world = WORLDS["pinwheel"]
    plain = spots(60) * 0.7

    def twisted(p: torch.Tensor) -> torch.Tensor:
        c, s = torch.cos(1.6 * p.norm()), torch.sin(1.6 * p.norm())
        return torch.stack([p[0] * c - p[1] * s, p[0] * s + p[1] * c])

    jacobians = torch.stack([torch.autograd.functional.jacobian(twisted, p) for p in plain])
    assert (torch.linalg.det(jacobians) - 1).abs().max() < 1e-9
    blades = []
    for k in range(5):
        angle = torch.tensor(k * 2 * math.pi / 5).double()
        turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
        spread = turn @ torch.diag(torch.tensor([0.16, 0.05]).double() ** 2) @ turn.T
        centre = turn @ torch.tensor([0.6, 0.0]).double()
        blades.append(torch.distributions.MultivariateNormal(centre, spread).log_prob(plain))
    expected = torch.logsumexp(torch.stack(blades), 0) - math.log(5)
    assert torch.allclose(world.log_prob(torch.stack([twisted(p) for p in plain])), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["moons", "spiral"])
def test_along_curves_the_density_is_the_mean_over_the_curve(name: str) -> None:
    """Monte-Carlo over 40,000 points of the skeleton: standard errors, and five of them allowed."""
    world = WORLDS[name]
    piece = torch.randint(0, world.pieces, (40_000,), generator=generator(1))
    skeleton = world.curve(piece, torch.rand(40_000, generator=generator(2))).double()
    x = world.draw(40, generator=generator(3)).x.double()
    each = (
        Independent(Normal(skeleton.unsqueeze(0), torch.tensor(world.sigma).double()), 1).log_prob(x.unsqueeze(1)).exp()
    )
    density = world.log_prob(x).exp()
    assert ((density - each.mean(1)) / (each.std(1) / 200)).abs().max() < 5


@pytest.mark.parametrize("name", WORLDS)
def test_the_density_is_one_and_that_of_the_samples(name: str) -> None:
    """Its integral, and its entropy by grid and by sample."""
    world = WORLDS[name]
    t = torch.linspace(-1.4, 1.4, 101, dtype=torch.float64)  # finer than every sigma
    log_p = world.log_prob(torch.cartesian_prod(t, t))
    cell = float(t[1] - t[0]) ** 2
    assert float(log_p.exp().sum()) * cell == pytest.approx(1, abs=2e-3)
    entropy = -float((log_p.exp() * log_p).sum()) * cell
    told = -world.log_prob(world.draw(4000, generator=generator(0)).x)
    assert float(told.mean()) == pytest.approx(entropy, abs=5 * float(told.std()) / math.sqrt(4000) + 0.01)


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("x", [torch.zeros(3), torch.zeros(2, 3), torch.zeros(2, 2, dtype=torch.int64), [[0.0, 0.0]]])
def test_points_of_another_shape_are_refused(name: str, x) -> None:
    with pytest.raises(InputError, match=r"^`x`: got .*, expected points \(N, 2\), float\. Pass"):
        WORLDS[name].log_prob(x)
