"""## 5. Other ways to wire it

The cell stays; what changes is who reads what. One network reads from both ends, one looks further back than a step, one
is deep.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum


def _weights(rng: Rng, D: int, H: int) -> list[Tensor]:
    """W_hx, W_hh, b. The bias is far from 0: a step over padding then moves the state, whatever stands there."""
    return [
        rng.normal(H, D, scale=0.7),
        rng.normal(H, H, scale=0.6),
        rng.uniform(H, low=0.3, high=0.9) * (1 - 2 * rng.integers(0, 2, H)),
    ]


# bidirectional_readout


def scan(x: Tensor, W_hx: Tensor, W_hh: Tensor, b: Tensor) -> Tensor:
    """The tanh cell over x (N, T, D), from a state of zeros -> its states (N, T, H). It knows nothing of lengths."""
    h = torch.zeros(len(x), len(b), dtype=x.dtype)
    states = []
    for x_t in x.unbind(dim=1):
        h = torch.tanh(x_t @ W_hx.T + h @ W_hh.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


def _draw_bidirectional(rng: Rng) -> Inputs:
    N, T, D, H = 4, 6, 2, 3
    # One sequence is full and one has a single step; the others lie between, in an order that changes.
    lengths = torch.tensor([T, 1, 3, 4])[rng.permutation(N)]
    return {
        "x": rng.normal(N, T, D),
        "lengths": lengths,
        "forward": _weights(rng, D, H),
        "backward": _weights(rng, D, H),
        "states": rng.normal(N, T, 2 * H),
    }


_WAYS = ("x", "lengths", "forward", "backward")


def _both_ways(answer: Any, inputs: Inputs) -> Findings:
    return {"states": answer.bidirectional_states(*(inputs[name] for name in _WAYS))}


def _loud_padding(answer: Any, inputs: Inputs) -> Findings:
    x, lengths, forward, backward = (inputs[name] for name in _WAYS)
    padded = torch.arange(x.shape[1])[None, :, None] >= lengths[:, None, None]
    return {
        "states, 50 in the padding": answer.bidirectional_states(
            x.masked_fill(padded, 50.0), lengths, forward, backward
        )
    }


def _read(answer: Any, inputs: Inputs) -> Findings:
    return {"summary": answer.bidirectional_readout(inputs["states"], inputs["lengths"])}


def _bidirectional_gradients(answer: Any, inputs: Inputs) -> Findings:
    names = ("x", "forward W_hx", "forward W_hh", "forward b", "backward W_hx", "backward W_hh", "backward b")
    leaves = [tensor.requires_grad_() for tensor in (inputs["x"], *inputs["forward"], *inputs["backward"])]
    states = answer.bidirectional_states(leaves[0], inputs["lengths"], leaves[1:4], leaves[4:])
    grads = torch.autograd.grad(weighted_sum(states), leaves, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(names, grads)}


BIDIRECTIONAL_READOUT = Question(
    unit="01",
    name="bidirectional_readout",
    title="From both ends, with padding",
    difficulty=3,
    minutes=25,
    task="""
A bidirectional network runs two cells with weights of their own: one from the first step to the last, one from the last
to the first. In a batch the sequences have different lengths and are padded at the end, so *the last step* is another
step for each of them: the backward cell must **begin** there, with a state of zeros, and never see the padding. `scan`, given
below, runs a cell over all steps and knows nothing of lengths. Write two functions.

- `bidirectional_states(x, lengths, forward, backward)`: `x` (N, T, D); `lengths` (N,) int64, from 1 to T; `forward` and
  `backward` are triples `(W_hx, W_hh, b)` as `scan` takes them. Returns (N, T, 2H): for each step the forward state, then
  the state of the backward cell **after it has read that step** (so at step 0 it has read the whole sequence). Steps in the
  padding hold zeros. What stands there (any finite number) must not matter.
- `bidirectional_readout(states, lengths)`: from such states (N, T, 2H) the summary (N, 2H) of each sequence: for either
  direction the state that has read all of it.
""",
    answers=("bidirectional_states", "bidirectional_readout"),
    given=(scan,),
    draw=_draw_bidirectional,
    parts=(
        Part(name="states", points=1.0, tests="states of four sequences of lengths 1, 3, 4 and 6", probe=_both_ways),
        Part(name="padding", points=0.5, tests="the same with 50 in every padded place", probe=_loud_padding),
        Part(name="readout", points=1.0, tests="the summary, from states that are handed over", probe=_read),
        Part(
            name="gradients",
            points=0.5,
            tests="gradients with respect to x (none from the padding) and all six weights",
            probe=_bidirectional_gradients,
        ),
    ),
    hints=(
        "Draw a sequence of 3 steps in a batch of 6. Where does a plain `flip` put its three steps?",
        "Turn each sequence round *within its length*: step t becomes step `lengths - 1 - t`. The same index turns the "
        "backward states back again.",
        "`turn = (lengths[:, None] - 1 - torch.arange(T)).clamp(min=0)` and `rows = torch.arange(N)[:, None]`: then "
        "`x[rows, turn]` is the batch turned round, and `scan(...)[rows, turn]` turns the states back. Zero the padding last.",
    ),
)


# skip_in_time


_SKIP = ("x", "W_hx", "W_hh", "W_skip", "b")


def _draw_skip(rng: Rng) -> Inputs:
    N, T, D, H = 3, 8, 2, 4
    W_hx, W_hh, b = _weights(rng, D, H)
    return {"x": rng.normal(N, T, D), "W_hx": W_hx, "W_hh": W_hh, "W_skip": rng.normal(H, H, scale=0.6), "b": b}


def _skip_by(*distances: int) -> Any:
    def probe(answer: Any, inputs: Inputs) -> Findings:
        return {f"states, k = {k}": answer(*(inputs[name] for name in _SKIP), k) for k in distances}

    return probe


def _skip_gradients(answer: Any, inputs: Inputs) -> Findings:
    """What reaches back from the last state, and how far."""
    leaves = [inputs[name].requires_grad_() for name in _SKIP]
    states = answer(*leaves, 3)
    grads = torch.autograd.grad(weighted_sum(states[:, -1]), leaves, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(_SKIP, grads)}


SKIP_IN_TIME = Question(
    unit="01",
    name="skip_in_time",
    title="A connection that skips steps",
    difficulty=2,
    minutes=15,
    task="""
Over a long distance a gradient passes one Jacobian for each step. Give the cell a second look back, $k$ steps far, and there
is a way with $k$ times fewer of them:

$$h_t = \\tanh\\!\\left(W_{hx}\\, x_t + W_{hh}\\, h_{t-1} + W_{skip}\\, h_{t-k} + b\\right)$$

Before the first step every state is 0. Write `skip_states(x, W_hx, W_hh, W_skip, b, k)` for `x` (N, T, D), `W_hx` (H, D),
`W_hh` and `W_skip` (H, H), `b` (H,) and a whole number `k` of at least 1, which may exceed T. It returns the states
(N, T, H). The gradient flows along both ways.
""",
    answers=("skip_states",),
    draw=_draw_skip,
    parts=(
        Part(name="values", points=1.0, tests="states for k = 3, T = 8", probe=_skip_by(3)),
        Part(
            name="edges",
            points=0.5,
            tests="k = 1 (both look at one state), k = 7 and k = 9 (beyond the start)",
            probe=_skip_by(1, 7, 9),
        ),
        Part(name="gradients", points=0.5, tests="gradients of the last state, k = 3", probe=_skip_gradients),
    ),
    hints=(
        "Keep all states, not just the last one. What is there to look back to when `t < k`?",
        "Begin the list of states with `k` tensors of zeros: then the state k steps back is always in it.",
        "With `states = [zeros] * k`, a step appends `torch.tanh(x_t @ W_hx.T + states[-1] @ W_hh.T + states[-k] @ "
        "W_skip.T + b)`. Stack `states[k:]`.",
    ),
)


# residual_stack


def _fill(net: nn.Module, seed: int) -> nn.Module:
    """Every parameter by its name: two nets whose parameters have the same names and shapes become one."""
    if not any(name.startswith("layers.") for name, _ in net.named_parameters()):
        raise AttributeError("self.layers has no parameters, expected those of L recurrent layers.")
    with torch.no_grad():
        for k, (_, parameter) in enumerate(sorted(net.named_parameters(), key=lambda item: item[0])):
            generator = torch.Generator().manual_seed(1000 * seed + k)
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(drawn * (0.6 if parameter.dim() > 1 else 0.4))
    return net


def _draw_stack(rng: Rng) -> Inputs:
    return {"x": rng.normal(3, 5, 2), "seed": rng.integer(1, 1_000_000)}


def _parameters(stack: Any, inputs: Inputs) -> Findings:
    """Names and shapes at two sizes."""
    return {
        f"parameters of ResidualStack({D}, {H}, {L})": sorted(
            f"{name} {list(p.shape)}" for name, p in stack(D, H, L).named_parameters()
        )
        for D, H, L in ((2, 4, 1), (3, 5, 3))
    }


def _stack_states(stack: Any, inputs: Inputs) -> Findings:
    return {f"states, L = {L}": _fill(stack(2, 4, L), inputs["seed"])(inputs["x"]) for L in (1, 3)}


def _silent_layers(stack: Any, inputs: Inputs) -> Findings:
    """With layers whose weights are all zero, the skips alone remain."""
    net = _fill(stack(2, 4, 3), inputs["seed"])
    with torch.no_grad():
        for parameter in net.layers.parameters():
            parameter.zero_()
    return {"states, all layers silent": net(inputs["x"])}


def _stack_gradients(stack: Any, inputs: Inputs) -> Findings:
    net = _fill(stack(2, 4, 3), inputs["seed"])
    names, parameters = zip(*sorted(net.named_parameters(), key=lambda item: item[0]))
    grads = torch.autograd.grad(weighted_sum(net(inputs["x"])), parameters, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(names, grads)}


RESIDUAL_STACK = Question(
    unit="01",
    name="residual_stack",
    title="A stack with skips across layers",
    difficulty=3,
    minutes=20,
    task="""
In a stack, the states of one layer are the inputs of the next: `nn.RNN(..., num_layers=L)` does that. Add a skip across each
layer, so that a layer only has to learn what to *change*:

$$s^{(0)}_t = W x_t + b, \\qquad
s^{(l)}_t = s^{(l-1)}_t + \\text{RNN}^{(l)}\\!\\left(s^{(l-1)}\\right)_t, \\quad l = 1 \\ldots L$$

The first line makes the widths fit, so that the sum is possible from the first layer on.

Write the class `ResidualStack(D, H, L)`, an `nn.Module` with exactly these parts: `self.inlet`, an `nn.Linear` from D to H, and
`self.layers`, an `nn.ModuleList` of L separate one-layer `nn.RNN` of H inputs and H units (tanh, with biases,
`batch_first=True`). Called with `x` (N, T, D) it returns $s^{(L)}$, a tensor (N, T, H). Each layer starts from a state of zeros.
""",
    answers=("ResidualStack",),
    draw=_draw_stack,
    parts=(
        Part(
            name="parameters",
            points=0.5,
            tests="names and shapes of the parameters, for L = 1 and L = 3",
            probe=_parameters,
        ),
        Part(name="values", points=1.0, tests="states for given weights, L = 1 and L = 3", probe=_stack_states),
        Part(name="silent", points=0.5, tests="states when all weights of the layers are zero", probe=_silent_layers),
        Part(name="gradients", points=0.5, tests="gradients of all parameters, L = 3", probe=_stack_gradients),
    ),
    hints=(
        "`nn.RNN` returns two things. Which of them has a state for every step?",
        "`[nn.RNN(...)] * L` is one layer L times, with one set of weights. A list comprehension makes L layers.",
        "In `forward`: `s = self.inlet(x)`, then for each layer `s = s + layer(s)[0]`, and return `s`.",
    ),
)
