"""Answer keys to section 5: other ways to wire it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u01_recurrent_networks.asked import s5_architectures as asked
from coursekit.exercises.u01_recurrent_networks.asked.s5_architectures import scan

# bidirectional_readout


def bidirectional_states(x: Tensor, lengths: Tensor, forward: list, backward: list) -> Tensor:
    """x (N, T, D), lengths (N,), two triples (W_hx, W_hh, b) -> states (N, T, 2H), zeros in the padding."""
    ### BEGIN SOLUTION
    rows, steps = torch.arange(len(x))[:, None], torch.arange(x.shape[1])
    turn = (lengths[:, None] - 1 - steps).clamp(min=0)  # step t of the turned sequence is step L - 1 - t
    ahead = scan(x, *forward)
    behind = scan(x[rows, turn], *backward)[rows, turn]
    real = steps < lengths[:, None]
    return torch.cat([ahead, behind], dim=2).masked_fill(~real[..., None], 0.0)
    ### END SOLUTION


def bidirectional_readout(states: Tensor, lengths: Tensor) -> Tensor:
    """states (N, T, 2H), lengths (N,) -> the summary (N, 2H)."""
    ### BEGIN SOLUTION
    H = states.shape[2] // 2
    last = states[torch.arange(len(states)), lengths - 1]
    return torch.cat([last[:, :H], states[:, 0, H:]], dim=1)
    ### END SOLUTION


def _states_one_by_one(x: Tensor, lengths: Tensor, forward: list[Tensor], backward: list[Tensor]) -> Tensor:
    """Sequence by sequence, step by step; no padding is ever touched."""

    def walk(steps: list[int], sequence: Tensor, weights: list[Tensor]) -> dict[int, Tensor]:
        W_hx, W_hh, b = weights
        h, found = torch.zeros_like(b), {}
        for t in steps:
            h = torch.tanh(torch.mv(W_hx, sequence[t]) + torch.mv(W_hh, h) + b)
            found[t] = h
        return found

    nothing = torch.zeros(2 * len(forward[2]), dtype=x.dtype)
    rows = []
    for sequence, length in zip(x, lengths.tolist()):
        ahead = walk(list(range(length)), sequence, forward)
        behind = walk(list(reversed(range(length))), sequence, backward)
        rows.append(
            torch.stack([torch.cat([ahead[t], behind[t]]) if t < length else nothing for t in range(x.shape[1])])
        )
    return torch.stack(rows)


def _readout_one_by_one(states: Tensor, lengths: Tensor) -> Tensor:
    H = states.shape[2] // 2
    return torch.stack([torch.cat([s[n - 1, :H], s[0, H:]]) for s, n in zip(states, lengths.tolist())])


def _states_masked_walk(x: Tensor, lengths: Tensor, forward: list[Tensor], backward: list[Tensor]) -> Tensor:
    """Both cells walk over everything; in the padding their state is held at 0."""

    def walk(order: list[int], weights: list[Tensor]) -> list[Tensor]:
        W_hx, W_hh, b = weights
        h, found = x.new_zeros(len(x), len(b)), {}
        for t in order:
            h = torch.tanh(x[:, t] @ W_hx.T + h @ W_hh.T + b) * (t < lengths)[:, None].to(x.dtype)
            found[t] = h
        return [found[t] for t in sorted(found)]

    steps = list(range(x.shape[1]))
    pairs = zip(walk(steps, forward), walk(steps[::-1], backward))
    return torch.stack([torch.cat(pair, 1) for pair in pairs], 1)


def _readout_gather(states: Tensor, lengths: Tensor) -> Tensor:
    ahead, behind = states.chunk(2, dim=-1)
    index = (lengths - 1)[:, None, None].expand(-1, 1, ahead.shape[-1])
    return torch.hstack([ahead.gather(1, index).squeeze(1), behind.select(1, 0)])


def _states_packed(x: Tensor, lengths: Tensor, forward: list[Tensor], backward: list[Tensor]) -> Tensor:
    """The library's own: packed sequences know where each one ends."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
    weights = {**dict(zip(names, forward)), **{f"{n}_reverse": w for n, w in zip(names, backward)}}
    zero = torch.zeros_like(forward[2])
    weights |= {"bias_hh_l0": zero, "bias_hh_l0_reverse": zero}
    net = nn.RNN(x.shape[2], len(zero), batch_first=True, bidirectional=True, dtype=x.dtype)
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out = torch.func.functional_call(net, weights, (packed,))[0]
    return nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0]


def _readout_mask(states: Tensor, lengths: Tensor) -> Tensor:
    T, H = states.shape[1], states.shape[2] // 2
    last = nn.functional.one_hot(lengths - 1, T).to(states.dtype)
    return torch.cat([torch.einsum("nt,nth->nh", last, states[..., :H]), states[:, 0, H:]], -1)


def _states_rolled(x: Tensor, lengths: Tensor, forward: list[Tensor], backward: list[Tensor]) -> Tensor:
    """Flip everything, then roll each sequence to the front; the padding, now at the end, does no harm."""

    def turned(batch: Tensor) -> Tensor:
        return torch.stack([s.flip(0).roll(n - len(s), 0) for s, n in zip(batch, lengths.tolist())])

    both = torch.cat([scan(x, *forward), turned(scan(turned(x), *backward))], -1)
    return torch.where((torch.arange(x.shape[1]) < lengths[:, None])[..., None], both, torch.zeros_like(both))


def _states_wrong(
    x: Tensor,
    lengths: Tensor,
    forward: list[Tensor],
    backward: list[Tensor],
    *,
    flip: bool = False,
    silence: bool = False,
    turn_back: bool = True,
    zeroed: bool = True,
    swapped: bool = False,
    joined: str = "cat",
) -> Tensor:
    rows, steps = torch.arange(len(x))[:, None], torch.arange(x.shape[1])
    real = (steps < lengths[:, None])[..., None]
    x = x * real.to(x.dtype) if silence else x
    turn = (lengths[:, None] - 1 - steps).clamp(min=0)
    if flip:
        turn = steps.flip(0).expand(len(x), -1)
    behind = scan(x[rows, turn], *backward)
    behind = behind[rows, turn] if turn_back else behind
    pair = (scan(x, *forward), behind)
    out = pair[0] + pair[1] if joined == "sum" else torch.cat(pair[::-1] if swapped else pair, 2)
    return out.masked_fill(~real, 0.0) if zeroed else out


def _detached_behind(x: Tensor, lengths: Tensor, forward: list[Tensor], backward: list[Tensor]) -> Tensor:
    out = bidirectional_states(x, lengths, forward, backward)
    H = out.shape[2] // 2
    return torch.cat([out[..., :H], out[..., H:].detach()], 2)


def _readout_wrong(states: Tensor, lengths: Tensor, ahead: int | None = None, behind: int | None = None) -> Tensor:
    """Fixed steps for either half; None is the sequence's own last step."""
    H, rows = states.shape[2] // 2, torch.arange(len(states))
    first = states[rows, lengths - 1] if ahead is None else states[:, ahead]
    second = states[rows, lengths - 1] if behind is None else states[:, behind]
    return torch.cat([first[:, :H], second[:, H:]], 1)


def _readout_mean(states: Tensor, lengths: Tensor) -> Tensor:
    real = (torch.arange(states.shape[1]) < lengths[:, None])[..., None]
    return (states * real.to(states.dtype)).sum(1) / lengths[:, None].to(states.dtype)


def _readout_past_the_end(states: Tensor, lengths: Tensor) -> Tensor:
    H = states.shape[2] // 2
    last = states[torch.arange(len(states)), lengths.clamp(max=states.shape[1] - 1)]
    return torch.cat([last[:, :H], states[:, 0, H:]], 1)


def _readout_swapped(states: Tensor, lengths: Tensor) -> Tensor:
    H = states.shape[2] // 2
    return bidirectional_readout(states, lengths).roll(H, 1)


def _with_states(states: object) -> dict[str, object]:
    return {"bidirectional_states": states, "bidirectional_readout": bidirectional_readout}


def _with_readout(readout: object) -> dict[str, object]:
    return {"bidirectional_states": bidirectional_states, "bidirectional_readout": readout}


BIDIRECTIONAL_READOUT = Key(
    question=asked.BIDIRECTIONAL_READOUT,
    solution=(bidirectional_states, bidirectional_readout),
    reference={"bidirectional_states": _states_one_by_one, "bidirectional_readout": _readout_one_by_one},
    source="Schuster and Paliwal 1997, Bidirectional recurrent neural networks, IEEE Trans. Signal "
    "Processing 45 (11), section II",
    mistakes=(
        Mistake(
            "backward cell reads the padding first",
            "A plain flip puts the padding in front. Turn each sequence round within its own length.",
            _with_states(lambda x, lengths, forward, backward: _states_wrong(x, lengths, forward, backward, flip=True)),
        ),
        Mistake(
            "padding set to zero, but still read",
            "Zeros are inputs, too: with a bias the state moves on them. The backward cell must start at the last real step.",
            _with_states(
                lambda x, lengths, forward, backward: _states_wrong(
                    x, lengths, forward, backward, flip=True, silence=True
                )
            ),
        ),
        Mistake(
            "backward states not turned back",
            "The backward states stand in the order of reading. Turn them back, so that entry t has just read step t.",
            _with_states(
                lambda x, lengths, forward, backward: _states_wrong(x, lengths, forward, backward, turn_back=False)
            ),
        ),
        Mistake(
            "padding not zeroed",
            "The states of padded steps must be zeros in the result.",
            _with_states(
                lambda x, lengths, forward, backward: _states_wrong(x, lengths, forward, backward, zeroed=False)
            ),
        ),
        Mistake(
            "one cell for both directions",
            "The backward direction has weights of its own: `backward`.",
            _with_states(
                lambda x, lengths, forward, backward: bidirectional_states(
                    x, lengths, forward, [f + 0 * b for f, b in zip(forward, backward)]
                )
            ),
        ),
        Mistake(
            "directions swapped",
            "The forward states come first in the result.",
            _with_states(
                lambda x, lengths, forward, backward: _states_wrong(x, lengths, forward, backward, swapped=True)
            ),
        ),
        Mistake(
            "directions added",
            "Put the two states side by side (2H numbers); a sum cannot be told apart later.",
            _with_states(
                lambda x, lengths, forward, backward: _states_wrong(x, lengths, forward, backward, joined="sum")
            ),
        ),
        Mistake(
            "backward states detached",
            "The values are right, but no gradient reaches the backward weights.",
            _with_states(_detached_behind),
        ),
        Mistake(
            "last step of the batch",
            "Step T - 1 is padding for all but the longest sequence, and the backward cell has only begun there.",
            _with_readout(lambda states, lengths: _readout_wrong(states, lengths, ahead=-1, behind=-1)),
        ),
        Mistake(
            "backward cell read out where it begins",
            "At the last real step the backward cell has read one step. It has read all of them at step 0.",
            _with_readout(lambda states, lengths: _readout_wrong(states, lengths)),
        ),
        Mistake(
            "forward cell read out in the padding",
            "Step T - 1 is padding for all but the longest sequence: take the forward state at `lengths - 1`.",
            _with_readout(lambda states, lengths: _readout_wrong(states, lengths, ahead=-1, behind=0)),
        ),
        Mistake(
            "one step past the end",
            "The last step of a sequence of length L is step L - 1.",
            _with_readout(_readout_past_the_end),
        ),
        Mistake(
            "mean over the steps",
            "A mean is another summary. Asked for is the state that has read everything.",
            _with_readout(_readout_mean),
        ),
        Mistake(
            "summary with the directions swapped",
            "The forward half comes first in the summary, as it does in the states.",
            _with_readout(_readout_swapped),
        ),
    ),
    alternatives={
        "masked walk, gather": {"bidirectional_states": _states_masked_walk, "bidirectional_readout": _readout_gather},
        "packed sequences, one-hot": {"bidirectional_states": _states_packed, "bidirectional_readout": _readout_mask},
        "flip and roll": {"bidirectional_states": _states_rolled, "bidirectional_readout": _readout_one_by_one},
    },
)

# skip_in_time


def skip_states(x: Tensor, W_hx: Tensor, W_hh: Tensor, W_skip: Tensor, b: Tensor, k: int) -> Tensor:
    """x (N, T, D), W_hx (H, D), W_hh and W_skip (H, H), b (H,), a distance k -> states (N, T, H)."""
    ### BEGIN SOLUTION
    states = [torch.zeros(len(x), len(b), dtype=x.dtype)] * k
    for x_t in x.unbind(dim=1):
        states.append(torch.tanh(x_t @ W_hx.T + states[-1] @ W_hh.T + states[-k] @ W_skip.T + b))
    return torch.stack(states[k:], dim=1)
    ### END SOLUTION


def _skip_rows(x: Tensor, W_hx: Tensor, W_hh: Tensor, W_skip: Tensor, b: Tensor, k: int) -> Tensor:
    """One sequence at a time; a state before the first step is no entry of the table."""
    rows = []
    for sequence in x:
        table: dict[int, Tensor] = {}
        for t, x_t in enumerate(sequence):
            total = torch.mv(W_hx, x_t) + b
            if t - 1 in table:
                total = total + torch.mv(W_hh, table[t - 1])
            if t - k in table:
                total = total + torch.mv(W_skip, table[t - k])
            table[t] = torch.tanh(total)
        rows.append(torch.stack([table[t] for t in range(len(sequence))]))
    return torch.stack(rows)


def _skip_stacked(x: Tensor, W_hx: Tensor, W_hh: Tensor, W_skip: Tensor, b: Tensor, k: int) -> Tensor:
    W = torch.cat([W_hx, W_hh, W_skip], 1)
    zero, states = x.new_zeros(x.shape[0], b.shape[0]), []
    for t in range(x.shape[1]):
        near = states[t - 1] if t >= 1 else zero
        far = states[t - k] if t >= k else zero
        states.append(nn.functional.linear(torch.hstack([x[:, t], near, far]), W, b).tanh())
    return torch.stack(states, 1)


def _skip_time_first(x: Tensor, W_hx: Tensor, W_hh: Tensor, W_skip: Tensor, b: Tensor, k: int) -> Tensor:
    """The input's share for all steps at once, steps first; a queue of the last k states."""
    drive = torch.einsum("ntd,hd->tnh", x, W_hx) + b
    queue = (torch.zeros_like(drive[0]),) * k
    out = []
    for a in drive:
        new = torch.tanh(a + torch.addmm(queue[0] @ W_skip.T, queue[-1], W_hh.T))
        queue = (*queue[1:], new)
        out.append(new)
    return torch.stack(out).transpose(0, 1)


def _skip_long_state(x: Tensor, W_hx: Tensor, W_hh: Tensor, W_skip: Tensor, b: Tensor, k: int) -> Tensor:
    """A plain recurrence on a state of k pieces: the newest one in front, the oldest one behind."""
    H = len(b)
    state, out = x.new_zeros(len(x), k * H), x.new_zeros(len(x), 0, H)
    for t in range(x.shape[1]):
        new = (x[:, t] @ W_hx.T + state[:, :H] @ W_hh.T + state[:, -H:] @ W_skip.T + b).tanh()
        state = torch.cat([new, state[:, :-H]], 1)
        out = torch.cat([out, new.unsqueeze(1)], 1)
    return out


def _skip_short_list(x: Tensor, W_hx: Tensor, W_hh: Tensor, W_skip: Tensor, b: Tensor, k: int) -> Tensor:
    states = [x.new_zeros(len(x), len(b))]
    for x_t in x.unbind(1):
        states.append(torch.tanh(x_t @ W_hx.T + states[-1] @ W_hh.T + states[-k] @ W_skip.T + b))
    return torch.stack(states[1:], 1)


def _skip_wrong(
    x: Tensor,
    W_hx: Tensor,
    W_hh: Tensor,
    W_skip: Tensor,
    b: Tensor,
    k: int,
    *,
    shift: int = 0,
    start: str = "zero",
    outside: bool = False,
    only: bool = False,
    detach: bool = False,
    from_inputs: bool = False,
) -> Tensor:
    zero, states = torch.zeros(len(x), len(b), dtype=x.dtype), []
    for t, x_t in enumerate(x.unbind(1)):
        place, near = t - k + shift, states[-1] if states else zero
        if place >= 0:
            far = states[min(place, t - 1)] if t else zero
        else:
            far = states[0] if start == "first" and states else zero
        far = far.detach() if detach else far
        inner = x_t @ W_hx.T + b
        if from_inputs:
            inner = inner + (x[:, t - k] @ W_hx.T @ W_skip.T if t >= k else 0)
        elif not outside:
            inner = inner + far @ W_skip.T
        if not (only and t >= k):
            inner = inner + near @ W_hh.T
        states.append(torch.tanh(inner) + (far @ W_skip.T if outside else 0))
    return torch.stack(states, 1)


SKIP_IN_TIME = Key(
    question=asked.SKIP_IN_TIME,
    solution=(skip_states,),
    reference=_skip_rows,
    source="Lin, Horne, Tino and Giles 1996, Learning long-term dependencies in NARX recurrent neural networks, IEEE Trans. "
    "Neural Networks 7 (6); Zhang et al. 2016, arXiv:1602.08210, recurrent skip coefficient",
    mistakes=(
        Mistake(
            "one step too far",
            "Yours looks back k + 1 steps. In a list that ends with the last state, the state k steps back is `states[-k]`.",
            lambda x, W_hx, W_hh, W_skip, b, k: _skip_wrong(x, W_hx, W_hh, W_skip, b, k, shift=-1),
        ),
        Mistake(
            "one step too near",
            "Yours looks back k - 1 steps. When step t is computed, the last state in the list is that of step t - 1.",
            lambda x, W_hx, W_hh, W_skip, b, k: _skip_wrong(x, W_hx, W_hh, W_skip, b, k, shift=1),
        ),
        Mistake(
            "nothing to look back to",
            "In the first steps your list of states is shorter than `k`. Begin it with `k` tensors of zeros.",
            _skip_short_list,
        ),
        Mistake(
            "first state stands in",
            "Before step k the state looked back to is zero, not the first one that there is.",
            lambda x, W_hx, W_hh, W_skip, b, k: _skip_wrong(x, W_hx, W_hh, W_skip, b, k, start="first"),
        ),
        Mistake(
            "skip outside the tanh",
            "The skip enters the sum inside the tanh.",
            lambda x, W_hx, W_hh, W_skip, b, k: _skip_wrong(x, W_hx, W_hh, W_skip, b, k, outside=True),
        ),
        Mistake(
            "skip instead of the last state",
            "From step k on you dropped the last state. The skip comes on top of it.",
            lambda x, W_hx, W_hh, W_skip, b, k: _skip_wrong(x, W_hx, W_hh, W_skip, b, k, only=True),
        ),
        Mistake(
            "skips to the input",
            "The skip carries the state of step t - k, not its input.",
            lambda x, W_hx, W_hh, W_skip, b, k: _skip_wrong(x, W_hx, W_hh, W_skip, b, k, from_inputs=True),
        ),
        Mistake(
            "skip weights transposed",
            "`W_skip` (H, H) multiplies a column: for rows that is `state @ W_skip.T`. Being square it fits the wrong way, too.",
            lambda x, W_hx, W_hh, W_skip, b, k: skip_states(x, W_hx, W_hh, W_skip.T, b, k),
        ),
        Mistake(
            "the two matrices swapped",
            "`W_hh` belongs to the last state, `W_skip` to the one k steps back.",
            lambda x, W_hx, W_hh, W_skip, b, k: skip_states(x, W_hx, W_skip, W_hh, b, k),
        ),
        Mistake(
            "gradient cut in the skip",
            "The values are right, but the state k steps back is detached, and with it goes what the skip is for.",
            lambda x, W_hx, W_hh, W_skip, b, k: _skip_wrong(x, W_hx, W_hh, W_skip, b, k, detach=True),
        ),
    ),
    alternatives={
        "one stacked matrix": _skip_stacked,
        "steps first, a queue": _skip_time_first,
        "a plain recurrence on a longer state": _skip_long_state,
    },
)

# residual_stack


class ResidualStack(nn.Module):
    """x (N, T, D) -> states (N, T, H): a linear inlet, then L tanh layers, each with a skip across it."""

    def __init__(self, D: int, H: int, L: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.inlet = nn.Linear(D, H)
        self.layers = nn.ModuleList(nn.RNN(H, H, batch_first=True) for _ in range(L))
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        s = self.inlet(x)
        for layer in self.layers:
            s = s + layer(s)[0]
        return s
        ### END SOLUTION


class _Parts(nn.Module):
    """The parts as the task names them; what is done with them is left to others."""

    def __init__(self, D: int, H: int, L: int) -> None:
        super().__init__()
        self.inlet = nn.Linear(D, H)
        self.layers = nn.ModuleList([nn.RNN(H, H, batch_first=True) for _ in range(L)])


class _StackByHand(_Parts):
    """Step by step from the layers' weights."""

    def forward(self, x: Tensor) -> Tensor:
        s = torch.stack([torch.stack([self.inlet.weight @ v + self.inlet.bias for v in row]) for row in x])
        for layer in self.layers:
            h, changes = torch.zeros_like(s[:, 0]), []
            for t in range(s.shape[1]):
                h = torch.tanh(
                    s[:, t] @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h @ layer.weight_hh_l0.T + layer.bias_hh_l0
                )
                changes.append(h)
            s = s + torch.stack(changes, 1)
        return s


class _StackOfSums(_Parts):
    """What comes out is the inlet plus all that the layers added."""

    def forward(self, x: Tensor) -> Tensor:
        terms = [self.inlet(x)]
        for layer in self.layers:
            changes, _ = layer(sum(terms))
            terms.append(changes)
        return torch.stack(terms).sum(0)


class _StackTimeFirst(nn.Module):
    def __init__(self, D: int, H: int, L: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(L):
            self.layers.append(nn.RNN(input_size=H, hidden_size=H, nonlinearity="tanh", batch_first=True))
        self.inlet = nn.Linear(in_features=D, out_features=H)

    def forward(self, x: Tensor) -> Tensor:
        s = nn.functional.linear(x.transpose(0, 1), self.inlet.weight, self.inlet.bias).transpose(0, 1)
        start = s.new_zeros(1, s.shape[0], s.shape[2])
        for layer in self.layers:
            s = torch.add(layer(s, start)[0], s)
        return s


class _StackRecursive(_Parts):
    def forward(self, x: Tensor) -> Tensor:
        return self.climb(self.inlet(x), len(self.layers))

    def climb(self, s: Tensor, height: int) -> Tensor:
        if height == 0:
            return s
        below = self.climb(s, height - 1)
        return below + self.layers[height - 1](below)[0]


class _NoSkip(_Parts):
    def forward(self, x: Tensor) -> Tensor:
        s = self.inlet(x)
        for layer in self.layers:
            s = layer(s)[0]
        return s


class _OneLayerOften(nn.Module):
    def __init__(self, D: int, H: int, L: int) -> None:
        super().__init__()
        self.inlet = nn.Linear(D, H)
        self.layers = nn.ModuleList([nn.RNN(H, H, batch_first=True)] * L)

    def forward(self, x: Tensor) -> Tensor:
        s = self.inlet(x)
        for layer in self.layers:
            s = s + layer(s)[0]
        return s


class _PlainList(nn.Module):
    def __init__(self, D: int, H: int, L: int) -> None:
        super().__init__()
        self.inlet = nn.Linear(D, H)
        self.layers = [nn.RNN(H, H, batch_first=True) for _ in range(L)]

    def forward(self, x: Tensor) -> Tensor:
        s = self.inlet(x)
        for layer in self.layers:
            s = s + layer(s)[0]
        return s


class _SkipFromInlet(_Parts):
    def forward(self, x: Tensor) -> Tensor:
        first = s = self.inlet(x)
        for layer in self.layers:
            s = first + layer(s)[0]
        return s


class _SkipOverAll(_Parts):
    def forward(self, x: Tensor) -> Tensor:
        first = s = self.inlet(x)
        for layer in self.layers:
            s = layer(s)[0]
        return first + s


class _LastStateOnly(_Parts):
    def forward(self, x: Tensor) -> Tensor:
        s = self.inlet(x)
        for layer in self.layers:
            s = s + layer(s)[1].transpose(0, 1)
        return s


class _StateCarried(_Parts):
    def forward(self, x: Tensor) -> Tensor:
        s, h = self.inlet(x), None
        for layer in self.layers:
            change, h = layer(s, h)
            s = s + change
        return s


class _TimeAndBatchSwapped(nn.Module):
    def __init__(self, D: int, H: int, L: int) -> None:
        super().__init__()
        self.inlet = nn.Linear(D, H)
        self.layers = nn.ModuleList(nn.RNN(H, H) for _ in range(L))

    def forward(self, x: Tensor) -> Tensor:
        s = self.inlet(x)
        for layer in self.layers:
            s = s + layer(s)[0]
        return s


class _SkipDetached(_Parts):
    def forward(self, x: Tensor) -> Tensor:
        s = self.inlet(x)
        for layer in self.layers:
            s = s.detach() + layer(s)[0]
        return s


class _SquashedInlet(_Parts):
    def forward(self, x: Tensor) -> Tensor:
        s = torch.tanh(self.inlet(x))
        for layer in self.layers:
            s = s + layer(s)[0]
        return s


RESIDUAL_STACK = Key(
    question=asked.RESIDUAL_STACK,
    solution=(ResidualStack,),
    reference=_StackByHand,
    source="He et al. 2016, arXiv:1512.03385, equation 1, across the layers of a stacked recurrent network as in Wu et al. 2016, "
    "arXiv:1609.08144, equation 6",
    mistakes=(
        Mistake("no skip", "Add the input of each layer to its states: `s = s + layer(s)[0]`.", _NoSkip),
        Mistake(
            "one layer, used L times",
            "`[layer] * L` holds one layer L times. Make L of them in a comprehension.",
            _OneLayerOften,
        ),
        Mistake(
            "layers in a plain list",
            "torch does not see modules in a Python list: their weights are not parameters of yours. Use `nn.ModuleList`.",
            _PlainList,
        ),
        Mistake(
            "skip from the inlet to every layer",
            "A layer's skip starts at its own input, not at the inlet.",
            _SkipFromInlet,
        ),
        Mistake("one skip over the whole stack", "Each layer has a skip of its own.", _SkipOverAll),
        Mistake(
            "last state added to every step",
            "`nn.RNN` returns the states of all steps first and the last state second. Take the first.",
            _LastStateOnly,
        ),
        Mistake(
            "state carried from layer to layer",
            "Each layer starts from zeros: call it with its input only.",
            _StateCarried,
        ),
        Mistake(
            "time and batch swapped",
            "Without `batch_first=True` the layer runs along the first axis, which is the batch here.",
            _TimeAndBatchSwapped,
        ),
        Mistake(
            "gradient cut in the skip",
            "The values are right, but the skip is detached: the gradient loses its short way.",
            _SkipDetached,
        ),
        Mistake("inlet squashed", "The inlet is linear: no tanh after it.", _SquashedInlet),
    ),
    alternatives={
        "a sum of terms": _StackOfSums,
        "other order, start state given": _StackTimeFirst,
        "recursive": _StackRecursive,
    },
)
