"""## 5. Octaves and tiles

The same dream at several sizes, and a photograph that is too large for one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng

# octave_dream


def _dreamer(inputs: Inputs, seen: list[list[int]] | None = None) -> Callable[[Tensor], Tensor]:
    """What happens at one octave, (N, C, H, W) -> (N, C, H, W), for any size."""

    def dream(x: Tensor) -> Tensor:
        if seen is not None:
            seen.append([x.shape[2], x.shape[3]])
        return x + 0.4 * torch.tanh(F.conv2d(x, inputs["kernel"], padding=1) + 0.3)

    return dream


def _draw_octaves(rng: Rng) -> Inputs:
    N, C, H, W = 2, 2, 13, 18
    return {"x": rng.uniform(N, C, H, W, low=-1.0), "kernel": rng.normal(C, C, 3, 3, scale=0.5)}


_SIZES = [(5, 7), (8, 11), (13, 18)]


def _octaves_one(octaves: Any, inputs: Inputs) -> Findings:
    return {"x after one octave": octaves(inputs["x"], list(_SIZES[-1:]), _dreamer(inputs))}


def _octaves_two(octaves: Any, inputs: Inputs) -> Findings:
    return {"x after two octaves": octaves(inputs["x"], list(_SIZES[1:]), _dreamer(inputs))}


def _octaves_three(octaves: Any, inputs: Inputs) -> Findings:
    seen: list[list[int]] = []
    out = octaves(inputs["x"], list(_SIZES), _dreamer(inputs, seen))
    return {"x after three octaves": out, "sizes dreamt at": seen}


def _octaves_asleep(octaves: Any, inputs: Inputs) -> Findings:
    return {"x after octaves that change nothing": octaves(inputs["x"], list(_SIZES), lambda x: x.clone())}


OCTAVE_DREAM = Question(
    unit="02",
    name="octave_dream",
    title="Octaves that keep the picture sharp",
    difficulty=3,
    minutes=20,
    task="""
A network's filters have a size; an image shrunk to half makes them twice as large. DeepDream works from the coarsest size to
the finest, and hands on only what was **dreamt**, never the shrunken picture: an enlarged picture would be blurred.

For each size in turn:

1. `base`: the original `x`, shrunk to this size in one go;
2. `detail`: what the coarser octave handed on, enlarged to this size; zeros at the first one;
3. `dream` the sum of both;
4. hand on what was dreamt minus `base`.

`octave_dream(x, sizes, dream)` takes `x` (N, C, H, W); a list `sizes` of pairs (height, width), from coarse to fine, the last
one (H, W); and a function `dream`, images to images of equal size. It returns what was dreamt at the last size.

The ratio of two sizes is no whole number: use the sizes, not a factor. **Shrink** with the mode `"area"` (the mean of the
pixels covered), **enlarge** with `"bilinear"` and `align_corners=False`, both of `F.interpolate`, without antialiasing.
""",
    answers=("octave_dream",),
    draw=_draw_octaves,
    parts=(
        Part(name="one octave", points=0.5, tests="a single size: one dream at full size", probe=_octaves_one),
        Part(name="two octaves", points=1.0, tests="8 × 11, then 13 × 18", probe=_octaves_two),
        Part(
            name="three octaves",
            points=0.5,
            tests="5 × 7, 8 × 11, 13 × 18, and the sizes that were dreamt at",
            probe=_octaves_three,
        ),
        Part(
            name="asleep",
            points=0.5,
            tests="a dream that changes nothing gives back x",
            probe=_octaves_asleep,
            laws=(
                Law(
                    "picture lost in the octaves",
                    "If nothing was dreamt, nothing may change: hand on the difference to `base`, and add it to the shrunken "
                    "original.",
                    lambda inputs, found: bool(
                        torch.allclose(found["x after octaves that change nothing"], inputs["x"], atol=1e-5)
                    ),
                ),
            ),
        ),
    ),
    hints=(
        "Two things change size: the original, always shrunk from `x` itself, and the detail, enlarged from octave to octave.",
        "A loop over `sizes` with the detail as its only state. What was dreamt includes the detail of before: nothing has to be "
        "added up.",
        "`detail = dream(base + F.interpolate(detail, size, mode='bilinear')) - base`; before the first size let `detail` be "
        "zeros like `x`, which stay zeros at any size.",
    ),
)


# tiled_gradient


def _local_activity(inputs: Inputs, seen: list[list[int]] | None = None) -> Callable[[Tensor], Tensor]:
    """The norm of a layer whose filters are 3 × 3, (N, C, h, w) -> (N,), for pieces of any size."""

    def activity(x: Tensor) -> Tensor:
        if seen is not None:
            seen.append([x.shape[2], x.shape[3]])
        return F.softplus(F.conv2d(x, inputs["kernel"], padding=1)).square().sum(dim=(1, 2, 3))

    return activity


def _draw_tiles(rng: Rng) -> Inputs:
    N, C, H, W = 2, 2, 10, 13
    return {"x": rng.uniform(N, C, H, W, low=-1.0), "kernel": rng.normal(3, C, 3, 3, scale=0.5)}


def _tiles_plain(tiled: Any, inputs: Inputs) -> Findings:
    return {"gradient, tile = 5, margin = 0": tiled(_local_activity(inputs), inputs["x"], 5, 0)}


def _tiles_margin(tiled: Any, inputs: Inputs) -> Findings:
    return {f"gradient, tile = 4, margin = {m}": tiled(_local_activity(inputs), inputs["x"], 4, m) for m in (1, 2)}


def _tiles_memory(tiled: Any, inputs: Inputs) -> Findings:
    seen: list[list[int]] = []
    gradient = tiled(_local_activity(inputs, seen), inputs["x"], 4, 2)
    return {
        "largest piece": [max(size[0] for size in seen), max(size[1] for size in seen)],
        "the result carries a graph": gradient.requires_grad,
        "x requires a gradient": inputs["x"].requires_grad,
    }


TILED_GRADIENT = Question(
    unit="02",
    name="tiled_gradient",
    title="Tiles without seams",
    difficulty=3,
    minutes=20,
    task="""
A photograph does not fit into memory with all its activations. So the gradient is computed tile by tile. Filters that reach
over a tile's edge find zeros there instead of the picture, which shows as a seam in the dream. The remedy is context: cut every
tile out with a margin, differentiate the larger piece, and keep only the tile itself. With a margin as wide as the network's
reach the result **equals** the gradient of the whole image (here the activity is a sum over places, with filters of 3 × 3,
and a margin of 2 is enough).

`tiled_gradient(activity, x, tile, margin)` takes the function `activity`, images or pieces of images (N, C, h, w) to one number
each, (N,); `x` (N, C, H, W); and two whole numbers in pixels. Tiles of `tile` × `tile` start at rows and columns 0, `tile`, 2
`tile`, ...; the last ones of a row or column may be smaller. The piece for a tile is the tile and up to `margin` pixels more on
each of its four sides, **as far as the image goes**: nothing is padded. It returns the gradient (N, C, H, W), each pixel's from
the piece of its own tile, without a graph; `x` requires no gradient afterwards.
""",
    answers=("tiled_gradient",),
    draw=_draw_tiles,
    parts=(
        Part(name="no margin", points=0.5, tests="images of 10 × 13 in tiles of 5, seams included", probe=_tiles_plain),
        Part(name="margin", points=1.0, tests="tiles of 4 with margins of 1 and 2", probe=_tiles_margin),
        Part(
            name="memory",
            points=0.5,
            tests="no piece larger than tile + 2 margin; no graph is kept",
            probe=_tiles_memory,
        ),
    ),
    hints=(
        "Each tile has two rectangles: the one that you differentiate, and the one that you keep.",
        "The piece starts at `max(i - margin, 0)`, so the tile starts at `i - max(i - margin, 0)` within it. A slice may end "
        "beyond the image, but must not start before it.",
        "`top = max(i - margin, 0)`; `piece = x[:, :, top : i + tile + margin, ...]`; from its gradient `g` keep "
        "`g[:, :, i - top : i - top + tile, ...]`.",
    ),
)
