"""Scenes: two things and their relation, with captions that tell them and the boxes that they lie in.

    batch = WORLD.draw(64, generator=generator(0))             # pictures, labels, captions, more["boxes"]
    layout = arrange(batch.labels, generator=generator(1))     # the same things in other places: Layout
    x = paint(layout, generator=generator(2), size=64)         # any layout, of any number of things, as a picture

Shapes: N scenes of K things, pictures (N, 3, H, W) float32 in [-1, 1], H = W = size; labels (N, 7) int64 in the order of NAMES.
Boxes (N, K, 4) are x0, y0, x1, y1 as shares of the picture's edge, y downwards, so that one layout serves at every size.
Thing 1 is the left or the upper one. Everything else (the exact places, tints, the background) is style, drawn
from the generator in a fixed number of draws: equal seeds give equal styles whatever the labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_at_least, require_generator
from coursekit.datasets.canvas import CHUNK, Canvas
from coursekit.datasets.scene_captions import (
    COLOURS as _COLOURS,
)
from coursekit.datasets.scene_captions import (
    FORMS,
    NAMES,
    RELATIONS,
    SHAPES,
    Told,
    caption,
    facts,
    inverse,
    parse,
    read,
)
from coursekit.datasets.world import Card, PictureWorld, Sample
from coursekit.errors import InputError

__all__ = [
    "COLOURS", "FORMS", "NAMES", "RELATIONS", "SHAPES", "WORLD", "Layout", "Told", "arrange", "caption", "completed", "facts",
    "inverse", "paint", "parse", "read",
]  # fmt: skip

COLOURS = dict(zip(
    _COLOURS,
    ((0.86, 0.12, 0.12), (0.97, 0.78, 0.05), (0.10, 0.56, 0.22), (0.13, 0.36, 0.90), (0.55, 0.16, 0.66), (0.08, 0.08, 0.10)),
    strict=True,
))  # fmt: skip
"""RGB in 0 to 1; the order is that of the colour ids."""

_SIDES = (0.22, 0.36)  # edge of the box of a small and of a large thing, as shares of the picture's
# Pale, so that no thing's colour can be taken for a background: top, bottom.
_GROUNDS = (
    ((0.94, 0.94, 0.93), (0.94, 0.94, 0.93)),
    ((0.80, 0.87, 0.94), (0.93, 0.95, 0.96)),
    ((0.95, 0.90, 0.84), (0.86, 0.82, 0.78)),
    ((0.84, 0.91, 0.84), (0.94, 0.95, 0.90)),
    ((0.90, 0.86, 0.92), (0.84, 0.84, 0.88)),
)


@dataclass(frozen=True, eq=False)
class Layout:
    """What lies where: N scenes of K things. Its len() is N."""

    shape: Tensor
    """(N, K) int64 ids into SHAPES; -1 where a scene has fewer things."""
    colour: Tensor
    """(N, K) int64 ids into COLOURS."""
    box: Tensor
    """(N, K, 4) float32: x0, y0, x1, y1, shares of the edge, y downwards."""

    def __len__(self) -> int:
        return len(self.shape)

    def take(self, index: Tensor | slice) -> Layout:
        """The scenes at an index, a mask or a slice."""
        return Layout(self.shape[index], self.colour[index], self.box[index])

    def labels(self) -> Tensor:
        """(N, 7) int64: the labels of a layout of two things. A box is small or large by its mean edge, the things stand
        side by side or one above the other by the larger distance of their middles."""
        if self.shape.shape[1] != 2 or bool((self.shape < 0).any()):
            raise InputError.of(
                "things", got=tuple(self.shape.shape), expected="two in each scene", do="Leave one out."
            )
        middle = (self.box[..., :2] + self.box[..., 2:]) / 2
        apart = middle[:, 1] - middle[:, 0]
        upright = apart[:, 1].abs() > apart[:, 0].abs()
        swapped = torch.where(upright, apart[:, 1], apart[:, 0]) < 0
        edge = (self.box[..., 2:] - self.box[..., :2]).mean(-1)
        things = torch.stack([self.shape, self.colour, (edge > sum(_SIDES) / 2).long()], -1)  # (N, 2, 3)
        things = torch.where(swapped.view(-1, 1, 1), things.flip(1), things)
        return torch.cat([things.flatten(1), upright.long().unsqueeze(1)], 1)


def sample(n: int, generator: torch.Generator) -> Tensor:
    """(n, 7) labels: independent and uniform, but that the two things never have the same colour."""
    counts = [len(values) for values in NAMES.values()]
    labels = torch.stack([torch.randint(count, (n,), generator=generator) for count in counts], 1)
    other = torch.randint(1, len(COLOURS), (n,), generator=generator)
    labels[:, 4] = (labels[:, 1] + other) % len(COLOURS)
    return labels


def completed(told: Tensor, *, generator: torch.Generator) -> Tensor:
    """(N, 7) labels that agree with what is told, the unsaid (-1) filled in at random."""
    require_generator(generator)
    filled = sample(len(told), generator)
    clash = torch.where(told[:, 4] >= 0, told[:, 4] == filled[:, 1], told[:, 1] == filled[:, 4])
    filled[:, 1] = torch.where(clash, (filled[:, 1] + 1) % len(COLOURS), filled[:, 1])
    filled[:, 4] = torch.where(clash, (filled[:, 4] + 1) % len(COLOURS), filled[:, 4])
    return torch.where(told >= 0, told, filled)


def arrange(labels: Tensor, *, generator: torch.Generator) -> Layout:
    """Places for the things of (N, 7) labels: no two overlap, none leaves the picture, the relation is plain to see.

    From a generator in the same state as for WORLD.render() it is the layout of those pictures.
    """
    require_generator(generator)
    WORLD.check(labels)
    n = len(labels)

    def uniform(reach: float, *shape: int) -> Tensor:
        return reach * (2 * torch.rand(n, *shape, generator=generator) - 1)

    # Along the axis of the relation the middles are 0.42 to 0.54 apart, across it at most 0.14.
    along = torch.tensor([-0.24, 0.24]) + uniform(0.03, 2) + uniform(0.025, 1)
    across = uniform(0.07, 2) + uniform(0.11, 1)
    edge = torch.tensor(_SIDES)[labels[:, [2, 5]]] * (1 + uniform(0.05, 2))
    upright = (labels[:, 6] == 1).unsqueeze(1)
    middle = 0.5 + torch.stack([torch.where(upright, across, along), torch.where(upright, along, across)], -1)
    half = edge.unsqueeze(-1) / 2
    return Layout(labels[:, [0, 3]], labels[:, [1, 4]], torch.cat([middle - half, middle + half], -1))


def paint(layout: Layout, *, size: int = 32, generator: torch.Generator) -> Tensor:
    """Pictures (N, 3, size, size) in [-1, 1] of a layout, later things over earlier ones; background and tints are drawn."""
    require_at_least(16, size=size)
    require_generator(generator)
    n, k = layout.shape.shape
    if layout.colour.shape != (n, k) or layout.box.shape != (n, k, 4):
        raise InputError.of(
            "a layout", got=[tuple(t.shape) for t in (layout.shape, layout.colour, layout.box)],
            expected="shape (N, K), colour (N, K), box (N, K, 4)", do="Make one with arrange(labels, generator=...).",
        )  # fmt: skip
    ground = torch.randint(len(_GROUNDS), (n,), generator=generator)
    shade = 0.03 * (2 * torch.rand(n, 3, generator=generator) - 1)
    tints = 0.05 * (2 * torch.rand(n, k, 3, generator=generator) - 1)
    pictures = torch.empty(n, 3, size, size)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        canvas, some = _Things(pictures[part]), layout.take(part)
        top, bottom = (torch.tensor(_GROUNDS)[ground[part]] + shade[part].unsqueeze(1)).unbind(1)
        canvas.shade(top, bottom)
        for i in range(k):
            canvas.thing(some.shape[:, i], some.colour[:, i], some.box[:, i], tints[part, i])
    return pictures.clamp_(0, 1).mul_(2).sub_(1)


class _Things(Canvas):
    """One chunk of pictures."""

    def thing(self, shape: Tensor, colour: Tensor, box: Tensor, tint: Tensor) -> None:
        """Lay one thing over each picture, as large as its box (N, 4)."""
        x0, y0, x1, y1 = (2 * box - 1).view(-1, 4, 1, 1).unbind(1)
        wide, high = ((b - a).div(2).clamp(min=1e-3) for a, b in ((x0, x1), (y0, y1)))
        # In the box's own frame, [-1, 1] both ways; distances there are brought back by the shorter half.
        u, v = (self.x - (x0 + x1) / 2).div(wide).abs(), (self.y + (y0 + y1) / 2) / high
        rho = (u.square() + v.square()).sqrt()
        found = torch.stack([
            rho - 1,
            torch.maximum(u, v.abs()) - 1,
            torch.maximum(-v - 1, (2 * u + v - 1) / math.sqrt(5)),
            (rho - 0.74).abs() - 0.26,
        ])  # fmt: skip
        distance = found[shape.clamp(min=0), torch.arange(len(shape))] * torch.minimum(wide, high) * self.pixels
        paints = (torch.tensor(tuple(COLOURS.values()))[colour.clamp(min=0)] + tint).clamp(0, 1)
        self.cover(distance, paints, shape >= 0)


def _render(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    return paint(arrange(labels, generator=generator), size=size, generator=generator)


@dataclass(frozen=True, kw_only=True)
class _Scenes(PictureWorld):
    def draw(self, n: int, *, generator: torch.Generator, size: int | None = None) -> Sample:
        """n fresh scenes with captions; `more["boxes"]` (n, 2, 4) are those of thing 1 and thing 2."""
        labels = self.sample(n, generator=generator)
        layout = arrange(labels, generator=generator)
        x = paint(layout, size=self.sizes[0] if size is None else size, generator=generator)
        return Sample(x, labels, captions=self.captions(labels, generator=generator), more={"boxes": layout.box})


WORLD = _Scenes(
    name="scenes",
    card=Card(
        title="Scenes",
        shows="Two things on a pale ground, each with a shape, a colour and a size; one left of the other, or above it.",
        stands_for="MS COCO with its captions: several objects, and how they are related",
        style="The exact places within the relation, tints, the ground and its shading.",
        limits="Flat shapes of two sizes that never overlap, always two, never of one colour; four relations, never "
        "between. Nothing has a likely place or partner, as everything in a photograph has, so a model cannot guess.",
    ),
    names=NAMES,
    sizes=(32, 64),
    sampling=sample,
    rendering=_render,
    captioning=lambda labels, generator: caption(labels, generator=generator),
)
