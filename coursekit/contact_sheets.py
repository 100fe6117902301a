"""Contact sheets: pictures from which a person can check every attribute of a world.

A row for each attribute: groups of pictures of one example in one style, with one value of the attribute after the other and
nothing else changed. Then fresh examples with all that is known of them written below.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from coursekit.datasets.pairing import PairedWorld
from coursekit.datasets.world import PictureWorld, Sample, World
from coursekit.runtime import generator

EDGE = 96  # pixels of the sheet that a picture is enlarged to, about
WIDTH = 1280  # of the sheet
_GAP, _TEXT, _LINE = 6, 13, 16
_EXAMPLES, _STYLES, _FRAMES = 12, 4, 8
_INK, _PAPER = (20, 20, 20), (255, 255, 255)


def write_sheet(world: World, folder: Path, *, seed: int = 0) -> Path:
    """Write FOLDER/NAME.png for a world of pictures or points, FOLDER/NAME.txt for one of texts and sequences."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = world.draw(_EXAMPLES, generator=generator(seed))
    if isinstance(world, PictureWorld):
        path = folder / f"{world.name}.png"
        _sheet(world, sample, seed).save(path)
    elif isinstance(sample.x, Tensor) and sample.x.shape[1:] == (2,) and sample.x.is_floating_point():
        path = folder / f"{world.name}.png"
        points = world.draw(2000, generator=generator(seed)).x
        assert isinstance(points, Tensor)
        _scatter(points).save(path)
    elif isinstance(sample.x, Tensor) and sample.x.dim() == 4:
        path = folder / f"{world.name}.png"
        _stack([_strip([_enlarged(image) for image in sample.x], _told(world, sample))], world.card.title).save(path)
    else:
        path = folder / f"{world.name}.txt"
        path.write_text(_texts(world, sample), encoding="utf-8")
    return path


# ---------------------------------------------------------------- pictures


def _sheet(world: PictureWorld, sample: Sample, seed: int) -> Image.Image:
    strips = []
    for column, (name, values) in enumerate(world.names.items()):
        groups = [_varied(world, column, style, seed) for style in range(_STYLES)]
        blank = Image.new("RGB", groups[0][0].size, _PAPER)
        fit = WIDTH // ((blank.width + _GAP) * (len(values) + 1))  # groups side by side, a gap after each
        for k, row in enumerate([groups[:fit]] if fit > 1 else [[group] for group in groups[:2]]):
            pictures = [picture for group in row for picture in (*group, blank)]
            strips.append(_strip(pictures[:-1], [*values, ""] * len(row), f"{name}:" if k == 0 else ""))
    title = "fresh examples:"
    if isinstance(world, PairedWorld):
        sample = world.pairs(_EXAMPLES, generator=generator(seed))
        title = f"pairs, {world.domains[0]} above {world.domains[1]}:"
    pictures = [_enlarged(x) for x in sample.x]
    if sample.y is not None:
        pictures = [_beside(above, _enlarged(y), down=True) for above, y in zip(pictures, sample.y)]
    strips.append(_strip(pictures, _told(world, sample), title))
    return _stack(strips, f"{world.card.title}. {world.card.shows}")


def _varied(world: PictureWorld, column: int, style: int, seed: int) -> list[Image.Image]:
    """Pictures that differ in the attribute of that column only: its values, one after the other."""
    values = len(list(world.names.values())[column])
    labels = world.sample(1, generator=generator(seed + 100 * column + style)).repeat(values, 1)
    labels[:, column] = torch.arange(values)
    # One at a time from equal seeds: the same style for each value.
    return [
        _enlarged(world.render(one, generator=generator(seed + 100 * column + style))[0]) for one in labels.split(1)
    ]


def _told(world: World, sample: Sample) -> list[str]:
    """What is known of each example: its caption, or its attributes."""
    if sample.captions:
        return sample.captions
    if sample.labels is None:
        return [""] * len(sample)
    return [", ".join(f"{k}: {v}" for k, v in world.describe(row).items()) for row in sample.labels]


def _enlarged(x: Tensor, edge: int = EDGE) -> Image.Image:
    """(C, H, W) in [-1, 1], or (T, C, H, W): at most eight frames side by side."""
    if x.dim() == 4:
        frames = x[torch.linspace(0, len(x) - 1, min(_FRAMES, len(x))).round().long()]
        return functools.reduce(_beside, (_enlarged(frame, edge * 2 // 3) for frame in frames))
    factor = max(1, round(edge / x.shape[-1]))
    levels = ((x.clamp(-1, 1) + 1) * 127.5).round().byte().expand(3, -1, -1)
    image = Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _beside(one: Image.Image, other: Image.Image, *, down: bool = False) -> Image.Image:
    size = (max(one.width, other.width), one.height + other.height + 2) if down else (
        one.width + other.width + 2, max(one.height, other.height))  # fmt: skip
    both = Image.new("RGB", size, _PAPER)
    both.paste(one, (0, 0))
    both.paste(other, (0, one.height + 2) if down else (one.width + 2, 0))
    return both


# ---------------------------------------------------------------- layout


def _strip(pictures: Sequence[Image.Image], texts: Sequence[str], title: str = "") -> Image.Image:
    """Pictures in a row, each with its text below it; on several lines where they are too many for the width."""
    w, h = max(p.width for p in pictures), max(p.height for p in pictures)
    across = max(1, (WIDTH - 2 * _GAP) // (w + _GAP))
    wrapped = [textwrap.wrap(text, max(8, w // 7)) for text in texts]
    height = h + _LINE * max(map(len, wrapped)) + _GAP
    lines = -(-len(pictures) // across)
    top = _LINE if title else 0
    strip = Image.new("RGB", (WIDTH, top + lines * height), _PAPER)
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(_TEXT)
    draw.text((_GAP, 0), title, _INK, font)
    for k, (picture, text) in enumerate(zip(pictures, wrapped)):
        x, y = _GAP + k % across * (w + _GAP), top + k // across * height
        strip.paste(picture, (x, y))
        draw.multiline_text((x, y + h), "\n".join(text), _INK, font, spacing=_LINE - _TEXT)
    return strip


def _stack(strips: Sequence[Image.Image], title: str) -> Image.Image:
    head = textwrap.wrap(title, WIDTH // 7)
    top = _GAP + _LINE * len(head) + _GAP
    sheet = Image.new("RGB", (WIDTH, top + sum(strip.height + _GAP for strip in strips)), _PAPER)
    ImageDraw.Draw(sheet).multiline_text(
        (_GAP, _GAP), "\n".join(head), _INK, ImageFont.load_default(_TEXT), spacing=_LINE - _TEXT
    )
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height + _GAP
    return sheet


def _scatter(points: Tensor, edge: int = 480) -> Image.Image:
    """Points (N, 2), the y axis upwards, in a square around them."""
    reach = 1.1 * float(points.abs().max())
    at = ((points / reach + 1) / 2 * edge).tolist()
    image = Image.new("RGB", (edge, edge), _PAPER)
    draw = ImageDraw.Draw(image)
    for x, y in at:
        draw.ellipse((x - 1, edge - y - 1, x + 1, edge - y + 1), fill=(0, 114, 178))
    return image


def _texts(world: World, sample: Sample) -> str:
    """Each example as text: x, then y and its labels where there are some."""

    def shown(value: object) -> str:
        if isinstance(value, Tensor):
            return f"{tuple(value.shape)} {value.flatten()[:24].tolist()}" if value.numel() > 1 else str(value.item())
        return str(value)

    lines = [world.card.title, world.card.shows, ""]
    for k in range(len(sample)):
        lines.append(f"{k}: {shown(sample.x[k])}")
        if sample.y is not None:
            lines.append(f"   -> {shown(sample.y[k])}")
        if sample.labels is not None:
            lines.append(f"   {world.describe(sample.labels[k])}")
    return "\n".join(lines) + "\n"
