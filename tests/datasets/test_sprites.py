"""Sprites: their motion is measured in the films, by the middle of what is bright, not by the paths that drew them."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import Tensor

from coursekit.datasets import sprites
from coursekit.errors import InputError
from coursekit.runtime import generator, threads

WORLD = sprites.WORLD
PLAIN = {"shape": "disc", "colour": "white", "motion": "left", "speed": "slow", "size": "small"}


def films(n: int = 20, frames: int = 8, pixels: int = 64, **changes: str) -> Tensor:
    """n films of one sprite in n styles."""
    return WORLD.render(WORLD.labels([PLAIN | changes] * n), generator=generator(3), size=pixels, frames=frames)


def middles(x: Tensor) -> Tensor:
    """(N, T, 2): the middle of the bright pixels of a white sprite, as the mean angle on the torus; x right, y up."""
    size = x.shape[-1]
    bright = (x.mean(2) > 0.4).double()  # (N, T, H, W); what is behind is dark
    angle = ((torch.arange(size) + 0.5) / size * 2 - 1).double() * math.pi
    found = []
    for mass in (bright.sum(2), bright.sum(3).flip(2)):
        found.append(torch.atan2((mass * angle.sin()).sum(2), (mass * angle.cos()).sum(2)) / math.pi)
    return torch.stack(found, 2)


def steps(x: Tensor) -> Tensor:
    """(N, T-1, 2): the shortest way from frame to frame on the torus of width 2."""
    return (middles(x).diff(dim=1) + 1) % 2 - 1


@pytest.mark.parametrize(("speed", "way"), [("slow", 0.13), ("fast", 0.27)])
@pytest.mark.parametrize(
    ("motion", "direction"), [("left", (-1, 0)), ("right", (1, 0)), ("up", (0, 1)), ("down", (0, -1))]
)
@pytest.mark.parametrize("shape", sprites.NAMES["shape"])
def test_straight_motions_go_their_way_at_their_speed(
    motion: str, direction, speed: str, way: float, shape: str
) -> None:
    """The pace differs from film to film by 8 percent, and a middle is known to about half a pixel, 1/64."""
    moved = steps(films(motion=motion, speed=speed, shape=shape))
    expected = torch.tensor(direction) * way
    assert (moved - expected).abs().max() < 0.08 * way + 0.02
    assert (moved.mean(1) - expected).abs().max() < 0.08 * way + 0.003


@pytest.mark.parametrize(("speed", "way"), [("slow", 0.13), ("fast", 0.27)])
def test_round_is_anticlockwise_on_a_circle(speed: str, way: float) -> None:
    where = middles(films(motion="round", speed=speed, frames=32))
    chords = where.diff(dim=1)
    # On a circle every chord is the one before, turned by the same angle; anticlockwise: to the left.
    a, b = chords[:, :-1], chords[:, 1:]
    turn = torch.atan2(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], (a * b).sum(-1))
    assert (turn.mean(1) * 0.40 / way - 1).abs().max() < 0.1
    assert turn.min() > 0


@pytest.mark.parametrize(("speed", "way"), [("slow", 0.13), ("fast", 0.27)])
def test_a_bounce_falls_evenly_faster_and_turns_at_the_floor(speed: str, way: float) -> None:
    where = middles(films(motion="bounce", speed=speed, frames=40))
    assert where[..., 0].std(1).max() < 0.01  # straight up and down
    height = where[..., 1]
    floor = -0.9 + 0.24
    # No frame need show the peak itself: the nearest lies within an eighth of a bounce, at most 0.04 below it.
    assert (height.amax(1) - floor - 0.65).abs().max() < 0.06 and height.min() > floor - 0.02
    bends = height.diff(dim=1).diff(dim=1)
    gravity = bends.median(1).values
    # h = 4 P b (1 - b), b the share of a bounce: the second difference is -8 P (way / 2 P)^2, and the pace squared.
    assert (gravity / (-2 * way**2 / 0.65) - 1).abs().max() < 0.25
    assert (bends.amax(1) > 0.1).all()  # thrown upwards at the floor


def test_slow_and_fast_films_differ_in_nothing_else() -> None:
    """Two films of one style begin at the same place."""
    for motion in sprites.NAMES["motion"]:
        slow, fast = (films(motion=motion, speed=speed) for speed in ("slow", "fast"))
        assert torch.equal(slow[:, 0], fast[:, 0]) and not torch.equal(slow[:, 1], fast[:, 1])


def test_a_longer_film_begins_as_the_shorter_one() -> None:
    labels = WORLD.sample(20, generator=generator(0))
    long, short = (WORLD.render(labels, generator=generator(1), frames=frames) for frames in (12, 5))
    assert long.shape == (20, 12, 3, 32, 32)
    # Fewer films fit into a chunk of a longer one; floats may round otherwise.
    assert torch.allclose(long[:, :5], short, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("disc", math.pi),
        ("square", 4 * 0.88**2),
        ("triangle", 3 * math.sqrt(3) * 0.62**2),  # of inradius 0.62
        ("star", 5 * 1.2**2 * 0.45 * math.sin(math.pi / 5)),  # ten triangles of sides R and 0.45 R
    ],
)
def test_shapes_have_the_areas_of_their_closed_forms(shape: str, area: float) -> None:
    t = (torch.arange(800) + 0.5) / 400 - 1
    inside = sprites._SHAPES[sprites.NAMES["shape"].index(shape)](t.view(1, -1), t.view(-1, 1), torch.tensor(0.6)) < 0
    assert float(inside.double().mean()) * 4 == pytest.approx(area * 0.36, rel=0.005)


@pytest.mark.parametrize("colour", sprites.COLOURS)
def test_the_colour_shows_in_every_frame(colour: str) -> None:
    wanted = torch.tensor(sprites.COLOURS[colour]).view(3, 1, 1) * 2 - 1
    for shape in sprites.NAMES["shape"]:
        x = films(colour=colour, pixels=32, shape=shape, motion="round")
        assert ((x - wanted).abs().amax(2) < 0.3).sum((2, 3)).min() >= 3, shape


def test_a_large_sprite_covers_more() -> None:
    for shape in sprites.NAMES["shape"]:
        small, large = ((films(shape=shape, size=size).mean(2) > 0.4).sum((1, 2, 3)) for size in ("small", "large"))
        assert (large > 2 * small).all()


@pytest.mark.parametrize("frames", [0, -1, 2.5])
def test_a_bad_number_of_frames_is_named(frames) -> None:
    with pytest.raises(InputError, match=r"^`frames`: got"):
        WORLD.draw(2, generator=generator(0), frames=frames)


def test_five_thousand_frames_a_second_on_one_core() -> None:
    """Processor time, the best of five: other work on the machine does not count."""
    labels = WORLD.sample(128, generator=generator(0))
    seconds = []
    with threads(1):
        for _ in range(5):
            start = time.process_time()
            WORLD.render(labels, generator=generator(1))
            seconds.append(time.process_time() - start)
    assert 128 * sprites.FRAMES / min(seconds) >= 5000
