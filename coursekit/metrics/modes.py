"""Samples of a mixture of Gaussians whose modes are known. N samples, K modes, D dimensions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.errors import InputError


class Modes(NamedTuple):
    """What became of K modes."""

    covered: int
    """Modes that are the nearest of at least one high-quality sample."""
    quality: float
    """Share of the samples that are of high quality. Of true samples in two dimensions 1 - exp(-9/2) = 0.989 are."""
    counts: Tensor
    """(K,) int64: high-quality samples nearest to each mode."""


def mode_coverage(x: Tensor, centres: Tensor, sigma: float, *, within: float = 3.0) -> Modes:
    """A sample is of high quality if it lies within 3 sigma of its nearest mode.

    x (N, D), centres (K, D), sigma: the standard deviation of each mode. Source: Srivastava et al. 2017 (VEEGAN),
    section 5.1; they judge by 2,500 samples. Both numbers are needed: one perfect point scores quality 1, noise everywhere
    covers every mode.
    """
    if x.dim() != 2 or centres.dim() != 2 or x.shape[1] != centres.shape[1] or not len(x) or not sigma > 0:
        raise InputError.of(
            "`x`, `centres` and `sigma`", got=(tuple(x.shape), tuple(centres.shape), sigma),
            expected="(N, D), (K, D) and a number above 0", do="Pass the samples, and the world's modes and its sigma.",
        )  # fmt: skip
    # NaN compares false, so a sample that is not a number is of no quality.
    distance, nearest = torch.cdist(x.double(), centres.double(), compute_mode="donot_use_mm_for_euclid_dist").min(1)
    good = distance <= within * sigma
    counts = torch.bincount(nearest[good], minlength=len(centres))
    return Modes(int((counts > 0).sum()), good.double().mean().item(), counts)
