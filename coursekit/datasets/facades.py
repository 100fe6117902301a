"""Facades: a house front as a map of its parts, and as the photograph of what the map says.

Shapes: N facades, H = W = size, maps and photographs (N, 3, H, W) float32 in [-1, 1]; labels (N, 8) int64 in the order
of NAMES.

    batch = WORLD.draw(64, generator=generator(0))    # x maps, y photographs, more["classes"] (64, H, W) int64
    batch = unpaired(64, generator=generator(0))      # x maps, y photographs of other facades
    batch = pairs(64, generator=generator(0), material=True)   # the map's colour of the wall names its material

One painter makes both. Each part covers a share of each pixel: the photograph mixes colours by it, the map gives the
pixel to the last part that covers it to the half, across and down. A map does not say what the wall is made of, nor
the colours of door, roof and curtains, nor the weather: many photographs fit it. With `material` it says the first.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_at_least, require_generator
from coursekit.datasets.drawing import chunks, column
from coursekit.datasets.facade_layout import CLASSES, ID, NAMES, Style, draw_style
from coursekit.datasets.facade_painting import Scene
from coursekit.datasets.pairing import PairedWorld
from coursekit.datasets.world import Card, Sample
from coursekit.errors import InputError

__all__ = ["CLASSES", "NAMES", "WORLD", "classes", "maps", "pairs", "unpaired"]


def _paint(labels: Tensor, size: int, generator: torch.Generator, photos: Tensor | None, ids: Tensor | None) -> None:
    style = draw_style(len(labels), generator)
    for part in chunks(len(labels), size):
        own = Style(*(values[part] for values in style))
        pictures, kinds = (None if whole is None else whole[part] for whole in (photos, ids))
        Scene(labels[part], own, photos=pictures, ids=kinds, size=size).paint()


def _photos(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    photos = torch.empty(len(labels), 3, size, size)
    _paint(labels, size, generator, photos, None)
    return photos


def _maps(labels: Tensor, size: int, generator: torch.Generator, *, material: bool = False) -> Tensor:
    ids = torch.zeros(len(labels), size, size, dtype=torch.int64)
    _paint(labels, size, generator, None, ids)
    if material:
        kind = column(labels[:, list(NAMES).index("wall")])
        ids = torch.where((ids == ID["wall"]) & (kind > 0), ID["street"] + kind, ids)
    return torch.stack([shades[ids] for shades in _palette().T.contiguous()], 1)


def _palette() -> Tensor:
    return torch.tensor(tuple(CLASSES.values())) * 2 - 1


def maps(labels: Tensor, *, generator: torch.Generator, size: int = 32, material: bool = False) -> Tensor:
    """Maps (N, 3, size, size) of labels; from a generator in the same state as for render() they fit those photographs."""
    require_generator(generator)
    require_at_least(16, size=size)
    WORLD.check(labels)
    return _maps(labels, size, generator, material=material)


def classes(maps: Tensor) -> Tensor:
    """Ids into CLASSES (N, H, W) int64 of maps (N, 3, H, W): the nearest colour, so that generated maps can be read, too."""
    if not isinstance(maps, Tensor) or maps.dim() != 4 or maps.shape[1] != 3:
        raise InputError.of(
            "`maps`", got=tuple(maps.shape) if isinstance(maps, Tensor) else maps, expected="a tensor (N, 3, H, W) in [-1, 1]",
            do="Pass maps of facades.draw(), or a network's.",
        )  # fmt: skip
    ids = torch.zeros(len(maps), *maps.shape[2:], dtype=torch.int64)
    for part in chunks(len(maps), maps.shape[-1]):
        red, green, blue = maps[part].unbind(1)
        nearest = torch.full_like(red, torch.inf)
        for k, (r, g, b) in enumerate(_palette().tolist()):
            # |x - c|^2 - |x|^2: what does not depend on c is left out.
            distance = (r * r + g * g + b * b - 2 * r * red).sub_(green, alpha=2 * g).sub_(blue, alpha=2 * b)
            ids[part].masked_fill_(distance < nearest, k)
            nearest = torch.minimum(nearest, distance)
    return ids


class _Facades(PairedWorld):
    def pairs(self, n: int, *, generator: torch.Generator, size: int | None = None) -> Sample:
        """As for every paired world, and `more["classes"]` (n, H, W) int64: ids into CLASSES, pixel by pixel."""
        sample = super().pairs(n, generator=generator, size=size)
        assert isinstance(sample.x, Tensor)
        return replace(sample, more={**sample.more, "classes": classes(sample.x)})

    def draw(self, n: int, *, generator: torch.Generator, size: int | None = None) -> Sample:
        """n fresh pairs: x maps, y photographs."""
        return self.pairs(n, generator=generator, size=size)


WORLD = _Facades(
    name="facades",
    card=Card(
        title="Facades",
        shows="A house front of two to four storeys and bays: x its map of parts, y its photograph.",
        stands_for="the CMP facade data of pix2pix, label maps beside photographs",
        style="in the map: proportions, which balconies; not in the map: weather, colours of door, roof and awning, curtains, "
        "reflections, stains, light, and what the wall is made of",
        limits="Seen squarely from the front, all windows of a house alike, nothing stands before it. Maps are exact to the "
        "pixel; people's are not.",
    ),
    names=NAMES,
    sizes=(32, 64),
    rendering=_photos,
    domains=("map", "photograph"),
    sides=(_maps, _photos),
)
unpaired = WORLD.unpaired


def pairs(n: int, *, generator: torch.Generator, size: int = 32, material: bool = False) -> Sample:
    """n maps and their photographs, as WORLD.pairs(); with `material` the map's colour of the wall says what it is made of."""
    world = replace(WORLD, sides=(partial(_maps, material=material), _photos))
    return world.pairs(n, generator=generator, size=size)
