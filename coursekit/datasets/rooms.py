"""Rooms: bedrooms in perspective whose windows have known boxes.

Shapes: N rooms, H = W = size, pictures (N, 3, H, W) float32 in [-1, 1]; labels (N, 7) int64 in the order of NAMES.

The room is a box seen through a pinhole. A point of it is (X, Y) in the plane of the back wall, relative to the
vanishing point, and its nearness q = (distance of the back wall) / (distance of the point), 1 on the back wall; the
picture shows it at vanishing point + q (X, Y). So floor, ceiling and side walls are what lies outside the back wall,
lines of depth run towards the vanishing point, and on the floor a pixel's q follows from its height alone.

Windows are painted before whatever could hide them and throw no light on anything else: two renderings of one seed,
with windows and without, differ only inside boxes().
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_at_least, require_generator
from coursekit.datasets.drawing import chunks
from coursekit.datasets.room_layout import BEDS, NAMES, WALLS, Style, draw_style, mirrored, windows
from coursekit.datasets.room_painting import Scene
from coursekit.datasets.world import Card, PictureWorld, Sample

__all__ = ["BEDS", "NAMES", "WALLS", "WORLD", "boxes"]


def boxes(labels: Tensor, *, generator: torch.Generator, size: int = 32) -> Tensor:
    """The windows' boxes (N, 2, 4) float32: x0, y0, x1, y1 in pixels, NaN for those that a room does not have.

    From a generator in the same state as for render() they are the boxes of those pictures: a pixel, which reaches
    from i to i + 1, shows part of a window only if it overlaps a box. A single window comes first.
    """
    require_generator(generator)
    require_at_least(16, size=size)
    WORLD.check(labels)
    return _boxes(labels, size, draw_style(len(labels), generator))


def _boxes(labels: Tensor, size: int, style: Style) -> Tensor:
    back, side = (window.box() for window in windows(labels, style))
    swapped = style.sideways.view(-1, 1) == 1
    found = torch.stack([torch.where(swapped, side, back), torch.where(swapped, back, side)], 1)
    left, top, right, bottom = found.unbind(-1)
    flipped = torch.stack([1 - right, top, 1 - left, bottom], -1)
    return torch.where(mirrored(labels).view(-1, 1, 1), flipped, found) * size


def _render(labels: Tensor, size: int, style: Style) -> Tensor:
    pictures = torch.empty(len(labels), 3, size, size)
    for part in chunks(len(labels), size):
        Scene(labels[part], Style(*(values[part] for values in style)), pictures[part]).paint()
    return pictures


@dataclass(frozen=True, kw_only=True)
class _Rooms(PictureWorld):
    def draw(self, n: int, *, generator: torch.Generator, size: int | None = None) -> Sample:
        """n fresh rooms; `more["boxes"]` (n, 2, 4) are those of boxes()."""
        labels = self.sample(n, generator=generator)
        size = self.sizes[0] if size is None else size
        require_at_least(16, size=size)
        style = draw_style(n, generator)
        return Sample(_render(labels, size, style), labels, more={"boxes": _boxes(labels, size, style)})


WORLD = _Rooms(
    name="rooms",
    card=Card(
        title="Rooms",
        shows="A bedroom in perspective: bed, bedside lamp, up to two windows, perhaps a picture on the wall.",
        stands_for="LSUN bedrooms, with the windows' boxes that the window-forgetting experiment of DCGAN drew by hand",
        style="point of view, proportions, place and view of the windows, curtains, timber, shades of floor, rug, brightness",
        limits="Every room is laid out alike: bed against one side wall, a window only in the back wall or in the other "
        "side wall. Light does not fall from a window into the room, so a network cannot learn that it would.",
    ),
    names=NAMES,
    sizes=(32, 64),
    rendering=lambda labels, size, generator: _render(labels, size, draw_style(len(labels), generator)),
)
