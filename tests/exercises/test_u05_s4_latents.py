"""The references of section 4 against rotations, distributions and projections."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coursekit.exercises.u05_dcgan.known import s4_latents as known
from coursekit.runtime import generator


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


CIRCLES = [known.GREAT_CIRCLE.reference, known.great_circle]
ANALOGIES = [known.ANALOGY.reference, known.analogy]
POSES = [known.SET_POSE.reference, known.set_pose]


@pytest.mark.parametrize("walk", CIRCLES)
def test_walk_in_the_plane_is_polar_coordinates(walk) -> None:
    """In two dimensions angle and length are both linear in t."""
    t = torch.linspace(0, 1, 7, dtype=torch.float64)
    start, stop, r, s = 0.4, 2.3, 1.5, 4.0
    a = r * torch.tensor([[math.cos(start), math.sin(start)]], dtype=torch.float64)
    b = s * torch.tensor([[math.cos(stop), math.sin(stop)]], dtype=torch.float64)
    angle, length = start + t * (stop - start), r + t * (s - r)
    expected = length[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    torch.testing.assert_close(walk(a, b, t)[0], expected)


@pytest.mark.parametrize("walk", CIRCLES)
def test_walk_is_a_power_of_a_rotation(walk) -> None:
    """Between unit vectors: exp(t A) u, A the generator of the rotation from u to v."""
    u, v = (torch.nn.functional.normalize(normal(6, seed=k), dim=0) for k in (1, 2))
    w = torch.nn.functional.normalize(v - (u @ v) * u, dim=0)
    A = torch.acos(u @ v) * (torch.outer(w, u) - torch.outer(u, w))
    t = torch.tensor([0.0, 0.25, 0.7, 1.0], dtype=torch.float64)
    expected = torch.stack([torch.linalg.matrix_exp(k * A) @ u for k in t])
    torch.testing.assert_close(walk(u[None], v[None], t)[0], expected)


@pytest.mark.parametrize("walk", CIRCLES)
def test_walk_at_the_edges(walk) -> None:
    a, t = normal(2, 5, seed=1), torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(walk(a, 3 * a, t)[:, 1], 2 * a)
    with pytest.raises(ValueError):
        walk(a, torch.stack([a[1], -2 * a[1]]), t)


@pytest.mark.parametrize("analogy", ANALOGIES)
def test_sum_of_concepts(analogy) -> None:
    """Along the exact sum, at the distance at which normal codes lie."""
    a, b, c = normal(2, 64, seed=1), normal(5, 64, seed=2), normal(3, 64, seed=3)
    noise = normal(2, 64, seed=4)
    codes = analogy(a, b, c, noise)
    s = a.sum(0) / 2 - b.sum(0) / 5 + c.sum(0) / 3
    assert float(torch.cosine_similarity(codes[0], s, dim=0)) == pytest.approx(1)
    assert float(codes[0].norm()) == pytest.approx(8)
    torch.testing.assert_close((codes[1:] - codes[0]) / noise, torch.full((2, 64), 0.25, dtype=torch.float64))
    lengths = normal(4000, 64, seed=5).norm(dim=1)
    assert abs(float(lengths.mean()) - 8) < 0.1  # sqrt(64) up to 1 / (4 sqrt(64)), and 0.011 of spread of this mean


@pytest.mark.parametrize("set_pose", POSES)
def test_pose_reads_like_the_groups(set_pose) -> None:
    z, left, right = normal(4, 6, seed=1), normal(3, 6, seed=2) - 1, normal(5, 6, seed=3) + 1
    codes = set_pose(z, left, right, torch.tensor([-1.0, 1.0, 3.0], dtype=torch.float64))
    l, r = left.mean(0), right.mean(0)
    u = torch.nn.functional.normalize(r - l, dim=0)
    expected = torch.stack([u @ l, u @ r, u @ (2 * r - l)]).expand(4, 3)
    torch.testing.assert_close(codes @ u, expected)
    # What lies across the axis is that of z: any basis of the complement says so.
    basis = torch.linalg.svd(u[None]).Vh[1:]
    torch.testing.assert_close(codes @ basis.T, (z @ basis.T)[:, None].expand(-1, 3, -1))
