"""A canvas for the rendered worlds: shapes as distances in pixels, laid over one another with smooth edges.

Shapes: N pictures (N, C, H, W) in [0, 1], H = W = size. Their frame is [-1, 1] both ways, x to the right, y upwards. A
shape is the distance in pixels (N, H, W) to its edge, below 0 inside; a pixel's coverage is that distance, clamped.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 64
"""Pictures to be painted at a time: their pixels stay in the processor's cache."""


class Canvas:
    """Pictures that are painted in place, back to front."""

    def __init__(self, pictures: Tensor) -> None:
        self.pictures = pictures
        size = pictures.shape[-1]
        self.pixels = size / 2  # per unit of length
        centres = (torch.arange(size) + 0.5) / self.pixels - 1
        self.x, self.y = centres.view(1, 1, size), -centres.view(1, size, 1)
        self.line = max(0.75, 0.04 * self.pixels)  # width of the outlines, pixels

    def capsule(self, a: Tensor, b: Tensor, r: Tensor | float, R: Tensor | float) -> Tensor:
        """Distance in pixels (N, H, W) to the capsule from a (N, 2), radius r, to b, radius R; < 0 inside.

        Measured at right angles to the segment: exact where r = R; on the flanks of a part that tapers with
        half angle A too long by the factor 1 / cos A, at most 1.1 here. The zero line is exact.
        """
        a, b = a * self.pixels, b * self.pixels
        x, y = self.x * self.pixels, self.y * self.pixels
        along = b - a
        squared = along.square().sum(1).clamp(min=1e-6).view(-1, 1, 1)
        ax, ay = a[:, 0].view(-1, 1, 1), a[:, 1].view(-1, 1, 1)
        ux, uy = (along / squared.view(-1, 1)).view(-1, 2, 1, 1).unbind(1)
        # The pixel p is nearest to a + foot (b - a), where foot is t = (p - a)(b - a) / |b - a|^2, clamped,
        # and |p - a - foot (b - a)|^2 = |p - a|^2 + (foot - 2 t) foot |b - a|^2.
        t = (x - ax) * ux + (y - ay) * uy
        foot = t.clamp(0, 1)
        distance = t.mul_(-2).add_(foot).mul_(foot).mul_(squared)
        distance.add_((x - ax).square() + (y - ay).square()).clamp_(min=0).sqrt_()
        r = torch.as_tensor(r * self.pixels).view(-1, 1, 1)
        R = torch.as_tensor(R * self.pixels).view(-1, 1, 1)
        return distance.sub_(foot.mul_(R - r)).sub_(r)

    def cover(self, distance: Tensor, colour: Tensor, shown: Tensor | None = None) -> None:
        """Lay a colour (N, 3) or (3,) where the distance is below 0, in pictures that are `shown` (N,)."""
        coverage = (0.5 - distance).clamp_(0, 1)
        if shown is not None:
            coverage.mul_(shown.view(-1, 1, 1))
        self.pictures.lerp_(colour.view(-1, 3, 1, 1).expand_as(self.pictures), coverage.unsqueeze(1))

    def outlined(self, distance: Tensor, colour: Tensor) -> None:
        """Lay a colour with an outline: darker than the colour, or lighter where that is nearly black."""
        dark = colour.mean(1, keepdim=True) < 0.2
        self.cover(distance, torch.where(dark, colour + 0.22, colour * 0.4))
        self.cover(distance + self.line, colour)

    def shade(self, top: Tensor, bottom: Tensor) -> None:
        """Fill the pictures from the colour (N, 3) at the top evenly to that at the bottom."""
        share = ((self.y + 1) / 2).view(1, 1, -1, 1)
        self.pictures.copy_(top.view(-1, 3, 1, 1) * share + bottom.view(-1, 3, 1, 1) * (1 - share))
