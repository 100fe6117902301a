"""## 1. A cell and its unrolling

One step of a recurrent network, then many, then the loss over all of them.
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng


def _draw_cell(rng: Rng) -> Inputs:
    N, D, H = 3, 4, 5
    return {
        "x": rng.normal(N, D),
        "h": rng.normal(N, H),
        "W": rng.normal(H, D + H, scale=0.6),
        "b": rng.normal(H, scale=0.5),
    }


def _step(cell: Any, inputs: Inputs) -> Findings:
    return {"h_next": cell(inputs["x"], inputs["h"], inputs["W"], inputs["b"])}


def _step_gradients(cell: Any, inputs: Inputs) -> Findings:
    names = ("x", "h", "W", "b")
    leaves = [inputs[name].requires_grad_() for name in names]
    out = cell(*leaves)
    # An asymmetric weighting, so that no gradient is right by symmetry alone.
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    grads = torch.autograd.grad((out * weights).sum(), leaves, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(names, grads)}


def _step_alone(cell: Any, inputs: Inputs) -> Findings:
    return {"one sequence": cell(inputs["x"][:1], inputs["h"][:1], inputs["W"], inputs["b"])}


RELU_CELL = Question(
    unit="01",
    name="relu_cell",
    title="A ReLU cell with stacked weights",
    difficulty=1,
    minutes=5,
    task="""
The lecture's cell squashes with tanh and splits its weights. Write the sibling with one stacked matrix, a bias and a
rectifier (Le, Jaitly and Hinton 2015):

$$h_t = \\max\\!\\left(0,\\; W \\begin{pmatrix} x_t \\\\ h_{t-1} \\end{pmatrix} + b\\right)$$

`relu_cell(x, h, W, b)` takes `x` (N, D), `h` (N, H), `W` (H, D + H) with **the columns of the input first**, `b` (H,),
and returns $h_t$ (N, H). Gradients must reach all four arguments.
""",
    answers=("relu_cell",),
    draw=_draw_cell,
    parts=(
        Part(name="values", points=1.0, tests="h_t for a batch of 3, D = 4, H = 5", probe=_step),
        Part(name="gradients", points=0.5, tests="gradients with respect to x, h, W and b", probe=_step_gradients),
        Part(name="batch of one", points=0.5, tests="the same for a batch of one", probe=_step_alone),
    ),
    hints=(
        "Batches are rows here: a column vector on the slide is a row of `x`.",
        "Put `x` and `h` side by side along the last axis, in the order of the columns of `W`.",
        "`torch.cat([x, h], dim=1) @ W.T` is (N, H); the bias broadcasts over the rows.",
    ),
)
