"""What the painters of the world `things` draw with: a canvas in a thing's own coordinates, and signed distances.

Distances are in units of a thing's radius, below 0 inside. Shapes: pictures (N, 3, H, W), everything about
places (N, H, W), a number of each picture (N, 1, 1).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Colour = Tensor | tuple[float, float, float]
Number = Tensor | float


class Canvas:
    """One chunk of pictures (N, 3, H, W) in 0 to 1, and what a painter needs to know."""

    def __init__(
        self, pictures: Tensor, u: Tensor, v: Tensor, radius: Tensor, scale: float, palette: Tensor, knobs: Tensor,
        grain: Tensor, mask: Tensor | None,
    ) -> None:  # fmt: skip
        self.pictures, self.u, self.v, self.grain, self.mask = pictures, u, v, grain, mask
        self.radius, self.pixels = radius, radius * scale
        """The unit of u and v in the picture's units, and in pixels: (N, H, W)."""
        self.a, self.b, self.c, self.d = palette.unbind(1)
        self.t = knobs.t().reshape(8, -1, 1, 1)
        self.scratch = torch.empty_like(u)

    def cover(self, distance: Tensor, colour: Colour, strength: Number = 1.0) -> None:
        """Lay a colour, (3,), (N, 3) or (N, 3, H, W), where the distance is below 0."""
        torch.mul(distance, self.pixels, out=self.scratch)
        coverage = self.scratch.neg_().add_(0.5).clamp_(0, 1)
        if not isinstance(strength, float) or strength != 1.0:
            coverage.mul_(strength)
        if self.mask is not None:
            coverage.mul_(self.mask)
        self.lay(coverage, colour)

    def lay(self, coverage: Tensor, colour: Colour) -> None:
        """Mix a colour in, as much as coverage (N, H, W) in 0 to 1 says."""
        if not isinstance(colour, Tensor):
            colour = torch.tensor(colour)
        if colour.dim() < 3:
            colour = colour.view(-1, 3, 1, 1)
        self.pictures.lerp_(colour.expand_as(self.pictures), coverage.unsqueeze(1))

    def outlined(self, distance: Tensor, colour: Tensor, width: float = 0.045) -> None:
        """Lay a colour with an edge around it that is darker, or lighter where the colour is nearly black."""
        dark = colour.mean(1, keepdim=True) < 0.22
        self.cover(distance - width, torch.where(dark, colour * 0.6 + 0.35, colour * 0.3))
        self.cover(distance, colour)

    def stroke(self, x: Tensor, y: Tensor, line: Tensor, colour: Tensor, pixels: float) -> None:
        """A straight line of the background, in the picture's own frame: `line` (N, 6) holds two ends, half width, chance."""
        ax, ay, bx, by, r, chance = line.view(-1, 6, 1, 1).unbind(1)
        distance = capsule(x, y, (ax, ay), (bx, by), r, r)
        self.lay((0.5 - distance * pixels).clamp_(0, 1).mul_(chance < 0.4), colour)


def disc(u: Tensor, v: Tensor, x: Number, y: Number, r: Number) -> Tensor:
    """Distance to a disc."""
    return ((u - x).square_() + (v - y).square_()).sqrt_() - r


def ellipse(u: Tensor, v: Tensor, x: Number, y: Number, a: float, b: float) -> Tensor:
    """About the distance to an ellipse: exact sign, and exact length along the shorter axis."""
    return (((u - x) / a).square_() + ((v - y) / b).square_()).sqrt_().sub_(1).mul_(min(a, b))


def box(u: Tensor, v: Tensor, x: Number, y: Number, a: Number, b: Number, r: float = 0.0) -> Tensor:
    """Distance to a box of half edges a, b with corners rounded by r (a mitred one outside, where r = 0)."""
    du, dv = (u - x).abs_().sub_(a), (v - y).abs_().sub_(b)
    if r == 0.0:
        return torch.maximum(du, dv)
    du, dv = du.add_(r), dv.add_(r)
    return torch.maximum(du, dv).clamp_(max=0) + (du.clamp(min=0).square_() + dv.clamp(min=0).square_()).sqrt_() - r


def capsule(u: Tensor, v: Tensor, a: tuple[Number, Number], b: tuple[Number, Number], r: Number, R: Number) -> Tensor:
    """About the distance to the points around the segment from a, radius r, to b, radius R."""
    du, dv = b[0] - a[0], b[1] - a[1]
    squared = du * du + dv * dv + 1e-9
    x, y = u - a[0], v - a[1]
    foot = ((x * (du / squared)) + (y * (dv / squared))).clamp_(0, 1)
    distance = (x - foot * du).square_().add_((y - foot * dv).square_()).sqrt_()
    return distance - (r + (R - r) * foot)


def triangle(u: Tensor, v: Tensor, x: float, top: float, half: float, low: float) -> Tensor:
    """Distance (on the flanks) to a triangle standing on v = low, its tip at (x, top)."""
    height = top - low
    length = math.hypot(height, half)
    return torch.maximum(((u - x).abs_() * height + (v - top) * half) / length, low - v)


def scatter(i: Tensor, j: Tensor, k: float) -> Tensor:
    """A number in [0, 1) for each cell (i, j) that looks random."""
    value = (i * 12.9898 + j * 78.233 + k * 37.719).sin_().mul_(43758.547)
    return value - value.floor()


def mix(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Colours (N, 3) and share (N, H, W) -> (N, 3, H, W)."""
    return torch.lerp(a[:, :, None, None], b[:, :, None, None], share.unsqueeze(1))


def tinted(colour: Tensor, towards: tuple[float, float, float], share: float) -> Tensor:
    """A colour (N, 3) drawn towards another."""
    return colour * (1 - share) + torch.tensor(towards) * share
