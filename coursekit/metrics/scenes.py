"""Does a picture show the scene that was told? Things, their relation, and which colour went to which thing.

N pictures; told, read (N, 7) int64, the columns of the world `scenes`: shape, colour and size of thing 1, of thing 2, and their
relation. In `told` -1 stands for what is unsaid.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.errors import InputError


class SceneAccuracy(NamedTuple):
    """Shares between 0 and 1; each is over all pictures unless it says otherwise."""

    attributes: float
    """Of the shapes, colours and sizes told, each thing compared with that drawn thing which suits the whole scene better:
    where things stand does not count."""
    things: float
    """Of the pictures, those in which both things are so found with everything told of them."""
    relation: float
    """Of the pictures, those in which the things so found stand as told. By chance about one in four."""
    captions: float
    """Of the pictures, those in which everything told is so."""
    exchanged: float
    """Binding errors: of the pictures with both shapes told, different and drawn, those in which each thing
    has the other's colour. NaN if there is none."""


def scene_accuracy(told: Tensor, read: Tensor) -> SceneAccuracy:
    """How far N pictures, as the oracle reads them, agree with N scenes told."""
    if told.shape != read.shape or told.dim() != 2 or told.shape[1] != 7 or not len(told):
        raise InputError.of(
            "`told` and `read`", got=(tuple(told.shape), tuple(read.shape)), expected="two tensors (N, 7), N at least 1",
            do="Pass scenes.facts(captions) and oracle('scenes').read(pictures).",
        )  # fmt: skip
    asked, drawn = told[:, :6].view(-1, 2, 3), read[:, :6].view(-1, 2, 3)
    unsaid = asked < 0
    straight, crossed = (unsaid | (asked == drawn)), (unsaid | (asked == drawn.flip(1)))
    turned = crossed.sum((1, 2)) > straight.sum((1, 2))
    best = torch.where(turned.view(-1, 1, 1), crossed, straight)
    right = ~turned & (told[:, 6] == read[:, 6])
    # By shape: is thing 1 the first or the second drawn?
    shapes, colours = drawn[..., 0], drawn[..., 1]
    first = (asked[..., 0] == shapes).all(1) & ~unsaid[..., 0].any(1) & (shapes[:, 0] != shapes[:, 1])
    second = (asked[..., 0] == shapes.flip(1)).all(1) & ~unsaid[..., 0].any(1) & (shapes[:, 0] != shapes[:, 1])
    mine = torch.where(second.unsqueeze(1), colours.flip(1), colours)
    other = (mine.flip(1) == asked[..., 1]).all(1) & (asked[:, 0, 1] != asked[:, 1, 1])
    return SceneAccuracy(
        attributes=float((best & ~unsaid).sum() / (~unsaid).sum()),
        things=float(best.flatten(1).all(1).double().mean()),
        relation=float(right.double().mean()),
        captions=float((straight.flatten(1).all(1) & (told[:, 6] == read[:, 6])).double().mean()),
        exchanged=float(other[first | second].double().mean()),
    )


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """(...): intersection over union of boxes (..., 4): x0, y0, x1, y1. 0 where a union is empty."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    union = sum((box[..., 2:] - box[..., :2]).clamp(min=0).prod(-1) for box in (a, b)) - shared
    return torch.where(union > 0, shared / union.clamp(min=1e-12), torch.zeros_like(shared))


def found_boxes(x: Tensor, colour: Tensor, palette: Tensor) -> Tensor:
    """(N, K, 4) shares of the edge: around the pixels of pictures (N, 3, H, W) that have the colour of each thing.

    colour (N, K) ids into palette (C, 3) in [-1, 1]. A pixel belongs to the nearest colour of the palette if that is within
    0.5 of it. The box leaves out the outermost 2 % of these pixels at each side, so that a speck does not count: it lies
    within the thing's own. A colour that is nowhere gives NaN.
    """
    n, _, high, wide = x.shape
    far = (x.unsqueeze(1) - palette.view(1, -1, 3, 1, 1)).square().sum(2).sqrt()  # (N, C, H, W)
    nearest, which = far.min(1)
    mine = (which.unsqueeze(1) == colour.view(n, -1, 1, 1)) & (nearest < 0.5).unsqueeze(1)
    sides = []
    for axis, edge in ((2, wide), (3, high)):  # sum over rows leaves columns: x first
        share = mine.sum(axis).double().cumsum(-1)
        total = share[..., -1:]
        low = (share > 0.02 * total).int().argmax(-1)
        top = (share >= 0.98 * total).int().argmax(-1) + 1
        sides += [(low / edge, top / edge)]
    box = torch.stack([sides[0][0], sides[1][0], sides[0][1], sides[1][1]], -1).float()
    return box.masked_fill(~mine.flatten(2).any(2, keepdim=True), float("nan"))
