"""## 4. Two cells called GRU

The library's GRU and the one of the lecture slides differ in three places. You write both, then carry weights across.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum

N, D, H = 3, 4, 5


def _step(names: tuple[str, ...]) -> Any:
    def probe(cell: Any, inputs: Inputs) -> Findings:
        return {"h_next": cell(*(inputs[name] for name in names))}

    return probe


def _gradients(names: tuple[str, ...]) -> Any:
    def probe(cell: Any, inputs: Inputs) -> Findings:
        leaves = [inputs[name].requires_grad_() for name in names]
        grads = torch.autograd.grad(weighted_sum(cell(*leaves)), leaves, allow_unused=True)
        return {f"gradient of {name}": grad for name, grad in zip(names, grads)}

    return probe


_TORCH = ("x", "h", "W_x", "W_h", "b_x", "b_h")


def _draw_torch(rng: Rng) -> Inputs:
    return {
        "x": rng.normal(N, D),
        "h": rng.normal(N, H),
        "W_x": rng.normal(D, 3 * H, scale=0.7),
        "W_h": rng.normal(H, 3 * H, scale=0.7),
        "b_x": rng.normal(3 * H, scale=0.7),
        "b_h": rng.normal(3 * H, scale=0.7),
    }


GRU_TORCH = Question(
    unit="01",
    name="gru_torch",
    title="The library's GRU, update gate first",
    difficulty=2,
    minutes=12,
    task="""
The GRU of `torch.nn` resets *after* the matrix product, and its update gate $z_t$ keeps the **old** state:

$$\\begin{aligned}
r_t &= \\sigma(x_t W_{xr} + b_{xr} + h_{t-1} W_{hr} + b_{hr}) \\\\
z_t &= \\sigma(x_t W_{xz} + b_{xz} + h_{t-1} W_{hz} + b_{hz}) \\\\
n_t &= \\tanh\\!\\left(x_t W_{xn} + b_{xn} + r_t \\odot (h_{t-1} W_{hn} + b_{hn})\\right) \\\\
h_t &= (1 - z_t) \\odot n_t + z_t \\odot h_{t-1}
\\end{aligned}$$

Other libraries store the same cell otherwise. Here the matrices multiply rows from the right and stand side by side in the
order **z, r, n** (torch stacks r, z, n): `W_x` (D, 3H), `W_h` (H, 3H), `b_x` (3H,), `b_h` (3H,). Write
`gru_torch(x, h, W_x, W_h, b_x, b_h)` for `x` (N, D) and `h` (N, H); it returns $h_t$ (N, H).
""",
    answers=("gru_torch",),
    draw=_draw_torch,
    parts=(
        Part(name="values", points=1.5, tests="h_t for N = 3, D = 4, H = 5", probe=_step(_TORCH)),
        Part(
            name="gradients", points=0.5, tests="gradients with respect to all six arguments", probe=_gradients(_TORCH)
        ),
    ),
    hints=(
        "Two products are enough: one with `x`, one with `h`, each (N, 3H). Cut both in three.",
        "Only the third piece of the `h` side, its bias included, is multiplied by `r`.",
        "`xz, xr, xn = (x @ W_x + b_x).chunk(3, dim=1)`, likewise `hz, hr, hn`; then `n = torch.tanh(xn + r * hn)`.",
    ),
)


_DECK = ("x", "h", "W_r", "W_z", "W", "b_r", "b_z", "b")


def _draw_deck(rng: Rng) -> Inputs:
    return {
        "x": rng.normal(N, D),
        "h": rng.normal(N, H),
        "W_r": rng.normal(H, D + H, scale=0.7),
        "W_z": rng.normal(H, D + H, scale=0.7),
        "W": rng.normal(H, D + H, scale=0.7),
        # Far apart: a bias that two gates share cannot pass for either.
        "b_r": rng.uniform(H, low=0.6, high=1.4),
        "b_z": rng.uniform(H, low=-1.4, high=-0.6),
        "b": rng.normal(H, scale=0.7),
    }


def _closed_and_open(cell: Any, inputs: Inputs) -> Findings:
    """The update gate forced shut and open by its own bias, which no shared bias allows without the reset gate following."""
    others = {name: inputs[name] for name in _DECK}
    wide = torch.full_like(inputs["b_z"], 60.0)
    return {
        "update gate shut": cell(**{**others, "b_z": -wide}),
        "update gate open": cell(**{**others, "b_z": wide}),
        "reset gate shut": cell(**{**others, "b_r": -wide}),
    }


GRU_DECK = Question(
    unit="01",
    name="gru_deck",
    title="The GRU of the slides, with a bias for each gate",
    difficulty=2,
    minutes=12,
    slip=True,
    task="""
Spanakis and Driessens (Deep learning for agents, part 2) build their GRU up over five slides. It resets **before** the matrix
product, and its $z_t$ lets the **new** state in:

$$\\begin{aligned}
r_t &= \\sigma\\!\\left(W_r \\begin{pmatrix} x_t \\\\ h_{t-1} \\end{pmatrix} + b_f\\right) \\qquad
z_t = \\sigma\\!\\left(W_z \\begin{pmatrix} x_t \\\\ h_{t-1} \\end{pmatrix} + b_f\\right) \\\\
h'_t &= \\tanh W \\begin{pmatrix} x_t \\\\ r_t \\odot h_{t-1} \\end{pmatrix} \\qquad
h_t = (1 - z_t) \\odot h_{t-1} + z_t \\odot h'_t
\\end{aligned}$$

Both gates share one bias, left over from the LSTM's forget gate. With it the two gates cannot have different default
openness: remembering ($z$ shut) then also means forgetting the past inside the candidate ($r$ shut). Write the mended cell
`gru_deck(x, h, W_r, W_z, W, b_r, b_z, b)`: each gate has its own bias, and the candidate has the bias `b`, inside the
tanh. `x` (N, D), `h` (N, H), the three matrices (H, D + H) with the columns of the input first, the biases (H,); it returns
$h_t$ (N, H).
""",
    answers=("gru_deck",),
    draw=_draw_deck,
    parts=(
        Part(name="values", points=1.0, tests="h_t for N = 3, D = 4, H = 5", probe=_step(_DECK)),
        Part(name="gates", points=0.5, tests="each gate forced shut or open by its own bias", probe=_closed_and_open),
        Part(
            name="gradients", points=0.5, tests="gradients with respect to all eight arguments", probe=_gradients(_DECK)
        ),
    ),
    hints=(
        "Compute both gates from the same stacked input; the candidate needs another stack.",
        "The candidate's stack holds `r * h` in place of `h`.",
        "`h_new = torch.tanh(torch.cat([x, r * h], 1) @ W.T + b)`, blended as `(1 - z) * h + z * h_new`.",
    ),
)


def _draw_convert(rng: Rng) -> Inputs:
    return {
        "W_r": rng.normal(H, D + H, scale=0.7),
        "W_z": rng.normal(H, D + H, scale=0.7),
        "W": rng.normal(H, D + H, scale=0.7),
        "b_r": rng.normal(H, scale=0.7),
        "b_z": rng.normal(H, scale=0.7),
        "b": rng.normal(H, scale=0.7),
        "x": rng.normal(N, D),
        "h": rng.normal(N, H),
    }


def _converted(convert: Any, inputs: Inputs) -> tuple[Tensor, ...]:
    state = convert(*(inputs[name] for name in ("W_r", "W_z", "W", "b_r", "b_z", "b")))
    return tuple(state[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))


def _shapes(convert: Any, inputs: Inputs) -> Findings:
    state = convert(*(inputs[name] for name in ("W_r", "W_z", "W", "b_r", "b_z", "b")))
    return {"names": sorted(state), "shapes": [list(state[name].shape) for name in sorted(state)]}


def _gates(convert: Any, inputs: Inputs) -> Findings:
    """The gates and the candidate's input side as torch's cell computes them from the converted weights."""
    W_ih, W_hh, b_ih, b_hh = _converted(convert, inputs)
    x, h = inputs["x"], inputs["h"]
    before = x @ W_ih.T + b_ih + h @ W_hh.T + b_hh
    return {
        "reset gate": torch.sigmoid(before[:, :H]),
        "update gate of torch": torch.sigmoid(before[:, H : 2 * H]),
        "matrix of the candidate": W_ih[2 * H :],
        "recurrent matrix of the candidate": W_hh[2 * H :],
    }


def _open_reset(convert: Any, inputs: Inputs) -> Findings:
    """With the reset gate open (r = 1) the conventions agree: torch's own cell must reproduce the slides' one."""
    opened = {**inputs, "b_r": torch.full_like(inputs["b_r"], 60.0)}
    cell = torch.nn.GRUCell(D, H, dtype=inputs["x"].dtype)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell.load_state_dict(dict(zip(names, _converted(convert, opened))))
    return {"h_next with r = 1": cell(inputs["x"], inputs["h"])}


def _any_reset(convert: Any, inputs: Inputs) -> Findings:
    """Where the state is zero, r has nothing to reset, whatever it is; only a bias on torch's recurrent side would feel it."""
    cell = torch.nn.GRUCell(D, H, dtype=inputs["x"].dtype)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell.load_state_dict(dict(zip(names, _converted(convert, inputs))))
    return {"h_next from a zero state": cell(inputs["x"], torch.zeros_like(inputs["h"]))}


GRU_CONVERT = Question(
    unit="01",
    name="gru_convert",
    title="Weights from the slides' GRU into torch's",
    difficulty=3,
    minutes=20,
    task="""
You have weights of the slides' GRU (the mended one of the last exercise) and want to load them into `nn.GRUCell`. The update
gates mirror each other, so $z^\\text{torch} = 1 - z^\\text{slides}$, and $1 - \\sigma(a) = \\sigma(-a)$. The reset cannot be
carried over in general: $W_h (r \\odot h)$ is not $r \\odot (W_h h)$. It can where r is 1, and where the state is 0; then
your conversion must be **exact**, which settles where the candidate's bias has to go.

Write `gru_convert(W_r, W_z, W, b_r, b_z, b)` for matrices (H, D + H), input columns first, and biases (H,). It returns a
dictionary with exactly the names of `nn.GRUCell`: `weight_ih` (3H, D), `weight_hh` (3H, H), `bias_ih` (3H,), `bias_hh` (3H,),
rows in torch's order **r, z, n**. H is `len(b)`.
""",
    answers=("gru_convert",),
    draw=_draw_convert,
    parts=(
        Part(name="shapes", points=0.5, tests="names and shapes of the four tensors", probe=_shapes),
        Part(name="gates", points=1.0, tests="gates and candidate matrices, with D = 4, H = 5", probe=_gates),
        Part(name="reset open", points=0.5, tests="nn.GRUCell with your weights where r = 1", probe=_open_reset),
        Part(
            name="state zero",
            points=1.0,
            tests="nn.GRUCell with your weights from a zero state, any r",
            probe=_any_reset,
        ),
    ),
    hints=(
        "Which of the four biases of the candidate and the gates does `r` multiply in torch's equation?",
        "Negate everything that goes into $z$: its matrix and its bias.",
        "Stack `[W_r, -W_z, W]`, cut the columns at D; the whole bias goes to `bias_ih`, and `bias_hh` is zero.",
    ),
)
