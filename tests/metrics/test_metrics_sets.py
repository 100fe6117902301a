"""Distances between sets, against closed forms, Monte-Carlo and other libraries."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from coursekit import metrics
from coursekit.errors import InputError
from coursekit.metrics import sets
from coursekit.runtime import generator


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def covariance(d: int, seed: int) -> Tensor:
    root = normal(d, d, seed)
    return root @ root.T / d


# ---------------------------------------------------------------- Frechet distance


def test_frechet_distance_of_gaussians_with_diagonal_covariances() -> None:
    """There the distance is that of the means and of the standard deviations: |m - n|^2 + |s - t|^2."""
    m, n = normal(2, 5, 0)
    s, t = normal(2, 5, 1).abs()
    got = metrics.gaussian_frechet(m, s.square().diag(), n, t.square().diag())
    torch.testing.assert_close(got, (m - n).square().sum() + (s - t).square().sum())


def test_frechet_distance_of_gaussians_with_any_covariances() -> None:
    """Covariances that do not commute, against scipy's matrix square root."""
    one, other = covariance(6, 2), covariance(6, 3)
    assert not torch.allclose(one @ other, other @ one, atol=0.01)
    root = torch.from_numpy(sqrtm((one @ other).numpy()).real)
    zero = torch.zeros(6)
    torch.testing.assert_close(metrics.gaussian_frechet(zero, one, zero, other), (one + other - 2 * root).trace())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_frechet_distance_of_sets_is_that_of_their_gaussians(dtype: torch.dtype) -> None:
    """torchmetrics takes eigenvalues of S T, which is not symmetric; the closed form takes those of a symmetric matrix."""
    real, fake = (normal(300, 8, 4) @ covariance(8, 5)).to(dtype), (normal(200, 8, 6) + 3).to(dtype)
    expected = metrics.gaussian_frechet(real.mean(0), real.double().T.cov(), fake.mean(0), fake.double().T.cov())
    assert metrics.frechet_distance(real, fake) == pytest.approx(float(expected), rel=1e-6)


def test_frechet_distance_of_equal_sets_is_0() -> None:
    x = normal(100, 6, 7)
    assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_distance(x, x + 2) == pytest.approx(6 * 4)


def test_frechet_distance_falls_as_fast_as_the_docstring_says() -> None:
    """Two sets of one distribution: half as much at twice the N. Over 12 repetitions the ratio was 2.08 +- 0.16."""
    small, large = (
        [metrics.frechet_distance(*normal(2 * n, 16, 8 + s).split(n)) for s in range(4)] for n in (400, 800)
    )
    assert sum(small) / sum(large) == pytest.approx(2, abs=4 * 0.16)


# ---------------------------------------------------------------- kernel distance


def test_mmd2_is_what_it_says_pair_by_pair() -> None:
    x, y = normal(5, 3, 10), normal(4, 3, 11) + 1

    def k(a: Tensor, b: Tensor) -> float:
        return (float(a @ b) / 3 + 1) ** 3

    xx = [k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    yy = [k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    xy = [k(a, b) for a in x for b in y]
    expected = sum(xx) / len(xx) + sum(yy) / len(yy) - 2 * sum(xy) / len(xy)
    assert metrics.mmd2(x, y) == pytest.approx(expected)


def test_mmd2_of_two_gaussians_on_a_line() -> None:
    """(xy + 1)^3 compares the first three moments: sum over j of C(3, j) (E x^j - E y^j)^2.

    N(0, 1) and N(a, 1): moments 0, 1, 0 and a, 1 + a^2, a^3 + 3a. Over 200 draws the mean must lie within 5 standard errors.
    """
    a = 0.7
    truth = 3 * a**2 + 3 * a**4 + (a**3 + 3 * a) ** 2
    got = torch.tensor([metrics.mmd2(normal(60, 1, 100 + s), normal(60, 1, 900 + s) + a) for s in range(200)])
    assert abs(float(got.mean()) - truth) < 5 * float(got.std()) / math.sqrt(200)


def test_kid_over_whole_sets_is_mmd2() -> None:
    x, y = normal(50, 7, 12), normal(50, 7, 13) + 0.5
    got = metrics.kid(x, y, subsets=2)
    assert got.mean == pytest.approx(metrics.mmd2(x, y))
    assert got.spread == pytest.approx(0, abs=1e-12)


def test_kid_of_one_distribution_is_0_give_or_take() -> None:
    """Unbiased: both signs occur among seeds, and the mean over 12 seeds is within 4 standard errors of 0."""
    got = torch.tensor(
        [metrics.kid(normal(300, 16, 20 + s), normal(300, 16, 60 + s), subset_size=100).mean for s in range(12)]
    )
    assert got.min() < 0 < got.max()
    assert abs(float(got.mean())) < 4 * float(got.std()) / math.sqrt(12)
    apart = metrics.kid(normal(300, 16, 20), normal(300, 16, 60) + 0.5, subset_size=100)
    assert apart.mean > 10 * float(got.std()) and apart.spread > 0


def test_kid_keeps_the_global_generator() -> None:
    x, y = normal(40, 3, 14), normal(40, 3, 15)
    before = torch.get_rng_state()
    assert metrics.kid(x, y, subset_size=20) == metrics.kid(x, y, subset_size=20)
    assert metrics.kid(x, y, subset_size=20) != metrics.kid(x, y, subset_size=20, seed=1)
    assert torch.equal(before, torch.get_rng_state())


# ---------------------------------------------------------------- precision and recall, density and coverage


def test_precision_and_recall_of_shifted_boxes() -> None:
    """Unit squares, the second shifted by 0.3 along one side: 0.7 of each lies in the other.

    Over 20 seeds at N = 2,000: 0.70 +- 0.014; the balls reach a little beyond the box and leave small gaps.
    """
    real = torch.rand(2000, 2, generator=generator(30))
    fake = torch.rand(2000, 2, generator=generator(31)) + torch.tensor([0.3, 0.0])
    got = metrics.precision_recall(real, fake)
    assert got.precision == pytest.approx(0.7, abs=0.06) and got.recall == pytest.approx(0.7, abs=0.06)


def test_precision_and_recall_are_not_the_same() -> None:
    """A quarter of the square, well drawn: nearly full precision, a quarter of recall; and the reverse.

    Over 20 seeds: precision 0.98 +- 0.007, recall 0.256 +- 0.014.
    """
    real = torch.rand(2000, 2, generator=generator(32))
    part = torch.rand(2000, 2, generator=generator(33)) / 2
    narrow, wide = metrics.precision_recall(real, part), metrics.precision_recall(part, real)
    assert narrow.precision > 0.95 and narrow.recall == pytest.approx(0.25, abs=0.06)
    assert (wide.precision, wide.recall) == (narrow.recall, narrow.precision)


def test_radius_is_to_the_kth_other_point() -> None:
    """Points 0, 1, 3, 7 on a line, k = 2: radii 3, 2, 3, 6."""
    line = torch.tensor([[0.0], [1], [3], [7]])
    assert sets._radii(line.double(), 2).tolist() == [3, 2, 3, 6]
    got = metrics.precision_recall(line, torch.tensor([[-3.0], [-3.5], [13.0]]), k=2)
    assert got.precision == pytest.approx(2 / 3)  # -3 is in the ball of 0, 13 in that of 7, -3.5 in none
    assert got.recall == pytest.approx(4 / 4)  # their balls reach 16, 16.5 and 16.5 far


def test_density_and_coverage_of_one_distribution() -> None:
    """Naeem et al. 2020, section 4: 1, and 1 - 1/2^k. Over 20 seeds: 1.00 +- 0.015, 0.968 +- 0.005 (k = 5)."""
    x, y = normal(4000, 4, 34).split(2000)
    got = metrics.density_coverage(x, y)
    assert got.density == pytest.approx(1, abs=0.06) and got.coverage == pytest.approx(1 - 2**-5, abs=0.02)
    far = metrics.density_coverage(x, y + 100)
    assert (far.density, far.coverage) == (0, 0)


def test_an_outlier_spoils_precision_but_not_density() -> None:
    real = torch.cat([normal(500, 2, 35), torch.tensor([[50.0, 0.0]], dtype=torch.float64)])
    fake = normal(500, 2, 36) * 0.1 + torch.tensor([30.0, 0.0], dtype=torch.float64)
    assert metrics.precision_recall(real, fake).precision > 0.99
    assert metrics.density_coverage(real, fake).density == pytest.approx(
        1 / 5
    )  # one ball of the five that would be due


# ---------------------------------------------------------------- one set, and copies


def test_diversity_of_known_sets() -> None:
    assert metrics.diversity(torch.eye(6)) == pytest.approx(math.sqrt(2))
    assert metrics.diversity(torch.ones(5, 3)) == 0
    # E|x - y| of N(0, I) in 4 dimensions is 2 G(5/2) / G(2) = 2.659; over 10 seeds 2.655 +- 0.027.
    assert metrics.diversity(normal(1000, 4, 40)) == pytest.approx(2 * math.gamma(2.5) / math.gamma(2), abs=0.11)


def test_nearest_agrees_with_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """With blocks of 7 rows, so that several are needed and the last is short."""
    monkeypatch.setattr(sets, "_ROWS", 7)
    x, among = normal(25, 30, 41), normal(40, 30, 42)
    distance, index = metrics.nearest(x, among)
    expected = NearestNeighbors(n_neighbors=2).fit(among.numpy())
    values, ids = expected.kneighbors(x.numpy())
    torch.testing.assert_close(distance, torch.from_numpy(values[:, 0]))
    assert index.tolist() == ids[:, 0].tolist()
    values, ids = expected.kneighbors(among.numpy())
    distance, index = metrics.nearest(among, among, itself=True)
    torch.testing.assert_close(distance, torch.from_numpy(values[:, 1]))
    assert index.tolist() == ids[:, 1].tolist()


def test_memorisation_tells_copies_from_fresh_samples() -> None:
    """Pictures 1 x 4 x 4 of noise. Fresh ones, over 20 seeds: no share, ratio 0.998 +- 0.007."""
    training, fresh = torch.rand(800, 1, 4, 4, generator=generator(43)).split(400)
    honest = metrics.memorisation(fresh, training)
    assert honest.share == 0 and honest.ratio == pytest.approx(1, abs=0.03)
    copies = metrics.memorisation(training[:100] + 1e-3, training)
    assert copies.share == 1 and copies.ratio < 0.01
    half = metrics.memorisation(torch.cat([training[:100], fresh[:300]]), training)
    assert half.share == 0.25


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("measure", [metrics.frechet_distance, metrics.kid, metrics.mmd2, metrics.precision_recall])
def test_what_cannot_be_measured_is_refused(measure) -> None:  # type: ignore[no-untyped-def]
    x = normal(20, 3, 44)
    for bad in (x[:1], x[:, 0], torch.full_like(x, math.nan), normal(20, 4, 45)):
        with pytest.raises(InputError, match="set"):
            measure(x, bad)
