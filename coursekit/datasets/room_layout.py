"""Where things are in a rendered bedroom; see coursekit.datasets.rooms."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.datasets.drawing import Draws, Number

# Walls are pale and beds are not, so that neither can be taken for the other.
WALLS = {
    "white": (0.94, 0.93, 0.91),
    "yellow": (0.97, 0.89, 0.55),
    "green": (0.68, 0.85, 0.64),
    "blue": (0.46, 0.63, 0.88),
    "pink": (0.97, 0.74, 0.78),
}
BEDS = {
    "red": (0.80, 0.10, 0.13),
    "orange": (0.97, 0.52, 0.08),
    "green": (0.06, 0.46, 0.22),
    "blue": (0.12, 0.24, 0.72),
    "purple": (0.47, 0.16, 0.58),
}
"""RGB in 0 to 1; the order is that of the ids."""

NAMES: dict[str, tuple[str, ...]] = {
    "wall": tuple(WALLS),
    "floor": ("wood", "tiles", "carpet"),
    "bed": tuple(BEDS),
    "side": ("left", "right"),
    "windows": ("none", "one", "two"),
    "lamp": ("off", "on"),
    "picture": ("none", "one"),
}
"""Side is where the bed stands; the other half of the back wall and the other side wall can have a window."""
COLUMN = {name: k for k, name in enumerate(NAMES)}

# What the style picks from: RGB in 0 to 1.
WOODS = ((0.66, 0.42, 0.22), (0.55, 0.33, 0.17), (0.76, 0.54, 0.31))
CARPETS = ((0.55, 0.52, 0.55), (0.48, 0.53, 0.60), (0.62, 0.54, 0.50))
TIMBER = ((0.36, 0.21, 0.12), (0.62, 0.44, 0.28), (0.86, 0.84, 0.80))
SKIES = (((0.45, 0.74, 1.00), (0.85, 0.95, 1.00)), ((0.70, 0.84, 0.95), (0.93, 0.96, 0.98)))
CURTAINS = ((0.85, 0.62, 0.38), (0.52, 0.60, 0.74), (0.74, 0.46, 0.40))
ARTS = (
    ((0.95, 0.80, 0.25), (0.85, 0.25, 0.20)),
    ((0.20, 0.55, 0.70), (0.95, 0.93, 0.85)),
    ((0.15, 0.15, 0.20), (0.90, 0.55, 0.30)),
)

# Places in the room with the bed on the left: X from -1 (left wall) to 1, Y from -1 (ceiling) over 0 (eye) to 1 (floor).
BED = (-0.95, -0.16)  # X of its sides
TABLE = (-0.06, 0.18)  # X of the bedside table's
FREE = (0.30, 0.94)  # X where the back wall can have a window
FAR = 6.0  # a nearness that lies outside the picture


class Style(NamedTuple):
    """What no attribute names, one row for each room; the bed on the left, else all of it is mirrored."""

    eye: Tensor  # (N, 2) the vanishing point
    half: Tensor  # (N,) half the width of the back wall
    rise: Tensor  # (N,) from the eye up to the ceiling, on the back wall
    drop: Tensor  # (N,) down to the floor
    inset: Tensor  # (N, 2) share of the free wall left of and right of the window in the back wall
    sill: Tensor  # (N, 2) Y of the windows' top and bottom
    depth: Tensor  # (N, 2) nearness of the far and of the near edge of the window in the side wall
    sideways: Tensor  # (N,) int64, 1: where there is one window, it is in the side wall
    sky: Tensor  # (N,) int64 into SKIES
    hill: Tensor  # (N,) height of the green outside, share of the window
    curtain: Tensor  # (N,) int64 into CURTAINS
    drawn: Tensor  # (N,) share of a window that a curtain hides on each side
    wood: Tensor  # (N,) int64 into WOODS
    carpet: Tensor  # (N,) int64 into CARPETS
    phase: Tensor  # (N,) of planks and tiles, in periods
    rug: Tensor  # (N,) bool
    timber: Tensor  # (N,) int64 into TIMBER
    bed: Tensor  # (N, 3) Y of the headboard's top and of the mattress, nearness of the foot
    art: Tensor  # (N,) int64 into ARTS
    frame: Tensor  # (N, 2) X of the middle and half the width of the picture on the wall
    tint: Tensor  # (N, 2, 3) added to wall and bed
    light: Tensor  # (N,) brightness of the whole
    stains: Tensor  # (N, 6, 6) smooth noise


def draw_style(n: int, generator: torch.Generator) -> Style:
    draws = Draws(n, generator)
    uniform, integer = draws.uniform, draws.integer

    def columns(*ranges: tuple[float, float]) -> Tensor:
        return torch.stack([uniform(*bounds) for bounds in ranges], 1)

    return Style(
        eye=columns((0.43, 0.50), (0.345, 0.38)),
        half=uniform(0.27, 0.31),
        rise=uniform(0.23, 0.28),
        drop=uniform(0.27, 0.31),
        inset=uniform(0.0, 0.10, 2),
        sill=columns((-0.80, -0.68), (0.24, 0.42)),
        depth=columns((1.10, 1.15), (1.46, 1.54)),
        sideways=draws.chance(0.4).long(),
        sky=integer(len(SKIES)),
        hill=uniform(0.15, 0.40),
        curtain=integer(len(CURTAINS)),
        drawn=uniform(0.10, 0.24) * draws.chance(0.6),
        wood=integer(len(WOODS)),
        carpet=integer(len(CARPETS)),
        phase=uniform(0, 1),
        rug=draws.chance(0.4),
        timber=integer(len(TIMBER)),
        bed=columns((0.05, 0.25), (0.58, 0.66), (1.65, 1.95)),
        art=integer(len(ARTS)),
        frame=columns((-0.60, -0.50), (0.24, 0.30)),
        tint=uniform(-0.025, 0.025, 2, 3),
        light=uniform(0.86, 1.0),
        stains=uniform(-1, 1, 6, 6),
    )


def at(style: Style, x: Number, y: Number, q: Number = 1.0) -> tuple[Tensor, Tensor]:
    """Where the picture shows (X, Y) at nearness q."""
    y = torch.as_tensor(y)
    height = torch.where(y < 0, y * style.rise, y * style.drop)
    return style.eye[:, 0] + x * style.half * q, style.eye[:, 1] + height * q


class Window(NamedTuple):
    """Upright at both sides; its top and bottom may be slanted. All (N,), in the frame."""

    left: Tensor
    right: Tensor
    tops: tuple[Tensor, Tensor]  # at its left and at its right
    bottoms: tuple[Tensor, Tensor]
    shown: Tensor  # bool

    def box(self) -> Tensor:
        """(N, 4), NaN where it is not shown."""
        edges = (self.left, torch.minimum(*self.tops), self.right, torch.maximum(*self.bottoms))
        return torch.stack(edges, 1).masked_fill(~self.shown.unsqueeze(1), torch.nan)


def windows(labels: Tensor, style: Style) -> tuple[Window, Window]:
    """Those of the back wall and of the side wall."""
    count = labels[:, COLUMN["windows"]]
    high, low = style.sill.unbind(1)
    span = FREE[1] - FREE[0]
    left, top = at(style, FREE[0] + style.inset[:, 0] * span, high)
    right, bottom = at(style, FREE[1] - style.inset[:, 1] * span, low)
    back = Window(left, right, (top, top), (bottom, bottom), (count == 2) | ((count == 1) & (style.sideways == 0)))
    (left, far), (right, near) = (at(style, 1.0, high, q) for q in style.depth.unbind(1))
    (_, floor_far), (_, floor_near) = (at(style, 1.0, low, q) for q in style.depth.unbind(1))
    shown = (count == 2) | ((count == 1) & (style.sideways == 1))
    return back, Window(left, right, (far, near), (floor_far, floor_near), shown)


def mirrored(labels: Tensor) -> Tensor:
    """(N,) bool: those with the bed on the right."""
    return labels[:, COLUMN["side"]] == 1
