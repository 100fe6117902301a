"""## 1. A cell and its unrolling

One step of a recurrent network, then many, then the loss over all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

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


def _draw_unroll(rng: Rng) -> Inputs:
    N, T, D, H = 3, 5, 2, 4
    return {
        "x": rng.normal(N, T, D),
        "h": rng.normal(N, H),
        "W_hx": rng.normal(H, D, scale=0.7),
        "W_hh": rng.normal(H, H, scale=0.5),
    }


def _cell(inputs: Inputs) -> Callable[[Tensor, Tensor], Tensor]:
    """A cell that is ready to call: (x_t (N, D), h (N, H)) -> (N, H)."""
    return lambda x_t, h: torch.tanh(x_t @ inputs["W_hx"].T + h @ inputs["W_hh"].T)


def _unroll_forwards(unroll: Any, inputs: Inputs) -> Findings:
    cell = _cell(inputs)
    states, last = unroll(cell, inputs["x"], inputs["h"], False)
    single, _ = unroll(cell, inputs["x"][:1, :1], inputs["h"][:1], False)
    return {"states": states, "last": last, "states of one sequence with one step": single}


def _unroll_backwards(unroll: Any, inputs: Inputs) -> Findings:
    states, last = unroll(_cell(inputs), inputs["x"], inputs["h"], True)
    return {"states": states, "last": last}


def _unroll_gradients(unroll: Any, inputs: Inputs) -> Findings:
    names = ("x", "h", "W_hx", "W_hh")
    leaves = [inputs[name].requires_grad_() for name in names]
    findings: Findings = {}
    for reverse in (False, True):
        states, last = unroll(_cell(inputs), inputs["x"], inputs["h"], reverse)
        # One state at a border alone: its gradient has to travel through every step.
        target = states[:, 0 if reverse else -1].square().sum() + last.sum()
        grads = torch.autograd.grad(target, leaves, allow_unused=True)
        findings |= {f"gradient of {name}, reverse={reverse}": grad for name, grad in zip(names, grads)}
    return findings


UNROLL = Question(
    unit="01",
    name="unroll",
    title="Unroll a cell, in either direction of time",
    difficulty=2,
    minutes=10,
    task="""
A cell knows one step. Unrolling applies the *same* cell, hence the same weights, at every step, and a bidirectional
network also needs it from the last step to the first (Schuster and Paliwal 1997).

`unroll(cell, x, h, reverse)` takes a function `cell(x_t, h)` that maps (N, D) and (N, H) to (N, H), a batch `x` of
shape **(N, T, D)**, a first state `h` (N, H) and a truth value. It returns a pair:

- `states` (N, T, H): **`states[:, t]` is the state right after the cell has read `x[:, t]`**, in both directions, so
  that forward and backward states of one position can later be put side by side;
- `last` (N, H): the state after the final step that was taken, which for `reverse=True` is the one that read `x[:,
  0]`.

Reading starts from `h` at whichever end it starts. Gradients flow through all steps.
""",
    answers=("unroll",),
    draw=_draw_unroll,
    parts=(
        Part(name="forwards", points=0.5, tests="states and last state, forwards", probe=_unroll_forwards),
        Part(name="backwards", points=1.0, tests="states and last state, backwards in time", probe=_unroll_backwards),
        Part(name="gradients", points=0.5, tests="gradients through all steps, both ways", probe=_unroll_gradients),
    ),
    hints=(
        "Only the order of the positions differs between the two directions; what is stored at a position does not.",
        "Loop over `range(T)` or over `reversed(range(T))`, and keep each state under its own position.",
        "Collect the states in reading order and, if you read backwards, turn the list round before "
        "`torch.stack(..., dim=1)`. Remember the last state before you turn.",
    ),
)


def _draw_masked(rng: Rng) -> Inputs:
    N, T, C = 4, 6, 5
    y = rng.integers(0, C, N, T)
    y[:, 0] = torch.tensor([0, 1, 0, 3])  # class 0 is an ordinary class, and it does occur
    lengths = torch.tensor([6, 2, 3, 4])[rng.permutation(N)]
    y[torch.arange(T) >= lengths[:, None]] = 0  # what pads the targets is a valid class number
    return {"logits": rng.normal(N, T, C, scale=1.5), "y": y, "lengths": lengths}


def _masked_value(masked_loss: Any, inputs: Inputs) -> Findings:
    logits, y, lengths = inputs["logits"], inputs["y"], inputs["lengths"]
    return {
        "loss": masked_loss(logits, y, lengths),
        "loss of two sequences": masked_loss(logits[1:3], y[1:3], lengths[1:3]),
        "loss without padding": masked_loss(logits[:, :2], y[:, :2], torch.full_like(lengths, 2)),
    }


def _masked_gradient(masked_loss: Any, inputs: Inputs) -> Findings:
    logits = inputs["logits"].requires_grad_()
    (grad,) = torch.autograd.grad(masked_loss(logits, inputs["y"], inputs["lengths"]), logits)
    padding = torch.arange(logits.shape[1]) >= inputs["lengths"][:, None]
    return {"gradient of the logits": grad, "largest gradient in the padding": grad[padding].abs().max()}


def _masked_nan(masked_loss: Any, inputs: Inputs) -> Findings:
    padding = torch.arange(inputs["y"].shape[1]) >= inputs["lengths"][:, None]
    logits = inputs["logits"].masked_fill(padding[:, :, None], float("nan")).requires_grad_()
    loss = masked_loss(logits, inputs["y"], inputs["lengths"])
    (grad,) = torch.autograd.grad(loss, logits)
    return {"loss": loss, "gradient of the logits": grad}


MASKED_LOSS = Question(
    unit="01",
    name="masked_loss",
    title="One loss for sequences of different lengths",
    difficulty=3,
    minutes=15,
    task="""
With an output at every step the loss is the sum of the steps' losses $C_t$. Sequences of different lengths share a
rectangle, and whatever stands beyond a sequence's end is padding. Write the mean cross entropy over the **real**
positions of the whole batch,

$$C = \\frac{1}{\\sum_n \\ell_n} \\sum_{n=1}^{N} \\sum_{t=1}^{\\ell_n} -\\log \\mathrm{softmax}(a_{nt})_{y_{nt}}$$

`masked_loss(logits, y, lengths)` takes `logits` $a$ (N, T, C), `y` (N, T) int64 with classes 0 to C − 1, and
`lengths` $\\ell$ (N,) int64 between 1 and T, and returns the scalar $C$. Every real position weighs the same,
whichever sequence it belongs to.

Two things are easily got wrong. The padding of `y` holds zeros, but class 0 is an ordinary class. And the padding of
`logits` may hold **anything, even NaN**: neither the loss nor its gradient may notice, and the gradient there is
exactly 0.
""",
    answers=("masked_loss",),
    draw=_draw_masked,
    parts=(
        Part(name="loss", points=1.0, tests="the loss with and without padding", probe=_masked_value),
        Part(name="gradient", points=0.5, tests="the gradient, exactly 0 in the padding", probe=_masked_gradient),
        Part(name="NaN", points=0.5, tests="NaN in the padding changes nothing", probe=_masked_nan),
    ),
    hints=(
        "Which positions are real follows from `lengths` alone, never from `y`.",
        "`torch.arange(T) < lengths[:, None]` is a mask (N, T). 0 × NaN is NaN, so multiplying by a mask removes "
        "nothing.",
        "Index before you take the logarithm: `logits[mask]` is (number of real positions, C) and `y[mask]` fits to "
        "it.",
    ),
)
