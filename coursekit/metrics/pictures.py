"""Measures of pictures (N, C, H, W) in [-1, 1], one number for each: (N,)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit.errors import InputError

RANGE = 2.0
"""From -1 to 1: what PSNR and SSIM call the range of the data."""


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio (N,) in dB: 10 log10(4 / mean squared error); infinite for equal pictures.

    By torchmetrics. For each picture by itself: the mean over a set is a mean of dB, not the dB of the mean error.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    _require_alike(x, y)
    return peak_signal_noise_ratio(x, y, data_range=RANGE, reduction="none", dim=(1, 2, 3))


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity (N,): 1 for equal pictures, about 0 for unrelated ones, below 0 for a negative.

    By torchmetrics. Wang et al. 2004, equation 13, in a Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03. The borders are
    reflected and counted, where Wang et al. leave them out. It compares means as ratios, so black must be 0: pictures are
    shifted to [0, 2] first.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _require_alike(x, y, edge=6)
    values = structural_similarity_index_measure(x + 1, y + 1, data_range=RANGE, reduction="none")
    assert isinstance(values, Tensor)
    return values


def laplacian_sharpness(x: Tensor) -> Tensor:
    """Variance (N,) of the discrete Laplacian of the grey picture, the mean of its channels; 0 for a flat one.

    Source: Pech-Pacheco et al. 2000, "LAPV"; kernel 0 1 0 / 1 -4 1 / 0 1 0, without the border. Blur lowers it, but noise
    raises it more than edges do: compare it with that of real pictures, it is no score by itself.
    """
    if x.dim() != 4 or min(x.shape[-2:], default=0) < 3:
        raise InputError.of(
            "`x`", got=tuple(x.shape), expected="pictures (N, C, H, W) of at least 3 x 3 pixels", do="Pass a batch."
        )
    grey = x.mean(1, keepdim=True)
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=x.dtype, device=x.device)
    return F.conv2d(grey, kernel.view(1, 1, 3, 3)).flatten(1).var(1, correction=0)


def _require_alike(x: Tensor, y: Tensor, *, edge: int = 1) -> None:
    if x.dim() != 4 or x.shape != y.shape or not len(x) or min(x.shape[-2:]) < edge:
        raise InputError.of(
            "the two batches of pictures", got=(tuple(x.shape), tuple(y.shape)),
            expected=f"the same shape (N, C, H, W), N at least 1, H and W at least {edge}", do="Compare pair by pair.",
        )  # fmt: skip
