"""The references of section 5 against torch's interpolation, linear dreams and the gradient of the whole image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.exercises.u02_input_optimization.asked import s5_scales as asked
from coursekit.exercises.u02_input_optimization.known import s5_scales as known
from coursekit.runtime import generator

SEEDS = range(3)
SIZES = [(5, 7), (8, 11), (13, 18)]


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [*SIZES, (4, 18), (13, 1)])
def test_matrices_of_the_reference_are_torchs_interpolation(size: tuple[int, int]) -> None:
    x = normal(2, 2, 13, 18, seed=0)
    down = known._area_weights(13, size[0], x) @ x @ known._area_weights(18, size[1], x).T
    torch.testing.assert_close(down, F.interpolate(x, size, mode="area"))
    up = known._linear_weights(size[0], 13, x) @ down @ known._linear_weights(size[1], 18, x).T
    torch.testing.assert_close(up, F.interpolate(down, (13, 18), mode="bilinear", align_corners=False))


def test_octaves_of_a_dream_that_adds_a_constant() -> None:
    """A constant survives enlarging: three octaves add it three times, and the picture stays as sharp as it was."""
    x = normal(2, 3, 13, 18, seed=1)
    torch.testing.assert_close(known.OCTAVE_DREAM.reference(x, SIZES, lambda z: z + 0.25), x + 0.75)


@pytest.mark.parametrize("seed", SEEDS)
def test_octaves_of_a_linear_dream(seed: int) -> None:
    """dream(z) = 2 z hands on 2 (b + U d) - b = b + 2 U d, with b the shrunken picture, U the enlarging, d from before."""
    x = normal(1, 2, 13, 18, seed=seed)
    small, middle = (F.interpolate(x, size, mode="area") for size in SIZES[:2])
    first = small  # nothing comes from before
    second = middle + 2 * F.interpolate(first, SIZES[1], mode="bilinear", align_corners=False)
    expected = 2 * (x + F.interpolate(second, SIZES[2], mode="bilinear", align_corners=False))
    torch.testing.assert_close(known.OCTAVE_DREAM.reference(x, SIZES, lambda z: 2 * z), expected)


@pytest.mark.parametrize("tile", [3, 4, 20])
@pytest.mark.parametrize("seed", SEEDS)
def test_tiles_with_a_margin_of_two_give_the_gradient_of_the_whole_image(seed: int, tile: int) -> None:
    inputs = asked.TILED_GRADIENT.inputs(seed, torch.float64)[0]
    activity, x = asked._local_activity(inputs), inputs["x"]
    leaf = x.clone().requires_grad_()
    (whole,) = torch.autograd.grad(activity(leaf).sum(), leaf)
    torch.testing.assert_close(known.TILED_GRADIENT.reference(activity, x, tile, 2), whole)
    if tile < 20:  # one pixel less shows a seam
        assert not torch.allclose(known.TILED_GRADIENT.reference(activity, x, tile, 1), whole)


def test_tiles_of_an_activity_of_single_pixels_need_no_margin() -> None:
    x = normal(2, 1, 5, 7, seed=2)
    gradient = known.TILED_GRADIENT.reference(lambda z: (z**3).sum((1, 2, 3)), x, 2, 0)
    torch.testing.assert_close(gradient, 3 * x**2)
    assert not (gradient.requires_grad or x.requires_grad)
