"""Measures of sets of vectors (N, D), such as an oracle's features of real and of generated pictures.

All are computed in float64 on the CPU: the differences of large sums decide them. Pictures (N, C, H, W) are taken as vectors of
their pixels. Both sets must come from the same network, and be compared at equal N: most of these measures have a bias
that depends on it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from coursekit.errors import InputError
from coursekit.runtime import seeded

_ROWS = 1024  # of a matrix of distances at a time


def gaussian_frechet(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> Tensor:
    """|m - n|^2 + tr(S + T - 2 (S^1/2 T S^1/2)^1/2): squared Frechet distance of two Gaussians.

    Means (D,), covariances (D, D), symmetric and positive semidefinite. Source: Dowson and Landau 1982.
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    # The middle matrix is symmetric, so that its eigenvalues are real: those of S T need not be, numerically.
    middle = torch.linalg.eigvalsh(root @ other_covariance.double() @ root).clamp(min=0).sqrt().sum()
    apart = (mean.double() - other_mean.double()).square().sum()
    return apart + covariance.double().trace() + other_covariance.double().trace() - 2 * middle


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Squared Frechet distance of the Gaussians fitted to two sets (N, D), (M, D); at least 0, 0 for equal sets.

    Heusel et al. 2017 (FID), equation 6, with these features instead of Inception's; computed by torchmetrics. Too high for
    small sets: about half as much at twice the N. So compare it with that of a second set of real ones of the same size.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    real, fake = _sets(real, fake)
    measure = FrechetInceptionDistance(feature=_as_it_is(real.shape[1])).set_dtype(torch.float64)
    measure.update(real, real=True)
    measure.update(fake, real=False)
    return float(measure.compute())


class Estimate(NamedTuple):
    """A mean and its spread."""

    mean: float
    spread: float
    """Standard deviation over the subsets."""


def kid(real: Tensor, fake: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> Estimate:
    """Kernel distance: mean and standard deviation of `mmd2` over random subsets of both sets (N, D), (M, D).

    Binkowski et al. 2018, section 4; computed by torchmetrics. Unbiased: about 0, and as often below, for two sets of the same
    distribution. Subsets are at most as large as the smaller set; then they are the whole, and the spread says nothing.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    real, fake = _sets(real, fake)
    size = min(subset_size, len(real), len(fake))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance` will save all extracted features")
        measure = KernelInceptionDistance(feature=_as_it_is(real.shape[1]), subsets=subsets, subset_size=size)
    measure.update(real, real=True)
    measure.update(fake, real=False)
    with seeded(seed):  # torchmetrics picks the subsets with torch's global generator
        mean, spread = measure.compute()
    return Estimate(float(mean), float(spread))


def mmd2(real: Tensor, fake: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy of two whole sets (N, D), (M, D) in the kernel (x.y / D + 1)^3.

    Gretton et al. 2012, equation 3: mean k(x, x') + mean k(y, y') - 2 mean k(x, y), no point paired with itself.
    """
    real, fake = _sets(real, fake)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    return float(within(real) + within(fake) - 2 * kernel(real, fake).mean())


class PrecisionRecall(NamedTuple):
    """Two shares in [0, 1]."""

    precision: float
    """Share of generated samples within the manifold of the real ones: quality."""
    recall: float
    """Share of real samples within the manifold of the generated ones: variety."""


def precision_recall(real: Tensor, fake: Tensor, *, k: int = 3) -> PrecisionRecall:
    """A set's manifold: balls around its points, each up to its k-th nearest neighbour in the set.

    Kynkaanniemi et al. 2019, equations 1 and 2. Two sets (N, D), (M, D) of the same distribution do not reach 1: compare with
    two real sets. One far outlier has a large ball, and vouches for whatever lies in it.
    """
    real, fake = _sets(real, fake, least=k + 1)

    def covered(points: Tensor, by: Tensor) -> float:
        radii = _radii(by, k)
        return torch.cat([(d <= radii).any(1) for d in _distances(points, by)]).double().mean().item()

    return PrecisionRecall(covered(fake, real), covered(real, fake))


class DensityCoverage(NamedTuple):
    density: float
    """Mean over generated samples of the number of real balls around them, over k; 1 for the same distribution."""
    coverage: float
    """Share of real samples with a generated one in their ball; 1 - 2^-k for the same distribution, N = M, both large."""


def density_coverage(real: Tensor, fake: Tensor, *, k: int = 5) -> DensityCoverage:
    """What an outlier cannot spoil: balls around real samples only, counted, not joined.

    Naeem et al. 2020, equations 5 and 7; (N, D) and (M, D).
    """
    real, fake = _sets(real, fake, least=k + 1)
    radii = _radii(real, k)
    hits, reached = 0, torch.zeros(len(real), dtype=torch.bool)
    for distances in _distances(fake, real):
        inside = distances <= radii
        hits += int(inside.sum())
        reached |= inside.any(0)
    return DensityCoverage(hits / (k * len(fake)), reached.double().mean().item())


def diversity(x: Tensor) -> float:
    """Mean Euclidean distance over all pairs of different members of a set (N, D); 0 where all are equal."""
    x, _ = _sets(x, x)
    return sum(float(d.sum()) for d in _distances(x, x)) / (len(x) * (len(x) - 1))


def nearest(x: Tensor, among: Tensor, *, itself: bool = False) -> tuple[Tensor, Tensor]:
    """Distance (N,) from each of x to its nearest in `among`, and its index (N,).

    `itself`: x and `among` are the same set, and no point counts as its own neighbour.
    """
    x, among = _sets(x, among, least=2 if itself else 1)
    best, start = [], 0
    for distances in _distances(x, among):
        if itself:
            distances.diagonal(start).fill_(torch.inf)
        best.append(distances.min(1))
        start += len(distances)
    return torch.cat([b.values for b in best]), torch.cat([b.indices for b in best])


class Memorisation(NamedTuple):
    share: float
    """Of generated samples nearer to a training sample than `within` typical distances."""
    ratio: float
    """Median nearest distance generated to training, over the typical distance. About 1: as fresh as new data. 0: copies."""


def memorisation(fake: Tensor, training: Tensor, *, within: float = 0.5) -> Memorisation:
    """Are generated samples copies? The typical distance is the median from a training sample to its nearest other one.

    Sets (N, D) or pictures (N, C, H, W). The habit of showing nearest neighbours (Goodfellow et al. 2014, figure 2), as a number.
    In pixels a copy that was shifted by one pixel is far away: use an oracle's features, too. A blurred picture is near
    to everything: look at a low ratio before calling it a copy.
    """
    typical = nearest(training, training, itself=True)[0].median()
    distance, _ = nearest(fake, training)
    return Memorisation((distance < within * typical).double().mean().item(), float(distance.median() / typical))


# ---------------------------------------------------------------- common


def _sets(real: Tensor, fake: Tensor, *, least: int = 2) -> tuple[Tensor, Tensor]:
    """Both as float64 (N, D); InputError unless they are finite, equally wide and of at least `least` rows."""
    for x in (real, fake):
        if x.dim() < 2 or len(x) < least:
            raise InputError.of(
                "a set of vectors",
                got=tuple(x.shape),
                expected=f"(N, D) with N at least {least}",
                do="Pass more samples.",
            )
        if not torch.isfinite(x).all():
            raise InputError.of(
                "a set of vectors",
                got="NaN or infinity",
                expected="finite numbers",
                do="Look for where they come from.",
            )
    real, fake = (x.detach().cpu().flatten(1).double() for x in (real, fake))
    if real.shape[1] != fake.shape[1]:
        raise InputError.of(
            "two sets",
            got=(real.shape[1], fake.shape[1]),
            expected="the same number of features",
            do="Use one network.",
        )
    return real, fake


def _distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Euclidean distances in blocks (rows, M), so that N x M numbers never exist at once."""
    for rows in x.split(_ROWS):
        yield torch.cdist(rows, y)


def _radii(x: Tensor, k: int) -> Tensor:
    """(N,): distance from each point to its k-th nearest other point; the nearest at all is itself."""
    return torch.cat([d.kthvalue(k + 1, 1).values for d in _distances(x, x)])


def _as_it_is(width: int) -> nn.Module:
    """Features pass through: torchmetrics expects a network that makes them from pictures."""
    net = nn.Identity()
    net.num_features = width  # type: ignore[assignment]
    return net
