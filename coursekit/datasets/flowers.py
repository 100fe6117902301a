"""Flowers: pictures whose attributes are known, and captions that name them.

Shapes: N flowers, H = W = size, pictures (N, 3, H, W) float32 in [-1, 1]; labels (N, 6) int64 in the order of NAMES.

The petals of a flower are alike, so the plane around its centre is folded into the sector of one petal: one distance
draws them all, however many there are. A seam marks where two of them meet.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.datasets.canvas import CHUNK, Canvas
from coursekit.datasets.flower_captions import NAMES, caption, explain, parse, unknown_words
from coursekit.datasets.world import Card, PictureWorld

__all__ = ["COLOURS", "NAMES", "WORLD", "caption", "explain", "parse", "unknown_words"]

COLOURS = {
    "red": (0.86, 0.10, 0.12),
    "orange": (0.98, 0.52, 0.06),
    "yellow": (0.99, 0.87, 0.12),
    "pink": (0.98, 0.56, 0.76),
    "purple": (0.50, 0.18, 0.68),
    "blue": (0.16, 0.38, 0.92),
    "white": (0.99, 0.99, 0.99),
    "brown": (0.42, 0.24, 0.10),
    "green": (0.30, 0.66, 0.16),
}
"""RGB in 0 to 1."""

_COUNTS = (4.0, 6.0, 11.0)
_SIZES = (0.54, 0.80)  # reach of the petals of a small and of a large flower
# Round, pointed, thin: where the axis of a petal begins and ends, and its half widths there, in units of the reach.
_AXES = ((0.30, 0.72), (0.42, 1.0), (0.20, 0.95))
_WIDTHS = ((0.12, 0.28), (0.32, 0.0), (0.11, 0.08))
# More petals are narrower: half widths for four, six and many, relative to those above.
_NARROWER = ((1.25, 1.0, 0.68), (1.1, 0.9, 0.62), (1.2, 1.1, 0.85))
_STEM = (0.16, 0.46, 0.16)
# Pale, so that no petal's colour can be taken for a background: top, bottom.
_SCENES = (
    ((0.70, 0.84, 0.95), (0.86, 0.92, 0.84)),
    ((0.84, 0.90, 0.78), (0.72, 0.84, 0.66)),
    ((0.93, 0.88, 0.80), (0.80, 0.84, 0.72)),
    ((0.86, 0.83, 0.92), (0.76, 0.82, 0.76)),
)


class _Style(NamedTuple):
    """What a caption never names, one row for each flower."""

    scene: Tensor  # (N,) int64 into _SCENES
    turn: Tensor  # (N,) share of a sector that the petals are turned by
    squash: Tensor  # (N,) height of the head over its width: it is seen slightly from the side
    lean: Tensor  # (N,) radians, the direction of the squash
    place: Tensor  # (N, 2) of the head
    scale: Tensor  # (N,) factor on the size
    foot: Tensor  # (N,) x of the stem at the bottom
    middle: Tensor  # (N,) factor on the radius of the centre
    tints: Tensor  # (N, 2, 3) added to the colours of petals and centre
    blobs: Tensor  # (N, 3, 3) x, y, radius of the pale discs behind


def _style(n: int, generator: torch.Generator) -> _Style:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    return _Style(
        scene=torch.randint(0, len(_SCENES), (n,), generator=generator),
        turn=uniform(0, 1),
        squash=uniform(0.86, 1.0),
        lean=uniform(-1.5, 1.5),
        place=torch.cat([uniform(-0.1, 0.1, 1), uniform(0.06, 0.14, 1)], 1),
        scale=uniform(0.95, 1.05),
        foot=uniform(-0.35, 0.35),
        middle=uniform(0.92, 1.08),
        tints=uniform(-0.03, 0.03, 2, 3),
        blobs=torch.cat([uniform(-1, 1, 3, 2), uniform(0.2, 0.5, 3, 1)], -1),
    )


def _render(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Pictures (N, 3, size, size) of the flowers (N, 6)."""
    style = _style(len(labels), generator)
    pictures = torch.empty(len(labels), 3, size, size)
    for start in range(0, len(labels), CHUNK):
        part = slice(start, start + CHUNK)
        _Scene(labels[part], _Style(*(values[part] for values in style)), pictures[part]).paint()
    return pictures.clamp_(0, 1).mul_(2).sub_(1)


class _Scene(Canvas):
    """One chunk of pictures, painted back to front."""

    def __init__(self, labels: Tensor, style: _Style, pictures: Tensor) -> None:
        super().__init__(pictures)
        self.labels, self.style = dict(zip(NAMES, labels.unbind(1), strict=True)), style
        self.reach = torch.tensor(_SIZES)[self.labels["size"]] * style.scale

    def paint(self) -> None:
        style = self.style
        top, bottom = torch.tensor(_SCENES)[style.scene].unbind(1)
        self.shade(top, bottom)
        for blob in style.blobs.unbind(1):
            soft = self.capsule(blob[:, :2], blob[:, :2], blob[:, 2], blob[:, 2]) / (0.1 * self.pixels)
            self.cover(soft, (top + bottom) / 2 * 0.5 + 0.5)
        self._stem()
        petal, centre = (
            (torch.tensor([COLOURS[value] for value in NAMES[name]])[self.labels[name]] + tint).clamp(0, 1)
            for name, tint in zip(("petal", "centre"), style.tints.unbind(1), strict=True)
        )
        self._petals(petal)
        radius = (0.11 + 0.13 * self.reach) * style.middle
        self.outlined(self.capsule(style.place, style.place, radius, radius), centre)

    def _stem(self) -> None:
        """A stem from the head to the bottom, with two leaves or none."""
        style, green = self.style, torch.tensor(_STEM).expand(len(self.pictures), 3)
        foot = torch.stack([style.foot, torch.full_like(style.foot, -1.1)], 1)
        self.cover(self.capsule(style.place, foot, 0.045, 0.045), green)
        knot = style.place + 0.76 * (foot - style.place)
        for side, lift in ((-1.0, 0.14), (1.0, 0.20)):
            tip = knot + torch.tensor([side * 0.5, lift])
            near = knot + torch.tensor([side * 0.2, 0.3 * lift])
            leaf = torch.minimum(self.capsule(knot, near, 0.02, 0.11), self.capsule(near, tip, 0.11, 0.0))
            shown = self.labels["stem"] == 1
            self.cover(leaf, green * 0.5, shown)
            self.cover(leaf + self.line, green + 0.12, shown)

    def _petals(self, colour: Tensor) -> None:
        style, shape, count = self.style, self.labels["shape"], self.labels["petals"]
        n = (-1, 1, 1)
        k = torch.tensor(_COUNTS)[count].view(n)
        x, y = self.x - style.place[:, 0].view(n), self.y - style.place[:, 1].view(n)
        cos, sin = style.lean.cos().view(n), style.lean.sin().view(n)
        x, y = x * cos + y * sin, (y * cos - x * sin) / style.squash.view(n)
        # The head's own polar coordinates, the angle folded into one sector: 0 on the axis of a petal.
        rho = (x.square() + y.square()).sqrt_()
        sector = 2 * math.pi / k
        angle = torch.atan2(y, x).sub_(style.turn.view(n) * sector)
        angle = angle.sub_((angle / sector).round_() * sector)
        along, across = rho * angle.cos(), rho * angle.sin()
        start, end = (torch.tensor(_AXES)[shape] * self.reach.unsqueeze(1)).unbind(1)
        narrower = torch.tensor(_NARROWER)[shape, count]
        r, R = (torch.tensor(_WIDTHS)[shape] * (self.reach * narrower).unsqueeze(1)).unbind(1)
        foot = ((along - start.view(n)) / (end - start).view(n)).clamp_(0, 1)
        beside = (along - start.view(n) - foot * (end - start).view(n)).square_().add_(across.square_()).sqrt_()
        petal = (beside - r.view(n) - foot * (R - r).view(n)) * self.pixels
        # A thinner, lighter outline than the canvas's own: it must leave something of a thin petal.
        self.cover(petal, colour * 0.6)
        self.cover(petal + 0.6 * self.line, colour)
        # Half of it on both sides of the sector's edge, where the petals touch.
        seam = (sector / 2 - angle.abs_()).sin_().mul_(rho).mul_(self.pixels)
        self.cover(torch.maximum(seam - 0.3 * self.line, petal + 0.5), colour * 0.6)


WORLD = PictureWorld(
    name="flowers",
    card=Card(
        title="Flowers",
        shows="One flower on a stem: colours of petals and centre, the petals' shape and number, size, leaves or none.",
        stands_for="Oxford 102 Flowers with the captions of Reed et al. 2016",
        style="Background; turn, lean and place of the head; the stem's slant; tints; the width of the centre.",
        limits="One flower, seen nearly from the front, with one ring of petals of one colour; there is no texture, no "
        "bud and no species. Attributes are independent and uniform, as no garden's are.",
    ),
    names=NAMES,
    sizes=(32, 64),
    rendering=_render,
    captioning=lambda labels, generator: caption(labels, generator=generator),
)
