"""Answer keys to section 1: a cell and its unrolling."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
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
    source=(
        "Le, Jaitly & Hinton 2015, A simple way to initialize recurrent networks of rectified linear units, section 3"
    ),
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


Cell = Callable[[Tensor, Tensor], Tensor]


def unroll(cell, x: Tensor, h: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Apply cell (N, D), (N, H) -> (N, H) along x (N, T, D) from h (N, H): states (N, T, H) and the last one (N, H)."""
    ### BEGIN SOLUTION
    T = x.shape[1]
    states = [h] * T
    for t in reversed(range(T)) if reverse else range(T):
        h = cell(x[:, t], h)
        states[t] = h
    return torch.stack(states, dim=1), h
    ### END SOLUTION


def _unroll_reference(cell: Cell, x: Tensor, h: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """The state at each position from its definition: all that was read so far, read again from the start."""
    T = x.shape[1]

    def after(t: int) -> Tensor:
        """The state right after position t was read."""
        before = t + 1 if reverse else t - 1
        return cell(x[:, t], after(before) if 0 <= before < T else h)

    states = torch.stack([after(t) for t in range(T)], dim=1)
    return states, states[:, 0 if reverse else T - 1]


def _unroll_by_flipping(cell: Cell, x: Tensor, h: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    states = []
    for x_t in (x.flip(1) if reverse else x).unbind(1):
        h = cell(x_t, h)
        states.append(h)
    stacked = torch.stack(states, 1)
    return (stacked.flip(1) if reverse else stacked), h


def _unroll_into_buffer(cell: Cell, x: Tensor, h: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    N, T, _ = x.shape
    states = torch.zeros(N, T, h.shape[1], dtype=h.dtype)
    order = list(range(T))[:: -1 if reverse else 1]
    for t in order:
        h = cell(x[:, t, :], h)
        states[:, t] = h
    return states, states[:, order[-1]]


def _unroll_recursively(cell: Cell, x: Tensor, h: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    first, rest = (x[:, -1], x[:, :-1]) if reverse else (x[:, 0], x[:, 1:])
    state = cell(first, h)
    if rest.shape[1] == 0:
        return state[:, None], state
    states, last = _unroll_recursively(cell, rest, state, reverse)
    return torch.cat([states, state[:, None]] if reverse else [state[:, None], states], dim=1), last


def _unroll_wrong(
    *, from_zeros=False, carry=True, before=False, detach=False, turn=True, stack_dim=1, last="right", direction="asked"
):  # type: ignore[no-untyped-def]
    """An unrolling with one part of it wrong."""

    def answer(cell: Cell, x: Tensor, h: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
        reverse = reverse if direction == "asked" else False
        start = h = torch.zeros_like(h) if from_zeros else h
        steps = list(reversed(range(x.shape[1]))) if reverse else list(range(x.shape[1]))
        states = []
        for t in steps:
            new = cell(x[:, t], (h.detach() if detach else h) if carry else start)
            states.append(h if before else new)
            h = new
        kept = states[::-1] if reverse and turn else states
        return torch.stack(kept, dim=stack_dim), kept[-1] if last == "final position" else h

    return answer


UNROLL = Key(
    question=asked.UNROLL,
    solution=(unroll,),
    reference=_unroll_reference,
    source=(
        "Elman 1990, Finding structure in time; Schuster & Paliwal 1997, Bidirectional recurrent neural networks, "
        "section II"
    ),
    mistakes=(
        Mistake(
            "states in the order of reading",
            "Backwards, the first state that you compute belongs to the last position: `states[:, t]` must have "
            "read `x[:, t]`.",
            _unroll_wrong(turn=False),
        ),
        Mistake(
            "direction ignored",
            "`reverse` changes nothing in your answer: with it, read `x[:, T - 1]` first.",
            _unroll_wrong(direction="forwards"),
        ),
        Mistake(
            "last position instead of last step",
            "Backwards, the final step reads `x[:, 0]`: return the state after that one as `last`.",
            _unroll_wrong(last="final position"),
        ),
        Mistake(
            "started from zeros",
            "Begin with the state `h` that was handed in, not with zeros.",
            _unroll_wrong(from_zeros=True),
        ),
        Mistake(
            "state not carried on",
            "Every step of yours sees the first `h`: hand the new state to the next step.",
            _unroll_wrong(carry=False),
        ),
        Mistake(
            "state before the step",
            "`states[:, t]` is the state *after* `x[:, t]` was read: store it after calling the cell.",
            _unroll_wrong(before=True),
        ),
        Mistake(
            "time axis first",
            "`states` is (N, T, H): stack along `dim=1`.",
            _unroll_wrong(stack_dim=0),
        ),
        Mistake(
            "gradient cut between steps",
            "The states are right, but a `detach` (or `.data`, or a copy by `torch.tensor`) stops their gradient "
            "after one step.",
            _unroll_wrong(detach=True),
        ),
    ),
    alternatives={
        "flip, read, flip back": _unroll_by_flipping,
        "written into a buffer": _unroll_into_buffer,
        "recursion": _unroll_recursively,
    },
)


def masked_loss(logits: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
    """Mean cross entropy over real positions: logits (N, T, C), y (N, T), lengths (N,) -> scalar."""
    ### BEGIN SOLUTION
    T = logits.shape[1]
    real = torch.arange(T, device=logits.device) < lengths[:, None]
    return F.cross_entropy(logits[real], y[real])
    ### END SOLUTION


def _masked_reference(logits: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
    """Position by position: -log softmax(a)_y, summed, divided by the number of real positions."""
    total, count = logits.new_zeros(()), 0
    for n in range(logits.shape[0]):
        for t in range(int(lengths[n])):
            a = logits[n, t]
            total = total + torch.log(torch.exp(a - a.max().detach()).sum()) + a.max().detach() - a[y[n, t]]
            count += 1
    return total / count


def _masked_by_rows(logits: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
    rows = [F.cross_entropy(a[:k], target[:k], reduction="sum") for a, target, k in zip(logits, y, lengths.tolist())]
    return torch.stack(rows).sum() / lengths.sum()


def _masked_filled(logits: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
    pad = torch.arange(y.shape[1])[None] >= lengths[:, None]
    logp = logits.masked_fill(pad[..., None], 0.0).log_softmax(-1).gather(-1, y[..., None])[..., 0]
    return -(logp * (~pad)).sum() / (~pad).sum()


def _masked_ignored(logits: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
    pad = torch.arange(y.shape[1]).expand_as(y) >= lengths.unsqueeze(1)
    clean = torch.where(pad.unsqueeze(2), torch.zeros_like(logits), logits)
    return F.cross_entropy(clean.transpose(1, 2), y.masked_fill(pad, -100), ignore_index=-100)


def _mask(y: Tensor, lengths: Tensor, shift: int = 0) -> Tensor:
    return torch.arange(y.shape[1]) < (lengths[:, None] + shift)


def _each(logits: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(logits.transpose(1, 2), y, reduction="none")


MASKED_LOSS = Key(
    question=asked.MASKED_LOSS,
    solution=(masked_loss,),
    reference=_masked_reference,
    source=(
        "cross entropy of each step (Goodfellow, Bengio & Courville 2016, Deep Learning, eq. 10.12-10.14), mean "
        "over real steps"
    ),
    mistakes=(
        Mistake(
            "padding counted",
            "Positions beyond a sequence's length are in your mean: `lengths` is not used.",
            lambda a, y, lengths: F.cross_entropy(a.flatten(0, 1), y.flatten()),
        ),
        Mistake(
            "divided by N T",
            "The padding is out of the sum but still in the count: divide by the number of real positions, "
            "`lengths.sum()`.",
            lambda a, y, lengths: (
                F.cross_entropy(a[_mask(y, lengths)], y[_mask(y, lengths)], reduction="sum") / y.numel()
            ),
        ),
        Mistake(
            "mean of the sequences' means",
            "A short sequence's positions weigh more than a long one's: sum over all real positions, then divide once.",
            lambda a, y, lengths: torch.stack(
                [F.cross_entropy(a[n, :k], y[n, :k]) for n, k in enumerate(lengths)]
            ).mean(),
        ),
        Mistake(
            "sum instead of mean",
            "Divide by the number of real positions.",
            lambda a, y, lengths: F.cross_entropy(a[_mask(y, lengths)], y[_mask(y, lengths)], reduction="sum"),
        ),
        Mistake(
            "sum divided by the batch",
            "You divide by N. The mean is over positions: divide by `lengths.sum()`.",
            lambda a, y, lengths: F.cross_entropy(a[_mask(y, lengths)], y[_mask(y, lengths)], reduction="sum") / len(y),
        ),
        Mistake(
            "class 0 taken for padding",
            "You leave out every target that is 0, real ones too: make the mask from `lengths`.",
            lambda a, y, lengths: F.cross_entropy(a.flatten(0, 1), y.flatten(), ignore_index=0),
        ),
        Mistake(
            "one position too many",
            "A sequence of length k has real positions 0 to k − 1: compare with `<`, not with `<=`.",
            lambda a, y, lengths: F.cross_entropy(a[_mask(y, lengths, 1)], y[_mask(y, lengths, 1)]),
        ),
        Mistake(
            "last position lost",
            "A sequence of length k has real positions 0 to k − 1, the last one included.",
            lambda a, y, lengths: F.cross_entropy(a[_mask(y, lengths, -1)], y[_mask(y, lengths, -1)]),
        ),
        Mistake(
            "padding multiplied by 0",
            "0 × NaN is NaN: a product with a mask does not remove anything. Choose the real positions by indexing "
            "first.",
            lambda a, y, lengths: (_each(a, y) * _mask(y, lengths)).sum() / lengths.sum(),
        ),
        Mistake(
            "chosen after the logarithm",
            "The loss is right, but its gradient passes back through the softmax of the padding, where 0 × NaN is "
            "NaN. Choose the real positions of the logits, before the softmax.",
            lambda a, y, lengths: _each(a, y)[_mask(y, lengths)].mean(),
        ),
        Mistake(
            "softmax taken twice",
            "`F.cross_entropy` takes logits and applies the softmax itself.",
            lambda a, y, lengths: F.cross_entropy(a[_mask(y, lengths)].softmax(-1), y[_mask(y, lengths)]),
        ),
        Mistake(
            "logarithm to base 2",
            "That is the loss in bits; the task asks for the natural logarithm.",
            lambda a, y, lengths: F.cross_entropy(a[_mask(y, lengths)], y[_mask(y, lengths)]) / math.log(2),
        ),
    ),
    alternatives={
        "sequence by sequence": _masked_by_rows,
        "padding replaced before the softmax": _masked_filled,
        "ignore_index": _masked_ignored,
    },
)
