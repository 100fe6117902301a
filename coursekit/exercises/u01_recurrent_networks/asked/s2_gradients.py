"""## 2. Gradients through time

The gradient goes back along the states. You send it there by hand, and mend two sentences about it that do not hold as
they stand on a slide.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng


def relu_states(x: Tensor, h: Tensor, W_hx: Tensor, W_hh: Tensor, b: Tensor) -> Tensor:
    """The forward pass: x (N, T, D), h (N, H) -> states (N, T + 1, H). states[:, 0] is h; states[:, t + 1] has read x[:, t]."""
    states = [h]
    for x_t in x.unbind(dim=1):
        states.append(torch.relu(x_t @ W_hx.T + states[-1] @ W_hh.T + b))
    return torch.stack(states, dim=1)


def _draw_bptt(rng: Rng) -> Inputs:
    N, T, D, H = 3, 5, 2, 4
    while True:
        inputs = {
            "x": rng.normal(N, T, D),
            "h": rng.uniform(N, H, low=0.2, high=1.2),
            "W_hx": rng.normal(H, D, scale=0.7),
            "W_hh": rng.normal(H, H, scale=0.6),
            "b": rng.uniform(H, low=0.1, high=0.6),
            "dh": rng.normal(N, T, H),
        }
        first = relu_states(inputs["x"], inputs["h"], inputs["W_hx"], inputs["W_hh"], inputs["b"])[:, 1]
        on, off = bool((first > 0).any()), bool((first == 0).any())
        if on and off:  # else the rectifier's slope would not show in one step
            return inputs


def _bptt(bptt: Any, inputs: Inputs, steps: int | None = None) -> tuple[Tensor, ...]:
    x, dh = inputs["x"][:, :steps], inputs["dh"][:, :steps]
    states = relu_states(x, inputs["h"], inputs["W_hx"], inputs["W_hh"], inputs["b"])
    with torch.no_grad():  # by hand means without autograd
        return bptt(x, states, inputs["W_hh"], dh)


def _bptt_recurrent(bptt: Any, inputs: Inputs) -> Findings:
    _, dW_hh, _, _ = _bptt(bptt, inputs)
    return {"dW_hh": dW_hh}


def _bptt_input(bptt: Any, inputs: Inputs) -> Findings:
    dW_hx, _, db, _ = _bptt(bptt, inputs)
    return {"dW_hx": dW_hx, "db": db}


def _bptt_start(bptt: Any, inputs: Inputs) -> Findings:
    return {"dh_0": _bptt(bptt, inputs)[3]}


def _bptt_one_step(bptt: Any, inputs: Inputs) -> Findings:
    return dict(zip(("dW_hx", "dW_hh", "db", "dh_0"), _bptt(bptt, inputs, steps=1)))


BPTT = Question(
    unit="01",
    name="bptt",
    title="Back-propagation through time, by hand",
    difficulty=4,
    minutes=30,
    task="""
Send the gradient back through the rectified cell $h_t = \\max(0,\\, W_{hx} x_t + W_{hh} h_{t-1} + b)$, with a loss at
every step: $C = \\sum_t C_t(h_t)$. The forward pass is given as `relu_states`.

`bptt(x, states, W_hh, dh)` takes

- `x` (N, T, D) and `states` (N, T + 1, H) from `relu_states`: `states[:, 0]` is the first state $h_0$, and `states[:,
  t + 1]` is the state after reading `x[:, t]`;
- `W_hh` (H, H);
- `dh` (N, T, H): `dh[:, t]` is $\\partial C_t / \\partial h$, the gradient that the state after `x[:, t]` gets from
  **its own** step's loss alone.

It returns `(dW_hx, dW_hh, db, dh_0)`: the gradients of $C$, shapes (H, D), (H, H), (H,) and (N, H), each summed over
steps and sequences. The derivative of the rectifier at 0 counts as 0. The check runs your function with autograd
switched off.
""",
    answers=("bptt",),
    given=(relu_states,),
    draw=_draw_bptt,
    parts=(
        Part(name="W_hh", points=1.0, tests="gradient of the recurrent weights", probe=_bptt_recurrent),
        Part(name="W_hx and b", points=1.0, tests="gradients of the input weights and the bias", probe=_bptt_input),
        Part(name="h_0", points=0.5, tests="gradient of the first state", probe=_bptt_start),
        Part(name="one step", points=0.5, tests="all four for sequences of one step", probe=_bptt_one_step),
    ),
    hints=(
        "A state is used twice: by its own step's loss and by the next step. Both gradients add up before the "
        "rectifier.",
        "Walk from the last step to the first with one running tensor (N, H): what comes back from later steps. A "
        "unit that is 0 after the rectifier lets nothing pass.",
        "In a step: add `dh[:, t]` to what came back, keep it where `states[:, t + 1] > 0`, call that `delta`. Its "
        "products with `x[:, t]` and with `states[:, t]` are the step's share of the two weights, and `delta @ "
        "W_hh` goes further back.",
    ),
)


def _draw_shared(rng: Rng) -> Inputs:
    N, T, H = 2, 5, 3
    return {
        "W": rng.normal(H, H, scale=0.6),
        "x": rng.normal(N, T, H),
        "weights": rng.normal(N, T, H),
        "lr": rng.number(0.05, 0.3),
    }


def _unfolded_loss(inputs: Inputs) -> Any:
    """A tanh network that is unfolded: step t uses the t-th matrix that it is given."""

    def loss(copies: list[Tensor]) -> Tensor:
        h, total = torch.zeros_like(inputs["x"][:, 0]), torch.zeros((), dtype=inputs["x"].dtype)
        for t, W in enumerate(copies):
            h = torch.tanh(inputs["x"][:, t] + h @ W.T + 0.1 * W.sum(0))
            total = total + (h * inputs["weights"][:, t]).sum()
        return total

    return loss


def _one_update(answer: Any, inputs: Inputs) -> Findings:
    loss = _unfolded_loss(inputs)
    return {f"W after a step, T = {T}": answer.tied_step(loss, inputs["W"], T, inputs["lr"]) for T in (2, 5)}


def _three_updates(answer: Any, inputs: Inputs) -> Findings:
    loss, W = _unfolded_loss(inputs), inputs["W"]
    findings: Findings = {}
    for k in range(3):
        W = answer.tied_step(loss, W, 4, inputs["lr"])
        findings[f"W after step {k + 1}"] = W
    return findings | {"the result needs a gradient": W.requires_grad}


def _rate(answer: Any, inputs: Inputs) -> Findings:
    return {f"rate for T = {T}": float(answer.matching_rate(inputs["lr"], T)) for T in (1, 2, 7)}


SUMMED_UPDATES = Question(
    unit="01",
    name="summed_updates",
    title="Summed or averaged?",
    slip=True,
    difficulty=2,
    minutes=15,
    task="""
Spanakis and Driessens (Maastricht, *Deep learning for agents*, Part 2) unfold the network into one copy for each time
step, compute a weight update for each copy, and then have the updates "summed (or averaged)" and applied. With
$W^{(t)}$ the copy at step $t$, that is one of

$$W \\leftarrow W - \\eta \\sum_{t=1}^{T} \\frac{\\partial C}{\\partial W^{(t)}}
\\qquad\\text{or}\\qquad
W \\leftarrow W - \\frac{\\eta}{T} \\sum_{t=1}^{T} \\frac{\\partial C}{\\partial W^{(t)}}$$

Only one of the two is a step of gradient descent with the rate $\\eta$ on the loss as a function of the shared $W$.
Find out which (the chain rule says it; a finite difference shows it), and write

- `tied_step(loss, W, T, lr)`: `loss` takes a **list of T matrices**, one for each time step, and returns the scalar
  $C$; `W` is (H, H). Make the copies, get their gradients, and return the shared matrix after one step of gradient
  descent, as a new tensor that needs no gradient. `W` stays as it was.
- `matching_rate(lr, T)`: the learning rate, a number, with which the *other* rule takes the same step. (For sequences
  of one length the slip hides in the learning rate. With several lengths no single rate mends it: long sequences then
  count less.)
""",
    answers=("tied_step", "matching_rate"),
    draw=_draw_shared,
    parts=(
        Part(name="one step", points=1.0, tests="the shared matrix after one step", probe=_one_update),
        Part(name="three steps", points=0.5, tests="three steps in a row, free of graphs", probe=_three_updates),
        Part(name="rate", points=0.5, tests="the rate that makes both rules agree", probe=_rate),
    ),
    hints=(
        "If one number is used in T places, nudging it nudges all T places at once: how do the effects on C combine?",
        "T copies are T different tensors (a list `[W] * T` holds one tensor T times), each with "
        "`requires_grad_()`. `torch.autograd.grad(loss(copies), copies)` gives their gradients.",
        "`W.detach().clone().requires_grad_()` is a copy. Subtract the learning rate times the *sum* of the "
        "gradients from `W.detach()`; an average is T times shorter.",
    ),
)


def slide_verdict(W: Tensor, gamma: float) -> str:
    """The slide, word for word: "W" is the one matrix of its cell, W (H, D + H), and one test decides both ways."""
    largest = torch.linalg.matrix_norm(W, ord=2).item()
    return "vanishes" if largest < 1 / gamma else "explodes"


def counterexample(steps: int = 50) -> None:
    """Two tanh cells that the slide calls exploding: the verdict, and the measured norm of dh_T / dh_0."""
    generator = torch.Generator().manual_seed(3)
    H = 8
    W_hh, _ = torch.linalg.qr(torch.randn(H, H, generator=generator))
    for name, scale, width in (("large input weights", 0.9, 3.0), ("large recurrent weights", 1.2, 0.5)):
        W = torch.cat([width * torch.randn(H, 2, generator=generator), scale * W_hh], dim=1)
        h, J = torch.zeros(H), torch.eye(H)
        for _ in range(steps):
            h = torch.tanh(W @ torch.cat([torch.randn(2, generator=generator), h]))
            J = (1 - h**2)[:, None] * W[:, 2:] @ J
        norm = torch.linalg.matrix_norm(J, ord=2).item()
        print(f"{name}: the slide says it {slide_verdict(W, 1.0)}; measured after {steps} steps: {norm:.0e}")


def _orthogonal(rng: Rng, size: int) -> Tensor:
    return torch.linalg.qr(rng.normal(size, size).double())[0]


def _with_singular_values(rng: Rng, values: list[float], columns: int) -> Tensor:
    """A matrix (H, columns) with these singular values, at most `columns` of them."""
    H = 4
    S = torch.zeros(H, columns, dtype=torch.float64)
    S.diagonal()[:] = torch.tensor(values, dtype=torch.float64)
    return _orthogonal(rng, H) @ S @ _orthogonal(rng, columns)


def _draw_spectral(rng: Rng) -> Inputs:
    """Stacked matrices (4, 3 + 4), built so that each misreading of the theorem goes wrong on one of them."""
    low = rng.number(0.75, 0.85)
    turn = _orthogonal(rng, 4)
    # Eigenvalues 0.5 at most, largest singular value above 1.5: what a single step can do, the eigenvalues do not show.
    shear = torch.tensor([[0.5, 1.8, 0, 0], [0, 0.4, 0.9, 0], [0, 0, 0.3, 0.8], [0, 0, 0, -0.4]], dtype=torch.float64)
    blocks = {
        "large input weights": ([2.5, 1.9, 1.4], _with_singular_values(rng, [low, 0.7, 0.6, 0.5], 4)),
        "shear": ([0.6, 0.5, 0.4], turn @ (shear * rng.number(0.95, 1.05)) @ turn.T),
        "sigmoid": ([3.5, 3.2, 3.0], _with_singular_values(rng, [rng.number(2.9, 3.2), 2.2, 1.6, 1.2], 4)),
        "large recurrent weights": (
            [0.3, 0.2, 0.1],
            _with_singular_values(rng, [rng.number(1.2, 1.4), 1.1, 0.9, 0.6], 4),
        ),
    }
    return {
        name: torch.cat([_with_singular_values(rng, values, 3), W_hh], dim=1).to(rng.dtype)
        for name, (values, W_hh) in blocks.items()
    }


_GAMMA = {"large input weights": 1.0, "shear": 1.0, "sigmoid": 0.25, "large recurrent weights": 1.0}


def _bounds(answer: Any, inputs: Inputs) -> Findings:
    return {
        f"{name}, {steps} steps": float(answer.jacobian_bound(W, 3, _GAMMA[name], steps))
        for name, W in inputs.items()
        for steps in (1, 12)
    }


def _verdicts(answer: Any, inputs: Inputs) -> Findings:
    return {name: answer.verdict(W, 3, _GAMMA[name]) for name, W in inputs.items()}


SPECTRAL_BOUND = Question(
    unit="01",
    name="spectral_bound",
    title="Which matrix vanishes, and what follows if it does not?",
    slip=True,
    difficulty=3,
    minutes=20,
    task="""
Spanakis and Driessens (Maastricht, *Deep learning for agents*, Part 2) sum up Pascanu, Mikolov and Bengio (2013):
with $\\lambda_1$ the largest singular value of $W$, it is *sufficient* for vanishing gradients that $\\lambda_1 <
1/\\gamma$, and *necessary* for exploding ones that $\\lambda_1 > 1/\\gamma$, where $\\gamma = 1$ for tanh and $1/4$
for the sigmoid. On the same slides $W$ is the **stacked** matrix of $h_t = \\tanh W \\binom{x_t}{h_{t-1}}$.
`slide_verdict` takes this literally, and takes "necessary" for "enough" besides; `counterexample()`, run below your
answer, shows what becomes of it.

Go back to the chain rule. One step back multiplies by $\\operatorname{diag}(\\sigma') \\, \\partial a_t / \\partial
h_{t-1}$, where the derivative $\\sigma'$ is at most $\\gamma$. Write

- `jacobian_bound(W, D, gamma, steps)`: for `W` (H, D + H) with the columns of the input first, the upper bound on the
  spectral norm of $\\partial h_T / \\partial h_0$ over `steps` steps that follows from the largest singular value of
  the **right** matrix; a number;
- `verdict(W, D, gamma)`: `"vanishes"` where the theorem promises it (the bound shrinks with every step), otherwise
  `"undecided"`: then the gradient may explode, and may as well vanish.
""",
    answers=("jacobian_bound", "verdict"),
    given=(slide_verdict, counterexample),
    setup="counterexample()",
    draw=_draw_spectral,
    parts=(
        Part(name="bound", points=1.0, tests="the bound for four cells, over 1 and 12 steps", probe=_bounds),
        Part(name="verdict", points=1.0, tests="the verdict on four cells", probe=_verdicts),
    ),
    hints=(
        "Which columns of the stacked matrix multiply the previous state? The others never enter the product over "
        "time.",
        "The norm of a product is at most the product of the norms, and a step contributes two factors: the "
        "derivative of the squashing function and the recurrent block.",
        "`torch.linalg.matrix_norm(block, ord=2)` is a largest singular value; times gamma it bounds one step. If "
        "that is below 1, the product vanishes. If it is not, an upper bound above 1 promises nothing.",
    ),
)
