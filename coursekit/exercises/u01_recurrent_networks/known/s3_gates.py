"""Answer keys to section 3: gates."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u01_recurrent_networks.asked import s3_gates as asked

States = tuple[Tensor, Tensor]


def popular_lstm(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """One step: x (N, D), h and c (N, H), W (4H, D + H) with rows o, f, g, i, b (4H,) -> h_t, c_t (N, H)."""
    ### BEGIN SOLUTION
    a = torch.cat([x, h], dim=1) @ W.T + b
    o, f, g, i = a.chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c
    ### END SOLUTION


def _popular_reference(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor) -> States:
    """Unit by unit, each gate from its own row of the weights."""
    (N, D), H = x.shape, h.shape[1]
    new_h, new_c = [], []
    for n in range(N):
        for k in range(H):
            o, f, g, i = (
                (W[m * H + k, :D] * x[n]).sum() + (W[m * H + k, D:] * h[n]).sum() + b[m * H + k] for m in range(4)
            )
            cell = c[n, k] / (1 + torch.exp(-f)) + torch.tanh(g) / (1 + torch.exp(-i))
            new_c.append(cell)
            new_h.append(torch.tanh(cell) / (1 + torch.exp(-o)))
    return torch.stack(new_h).reshape(N, H), torch.stack(new_c).reshape(N, H)


def _popular_by_rows(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor) -> States:
    H, z = h.shape[1], torch.hstack([x, h])

    def block(k: int) -> Tensor:
        return F.linear(z, W[k * H : (k + 1) * H], b[k * H : (k + 1) * H])

    cell = block(3).sigmoid().mul(block(2).tanh()).add(block(1).sigmoid().mul(c))
    return block(0).sigmoid().mul(cell.tanh()), cell


def _popular_by_module(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor) -> States:
    D = x.shape[1]
    o, f, g, i = torch.arange(W.shape[0]).chunk(4)
    rows = torch.cat([i, f, g, o])
    weights = {"weight_ih": W[rows, :D], "weight_hh": W[rows, D:], "bias_ih": b[rows], "bias_hh": torch.zeros_like(b)}
    cell = nn.LSTMCell(D, h.shape[1]).to(x.dtype)
    return torch.func.functional_call(cell, weights, (x, (h, c)))


def _popular_einsum(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor) -> States:
    H = h.shape[1]
    a = torch.einsum("mkj,nj->mnk", W.view(4, H, -1), torch.cat((x, h), -1)) + b.view(4, 1, H)
    gates = 0.5 * (1 + torch.tanh(a / 2))
    c = gates[1] * c + gates[3] * a[2].tanh()
    return gates[0] * torch.tanh(c), c


def _popular_wrong(
    order: str = "ofgi",
    *,
    stack: Callable[[Tensor, Tensor], Tensor] = lambda x, h: torch.cat([x, h], 1),
    bias: float = 1.0,
    squash: Callable[[Tensor], Tensor] = torch.sigmoid,
    candidate: Callable[[Tensor], Tensor] = torch.tanh,
    cell: Callable[..., Tensor] = lambda f, c, i, g: f * c + i * g,
    out: Callable[..., Tensor] = lambda o, new, old: o * torch.tanh(new),
    swapped: bool = False,
) -> Callable[..., States]:
    """The cell with one part of it wrong."""

    def answer(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor) -> States:
        a = dict(zip(order, (stack(x, h) @ W.T + bias * b).chunk(4, 1)))
        new = cell(squash(a["f"]), c, squash(a["i"]), candidate(a["g"]))
        state = out(squash(a["o"]), new, c)
        return (new, state) if swapped else (state, new)

    return answer


POPULAR_LSTM = Key(
    question=asked.POPULAR_LSTM,
    solution=(popular_lstm,),
    reference=_popular_reference,
    source=(
        "Gers, Schmidhuber & Cummins 2000, Learning to forget; the form without peepholes of Zaremba et al. 2014, "
        "section 3.1"
    ),
    mistakes=(
        Mistake(
            "PyTorch's order",
            "You cut the blocks as i, f, g, o. Here their order is o, f, g, i.",
            _popular_wrong("ifgo"),
        ),
        Mistake(
            "forget and input gate swapped",
            "The second block is the forget gate's and the last one the input gate's.",
            _popular_wrong("oigf"),
        ),
        Mistake(
            "candidate and input gate swapped",
            "The third block is the candidate's and the last one the input gate's.",
            _popular_wrong("ofig"),
        ),
        Mistake(
            "no forget gate",
            "That is the cell of 1997: multiply the old cell state by the forget gate.",
            _popular_wrong(cell=lambda f, c, i, g: c + i * g),
        ),
        Mistake(
            "input and forget gate coupled",
            "That is another variant, in which f replaces 1 − i. Here the gates are independent.",
            _popular_wrong(cell=lambda f, c, i, g: f * c + (1 - f) * g),
        ),
        Mistake(
            "sigmoid for the candidate",
            "The candidate is squashed by tanh, so that it can also lower the cell state.",
            _popular_wrong(candidate=torch.sigmoid),
        ),
        Mistake(
            "tanh for the gates",
            "Gates open between 0 and 1: squash them with the sigmoid.",
            _popular_wrong(squash=torch.tanh),
        ),
        Mistake(
            "cell state shown without tanh",
            "The hidden state is the output gate times tanh of the cell state.",
            _popular_wrong(out=lambda o, new, old: o * new),
        ),
        Mistake(
            "old cell state shown",
            "The hidden state shows the new cell state, so compute that one first.",
            _popular_wrong(out=lambda o, new, old: o * torch.tanh(old)),
        ),
        Mistake(
            "states returned in the wrong order",
            "Return the hidden state first, then the cell state.",
            _popular_wrong(swapped=True),
        ),
        Mistake(
            "hidden state before input",
            "The columns of `W` for the input come first.",
            _popular_wrong(stack=lambda x, h: torch.cat([h, x], 1)),
        ),
        Mistake(
            "no bias",
            "Add `b` to all four pre-activations.",
            _popular_wrong(bias=0.0),
        ),
        Mistake(
            "gradient of the cell cut off",
            "The values are right, but no gradient reaches the old cell state, the one path that was to keep it alive.",
            _popular_wrong(cell=lambda f, c, i, g: f * c.detach() + i * g),
        ),
    ),
    alternatives={
        "block by block": _popular_by_rows,
        "nn.LSTMCell with its rows reordered": _popular_by_module,
        "einsum, and the sigmoid as a tanh": _popular_einsum,
    },
)


def peephole_lstm(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor, P: Tensor) -> tuple[Tensor, Tensor]:
    """One step: x (N, D), h and c (N, H), W (4H, D + H) with rows i, f, g, o, b (4H,), P (3, H) -> h_t, c_t (N, H)."""
    ### BEGIN SOLUTION
    i, f, g, o = (torch.cat([x, h], dim=1) @ W.T + b).chunk(4, dim=1)
    i = torch.sigmoid(i + P[0] * c)
    f = torch.sigmoid(f + P[1] * c)
    c = f * c + i * torch.tanh(g)
    o = torch.sigmoid(o + P[2] * c)
    return o * torch.tanh(c), c
    ### END SOLUTION


def _peephole_reference(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor, P: Tensor) -> States:
    """The slide's five lines, one sequence at a time, with the three peephole matrices written out as diagonal ones."""
    D = x.shape[1]
    (Wi, Wf, Wc, Wo), (bi, bf, bc, bo) = W.chunk(4), b.chunk(4)
    Wci, Wcf, Wco = (torch.diag(row) for row in P)
    states = []
    for xt, ht, ct in zip(x, h, c):
        i = torch.sigmoid(Wi[:, :D] @ xt + Wi[:, D:] @ ht + Wci @ ct + bi)
        f = torch.sigmoid(Wf[:, :D] @ xt + Wf[:, D:] @ ht + Wcf @ ct + bf)
        new = f * ct + i * torch.tanh(Wc[:, :D] @ xt + Wc[:, D:] @ ht + bc)
        o = torch.sigmoid(Wo[:, :D] @ xt + Wo[:, D:] @ ht + Wco @ new + bo)
        states.append((o * torch.tanh(new), new))
    return torch.stack([s[0] for s in states]), torch.stack([s[1] for s in states])


def _peephole_einsum(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor, P: Tensor) -> States:
    a = F.linear(torch.hstack((x, h)), W, b).view(x.shape[0], 4, -1)
    early = (a[:, :2] + torch.einsum("gk,nk->ngk", P[:2], c)).sigmoid()
    cell = torch.addcmul(early[:, 1] * c, early[:, 0], a[:, 2].tanh())
    return torch.sigmoid(torch.addcmul(a[:, 3], P[2], cell)) * cell.tanh(), cell


def _peephole_extended(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor, P: Tensor) -> States:
    """Peepholes as further input columns, with a diagonal block for each gate."""
    H = h.shape[1]
    early = torch.cat([W[: 2 * H], torch.cat([P[0].diag(), P[1].diag()])], dim=1)
    i, f = torch.sigmoid(torch.cat([x, h, c], 1) @ early.T + b[: 2 * H]).split(H, 1)
    g = torch.tanh(torch.cat([x, h], 1) @ W[2 * H : 3 * H].T + b[2 * H : 3 * H])
    new = f * c + i * g
    late = torch.cat([W[3 * H :], P[2].diag()], dim=1)
    o = torch.sigmoid(torch.cat([x, h, new], 1) @ late.T + b[3 * H :])
    return o * torch.tanh(new), new


def _peephole_columns(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor, P: Tensor) -> States:
    D, H = x.shape[1], h.shape[1]
    a = W[:, :D] @ x.mT + W[:, D:] @ h.mT + b.unsqueeze(1)
    cell = c.mT
    i = 1 / (1 + torch.exp(-(a[:H] + P[0, :, None] * cell)))
    f = 1 / (1 + torch.exp(-(a[H : 2 * H] + P[1, :, None] * cell)))
    cell = i * a[2 * H : 3 * H].tanh() + f * cell
    o = 1 / (1 + torch.exp(-(a[3 * H :] + P[2, :, None] * cell)))
    return (o * cell.tanh()).mT, cell.mT


def _peephole_wrong(
    order: str = "ifgo",
    rows: tuple[int, int, int] = (0, 1, 2),
    *,
    stack: Callable[[Tensor, Tensor], Tensor] = lambda x, h: torch.cat([x, h], 1),
    look: Callable[[Tensor, Tensor], Tensor] = lambda p, c: p * c,
    gate: Callable[[Tensor, Tensor], Tensor] = lambda a, peep: torch.sigmoid(a + peep),
    late: Callable[[Tensor, Tensor], Tensor] = lambda old, new: new,
    shown: Callable[[Tensor], Tensor] = torch.tanh,
    to_candidate: bool = False,
) -> Callable[..., States]:
    """The cell with one part of it wrong."""

    def answer(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor, P: Tensor) -> States:
        a = dict(zip(order, (stack(x, h) @ W.T + b).chunk(4, 1)))
        pi, pf, po = (P[k] if k >= 0 else torch.zeros_like(P[0]) for k in rows)
        i, f = gate(a["i"], look(pi, c)), gate(a["f"], look(pf, c))
        new = f * c + i * torch.tanh(a["g"] + (look(pi, c) if to_candidate else 0))
        return gate(a["o"], look(po, late(c, new))) * shown(new), new

    return answer


PEEPHOLE_LSTM = Key(
    question=asked.PEEPHOLE_LSTM,
    solution=(peephole_lstm,),
    reference=_peephole_reference,
    source=(
        "Graves 2013, Generating sequences with recurrent neural networks, eq. 7-11; Gers & Schmidhuber 2000, "
        "Recurrent nets that time and count"
    ),
    mistakes=(
        Mistake(
            "output gate sees the old cell",
            "In the line of o_t the slide has c_t, not c_{t−1}: compute the new cell state before the output gate.",
            _peephole_wrong(late=lambda old, new: old),
        ),
        Mistake(
            "output gate without a peephole",
            "The third row of `P` is the output gate's: it looks at the new cell state.",
            _peephole_wrong(rows=(0, 1, -1)),
        ),
        Mistake(
            "only the output gate peeps",
            "Input and forget gate look at the old cell state, with the first two rows of `P`.",
            _peephole_wrong(rows=(-1, -1, 2)),
        ),
        Mistake(
            "rows of P swapped",
            "The rows of `P` belong to input, forget and output gate, in this order.",
            _peephole_wrong(rows=(1, 0, 2)),
        ),
        Mistake(
            "peephole outside the sigmoid",
            "The peephole's share joins the pre-activation: your gate can leave the range from 0 to 1.",
            _peephole_wrong(gate=lambda a, peep: torch.sigmoid(a) + peep),
        ),
        Mistake(
            "a sum over the cells",
            "With a diagonal matrix, a unit of a gate sees its own cell only: multiply entry by entry and do not sum.",
            _peephole_wrong(look=lambda p, c: (p * c).sum(1, keepdim=True)),
        ),
        Mistake(
            "peep through a tanh",
            "Gates look at the cell state itself. Only the hidden state shows it through a tanh.",
            _peephole_wrong(look=lambda p, c: p * torch.tanh(c)),
        ),
        Mistake(
            "output gate sees tanh of the cell",
            "In the line of o_t stands c_t itself, not tanh(c_t).",
            _peephole_wrong(late=lambda old, new: torch.tanh(new)),
        ),
        Mistake(
            "candidate peeps too",
            "The candidate has no peephole: only the three gates do.",
            _peephole_wrong(to_candidate=True),
        ),
        Mistake(
            "blocks of the previous exercise",
            "Here the blocks are stacked as i, f, g, o, as in PyTorch.",
            _peephole_wrong("ofgi"),
        ),
        Mistake(
            "cell state shown without tanh",
            "h_t = o_t ⊗ tanh(c_t).",
            _peephole_wrong(shown=lambda c: c),
        ),
        Mistake(
            "hidden state before input",
            "The columns of `W` for the input come first.",
            _peephole_wrong(stack=lambda x, h: torch.cat([h, x], 1)),
        ),
        Mistake(
            "peepholes detached",
            "The values are right, but no gradient passes through the peepholes to the cell state. Truncated "
            "gradients were the custom in 2000; here all paths count.",
            _peephole_wrong(look=lambda p, c: p * c.detach()),
        ),
    ),
    alternatives={
        "einsum and addcmul": _peephole_einsum,
        "peepholes as input columns": _peephole_extended,
        "columns instead of rows": _peephole_columns,
    },
)


def open_forget_gates(lstm: nn.LSTM, openness: float) -> None:
    """Set the biases so that every forget gate is `openness` for x = h = 0, in every layer and direction."""
    ### BEGIN SOLUTION
    H = lstm.hidden_size
    log_odds = math.log(openness / (1 - openness))
    with torch.no_grad():
        for name, bias in lstm.named_parameters():
            if name.startswith("bias_ih"):
                bias[H : 2 * H] = log_odds
            elif name.startswith("bias_hh"):
                bias[H : 2 * H] = 0
    ### END SOLUTION


def _forget_reference(lstm: nn.LSTM, openness: float) -> None:
    """Number by number: find b with sigma(b) = openness by halving, then share it between the two biases."""
    low, high = -50.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 / (1 + math.exp(-middle)) < openness else (low, middle)
    for layer in range(lstm.num_layers):
        for way in ("", "_reverse") if lstm.bidirectional else ("",):
            b_ih, b_hh = (getattr(lstm, f"bias_{kind}_l{layer}{way}") for kind in ("ih", "hh"))
            for k in range(lstm.hidden_size, 2 * lstm.hidden_size):
                b_ih.data[k] = low - float(b_hh.data[k])


def _forget_halves(lstm: nn.LSTM, openness: float) -> nn.LSTM:
    half = torch.logit(torch.tensor(openness, dtype=torch.float64)).item() / 2
    for name, p in lstm.named_parameters():
        if "bias" in name:
            p.data.chunk(4)[1].fill_(half)
    return lstm


def _forget_state_dict(lstm: nn.LSTM, openness: float) -> None:
    H, state = lstm.hidden_size, lstm.state_dict()
    for name in state:
        if name.startswith("bias_hh"):
            state[name][H : 2 * H] = (
                math.log(openness) - math.log1p(-openness) - state[name.replace("hh", "ih")][H : 2 * H]
            )
    lstm.load_state_dict(state)


def _forget_all_weights(lstm: nn.LSTM, openness: float) -> None:
    H = lstm.hidden_size
    for _, _, b_ih, b_hh in lstm.all_weights:
        with torch.no_grad():
            nn.init.constant_(b_ih.narrow(0, H, H), -math.log(1 / openness - 1))
            nn.init.zeros_(b_hh.narrow(0, H, H))


def _forget_wrong(
    *,
    value: Callable[[float], float] = lambda p: math.log(p / (1 - p)),
    rows: Callable[[int], slice] = lambda H: slice(H, 2 * H),
    inner: Callable[[Tensor, slice, float], Any] = lambda b, rows, v: b[rows].fill_(0),
    outer: Callable[[Tensor, slice, float], Any] = lambda b, rows, v: b[rows].fill_(v),
    where: Callable[[str], bool] = lambda name: True,
    weights: Callable[[Tensor], Any] = lambda w: None,
) -> Callable[..., None]:
    """Another value, other rows, another treatment of the second bias, or other places."""

    def answer(lstm: nn.LSTM, openness: float) -> None:
        with torch.no_grad():
            for name, p in lstm.named_parameters():
                if not where(name):
                    continue
                if name.startswith("weight"):
                    weights(p)
                else:
                    (outer if "_ih_" in name else inner)(p, rows(lstm.hidden_size), value(openness))

    return answer


def _forget_replaced(lstm: nn.LSTM, openness: float) -> None:
    H = lstm.hidden_size
    for name, p in list(lstm.named_parameters()):
        if name.startswith("bias"):
            new = p.detach().clone()
            new[H : 2 * H] = math.log(openness / (1 - openness)) / 2
            setattr(lstm, name, nn.Parameter(new))


def _forget_a_copy(lstm: nn.LSTM, openness: float) -> None:
    _forget_reference(copy.deepcopy(lstm), openness)


def _forget_frozen(lstm: nn.LSTM, openness: float) -> None:
    for name, p in lstm.named_parameters():
        if name.startswith("bias"):
            p.requires_grad_(False)
    _forget_halves(lstm, openness)


FORGET_BIAS = Key(
    question=asked.FORGET_BIAS,
    solution=(open_forget_gates,),
    reference=_forget_reference,
    source="Gers, Schmidhuber & Cummins 2000, Learning to forget; Jozefowicz, Zaremba & Sutskever 2015, section 2.2",
    mistakes=(
        Mistake(
            "both biases set",
            "The two biases add up: with both at log(p / (1 − p)) the gate sees twice that. Set one, and the other "
            "one to 0.",
            _forget_wrong(inner=lambda b, rows, v: b[rows].fill_(v)),
        ),
        Mistake(
            "second bias left as it was",
            "The random `bias_hh` adds to what you set: put its forget rows to 0.",
            _forget_wrong(inner=lambda b, rows, v: None),
        ),
        Mistake(
            "openness taken for the bias",
            "The bias goes through a sigmoid: with b = p the gate is σ(p), about 0.7. You need the log-odds of p.",
            _forget_wrong(value=lambda p: p),
        ),
        Mistake(
            "bias of 1",
            "A bias of 1 gives a gate of 0.73. The bias that gives p is log(p / (1 − p)).",
            _forget_wrong(value=lambda p: 1.0),
        ),
        Mistake(
            "odds without the logarithm",
            "p / (1 − p) are the odds: take their logarithm.",
            _forget_wrong(value=lambda p: p / (1 - p)),
        ),
        Mistake(
            "log-odds upside down",
            "Your gates are at 1 − p: it is log(p / (1 − p)), positive for p above one half.",
            _forget_wrong(value=lambda p: math.log((1 - p) / p)),
        ),
        Mistake(
            "input gate opened",
            "The first H rows are the input gate's. The forget gate's are H to 2H.",
            _forget_wrong(rows=lambda H: slice(0, H)),
        ),
        Mistake(
            "candidate shifted",
            "Rows 2H to 3H are the candidate's. The forget gate's are H to 2H.",
            _forget_wrong(rows=lambda H: slice(2 * H, 3 * H)),
        ),
        Mistake(
            "all gates opened",
            "You fill the whole bias. Only the rows H to 2H are the forget gate's.",
            _forget_wrong(rows=lambda H: slice(None)),
        ),
        Mistake(
            "other gates' biases cleared",
            "Leave the biases of the other gates as they are.",
            _forget_wrong(
                outer=lambda b, rows, v: (b.zero_(), b[rows].fill_(v)),
                inner=lambda b, rows, v: b.zero_(),
            ),
        ),
        Mistake(
            "first layer only",
            "A net of several layers has `bias_ih_l1` and so on: go through all of them.",
            _forget_wrong(where=lambda name: "_l0" in name),
        ),
        Mistake(
            "backward direction left out",
            "A net of two directions also has biases that end in `_reverse`.",
            _forget_wrong(where=lambda name: "reverse" not in name),
        ),
        Mistake(
            "weights cleared",
            "The gate at x = h = 0 depends on the biases alone: leave the weights as they are.",
            _forget_wrong(weights=lambda w: w.zero_()),
        ),
        Mistake(
            "written into a copy",
            "The LSTM is as it was: a clone, or a number computed from a bias, is not the bias itself. Write into the parameter.",
            _forget_a_copy,
        ),
        Mistake(
            "parameters replaced",
            "A new `nn.Parameter` is unknown to an optimiser that was made before: write into the old one.",
            _forget_replaced,
        ),
        Mistake(
            "biases frozen",
            "It is only a start: the biases go on learning, so `requires_grad` stays True.",
            _forget_frozen,
        ),
    ),
    alternatives={
        "half in each bias": _forget_halves,
        "state_dict, in the second bias": _forget_state_dict,
        "all_weights and nn.init": _forget_all_weights,
    },
)
