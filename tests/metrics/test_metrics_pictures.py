"""PSNR, SSIM and sharpness, by hand and against a slow implementation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coursekit import metrics
from coursekit.errors import InputError
from coursekit.runtime import generator


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=generator(seed)) * 2 - 1


def test_psnr_by_hand() -> None:
    """Off by 0.2 everywhere: 10 log10(4 / 0.04) = 20 dB. One pixel of 64 off by 2: 10 log10(4 / (4 / 64)) = 18.06 dB."""
    x = torch.zeros(3, 1, 8, 8)
    y = x.clone()
    y[0] += 0.2
    y[1, 0, 2, 5] = 2
    got = metrics.psnr(x, y)
    assert got.shape == (3,)
    assert got[0].item() == pytest.approx(20, abs=1e-4) and got[1].item() == pytest.approx(
        10 * math.log10(64), abs=1e-4
    )
    assert got[2].item() == math.inf


def slow_ssim(x: Tensor, y: Tensor) -> float:
    """One channel (H, W): Wang et al. 2004, equations 13 to 16, pixel by pixel, window by window; black is 0."""
    x, y = (x + 1) / 2, (y + 1) / 2
    size, sigma = 11, 1.5
    steps = torch.arange(size, dtype=torch.float64) - size // 2
    window = torch.exp(-(steps.view(-1, 1) ** 2 + steps**2) / (2 * sigma**2))
    window /= window.sum()
    c1, c2 = 0.01**2, 0.03**2
    H, W = x.shape

    def patch(image: Tensor, i: int, j: int) -> Tensor:
        rows = [abs(k) if k < H else 2 * (H - 1) - k for k in range(i - 5, i + 6)]  # reflected at the borders
        cols = [abs(k) if k < W else 2 * (W - 1) - k for k in range(j - 5, j + 6)]
        return image.double()[rows][:, cols]

    total = 0.0
    for i in range(H):
        for j in range(W):
            a, b = patch(x, i, j), patch(y, i, j)
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            vab = (window * (a - ma) * (b - mb)).sum()
            total += float((2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    return total / (H * W)


def test_ssim_agrees_with_a_slow_implementation() -> None:
    x = noise(2, 2, 14, 12, seed=1)
    y = (x + 0.6 * noise(2, 2, 14, 12, seed=2)).clamp(-1, 1)
    expected = [sum(slow_ssim(a, b) for a, b in zip(one, other)) / 2 for one, other in zip(x, y)]
    assert metrics.ssim(x, y).tolist() == pytest.approx(expected, abs=1e-4)


def test_ssim_of_equal_opposite_and_single_pictures() -> None:
    x = noise(3, 3, 16, 16, seed=3)
    torch.testing.assert_close(metrics.ssim(x, x), torch.ones(3))
    assert metrics.ssim(x, -x).max() < -0.5
    assert metrics.ssim(x[:1], x[1:2]).shape == (1,)


def test_laplacian_of_a_sinusoid() -> None:
    """cos(w x) is an eigenvector with the value -(2 - 2 cos w): over whole periods the variance is (2 - 2 cos w)^2 / 2."""
    w = 2 * math.pi * 3 / 24
    row = torch.cos(w * torch.arange(26, dtype=torch.float64) + 0.4)  # 24 pixels inside the border: 3 periods
    x = row.expand(1, 3, 26, 26)
    expected = (2 - 2 * math.cos(w)) ** 2 / 2
    for picture in (x, x.transpose(2, 3)):
        assert metrics.laplacian_sharpness(picture).item() == pytest.approx(expected)
    assert metrics.laplacian_sharpness(0.5 * x).item() == pytest.approx(expected / 4)


def test_a_plane_is_not_sharp_and_channels_are_averaged() -> None:
    ramp = torch.arange(8.0).view(1, 1, 1, 8) + 2 * torch.arange(8.0).view(1, 1, 8, 1)
    assert metrics.laplacian_sharpness(ramp).item() == pytest.approx(0, abs=1e-9)
    x = noise(4, 1, 9, 7, seed=4)
    torch.testing.assert_close(
        metrics.laplacian_sharpness(torch.cat([x, 3 * x], 1)), 4 * metrics.laplacian_sharpness(x)
    )


def test_blur_lowers_sharpness() -> None:
    x = noise(5, 3, 20, 20, seed=5)
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    assert (metrics.laplacian_sharpness(blurred) < metrics.laplacian_sharpness(x)).all()


def test_shapes_that_do_not_fit_are_refused() -> None:
    x = noise(2, 3, 8, 8)
    for measure in (metrics.psnr, metrics.ssim):
        for bad in (x[:1], x[0], x[..., :4]):
            with pytest.raises(InputError, match="the same shape"):
                measure(x, bad)
    with pytest.raises(InputError, match="at least 6"):
        metrics.ssim(x[..., :5], x[..., :5])
    with pytest.raises(InputError, match="3 x 3"):
        metrics.laplacian_sharpness(x[..., :2])
