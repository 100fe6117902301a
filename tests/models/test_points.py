"""Networks for points: shapes, statistics of a batch, the Lipschitz bound, noise."""

from __future__ import annotations

import pytest
import torch

from coursekit.models.points import Noise, PointAutoencoder, PointCritic, PointGenerator, mean_distance
from coursekit.runtime import generator, seeded

X = torch.randn(9, 2, generator=generator(0))


def test_shapes_and_conditions_that_are_not_read() -> None:
    labels = torch.zeros(9, 1, dtype=torch.int64)
    assert PointGenerator(latent=5)(torch.randn(9, 5, generator=generator(1))).shape == (9, 2)
    assert PointCritic()(X).shape == (9,) == PointAutoencoder()(X).shape
    D = PointCritic(classes=8)
    assert torch.equal(D(X), D(X, labels)) and D(X).shape == (9, 9)


def test_mean_distance_by_two_loops() -> None:
    expected = [sum((a - b).norm().item() for b in X) / 8 for a in X]
    assert mean_distance(X)[:, 0].tolist() == pytest.approx(expected, rel=1e-5)


def test_mean_distance_of_equal_rows_is_nothing_and_has_a_gradient() -> None:
    x = torch.full((6, 3), 0.7, requires_grad=True)
    statistic = mean_distance(x)
    assert torch.equal(statistic.detach(), torch.zeros(6, 1))
    statistic.sum().backward()
    assert torch.equal(x.grad, torch.zeros(6, 3))  # not NaN, as a bare root at 0 would give
    assert mean_distance(X[:1]).tolist() == [[0.0]]


def test_mean_distance_moves_with_the_rows() -> None:
    order = torch.tensor([3, 1, 8, 0, 2, 7, 6, 5, 4])
    torch.testing.assert_close(mean_distance(X[order]), mean_distance(X)[order])


def test_the_statistic_lets_a_score_depend_on_the_rest_of_the_batch() -> None:
    with seeded(0):
        plain, seeing = PointCritic(), PointCritic(statistic=True)
    other = torch.cat([X[:1], 5 * X[1:]])
    torch.testing.assert_close(plain(X)[0], plain(other)[0])
    assert (seeing(X)[0] - seeing(other)[0]).abs() > 1e-3


@pytest.mark.parametrize("slope", [1.0, 20.0])
def test_spectral_normalisation_bounds_the_slope(slope: float) -> None:
    with seeded(0):
        D, free = PointCritic(spectral=True, slope=slope), PointCritic(slope=slope)
    for net in (D, free):
        for p in net.parameters():
            p.data *= 5
    with seeded(1):
        for _ in range(50):  # each forward pass in training is one step of power iteration
            D(X)
    D.eval()
    a, b = (4 * torch.rand(4000, 2, generator=generator(s)) - 2 for s in (2, 3))

    def steepest(net: PointCritic) -> float:
        with torch.no_grad():
            return ((net(a) - net(b)).abs() / (a - b).norm(dim=1)).max().item()

    assert steepest(D) <= slope * 1.001 < steepest(free)


def test_the_energy_is_the_distance_to_the_reconstruction() -> None:
    D = PointAutoencoder(code=1)
    torch.testing.assert_close(D(X), (D.reconstruct(X) - X).square().sum(1).sqrt())
    assert D.encode(X).shape == (9, 1)


def test_noise_is_for_training() -> None:
    layer, x = Noise(0.3), torch.zeros(20_000)
    with seeded(0):
        assert layer(x).std().item() == pytest.approx(0.3, rel=0.02)
    assert layer.eval()(x) is x
