"""## 4. Dreams

Ascent on a layer's activity shows nothing before two things are settled: how far a step goes, and how to keep the grid of the
layer out of the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng


def _activity(inputs: Inputs) -> Callable[[Tensor], Tensor]:
    """A layer's activity for each image, (N, C, H, W) -> (N,): a network with strides, so that a shift matters."""

    def activity(x: Tensor) -> Tensor:
        maps = F.softplus(F.conv2d(x, inputs["kernel"], stride=2, padding=1))
        return maps.square().flatten(1) @ inputs["place"]

    return activity


# ascent_step


def _steep_activity(inputs: Inputs) -> Callable[[Tensor], Tensor]:
    """An activity of fourth degree: half the contrast, an eighth of the gradient; none at all for a grey image."""
    return lambda x: F.conv2d(x, inputs["kernel"], stride=2, padding=1).pow(4).flatten(1) @ inputs["place"]


def _draw_ascent(rng: Rng) -> Inputs:
    N, C, H, W = 3, 2, 6, 9
    order = rng.permutation(N)
    contrast = torch.tensor([0.1, 0.4, 1.0], dtype=rng.dtype)[order][:, None, None, None]
    return {
        "x": contrast * rng.uniform(N, C, H, W, low=-1.0),
        "grey": order == rng.integer(0, N),
        "kernel": rng.normal(3, C, 3, 3, scale=0.5),
        "place": rng.uniform(3 * 3 * 5, low=0.2, high=1.0),
        "lr": rng.number(0.05, 0.15),
    }


def _ascend_one(step: Any, inputs: Inputs) -> Findings:
    return {"x after a step, one image": step(_steep_activity(inputs), inputs["x"][:1], inputs["lr"])}


def _ascend_batch(step: Any, inputs: Inputs) -> Findings:
    return {"x after a step, three images": step(_steep_activity(inputs), inputs["x"], inputs["lr"])}


def _ascend_dead(step: Any, inputs: Inputs) -> Findings:
    x = inputs["x"].masked_fill(inputs["grey"][:, None, None, None], 0.0)
    return {"x after a step, one image grey": step(_steep_activity(inputs), x, inputs["lr"])}


def _ascend_traces(step: Any, inputs: Inputs) -> Findings:
    x = inputs["x"]
    moved = step(_steep_activity(inputs), x, inputs["lr"])
    return {
        "the result carries a graph": moved.requires_grad,
        "x requires a gradient": x.requires_grad,
        "x.grad": x.grad,
    }


ASCENT_STEP = Question(
    unit="02",
    name="ascent_step",
    title="A step of known size",
    difficulty=2,
    minutes=12,
    task="""
The gradient of a layer's activity is millions of times larger for one layer than for another, and for one image than for its
neighbour in the batch. So DeepDream rescales it before every step. The original script divides by the mean absolute value;
here it is the root mean square, after which a step moves every image equally far:

$$x_n \\leftarrow x_n + \\eta\\, \\frac{g_n}{\\mathrm{rms}(g_n) + 10^{-8}}, \\qquad g_n = \\frac{\\partial a_n}{\\partial x_n},
\\qquad \\mathrm{rms}(g) = \\sqrt{\\tfrac{1}{CHW} \\textstyle\\sum_{c,i,j} g_{cij}^2}$$

`ascent_step(activity, x, lr)` takes the function `activity`, which maps images (N, C, H, W) to one number each, (N,), where the
number of image n depends on image n alone; `x` (N, C, H, W); and the number `lr` $= \\eta$. It returns the images after one step
**up**, (N, C, H, W). An image whose gradient is 0 everywhere stays where it is. The result carries no graph, and `x` neither
requires a gradient afterwards nor holds one. Pixels are not clipped.
""",
    answers=("ascent_step",),
    draw=_draw_ascent,
    parts=(
        Part(name="one image", points=0.5, tests="a step with a single image", probe=_ascend_one),
        Part(name="batch", points=1.0, tests="three images whose gradients differ a thousandfold", probe=_ascend_batch),
        Part(name="no gradient", points=0.5, tests="an image whose gradient is 0", probe=_ascend_dead),
        Part(name="no trace", points=0.5, tests="no graph on the result, no gradient on x", probe=_ascend_traces),
    ),
    hints=(
        "One backward pass is enough for all images: no image's activity depends on another image.",
        "Differentiate the sum of the activities with respect to a detached copy. The mean of squares runs over axes 1, 2, 3.",
        "`leaf = x.detach().requires_grad_()`, `(g,) = torch.autograd.grad(activity(leaf).sum(), leaf)`, and "
        "`g.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()` is (N, 1, 1, 1).",
    ),
)


# jittered_ascent


def _draw_jitter(rng: Rng) -> Inputs:
    N, C, H, W = 2, 2, 6, 9
    signs = [1 - 2 * rng.integer(0, 2) for _ in range(4)]
    return {
        "x": rng.uniform(N, C, H, W, low=-1.0),
        "kernel": rng.normal(3, C, 3, 3, scale=0.4),
        "place": rng.uniform(3 * 3 * 5, low=-1.0, high=1.0),
        # Never half the height, and never the same along both axes: wrong signs and swapped axes must show.
        "shifts": [
            [signs[0] * rng.integer(1, 3), signs[1] * rng.integer(3, 5)],
            [signs[2] * 4, signs[3] * rng.integer(1, 3)],
            [rng.integer(1, 3), -3],
        ],
        "lr": rng.number(0.1, 0.2),
    }


def _jitter(ascend: Any, inputs: Inputs, shifts: list[list[int]]) -> Tensor:
    moved: Tensor = ascend(_activity(inputs), inputs["x"], [(dy, dx) for dy, dx in shifts], inputs["lr"])
    return moved


def _jitter_still(ascend: Any, inputs: Inputs) -> Findings:
    return {"x after one step without a shift": _jitter(ascend, inputs, [[0, 0]])}


def _jitter_once(ascend: Any, inputs: Inputs) -> Findings:
    return {
        f"x after one step, shift {k}": _jitter(ascend, inputs, [shift]) for k, shift in enumerate(inputs["shifts"])
    }


def _jitter_often(ascend: Any, inputs: Inputs) -> Findings:
    return {"x after three steps": _jitter(ascend, inputs, inputs["shifts"])}


JITTERED_ASCENT = Question(
    unit="02",
    name="jittered_ascent",
    title="Jitter, and its undo",
    difficulty=2,
    minutes=12,
    task="""
Layers with strides have a grid, and plain ascent engraves it into the image. So every step looks at the image from another
offset: shift, step, shift back. One sign wrong, and the dream drifts across the picture or smears.

`jittered_ascent(activity, x, shifts, lr)` takes the function `activity`, images (N, C, H, W) to one number each, (N,); `x` (N, C,
H, W); a list `shifts` of pairs `(dy, dx)` of whole numbers, also negative ones; and a number `lr`. For each pair in turn it
takes one plain step **up**, `+ lr` times the gradient of the sum of the activities (not rescaled), at the image moved **down by
dy and right by dx**, pixels that leave on one side coming back on the other. It returns the images (N, C, H, W) after the last
step in their original place, without a graph.
""",
    answers=("jittered_ascent",),
    draw=_draw_jitter,
    parts=(
        Part(name="no shift", points=0.5, tests="(0, 0) is a plain step", probe=_jitter_still),
        Part(name="one step", points=1.0, tests="one step, for three shifts", probe=_jitter_once),
        Part(name="several steps", points=0.5, tests="three steps with another shift each", probe=_jitter_often),
    ),
    hints=(
        "After each step the image is back in its place: nothing of a shift is left for the next one.",
        "`torch.roll` takes as many `shifts` as `dims`. Down is along axis 2, right along axis 3.",
        "`x.roll((dy, dx), (2, 3))`, one step there, then `.roll((-dy, -dx), (2, 3))`.",
    ),
)
