"""Answer keys to section 5: octaves and tiles."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u02_input_optimization.asked import s5_scales as asked

Activity = Callable[[Tensor], Tensor]

# octave_dream


Sizes = list[tuple[int, int]]


def octave_dream(x: Tensor, sizes: list[tuple[int, int]], dream: Callable[[Tensor], Tensor]) -> Tensor:
    """x (N, C, H, W), sizes (height, width) from coarse to fine, dream: images -> images -> what was dreamt (N, C, H, W)."""
    ### BEGIN SOLUTION
    detail = torch.zeros_like(x)
    for size in sizes:
        base = F.interpolate(x, size, mode="area")
        detail = F.interpolate(detail, size, mode="bilinear", align_corners=False)
        dreamt = dream(base + detail)
        detail = dreamt - base
    return dreamt
    ### END SOLUTION


def _area_weights(old: int, new: int, like: Tensor) -> Tensor:
    """(new, old): row k averages the old pixels that the k-th new one touches."""
    weights = torch.zeros(new, old, dtype=like.dtype)
    for k in range(new):
        first, end = (k * old) // new, -((-(k + 1) * old) // new)
        weights[k, first:end] = 1 / (end - first)
    return weights


def _linear_weights(old: int, new: int, like: Tensor) -> Tensor:
    """(new, old): row k interpolates at the centre of the k-th new pixel between the centres of the old ones."""
    weights = torch.zeros(new, old, dtype=torch.float64)
    for k in range(new):
        place = min(max((k + 0.5) * old / new - 0.5, 0.0), old - 1.0)
        low = min(int(place), old - 1)
        high = min(low + 1, old - 1)
        weights[k, low] += 1 - (place - low)
        weights[k, high] += place - low
    return weights.to(like.dtype)


def _octaves_by_matrices(x: Tensor, sizes: Sizes, dream: Activity) -> Tensor:
    """The recursion from the finest octave down, every change of size a product with two matrices."""
    height, width = sizes[-1]
    base = _area_weights(x.shape[2], height, x) @ x @ _area_weights(x.shape[3], width, x).T
    if len(sizes) == 1:
        return dream(base)
    low, narrow = sizes[-2]
    small = _area_weights(x.shape[2], low, x) @ x @ _area_weights(x.shape[3], narrow, x).T
    dreamt = _octaves_by_matrices(x, sizes[:-1], dream) - small
    detail = _linear_weights(low, height, x) @ dreamt @ _linear_weights(narrow, width, x).T
    return dream(base + detail)


def _octaves_pyramid(x: Tensor, sizes: Sizes, dream: Activity) -> Tensor:
    bases = [F.adaptive_avg_pool2d(x, size) for size in sizes]
    out = dream(bases[0])
    for coarse, base in itertools.pairwise(bases):
        out = dream(base + F.interpolate(out - coarse, size=base.shape[2:], mode="bilinear"))
    return out


def _octaves_upsample(x: Tensor, sizes: Sizes, dream: Activity) -> Tensor:
    carried = None
    for height, width in sizes:
        base = torch.nn.AdaptiveAvgPool2d((height, width))(x)
        start = base if carried is None else torch.nn.Upsample((height, width), mode="bilinear")(carried).add(base)
        out = dream(start)
        carried = out.sub(base)
    return out


def _octaves_difference_of_enlarged(x: Tensor, sizes: Sizes, dream: Activity) -> Tensor:
    """Enlarging is linear: the enlarged dream minus the enlarged base is the enlarged detail."""
    last = None
    for size in sizes:
        base = F.interpolate(x, size=size, mode="area")
        start = base
        if last is not None:
            start = (
                start + F.interpolate(last[0], size, mode="bilinear") - F.interpolate(last[1], size, mode="bilinear")
            )
        last = (dream(start), base)
    return last[0]  # type: ignore[index]


def _octaves_wrong(
    x: Tensor,
    sizes: Sizes,
    dream: Activity,
    *,
    shrink: dict[str, Any] = {"mode": "area"},
    enlarge: dict[str, Any] = {"mode": "bilinear", "align_corners": False},
    handed_on: str = "detail",
    chained: bool = False,
    dreamt_on: str = "sum",
    order: int = 1,
) -> Tensor:
    """Octaves with one part of them wrong."""
    detail, previous = torch.zeros_like(x), x
    for size in sizes[::order]:
        base = F.interpolate(previous if chained else x, size, **shrink)
        detail = F.interpolate(detail, size, **enlarge)
        if dreamt_on == "sum":
            dreamt = dream(base + detail)
        elif dreamt_on == "base":
            dreamt = dream(base) + detail
        else:
            dreamt = base + dream(detail)
        detail = {
            "detail": dreamt - base,
            "last change only": dreamt - base - detail,
            "twice": dreamt - base + detail,
            "nothing": torch.zeros_like(base),
            "dreamt": dreamt,
        }[handed_on]
        if chained:
            previous = base
    return dreamt


def _octaves_enlarged_picture(x: Tensor, sizes: Sizes, dream: Activity) -> Tensor:
    """The picture itself goes from octave to octave."""
    image = F.interpolate(x, sizes[0], mode="area")
    for size in sizes:
        image = dream(F.interpolate(image, size, mode="bilinear", align_corners=False))
    return image


def _octaves_chained_down(x: Tensor, sizes: Sizes, dream: Activity) -> Tensor:
    bases = [F.interpolate(x, sizes[-1], mode="area")]
    for size in sizes[-2::-1]:
        bases.insert(0, F.interpolate(bases[0], size, mode="area"))
    detail = torch.zeros_like(x)
    for base in bases:
        detail = F.interpolate(detail, base.shape[2:], mode="bilinear", align_corners=False)
        dreamt = dream(base + detail)
        detail = dreamt - base
    return dreamt


def _octaves_detail_only(x: Tensor, sizes: Sizes, dream: Activity) -> Tensor:
    return _octaves_wrong(x, sizes, dream) - x


OCTAVE_DREAM = Key(
    question=asked.OCTAVE_DREAM,
    solution=(octave_dream,),
    reference=_octaves_by_matrices,
    source=(
        "Mordvintsev, Olah & Tyka 2015, Inceptionism, script of the DeepDream notebook, function deepdream; half-pixel centres "
        "of bilinear interpolation"
    ),
    mistakes=(
        Mistake(
            "picture enlarged instead of the detail",
            "You enlarge the whole picture from octave to octave, so all that shrinking removed is lost. Hand on the difference "
            "to `base`, and add it to the original at the next size.",
            _octaves_enlarged_picture,
        ),
        Mistake(
            "dream handed on without subtracting base",
            "What you hand on still holds the picture, which is then added a second time: subtract `base` of this octave.",
            lambda *a: _octaves_wrong(*a, handed_on="dreamt"),
        ),
        Mistake(
            "nothing handed on",
            "Every octave starts from the plain picture: the coarse dreams are lost. Add the enlarged detail to `base`.",
            lambda *a: _octaves_wrong(*a, handed_on="nothing"),
        ),
        Mistake(
            "earlier octaves forgotten",
            "You hand on this octave's change only. Subtract `base`, not `base + detail`: what the coarser octaves dreamt "
            "belongs to the detail.",
            lambda *a: _octaves_wrong(*a, handed_on="last change only"),
        ),
        Mistake(
            "detail counted twice",
            "What was dreamt already includes the detail of before: hand on the difference alone, without adding up.",
            lambda *a: _octaves_wrong(*a, handed_on="twice"),
        ),
        Mistake(
            "detail added after the dream",
            "The finer octave must see the coarse dream: add the detail to `base` before you dream.",
            lambda *a: _octaves_wrong(*a, dreamt_on="base"),
        ),
        Mistake(
            "detail dreamt on without the picture",
            "`dream` sees the detail alone. It gets the sum of `base` and detail.",
            lambda *a: _octaves_wrong(*a, dreamt_on="detail"),
        ),
        Mistake(
            "detail returned instead of the picture",
            "Return what was dreamt at the last size, the picture included.",
            _octaves_detail_only,
        ),
        Mistake(
            "shrunk step by step",
            "Each base is the original `x`, shrunk in one go: shrinking a shrunken picture averages twice.",
            _octaves_chained_down,
        ),
        Mistake(
            "base from the base before",
            "You shrink the base of the octave before, so the fine octaves show the coarsest picture. Shrink `x` each time.",
            lambda *a: _octaves_wrong(*a, chained=True),
        ),
        Mistake(
            "corners aligned",
            "`align_corners=True` puts the corner pixels' centres on each other and shifts everything else. Set it to False.",
            lambda *a: _octaves_wrong(*a, enlarge={"mode": "bilinear", "align_corners": True}),
        ),
        Mistake(
            "enlarged in blocks",
            "The detail is enlarged with `mode='bilinear'`; yours repeats pixels.",
            lambda *a: _octaves_wrong(*a, enlarge={"mode": "nearest"}),
        ),
        Mistake(
            "enlarged by area",
            "`mode='area'` is for shrinking; the detail is enlarged with `mode='bilinear'`.",
            lambda *a: _octaves_wrong(*a, enlarge={"mode": "area"}),
        ),
        Mistake(
            "shrunk bilinearly",
            "Without antialiasing `'bilinear'` looks at four pixels only and skips others. Shrink with `mode='area'`.",
            lambda *a: _octaves_wrong(*a, shrink={"mode": "bilinear", "align_corners": False}),
        ),
        Mistake(
            "shrunk by skipping pixels",
            "`F.interpolate` takes the nearest pixel unless told otherwise. Shrink with `mode='area'`.",
            lambda *a: _octaves_wrong(*a, shrink={"mode": "nearest"}),
        ),
        Mistake(
            "from fine to coarse",
            "`sizes` run from coarse to fine already: take them in their order.",
            lambda *a: _octaves_wrong(*a, order=-1),
        ),
    ),
    alternatives={
        "pyramid first, adaptive pooling": _octaves_pyramid,
        "pooling and upsampling modules": _octaves_upsample,
        "enlarged dream minus enlarged base": _octaves_difference_of_enlarged,
    },
)


# tiled_gradient


def tiled_gradient(activity: Callable[[Tensor], Tensor], x: Tensor, tile: int, margin: int) -> Tensor:
    """activity (N, C, h, w) -> (N,), x (N, C, H, W) -> the gradient (N, C, H, W), each tile's from a piece with a margin."""
    ### BEGIN SOLUTION
    gradient = torch.zeros_like(x)
    for i in range(0, x.shape[2], tile):
        for j in range(0, x.shape[3], tile):
            top, left = max(i - margin, 0), max(j - margin, 0)
            piece = x[:, :, top : i + tile + margin, left : j + tile + margin].detach().requires_grad_()
            (g,) = torch.autograd.grad(activity(piece).sum(), piece)
            kept = g[:, :, i - top : i - top + tile, j - left : j - left + tile]
            gradient[:, :, i : i + tile, j : j + tile] = kept
    return gradient
    ### END SOLUTION


def _tiles_pixel_by_pixel(activity: Activity, x: Tensor, tile: int, margin: int) -> Tensor:
    """For each pixel the piece of its tile, row by row and column by column; the pixel's own gradient in it."""
    N, C, H, W = x.shape
    gradients: dict[tuple[int, int], Tensor] = {}
    result = torch.zeros(N, C, H, W, dtype=x.dtype)
    for i in range(H):
        for j in range(W):
            row, column = i // tile, j // tile
            rows = [k for k in range(H) if row * tile - margin <= k < (row + 1) * tile + margin]
            columns = [k for k in range(W) if column * tile - margin <= k < (column + 1) * tile + margin]
            if (row, column) not in gradients:
                piece = x.detach()[:, :, rows][:, :, :, columns].clone().requires_grad_()
                gradients[row, column] = torch.autograd.grad(activity(piece).sum(), piece)[0]
            result[:, :, i, j] = gradients[row, column][:, :, rows.index(i), columns.index(j)]
    return result


def _tiles_through_slices(activity: Activity, x: Tensor, tile: int, margin: int) -> Tensor:
    """Differentiate through the slice with respect to the whole image, and keep the tile."""
    leaf, out = x.detach().clone().requires_grad_(), torch.empty_like(x)
    for i in range(0, leaf.size(2), tile):
        for j in range(0, leaf.size(3), tile):
            piece = leaf[..., max(0, i - margin) : i + tile + margin, max(0, j - margin) : j + tile + margin]
            (g,) = torch.autograd.grad(activity(piece).sum(), leaf)
            out[..., i : i + tile, j : j + tile] = g[..., i : i + tile, j : j + tile]
    return out


def _tiles_concatenated(activity: Activity, x: Tensor, tile: int, margin: int) -> Tensor:
    H, W = x.shape[-2:]
    bands = []
    for i in range(0, H, tile):
        pieces = []
        for j in range(0, W, tile):
            rows = slice(max(0, i - margin), min(H, i + tile + margin))
            columns = slice(max(0, j - margin), min(W, j + tile + margin))
            piece = x.detach()[..., rows, columns].clone().requires_grad_()
            activity(piece).sum().backward()
            g = piece.grad.narrow(2, i - rows.start, min(tile, H - i))  # type: ignore[union-attr]
            pieces.append(g.narrow(3, j - columns.start, min(tile, W - j)))
        bands.append(torch.cat(pieces, dim=3))
    return torch.cat(bands, dim=2)


def _tiles_functional(activity: Activity, x: Tensor, tile: int, margin: int) -> Tensor:
    def window(start: int, size: int) -> tuple[slice, slice, slice]:
        """Of the image to cut out, of the piece to keep, of the image to fill."""
        first = start - min(margin, start)
        return (
            slice(first, start + tile + margin),
            slice(start - first, start - first + tile),
            slice(start, start + tile),
        )

    slope = torch.func.grad(lambda piece: activity(piece).sum())
    out = torch.zeros_like(x)
    for cut_i, keep_i, fill_i in (window(i, x.shape[2]) for i in range(0, x.shape[2], tile)):
        for cut_j, keep_j, fill_j in (window(j, x.shape[3]) for j in range(0, x.shape[3], tile)):
            out[:, :, fill_i, fill_j] = slope(x[:, :, cut_i, cut_j].detach())[:, :, keep_i, keep_j]
    return out


def _tiles_wrong(
    activity: Activity,
    x: Tensor,
    tile: int,
    margin: int,
    *,
    before: bool = True,
    after: bool = True,
    keep: str = "tile",
    pad: bool = False,
    complete: bool = True,
    overlap: str = "replace",
    columns_from: str = "width",
) -> Tensor:
    """Tiles with one part of them wrong."""
    H, W = x.shape[2:]
    gradient, count = torch.zeros_like(x), torch.zeros_like(x)
    lead, trail = (margin if before else 0), (margin if after else 0)
    wide = F.pad(x.detach(), (margin, margin, margin, margin)) if pad else x.detach()
    rows, columns = range(0, H, tile), range(0, W if columns_from == "width" else H, tile)
    if not complete:
        rows, columns = range(0, H - tile + 1, tile), range(0, W - tile + 1, tile)
    for i in rows:
        for j in columns:
            top, left = max(i - lead, 0), max(j - lead, 0)
            cut = (slice(top, i + tile + trail), slice(left, j + tile + trail))
            if pad:
                cut = (slice(i, i + tile + 2 * margin), slice(j, j + tile + 2 * margin))
            piece = wide[:, :, cut[0], cut[1]].clone().requires_grad_()
            (g,) = torch.autograd.grad(activity(piece).sum(), piece)
            if overlap != "replace":
                gradient[:, :, cut[0], cut[1]] += g
                count[:, :, cut[0], cut[1]] += 1
                continue
            if overlap == "replace" and keep == "all":
                gradient[:, :, cut[0], cut[1]] = g
                continue
            offset = {"tile": (i - top, j - left), "corner": (0, 0), "margin": (margin, margin)}[keep]
            if pad:
                offset = (margin, margin)
            height, width = min(tile, H - i), min(tile, W - j)
            kept = g[:, :, offset[0] : offset[0] + height, offset[1] : offset[1] + width]
            gradient[:, :, i : i + kept.shape[2], j : j + kept.shape[3]] = kept
    return gradient / count if overlap == "mean" else gradient


def _tiles_whole(activity: Activity, x: Tensor, tile: int, margin: int) -> Tensor:
    leaf = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(activity(leaf).sum(), leaf)
    return g


def _tiles_on_x_itself(activity: Activity, x: Tensor, tile: int, margin: int) -> Tensor:
    x.requires_grad_()
    return _tiles_through_slices(activity, x, tile, margin)


def _tiles_rescaled(activity: Activity, x: Tensor, tile: int, margin: int) -> Tensor:
    g = _tiles_wrong(activity, x, tile, margin)
    for i in range(0, x.shape[2], tile):
        for j in range(0, x.shape[3], tile):
            part = g[:, :, i : i + tile, j : j + tile]
            part /= part.square().mean((1, 2, 3), keepdim=True).sqrt()
    return g


TILED_GRADIENT = Key(
    question=asked.TILED_GRADIENT,
    solution=(tiled_gradient,),
    reference=_tiles_pixel_by_pixel,
    source=(
        "chain rule of a sum over places; tiles in Mordvintsev, Olah & Tyka 2015, Inceptionism; a margin of context as the "
        "overlap-tile strategy of Ronneberger, Fischer & Brox 2015, arXiv:1505.04597, figure 2"
    ),
    mistakes=(
        Mistake(
            "no margin",
            "Every tile is differentiated by itself: `margin` is not used, and the seams stay.",
            lambda activity, x, tile, margin: _tiles_wrong(activity, x, tile, 0),
        ),
        Mistake(
            "margin on the right and below only",
            "The piece must also start `margin` pixels before its tile: at `max(i - margin, 0)`.",
            lambda *a: _tiles_wrong(*a, before=False),
        ),
        Mistake(
            "margin on the left and above only",
            "The piece must also end `margin` pixels after its tile.",
            lambda *a: _tiles_wrong(*a, after=False),
        ),
        Mistake(
            "corner of the piece kept",
            "You keep the piece's first rows and columns, which are the margin: the tile starts at `i - top`.",
            lambda *a: _tiles_wrong(*a, keep="corner"),
        ),
        Mistake(
            "margin assumed at the border",
            "At the image's upper and left border there is no margin to skip: the tile starts at `i - top` in its piece, not "
            "always at `margin`.",
            lambda *a: _tiles_wrong(*a, keep="margin"),
        ),
        Mistake(
            "whole piece kept",
            "The margin's gradient is wrong, and yours overwrites the neighbour's with it: keep the tile only.",
            lambda *a: _tiles_wrong(*a, keep="all"),
        ),
        Mistake(
            "overlaps added up",
            "Margins are added to the neighbours' gradients, so pixels near an edge count several times: keep the tile only.",
            lambda *a: _tiles_wrong(*a, overlap="sum"),
        ),
        Mistake(
            "overlaps averaged",
            "The average mixes right gradients with those of the margins. Each pixel's gradient comes from its own tile's piece.",
            lambda *a: _tiles_wrong(*a, overlap="mean"),
        ),
        Mistake(
            "image padded",
            "You pad the image with zeros: a piece at the border ends where the image does, and the network pads by itself.",
            lambda *a: _tiles_wrong(*a, pad=True),
        ),
        Mistake(
            "incomplete tiles left out",
            "The last rows and columns get no gradient: tiles start at every multiple of `tile` below H and W, also where less "
            "than a whole tile is left.",
            lambda *a: _tiles_wrong(*a, complete=False),
        ),
        Mistake(
            "height taken for the width",
            "Columns run to W, not to H.",
            lambda *a: _tiles_wrong(*a, columns_from="height"),
        ),
        Mistake(
            "whole image at once",
            "No piece may be larger than a tile and its margins: that is the point of the tiles.",
            _tiles_whole,
        ),
        Mistake(
            "every tile rescaled",
            "Return the plain gradient: a size for each tile makes seams of its own.",
            _tiles_rescaled,
        ),
        Mistake(
            "x left requiring a gradient",
            "`requires_grad_()` on `x` itself outlives your function: call it on a detached piece.",
            _tiles_on_x_itself,
        ),
    ),
    alternatives={
        "through the slice to the whole image": _tiles_through_slices,
        "bands of narrowed pieces, concatenated": _tiles_concatenated,
        "torch.func.grad": _tiles_functional,
    },
)
