"""Birds: pictures whose attributes are known, and captions that name them.

Shapes: N birds, H = W = size, pictures (N, 3, H, W) float32 in [-1, 1]. What a caption can name is in
Attributes; everything else about a picture (background, perch or flight, tilt, place, tints) is style. It is
drawn from the generator in a fixed number of draws: equal seeds give equal styles whatever the attributes.

Every part is a tapered capsule of the canvas: the points around a straight segment within a radius that changes
evenly from r to R.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_at_least, require_generator
from coursekit.datasets.bird_captions import FORMS, NAMES, caption, explain, parse, unknown_words
from coursekit.datasets.canvas import CHUNK, Canvas
from coursekit.datasets.world import Card, PictureWorld
from coursekit.errors import InputError

__all__ = [
    "COLOURS",
    "FORMS",
    "NAMES",
    "WORLD",
    "Attributes",
    "caption",
    "explain",
    "facts",
    "parse",
    "render",
    "sample",
    "styles",
    "unknown_words",
]  # fmt: skip

COLOURS = {
    "red": (0.86, 0.10, 0.10),
    "yellow": (0.98, 0.83, 0.08),
    "green": (0.12, 0.58, 0.20),
    "blue": (0.12, 0.34, 0.88),
    "pink": (0.98, 0.52, 0.74),
    "brown": (0.45, 0.26, 0.10),
    "black": (0.07, 0.07, 0.08),
    "white": (0.98, 0.98, 0.98),
    "grey": (0.55, 0.56, 0.58),
}
"""RGB in 0 to 1; the order is that of the colour ids (a test holds it to NAMES)."""

_BEAK = (0.98, 0.55, 0.10)
_WOOD = (0.36, 0.24, 0.16)
_LEG = (0.25, 0.20, 0.18)
# Pale, so that no bird's colour can be taken for a background: the top of the sky, the bottom, the ground.
_SCENES = (
    ((0.62, 0.80, 0.95), (0.88, 0.94, 0.98), (0.66, 0.80, 0.56)),
    ((0.72, 0.86, 0.72), (0.90, 0.94, 0.80), (0.80, 0.74, 0.58)),
    ((0.96, 0.84, 0.68), (0.98, 0.93, 0.82), (0.74, 0.70, 0.58)),
    ((0.80, 0.78, 0.92), (0.93, 0.88, 0.94), (0.70, 0.78, 0.66)),
    ((0.66, 0.86, 0.88), (0.86, 0.95, 0.92), (0.90, 0.84, 0.68)),
)
_SIZES = (0.70, 0.93)  # scale of a small and of a large bird
_BEAKS = (0.13, 0.46)  # length of a short and of a long beak, before scaling
_Point = tuple[Tensor | float, Tensor | float]


@dataclass(frozen=True, eq=False)
class Attributes:
    """What captions can name: seven tensors (N,) int64, ids into the lists of NAMES. Its len() is N."""

    body: Tensor
    wing: Tensor
    head: Tensor
    belly: Tensor
    size: Tensor
    beak: Tensor
    facing: Tensor

    def __len__(self) -> int:
        return len(self.body)

    def stack(self) -> Tensor:
        """(N, 7) int64, columns in the order of the fields."""
        return torch.stack([getattr(self, name) for name in NAMES], 1)

    def take(self, index: Tensor | slice) -> Attributes:
        """The birds at an index, a mask or a slice."""
        return Attributes(*(getattr(self, name)[index] for name in NAMES))

    def names(self) -> list[dict[str, str]]:
        """For each bird what parse() would give for a caption that names everything."""
        return [
            {name: values[i] for (name, values), i in zip(NAMES.items(), row, strict=True)}
            for row in self.stack().tolist()
        ]

    @classmethod
    def of(cls, birds: Iterable[dict[str, str]]) -> Attributes:
        """The inverse of names(): every bird must name all seven attributes."""
        rows = []
        for bird in birds:
            for name in NAMES:
                if bird.get(name) not in NAMES[name]:
                    raise InputError.of(
                        f"`{name}` of a bird",
                        got=bird.get(name),
                        expected=f"one of {', '.join(NAMES[name])}",
                        do="Name all seven attributes of each bird.",
                    )
            rows.append([NAMES[name].index(bird[name]) for name in NAMES])
        return cls(*torch.tensor(rows, dtype=torch.int64).reshape(-1, len(NAMES)).unbind(1))


def facts(captions: Sequence[str]) -> Tensor:
    """What N captions tell: (N, 7) int64, the ids of the values that they name, -1 for what they leave unsaid."""
    read = [parse(text) for text in captions]
    rows = [[values.index(told[name]) if name in told else -1 for name, values in NAMES.items()] for told in read]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, len(NAMES))


def sample(n: int, *, generator: torch.Generator) -> Attributes:
    """n birds; all attributes are independent and uniform, so that none can be guessed from another."""
    require_at_least(1, n=n)
    require_generator(generator)
    counts = (len(values) for values in NAMES.values())
    return Attributes(*(torch.randint(0, count, (n,), generator=generator) for count in counts))


def render(attributes: Attributes, *, size: int = 32, generator: torch.Generator) -> Tensor:
    """Pictures (N, 3, size, size) float32 in [-1, 1] of the birds, each with a style of its own."""
    require_at_least(16, size=size)
    require_generator(generator)
    n = _checked(attributes)
    style = _style(n, generator)
    pictures = torch.empty(n, 3, size, size)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        _Scene(attributes.take(part), _Style(*(values[part] for values in style)), pictures[part]).paint()
    return pictures.clamp_(0, 1).mul_(2).sub_(1)


POSES = ("flying", "perched on a branch", "on the ground")


def styles(n: int, *, generator: torch.Generator) -> Tensor:
    """(n, 2) int64: the background (0 to 4) and the pose (an index into POSES) that `render` would give n birds from here on.

    The generator stays as it is: call this before `render`, with the same generator.
    """
    require_at_least(1, n=n)
    require_generator(generator)
    twin = torch.Generator().set_state(generator.get_state())
    style = _style(n, twin)
    return torch.stack([style.scene, torch.where(style.flies, 0, torch.where(style.perched, 1, 2))], 1)


def _checked(attributes: Attributes) -> int:
    """N; raises InputError unless all are (N,) int64 ids of NAMES."""
    n = attributes.body.numel()
    for name, allowed in NAMES.items():
        values, most = getattr(attributes, name), len(allowed) - 1
        shaped = values.shape == (n,) and values.dtype == torch.int64
        if not shaped or (n and not 0 <= int(values.min()) <= int(values.max()) <= most):
            raise InputError.of(
                f"attribute `{name}`",
                got=values if values.numel() < 10 else tuple(values.shape),
                expected=f"an int64 tensor ({n},) of ids 0 to {most}",
                do="Draw attributes with birds.sample(), or name them with Attributes.of().",
            )
    return n


class _Style(NamedTuple):
    """What a caption never names, one row for each bird."""

    scene: Tensor  # (N,) int64 into _SCENES
    flies: Tensor  # (N,) bool
    perched: Tensor  # (N,) bool: on a branch; else on the ground
    tilt: Tensor  # (N,) radians, the beak upwards
    shift: Tensor  # (N, 2) of the bird's middle
    scale: Tensor  # (N,) factor on the size
    nod: Tensor  # (N, 2) of the head
    tail: Tensor  # (N,) height of the tail's tip
    tints: Tensor  # (N, 4, 3) added to the colours of body, wing, head, belly
    blobs: Tensor  # (N, 3, 3) x, y, radius of the pale discs behind
    branch: Tensor  # (N, 2) heights of the branch's ends, relative to the feet


def _style(n: int, generator: torch.Generator) -> _Style:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    return _Style(
        scene=torch.randint(0, len(_SCENES), (n,), generator=generator),
        flies=uniform(0, 1) < 0.25,
        perched=uniform(0, 1) < 0.6,
        tilt=uniform(-0.22, 0.22),
        shift=uniform(-0.07, 0.07, 2),
        scale=uniform(0.96, 1.04),
        nod=uniform(-0.035, 0.035, 2),
        tail=uniform(-0.12, 0.12),
        tints=uniform(-0.03, 0.03, 4, 3),
        blobs=torch.cat([uniform(-1, 1, 3, 2), uniform(0.2, 0.45, 3, 1)], -1),
        branch=uniform(-0.12, 0.12, 2),
    )


class _Scene(Canvas):
    """One chunk of pictures, painted back to front.

    A bird's own frame looks to the right, y upwards; its points are carried into the frame of the picture
    ([-1, 1] both ways, y upwards), so that distances are measured there and pixels are never transformed.
    """

    def __init__(self, attributes: Attributes, style: _Style, pictures: Tensor) -> None:
        super().__init__(pictures)
        self.attributes, self.style = attributes, style
        self.scale = torch.tensor(_SIZES)[attributes.size] * style.scale
        self.mirror = torch.where(attributes.facing == 1, 1.0, -1.0)

    # -- geometry

    def place(self, x: Tensor | float, y: Tensor | float) -> Tensor:
        """A point of the bird's own frame, in the picture's (N, 2)."""
        x, y = x - 0.04 + torch.zeros_like(self.scale), y + torch.zeros_like(self.scale)
        cos, sin = self.style.tilt.cos(), self.style.tilt.sin()
        turned = torch.stack([(x * cos - y * sin) * self.mirror, x * sin + y * cos], -1)
        return turned * self.scale.unsqueeze(-1) + self.style.shift

    def part(self, a: _Point, b: _Point, r: float, R: float) -> Tensor:
        """Like capsule, for points (x, y) and radii of the bird's own frame."""
        return self.capsule(self.place(*a), self.place(*b), r * self.scale, R * self.scale)

    # -- paint

    def paint(self) -> None:
        palette = torch.tensor(tuple(COLOURS.values()))
        parts = palette[self.attributes.stack()[:, :4]] + self.style.tints
        body, wing, head, belly = parts.clamp(0, 1).unbind(1)
        self._background()
        self._bird(body, wing, head, belly)

    def _background(self) -> None:
        style = self.style
        top, bottom, ground = torch.tensor(_SCENES)[style.scene].unbind(1)
        self.shade(top, bottom)
        for blob in style.blobs.unbind(1):
            centre = blob[:, :2]
            soft = self.capsule(centre, centre, blob[:, 2], blob[:, 2]) / (0.1 * self.pixels)
            self.cover(soft, (top + bottom) / 2 * 0.6 + 0.4)
        feet = self.place(0.02, -0.66)
        grounded = ~style.flies & ~style.perched
        horizon = (self.y - (feet[:, 1] + 0.12).view(-1, 1, 1)) * self.pixels
        self.cover(horizon.expand(-1, -1, self.pictures.shape[-1]), ground, grounded)
        left, right = (
            torch.stack([torch.full_like(style.tilt, x), feet[:, 1] + style.branch[:, i]], 1)
            for i, x in enumerate((-1.2, 1.2))
        )
        self.cover(self.capsule(left, right, 0.075, 0.055), torch.tensor(_WOOD), ~style.flies & style.perched)

    def _bird(self, body: Tensor, wing: Tensor, head: Tensor, belly: Tensor) -> None:
        style, lifted = self.style, self.style.flies.float()
        for x in (-0.04, 0.12):
            self.cover(self.part((x, -0.3), (x + 0.03, -0.68), 0.035, 0.03), torch.tensor(_LEG), ~style.flies)
        self.outlined(self.part((-0.3, -0.1), (-0.86, -0.16 + style.tail), 0.14, 0.12), body)
        nx, ny = style.nod.unbind(1)
        length = torch.tensor(_BEAKS)[self.attributes.beak]
        beak = self.part((0.5 + nx, 0.36 + ny), (0.58 + nx + length, 0.32 + ny), 0.11, 0.02)
        self.outlined(beak, torch.tensor(_BEAK).expand_as(body))
        trunk = self.part((0.12, -0.02), (-0.28, -0.10), 0.38, 0.22)
        self.outlined(trunk, body)
        under = self.part((0.30, -0.28), (-0.24, -0.46), 0.27, 0.18)
        self.outlined(torch.maximum(trunk, under), belly)
        self.outlined(self.part((0.36 + nx, 0.36 + ny), (0.33 + nx, 0.30 + ny), 0.27, 0.27), head)
        tip = (-0.48 + 0.15 * lifted, -0.10 + 0.86 * lifted)
        self.outlined(self.part((0.03 - 0.07 * lifted, 0.02 + 0.12 * lifted), tip, 0.18, 0.07), wing)
        eye = self.part((0.44 + nx, 0.41 + ny), (0.44 + nx, 0.41 + ny), 0.045, 0.045)
        self.cover(eye - 0.6 * self.line, torch.ones(3))
        self.cover(eye, torch.full((3,), 0.03))


WORLD = PictureWorld(
    name="birds",
    card=Card(
        title="Birds",
        shows="A bird of a size, with a colour for each of four parts, a beak of a length, facing left or right.",
        stands_for="Caltech-UCSD Birds (CUB-200-2011) with the captions of Reed et al. 2016",
        style="Background and ground; perched, standing or flying; tilt, place, tints, the height of head and tail.",
        limits="One kind of bird, nine colours, flat shading. Colours are independent and uniform, as no real bird's "
        "are; so nothing about real birds follows from a number measured here.",
    ),
    names=NAMES,
    sizes=(32, 64),
    rendering=lambda labels, size, generator: render(Attributes(*labels.unbind(1)), size=size, generator=generator),
    captioning=lambda labels, generator: caption(Attributes(*labels.unbind(1)), generator=generator),
)
