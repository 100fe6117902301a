"""What faces are made of: their colours, their measures, and the style that no attribute names.

Colours are RGB in 0 to 1, in the order of the ids of the attribute. Lengths are in halves of the picture's edge.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

HAIR = ((0.09, 0.08, 0.10), (0.49, 0.28, 0.11), (0.94, 0.77, 0.36), (0.74, 0.26, 0.08))
SKIN = ((1.00, 0.86, 0.77), (0.87, 0.65, 0.47), (0.62, 0.41, 0.28), (0.31, 0.19, 0.14))
SCENES = (
    ((0.62, 0.78, 0.90), (0.86, 0.92, 0.95)),
    ((0.70, 0.84, 0.70), (0.90, 0.94, 0.84)),
    ((0.93, 0.80, 0.66), (0.98, 0.92, 0.84)),
    ((0.76, 0.72, 0.88), (0.92, 0.88, 0.95)),
    ((0.60, 0.80, 0.80), (0.88, 0.94, 0.92)),
    ((0.86, 0.68, 0.72), (0.96, 0.88, 0.88)),
)
CLOTHES = (
    (0.20, 0.34, 0.62),
    (0.66, 0.20, 0.24),
    (0.22, 0.48, 0.36),
    (0.88, 0.88, 0.90),
    (0.25, 0.25, 0.30),
    (0.85, 0.62, 0.20),
)
EYES = ((0.22, 0.12, 0.06), (0.20, 0.42, 0.66), (0.22, 0.46, 0.26), (0.36, 0.36, 0.40))
FRAMES = ((0.05, 0.05, 0.06), (0.45, 0.06, 0.10), (0.08, 0.14, 0.45))
GREY = (0.82, 0.82, 0.84)
HEAD = (0.53, 0.67, 0.01)  # half its width, half its height, height of its middle
TURN = 0.52  # radians
SHIFTS = (0.07, 0.04)  # how far a head may be from its place, across and up
SCALES = ((0.90, 1.06), (0.93, 1.04))  # factors on its width and height


class Style(NamedTuple):
    """What no attribute names, one row for each face."""

    scene: Tensor  # (N,) int64 into SCENES
    clothes: Tensor  # (N,) int64 into CLOTHES
    iris: Tensor  # (N,) int64 into EYES
    frame: Tensor  # (N,) int64 into FRAMES
    corners: Tensor  # (N,) exponent of the lenses: 2 round, 5 nearly square
    shift: Tensor  # (N, 2) of the head's middle
    scale: Tensor  # (N, 2) of the head's width and height
    jaw: Tensor  # (N,) how much narrower the chin is
    yaw: Tensor  # (N,) radians on top of the turn
    features: Tensor  # (N, 10) in [-1, 1]: heights and sizes of eyes, brows, nose, mouth; see Painter
    parting: Tensor  # (N, 4) slope and height of the hairline, place and depth of the parting
    waves: Tensor  # (N, 4) phases and frequencies of the hair's texture
    tints: Tensor  # (N, 3, 3) added to the colours of skin, hair and clothes
    glow: Tensor  # (N, 3) x, y and radius of a pale disc behind


def draw_style(n: int, generator: torch.Generator) -> Style:
    """The styles of n faces."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    def one_of(options: tuple[object, ...]) -> Tensor:
        return torch.randint(0, len(options), (n,), generator=generator)

    return Style(
        scene=one_of(SCENES),
        clothes=one_of(CLOTHES),
        iris=one_of(EYES),
        frame=one_of(FRAMES),
        corners=uniform(2, 5),
        shift=torch.stack([uniform(-SHIFTS[0], SHIFTS[0]), uniform(-SHIFTS[1], SHIFTS[1])], -1),
        scale=torch.stack([uniform(*SCALES[0]), uniform(*SCALES[1])], -1),
        jaw=uniform(0.10, 0.30),
        yaw=uniform(-0.07, 0.07),
        features=uniform(-1, 1, 10),
        parting=torch.stack([uniform(-0.13, 0.13), uniform(-0.06, 0.04), uniform(-0.5, 0.5), uniform(0, 0.26)], -1),
        waves=torch.cat([uniform(0, 2 * math.pi, 2), uniform(0.85, 1.15, 2)], -1),
        tints=uniform(-0.02, 0.02, 3, 3),
        glow=torch.cat([uniform(-1, 1, 2), uniform(0.5, 0.9, 1)], -1),
    )
