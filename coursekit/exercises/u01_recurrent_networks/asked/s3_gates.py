"""## 3. Gates

One name, LSTM, and several cells: with and without a forget gate, with and without peepholes, and with weights stacked in
every order. Here are two of them, and the bias that decides how they start.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum


def _draw_lstm(rng: Rng) -> Inputs:
    N, D, H = 3, 2, 4
    return {
        "x": rng.normal(N, D),
        "h": rng.uniform(N, H, low=-0.9, high=0.9),
        "c": rng.normal(N, H, scale=1.5),
        "W": rng.normal(4 * H, D + H, scale=0.7),
        "b": rng.normal(4 * H, scale=0.5),
    }


def _lstm_step(cell: Any, inputs: Inputs) -> Findings:
    h, c = cell(*inputs.values())
    return {"c_t": c, "h_t": h}


def _lstm_gradients(cell: Any, inputs: Inputs) -> Findings:
    leaves = [value.requires_grad_() for value in inputs.values()]
    h, c = cell(*leaves)
    grads = torch.autograd.grad(weighted_sum(h, top=1.5) + weighted_sum(c.flip(0), top=1.5), leaves, allow_unused=True)
    return {f"gradient of {name}": grad for name, grad in zip(inputs, grads)}


def _lstm_sequence(cell: Any, inputs: Inputs) -> Findings:
    h, c = inputs["h"][:1], inputs["c"][:1]
    for n in range(inputs["x"].shape[0]):  # the rows of the batch serve as the steps of one sequence
        h, c = cell(inputs["x"][n : n + 1], h, c, *list(inputs.values())[3:])
    return {"h after three steps": h, "c after three steps": c}


POPULAR_LSTM = Question(
    unit="01",
    name="popular_lstm",
    title="The LSTM cell, stacked as o, f, g, i",
    difficulty=2,
    minutes=15,
    task="""
Frameworks agree on the equations of the LSTM with a forget gate (Gers, Schmidhuber and Cummins 2000), but every one
stacks the four blocks of weights in an order of its own, and a checkpoint loaded in the wrong order gives no error.
Write the cell for one matrix whose blocks of H rows are, from top to bottom, **output gate, forget gate, candidate,
input gate**:

$$\\begin{pmatrix} a_o \\\\ a_f \\\\ a_g \\\\ a_i \\end{pmatrix} = W \\begin{pmatrix} x_t \\\\ h_{t-1} \\end{pmatrix} + b,
\\qquad o, f, i = \\sigma(a_o), \\sigma(a_f), \\sigma(a_i), \\qquad g = \\tanh(a_g)$$

$$c_t = f \\otimes c_{t-1} + i \\otimes g, \\qquad h_t = o \\otimes \\tanh(c_t)$$

`popular_lstm(x, h, c, W, b)` takes `x` (N, D), `h` (N, H), `c` (N, H), `W` (4H, D + H) with the columns of the input
first and `b` (4H,), and returns the pair $(h_t, c_t)$, each (N, H). Write it without `nn.LSTM` and `nn.LSTMCell`.
""",
    answers=("popular_lstm",),
    draw=_draw_lstm,
    parts=(
        Part(name="step", points=1.0, tests="both states after a step", probe=_lstm_step),
        Part(name="gradients", points=0.5, tests="gradients of all five arguments", probe=_lstm_gradients),
        Part(name="sequence", points=0.5, tests="three steps of one sequence", probe=_lstm_sequence),
    ),
    hints=(
        "One matrix product gives all four pre-activations at once; the order of the blocks decides which is which.",
        "`a.chunk(4, dim=1)` cuts (N, 4H) into four tensors (N, H), in the order of the rows of `W`.",
        "The product `torch.cat([x, h], dim=1) @ W.T`, plus the bias, is (N, 4H). The new cell state comes first, "
        "and the new hidden state looks at it through a tanh and the output gate.",
    ),
)


def _draw_peephole(rng: Rng) -> Inputs:
    inputs = _draw_lstm(rng)
    return inputs | {"P": rng.normal(3, inputs["h"].shape[1]).sign() * rng.uniform(3, 4, low=0.4, high=1.2)}


def _peephole_none(cell: Any, inputs: Inputs) -> Findings:
    h, c = cell(*(inputs | {"P": torch.zeros_like(inputs["P"])}).values())
    return {"c_t": c, "h_t": h}


def _peephole_one_gate(cell: Any, inputs: Inputs) -> Findings:
    findings: Findings = {}
    for k, gate in enumerate(("input", "forget", "output")):
        alone = torch.zeros_like(inputs["P"])
        alone[k] = inputs["P"][k]
        h, c = cell(*(inputs | {"P": alone}).values())
        findings |= {f"c_t, only the {gate} gate peeps": c, f"h_t, only the {gate} gate peeps": h}
    return findings


PEEPHOLE_LSTM = Question(
    unit="01",
    name="peephole_lstm",
    title="Peepholes: what may each gate see?",
    slip=True,
    difficulty=3,
    minutes=20,
    task="""
Under the plain title "LSTM cell", a slide of Rice (*Deep Learning for Vision & Language*) shows another cell than
PyTorch's, that of Graves (2013):

$$\\begin{aligned}
i_t &= \\sigma(W_{xi} x_t + W_{hi} h_{t-1} + W_{ci}\\, c_{t-1} + b_i) \\\\
f_t &= \\sigma(W_{xf} x_t + W_{hf} h_{t-1} + W_{cf}\\, c_{t-1} + b_f) \\\\
c_t &= f_t\\, c_{t-1} + i_t \\tanh(W_{xc} x_t + W_{hc} h_{t-1} + b_c) \\\\
o_t &= \\sigma(W_{xo} x_t + W_{ho} h_{t-1} + W_{co}\\, c_t + b_o) \\\\
h_t &= o_t \\tanh(c_t)
\\end{aligned}$$

Two things trip whoever types it in. The slide writes $W_{ci}$, $W_{cf}$, $W_{co}$ like all the other matrices, but in
the paper these three are **diagonal**: a gate's unit sees its own cell only, 3H numbers instead of 3H². And it is
easy to compute all gates in one go, as in a cell without peepholes; mind the time index in the line of $o_t$.

`peephole_lstm(x, h, c, W, b, P)` takes `x` (N, D), `h` (N, H), `c` (N, H), `W` (4H, D + H) with the columns of the
input first and blocks of rows in PyTorch's order **i, f, candidate, o**, `b` (4H,), and `P` (3, H): the diagonals of
$W_{ci}$, $W_{cf}$, $W_{co}$. It returns $(h_t, c_t)$.
""",
    answers=("peephole_lstm",),
    draw=_draw_peephole,
    parts=(
        Part(
            name="no peepholes", points=0.5, tests="with P = 0 it is the cell without peepholes", probe=_peephole_none
        ),
        Part(name="one gate", points=0.5, tests="one gate at a time with its peephole", probe=_peephole_one_gate),
        Part(name="step", points=0.5, tests="both states with all peepholes", probe=_lstm_step),
        Part(name="gradients", points=0.5, tests="gradients of all six arguments", probe=_lstm_gradients),
    ),
    hints=(
        "A product with a diagonal matrix is a product entry by entry.",
        "Compute the input gate, the forget gate and the candidate, then the new cell state, and only then the "
        "output gate.",
        "Split `torch.cat([x, h], dim=1) @ W.T + b` into four. `P[0] * c` joins the first pre-activation, `P[1] * "
        "c` the second, and `P[2]` times the *new* cell state the last.",
    ),
)


_NETS = ({"layers": 1, "two_way": False}, {"layers": 2, "two_way": True})


def _draw_forget(rng: Rng) -> Inputs:
    return {"D": 3, "H": 4, "openness": rng.number(0.8, 0.93), "weights": rng.normal(1000, scale=0.4)}


def _lstm(inputs: Inputs, layers: int, two_way: bool) -> nn.LSTM:
    lstm = nn.LSTM(inputs["D"], inputs["H"], num_layers=layers, bidirectional=two_way).to(inputs["weights"].dtype)
    nn.utils.vector_to_parameters(inputs["weights"].clone(), lstm.parameters())
    return lstm


def _bias(lstm: nn.LSTM, suffix: str) -> Tensor:
    return (getattr(lstm, f"bias_ih_{suffix}") + getattr(lstm, f"bias_hh_{suffix}")).detach()


def _forget_gates(open_gates: Any, inputs: Inputs) -> Findings:
    H, lstm = inputs["H"], _lstm(inputs, **_NETS[0])
    open_gates(lstm, inputs["openness"])
    return {"forget gates for x = h = 0": torch.sigmoid(_bias(lstm, "l0")[H : 2 * H])}


def _forget_everywhere(open_gates: Any, inputs: Inputs) -> Findings:
    H, lstm = inputs["H"], _lstm(inputs, **_NETS[1])
    open_gates(lstm, inputs["openness"])
    places = [f"l{k}{way}" for k in range(2) for way in ("", "_reverse")]
    return {f"forget gates of {place}": torch.sigmoid(_bias(lstm, place)[H : 2 * H]) for place in places}


def _forget_else(open_gates: Any, inputs: Inputs) -> Findings:
    H, findings = inputs["H"], {}
    for net in _NETS:
        lstm = _lstm(inputs, **net)
        parameters, before = list(lstm.parameters()), inputs["weights"][: sum(p.numel() for p in lstm.parameters())]
        open_gates(lstm, inputs["openness"])
        after = dict(lstm.named_parameters())
        label = f"{net['layers']} layers: " if net["layers"] > 1 else "1 layer: "
        for name, value in after.items():
            if name.startswith("bias_ih"):
                both = _bias(lstm, name.removeprefix("bias_ih_"))
                findings[f"{label}other gates' biases of {name[8:]}"] = torch.cat([both[:H], both[2 * H :]])
            elif name.startswith("weight"):
                findings[label + name] = value.detach()
        kept = len(parameters) == len(after) and all(p is q for p, q in zip(parameters, after.values()))
        findings[label + "the parameters are the same objects"] = kept
        findings[label + "a bias changed"] = not torch.equal(nn.utils.parameters_to_vector(after.values()), before)
        findings[label + "all parameters still learn"] = all(p.requires_grad and p.is_leaf for p in after.values())
    return findings


FORGET_BIAS = Question(
    unit="01",
    name="forget_bias",
    title="Start with open forget gates",
    difficulty=3,
    minutes=15,
    task="""
Along the cell the gradient is multiplied by the forget gate at every step, so it should start near 1 (Gers et al.
2000; Jozefowicz, Zaremba and Sutskever 2015). With small weights a gate is $\\sigma(\\text{bias})$ at first, whatever
comes in. Choose the bias by the gate that it makes.

`open_forget_gates(lstm, openness)` takes an `nn.LSTM` of any number of layers, in one direction or two, and a number
$0 < p < 1$. It changes biases so that **every forget gate of every layer and direction is exactly $p$ when $x = 0$
and $h = 0$**. Nothing else changes: not the other gates, not the weights, and the parameters stay the same objects,
so that an optimiser that holds them goes on working.

Know PyTorch's two traps: each gate has **two** biases, `bias_ih_l0` and `bias_hh_l0`, which add up, and the four
gates are stacked in the order i, f, g, o. The LSTM is changed in place; what you return does not matter. (Writing into
a parameter needs `torch.no_grad()`.)
""",
    answers=("open_forget_gates",),
    draw=_draw_forget,
    parts=(
        Part(name="gates", points=1.0, tests="the forget gates of a net with one layer", probe=_forget_gates),
        Part(name="everywhere", points=0.5, tests="two layers, two directions", probe=_forget_everywhere),
        Part(name="nothing else", points=0.5, tests="everything else is as it was", probe=_forget_else),
    ),
    hints=(
        "Which number b has σ(b) = p? It is the log-odds of p.",
        "`lstm.named_parameters()` lists every layer and direction: the names begin with `bias_ih` or `bias_hh`. "
        "The forget gate's rows are H to 2H, with H = `lstm.hidden_size`.",
        "Within `torch.no_grad()`, for each bias: fill its rows H to 2H with log(p / (1 − p)) if it is one of the "
        "`bias_ih`, and with 0 if it is one of the `bias_hh`.",
    ),
)
