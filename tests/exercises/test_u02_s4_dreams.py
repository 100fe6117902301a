"""The references of section 4 against closed forms and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coursekit.exercises.u02_input_optimization.asked import s4_dreams as asked
from coursekit.exercises.u02_input_optimization.known import s4_dreams as known
from coursekit.runtime import generator

SEEDS = range(3)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("seed", SEEDS)
def test_ascent_step_on_a_quadratic(seed: int) -> None:
    """The gradient of |x|² / 2 is x: the step goes along x, and its root mean square is lr whatever x's size."""
    x = normal(3, 2, 4, 5, seed=seed) * torch.tensor([1e-3, 1.0, 1e3], dtype=torch.float64)[:, None, None, None]
    step = known.ASCENT_STEP.reference(lambda images: images.square().sum((1, 2, 3)) / 2, x, 0.1) - x
    torch.testing.assert_close(step.square().mean((1, 2, 3)).sqrt(), torch.full((3,), 0.1).double(), rtol=2e-5, atol=0)
    cosine = torch.cosine_similarity(step.flatten(1), x.flatten(1))
    torch.testing.assert_close(cosine, torch.ones(3, dtype=torch.float64))


def test_ascent_step_leaves_an_image_without_gradient() -> None:
    x = normal(2, 1, 3, 4, seed=0)
    moved = known.ASCENT_STEP.reference(lambda images: 5 * images.sum((1, 2, 3)), x, 0.1)
    torch.testing.assert_close(moved, x + 0.1)  # a constant gradient is as large as its root mean square
    dead = known.ASCENT_STEP.reference(lambda images: 0 * images.sum((1, 2, 3)), x, 0.1)
    assert torch.equal(dead, x)
    assert not (moved.requires_grad or x.requires_grad) and x.grad is None


@pytest.mark.parametrize("seed", SEEDS)
def test_drawn_gradients_differ_a_hundredfold_at_least(seed: int) -> None:
    """What the text of ascent_step promises ("a thousandfold"), at the order of magnitude."""
    inputs = asked.ASCENT_STEP.inputs(seed, torch.float64)[0]
    x = inputs["x"].requires_grad_()
    (grad,) = torch.autograd.grad(asked._steep_activity(inputs)(x).sum(), x)
    sizes = grad.square().mean((1, 2, 3)).sqrt()
    assert 300 < sizes.max() / sizes.min() < 3000


@pytest.mark.parametrize("seed", SEEDS)
def test_jittered_ascent_follows_the_finite_difference(seed: int) -> None:
    inputs = asked.JITTERED_ASCENT.inputs(seed, torch.float64)[0]
    activity, x, (dy, dx) = asked._activity(inputs), inputs["x"], inputs["shifts"][0]
    moved = known.JITTERED_ASCENT.reference(activity, x, [(dy, dx)], 0.1)

    def at(image: Tensor) -> float:
        """Moved down by dy and right by dx: the row i of the result was the row i - dy."""
        H, W = image.shape[2:]
        rows, columns = [(i - dy) % H for i in range(H)], [(j - dx) % W for j in range(W)]
        return float(activity(image[:, :, rows][:, :, :, columns]).sum())

    for place in ((0, 0, 0, 0), (0, 1, 2, 3), (1, 0, 5, 8), (1, 1, 3, 0)):
        nudge = torch.zeros_like(x)
        nudge[place] = 1e-5
        slope = (at(x + nudge) - at(x - nudge)) / 2e-5
        assert float(moved[place] - x[place]) == pytest.approx(0.1 * slope, rel=1e-5, abs=1e-8)


def test_jittered_ascent_on_an_activity_that_no_shift_changes() -> None:
    """The sum of squares: every step multiplies by 1 + 2 lr, wherever the image lies."""
    x = normal(2, 2, 4, 5, seed=3)
    moved = known.JITTERED_ASCENT.reference(lambda z: z.square().sum((1, 2, 3)), x, [(1, -2), (-3, 4), (7, 11)], 0.1)
    torch.testing.assert_close(moved, x * 1.2**3)
