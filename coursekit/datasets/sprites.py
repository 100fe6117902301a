"""Sprites in motion: short films of one shape, whose motion is known.

Shapes: N films of T frames, H = W = size, (N, T, 3, H, W) float32 in [-1, 1]; labels (N, 5) int64 in the order of NAMES.

A sprite that leaves the picture on one side comes back on the other, except where it bounces.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_at_least, require_generator
from coursekit.datasets.canvas import CHUNK, Canvas
from coursekit.datasets.sprite_captions import NAMES, caption, explain, parse, unknown_words
from coursekit.datasets.world import Card, PictureWorld, Sample

__all__ = ["COLOURS", "FRAMES", "NAMES", "WORLD", "FilmWorld", "caption", "explain", "parse", "paths", "unknown_words"]

FRAMES = 8

COLOURS = {
    "red": (0.90, 0.14, 0.12),
    "yellow": (1.00, 0.84, 0.10),
    "green": (0.16, 0.66, 0.26),
    "blue": (0.18, 0.42, 0.96),
    "white": (0.98, 0.98, 0.98),
}
"""RGB in 0 to 1; the order is that of the colour ids."""

_SIZES = (0.24, 0.40)  # half the width of a small and of a large sprite
_STEPS = (0.13, 0.27)  # way of a slow and of a fast sprite from frame to frame; the picture is 2 wide
_ORBIT = 0.40  # radius of the circle: a slow sprite goes a third of it in eight frames
_PEAK = 0.65  # height of a bounce: in eight frames a slow sprite turns at the floor or at the peak
_SCENES = ((0.10, 0.11, 0.16), (0.20, 0.12, 0.22), (0.10, 0.20, 0.22), (0.26, 0.22, 0.18))


# ---------------------------------------------------------------- films


class _Style(NamedTuple):
    """What a caption never names, one row for each film."""

    scene: Tensor  # (N,) int64 into _SCENES
    start: Tensor  # (N, 2) where the sprite is at time 0
    phase: Tensor  # (N,) share of a turn or of a bounce that lies before the first frame
    lean: Tensor  # (N,) radians that the sprite is turned by
    pace: Tensor  # (N,) factor on the speed
    tints: Tensor  # (N, 3) added to the colour
    stars: Tensor  # (N, 6, 2) where the dim dots behind are


def _style(n: int, generator: torch.Generator) -> _Style:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    return _Style(
        scene=torch.randint(0, len(_SCENES), (n,), generator=generator),
        start=uniform(-0.55, 0.55, 2),
        phase=uniform(0, 1),
        lean=uniform(-0.2, 0.2),
        pace=uniform(0.92, 1.08),
        tints=uniform(-0.03, 0.03, 3),
        stars=uniform(-1, 1, 6, 2),
    )


def paths(labels: Tensor, style: _Style, frames: int) -> Tensor:
    """Where the sprites' middles are: (N, T, 2), x to the right and y upwards, before they are wrapped around."""
    _, _, motion, speed, size = labels.unbind(1)
    way = (torch.tensor(_STEPS)[speed] * style.pace).unsqueeze(1) * torch.arange(frames)  # (N, T)
    x, y = style.start.unsqueeze(1).unbind(2)
    turn = 2 * math.pi * style.phase.unsqueeze(1) + way / _ORBIT
    # One bounce lasts as long as its way up and down would take at the sprite's speed.
    beat = (style.phase.unsqueeze(1) + way / (2 * _PEAK)) % 1
    floor = -0.9 + torch.tensor(_SIZES)[size].unsqueeze(1)
    still = torch.zeros_like(way)
    routes = torch.stack(
        [
            torch.stack([x - way, y + still], -1),
            torch.stack([x + way, y + still], -1),
            torch.stack([x + still, y + way], -1),
            torch.stack([x + still, y - way], -1),
            torch.stack([_ORBIT * turn.cos() + 0.2 * x, _ORBIT * turn.sin() + 0.2 * y], -1),
            torch.stack([x + still, floor + 4 * _PEAK * beat * (1 - beat)], -1),
        ],
        1,
    )  # (N, motions, T, 2)
    return routes[torch.arange(len(labels)), motion]


def _render(labels: Tensor, size: int, generator: torch.Generator, frames: int) -> Tensor:
    """Films (N, T, 3, size, size) of the sprites (N, 5)."""
    style = _style(len(labels), generator)
    films = torch.empty(len(labels), frames, 3, size, size)
    chunk = max(1, CHUNK // frames)
    for first in range(0, len(labels), chunk):
        part = slice(first, first + chunk)
        _paint(labels[part], _Style(*(values[part] for values in style)), films[part])
    return films.clamp_(0, 1).mul_(2).sub_(1)


def _paint(labels: Tensor, style: _Style, films: Tensor) -> None:
    N, T = films.shape[:2]
    scene = torch.tensor(_SCENES)[style.scene]
    canvas = Canvas(films[:, 0])
    canvas.shade(scene + 0.06, scene - 0.04)
    for star in style.stars.unbind(1):
        canvas.cover(canvas.capsule(star, star, 0.035, 0.035), scene + 0.2)
    films[:, 1:] = films[:, :1]  # what is behind stands still
    colour = (torch.tensor(tuple(COLOURS.values()))[labels[:, 1]] + style.tints).clamp(0, 1)
    labels, lean, colour = (value.repeat_interleave(T, 0) for value in (labels, style.lean, colour))
    middle = paths(labels[::T], style, T).flatten(0, 1)
    canvas = Canvas(films.flatten(0, 1))
    reach = torch.tensor(_SIZES)[labels[:, 4]]
    # The picture is a torus of width 2: the difference is taken to the nearest copy of the sprite.
    n = (-1, 1, 1)
    x = (canvas.x - middle[:, 0].view(n) + 1) % 2 - 1
    y = (canvas.y - middle[:, 1].view(n) + 1) % 2 - 1
    cos, sin = lean.cos().view(n), lean.sin().view(n)
    x, y = x * cos + y * sin, y * cos - x * sin
    distance = torch.empty_like(x)
    for kind, shape in enumerate(_SHAPES):
        chosen = labels[:, 0] == kind
        distance[chosen] = shape(x[chosen], y[chosen], reach[chosen].view(n))
    canvas.outlined(distance * canvas.pixels, colour)


def _disc(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return (x.square() + y.square()).sqrt() - r


def _square(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - 0.88 * r


def _triangle(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """Equilateral, point upwards: bounded by three lines at the same distance from the middle."""
    side = x.abs() * math.cos(math.pi / 6) + (y + 0.2 * r) * math.sin(math.pi / 6)
    return torch.maximum(side, -(y + 0.2 * r)) - 0.62 * r


def _star(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """Five points, one upwards: a pentagram, folded into half of one point."""
    angle = torch.atan2(x, y)
    angle = (angle - (angle / (0.4 * math.pi)).round() * 0.4 * math.pi).abs()
    rho = (x.square() + y.square()).sqrt()
    # The edge from the tip (0, R) to the notch at angle pi / 5, radius 0.45 R; its normal points outwards.
    R = 1.2 * r
    notch = 0.45 * torch.tensor([math.cos(math.pi / 5), math.sin(math.pi / 5)])
    edge = notch - torch.tensor([1.0, 0.0])
    normal = torch.stack([edge[1], -edge[0]]) / edge.norm()
    distance: Tensor = (rho * angle.cos() - R) * normal[0] + rho * angle.sin() * normal[1]
    return distance


_SHAPES = (_disc, _square, _triangle, _star)


# ---------------------------------------------------------------- the world


@dataclass(frozen=True, kw_only=True)
class FilmWorld(PictureWorld):
    """A world of films: `render` and `draw` give (N, T, C, size, size), T = `frames` unless told otherwise."""

    frames: int = FRAMES
    rendering: Callable[[Tensor, int, torch.Generator, int], Tensor]  # type: ignore[assignment]
    """(labels (N, A), size, generator, frames) -> (N, T, C, size, size) in [-1, 1]."""

    def render(
        self, labels: Tensor, *, generator: torch.Generator, size: int | None = None, frames: int | None = None
    ) -> Tensor:
        """Films (N, T, C, size, size) of attributes (N, A); equal seeds give equal styles whatever the attributes or T."""
        size, frames = size or self.sizes[0], self.frames if frames is None else frames
        require_generator(generator)
        require_at_least(16, size=size)
        require_at_least(1, frames=frames)
        self.check(labels)
        return self.rendering(labels, size, generator, frames)

    def draw(self, n: int, *, generator: torch.Generator, size: int | None = None, frames: int | None = None) -> Sample:
        """n fresh films with their attributes and captions."""
        labels = self.sample(n, generator=generator)
        x = self.render(labels, generator=generator, size=size, frames=frames)
        return Sample(x, labels, captions=self.captions(labels, generator=generator))


WORLD = FilmWorld(
    name="sprites",
    card=Card(
        title="Sprites in motion",
        shows="Eight frames of one shape that moves in a known way, slowly or fast.",
        stands_for="Moving MNIST and other small films for video generation",
        style="Background and its dim dots; where the sprite starts, its lean, pace and tint.",
        limits="One sprite, a still background and a still camera; the sprite does not turn or change. Four directions, "
        "a circle and a bounce are all the motions there are.",
    ),
    names=NAMES,
    sizes=(32, 64),
    rendering=_render,
    captioning=lambda labels, generator: caption(labels, generator=generator),
)
