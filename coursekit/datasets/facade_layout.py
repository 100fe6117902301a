"""What there is in a rendered facade, and its style; see coursekit.datasets.facades."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.datasets.drawing import Draws

NAMES: dict[str, tuple[str, ...]] = {
    "storeys": ("two", "three", "four"),
    "bays": ("two", "three", "four"),
    "wall": ("brick", "sandstone", "plaster", "stone"),
    "roof": ("flat", "gabled"),
    "door": ("left", "right"),
    "shop": ("none", "shop"),
    "balconies": ("none", "some"),
}

CLASSES: dict[str, tuple[float, float, float]] = {
    "background": (0.00, 0.00, 0.55),
    "wall": (0.00, 0.10, 1.00),
    "window": (0.00, 0.60, 1.00),
    "door": (0.15, 1.00, 0.85),
    "balcony": (0.55, 1.00, 0.40),
    "cornice": (1.00, 0.95, 0.00),
    "shop": (1.00, 0.50, 0.00),
    "roof": (0.95, 0.05, 0.00),
    "street": (0.50, 0.00, 0.00),
    "sandstone wall": (0.35, 0.35, 1.00),
    "plaster wall": (0.60, 0.55, 1.00),
    "stone wall": (0.00, 0.35, 0.70),
}
"""Class -> its colour on a map, RGB in 0 to 1; the id of a class is its position. Ids 9 to 11 occur only with
`material`, where "wall" is left for brick. From dark blue to dark red, as in the CMP facade data."""

ID = {name: k for k, name in enumerate(CLASSES)}

# What the style picks from: RGB in 0 to 1.
SKIES = (
    ((0.36, 0.60, 0.92), (0.80, 0.90, 0.98)),
    ((0.62, 0.70, 0.80), (0.88, 0.90, 0.92)),
    ((0.55, 0.62, 0.86), (0.98, 0.84, 0.72)),
)
DOORS = ((0.16, 0.36, 0.24), (0.45, 0.15, 0.12), (0.36, 0.22, 0.12), (0.16, 0.22, 0.42))
ROOFS = ((0.58, 0.26, 0.18), (0.33, 0.34, 0.40), (0.46, 0.32, 0.24))
AWNINGS = ((0.78, 0.16, 0.16), (0.14, 0.46, 0.34), (0.16, 0.30, 0.62))
CURTAINS = ((0.93, 0.90, 0.83), (0.80, 0.66, 0.52))


class Style(NamedTuple):
    """What no attribute names, one row for each facade. The first block is in the map, the second is not."""

    left: Tensor  # (N,) edges of the wall
    right: Tensor
    top: Tensor
    street: Tensor  # (N,) y of the pavement
    window: Tensor  # (N, 2) width and height of the windows, shares of bay and storey
    ground: Tensor  # (N,) height of the ground floor, in other storeys
    ridge: Tensor  # (N,) height of the gable
    rails: Tensor  # (N,) 0 to 1: which storey has balconies
    every: Tensor  # (N,) bool: a balcony at each bay, else one along the storey

    sky: Tensor  # (N,) int64 each
    paint: Tensor
    tiles: Tensor
    awning: Tensor
    curtain: Tensor
    drawn: Tensor  # (N, 4, 4) bool: curtains of the window in storey and bay
    light: Tensor  # (N,) -1 to 1: the side that the light comes from, and how much
    shine: Tensor  # (N,) where the reflections in the glass lie
    tint: Tensor  # (N, 3) added to the wall
    stains: Tensor  # (N, 7, 7) smooth noise
    clouds: Tensor  # (N, 6, 6)


def draw_style(n: int, generator: torch.Generator) -> Style:
    draws = Draws(n, generator)
    uniform, integer = draws.uniform, draws.integer
    return Style(
        left=uniform(0.05, 0.12),
        right=uniform(0.88, 0.95),
        top=uniform(0.16, 0.20),
        street=uniform(0.91, 0.94),
        window=torch.stack([uniform(0.48, 0.60), uniform(0.52, 0.62)], 1),
        ground=uniform(1.10, 1.25),
        ridge=uniform(0.11, 0.15),
        rails=uniform(0, 1),
        every=draws.chance(0.5),
        sky=integer(len(SKIES)),
        paint=integer(len(DOORS)),
        tiles=integer(len(ROOFS)),
        awning=integer(len(AWNINGS)),
        curtain=integer(len(CURTAINS)),
        drawn=draws.chance(0.4, 4, 4),
        light=uniform(-1, 1),
        shine=uniform(0, 1),
        tint=uniform(-0.03, 0.03, 3),
        stains=uniform(-1, 1, 7, 7),
        clouds=uniform(-1, 1, 6, 6),
    )
