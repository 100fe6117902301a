"""Answer keys to section 4: two cells called GRU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u01_recurrent_networks.asked import s4_gru as asked

# gru_torch


def gru_torch(x: Tensor, h: Tensor, W_x: Tensor, W_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """One step: x (N, D), h (N, H), W_x (D, 3H), W_h (H, 3H), b_x and b_h (3H,), order z, r, n -> (N, H)."""
    ### BEGIN SOLUTION
    xz, xr, xn = (x @ W_x + b_x).chunk(3, dim=1)
    hz, hr, hn = (h @ W_h + b_h).chunk(3, dim=1)
    z = torch.sigmoid(xz + hz)
    r = torch.sigmoid(xr + hr)
    n = torch.tanh(xn + r * hn)
    return (1 - z) * n + z * h
    ### END SOLUTION


def _gru_rows(x: Tensor, h: Tensor, W_x: Tensor, W_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Sequence by sequence, unit by unit, from the four equations."""
    H = h.shape[1]

    def side(v: Tensor, W: Tensor, b: Tensor, column: int) -> Tensor:
        total = b[column]
        for k in range(len(v)):
            total = total + v[k] * W[k, column]
        return total

    rows = []
    for n in range(x.shape[0]):
        units = []
        for j in range(H):
            z = 1 / (1 + torch.exp(-side(x[n], W_x, b_x, j) - side(h[n], W_h, b_h, j)))
            r = 1 / (1 + torch.exp(-side(x[n], W_x, b_x, H + j) - side(h[n], W_h, b_h, H + j)))
            new = torch.tanh(side(x[n], W_x, b_x, 2 * H + j) + r * side(h[n], W_h, b_h, 2 * H + j))
            units.append((1 - z) * new + z * h[n, j])
        rows.append(torch.stack(units))
    return torch.stack(rows)


def _gru_library(x: Tensor, h: Tensor, W_x: Tensor, W_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    H = h.shape[1]
    order = torch.cat([torch.arange(H, 2 * H), torch.arange(H), torch.arange(2 * H, 3 * H)])
    return torch.gru_cell(x, h, W_x.T[order], W_h.T[order], b_x[order], b_h[order])


def _gru_einsum(x: Tensor, h: Tensor, W_x: Tensor, W_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    H = h.shape[-1]
    a = torch.einsum("nd,dgh->gnh", x, W_x.reshape(-1, 3, H)) + b_x.reshape(3, 1, H)
    c = torch.einsum("nd,dgh->gnh", h, W_h.reshape(-1, 3, H)) + b_h.reshape(3, 1, H)
    z, r = torch.sigmoid(a[:2] + c[:2])
    return torch.lerp(torch.tanh(torch.addcmul(a[2], r, c[2])), h, z)


def _gru_difference(x: Tensor, h: Tensor, W_x: Tensor, W_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    H = h.shape[1]
    both = torch.hstack([x, h]) @ torch.vstack([W_x, W_h])[:, : 2 * H] + (b_x + b_h)[: 2 * H]
    z, r = both.sigmoid().split(H, dim=1)
    n = (torch.addmm(b_x[2 * H :], x, W_x[:, 2 * H :]) + r * torch.addmm(b_h[2 * H :], h, W_h[:, 2 * H :])).tanh()
    return n + z * (h - n)


def _gru_variant(
    x: Tensor,
    h: Tensor,
    W_x: Tensor,
    W_h: Tensor,
    b_x: Tensor,
    b_h: Tensor,
    order: str = "zrn",
    mirrored: bool = False,
    bias_outside: bool = False,
    reset_all: bool = False,
    no_reset: bool = False,
    activation: str = "tanh",
) -> Tensor:
    pieces = dict(zip(order, zip((x @ W_x + b_x).chunk(3, 1), (h @ W_h + b_h).chunk(3, 1))))
    z, r = (torch.sigmoid(sum(pieces[gate])) for gate in "zr")
    xn, hn = pieces["n"]
    if bias_outside:
        bias = b_h.chunk(3)[2]
        xn, hn = xn + bias, hn - bias
    if reset_all:
        n = torch.tanh(r * (xn + hn))
    else:
        n = xn + (hn if no_reset else r * hn)
        n = torch.tanh(n) if activation == "tanh" else torch.sigmoid(n)
    return z * n + (1 - z) * h if mirrored else (1 - z) * n + z * h


def _reset_before(x: Tensor, h: Tensor, W_x: Tensor, W_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    H = h.shape[1]
    z, r, _ = (x @ W_x + b_x + h @ W_h + b_h).sigmoid().chunk(3, 1)
    n = torch.tanh((x @ W_x + b_x)[:, 2 * H :] + (r * h) @ W_h[:, 2 * H :] + b_h[2 * H :])
    return (1 - z) * n + z * h


GRU_TORCH = Key(
    question=asked.GRU_TORCH,
    solution=(gru_torch,),
    reference=_gru_rows,
    source="torch.nn.GRU documentation; Cho et al. 2014, arXiv:1406.1078, section 2.3, with the reset after the product",
    mistakes=(
        Mistake(
            "gates in torch's order",
            "Here the pieces stand in the order z, r, n: unpack them so.",
            lambda x, h, W_x, W_h, b_x, b_h: _gru_variant(x, h, W_x, W_h, b_x, b_h, order="rzn"),
        ),
        Mistake(
            "update gate mirrored",
            "In this convention `z` keeps the old state: `z * h`, not `(1 - z) * h`.",
            lambda x, h, W_x, W_h, b_x, b_h: _gru_variant(x, h, W_x, W_h, b_x, b_h, mirrored=True),
        ),
        Mistake(
            "reset before the matrix",
            "Multiply first, then reset: `r * (h @ W_hn + b_hn)`. Yours is the slides' form, the next exercise.",
            _reset_before,
        ),
        Mistake(
            "recurrent bias outside the reset",
            "`b_hn` stands inside the bracket that `r` multiplies.",
            lambda x, h, W_x, W_h, b_x, b_h: _gru_variant(x, h, W_x, W_h, b_x, b_h, bias_outside=True),
        ),
        Mistake(
            "reset on the input side, too",
            "`r` multiplies only the recurrent half of the candidate.",
            lambda x, h, W_x, W_h, b_x, b_h: _gru_variant(x, h, W_x, W_h, b_x, b_h, reset_all=True),
        ),
        Mistake(
            "no reset gate",
            "The candidate forgets nothing: `r` is missing in it.",
            lambda x, h, W_x, W_h, b_x, b_h: _gru_variant(x, h, W_x, W_h, b_x, b_h, no_reset=True),
        ),
        Mistake(
            "sigmoid for the candidate",
            "The candidate is squashed by tanh; only gates use the sigmoid.",
            lambda x, h, W_x, W_h, b_x, b_h: _gru_variant(x, h, W_x, W_h, b_x, b_h, activation="sigmoid"),
        ),
        Mistake(
            "only one bias",
            "Both `b_x` and `b_h` count; the second one is inside the bracket of the candidate.",
            lambda x, h, W_x, W_h, b_x, b_h: _gru_variant(x, h, W_x, W_h, b_x, torch.zeros_like(b_h) * b_h),
        ),
        Mistake(
            "gradient cut at the blend",
            "The values are right, but the old state in the blend is detached: gradient cannot flow through `z * h`.",
            lambda x, h, W_x, W_h, b_x, b_h: (
                gru_torch(x, h, W_x, W_h, b_x, b_h)
                + torch.sigmoid((x @ W_x + b_x + h @ W_h + b_h).chunk(3, 1)[0]) * (h.detach() - h)
            ),
        ),
    ),
    alternatives={
        "torch's own cell, rows reordered": _gru_library,
        "einsum and lerp": _gru_einsum,
        "one product for both gates": _gru_difference,
    },
)

# gru_deck


def gru_deck(x: Tensor, h: Tensor, W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor) -> Tensor:
    """One step: x (N, D), h (N, H), matrices (H, D + H), biases (H,) -> (N, H)."""
    ### BEGIN SOLUTION
    stacked = torch.cat([x, h], dim=1)
    r = torch.sigmoid(stacked @ W_r.T + b_r)
    z = torch.sigmoid(stacked @ W_z.T + b_z)
    candidate = torch.tanh(torch.cat([x, r * h], dim=1) @ W.T + b)
    return (1 - z) * h + z * candidate
    ### END SOLUTION


def _deck_rows(
    x: Tensor, h: Tensor, W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor
) -> Tensor:
    """Column vectors, one sequence at a time, as the slide writes them."""
    out = []
    for xt, past in zip(x, h):
        v = torch.hstack((xt, past))
        r = 1 / (1 + torch.exp(-(torch.mv(W_r, v) + b_r)))
        z = 1 / (1 + torch.exp(-(torch.mv(W_z, v) + b_z)))
        new = torch.tanh(torch.mv(W, torch.hstack((xt, r * past))) + b)
        out.append((1 - z) * past + z * new)
    return torch.stack(out)


def _deck_split(
    x: Tensor, h: Tensor, W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor
) -> Tensor:
    D = x.shape[1]
    r, z = (torch.sigmoid(x @ M[:, :D].T + h @ M[:, D:].T + c) for M, c in ((W_r, b_r), (W_z, b_z)))
    return torch.lerp(h, torch.tanh(x @ W[:, :D].T + torch.mul(r, h) @ W[:, D:].T + b), z)


def _deck_linear(
    x: Tensor, h: Tensor, W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor
) -> Tensor:
    v = torch.hstack((x, h))
    r = nn.functional.linear(v, W_r, b_r).sigmoid()
    keep = nn.functional.linear(v, -W_z, -b_z).sigmoid()  # 1 - sigmoid(a) is sigmoid(-a)
    return keep * h + (1 - keep) * nn.functional.linear(torch.hstack((x, r * h)), W, b).tanh()


def _deck_tanh(
    x: Tensor, h: Tensor, W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor
) -> Tensor:
    v = torch.cat((x, h), -1)
    gates = 0.5 + 0.5 * torch.tanh(
        0.5 * (torch.einsum("nj,ghj->gnh", v, torch.stack((W_r, W_z))) + torch.stack((b_r, b_z))[:, None])
    )
    new = torch.tanh(torch.einsum("nj,hj->nh", torch.cat((x, gates[0] * h), -1), W) + b)
    return h + gates[1] * (new - h)


def _deck_variant(
    x: Tensor,
    h: Tensor,
    W_r: Tensor,
    W_z: Tensor,
    W: Tensor,
    b_r: Tensor,
    b_z: Tensor,
    b: Tensor,
    mirrored: bool = False,
    after: bool = False,
    no_reset: bool = False,
    squash: bool = True,
) -> Tensor:
    D = x.shape[1]
    v = torch.cat([x, h], dim=1)
    r, z = torch.sigmoid(v @ W_r.T + b_r), torch.sigmoid(v @ W_z.T + b_z)
    past = h @ W[:, D:].T
    if not no_reset:
        past = r * past if after else (r * h) @ W[:, D:].T
    new = x @ W[:, :D].T + past + b
    new = torch.tanh(new) if squash else new
    return z * h + (1 - z) * new if mirrored else (1 - z) * h + z * new


GRU_DECK = Key(
    question=asked.GRU_DECK,
    solution=(gru_deck,),
    reference=_deck_rows,
    source="Cho et al. 2014, arXiv:1406.1078, equations 5 to 8; Chung et al. 2014, arXiv:1412.3555, section 3.2",
    mistakes=(
        Mistake(
            "one bias for both gates (reset's)",
            "This is the slide as printed: `b_r` also serves the update gate. Give `z` its own `b_z`.",
            lambda x, h, W_r, W_z, W, b_r, b_z, b: gru_deck(x, h, W_r, W_z, W, b_r, b_r + 0 * b_z, b),
        ),
        Mistake(
            "one bias for both gates (update's)",
            "This is the slide as printed: `b_z` also serves the reset gate. Give `r` its own `b_r`.",
            lambda x, h, W_r, W_z, W, b_r, b_z, b: gru_deck(x, h, W_r, W_z, W, b_z + 0 * b_r, b_z, b),
        ),
        Mistake(
            "biases swapped",
            "`b_r` belongs to the reset gate and `b_z` to the update gate.",
            lambda x, h, W_r, W_z, W, b_r, b_z, b: gru_deck(x, h, W_r, W_z, W, b_z, b_r, b),
        ),
        Mistake(
            "update gate mirrored",
            "On these slides `z` lets the new state in: `z * candidate`. Keeping the old one with `z` is torch's convention.",
            lambda x, h, W_r, W_z, W, b_r, b_z, b: _deck_variant(x, h, W_r, W_z, W, b_r, b_z, b, mirrored=True),
        ),
        Mistake(
            "reset after the matrix",
            "Reset the state first, then multiply: the candidate's stack holds `r * h`.",
            lambda x, h, W_r, W_z, W, b_r, b_z, b: _deck_variant(x, h, W_r, W_z, W, b_r, b_z, b, after=True),
        ),
        Mistake(
            "no reset gate",
            "The candidate sees the whole past: put `r * h` in its stack.",
            lambda x, h, W_r, W_z, W, b_r, b_z, b: _deck_variant(x, h, W_r, W_z, W, b_r, b_z, b, no_reset=True),
        ),
        Mistake(
            "no bias in the candidate",
            "The task adds `b` inside the tanh; the slide leaves it out.",
            lambda x, h, W_r, W_z, W, b_r, b_z, b: gru_deck(x, h, W_r, W_z, W, b_r, b_z, 0 * b),
        ),
        Mistake(
            "candidate not squashed",
            "The candidate goes through tanh.",
            lambda x, h, W_r, W_z, W, b_r, b_z, b: _deck_variant(x, h, W_r, W_z, W, b_r, b_z, b, squash=False),
        ),
    ),
    alternatives={
        "split weights and lerp": _deck_split,
        "a gate that keeps": _deck_linear,
        "sigmoid by tanh, both gates at once": _deck_tanh,
    },
)

# gru_convert


def gru_convert(W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor) -> dict:
    """Matrices (H, D + H), biases (H,) of the slides' cell -> the four tensors of nn.GRUCell, rows r, z, n."""
    ### BEGIN SOLUTION
    D = W.shape[1] - len(b)
    weight = torch.cat([W_r, -W_z, W])
    bias = torch.cat([b_r, -b_z, b])
    return {
        "weight_ih": weight[:, :D],
        "weight_hh": weight[:, D:],
        "bias_ih": bias,
        "bias_hh": torch.zeros_like(bias),
    }
    ### END SOLUTION


def _convert_rows(W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor) -> dict[str, Tensor]:
    """Row by row: torch's unit k of gate g takes its weights from the slides' unit k, negated for z."""
    H = len(b)
    D = W.shape[1] - H
    state = {
        "weight_ih": W.new_zeros(3 * H, D),
        "weight_hh": W.new_zeros(3 * H, H),
        "bias_ih": W.new_zeros(3 * H),
        "bias_hh": W.new_zeros(3 * H),
    }
    for k in range(H):
        for g, (matrix, bias, sign) in enumerate(((W_r, b_r, 1), (W_z, b_z, -1), (W, b, 1))):
            state["weight_ih"][g * H + k] = sign * matrix[k, :D]
            state["weight_hh"][g * H + k] = sign * matrix[k, D:]
            state["bias_ih"][g * H + k] = sign * bias[k]
    return state


def _convert_gate_bias_on_the_other_side(
    W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor
) -> dict[str, Tensor]:
    H = b.numel()
    zero = torch.zeros(H, dtype=b.dtype)
    parts = [matrix.split([W.shape[1] - H, H], dim=1) for matrix in (W_r, W_z.neg(), W)]
    return {
        "bias_hh": torch.hstack([b_r, -b_z, zero]),
        "bias_ih": torch.hstack([zero, zero, b]),
        "weight_hh": torch.vstack([p[1] for p in parts]),
        "weight_ih": torch.vstack([p[0] for p in parts]),
    }


def _convert_halves(W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor) -> dict[str, Tensor]:
    H = len(b)
    signs = torch.tensor([1.0, -1.0, 1.0], dtype=b.dtype).repeat_interleave(H)
    weight = torch.cat((W_r, W_z, W)) * signs[:, None]
    half = torch.cat((b_r, b_z)).mul(signs[: 2 * H]) / 2
    return {
        "weight_ih": weight[:, :-H].contiguous(),
        "weight_hh": weight[:, -H:].contiguous(),
        "bias_ih": torch.cat((half, b)),
        "bias_hh": torch.cat((half, torch.zeros_like(b))),
    }


def _convert_module(W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor) -> dict[str, Tensor]:
    H = len(b)
    cell = nn.GRUCell(W.shape[1] - H, H, dtype=b.dtype)
    with torch.no_grad():
        for k, (matrix, bias) in enumerate(((W_r, b_r), (-W_z, -b_z), (W, b))):
            rows = slice(k * H, (k + 1) * H)
            cell.weight_ih[rows] = matrix[:, : cell.input_size]
            cell.weight_hh[rows] = matrix[:, cell.input_size :]
            cell.bias_ih[rows] = bias
        cell.bias_hh.zero_()
    return {name: value.detach().clone() for name, value in cell.named_parameters()}


def _convert_from(
    blocks: tuple[Tensor, ...], biases: tuple[Tensor, ...], hidden: tuple[Tensor, ...] | None = None, first: str = "x"
) -> dict[str, Tensor]:
    weight, bias = torch.cat(blocks), torch.cat(biases)
    H = len(biases[0])
    cut = weight.shape[1] - H
    left, right = (weight[:, :cut], weight[:, cut:]) if first == "x" else (weight[:, H:], weight[:, :H])
    bias_hh = torch.zeros_like(bias) if hidden is None else torch.cat(hidden)
    return {"weight_ih": left, "weight_hh": right, "bias_ih": bias, "bias_hh": bias_hh}


GRU_CONVERT = Key(
    question=asked.GRU_CONVERT,
    solution=(gru_convert,),
    reference=_convert_rows,
    source="algebra: 1 - sigmoid(a) = sigmoid(-a); torch.nn.GRUCell documentation for names and row order",
    mistakes=(
        Mistake(
            "update gate not mirrored",
            "torch's `z` is one minus the slides': negate matrix and bias of `z`.",
            lambda W_r, W_z, W, b_r, b_z, b: _convert_from((W_r, W_z, W), (b_r, b_z, b)),
        ),
        Mistake(
            "bias of the update gate not negated",
            "You negated the matrix of `z` but not its bias: 1 - sigmoid(a) = sigmoid(-a) needs all of `a` negated.",
            lambda W_r, W_z, W, b_r, b_z, b: _convert_from((W_r, -W_z, W), (b_r, b_z, b)),
        ),
        Mistake(
            "matrix of the update gate not negated",
            "You negated the bias of `z` but not its matrix.",
            lambda W_r, W_z, W, b_r, b_z, b: _convert_from((W_r, W_z, W), (b_r, -b_z, b)),
        ),
        Mistake(
            "candidate's bias on the recurrent side",
            "In torch `r` multiplies the recurrent bias of the candidate. The slides' bias is never reset: put it in `bias_ih`.",
            lambda W_r, W_z, W, b_r, b_z, b: _convert_from((W_r, -W_z, W), (b_r, -b_z, 0 * b), (0 * b_r, 0 * b_z, b)),
        ),
        Mistake(
            "every bias twice",
            "torch adds `bias_ih` and `bias_hh`: put each bias into one of them and zeros into the other.",
            lambda W_r, W_z, W, b_r, b_z, b: _convert_from((W_r, -W_z, W), (b_r, -b_z, b), (b_r, -b_z, b)),
        ),
        Mistake(
            "rows in the order z, r, n",
            "torch stacks r, z, n.",
            lambda W_r, W_z, W, b_r, b_z, b: _convert_from((-W_z, W_r, W), (-b_z, b_r, b)),
        ),
        Mistake(
            "columns of the state taken for those of the input",
            "The input's columns come first: cut after D = total columns minus H.",
            lambda W_r, W_z, W, b_r, b_z, b: _convert_from((W_r, -W_z, W), (b_r, -b_z, b), first="h"),
        ),
        Mistake(
            "candidate negated, too",
            "Only `z` is mirrored; the candidate stays as it is.",
            lambda W_r, W_z, W, b_r, b_z, b: _convert_from((W_r, -W_z, -W), (b_r, -b_z, -b)),
        ),
    ),
    alternatives={
        "gate biases on the recurrent side": _convert_gate_bias_on_the_other_side,
        "gate biases halved": _convert_halves,
        "written into a cell": _convert_module,
    },
)
