"""Shapes for worlds that are painted back to front: how much of each pixel a shape covers, and paint.

The frame: x to the right and y downwards, both 0 to 1 across the picture; a pixel is 1 / size wide. A shape's
*coverage* (N, H, W), or anything that broadcasts to it, is the share of each pixel inside, so that edges are smooth
at every size. Upright boxes are exact, also below a pixel's width; for other shapes it is the signed distance in
pixels from the edge, plus one half, clamped.

Numbers of a shape may be floats or tensors (N,): one value for each picture of the chunk.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import overload

import torch
from torch import Tensor

CHUNK = 128 * 32 * 32
"""Pixels drawn at a time: few enough for the processor's cache, enough to be worth the calls."""

Number = Tensor | float
Point = tuple[Number, Number]


def chunks(n: int, size: int) -> Iterator[slice]:
    """Slices of about CHUNK pixels that run through n pictures."""
    step = max(1, CHUNK // size**2)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


class Draws:
    """Style numbers, n rows at a time, in a fixed order."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n, self.generator = n, generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """(n, *shape), evenly from low to high."""
        return low + (high - low) * torch.rand(self.n, *shape, generator=self.generator)

    def integer(self, count: int, *shape: int) -> Tensor:
        """(n, *shape) int64 from 0 to count - 1."""
        return torch.randint(count, (self.n, *shape), generator=self.generator)

    def chance(self, share: float, *shape: int) -> Tensor:
        """(n, *shape) bool."""
        return self.uniform(0, 1, *shape) < share


@overload
def column(value: Tensor) -> Tensor: ...
@overload
def column(value: float) -> float: ...
@overload
def column(value: Number) -> Number: ...
def column(value: Number) -> Number:
    """A number for each picture, in a shape (N, 1, 1) that broadcasts over its pixels; others stay as they are."""
    return value.view(-1, 1, 1) if isinstance(value, Tensor) and value.dim() == 1 else value


def colours(value: Tensor) -> Tensor:
    """A colour (N, 3) or (3,), in a shape that broadcasts over pictures."""
    return value.view(-1, 3, 1, 1)


def union(*coverages: Tensor) -> Tensor:
    """The largest coverage: shapes of one colour that are laid as one."""
    together = coverages[0]
    for coverage in coverages[1:]:
        together = torch.maximum(together, coverage)
    return together


class Easel:
    """Pictures (N, 3, S, S) in 0 to 1 under the brush, changed in place.

    x (1, 1, S) and y (1, S, 1) are the centres of the pixels in the frame; `pixels` is S.
    """

    def __init__(self, pictures: Tensor, rows: slice = slice(None)) -> None:
        self.pictures, self.pixels = pictures[:, :, rows], pictures.shape[-1]
        centres = (torch.arange(self.pixels) + 0.5) / self.pixels
        self.x, self.y = centres.view(1, 1, -1), centres[rows].view(1, -1, 1)

    def band(self, top: float, bottom: float) -> Easel:
        """The same pictures between two heights, to save work on what is painted nowhere else; of a whole easel only."""
        return Easel(self.pictures, slice(int(top * self.pixels), math.ceil(bottom * self.pixels)))

    # -- coverage

    def soft(self, distance: Tensor, blur: float = 0.0) -> Tensor:
        """Coverage of a signed distance in the frame's unit, < 0 inside; `blur` widens the edge, same unit."""
        return (0.5 - distance * (self.pixels / (1 + blur * self.pixels))).clamp_(0, 1)

    def across(self, left: Number, right: Number) -> Tensor:
        """Coverage (N, 1, W) of left <= x <= right."""
        return self.slab(self.x, left, right)

    def down(self, top: Number, bottom: Number) -> Tensor:
        """Coverage (N, H, 1) of top <= y <= bottom."""
        return self.slab(self.y, top, bottom)

    def box(self, left: Number, top: Number, right: Number, bottom: Number) -> Tensor:
        """Coverage of an upright box."""
        return self.across(left, right) * self.down(top, bottom)

    def slab(self, centres: Tensor, low: Number, high: Number) -> Tensor:
        """The share of the pixels with these centres, along one axis, between low and high."""
        low, high = column(low), column(high)
        half = 0.5 / self.pixels
        end = torch.minimum(centres + half, torch.as_tensor(high))
        start = torch.maximum(centres - half, torch.as_tensor(low))
        return ((end - start) * self.pixels).clamp_(0, 1)

    def right_of(self, a: Point, b: Point) -> Tensor:
        """Signed distance to the line from a to b, < 0 on the right hand of one who walks from a to b."""
        (ax, ay), (bx, by) = ((column(x), column(y)) for x, y in (a, b))
        dx, dy = torch.as_tensor(bx - ax), torch.as_tensor(by - ay)
        length = torch.hypot(dx, dy).clamp(min=1e-6)
        return (self.x - ax) * (dy / length) - (self.y - ay) * (dx / length)

    def polygon(self, *corners: Point) -> Tensor:
        """Coverage of a convex polygon, its corners clockwise on the screen."""
        distance = self.right_of(corners[-1], corners[0])
        for a, b in itertools.pairwise(corners):
            distance = torch.maximum(distance, self.right_of(a, b))
        return self.soft(distance)

    def ellipse(self, x: Number, y: Number, rx: Number, ry: Number, *, blur: float = 0.0) -> Tensor:
        """Coverage of an upright ellipse. The distance is (|p| - 1) min(rx, ry), with p in radii: exact for a disc."""
        x, y, rx, ry = (torch.as_tensor(column(value)) for value in (x, y, rx, ry))
        reach = (((self.x - x) / rx).square() + ((self.y - y) / ry).square()).sqrt_()
        return self.soft((reach - 1) * torch.minimum(rx, ry), blur)

    def spire(self, x: Number, top: Number, bottom: Number, half: Number) -> Tensor:
        """Coverage of an upright isosceles triangle with its tip at (x, top) and a base 2 half wide at `bottom`."""
        x, top, bottom, half = (torch.as_tensor(column(value)) for value in (x, top, bottom, half))
        length = torch.hypot(bottom - top, half)
        beyond = (self.x - x).abs() * ((bottom - top) / length) - (self.y - top) * (half / length)
        return self.soft(beyond).mul_(self.down(top, bottom))

    def under(self, height: Tensor) -> Tensor:
        """Coverage of what lies below a skyline y = height (N, W), right for slanted stretches, too."""
        slope = torch.gradient(height, dim=-1)[0] * self.pixels
        distance = (height.unsqueeze(1) - self.y) * (1 + slope.square()).rsqrt().unsqueeze(1)
        return self.soft(distance)

    def mottle(self, lattice: Tensor) -> Tensor:
        """Smooth noise (N, S, S): values (N, K, K) on a lattice over the frame, joined by cosine steps."""
        count = lattice.shape[-1]
        return self._weights(self.y, count) @ lattice @ self._weights(self.x, count).T

    def line(self, knots: Tensor) -> Tensor:
        """Smooth noise (N, S) along x: values (N, K) on knots over the frame, joined by cosine steps."""
        return knots @ self._weights(self.x, knots.shape[-1]).T

    @staticmethod
    def _weights(centres: Tensor, count: int) -> Tensor:
        """(S, K) share of each knot in each pixel."""
        gap = (centres.view(-1, 1) * (count - 1) - torch.arange(count)).abs().clamp(max=1)
        return 0.5 + 0.5 * (gap * torch.pi).cos()

    # -- paint

    def fill(self, coverage: Tensor, colour: Tensor, shown: Tensor | None = None) -> None:
        """Lay a colour (N, 3), (3,) or (N, 3, H, W), in pictures that are `shown` (N,): bool, or opacity 0 to 1."""
        if shown is not None:
            coverage = coverage * shown.view(-1, 1, 1)
        colour = colour if colour.dim() == 4 else colours(colour)
        self.pictures.lerp_(colour.expand_as(self.pictures), coverage.unsqueeze(1))

    def shade(self, coverage: Tensor, amount: Number) -> None:
        """Darken by the share `amount` where covered."""
        self.pictures.mul_((1 - coverage * column(amount)).unsqueeze(1))

    def glow(self, coverage: Tensor, colour: Tensor, shown: Tensor | None = None) -> None:
        """Add light of a colour."""
        if shown is not None:
            coverage = coverage * shown.view(-1, 1, 1)
        self.pictures.addcmul_(coverage.unsqueeze(1), colours(colour))

    def finish(self) -> None:
        """From 0 .. 1 to -1 .. 1."""
        self.pictures.clamp_(0, 1).mul_(2).sub_(1)
