"""Points in the plane from distributions whose density and modes are known: for GANs one can see through.

Shapes: N points (N, 2) float32, K modes. Labels (N, 1) int64: the mode that each point belongs to.

Every world is a skeleton of points or curves, blurred by a Gaussian of standard deviation sigma::

    ring      8 Gaussians on the circle of radius 1
    grid      5 x 5 Gaussians on the square from -1 to 1
    moons     two half circles, one holding the end of the other
    spiral    two arms that wind around each other
    pinwheel  5 long Gaussians, twisted the more, the further out

For a curve, which has no modes, its equal pieces take their place: a generator that covers them all covers the curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from coursekit.datasets.arguments import require_at_least, require_generator
from coursekit.datasets.world import Card, Sample, World
from coursekit.errors import InputError

_CHUNK = 1024  # points whose density is taken at a time: bounds the memory, whatever N


@dataclass(frozen=True, kw_only=True)
class PointWorld(World):
    """A world of points (N, 2): an even mixture of K blurred pieces of curves, perhaps twisted around the origin.

    A mode that is a single point is the special case of a curve that stands still.
    """

    curve: Callable[[Tensor, Tensor], Tensor]
    """(piece (M,) int64, share (M,) in [0, 1]) -> (M, 2): a point of the skeleton."""
    sigma: float | tuple[float, float]
    """Standard deviation of the blur, in all directions, or along x and y before the turn of the pieces."""
    turns: Tensor = field(default_factory=lambda: torch.zeros(1))
    """(K,) radians that the pieces, blur included, are turned by around the origin."""
    twist: float = 0.0
    """Radians by which a point at distance 1 is turned further than the origin's neighbourhood."""
    nodes: int = 1
    """Gauss-Legendre nodes for each piece in `log_prob`; 1 where a piece is a point, and the density a closed form.
    Those of the curves below are enough for an error under 1e-6 near the curve."""

    def modes(self) -> Tensor:
        """(K, 2): the modes; for a curve the middles of its K pieces."""
        piece = torch.arange(self.pieces)
        return self._place(self.curve(piece, torch.full((self.pieces,), 0.5)), piece)

    @property
    def pieces(self) -> int:
        """K."""
        return len(self.names["mode"])

    @property
    def spread(self) -> float:
        """The largest standard deviation of the blur: a point within 3 of it counts as near its mode."""
        return max(self.sigma) if isinstance(self.sigma, tuple) else self.sigma

    def draw(self, n: int, *, generator: torch.Generator) -> Sample:
        """n points with the modes they belong to; all modes are equally likely."""
        require_at_least(1, n=n)
        require_generator(generator)
        piece = torch.randint(0, self.pieces, (n,), generator=generator)
        share = torch.rand(n, generator=generator)
        blur = torch.randn(n, 2, generator=generator) * torch.as_tensor(self.sigma)
        return Sample(self._place(self.curve(piece, share) + blur, piece), piece.unsqueeze(1))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density (N,) float64 at the points (N, 2): exact for Gaussians, by quadrature along curves."""
        if not isinstance(x, Tensor) or x.dim() != 2 or x.shape[1] != 2 or not x.is_floating_point():
            raise InputError.of(
                "`x`", got=f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else x,
                expected="points (N, 2), float", do="Pass points of the plane.",
            )  # fmt: skip
        return torch.cat([self._log_prob(part) for part in x.double().split(_CHUNK)])

    def _log_prob(self, x: Tensor) -> Tensor:
        abscissas, weights = np.polynomial.legendre.leggauss(self.nodes)
        share = torch.as_tensor((abscissas + 1) / 2).repeat(self.pieces)
        piece = torch.arange(self.pieces).repeat_interleave(self.nodes)
        # The twist turns circles in themselves and so keeps areas: the density is that of the untwisted point.
        x = _turned(x, -self.twist * x.norm(dim=1))
        back = -self.turns.double().expand(self.pieces)[piece]
        x = _turned(x.unsqueeze(1).expand(-1, len(piece), 2), back)  # (N, K nodes, 2), each in its piece's own frame
        sigma = torch.as_tensor(self.sigma, dtype=torch.float64).expand(2)
        exponent = -0.5 * ((x - self.curve(piece, share).double()) / sigma).square().sum(-1)
        weight = torch.as_tensor(weights / 2 / self.pieces).repeat(self.pieces).log()
        return torch.logsumexp(exponent + weight, 1) - math.log(2 * math.pi) - sigma.log().sum()

    def _place(self, points: Tensor, piece: Tensor) -> Tensor:
        """Points (N, 2) of the pieces' own frames, turned and twisted."""
        points = _turned(points, self.turns.expand(self.pieces)[piece])
        return _turned(points, self.twist * points.norm(dim=1))


def _turned(points: Tensor, angle: Tensor) -> Tensor:
    """Points (..., 2), turned around the origin by angles that broadcast to (...)."""
    cos, sin = angle.cos(), angle.sin()
    x, y = points.unbind(-1)
    return torch.stack([x * cos - y * sin, x * sin + y * cos], -1)


def _ring(piece: Tensor, share: Tensor) -> Tensor:
    angle = piece * (2 * math.pi / 8)
    return torch.stack([angle.cos(), angle.sin()], -1).to(share.dtype)


def _grid(piece: Tensor, share: Tensor) -> Tensor:
    return torch.stack([piece % 5, piece // 5], -1).to(share.dtype) / 2 - 1


_MOON_PIECES = 6  # of each moon
_ARM_PIECES = 8  # of each arm of the spiral


def _moons(piece: Tensor, share: Tensor) -> Tensor:
    angle = math.pi * (piece % _MOON_PIECES + share) / _MOON_PIECES
    x, y = 0.66 * angle.cos(), 0.66 * angle.sin()
    lower = piece >= _MOON_PIECES
    return torch.stack([torch.where(lower, 0.33 - x, x - 0.33), torch.where(lower, 0.16 - y, y - 0.16)], -1)


def _spiral(piece: Tensor, share: Tensor) -> Tensor:
    # Archimedes' spiral; the square root makes the points about equally dense along it.
    along = ((piece % _ARM_PIECES + share) / _ARM_PIECES * 0.96 + 0.04).sqrt()
    angle = 1.5 * 2 * math.pi * along + math.pi * (piece >= _ARM_PIECES)
    return torch.stack([along * angle.cos(), along * angle.sin()], -1)


def _pinwheel(piece: Tensor, share: Tensor) -> Tensor:
    return torch.tensor([0.6, 0.0], dtype=share.dtype).expand(len(share), 2)


def _numbered(word: str, count: int) -> tuple[str, ...]:
    return tuple(f"{word} {k + 1}" for k in range(count))


_STANDS_FOR = "nothing: a task of its own, used to see modes being missed"
_SOURCE = "drawn by the kit (MIT) from a density that is written down in coursekit/datasets/toy2d.py"


def _card(title: str, shows: str, limits: str) -> Card:
    return Card(
        title=title, shows=shows, stands_for=_STANDS_FOR, style="The Gaussian blur.", limits=limits, source=_SOURCE
    )  # fmt: skip


_FLAT = "Two dimensions: what works here may fail in a picture, where modes are not apart."
WORLDS: dict[str, PointWorld] = {
    world.name: world
    for world in (
        PointWorld(
            name="ring",
            card=_card("Ring of Gaussians", "A point near one of eight modes on a circle; sigma is 0.05.", _FLAT),
            names={"mode": _numbered("mode", 8)},
            curve=_ring,
            sigma=0.05,
        ),
        PointWorld(
            name="grid",
            card=_card("Grid of Gaussians", "A point near one of 25 modes on a square grid; sigma is 0.05.", _FLAT),
            names={"mode": _numbered("mode", 25)},
            curve=_grid,
            sigma=0.05,
        ),
        PointWorld(
            name="moons",
            card=_card(
                "Two moons",
                "A point near one of two half circles that hold each other's ends; sigma is 0.06.",
                f"{_FLAT} The curve has no modes; its pieces, six to a moon, are counted instead.",
            ),
            names={"mode": (*_numbered("upper", _MOON_PIECES), *_numbered("lower", _MOON_PIECES))},
            curve=_moons,
            sigma=0.06,
            nodes=12,
        ),
        PointWorld(
            name="spiral",
            card=_card(
                "Two-armed spiral",
                "A point near one of two arms that wind one and a half times around the origin; sigma is 0.03.",
                f"{_FLAT} The curve has no modes; its pieces, eight to an arm, are counted instead.",
            ),
            names={"mode": (*_numbered("first", _ARM_PIECES), *_numbered("second", _ARM_PIECES))},
            curve=_spiral,
            sigma=0.03,
            nodes=32,
        ),
        PointWorld(
            name="pinwheel",
            card=_card(
                "Pinwheel",
                "A point of one of five long Gaussians, turned the more around the origin, the further out it lies.",
                f"{_FLAT} The twist turns each circle in itself, so that the density stays a closed form; other "
                "pinwheels stretch the plane.",
            ),
            names={"mode": _numbered("blade", 5)},
            curve=_pinwheel,
            sigma=(0.16, 0.05),
            turns=torch.arange(5) * (2 * math.pi / 5),
            twist=1.6,
        ),
    )
}
