"""### From gradients to steps

What a training step does with a gradient: tame it where it grows too long, cut it where a stream never ends.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.protocol import RecordingSGD, flat_weights


def _draw_gradients(rng: Rng) -> Inputs:
    first, second, third = rng.normal(3, 2), rng.normal(4), rng.normal(2, 3, scale=2.0)
    first[0, 0], third[1, 1] = 3.0, -4.0  # clipping at 1 changes entries of both signs
    second[0] = 0.25
    return {"p0": rng.normal(3, 2), "p1": rng.normal(4), "p2": rng.normal(2, 3), "g0": first, "g1": second, "g2": third}


def _parameters(inputs: Inputs, scale: float = 1.0, missing: bool = False) -> list[nn.Parameter]:
    """Three parameters with gradients; `missing` puts one without a gradient in their middle."""
    parameters = [nn.Parameter(inputs[f"p{k}"].clone()) for k in range(3)]
    for k, parameter in enumerate(parameters):
        parameter.grad = inputs[f"g{k}"] * scale
    if missing:
        parameters.insert(1, nn.Parameter(inputs["p1"] + 1))
    return parameters


def _after(parameters: list[nn.Parameter], **more: Any) -> Findings:
    found = {f"gradient {k}": p.grad for k, p in enumerate(parameters)}
    return found | {f"weights {k}": p.detach() for k, p in enumerate(parameters)} | more


def _norm_clips(clip_norm: Any, inputs: Inputs) -> Findings:
    parameters = _parameters(inputs)
    total = clip_norm(parameters, 1.5)
    return _after(parameters, **{"returned norm": float(total)})


def _norm_leaves(clip_norm: Any, inputs: Inputs) -> Findings:
    parameters = _parameters(inputs, scale=0.05)
    before = [p.grad.clone() for p in parameters if p.grad is not None]
    total = clip_norm(parameters, 1.5)
    same = all(p.grad is not None and torch.equal(p.grad, g) for p, g in zip(parameters, before))
    return _after(parameters, **{"returned norm": float(total), "gradients as before, to the bit": same})


def _norm_awkward(clip_norm: Any, inputs: Inputs) -> Findings:
    parameters = _parameters(inputs, missing=True)
    findings = _after(parameters, **{"returned norm": float(clip_norm(parameters, 2.0))})
    zeros = _parameters(inputs, scale=0.0)
    norm = float(clip_norm(zeros, 2.0))
    return findings | {"norm of zeros": norm, "zeros stay zeros": zeros[0].grad}


CLIP_NORM = Question(
    unit="01",
    name="clip_norm",
    title="Clip the norm of all gradients together",
    difficulty=2,
    minutes=15,
    task="""
When a gradient explodes, a step of ordinary length in the same direction is still useful (Pascanu, Mikolov and Bengio
2013, algorithm 1). Take the gradients of **all** parameters as one long vector $g$ and rescale it where it is too
long:

$$g \\leftarrow g \\cdot \\min\\!\\left(1,\\; \\frac{c}{\\lVert g \\rVert_2}\\right)$$

`clip_norm(parameters, limit)` takes a list of `nn.Parameter`, of which some may have no gradient (`p.grad is None`:
skip those, and leave them so), and $c$ = `limit` > 0. It changes the parameters' `.grad` and returns the norm of $g$
**before** clipping (a number or a scalar tensor), which is what one plots. A gradient within the limit stays as it
is, to the bit; a gradient of zeros stays zeros. The weights themselves stay untouched. Write it yourself, without
`torch.nn.utils`.
""",
    answers=("clip_norm",),
    draw=_draw_gradients,
    parts=(
        Part(name="too long", points=1.0, tests="gradients and returned norm above the limit", probe=_norm_clips),
        Part(name="short enough", points=0.5, tests="nothing changes below the limit", probe=_norm_leaves),
        Part(name="awkward", points=0.5, tests="missing gradients, and gradients of zeros", probe=_norm_awkward),
    ),
    hints=(
        "One factor for all parameters keeps the direction; a factor for each would turn it.",
        "The square of the total norm is the sum of the squares of all entries of all gradients.",
        "Collect the gradients that are not None, `norm = sum(g.square().sum() for g in grads).sqrt()`; if it "
        "exceeds the limit, multiply each in place by the ratio of limit and norm.",
    ),
)


def _value_clips(clip_value: Any, inputs: Inputs) -> Findings:
    parameters = _parameters(inputs)
    clip_value(parameters, 1.0)
    return _after(parameters)


def _value_cosine(clip_value: Any, inputs: Inputs) -> Findings:
    limits = (0.3, 1.0)
    turned = {f"cosine at {limit}": float(clip_value(_parameters(inputs), limit)) for limit in limits}
    return turned | {"cosine where nothing is clipped": float(clip_value(_parameters(inputs), 50.0))}


def _value_missing(clip_value: Any, inputs: Inputs) -> Findings:
    parameters = _parameters(inputs, missing=True)
    clip_value(parameters, 0.5)
    return _after(parameters)


CLIP_VALUE = Question(
    unit="01",
    name="clip_value",
    title="Clip each entry, and see the direction turn",
    difficulty=2,
    minutes=10,
    task="""
The other custom clips entry by entry, $g_j \\leftarrow \\max(-c, \\min(c, g_j))$. It needs no norm, but it turns the
gradient. By how much?

`clip_value(parameters, limit)` clips every entry of every `.grad` to the range from −`limit` to `limit`, and returns
the **cosine of the angle between the whole gradient before and the whole gradient after** (a number or a scalar
tensor): all parameters' entries as one long vector $g$, and

$$\\cos\\alpha = \\frac{g \\cdot g'}{\\lVert g \\rVert\\, \\lVert g' \\rVert}$$

Parameters without a gradient are skipped and stay so; the weights stay untouched; at least one entry of $g$ is not 0.
The result is 1 where nothing was clipped. Write it without `torch.nn.utils`.
""",
    answers=("clip_value",),
    draw=_draw_gradients,
    parts=(
        Part(name="clipped", points=0.5, tests="gradients after clipping at 1", probe=_value_clips),
        Part(name="cosine", points=0.5, tests="the returned cosine at three limits", probe=_value_cosine),
        Part(name="missing", points=0.5, tests="a parameter without a gradient", probe=_value_missing),
    ),
    hints=(
        "Make one long vector of the gradient before you change anything.",
        "`clamp_` writes into the gradient, and a view of it changes along: the vector from before must be a copy. "
        "`torch.cat` makes one.",
        "`torch.cat([g.flatten() for g in grads])` before and after the clamping, then `F.cosine_similarity(..., "
        "dim=0)`.",
    ),
)


class Reader(nn.Module):
    """A recurrent network that predicts one number at every step: x (N, k, D), h (N, H) -> (N, k), h (N, H)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(D, H, batch_first=True)
        self.head = nn.Linear(H, 1)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        states, last = self.rnn(x, h[None])
        return self.head(states)[:, :, 0], last[0]


_D, _H = 2, 3
_WEIGHTS = _H * _D + _H * _H + 2 * _H + _H + 1


def _draw_stream(rng: Rng) -> Inputs:
    N, T = 2, 11
    return {
        "x": rng.normal(N, T, _D),
        "y": rng.normal(N, T),
        "h": rng.normal(N, _H),
        "weights": rng.normal(_WEIGHTS, scale=0.7),
    }


def _stream(train_stream: Any, inputs: Inputs, T: int, k: int) -> tuple[Findings, Findings]:
    """Run the student's training over the first T steps: what happened, and which results still have a graph."""
    net = Reader(_D, _H).to(inputs["x"].dtype)
    nn.utils.vector_to_parameters(inputs["weights"].clone(), net.parameters())
    optimizer = RecordingSGD(net.parameters(), lr=0.2)
    losses, h = train_stream(net, optimizer, inputs["x"][:, :T], inputs["y"][:, :T], inputs["h"], k)
    findings: Findings = {f"gradient at step {j + 1}": g for j, g in enumerate(optimizer.gradients)}
    findings |= {"losses": [float(loss) for loss in losses], "weights afterwards": flat_weights(net.parameters())}
    held = {
        "losses hold a graph": any(isinstance(loss, Tensor) and loss.requires_grad for loss in losses),
        "final state holds a graph": h.requires_grad,
    }
    return findings | {"state afterwards": h}, held


def _stream_one(train_stream: Any, inputs: Inputs) -> Findings:
    return _stream(train_stream, inputs, T=4, k=4)[0]


def _stream_many(train_stream: Any, inputs: Inputs) -> Findings:
    return _stream(train_stream, inputs, T=9, k=3)[0]


def _stream_short(train_stream: Any, inputs: Inputs) -> Findings:
    return _stream(train_stream, inputs, T=11, k=4)[0]


def _stream_held(train_stream: Any, inputs: Inputs) -> Findings:
    findings, held = _stream(train_stream, inputs, T=3, k=5)
    return {"losses": findings["losses"]} | held


TRUNCATED_BPTT = Question(
    unit="01",
    name="truncated_bptt",
    title="Train on a stream: truncated back-propagation through time",
    difficulty=3,
    minutes=25,
    task="""
A stream of a million steps cannot be unrolled at once. Williams and Peng (1990) cut the gradient, not the memory: go
through the stream in chunks of $k$ steps, update after each, and hand the state on to the next chunk as mere
values, without their history.

`train_stream(net, optimizer, x, y, h, k)` trains `net`, a `Reader` (given), with `optimizer` (it has `zero_grad()`
and `step()`) on `x` (N, T, D) and targets `y` (N, T), from the state `h` (N, H). For each chunk of `k` steps, in
order (the **last one may be shorter**):

1. run `net` on the chunk, from the state in which the previous chunk ended; gradients stay within the chunk;
2. loss: the mean squared error over all entries of the chunk;
3. one update by `optimizer`, from this chunk's gradient alone.

It returns `(losses, h)`: a list with each chunk's loss as a Python number, and the final state. **Neither may hold a
graph**, or memory grows with every chunk. The check records the gradient that each update used.
""",
    answers=("train_stream",),
    given=(Reader,),
    draw=_draw_stream,
    parts=(
        Part(name="one chunk", points=0.5, tests="one chunk: loss, gradient and weights", probe=_stream_one),
        Part(
            name="several",
            points=1.5,
            tests="three chunks: gradient of each update, losses, final state",
            probe=_stream_many,
        ),
        Part(name="leftover", points=0.5, tests="a stream whose last chunk is shorter", probe=_stream_short),
        Part(name="graphs", points=0.5, tests="losses and final state hold no graph", probe=_stream_held),
    ),
    hints=(
        "What has to survive from one chunk to the next is the value of the state, not how it came about.",
        "`tensor.detach()` has the values without the history: apply it to the state between chunks. A slice past "
        "the end, such as `x[:, 8:12]` of 11 steps, is simply shorter.",
        "For `start` in `range(0, T, k)`: predict from the detached state, `F.mse_loss`, then clear the gradients, "
        "go backward, step. `loss.item()` is a number.",
    ),
)
