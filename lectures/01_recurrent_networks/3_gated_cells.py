# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1.3 Gated cells: four LSTMs, two GRUs
#
# **After this notebook you can** write each of the four cells that are called "LSTM" and say which one you
# are looking at; rebuild `torch.nn.LSTM` and `torch.nn.GRU` from their weights; derive the backward pass of a gated
# cell by hand; choose the bias of a forget gate; and tell the two conventions of the GRU apart before they cost you
# a day.
#
# *35 to 45 minutes to read, about 20 seconds to run on two cores.*
#
# | symbol | meaning | shape |
# |---|---|---|
# | `N, T, D, H` | batch, time, input width, hidden width | |
# | `R` | runs: networks trained side by side | |
# | $x_t, h_t$ | input, hidden state | `(N, D)`, `(N, H)` |
# | $c_t$ | cell: the state that is *added to* | `(N, H)` |
# | $i_t, f_t, o_t$ | input, forget and output gate, each in (0, 1) | `(N, H)` |
# | $g_t$ | candidate: what is offered to the cell, in (-1, 1) | `(N, H)` |
# | $r_t, z_t, n_t$ | GRU: reset gate, update gate, new state | `(N, H)` |
# | $W_{hx}, W_{hh}, b$ | weights, the gates stacked in torch's order i, f, g, o | `(4H, D)`, `(4H, H)`, `(4H,)` |
# | $\otimes$, $\sigma$ | element-wise product, logistic sigmoid | |
#
# **Recipe card.** *Inputs and outputs:* streams of numbers with markers, or symbols; a number or a class at every step
# or at the last. *Architecture:* one recurrent layer, gated, and a linear head. *Loss:* mean squared error, binary or
# softmax cross entropy.

# %%
from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from coursekit.datasets.sequences import adding, counting, first_symbol, resets
from coursekit.plots import confidence, figure, heatmap, lines, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.together import train_together
from coursekit.widgets import Choice, Slider, explore

use_style()
torch.set_num_threads(1)  # networks this small lose time on a second thread
sigmoid, tanh = torch.sigmoid, torch.tanh

# %% [markdown]
# ## 1. A state that is added to
#
# The gradient of a plain recurrent network travels back through a product of $T$ Jacobians, each of them containing
# $W_{hh}$. Such a product shrinks or grows like $a^T$. Which update would have the Jacobian 1?
#
# Addition. Hochreiter and Schmidhuber (1997) keep a second state, the **cell**, that is never multiplied
# by a matrix. In its barest form (Spanakis and Driessens, *Deep learning for agents, Part 2*, call it "the LSTM idea"):
#
# $$c_t = c_{t-1} + \tanh W \begin{pmatrix} x_t \\ h_{t-1} \end{pmatrix}, \qquad h_t = \tanh c_t .$$
#
# Along the direct path $\partial c_t / \partial c_{t-1} = 1$, whatever happens and however long it takes: the *constant error
# carousel*. There is a second path, through $h_{t-1}$ and $W$. Cut it first, then put it back.


# %%
class Weights(NamedTuple):
    """Weights of a gated cell, gates stacked in torch's order i, f, g, o; a leading axis R holds several runs."""

    hx: Tensor  # (4H, D)
    hh: Tensor  # (4H, H)
    b: Tensor  # (4H,)
    peep: Tensor  # (3, H): how i, f and o look at the cell


def draw_weights(d: int, h: int, *, generator: torch.Generator, runs: tuple[int, ...] = ()) -> Weights:
    """Uniform in +-1/sqrt(H), as torch draws them, without peepholes; shapes as in `Weights`, after `runs`."""

    def uniform(*shape: int) -> Tensor:
        return (2 * torch.rand(*runs, *shape, generator=generator) - 1) / h**0.5

    return Weights(uniform(4 * h, d), uniform(4 * h, h), uniform(4 * h), torch.zeros(*runs, 3, h))


def preactivations(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    """What goes into the four non-linearities: i, f, g, o, each (..., N, H), from x (N, D) and h (..., N, H)."""
    return (x @ w.hx.mT + h @ w.hh.mT + w.b.unsqueeze(-2)).chunk(4, -1)


def accumulator(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The bare idea: the cell only ever adds. Returns the next h and c."""
    _, _, g, _ = preactivations(w, x, h)
    c = c + tanh(g)
    return tanh(c), c


# %% [markdown]
# The Jacobian of the last cell with respect to the first, for three networks on the same 50 random inputs. The vanilla
# network has a recurrent matrix whose largest singular value is 0.9.

# %% tags=["covers:A-21"]
D, H, T = 3, 6, 50
w = draw_weights(D, H, generator=generator(0))
x = torch.randn(T, 1, D, generator=generator(1))
recurrent = w.hh[2 * H : 3 * H]  # the candidate's rows
recurrent = 0.9 * recurrent / torch.linalg.matrix_norm(recurrent, 2)
w = w._replace(hh=torch.cat([w.hh[: 2 * H], recurrent, w.hh[3 * H :]]))
no_return = w._replace(hh=torch.zeros_like(w.hh))


def vanilla(state: Tensor, x: Tensor) -> Tensor:
    return tanh(x @ w.hx[2 * H : 3 * H].T + state @ recurrent.T)


def carousel(state: Tensor, x: Tensor, w: Weights) -> Tensor:
    return accumulator(w, x, tanh(state), state)[1]  # h is a function of c alone, so c is the whole state


def jacobians(update: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
    """d state_t / d state_1 (H, H) for t = 1 ... T, by multiplying the Jacobians of the single steps."""
    state, total, found = torch.zeros(1, H), torch.eye(H), [torch.eye(H)]
    for x_t in x[1:]:
        step = torch.autograd.functional.jacobian(lambda s: update(s, x_t), state).view(H, H)
        state, total = update(state, x_t), step @ total
        found.append(total)
    return found


chains = {
    "vanilla": jacobians(vanilla),
    "accumulator, no path through h": jacobians(lambda s, x: carousel(s, x, no_return)),
    "accumulator, with that path": jacobians(lambda s, x: carousel(s, x, w)),
}
norms = {name: [torch.linalg.matrix_norm(j, 2).item() for j in chain] for name, chain in chains.items()}
assert torch.equal(chains["accumulator, no path through h"][-1], torch.eye(H))  # exactly 1, not nearly
assert norms["vanilla"][-1] < 1e-6
for name, values in norms.items():
    print(f"{name:32s} |d state_50 / d state_1| = {values[-1]:.1e}")

# %%
fig, ax = figure()
lines(ax, range(1, T + 1), norms, xlabel="step t", ylabel="norm of ∂state$_t$/∂state$_1$")
ax.set_yscale("log")
show(
    fig,
    alt="Norm of the Jacobian over 50 steps, log scale: the vanilla network falls steeply, the accumulator without the "
    "path through h stays at exactly 1, with that path it stays far above the vanilla network.",
)

# %% [markdown]
# The lecture adds that the expressivity is the same, since any next state is the old one plus a difference. That
# holds for the *form* of the update. With a tanh around the difference one step can move the cell by less than 1, so
# an accumulator cannot clear a large cell at once. Remember this: it is the reason for the forget gate.

# %%
cell = torch.zeros(1, H)
moves = []
for x_t in 50 * x:  # inputs large enough to saturate the tanh
    _, new = accumulator(w, x_t, tanh(cell), cell)
    moves.append((new - cell).abs().max().item())
    cell = new
assert max(moves) <= 1 + 1e-6
print(f"largest move of a cell in one step: {max(moves):.3f}")

# %% [markdown]
# ## 2. Four cells, one name
#
# "LSTM" has meant at least four things. Each adds one thing to the one before:
#
# | cell | update | source |
# |---|---|---|
# | accumulator | $c_t = c_{t-1} + g_t$, $h_t = \tanh c_t$ | the idea |
# | original | $c_t = c_{t-1} + i_t \otimes g_t$, $h_t = o_t \otimes \tanh c_t$ | Hochreiter and Schmidhuber 1997 |
# | popular | $c_t = f_t \otimes c_{t-1} + i_t \otimes g_t$, $h_t$ as before | Gers et al. 2000; torch |
# | peephole | as popular, but $i_t, f_t$ also see $c_{t-1}$ and $o_t$ sees $c_t$ | Gers et al. 2002; Graves |
#
# with $g_t=\tanh(\cdot)$ and $i_t, f_t, o_t=\sigma(\cdot)$ of an affine map of $x_t$ and $h_{t-1}$. The gates do
# the logical work: $i_t$ writes, $f_t$ keeps, $o_t$ shows.
#
# The peephole cell, as printed under the plain title "LSTM Cell" in *Deep Learning for Vision & Language* (Rice):
#
# $$\begin{aligned}
# i_t &= \sigma(W_{xi}x_t + W_{hi}h_{t-1} + W_{ci}c_{t-1} + b_i) \\
# f_t &= \sigma(W_{xf}x_t + W_{hf}h_{t-1} + W_{cf}c_{t-1} + b_f) \\
# c_t &= f_t c_{t-1} + i_t \tanh(W_{xc}x_t + W_{hc}h_{t-1} + b_c) \\
# o_t &= \sigma(W_{xo}x_t + W_{ho}h_{t-1} + W_{co}c_t + b_o), \qquad h_t = o_t \tanh(c_t)
# \end{aligned}$$
#
# where products of states are element-wise and $W_{ci}, W_{cf}, W_{co}$ are diagonal, which the slide does not say. In
# code the four differ by a line each.


# %%
def original(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Input and output gates, nothing forgets (Hochreiter and Schmidhuber 1997)."""
    i, _, g, o = preactivations(w, x, h)
    c = c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def popular(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """With a forget gate (Gers, Schmidhuber and Cummins 2000)."""
    i, f, g, o = preactivations(w, x, h)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def peephole(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The gates also look at the cell, each unit at its own (Gers, Schraudolph and Schmidhuber 2002)."""
    i, f, g, o = preactivations(w, x, h)
    peep_i, peep_f, peep_o = w.peep.unsqueeze(-2).unbind(-3)
    new = sigmoid(f + peep_f * c) * c + sigmoid(i + peep_i * c) * tanh(g)
    return sigmoid(o + peep_o * new) * tanh(new), new  # the output gate sees the NEW cell


CELLS = {"accumulator": accumulator, "original": original, "popular": popular, "peephole": peephole}


def unroll(cell: Callable[..., tuple[Tensor, Tensor]], w: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
    """All hidden states and all cells, each (..., N, T, H), for x (N, T, D), from zero states."""
    h = c = x.new_zeros(*w.hh.shape[:-2], len(x), w.hh.shape[-1])
    hs, cs = [], []
    for x_t in x.unbind(1):
        h, c = cell(w, x_t, h, c)
        hs.append(h)
        cs.append(c)
    return torch.stack(hs, -2), torch.stack(cs, -2)


# %% [markdown]
# Same weights, same input, four answers.

# %% tags=["covers:A-22", "covers:A-23"]
D, H, T = 3, 6, 30
w = draw_weights(D, H, generator=generator(2))
w = w._replace(peep=torch.randn(3, H, generator=generator(3)))
x = torch.randn(1, T, D, generator=generator(4))
hidden = {name: unroll(cell, w, x)[0] for name, cell in CELLS.items()}
distance = torch.stack([torch.stack([(a - b).abs().max() for b in hidden.values()]) for a in hidden.values()])
assert (distance[~torch.eye(4, dtype=torch.bool)] > 0.05).all()  # no two of the four agree


def with_bias(w: Weights, gate: int, value: float) -> Weights:
    """The same weights, but one gate (0 i, 1 f, 2 g, 3 o) is held open or shut by a huge bias."""
    b = w.b.clone()
    b.unflatten(-1, (4, -1))[..., gate, :] = value
    return w._replace(b=b)


open_f = with_bias(w, 1, 100.0)
assert torch.allclose(unroll(popular, open_f, x)[0], hidden["original"])  # f = 1: popular is the original
assert torch.allclose(unroll(original, with_bias(with_bias(w, 0, 100.0), 3, 100.0), x)[0], hidden["accumulator"])
assert torch.equal(unroll(peephole, w._replace(peep=torch.zeros(3, H)), x)[0], hidden["popular"])
print("f = 1: popular = original;  i = o = 1: original = accumulator;  no peepholes: peephole = popular")

# %%
fig, (left, right) = figure(1, 2, width=8.4, height=3.2)
lines(
    left, range(1, T + 1), {name: h[0, :, 2] for name, h in hidden.items()}, xlabel="step t", ylabel="$h_t$, one unit"
)
left.legend(ncols=2, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.22))
heatmap(right, distance, label="largest |difference|", xticks=list(CELLS), yticks=list(CELLS))
right.tick_params(axis="x", rotation=30)
for row, column in itertools.product(range(4), range(4)):
    value = distance[row, column].item()
    right.text(
        column,
        row,
        f"{value:.2f}",
        ha="center",
        va="center",
        color="white" if value < 0.5 * distance.max() else "black",
    )
show(
    fig,
    alt="Left: the hidden state of one unit over 30 steps for the four cells, four different curves. Right: the largest "
    "differences between the cells' hidden states, all off-diagonal entries well above zero.",
)

# %% [markdown]
# So "we used an LSTM" is not a specification. Two slides apart, one lecture shows the peephole cell and torch's cell
# under the same name; the numbers above are what that costs if a set of weights moves from one to the other.
#
# ## 3. Why forget?
#
# The original cell was tested on sequences that end. Gers, Schmidhuber and Cummins (2000) fed it a stream
# that does not, and saw the cells drift away. The task below is in their spirit: the input is a value and a reset
# marker, and the target is the sum of the values since the last marker. Six networks, three seeds with and three without the
# forget gate, learn it on 30 steps and are then left running for 3,000.
#
# All runs train side by side: every weight has a leading axis R, and `train_together` gives each run a gradient, a
# clip and an Adam state of its own. *About 3 seconds.*


# %% tags=["nbval-ignore-output"]
def repeat(w: Weights, times: int) -> Weights:
    """The same draws for each of `times` conditions: comparisons are paired by seed."""
    return Weights(*(part.repeat(times, *[1] * (part.dim() - 1)) for part in w))


def head_of(runs: int, out: int, h: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A linear head for each run: weights (R, out, H) and bias (R, 1, out)."""
    return (2 * torch.rand(runs, out, h, generator=generator) - 1) / h**0.5, torch.zeros(runs, 1, out)


def train_resets(
    cell: Callable[..., tuple[Tensor, Tensor]], seeds: int = 3, h: int = 8
) -> tuple[Weights, Tensor, Tensor]:
    """Three networks on the stream with resets, 30 steps long; returns their weights."""
    random = generator(5)
    w = draw_weights(2, h, generator=random, runs=(seeds,))
    w.b[:, h : 2 * h] += 1.0
    weight, bias = head_of(seeds, 1, h, generator=random)

    def losses(step: int) -> Tensor:
        x, y = resets(32, 30, generator=random)
        hs, _ = unroll(cell, w, x)
        return ((hs @ weight.unsqueeze(1).mT + bias.unsqueeze(1)).squeeze(-1) - y).square().mean((1, 2))

    curve = train_together([*w[:3], weight, bias], losses, steps=300, lr=2e-2, label=f"resets, {cell.__name__}")
    print(f"  squared error, last 20 steps, by seed: {[round(v, 2) for v in curve[:, -20:].mean(1).tolist()]}")
    return w, weight, bias


trained = {"no forget gate": train_resets(original), "forget gate": train_resets(popular)}

# %% tags=["covers:A-22", "nbval-ignore-output"]
stream = resets(1, 3000, generator=generator(6))
with torch.no_grad():
    cells = {
        name: unroll(original if name.startswith("no") else popular, trained[name][0], stream.x)[1].abs().amax((1, 3))
        for name in trained
    }  # largest |c| in the layer: (R, T)
fig, ax = figure()
for k, (name, size) in enumerate(cells.items()):
    confidence(ax, range(1, 3001), size, name, k)
ax.set(xlabel="step of the stream", ylabel="largest |c| in the layer", yscale="log")
ax.axvline(30, color="black", linewidth=1, linestyle=":")
ax.annotate("trained up to here", (30, 45), xytext=(330, 45), va="center", arrowprops={"arrowstyle": "->"})
ax.legend(loc="center right", bbox_to_anchor=(1.0, 0.72))
show(
    fig,
    alt="Largest cell value over a stream of 3,000 steps, log scale. Without a forget gate it grows in proportion to time "
    "to over a thousand; with one it stays at a few units.",
)
growth = cells["no forget gate"][:, -1] / cells["no forget gate"][:, 299]
assert (growth > 5).all()  # ten times the time, about ten times the cell: linear, without bound
assert (cells["forget gate"].amax(1) < 0.1 * cells["no forget gate"].amax(1)).all()
print("without a forget gate, |c| at step 3,000 over |c| at step 300:", [round(v, 1) for v in growth.tolist()])
print(
    "with a forget gate, largest |c| on the whole stream:", [round(v, 1) for v in cells["forget gate"].amax(1).tolist()]
)

# %% [markdown]
# Without the gate the cell grows in proportion to time: it learned 30 steps by adding, and a bounded write per step cannot undo an
# unbounded sum. The forget gate multiplies, and so clears any cell in one step.
#
# ## 4. torch's LSTM, from its weights
#
# `torch.nn.LSTM` is the popular cell with two biases for each gate, of which only the sum matters, and no
# peepholes:
#
# $$\begin{aligned}
# i_t &= \sigma(W_{ii}x_t + b_{ii} + W_{hi}h_{t-1} + b_{hi}) & f_t &= \sigma(W_{if}x_t + b_{if} + W_{hf}h_{t-1} + b_{hf})\\
# g_t &= \tanh(W_{ig}x_t + b_{ig} + W_{hg}h_{t-1} + b_{hg}) & o_t &= \sigma(W_{io}x_t + b_{io} + W_{ho}h_{t-1} + b_{ho})\\
# c_t &= f_t * c_{t-1} + i_t * g_t & h_t &= o_t * \tanh(c_t)
# \end{aligned}$$
#
# Its matrices are stacked. In which order? The documentation says i, f, g, o; here all 24 orders are tried.

# %% tags=["covers:A-25", "covers:A-23"]
D, H, T = 10, 20, 7
with seeded(0):
    lstm = nn.LSTM(D, H, batch_first=True)
    one_step = nn.LSTMCell(D, H)
state = lstm.state_dict()
x = torch.randn(4, T, D, generator=generator(7))
truth = lstm(x)[0]


def stacked(order: str) -> Weights:
    """torch's weights, read as if its chunks came in `order`, put into the order i, f, g, o."""
    place = [order.index(gate) for gate in "ifgo"]
    parts = state["weight_ih_l0"], state["weight_hh_l0"], state["bias_ih_l0"] + state["bias_hh_l0"]
    return Weights(*(torch.cat([part.chunk(4)[k] for k in place]) for part in parts), torch.zeros(3, H))


orders = ["".join(p) for p in itertools.permutations("ifgo")]
matching = [order for order in orders if torch.allclose(unroll(popular, stacked(order), x)[0], truth, atol=1e-6)]
assert matching == ["ifgo"]

# one step of nn.LSTMCell, from states that are not zero
h, c = torch.randn(2, 4, H, generator=generator(8)).unbind(0)
merged = Weights(one_step.weight_ih, one_step.weight_hh, one_step.bias_ih + one_step.bias_hh, torch.zeros(3, H))
for ours, theirs in zip(popular(merged, x[:, 0], h, c), one_step(x[:, 0], (h, c))):
    assert torch.allclose(ours, theirs, atol=1e-6)

count = sum(p.numel() for p in lstm.parameters())
assert count == 4 * (H * (D + H) + 2 * H) == 2560 == 4 * sum(p.numel() for p in nn.RNN(D, H).parameters())
print(f"orders of the chunks that reproduce nn.LSTM: {matching};  parameters: {count} = 4 x {count // 4}")

# %% [markdown]
# ## 5. A walk through the gates
#
# What do the gates of a trained cell do? One of the networks of section 3, on one stream. Reset markers are drawn as dashed lines.
# Look at the forget gate there, and at the cell just after.

# %% tags=["nbval-ignore-output"]
weights = Weights(*(part[0].detach() for part in trained["forget gate"][0]))
walk = resets(1, 40, generator=generator(11))
h = c = torch.zeros(1, 8)
seen: dict[str, list[Tensor]] = {
    name: [] for name in ("input gate i", "forget gate f", "candidate g", "output gate o", "cell c")
}
with torch.no_grad():
    for x_t in walk.x.unbind(1):
        i, f, g, o = preactivations(weights, x_t, h)
        h, c = popular(weights, x_t, h, c)
        for name, value in zip(seen, (sigmoid(i), sigmoid(f), tanh(g), sigmoid(o), c)):
            seen[name].append(value[0])
panels = {name: torch.stack(values, 1) for name, values in seen.items()}  # (H, T) each
at_reset = walk.x[0, :, 1] > 0
fig, axes = figure(5, 1, width=7.2, height=7.4, sharex=True)
for ax, (name, values) in zip(axes, panels.items()):
    heatmap(ax, values, label=name.split()[-1], center=0.0 if name[0] == "c" else None, ylabel="unit")
    ax.set_title(name, loc="left")
    for step in at_reset.nonzero().flatten().tolist():
        ax.axvline(step, color="white" if name[0] != "c" else "black", linestyle="--", linewidth=1.2)
axes[-1].set_xlabel("step t (dashed: reset marker)")
show(
    fig,
    alt="Five heat maps over 40 steps for 8 units: input gate, forget gate, candidate, output gate and cell. The "
    "forget gate is dark at every dashed reset marker and bright between them; the cell restarts there.",
)
kept, cleared = panels["forget gate f"][:, ~at_reset].mean().item(), panels["forget gate f"][:, at_reset].mean().item()
assert cleared < 0.5 < kept
print(f"mean forget gate between markers {kept:.2f}, at markers {cleared:.2f}")

# %% [markdown]
# Now the same walk backwards. From $\delta h_t$ and $\delta c_t$, the gradients that arrive from step $t+1$ and from the loss:
#
# $$\begin{aligned}
# \delta o &= \delta h_t \otimes \tanh c_t, & \delta c &= \delta c_t + \delta h_t \otimes o_t \otimes (1-\tanh^2 c_t),\\
# \delta i &= \delta c \otimes g_t, \quad \delta f = \delta c \otimes c_{t-1}, & \delta g &= \delta c \otimes i_t,\\
# \delta a &= \big(\delta i\, i(1{-}i),\ \delta f\, f(1{-}f),\ \delta g\,(1{-}g^2),\ \delta o\, o(1{-}o)\big), & &\\
# \delta h_{t-1} &= W_{hh}^\top\, \delta a, & \delta c_{t-1} &= \delta c \otimes f_t .
# \end{aligned}$$
#
# The last one is the carousel with a valve: one element-wise product for a step in time, no matrix.


# %% tags=["covers:A-26"]
def backward(w: Weights, x: Tensor, dh: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of W_hx, W_hh and b of the popular cell, by hand; x (N, T, D), dh (N, H) arrives at the last h."""
    h = c = torch.zeros(len(x), w.hh.shape[-1], dtype=x.dtype)
    tape = []
    for x_t in x.unbind(1):  # forward: remember what the way back needs
        i, f, g, o = (act(a) for act, a in zip((sigmoid, sigmoid, tanh, sigmoid), preactivations(w, x_t, h)))
        tape.append((x_t, h, c, i, f, g, o))
        c = f * c + i * g
        h = o * tanh(c)
    d_hx, d_hh, d_b = (torch.zeros_like(part) for part in w[:3])
    dc = torch.zeros_like(dh)
    for x_t, h, c, i, f, g, o in reversed(tape):
        shown = tanh(f * c + i * g)
        dc = dc + dh * o * (1 - shown**2)
        da = torch.cat([dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * shown * o * (1 - o)], 1)
        d_hx, d_hh, d_b = d_hx + da.T @ x_t, d_hh + da.T @ h, d_b + da.sum(0)
        dh, dc = da @ w.hh, dc * f
    return d_hx, d_hh, d_b


exact = Weights(*(part.double().requires_grad_() for part in draw_weights(3, 5, generator=generator(12))))
x = torch.randn(4, 25, 3, generator=generator(13), dtype=torch.float64)
last = unroll(popular, exact, x)[0][:, -1]
by_torch = torch.autograd.grad(last.square().sum() / 2, exact[:3])  # its gradient on the last h is that h
with torch.no_grad():
    by_hand = backward(exact, x, last)
gap = max((a - b).abs().max().item() for a, b in zip(by_hand, by_torch))
assert gap < 1e-12
print(f"by hand against autograd, 25 steps, largest difference below 1e-12: {gap < 1e-12}")

# %% [markdown]
# ## 6. Move the gates yourself
#
# One cell, its gates held at constant values, and an input that offers +1 at steps 5 and 12 and -1 at step 30. At step 20 the forget
# gate may be closed for one step: a reset. The third curve is $\prod f$, the share of a gradient at step $t$
# that would still arrive at step 0.
#
# Try: `forget` at 1.00 and at 0.90; `output` at 0 (the cell remembers, nobody sees it); `input` at 0.


# %%
def draw_gates(forget: float, write: float, output: float, reset: str) -> Figure:
    """The cell, its output and the surviving gradient over 40 steps, for constant gates."""
    offered = torch.zeros(40)
    offered[[5, 12, 30]] = torch.tensor([1.0, 1.0, -1.0])
    gate = torch.full((40,), forget)
    if reset == "at step 20":
        gate[20] = 0.0
    c, cells = torch.tensor(0.0), []
    for g, f in zip(offered, gate):
        c = f * c + write * g
        cells.append(c)
    cell = torch.stack(cells)
    fig, ax = figure(height=3.2)
    lines(
        ax,
        range(40),
        {"cell c": cell, "output h = o tanh(c)": output * tanh(cell), "gradient left, ∏ f": gate.cumprod(0)},
        xlabel="step t",
        ylabel="value",
        title=f"f = {forget:.2f}, i = {write:.2f}, o = {output:.2f}, reset: {reset}",
    )
    for step, sign in ((5, "+1"), (12, "+1"), (30, "-1")):
        ax.annotate(sign, (step, -1.3), ha="center", fontsize=8)
    ax.set_ylim(-1.4, 2.7)
    ax.legend(ncols=3, loc="upper center")
    return fig


explore(
    draw_gates,
    alt="Cell, output and surviving gradient over 40 steps for forget gate {forget}, input gate {write}, output gate "
    "{output}, reset {reset}.",
    static=[
        {"forget": 1.0, "write": 1.0, "output": 0.8, "reset": "never"},
        {"forget": 0.9, "write": 1.0, "output": 0.8, "reset": "at step 20"},
    ],
    forget=Slider(0.0, 1.0, 0.01, 0.95, label="forget gate f"),
    write=Slider(0.0, 1.0, 0.05, 1.0, label="input gate i"),
    output=Slider(0.0, 1.0, 0.05, 0.8, label="output gate o"),
    reset=Choice(["never", "at step 20"], "never", label="reset"),
)

# %% [markdown]
# ## 7. Peepholes: a gate that can read its own cell
#
# Close the output gate in the demonstration above: the cell holds a value, but $h$ is 0, so no gate of the
# next step knows. Peepholes give each gate a direct view. Two details decide whether an implementation is right:
#
# * $i_t$ and $f_t$ look at $c_{t-1}$, since $c_t$ does not exist yet; $o_t$ looks at the **new** $c_t$;
# * the connections are diagonal: $3H$ numbers. Full matrices would cost $3H^2$.
#
# What can a view of the cell do that nothing else can? Time. Here is a network with **one** hidden unit, set by hand, that fires
# exactly `period` steps after each spike. On a spike the cell becomes 1; at each step it loses $\delta$. The output gate
# opens when the new cell falls below a threshold, and the forget gate, one step later, clears it.


# %% tags=["covers:A-24"]
def timer(period: int) -> Weights:
    """One hidden unit that fires `period` steps after a spike: a countdown from 1 to 1/2."""
    delta = 0.5 / period
    threshold, steep = 0.5 + delta / 2, 80.0 / delta
    bias = torch.tensor([100.0, -steep * threshold, -torch.atanh(torch.tensor(delta)).item(), steep * threshold])
    spike = torch.tensor([[0.0], [0.0], [100.0], [0.0]])  # a spike drives the candidate to +1
    return Weights(spike, torch.zeros(4, 1), bias, torch.tensor([[0.0], [steep], [-steep]]))


def stale(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The common mistake: the output gate peeps at the OLD cell."""
    i, f, g, o = preactivations(w, x, h)
    peep_i, peep_f, peep_o = w.peep.unsqueeze(-2).unbind(-3)
    new = sigmoid(f + peep_f * c) * c + sigmoid(i + peep_i * c) * tanh(g)
    return sigmoid(o + peep_o * c) * tanh(new), new


for period in (5, 20, 100):
    x, y = counting(20, 8 * period, period=period, generator=generator(14))
    fires = {cell.__name__: unroll(cell, timer(period), x)[0][..., 0] > 0.3 for cell in (peephole, stale, popular)}
    assert torch.equal(fires["peephole"], y.bool())
    assert torch.equal(fires["stale"], x[..., 0].bool())  # the idle cell is below the threshold: fires AT the spike
    assert not torch.equal(fires["popular"], y.bool())
    print(
        f"period {period:3d}: right at all {y.numel()} steps; with o_t at c_(t-1) it fires at the spikes instead;\n"
        f"            without peepholes {(fires['popular'] != y.bool()).float().mean():.0%} of the steps are wrong"
    )

D, H = 10, 20
random_w = draw_weights(D, H, generator=generator(15))._replace(peep=torch.randn(3, H, generator=generator(16)))
x = torch.randn(2, 12, D, generator=generator(17))
gap = (unroll(peephole, random_w, x)[0] - unroll(stale, random_w, x)[0]).abs().max().item()
assert gap > 1e-2 and random_w.peep.numel() == 3 * H == 60 and 3 * H**2 == 1200
print(f"random weights: o_t at c_t or c_(t-1) differ by up to {gap:.2f}; peepholes {3 * H} numbers, full {3 * H**2}")

# %% [markdown]
# A peephole *can* time. Does it help to *learn* timing? The claim of Gers, Schraudolph and Schmidhuber (2002), put to the test in small:
# delay 5, four hidden units, 16 seeds. Two factors: peepholes or none, and whether the gates see $h_{t-1}$ (as always) or are
# cut off from it ($W_{hh}=0$, so that a peephole is the only view of the state). 64 networks side by side, *about 5 seconds*.

# %% tags=["covers:A-24", "nbval-ignore-output"]
SEEDS, H = 16, 4
random = generator(18)
w = repeat(draw_weights(1, H, generator=random, runs=(SEEDS,)), 4)
w.b[:, H : 2 * H] += 1.0
weight, bias = (part.repeat(4, 1, 1) for part in head_of(SEEDS, 1, H, generator=random))
peeps, sees = (
    torch.tensor(on).repeat_interleave(SEEDS).view(-1, 1, 1) for on in ((1.0, 0.0, 1.0, 0.0), (1.0, 1.0, 0.0, 0.0))
)


def fire(x: Tensor) -> Tensor:
    """Logits (R, N, T): fire or not at each step."""
    hs, _ = unroll(peephole, w._replace(peep=w.peep * peeps, hh=w.hh * sees), x)
    return (hs @ weight.unsqueeze(1).mT + bias.unsqueeze(1)).squeeze(-1)


def timing_losses(step: int) -> Tensor:
    x, y = counting(32, 20, period=5, generator=random)
    logits = fire(x)
    return F.binary_cross_entropy_with_logits(logits, y.float().expand_as(logits), reduction="none").mean((1, 2))


curve = train_together([*w, weight, bias], timing_losses, steps=400, lr=3e-2, label="timing")
x, y = counting(256, 20, period=5, generator=generator(19))
with torch.no_grad():
    solved = ((fire(x) > 0) == y.bool()).all(-1).float().mean(1).view(4, SEEDS) > 0.99
shares = dict(zip(("h, peepholes", "h, none", "no h, peepholes", "no h, none"), solved.float().mean(1).tolist()))
for name, share in shares.items():
    print(f"gates see {name:16s} solved by {share:4.0%} of {SEEDS} seeds")
assert shares["no h, none"] == 0 < shares["no h, peepholes"]

# %% [markdown]
# Cut off from $h$, only the peephole networks learn the task, and none of the others does. With $h$ in view
# the peepholes are not needed, and in this small setting they even got in the way. So: peepholes matter where the output
# gate has to stay closed while the cell counts; elsewhere they are 3H parameters that rarely earn their keep. The next
# notebook comes to the same conclusion for another reason, and torch has none.
#
# ## 8. The bias of the forget gate
#
# Back along the direct path, each step multiplies by the forget gate:
#
# $$\delta c_{t-1} = \delta c_t \otimes f_t .$$
#
# A fresh network has pre-activations near 0, hence $f\approx\tfrac12$. After 60 steps $0.5^{60}\approx 10^{-18}$ is
# left: the carousel stands still. Gers et al. (2000) already started with a positive bias $b$; the advice
# was forgotten, until Jozefowicz et al. (2015) found that a large bias lifts the LSTM above both its plain form and the GRU.
#
# First the numbers; then a look at what the equation leaves out, since the full Jacobian also has terms through $h_{t-1}$.

# %% tags=["covers:A-27"]
D, H, T = 4, 16, 60
x = first_symbol(64, T, D, generator=generator(20)).x
x[:, 1:] = 0.0
mean_f, kept = {}, {}
for b in (0.0, 1.0, 3.0, 5.0):
    w = draw_weights(D, H, generator=generator(21))
    w.b[H : 2 * H] = b
    hs, cs = unroll(popular, w, x)
    before = torch.cat([torch.zeros_like(hs[:, :1]), hs[:, :-1]], 1)
    f = sigmoid((x @ w.hx.T + before @ w.hh.T + w.b)[..., H : 2 * H])  # (N, T, H)
    mean_f[b], kept[b] = f.mean().item(), f.log().sum(1).mean().exp().item()
    assert abs(mean_f[b] - torch.tensor(b).sigmoid().item()) < 0.02
    print(
        f"b = {b:.0f}: mean f {mean_f[b]:.3f}, sigmoid(b) {torch.tensor(b).sigmoid():.3f}, product over {T} steps {kept[b]:.1e}"
    )
assert kept[0.0] < 1e-17 and 0.03 < kept[3.0] < 0.08


# %% tags=["covers:A-27"]
def cell_jacobian(w: Weights, steps: int) -> tuple[Tensor, Tensor]:
    """d c_T / d c_1 by autograd, all paths, and the product of the forget gates, the direct path; both (H, H)."""
    x = torch.randn(steps, 1, D, generator=generator(22))
    first = torch.zeros(1, H, requires_grad=True)
    h, c, direct = torch.zeros(1, H), first, torch.ones(H)
    for x_t in x:
        direct = direct * sigmoid(preactivations(w, x_t, h)[1][0])
        h, c = popular(w, x_t, h, c)
    rows = [torch.autograd.grad(c[0, k], first, retain_graph=True)[0][0] for k in range(H)]
    return torch.stack(rows), direct.diag().detach()


norm = torch.linalg.matrix_norm
print("norm of d c_T / d c_1     direct path   all paths")
for b, steps in itertools.product((0.0, 3.0), (20, 60)):
    w = draw_weights(D, H, generator=generator(21))
    w.b[H : 2 * H] = b
    alone, direct = cell_jacobian(w._replace(hh=torch.zeros_like(w.hh)), steps)
    assert torch.allclose(alone, direct)  # no recurrent weights: the direct path is all there is
    full, direct = cell_jacobian(w, steps)
    print(f"b = {b:.0f}, {steps} steps             {norm(direct):8.0e}    {norm(full):8.0e}")
    assert norm(direct) < 0.5 * norm(full)  # the direct path is the smaller part, and still ...
    assert (norm(full) < 1e-3) if b == 0 else (norm(full) > 1)  # ... the bias decides about the whole

# %% [markdown]
# The equation is exact when nothing returns through $h$. With ordinary weights the paths through the gates and the
# candidate carry more than the direct one, by orders of magnitude. The conclusion stands all the same: with $b=0$ *all*
# paths have died after 60 steps, since each of them passes through cells that forget; with $b=3$ the gradient is of order 1.
#
# Does it decide learning? The test: one of four symbols at step 1, silence for 59 steps, then name it. Four biases, five seeds, the
# same initial draws for each bias. *About 6 seconds.*


# %% tags=["nbval-ignore-output"]
def silent(n: int, *, generator: torch.Generator, steps: int = 60) -> tuple[Tensor, Tensor]:
    """A symbol, then silence: x (N, T, 4), y (N,)."""
    x, y = first_symbol(n, steps, 4, generator=generator)
    x[:, 1:] = 0.0
    return x, y


def recall_losses(logits: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of each run, (R,), from logits (R, N, 4) and y (N,), in nats."""
    return F.cross_entropy(logits.movedim(-1, 1), y.expand(len(logits), -1), reduction="none").mean(1)


BIASES, SEEDS, H = (0.0, 1.0, 3.0, 5.0), 5, 16
random = generator(23)
w = repeat(draw_weights(4, H, generator=random, runs=(SEEDS,)), len(BIASES))
w.b[:, H : 2 * H] = torch.tensor(BIASES).repeat_interleave(SEEDS).unsqueeze(1)
weight, bias = (part.repeat(len(BIASES), 1, 1) for part in head_of(SEEDS, 4, H, generator=random))


def recall_step(step: int) -> Tensor:
    x, y = silent(32, generator=random)
    return recall_losses(unroll(popular, w, x)[0][..., -1, :] @ weight.mT + bias, y)


curves = train_together([*w[:3], weight, bias], recall_step, steps=200, lr=5e-3, label="recall after silence")
by_bias = dict(zip(BIASES, curves.view(len(BIASES), SEEDS, -1)))

# %% tags=["covers:A-27", "nbval-ignore-output"]
fig, (left, right) = figure(1, 2, width=8.4, height=3.2)
steps = torch.arange(T + 1)
lines(
    left,
    steps,
    {f"b = {b:.0f}": torch.tensor(b).sigmoid() ** steps for b in BIASES},
    xlabel="steps back",
    ylabel=r"$\sigma(b)^t$, share of $\delta c$ left",
    legend=False,
)
left.set(yscale="log", title="before training")
for k, (b, runs) in enumerate(by_bias.items()):
    confidence(right, range(1, 201), runs, f"b = {b:.0f}", k)
right.axhline(torch.tensor(4.0).log().item(), color="black", linewidth=1, linestyle=(0, (1, 3)))
right.text(2, 1.42, "chance", fontsize=8)
right.set(xlabel="training step", ylabel="cross entropy (nats)", title="recall after 59 silent steps")
right.legend(loc="center right", bbox_to_anchor=(1.0, 0.65))
show(
    fig,
    alt="Left: the share of the gradient left after t steps falls to 1e-18 for bias 0 and hardly falls for bias 5. Right: "
    "the loss stays at chance for biases 0 and 1 and falls for 3 and 5, mean and range over five seeds.",
)
final = {b: runs[:, -20:].mean(1) for b, runs in by_bias.items()}
for b, loss in final.items():
    print(f"b = {b:.0f}: loss of the last 20 steps by seed {[round(v, 2) for v in loss.tolist()]}")
assert min(final[0.0].min(), final[1.0].min()) > 1.3  # chance is log 4 = 1.386
assert final[5.0].max() < 1.0 and final[3.0].median() < 0.5

# %% [markdown]
# With biases 0 and 1 no seed leaves chance; with 5 every seed does, with 3 most. The bias that is needed grows with the delay: for a
# share $p$ to survive $T$ steps along the direct path, $\sigma(b)^T=p$.
#
# **torch's trap.** Many recipes loop over the parameters and fill the forget chunk of everything called "bias". torch has two biases
# per gate, and they add.

# %% tags=["covers:A-27"]
with seeded(1):
    lstm = nn.LSTM(4, 20)
with torch.no_grad():
    for name, parameter in lstm.named_parameters():
        if "bias" in name:
            parameter[20:40] = 3.0  # the recipe, as found in many repositories
effective = (lstm.bias_ih_l0 + lstm.bias_hh_l0)[20:40]
assert torch.equal(effective, torch.full((20,), 6.0))
print(
    f"wanted f = {torch.tensor(3.0).sigmoid():.3f}, got f = {effective[0].sigmoid():.4f}: the gate starts {6 / 3:.0f} times as far out"
)

# %% [markdown]
# A gate at 0.9975 also has a gradient of $f(1-f)=0.0025$: it is hard to close again. Set the sum, not each part; the exercise
# `forget_bias` asks for it.
#
# ## 9. The GRU, twice
#
# Cho et al. (2014) merge the cell with the hidden state and the input gate with the forget gate. As Spanakis
# and Driessens write it:
#
# $$\begin{aligned}
# r_t &= \sigma\Big(W_r\tbinom{x_t}{h_{t-1}} + b_f\Big), & z_t &= \sigma\Big(W_z\tbinom{x_t}{h_{t-1}} + b_f\Big),\\
# h'_t &= \tanh W\tbinom{x_t}{r_t\otimes h_{t-1}}, & h_t &= (1-z_t)\otimes h_{t-1} + z_t\otimes h'_t .
# \end{aligned}$$
#
# As torch computes it:
#
# $$\begin{aligned}
# r_t &= \sigma(W_{ir}x_t + b_{ir} + W_{hr}h_{t-1} + b_{hr}), \qquad z_t = \sigma(W_{iz}x_t + b_{iz} + W_{hz}h_{t-1} + b_{hz}),\\
# n_t &= \tanh(W_{in}x_t + b_{in} + r_t * (W_{hn}h_{t-1} + b_{hn})), \qquad h_t = (1-z_t)*n_t + z_t*h_{t-1} .
# \end{aligned}$$
#
# Three differences. The reset gate acts before the matrix, or after it. The update gate opens to the *new* state, or keeps the
# *old* one. And the biases: one shared $b_f$ and none in $h'$, or two for each gate.
#
# Both forms below take the same weights, stacked in torch's order r, z, n.


# %%
class GruWeights(NamedTuple):
    """Weights of a GRU, gates stacked in torch's order r, z, n; a leading axis R holds several runs."""

    hx: Tensor  # (3H, D)
    hh: Tensor  # (3H, H)
    b: Tensor  # (3H,), acts beside W_hx
    b_h: Tensor  # (H,), acts beside W_hn, inside the reset: torch's form only


def gru_gates(w: GruWeights, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """r and z, and the candidate's share of the input; each (..., N, H)."""
    width = h.shape[-1]
    from_x = x @ w.hx.mT + w.b.unsqueeze(-2)
    r, z = sigmoid(from_x[..., : 2 * width] + h @ w.hh[..., : 2 * width, :].mT).chunk(2, -1)
    return r, z, from_x[..., 2 * width :]


def reset_before(w: GruWeights, r: Tensor, h: Tensor) -> Tensor:
    return (r * h) @ w.hh[..., -h.shape[-1] :, :].mT


def reset_after(w: GruWeights, r: Tensor, h: Tensor) -> Tensor:
    return r * (h @ w.hh[..., -h.shape[-1] :, :].mT + w.b_h.unsqueeze(-2))


def gru_lecture(w: GruWeights, x: Tensor, h: Tensor) -> Tensor:
    """The lecture's form (Cho et al. 2014): reset before the matrix, z opens to the new state."""
    r, z, from_x = gru_gates(w, x, h)
    return (1 - z) * h + z * tanh(from_x + reset_before(w, r, h))


def gru_torch(w: GruWeights, x: Tensor, h: Tensor) -> Tensor:
    """torch's form: reset after the matrix, z keeps the old state."""
    r, z, from_x = gru_gates(w, x, h)
    return (1 - z) * tanh(from_x + reset_after(w, r, h)) + z * h


def run_gru(cell: Callable[..., Tensor], w: GruWeights, x: Tensor) -> Tensor:
    """All hidden states (..., N, T, H) for x (N, T, D), from zero."""
    h = x.new_zeros(*w.hh.shape[:-2], len(x), w.hh.shape[-1])
    hs = []
    for x_t in x.unbind(1):
        h = cell(w, x_t, h)
        hs.append(h)
    return torch.stack(hs, -2)


# %% tags=["covers:A-28", "covers:A-29"]
D, H, T = 10, 20, 12
with seeded(2):
    gru = nn.GRU(D, H, batch_first=True)
x = torch.randn(4, T, D, generator=generator(24))
b_i, b_h = gru.bias_ih_l0.detach(), gru.bias_hh_l0.detach()
w = GruWeights(
    gru.weight_ih_l0.detach(), gru.weight_hh_l0.detach(), torch.cat([(b_i + b_h)[: 2 * H], b_i[2 * H :]]), b_h[2 * H :]
)
assert torch.allclose(run_gru(gru_torch, w, x), gru(x)[0], atol=1e-6)  # torch.nn.GRU, rebuilt


def drawn(scale: float, seed: int) -> GruWeights:
    random = generator(seed)
    shapes = (3 * H, D), (3 * H, H), (3 * H,)
    return GruWeights(*(scale * torch.randn(*s, generator=random).double() for s in shapes), torch.zeros(H).double())


w = drawn(0.3, 25)  # no bias inside the reset, so that both forms have the same numbers to work with
x = x.double()
both = (run_gru(gru_lecture, w, x) - run_gru(gru_torch, w, x)).abs().max().item()
mirrored = w._replace(
    **{part: torch.cat([block[:H], -block[H : 2 * H], block[2 * H :]]) for part, block in zip(("hx", "hh", "b"), w)}
)  # negate everything that feeds z: sigmoid(-a) = 1 - sigmoid(a)
blend_only = (run_gru(gru_lecture, w, x) - run_gru(gru_torch, mirrored, x)).abs().max().item()


def hybrid(w: GruWeights, x: Tensor, h: Tensor) -> Tensor:
    """The lecture's reset with torch's blend."""
    r, z, from_x = gru_gates(w, x, h)
    return (1 - z) * tanh(from_x + reset_before(w, r, h)) + z * h


exact = (run_gru(gru_lecture, w, x) - run_gru(hybrid, mirrored, x)).abs().max().item()
assert both > 0.3 and blend_only > 0.05 and exact < 1e-12
print(f"same weights in both forms:              largest difference {both:.2f}")
print(f"z mirrored (its weights negated):        largest difference {blend_only:.2f}, from the reset alone")
print(f"z mirrored, reset in the same place:     largest difference below 1e-12: {exact < 1e-12}")

# %% [markdown]
# The blend is a matter of naming: negate what feeds $z$ and the two agree to rounding. The place of the reset is a different function;
# no relabelling of weights removes it in general. torch's place is the faster one: all three products with $h_{t-1}$
# become one matrix product. (*Quick check:* for which $r_t$ do the two places agree? When all its entries are equal to 1, and
# there is no bias inside. The exercise `gru_convert` asks when else.)
#
# **Counting.** Three stacks instead of four.

# %% tags=["covers:A-28"]
with seeded(3):
    counts = {kind.__name__: sum(p.numel() for p in kind(10, 20).parameters()) for kind in (nn.RNN, nn.GRU, nn.LSTM)}
as_printed = 3 * 20 * (10 + 20) + 20  # three stacked matrices and the one b_f
assert (
    counts == {"RNN": 640, "GRU": 1920, "LSTM": 2560} and counts["GRU"] / counts["LSTM"] == 3 / 4 and as_printed == 1820
)
print(counts, "GRU as printed in the lecture:", as_printed)

# %% [markdown]
# **The shared bias.** The lecture writes $b_f$ in both gates, most likely carried over from the LSTM's forget
# gate. Run it literally: where input and state are silent, $r_t=z_t=\sigma(b_f)$, in every unit and whatever the weights. A cell that
# keeps its state by default ($z\approx0$) must then also hide its state from its own candidate ($r\approx0$). Separate biases can have both.


# %% tags=["covers:A-28"]
def tied(b_f: Tensor) -> Tensor:
    """The lecture's biases: b_f in r and in z, none in the candidate; (..., H) to (..., 3H)."""
    return torch.cat([b_f, b_f, torch.zeros_like(b_f)], -1)


nothing, rest = torch.zeros(1, D).double(), torch.zeros(1, H).double()
shared = w._replace(b=tied(torch.randn(H, generator=generator(26)).double()))
r, z, _ = gru_gates(shared, nothing, rest)
assert torch.equal(r, z)
separate = w._replace(b=torch.cat([torch.full((H,), v).double() for v in (1.0, -3.0, 0.0)]))
r, z, _ = gru_gates(separate, nothing, rest)
assert (r > 0.7).all() and (z < 0.05).all()
print(f"in silence: tied r = z always; separate r = {r[0, 0]:.2f}, z = {z[0, 0]:.2f}")

# %% [markdown]
# Does the loss of that freedom hurt? Two tasks: recall after silence, as above, which needs only $z\approx0$; and the adding problem (sum
# of two marked numbers among 30), where the candidate should see the state. Three choices of bias, three seeds each, the lecture's form. *About 6
# seconds.*

# %% tags=["nbval-ignore-output"]
SEEDS, H = 3, 12
CHOICES = {"separate, 0 and 0": (0.0, 0.0), "separate, r +1, z -3": (1.0, -3.0), "tied, -3": None}


def train_grus(
    d: int,
    out: int,
    batch: Callable[[torch.Generator], tuple[Tensor, Tensor]],
    losses: Callable[[Tensor, Tensor], Tensor],
    steps: int,
    label: str,
) -> Tensor:
    """Loss curves (choice, seed, step) of nine GRUs in the lecture's form; the tied ones learn one b_f."""
    random = generator(27)
    base = draw_weights(d, H, generator=random, runs=(SEEDS,))
    hx, hh = (part[:, : 3 * H].repeat(3, 1, 1) for part in base[:2])
    weight, bias = (part.repeat(3, 1, 1) for part in head_of(SEEDS, out, H, generator=random))
    start = [torch.tensor(pair or (0.0, 0.0)).repeat_interleave(H) for pair in CHOICES.values()]
    free = F.pad(torch.stack(start).repeat_interleave(SEEDS, 0), (0, H))
    b_f = torch.full((3 * SEEDS, H), -3.0)
    is_tied = torch.tensor([pair is None for pair in CHOICES.values()]).repeat_interleave(SEEDS).unsqueeze(1)

    def step_losses(step: int) -> Tensor:
        x, y = batch(random)
        w = GruWeights(hx, hh, torch.where(is_tied, tied(b_f), free), torch.zeros(H))
        return losses(run_gru(gru_lecture, w, x)[..., -1, :] @ weight.mT + bias, y)

    return train_together([hx, hh, free, b_f, weight, bias], step_losses, steps=steps, lr=1e-2, label=label).view(
        3, SEEDS, -1
    )


gru_curves = {
    "recall after silence, T = 60": train_grus(4, 4, lambda g: silent(32, generator=g), recall_losses, 120, "recall"),
    "adding, T = 30": train_grus(
        2, 1, lambda g: adding(32, 30, generator=g), lambda p, y: (p.squeeze(-1) - y).square().mean(1), 300, "adding"
    ),
}

# %% tags=["covers:A-28", "nbval-ignore-output"]
fig, axes = figure(1, 2, width=8.4, height=3.2)
for ax, (task, runs) in zip(axes, gru_curves.items()):
    for k, (name, values) in enumerate(zip(CHOICES, runs)):
        confidence(ax, range(1, runs.shape[-1] + 1), values, name, k)
    ax.set(
        title=task, xlabel="training step", ylabel="cross entropy (nats)" if task[0] == "r" else "mean squared error"
    )
axes[1].set_ylim(0, 0.4)
axes[0].legend(fontsize=8)
show(
    fig,
    alt="Loss curves of the GRU with three choices of bias, mean and range over three seeds. Recall: biases of 0 stay at "
    "chance, the other two learn. Adding: all three learn.",
)
recall = gru_curves["recall after silence, T = 60"][..., -20:].mean(-1)
add = gru_curves["adding, T = 30"][..., -20:].mean(-1)
for name, a, b in zip(CHOICES, recall, add):
    print(f"{name:22s} recall {[round(v, 2) for v in a.tolist()]} nats   adding {[round(v, 3) for v in b.tolist()]}")
assert recall[0].min() > 1.3 and recall[1:].max() < recall[0].min()
assert add.max() < 0.5 / 6  # answering 1 always scores 1/6

# %% [markdown]
# Two surprises. The default biases fail at recall for the same reason as the LSTM's: $(1-z)^{60}$ with $z=\tfrac12$. A
# GRU whose update gate starts closed learns it at once, so "a large forget bias makes the LSTM beat the GRU" is
# a statement about initialisation, not about architecture. And tying the bias, a real loss of freedom, cost nothing that these two
# tasks can measure: $W_z$ and $W_r$ open the gates separately as soon as there is an input. The slip changes the model
# (1,820 parameters, not 1,860 with one bias per stack) and still trains. Such slips survive because nothing breaks.
#
# ## What to remember
#
# 1. A cell that is added to has the Jacobian 1; that is the whole idea, and $\delta c_{t-1}=\delta c_t\otimes f_t$ is the same idea with a valve.
# 2. "LSTM" names at least four cells; weights moved from one to another give other numbers without any error.
# 3. Without a forget gate the cell grows with the length of the stream; with a gate that starts at ½ nothing survives 60 steps. Start it open.
# 4. torch: order i, f, g, o, two biases that add, no peepholes. In a peephole cell the output gate sees the new cell.
# 5. Two GRUs: $z$ is mirrored (harmless), the reset sits before or after the matrix (another function).
#
# ## Quiz
#
# **Why would one start an LSTM with a large positive forget-gate bias?**
# <details><summary>Answer</summary>
# Because the gradient along the cell is multiplied by f at every step. With b = 0, f is about ½ and half of the gradient is lost per step; with b = 3, f is
# about 0.95 and 5 % of it survives 60 steps. Learning can still close the gate where forgetting pays.
# </details><br>
#
# **In the accumulator the Jacobian was exactly the identity only after the recurrent weights were set to zero. What else flows when they are not?**
# <details><summary>Answer</summary>
# The path from one cell to the next through h and the matrix W. The identity is added to that path's Jacobian, so the sum neither has to shrink nor to
# stay at 1; gated cells can still explode, and are still clipped.
# </details><br>
#
# **A colleague's GRU was written after the lecture's equations and loads torch weights. It runs, and the outputs are wrong. Name two causes.**
# <details><summary>Answer</summary>
# z means the opposite, and the reset is applied before the matrix instead of after it. (Third: torch's bias inside the reset is lost.)
# </details><br>
#
# **A network forgets everything after one step. You look at its gates and find f = 0.02 in all units, on every input. Which one number do you suspect?**
# <details><summary>Answer</summary>
# The forget bias: it is about -4. A sign error in the initialisation does this.
# </details><br>
#
# **Pointers.** The assignment of this unit asks for the siblings of these cells: `popular_lstm` (another stacking order), `peephole_lstm`,
# `gru_torch`, `gru_deck`, `gru_convert`, `forget_bias`, and two slips to find.
#
# **References.** Hochreiter and Schmidhuber 1997, *Long short-term memory*. Gers, Schmidhuber and Cummins 2000, *Learning to forget*. Gers,
# Schraudolph and Schmidhuber 2002, *Learning precise timing with LSTM recurrent networks*. Cho et al. 2014, *Learning phrase representations using RNN
# encoder-decoder*. Chung et al. 2014, *Empirical evaluation of gated recurrent neural networks*. Jozefowicz, Zaremba and
# Sutskever 2015, *An empirical exploration of recurrent network architectures*. Slides: Spanakis and Driessens (Maastricht), *Deep learning for
# agents, Part 2*; Rice, *Deep Learning for Vision & Language*.
