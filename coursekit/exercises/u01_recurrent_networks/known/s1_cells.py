"""Answer keys to section 1: a cell and its unrolling."""

from __future__ import annotations

import torch
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u01_recurrent_networks.asked import s1_cells as asked


def relu_cell(x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """One step: x (N, D), h (N, H), W (H, D + H), b (H,) -> (N, H)."""
    ### BEGIN SOLUTION
    stacked = torch.cat([x, h], dim=1)
    return torch.relu(stacked @ W.T + b)
    ### END SOLUTION


def _relu_reference(x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """Entry by entry, as the equation is read aloud."""
    N, D = x.shape
    rows = []
    for n in range(N):
        entries = []
        for k in range(W.shape[0]):
            total = b[k]
            for d in range(D):
                total = total + W[k, d] * x[n, d]
            for j in range(h.shape[1]):
                total = total + W[k, D + j] * h[n, j]
            entries.append(total.clamp(min=0))
        rows.append(torch.stack(entries))
    return torch.stack(rows)


def _relu_split(x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    D = x.shape[1]
    return torch.nn.functional.linear(x, W[:, :D], b).add(h @ W[:, D:].T).clamp_min(0)


def _relu_einsum(x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    a = torch.einsum("kd,nd->nk", W, torch.hstack((x, h))) + b
    return a * (a > 0)


def _relu_module(x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    columns = torch.vstack((x.T, h.T))
    return torch.maximum(torch.addmm(b[:, None], W, columns), torch.zeros((), dtype=x.dtype)).T


RELU_CELL = Key(
    question=asked.RELU_CELL,
    solution=(relu_cell,),
    reference=_relu_reference,
    source="Le, Jaitly & Hinton 2015, A simple way to initialize recurrent networks of rectified linear units, section 3",
    mistakes=(
        Mistake(
            "hidden state before input",
            "The columns of `W` for the input come first: stack `x` above `h`.",
            lambda x, h, W, b: torch.relu(torch.cat([h, x], dim=1) @ W.T + b),
        ),
        Mistake(
            "tanh instead of the rectifier",
            "The task asks for max(0, ·).",
            lambda x, h, W, b: torch.tanh(torch.cat([x, h], dim=1) @ W.T + b),
        ),
        Mistake(
            "no bias",
            "Add `b` before the rectifier.",
            lambda x, h, W, b: torch.relu(torch.cat([x, h], dim=1) @ W.T),
        ),
        Mistake(
            "bias after the rectifier",
            "`b` stands inside the maximum: a negative sum is cut off after the bias was added.",
            lambda x, h, W, b: torch.relu(torch.cat([x, h], dim=1) @ W.T) + b,
        ),
        Mistake(
            "no non-linearity",
            "What you return can be negative: the maximum with 0 is missing.",
            lambda x, h, W, b: torch.cat([x, h], dim=1) @ W.T + b,
        ),
        Mistake(
            "gradient cut off",
            "The values are right, but no gradient reaches the previous state: leave out `detach` and `.data`.",
            lambda x, h, W, b: torch.relu(torch.cat([x, h.detach()], dim=1) @ W.T + b),
        ),
        Mistake(
            "softplus instead of the rectifier",
            "log(1 + exp(a)) is a smooth relative; the task asks for max(0, a).",
            lambda x, h, W, b: torch.nn.functional.softplus(torch.cat([x, h], dim=1) @ W.T + b),
        ),
    ),
    alternatives={
        "split weights": _relu_split,
        "einsum and a mask": _relu_einsum,
        "columns instead of rows": _relu_module,
    },
)
