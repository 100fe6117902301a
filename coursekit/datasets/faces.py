"""Faces: painted heads whose attributes are known, for arithmetic with attributes, turning, ageing and debiasing.

Shapes: N faces, H = W = size, pictures (N, 3, H, W) float32 in [-1, 1]. Left and right are the viewer's: a face that is
turned left looks to the left edge of the picture, light from the left brightens the left side. Background, clothes, eye
colour, shapes of head, eyes, brows, nose, mouth, lenses and hairline, place and tints are style: a fixed number of
draws, so that equal seeds give equal styles and two faces may differ in one attribute alone. See face_painter for how.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from coursekit.datasets.face_painter import Painter
from coursekit.datasets.face_style import Style, draw_style
from coursekit.datasets.world import Card, PictureWorld
from coursekit.errors import InputError

NAMES = {
    "smile": ("sad", "neutral", "smiling"),
    "glasses": ("none", "glasses"),
    "beard": ("none", "beard"),
    "age": ("young", "old"),
    "hair": ("black", "brown", "blond", "red"),
    "cut": ("short", "long", "curly"),
    "turn": ("left", "front", "right"),
    "light": ("left", "right"),
    "skin": ("pale", "tan", "brown", "dark"),
}

_CHUNK = 64  # faces painted at a time: their pixels stay in the processor's cache


def _render(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Pictures (N, 3, size, size) in [-1, 1]."""
    n = len(labels)
    style = draw_style(n, generator)
    pictures = torch.empty(n, 3, size, size)
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        Painter(labels[part], Style(*(values[part] for values in style)), pictures[part]).paint()
    return pictures.clamp_(0, 1).mul_(2).sub_(1)


WORLD = PictureWorld(
    name="faces",
    names=NAMES,
    sizes=(32, 64),
    rendering=_render,
    card=Card(
        title="Faces",
        shows="The painted head of nobody: mood, glasses, beard, age, hair, turn, light and skin are known.",
        stands_for="CelebA and face photographs with attributes.",
        style="Background, clothes, colour and size of the eyes, shapes of head, brows, nose, mouth, lenses and hairline, "
        "small turns, place, tints.",
        limits="A drawing: its attributes are independent and clear-cut, as people's are not. It has no gender, no "
        "ethnicity and no identity; nothing that is measured on it says how a model treats people.",
    ),
)


def biased(strength: float, *, pair: tuple[str, str] = ("age", "glasses")) -> PictureWorld:
    """Faces in which two attributes with equally many values are correlated, all others independent and uniform.

    With probability `strength` (0 to 1) the second takes the id of the first, otherwise it is drawn on its own: by
    default the old tend to wear glasses. Each attribute alone stays uniform, and for two values `strength` is the
    coefficient of correlation (phi), and (1 + strength) / 2 the share of faces in which they agree.
    """
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= 1:
        raise InputError.of(
            "`strength` of the bias",
            got=strength,
            expected="a number from 0 to 1",
            do="Pass 0 for no bias, 1 to make the two equal.",
        )
    known = len(pair) == 2 and pair[0] != pair[1] and all(name in NAMES for name in pair)
    if not known or len(NAMES[pair[0]]) != len(NAMES[pair[1]]):
        raise InputError.of(
            "`pair` of attributes", got=pair, expected="two different attributes of faces with equally many values",
            do=f"Choose from {', '.join(f'{name} ({len(values)})' for name, values in NAMES.items())}.",
        )  # fmt: skip
    first, second = (list(NAMES).index(name) for name in pair)

    def sampling(n: int, generator: torch.Generator) -> Tensor:
        labels = WORLD.sample(n, generator=generator)
        copied = torch.rand(n, generator=generator) < strength
        labels[copied, second] = labels[copied, first]
        return labels

    card = dataclasses.replace(
        WORLD.card,
        title="Biased faces",
        limits=f"{pair[0]} and {pair[1]} are correlated on purpose (strength {strength:g}). {WORLD.card.limits}",
    )
    return dataclasses.replace(WORLD, name="biased_faces", sampling=sampling, card=card)
