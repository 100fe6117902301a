"""Things: pictures of eyes, feathers, scales, buses and the like; a world to train a network that is worth dreaming with.

    batch = WORLD.draw(64, generator=generator(0))      # x (64, 3, 64, 64) in [-1, 1], labels (64, 1) int64

One attribute, `thing`. All else is style: colours, background, clutter, light, place, scale, turn, one instance or
several, and eight knobs in [0, 1) that each painter of things_shapes reads in its own way. The style is drawn in a fixed
number of draws, before any label is looked at: equal seeds give equal styles whatever the things.

A picture's frame is [-1, 1] both ways, y upwards. Several instances cost no more than one: each pixel belongs to the instance
whose centre is nearest, measured in that instance's radius, and the thing is painted once, in coordinates that
differ from pixel to pixel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit.datasets.things_canvas import Canvas
from coursekit.datasets.things_shapes import PAINTERS, Painter
from coursekit.datasets.world import Card, PictureWorld

NAMES = {"thing": tuple(PAINTERS)}
"""The names of the classes, in the order of their ids."""

_SLOTS = 4  # the most instances in a picture
_CHUNK = 48  # pictures of a kind that are painted at a time: their pixels stay in the processor's cache
_STROKES = 3
_GRIDS = ((4, 3, 0.55), (8, 3, 0.45), (16, 1, 0.4), (32, 1, 0.4))
"""Edge, channels and weight of the noise grids: about the same power in every octave, like photographs (1/f)."""


class _Style(NamedTuple):
    """What is not the thing, one row for each picture."""

    centres: Tensor  # (N, 4, 2)
    radii: Tensor  # (N, 4): the thing fits a disc of this radius; 1e-3 where there is no instance
    angles: Tensor  # (N, 4) in [-1, 1]: share of the turn that a painter allows
    mirror: Tensor  # (N, 4) -1 or 1
    patch: Tensor  # (N,) bool: a texture covers discs; else all of the picture
    palette: Tensor  # (N, 4, 3) RGB in 0 to 1
    knobs: Tensor  # (N, 8) in [0, 1)
    ground: Tensor  # (N, 2, 3) colours of the background's two ends
    slope: Tensor  # (N, 2) the direction from one to the other
    clutter: Tensor  # (N,) amplitude of the noise in the background
    light: Tensor  # (N,) amplitude of the noise over everything
    strokes: Tensor  # (N, 3, 6): two ends, half width, chance of showing
    grids: tuple[Tensor, ...]  # of (N, C, h, h), standard uniform around 0


def _palette(hue: Tensor, grey: Tensor, value: Tensor) -> Tensor:
    """(...,) each in [0, 1) -> RGB (..., 3) in 0 to 1; `grey` 1 has no colour at all."""
    wheel = (hue.unsqueeze(-1) + torch.tensor([0.0, 2 / 3, 1 / 3])) * 6
    pure = (torch.remainder(wheel, 6) - 3).abs().sub(1).clamp(0, 1)
    return (pure * (1 - grey.unsqueeze(-1)) + 0.8 * grey.unsqueeze(-1)) * value.unsqueeze(-1)


def _dull(noise: Tensor) -> Tensor:
    """(N, C, h, h) with its channels drawn towards their mean, so that grey prevails."""
    return noise if noise.shape[1] == 1 else noise * 0.4 + noise.mean(1, keepdim=True) * 1.1


def _style(n: int, generator: torch.Generator) -> _Style:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    several = uniform(0, 1) < 0.4
    count = torch.where(several, 2 + (uniform(0, 3)).long(), 1)
    first = uniform(0, 2 * math.pi)
    around = first.unsqueeze(1) + torch.arange(_SLOTS) * torch.where(
        count == 3, 2 * math.pi / 3, math.pi / 2
    ).unsqueeze(1)
    around = torch.where((count == 2).unsqueeze(1), first.unsqueeze(1) + torch.arange(_SLOTS) * math.pi, around)
    ring = torch.stack([around.cos(), around.sin()], -1) * uniform(0.52, 0.66, _SLOTS, 1)
    alone = uniform(-1, 1, 1, 2)
    big, small = uniform(0.55, 1.0, 1), uniform(0.38, 0.5, _SLOTS)
    used = torch.arange(_SLOTS) < count.unsqueeze(1)
    radii = torch.where(several.unsqueeze(1), small, big)
    # Alone, a thing may leave the picture by a fifth of its radius.
    centres = torch.where(several.view(-1, 1, 1), ring, alone * (1.12 - big).clamp(min=0.12).unsqueeze(-1))
    hue, grey, value = uniform(0, 1, 6), uniform(0, 1, 6).square(), 0.25 + 0.75 * uniform(0, 1, 6)
    grey[:, 4:] = grey[:, 4:].pow(0.2)  # backgrounds are mostly dull, as in photographs
    # The thing's first colour and its second differ in lightness, so that its own pattern can be seen.
    swap = uniform(0, 1) < 0.5
    value[:, 0] = torch.where(swap, 0.75 + 0.25 * value[:, 0], 0.2 + 0.3 * value[:, 0])
    value[:, 1] = torch.where(swap, 0.15 + 0.3 * value[:, 1], 0.78 + 0.22 * value[:, 1])
    colours = _palette(hue, grey, value)
    return _Style(
        centres=centres,
        radii=torch.where(used, radii, 1e-3),
        angles=uniform(-1, 1, _SLOTS),
        mirror=torch.where(uniform(0, 1, _SLOTS) < 0.5, -1.0, 1.0),
        patch=uniform(0, 1) < 0.5,
        palette=colours[:, :4],
        knobs=uniform(0, 1, 8),
        ground=colours[:, 4:],
        slope=uniform(-0.5, 0.5, 2),
        clutter=0.9 * uniform(0, 1).square() + 0.03,
        light=0.03 + 0.22 * uniform(0, 1).square(),
        strokes=torch.cat(
            [uniform(-1.2, 1.2, _STROKES, 4), uniform(0.02, 0.16, _STROKES, 1), uniform(0, 1, _STROKES, 1)], -1
        ),
        grids=tuple(_dull(torch.rand(n, c, h, h, generator=generator) - 0.5) for h, c, _ in _GRIDS),
    )


def render(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Pictures (N, 3, size, size) float32 in [-1, 1] of the things labels (N, 1), each in a style of its own."""
    n = len(labels)
    style = _style(n, generator)
    pictures = torch.empty(n, 3, size, size)
    for kind, painter in enumerate(PAINTERS.values()):
        rows = (labels[:, 0] == kind).nonzero()[:, 0]
        for part in rows.split(_CHUNK) if len(rows) else ():
            pictures[part] = _paint(painter, _taken(style, part), size)
    return pictures.clamp_(0, 1).mul_(2).sub_(1)


def _taken(style: _Style, rows: Tensor) -> _Style:
    """The style of some pictures."""
    values = {name: value[rows] for name, value in style._asdict().items() if name != "grids"}
    return _Style(**values, grids=tuple(grid[rows] for grid in style.grids))


def _paint(painter: Painter, style: _Style, size: int) -> Tensor:
    """One chunk of one kind, back to front, in 0 to 1."""
    middles = (torch.arange(size) + 0.5) * (2 / size) - 1
    x, y = middles.view(1, 1, size), -middles.view(1, size, 1)
    noise = [F.interpolate(g, size=(size, size), mode="bilinear") * w for g, (_, _, w) in zip(style.grids, _GRIDS)]
    coarse, fine = noise[0] + noise[1], noise[2] + noise[3]
    share = (x * style.slope[:, :1, None] + y * style.slope[:, 1:, None] + 0.5).clamp_(0, 1).unsqueeze(1)
    one, other = style.ground[:, 0, :, None, None], style.ground[:, 1, :, None, None]
    pictures = torch.lerp(one, other, share)
    pictures.add_((coarse + fine).mul_(style.clutter.view(-1, 1, 1, 1)))
    u, v, radius, mask = _places(style, x, y, painter.turn, painter.texture)
    canvas = Canvas(pictures, u, v, radius, size / 2, style.palette, style.knobs, fine[:, 0], mask)
    for k in range(_STROKES):
        canvas.stroke(x, y, style.strokes[:, k], style.palette[:, (k + 1) % 4].flip(-1), size / 2)
    painter.paint(canvas)
    return pictures.mul_(1 + (coarse + 0.6 * fine) * style.light.view(-1, 1, 1, 1) * 2)


def _places(
    style: _Style, x: Tensor, y: Tensor, turn: float, texture: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The thing's own coordinates u, v (N, H, W) in which it fits the unit disc, its radius there, and a texture's mask.

    A thing is turned by at most `turn` radians either way.
    """
    n, size = len(style.radii), x.shape[-1]
    cx, cy = style.centres[:, :, None, None].unbind(-1)  # each (N, 4, 1, 1)
    away = (x[:, None] - cx).square() + (y[:, None] - cy).square()
    away.mul_(style.radii.pow(-2)[:, :, None, None])
    if texture:  # the first instance fills pictures that are no patches
        away[:, 0].mul_(style.patch.float().view(-1, 1, 1))
    nearest, index = away.min(1)
    angle = style.angles * turn
    scale = 1 / style.radii
    cos, sin = angle.cos() * scale * style.mirror, angle.sin() * scale
    table = torch.stack(
        [style.centres[..., 0], style.centres[..., 1], cos, sin, style.radii, style.mirror], 1
    )  # (N, 6, 4)
    at = table.gather(2, index.view(n, 1, -1).expand(-1, 6, -1)).view(n, 6, size, size)
    dx, dy = x - at[:, 0], y - at[:, 1]
    cos, sin, mirror = at[:, 2], at[:, 3], at[:, 5]
    u = dx * cos + dy * sin * mirror
    v = dy * cos * mirror - dx * sin
    mask = (0.5 + (1 - nearest.sqrt_()) * at[:, 4] * (size / 2)).clamp_(0, 1) if texture else None
    return u, v, at[:, 4], mask


WORLD = PictureWorld(
    name="things",
    card=Card(
        title="Things",
        shows="One kind of thing, once or up to four times, before a background of colour, noise and strokes.",
        stands_for="ImageNet, as the world of a network to attack, to invert and to dream with",
        style="colours, background, clutter, light, place, scale, turn, number of instances, details of each kind",
        limits="Drawn by formulas: no photograph is in it, and a network trained on it reads photographs badly. "
        "One kind in each picture.",
    ),
    names=NAMES,
    sizes=(64, 32, 96),
    rendering=render,
)
