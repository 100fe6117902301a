"""Coverage against areas known in closed form: the sum over the pixels of a shape's coverage is its area in pixels."""

from __future__ import annotations

import math

import pytest
import torch

from coursekit.datasets.drawing import Easel, chunks


def easel(size: int = 64, n: int = 1) -> Easel:
    return Easel(torch.zeros(n, 3, size, size))


def area(coverage: torch.Tensor, size: int = 64) -> float:
    return float(coverage.expand(-1, size, size).sum()) / size**2


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.73, 0.81), (0.3, 0.3, 0.301, 0.9), (-0.5, 0.4, 0.2, 1.7)])
def test_a_box_is_exact_at_every_size_even_if_thinner_than_a_pixel(box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in box)
    for size in (17, 32, 64):
        # float32 sums of up to 4,096 pixels
        assert area(easel(size).box(*box), size) == pytest.approx((right - left) * (bottom - top), abs=1e-5)


def test_other_shapes_have_their_area() -> None:
    # Within the error of a straight edge through a pixel, which averages out along it: measured at most 0.2 %.
    corners = ((0.2, 0.1), (0.8, 0.3), (0.7, 0.9), (0.15, 0.6))
    shoelace = sum(ax * by - bx * ay for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1])) / 2
    assert area(easel().polygon(*corners)) == pytest.approx(shoelace, rel=0.01)
    assert area(easel().ellipse(0.5, 0.45, 0.3, 0.3)) == pytest.approx(math.pi * 0.09, rel=0.01)
    assert area(easel().spire(0.5, 0.2, 0.9, 0.3)) == pytest.approx(0.21, rel=0.01)
    skyline = torch.linspace(0.2, 0.8, 64).view(1, -1)
    assert area(easel().under(skyline)) == pytest.approx(0.5, rel=0.01)


def test_the_inside_of_a_polygon_is_on_the_right_hand_of_its_edges() -> None:
    square = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
    assert torch.allclose(easel().polygon(*square), easel().box(0.25, 0.25, 0.75, 0.75))
    assert area(easel().polygon(*reversed(square))) < 0.01


def test_noise_takes_the_values_of_its_lattice() -> None:
    lattice = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))
    noise = easel(65, 3).mottle(lattice)
    assert noise.shape == (3, 65, 65)
    # The pixel nearest to a knot is half a pixel away from it: cosine steps are flat there.
    assert (noise[:, 32, 32] - lattice[:, 2, 2]).abs().max() < 0.01
    assert noise.abs().max() <= lattice.abs().max()


def test_a_band_is_the_same_picture() -> None:
    whole, part = easel(32, 2), easel(32, 2)
    whole.fill(whole.box(0.2, 0.4, 0.8, 0.6), torch.tensor((1.0, 0.5, 0.2)))
    band = part.band(0.33, 0.71)
    band.fill(band.box(0.2, 0.4, 0.8, 0.6), torch.tensor((1.0, 0.5, 0.2)))
    assert torch.equal(whole.pictures, part.pictures) and whole.pictures.sum() > 0


def test_chunks_run_through_all_pictures_once() -> None:
    for n, size in ((1, 32), (128, 32), (300, 32), (70, 64), (3, 1024)):
        seen = [k for part in chunks(n, size) for k in range(n)[part]]
        assert seen == list(range(n))
