"""The world `things`: determinism, counterfactual pairs, what stays when the label changes, every size, speed of drawing."""

from __future__ import annotations

import pytest
import torch

from coursekit.datasets import things_shapes
from coursekit.datasets.things import NAMES, WORLD
from coursekit.errors import InputError
from coursekit.runtime import generator

KINDS = NAMES["thing"]


def all_kinds(copies: int = 1) -> torch.Tensor:
    return torch.arange(len(KINDS)).repeat_interleave(copies)[:, None]


def test_the_kinds_that_the_lectures_name_are_there() -> None:
    assert {"ostrich", "bus", "parking meter", "eye", "spiral", "feather", "scales", "tiles", "flower", "bird"} <= set(
        KINDS
    )
    assert len(set(KINDS)) == len(KINDS) >= 16


@pytest.mark.parametrize("size", [32, 48, 64, 96])
def test_pictures_are_finite_and_inside_the_range(size: int) -> None:
    x = WORLD.render(all_kinds(2), generator=generator(0), size=size)
    assert x.shape == (2 * len(KINDS), 3, size, size) and x.dtype == torch.float32
    assert x.isfinite().all() and x.min() >= -1 and x.max() <= 1
    assert (x.flatten(1).std(1) > 0.05).all()  # no picture is empty


def test_equal_seeds_give_equal_pictures_and_others_others() -> None:
    one, two, other = (WORLD.draw(20, generator=generator(seed), size=32) for seed in (1, 1, 2))
    assert torch.equal(one.x, two.x) and torch.equal(one.labels, two.labels)
    assert not torch.equal(one.x, other.x)


def test_a_picture_does_not_depend_on_the_other_labels() -> None:
    labels = all_kinds()
    changed = labels.clone()
    changed[0] = 5
    one, two = (WORLD.render(each, generator=generator(3), size=32) for each in (labels, changed))
    assert not torch.equal(one[0], two[0])
    torch.testing.assert_close(one[1:], two[1:])


def test_equal_seeds_give_equal_styles_whatever_the_things() -> None:
    """Where neither of two things is, the picture is the same: the corners of many pairs, measured by their median."""
    ones, others = (
        WORLD.render(torch.full((200, 1), KINDS.index(k)), generator=generator(4), size=32) for k in ("fish", "cat")
    )
    strangers = WORLD.render(torch.full((200, 1), KINDS.index("cat")), generator=generator(5), size=32)
    corners = lambda x: x[:, :, :3, :3].flatten(1)  # noqa: E731
    assert (corners(ones) - corners(others)).abs().mean(1).median() < 1e-6
    assert (corners(ones) - corners(strangers)).abs().mean(1).median() > 0.2  # measured 0.36 to 0.41, seeds 0 to 9


def test_the_same_number_of_draws_whatever_the_labels() -> None:
    states = []
    for kind in range(2):
        draws = generator(6)
        WORLD.render(torch.full((7, 1), kind), generator=draws, size=32)
        states.append(draws.get_state())
    assert torch.equal(*states)


def test_kinds_are_drawn_evenly() -> None:
    counts = WORLD.sample(18_000, generator=generator(7))[:, 0].bincount(minlength=len(KINDS))
    expected = 18_000 / len(KINDS)
    assert (counts - expected).abs().max() < 5 * expected**0.5  # five standard deviations of a Poisson count


def test_a_picture_is_about_the_same_at_every_size() -> None:
    """Means of 2 x 2 pixels at 64 px are about the pixels at 32 px: a thing does not move or change when enlarged."""
    small, large = (WORLD.render(all_kinds(4), generator=generator(8), size=size) for size in (32, 64))
    gap = (torch.nn.functional.avg_pool2d(large, 2) - small).abs().mean((1, 2, 3))
    # Measured 0.032 to 0.041 over seeds 0 to 9; pictures of another style differ by 0.41 to 0.46.
    assert gap.median() < 0.06


def test_distances_agree_with_their_closed_forms() -> None:
    u, v = torch.meshgrid(torch.linspace(-1, 1, 401), torch.linspace(-1, 1, 401), indexing="xy")
    u, v = u[None].double(), v[None].double()
    torch.testing.assert_close(things_shapes.disc(u, v, 0.1, -0.2, 0.3), torch.hypot(u - 0.1, v + 0.2) - 0.3)
    # A capsule whose ends coincide is a disc; one with ends far apart is a strip in between.
    torch.testing.assert_close(
        things_shapes.capsule(u, v, (0.1, 0.0), (0.1, 0.0), 0.3, 0.3), torch.hypot(u - 0.1, v) - 0.3
    )
    torch.testing.assert_close(
        things_shapes.capsule(u, v, (-9.0, 0.0), (9.0, 0.0), 0.2, 0.2), v.abs() - 0.2, atol=1e-6, rtol=0
    )
    inside = things_shapes.box(u, v, 0.0, 0.0, 0.5, 0.25) < 0
    assert torch.equal(inside, (u.abs() < 0.5) & (v.abs() < 0.25))
    area = (things_shapes.triangle(u, v, 0.0, 0.8, 0.5, -0.6) < 0).double().mean() * 4
    assert abs(area - 0.7) < 0.01  # half of base 1 times height 1.4
    assert torch.equal(things_shapes.ellipse(u, v, 0.0, 0.0, 0.5, 0.3) < 0, (u / 0.5).square() + (v / 0.3).square() < 1)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(InputError, match="things"):
        WORLD.render(torch.tensor([[len(KINDS)]]), generator=generator(0))
    with pytest.raises(InputError, match="size"):
        WORLD.draw(1, generator=generator(0), size=8)
