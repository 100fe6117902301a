"""The references of section 3 against closed forms, convolutions, autograd and geometry."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.exercises.u02_input_optimization.asked import s3_regularisers as asked
from coursekit.exercises.u02_input_optimization.known import s3_regularisers as known
from coursekit.runtime import generator

SEEDS = range(3)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def convolved_differences(x: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """Differences to the right and downwards as convolutions, the border by torch's padding."""
    N, C, H, W = x.shape
    wide = F.pad(x, (0, 1, 0, 1), mode=mode).reshape(N * C, 1, H + 1, W + 1)
    kernels = torch.tensor([[[-1.0, 1.0], [0.0, 0.0]], [[-1.0, 0.0], [1.0, 0.0]]], dtype=x.dtype)
    both = F.conv2d(wide, kernels[:, None]).reshape(N, C, 2, H, W)
    return both[:, :, 0], both[:, :, 1]


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_total_variation_is_a_convolution_with_repeated_borders(seed: int, beta: float) -> None:
    x = normal(3, 2, 5, 7, seed=seed)
    du, dv = convolved_differences(x, "replicate")
    expected = (du**2 + dv**2).pow(beta / 2).sum((1, 2, 3))
    torch.testing.assert_close(known.TOTAL_VARIATION.reference(x, beta), expected)


@pytest.mark.parametrize("beta", [2.0, 3.0])
def test_total_variation_has_its_numerical_gradient(beta: float) -> None:
    x = normal(2, 1, 3, 4, seed=6).requires_grad_()
    assert torch.autograd.gradcheck(lambda images: known.TOTAL_VARIATION.reference(images, beta), x)


@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_total_variation_of_a_ramp(beta: float) -> None:
    H, W = 5, 8
    ramp = torch.linspace(0, 1, W, dtype=torch.float64).expand(1, 1, H, W)
    expected = H * (W - 1) * (1 / (W - 1)) ** beta
    assert known.TOTAL_VARIATION.reference(ramp, beta).item() == pytest.approx(expected)


def test_total_variation_of_one_bright_corner() -> None:
    """Each corner has two neighbours. Upper left, both differences are its own; lower right, each is a neighbour's."""
    for i, j, expected in ((0, 0, math.sqrt(2)), (0, 5, 2.0), (3, 0, 2.0), (3, 5, 2.0)):
        x = torch.zeros(1, 1, 4, 6, dtype=torch.float64)
        x[0, 0, i, j] = 1
        assert known.TOTAL_VARIATION.reference(x, 1.0).item() == pytest.approx(expected)


def test_border_cases_show_both_readings_fail(capsys: pytest.CaptureFixture[str]) -> None:
    asked.border_cases()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("both neighbours: 0.00")  # a bright corner that nobody sees
    right, wrapped = (float(line.rpartition(" ")[2]) for line in lines[2:])
    assert wrapped == pytest.approx(6 * 2.0)  # six rows, one step up in all and the same step down
    assert right < 6  # five of six rows, six of seven steps


@pytest.mark.parametrize("beta", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_smooth_tv_is_a_circular_convolution(seed: int, beta: float) -> None:
    x, eps = normal(3, 2, 6, 5, seed=seed), 0.1
    du, dv = convolved_differences(x, "circular")
    expected = ((du**2 + dv**2 + eps**2).pow(beta / 2) - eps**beta).sum((1, 2, 3))
    torch.testing.assert_close(known.SMOOTH_TV.reference(x, beta, eps), expected)


@pytest.mark.parametrize("beta", [1.0, 1.5])
def test_smooth_tv_has_its_numerical_gradient_also_at_flat_patches(beta: float) -> None:
    x = torch.zeros(1, 1, 3, 4, dtype=torch.float64)
    x[..., 2:] = 0.7
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda images: known.SMOOTH_TV.reference(images, beta, 0.1), x)
    flat = torch.full((2, 1, 3, 4), 0.3, dtype=torch.float64, requires_grad=True)
    value = known.SMOOTH_TV.reference(flat, beta, 0.1)
    (grad,) = torch.autograd.grad(value.sum(), flat)
    assert value.abs().max() < 1e-12 and grad.abs().max() < 1e-12


def test_smooth_tv_tends_to_total_variation_of_the_tile() -> None:
    x = normal(2, 2, 5, 6, seed=4)
    du, dv = asked.wrapped_differences(x)
    plain = torch.hypot(du, dv).sum((1, 2, 3))
    for eps in (1e-2, 1e-4):
        gap = plain - known.SMOOTH_TV.reference(x, 1.0, eps)
        assert (gap >= 0).all() and (gap <= eps * x[0].numel()).all()  # at most eps for each pixel


@pytest.mark.parametrize("seed", SEEDS)
def test_inversion_loss_of_a_linear_code(seed: int) -> None:
    """E = |A (x - x0)|² / |A x0|² + weight |x|², so its gradient is 2 A'A (x - x0) / |A x0|² + 2 weight x."""
    N, C, H, W = 3, 2, 3, 4
    A = normal(5, C * H * W, seed=seed)
    x = normal(N, C, H, W, seed=seed + 10).requires_grad_()
    x0 = normal(N, C, H, W, seed=seed + 20).requires_grad_()
    loss = known.INVERSION_LOSS.reference(
        lambda images: images.flatten(1) @ A.T, x, x0, lambda images: images.square().sum((1, 2, 3)), 0.3
    )
    distance, code = (x - x0).flatten(1) @ A.T, x0.flatten(1) @ A.T
    expected = (distance**2).sum(1) / (code**2).sum(1) + 0.3 * (x**2).sum((1, 2, 3))
    torch.testing.assert_close(loss, expected)
    grads = torch.autograd.grad(loss.sum(), [x, x0], allow_unused=True)
    slope = 2 * distance @ A / (code**2).sum(1, keepdim=True) + 0.6 * x.flatten(1)
    torch.testing.assert_close(grads[0].flatten(1), slope)
    assert grads[1] is None


def test_inversion_loss_of_a_dead_code_is_one() -> None:
    x, x0 = torch.zeros(2, 1, 3, 4, dtype=torch.float64), normal(2, 1, 3, 4, seed=0)
    loss = known.INVERSION_LOSS.reference(lambda images: images, x, x0, lambda images: images.sum((1, 2, 3)), 0.5)
    torch.testing.assert_close(loss, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("seed", SEEDS)
def test_denoise_step_is_autograds(seed: int) -> None:
    x, y = normal(2, 2, 5, 7, seed=seed).requires_grad_(), normal(2, 2, 5, 7, seed=seed + 10)
    weight, eps, lr = 0.4, 0.15, 0.1
    du, dv = convolved_differences(x, "circular")
    energy = 0.5 * ((x - y) ** 2).sum() + weight * (du**2 + dv**2 + eps**2).sqrt().sum()
    (grad,) = torch.autograd.grad(energy, x)
    with torch.no_grad():
        torch.testing.assert_close(known.DENOISE_STEP.reference(x, y, weight, eps, lr), x - lr * grad)


def test_denoise_steps_bring_a_noisy_cartoon_nearer_to_the_clean_one() -> None:
    clean = torch.zeros(1, 1, 12, 16, dtype=torch.float64)
    clean[..., 3:9, 4:12] = 1.0
    noisy = clean + 0.2 * normal(1, 1, 12, 16, seed=5)
    x = noisy.clone()
    for _ in range(60):
        x = known.denoise_step(x, noisy, 0.2, 0.05, 0.1)
    # Measured over 20 seeds of the noise: the mean squared error falls to 0.13 to 0.33 of the noisy image's.
    assert (x - clean).square().mean() < 0.5 * (noisy - clean).square().mean()
