"""The references of section 6 against closed forms, expectations and gradients of other functions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coursekit.exercises.u02_input_optimization.asked import s6_saliency as asked
from coursekit.exercises.u02_input_optimization.known import s6_saliency as known
from coursekit.runtime import generator

SEEDS = range(3)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("seed", SEEDS)
def test_smooth_saliency_of_a_linear_network_is_its_weights(seed: int) -> None:
    """A linear network has the same gradient everywhere: no noise changes the map."""
    N, C, H, W, K = 3, 2, 3, 4, 5
    weights = normal(K, C, H, W, seed=seed)
    y = torch.tensor([4, 0, 2])
    maps = known.SMOOTH_SALIENCY.reference(
        lambda x: torch.einsum("nchw,kchw->nk", x, weights),
        normal(N, C, H, W, seed=9),
        y,
        normal(6, N, C, H, W, seed=8),
        0.3,
    )
    torch.testing.assert_close(maps, weights[y].abs().amax(1))


@pytest.mark.parametrize("seed", SEEDS)
def test_smooth_saliency_of_a_quadratic(seed: int) -> None:
    """The gradient of w x² is 2 w x, of either sign: its mean over the copies is 2 w (x + sigma mean(z))."""
    N, C, H, W, S = 2, 3, 3, 4, 5
    w, x, noise = normal(C, H, W, seed=seed), normal(N, C, H, W, seed=seed + 10), normal(S, N, C, H, W, seed=seed + 20)
    maps = known.SMOOTH_SALIENCY.reference(
        lambda z: torch.stack([z.sum((1, 2, 3)), (w * z**2).sum((1, 2, 3))], 1), x, torch.tensor([1, 1]), noise, 0.4
    )
    flat = x.reshape(N, -1).sort(dim=1).values
    sigma = 0.4 * (flat[:, -1] - flat[:, 0]).reshape(N, 1, 1, 1)
    torch.testing.assert_close(maps, (2 * w * (x + sigma * noise.mean(0))).abs().amax(1))
    assert not maps.requires_grad


def test_smooth_saliency_of_a_cubic_is_the_smoothed_gradient() -> None:
    """E[3 (x + sigma z)²] = 3 x² + 3 sigma², a Monte-Carlo estimate whose error falls with the number of copies."""
    N, C, H, W, S = 2, 1, 2, 3, 1000
    x = normal(N, C, H, W, seed=1)
    noise = normal(S, N, C, H, W, seed=2)
    y = torch.zeros(N, dtype=torch.int64)
    maps = known.smooth_saliency(lambda z: (z**3).sum((1, 2, 3))[:, None], x, y, noise, 0.2)
    sigma = 0.2 * (x.amax((1, 2, 3)) - x.amin((1, 2, 3)))[:, None, None]
    spread = (36 * x[:, 0] ** 2 * sigma**2 + 18 * sigma**4).sqrt() / S**0.5  # of the mean of 3 (x + sigma z)²
    assert ((maps - 3 * x[:, 0] ** 2 - 3 * sigma**2).abs() < 5 * spread).all()
    few = known.SMOOTH_SALIENCY.reference(lambda z: (z**3).sum((1, 2, 3))[:, None], x, y, noise[:3], 0.2)
    torch.testing.assert_close(few, (3 * (x + sigma[:, None] * noise[:3]) ** 2).mean(0)[:, 0])


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_asked_for_are_never_the_preferred_ones(seed: int) -> None:
    for inputs in asked.SMOOTH_SALIENCY.inputs(seed):
        assert not (asked._classifier(inputs)(inputs["x"]).argmax(1) == inputs["y"]).any()


def test_guided_relu_table() -> None:
    """All four pairs of signs, by hand."""
    a = torch.tensor([2.0, 2.0, -3.0, -3.0], dtype=torch.float64, requires_grad=True)
    out = known.GUIDED_RELU.reference(a)
    out.backward(torch.tensor([0.5, -0.5, 0.5, -0.5], dtype=torch.float64))
    assert out.tolist() == [2.0, 2.0, 0.0, 0.0]
    assert a.grad is not None and a.grad.tolist() == [0.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("seed", SEEDS)
def test_guided_network_with_positive_weights_is_an_ordinary_one(seed: int) -> None:
    """With weights above 0 no gradient is ever negative: guided and plain backpropagation agree."""
    W_1, W_2, x = normal(6, 5, seed=seed).abs(), normal(6, 6, seed=seed + 10).abs(), normal(4, 5, seed=seed + 20)
    found = []
    for rectify in (torch.relu, known.GUIDED_RELU.reference):
        leaf = x.clone().requires_grad_()
        rectify(rectify(leaf @ W_1.T - 1) @ W_2.T - 1).sum().backward()
        found.append(leaf.grad)
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_guided_network_by_hand(seed: int) -> None:
    inputs = asked.GUIDED_RELU.inputs(seed, torch.float64)[0]
    W_1, W_2, w, x = (inputs[name] for name in ("W_1", "W_2", "w", "x"))
    a_1 = x @ W_1.T
    a_2 = a_1.clamp(min=0) @ W_2.T
    back_2 = w.clamp(min=0) * (a_2 > 0)
    back_1 = (back_2 @ W_2).clamp(min=0) * (a_1 > 0)
    findings = asked._guided_network(known.GUIDED_RELU.reference, inputs)
    torch.testing.assert_close(findings["gradient of x"], back_1 @ W_1)
    torch.testing.assert_close(findings["gradient of W_1"], back_1.T @ x)
