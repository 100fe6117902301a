# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1.1 The recurrent cell
#
# A network with fixed inputs can only read what fits into them. A recurrent network reads one step at a time and
# carries a state. This notebook builds that state by hand, then by training, and takes `torch.nn.RNN` apart.
#
# After it you can
#
# - say why no fixed window solves parity, and set the six numbers of a network that does;
# - write the recurrent cell in three notations and rebuild `torch.nn.RNN` from its weights;
# - unroll a cell, put a head and a loss on every step, and keep padding out of the gradient;
# - name the input-output scenario, the architecture and the loss of a new task.
#
# **Reading time** 40 minutes. **Running time** about 15 seconds on two cores.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $N,\ T,\ D,\ H,\ C$ | batch, time, input width, hidden width, classes | |
# | $x_t,\ h_t,\ y_t$ | input, hidden state, output at step $t$ | $(N,D),\ (N,H),\ (N,C)$ |
# | $W_{hx},\ W_{hh},\ b$ | input weights, recurrent weights, bias | $(H,D),\ (H,H),\ (H)$ |
# | $W=[W_{hx}\ W_{hh}]$ | the two side by side ("stacked") | $(H,D+H)$ |
# | $C_t$ | loss of step $t$ | scalar |
#
# **Recipe card**
#
# | Inputs / outputs | Architecture | Loss |
# |---|---|---|
# | a string of bits / one yes-or-no answer after every bit | one recurrent cell, one linear head | cross entropy, summed over the steps that exist |

# %%
import itertools
import math
import warnings
from typing import NamedTuple

import torch
from matplotlib.patches import FancyArrowPatch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit.datasets.sequences import parity, parity_label
from coursekit.plots import PALETTE, figure, heatmap, lines, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.loop import train
from coursekit.widgets import Slider, explore

use_style()
torch.set_num_threads(1)  # these networks are tiny: two threads would mostly wait for each other

# %% [markdown]
# ## Before you start: six questions
#
# This unit assumes a first course on neural networks: matrix shapes, the chain rule, softmax, gradient descent. Put
# your answers into `MINE` and run the cell. The right answers are *computed* below the questions, so you can also read how.
#
# 1. `shape`: a tensor of shape (4, 7, 3) times a matrix of shape (3, 5). Which shape comes out?
# 2. `weights`: how many trainable numbers has `nn.Linear(10, 20)`?
# 3. `slope`: what is the slope of $\tanh$ at 0?
# 4. `shared`: $y = x + x\,x$. What is $dy/dx$ at $x=3$?
# 5. `entropy`: eight classes, all logits equal. What is the cross entropy, to two decimals?
# 6. `step`: $w=2$, loss $w^2$, learning rate 0.1. What is $w$ after one step of gradient descent?

# %% tags=["covers:A-64"]
MINE = {"shape": None, "weights": None, "slope": None, "shared": None, "entropy": None, "step": None}

LOOK_AT = {
    "shape": "matrix products act on the last axis; the others are carried along",
    "weights": "a matrix of 20 x 10, and a bias",
    "slope": "the derivative of tanh is 1 - tanh squared",
    "shared": "x is used three times, and every use counts",
    "entropy": "a uniform guess over 8 classes has probability 1/8, and the loss is minus its log",
    "step": "w - 0.1 * dC/dw",
}


def computed_answers() -> dict[str, object]:
    """Each answer, from torch itself."""
    x = torch.tensor(3.0, requires_grad=True)
    zero = torch.tensor(0.0, requires_grad=True)
    w = torch.tensor(2.0, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.tanh(zero), zero)
    (shared,) = torch.autograd.grad(x + x * x, x)
    (grad,) = torch.autograd.grad(w**2, w)
    return {
        "shape": tuple((torch.zeros(4, 7, 3) @ torch.zeros(3, 5)).shape),
        "weights": sum(p.numel() for p in nn.Linear(10, 20).parameters()),
        "slope": slope.item(),
        "shared": shared.item(),
        "entropy": round(F.cross_entropy(torch.zeros(1, 8), torch.tensor([0])).item(), 2),
        "step": round((w - 0.1 * grad).item(), 6),
    }


def review(mine: dict[str, object]) -> list[str]:
    """One verdict for each question: right, not answered, or where to look."""
    verdicts = []
    for name, truth in computed_answers().items():
        answer = mine.get(name)
        right = answer == truth or (isinstance(answer, float | int) and math.isclose(answer, truth, abs_tol=5e-3))
        verdicts.append("not answered yet" if answer is None else "right" if right else f"look again: {LOOK_AT[name]}")
    return verdicts


for name, verdict in zip(MINE, review(MINE)):
    print(f"{name:8s} {verdict}")

# The review itself is checked: right answers pass, and a wrong one is met with its pointer.
assert review(computed_answers()) == ["right"] * 6
assert review(computed_answers() | {"shared": 6.0})[3].startswith("look again: x is used three times")

# %% [markdown]
# Three or more to look up? Read chapter 6 of *Deep Learning* (Goodfellow, Bengio, Courville) first. Question 4
# is the one to be sure of: a recurrent network uses the same weight at every step, and *every use counts*.
#
# ## 1. Why a window is not enough
#
# Take the smallest task with memory: say **yes** while the number of ones read so far is even (Spanakis & Driessens,
# Maastricht, *Deep learning for agents, Part 2*). `1000010101` holds four ones: yes. `100011` holds three: no.
#
# The obvious attempt is a network that sees the last $k$ bits. Here $k=6$: an MLP trained on all 64 strings that fit.
# Shorter strings are filled up with zeros on the left, which leaves their parity alone.

# %% tags=["nbval-ignore-output"]
assert parity_label("1000010101") is True and parity_label("100011") is False

WINDOW = 6
every_string = torch.tensor(list(itertools.product([0.0, 1.0], repeat=WINDOW)))  # (64, 6)
every_label = (every_string.sum(1) % 2 == 0).long()  # (64,), 1 = even

with seeded(0):
    window_net = nn.Sequential(nn.Linear(WINDOW, 32), nn.Tanh(), nn.Linear(32, 2))
train(
    window_net.parameters(),
    lambda step: F.cross_entropy(window_net(every_string), every_label),
    steps=600,
    label="window network",
)


def window_answer(x: Tensor) -> Tensor:
    """x (N, T, 1) bits -> (N,) answers that rest on the last six bits."""
    return window_net(F.pad(x[..., 0], (WINDOW, 0))[:, -WINDOW:]).argmax(1)


print("right on", int((window_answer(every_string[..., None]) == every_label).sum()), "of the 64 strings it was trained on")

# %% [markdown]
# Now longer strings. There is no need to guess what happens: pair each string with a twin whose *first* bit is flipped.
# The window sees the same six bits in both, so it gives the same answer to both, and exactly one of the two is right.

# %% tags=["covers:A-01"]
draws = generator(1)
lengths = range(1, 41)
window_curve = []
for length in lengths:
    x, y = parity(250, length, generator=draws)
    twin = x.clone()
    twin[:, 0] = 1 - twin[:, 0]
    right = torch.cat([window_answer(x) == y[:, -1], window_answer(twin) == 1 - y[:, -1]])
    window_curve.append(right.float().mean().item())

assert all(share == 1.0 for share in window_curve[:WINDOW])
assert all(share == 0.5 for share in window_curve[WINDOW:])  # not "about" 0.5: exactly
print("accuracy up to length 6:", window_curve[0], "  from length 7 on:", window_curve[WINDOW])

# %% [markdown]
# Not *about* chance but exactly chance, from length 7 on. A wider window moves the cliff and does not remove it: there
# can always be a string longer than any seen. What is needed is a **state**: something of fixed size that is carried along.
#
# ## 2. A network of two units that is never wrong
#
# For parity one bit of state is enough: it flips when a 1 arrives and stays when a 0 does.
#
# That is an exclusive or of the input and the old bit $p$, and a single layer of units cannot compute one. Two units
# can if they split the work: the first says *at least one of the two is on*, the second *both are*.
#
# $$a_t=\tanh g\,(x_t+p_{t-1}-\tfrac12)\qquad b_t=\tanh g\,(x_t+p_{t-1}-\tfrac32)\qquad p_t=\tfrac12(a_t-b_t)$$
#
# Put $p$ into the other two equations and only $a$ and $b$ are left: a recurrent cell with two hidden units. The gain $g$
# makes the tanh a switch.

# %% tags=["covers:A-02"]
GAIN = 8.0
automaton = {
    "w_hx": GAIN * torch.tensor([[1.0], [1.0]]),  # (H, D) = (2, 1)
    "w_hh": GAIN * torch.tensor([[0.5, -0.5], [0.5, -0.5]]),  # (H, H)
    "b": GAIN * torch.tensor([-0.5, -1.5]),  # (H,)
}


def automaton_states(x: Tensor, noise: float = 0.0, draws: torch.Generator | None = None) -> Tensor:
    """x (N, T, 1) bits -> (N, T, 2) states of the two units, started at 0 and disturbed at every step if `noise` > 0."""
    h, states = torch.zeros(len(x), 2), []
    for x_t in x.unbind(1):
        h = torch.tanh(x_t @ automaton["w_hx"].T + h @ automaton["w_hh"].T + automaton["b"])
        if noise:
            h = h + noise * torch.randn(h.shape, generator=draws)
        states.append(h)
    return torch.stack(states, 1)


def is_even(states: Tensor) -> Tensor:
    """States (..., 2) -> 1 where the carried bit is 0."""
    return (states[..., 0] - states[..., 1] < 1).long()


for length in range(1, 201):
    x, y = parity(50, length, generator=draws)
    assert (is_even(automaton_states(x)) == y).all()  # after every bit, not only after the last
    assert (is_even(automaton_states(x, noise=0.1, draws=draws)) == y).all()
print("exact after every bit of 10,000 strings of length 1 to 200; with noise of 0.1 on every state too")


# %%
def bits(text: str) -> Tensor:
    """'1001' -> (1, 4, 1)."""
    return torch.tensor([[float(c)] for c in text])[None]


fig, (left, right) = figure(1, 2, width=8.2, height=2.9, width_ratios=[1, 1.5])
for x0, name in ((0.0, "even"), (1.0, "odd")):
    left.text(x0, 0, name, ha="center", va="center", bbox={"boxstyle": "circle,pad=0.55", "fc": "white", "ec": PALETTE[1]})
for start, end, bend, at in (((0.17, 0.1), (0.83, 0.1), -0.35, 0.3), ((0.83, -0.1), (0.17, -0.1), -0.35, -0.3)):
    left.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color="k", connectionstyle=f"arc3,rad={bend}"))
    left.text(0.5, at, "reads 1", ha="center", va="center")
for x0 in (0.0, 1.0):
    left.add_patch(FancyArrowPatch((x0 - 0.08, 0.2), (x0 + 0.08, 0.2), arrowstyle="-|>", mutation_scale=14, color="k", connectionstyle="arc3,rad=-2.2"))
    left.text(x0, 0.53, "reads 0", ha="center")
left.set(xlim=(-0.4, 1.4), ylim=(-0.55, 0.7), title="what it should do")
left.axis("off")
text = "1000010101"
a, b = automaton_states(bits(text))[0].T
lines(right, range(1, 11), {"a: at least one on": a, "b: both on": b}, title="what the two units do", ylabel="state (no unit)", legend=False)
right.plot(range(1, 11), (a - b) / 2, "ks", markersize=6, label="p = (a - b) / 2: odd so far")
right.set_xticks(range(1, 11), [f"{c}" for c in text])
right.set_xlabel("bit that was read")
right.set_ylim(-1.15, 1.9)
right.legend(loc="upper center", ncols=2, fontsize=8)
show(fig, alt="Left: two circles, even and odd; reading a 1 moves to the other circle, reading a 0 stays. Right: the "
     "states of the two hand-set units along the string 1000010101; the squares p jump to 1 at each odd one and back to 0 "
     "at each even one.")  # fmt: skip

# %% [markdown]
# Why does the noise do no harm? At every step the steep tanh pushes a disturbed state back to -1 or +1: errors are
# erased, not collected. Remember the price of that, because notebook 2 is about it: a state that ignores small
# disturbances also ignores small *changes of the weights*, so a gradient cannot pass through it.

# %%
h = torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True)
weights64 = {name: w.double() for name, w in automaton.items()}
state = h
for c in "1000010101" * 2:
    state = torch.tanh(weights64["w_hx"][:, 0] * float(c) + weights64["w_hh"] @ state + weights64["b"])
(reach,) = torch.autograd.grad(state[0], h)
assert 0 < reach.norm() < 1e-20
print(f"gradient of the state after 20 bits with respect to the state before them: {reach.norm():.0e}")

# %% [markdown]
# ## 3. One cell, three notations
#
# The cell that we just set by hand is the **vanilla** or **Elman** cell (Elman 1990). Two courses write it in two ways:
#
# $$\text{split (Rice):}\quad h_1=\tanh(W_{hh}h_0+W_{hx}x_1)\qquad\qquad
# \text{stacked (Maastricht):}\quad h_t=\tanh W\begin{pmatrix}x_t\\h_{t-1}\end{pmatrix}$$
#
# Multiply the stacked form out and the split form appears, provided that the blocks of $W$ stand in the order of the
# vector: $W=[W_{hx}\ W_{hh}]$.


# %% tags=["covers:A-03"]
def step_split(x: Tensor, h: Tensor, w_hx: Tensor, w_hh: Tensor) -> Tensor:
    """x (N, D), h (N, H) -> (N, H): two products, then their sum."""
    return torch.tanh(h @ w_hh.T + x @ w_hx.T)


def step_stacked(x: Tensor, h: Tensor, w: Tensor) -> Tensor:
    """x (N, D), h (N, H), w (H, D+H) -> (N, H): one product on the joined vector."""
    return torch.tanh(torch.cat([x, h], dim=1) @ w.T)


N, T, D, H = 5, 12, 10, 20
with seeded(1):
    torch_rnn = nn.RNN(D, H, bias=False, batch_first=True)
w_hx, w_hh = torch_rnn.weight_ih_l0.detach(), torch_rnn.weight_hh_l0.detach()
x = torch.randn(N, T, D, generator=generator(2))

split = stacked = torch.zeros(N, H)
for x_t in x.unbind(1):
    split = step_split(x_t, split, w_hx, w_hh)
    stacked = step_stacked(x_t, stacked, torch.cat([w_hx, w_hh], dim=1))
swapped = step_stacked(x[:, 0], torch.ones(N, H), torch.cat([w_hh, w_hx], dim=1))  # no error is raised ...
correct = step_split(x[:, 0], torch.ones(N, H), w_hx, w_hh)  # ... and the answer is another one

torch.testing.assert_close(split, stacked, atol=1e-6, rtol=0)
torch.testing.assert_close(split, torch_rnn(x)[0][:, -1].detach(), atol=1e-6, rtol=0)
assert (swapped - correct).abs().max() > 0.1
print(f"split - stacked: {(split - stacked).abs().max():.0e}, blocks in the wrong order: {(swapped - correct).abs().max():.1f}")

# %% [markdown]
# The wrong order raises no error, because $(H, H+D)$ and $(H, D+H)$ are the same shape. Only a comparison finds it.
#
# **The third notation** is the documentation's, and the Rice slides print it a page after the first:
#
# $$h_t=\tanh(W_{ih}x_t+b_{ih}+W_{hh}h_{t-1}+b_{hh})$$
#
# No bias in the two courses' cells, two in the library's. Does it matter? Without a bias the cell is an *odd* function:
# flip the sign of all inputs and every state flips its sign. A linear head on such states computes odd functions (plus a
# constant), so *how large is x, whatever its sign* is out of its reach; and on an all-zero input nothing ever happens.

# %%
silent = torch_rnn(torch.zeros(1, 50, D))[0]
mirrored = torch_rnn(-x)[0]
torch.testing.assert_close(mirrored, -torch_rnn(x)[0])
assert (silent == 0).all()
with seeded(1):
    biased = nn.RNN(D, H, batch_first=True)
assert (biased(-x)[0] + biased(x)[0]).abs().max() > 0.1
print("without bias: mirrored input, mirrored states; 50 zeros in, 50 zeros out")

# %% [markdown]
# ## 4. `torch.nn.RNN` taken apart
#
# | argument | meaning | what we check below |
# |---|---|---|
# | `input_size`, `hidden_size` | $D$, $H$ | $H(D+H)+2H$ numbers: 640 for $D=10$, $H=20$ |
# | `nonlinearity` | `'tanh'` or `'relu'` | both rebuilt from the `state_dict` |
# | `bias` | two vectors, or none | only their sum matters |
# | `batch_first` | (N, T, D) instead of (T, N, D) | same numbers, other order |
# | `num_layers`, `dropout` | layers on top of each other; dropout *between* them | with one layer there is no between |
# | `bidirectional` | a second cell reads from the end | twice the output width |


# %% tags=["covers:A-04"]
def rebuilt(state: dict[str, Tensor], x: Tensor, squash=torch.tanh) -> Tensor:
    """The output (N, T, H) of a one-layer `nn.RNN` for x (N, T, D), from nothing but its `state_dict`."""
    h, states = torch.zeros(len(x), len(state["weight_hh_l0"])), []
    for x_t in x.unbind(1):
        h = squash(
            x_t @ state["weight_ih_l0"].T + state["bias_ih_l0"] + h @ state["weight_hh_l0"].T + state["bias_hh_l0"]
        )
        states.append(h)
    return torch.stack(states, 1)


torch.testing.assert_close(rebuilt(biased.state_dict(), x), biased(x)[0])
with seeded(2):
    relu_rnn = nn.RNN(D, H, nonlinearity="relu", batch_first=True)
torch.testing.assert_close(rebuilt(relu_rnn.state_dict(), x, torch.relu), relu_rnn(x)[0])

count = sum(p.numel() for p in biased.parameters())
assert count == H * (D + H) + 2 * H == 640

shifted, c = nn.RNN(D, H, batch_first=True), torch.linspace(-3, 3, H)
shifted.load_state_dict(biased.state_dict())
with torch.no_grad():
    shifted.bias_ih_l0 += c
    shifted.bias_hh_l0 -= c
torch.testing.assert_close(shifted(x)[0], biased(x)[0], atol=1e-5, rtol=0)

time_first = nn.RNN(D, H)
time_first.load_state_dict(biased.state_dict())
torch.testing.assert_close(time_first(x.transpose(0, 1))[0].transpose(0, 1), biased(x)[0])
assert nn.RNN(D, H, bidirectional=True, batch_first=True)(x)[0].shape == (N, T, 2 * H)
print(f"rebuilt from its state_dict; {count} numbers, of which {H} (one of the two biases) are redundant")

# %% [markdown]
# The second bias is not wrong, only idle: 20 numbers that the other 20 could hold. (It exists because the GPU library
# underneath has two.) It does have one effect worth knowing: both biases receive the same gradient, so under plain gradient
# descent their *sum* moves twice as far per step as a single bias would.
#
# Dropout is a quieter trap. The argument is accepted with one layer, and does nothing at all.

# %%
with warnings.catch_warnings(record=True) as caught, seeded(3):
    warnings.simplefilter("always")
    one_layer = nn.RNN(D, H, dropout=0.9, batch_first=True).train()
    plain = nn.RNN(D, H, batch_first=True)
    two_layers = nn.RNN(D, H, num_layers=2, dropout=0.9, batch_first=True).train()
    plain.load_state_dict(one_layer.state_dict())
    assert torch.equal(one_layer(x)[0], plain(x)[0])  # 0.9 of dropout, bit-equal outputs
    assert not torch.equal(two_layers(x)[0], two_layers(x)[0])  # here each call drops other units
assert any("non-zero dropout expects num_layers greater than 1" in str(w.message) for w in caught)

biased(x)[0].square().sum().backward()
torch.testing.assert_close(biased.bias_ih_l0.grad, biased.bias_hh_l0.grad)
biased.zero_grad()
print("dropout=0.9 with one layer: outputs equal to the last bit (and torch warns); both biases get one gradient")

# %% [markdown]
# ## 5. Unfolding: from a loop to a graph
#
# Draw the loop once for every step and it is a feed-forward network again: as deep as the sequence is long, with the
# *same* weights in every copy (the dashed arrows carry the same $W_{hh}$).


# %%
def box(ax, x: float, y: float, text: str, colour: str = PALETTE[1]) -> None:
    """A labelled box centred on (x, y)."""
    ax.text(x, y, text, ha="center", va="center", bbox={"boxstyle": "round,pad=0.35", "fc": "white", "ec": colour, "lw": 1.6})


def arrow(ax, start: tuple[float, float], end: tuple[float, float], style: str = "-", label: str = "", bend: float = 0.0) -> None:
    """An arrow with an optional label beside its middle."""
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color="k", linestyle=style, lw=1.3, connectionstyle=f"arc3,rad={bend}"))
    if label:
        ax.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.13, label, ha="center", va="bottom", fontsize=8)


def draw_column(ax, x: float, t: str) -> None:
    """Input, state, output and loss of one step at horizontal position x."""
    for y, text, colour in ((0, f"$x_{t}$", PALETTE[3]), (1, f"$h_{t}$", PALETTE[1]), (2, f"$y_{t}$", PALETTE[2]), (3, f"$C_{t}$", PALETTE[0])):
        box(ax, x, y, text, colour)
    for y in (0, 1, 2):
        arrow(ax, (x, y + 0.2), (x, y + 0.8))


fig, ax = figure(width=8.0, height=3.6)
draw_column(ax, 0, "t")
arrow(ax, (0.19, 1.15), (0.19, 0.85), "--", bend=-2.6)
ax.text(0.72, 1.0, "$W_{hh}$", va="center", fontsize=8)
ax.text(1.55, 2.4, "unfold", ha="center")
arrow(ax, (1.15, 2.2), (1.95, 2.2))
box(ax, 2.2, 1, "$h_0$")
for t in range(1, 5):
    draw_column(ax, 2.2 + 1.25 * t, str(t))
    arrow(ax, (2.4 + 1.25 * (t - 1), 1), (2.0 + 1.25 * t, 1), "--", "$W_{hh}$")
    ax.text(2.3 + 1.25 * t, 0.5, "$W_{hx}$", fontsize=8, va="center")
    ax.text(2.3 + 1.25 * t, 1.5, "$F$", fontsize=8, va="center")
ax.set(xlim=(-0.6, 7.9), ylim=(-0.4, 3.4))
ax.axis("off")
show(fig, alt="Left: one column input, hidden state, output, loss, with a dashed loop from the hidden state to itself. Right: the "
     "same column four times side by side, the loop turned into dashed arrows from each hidden state to the next.")  # fmt: skip

# %% [markdown]
# What makes it recurrent is the dashed arrows alone. Cut them, $W_{hh}=0$, and four separate copies of an ordinary
# one-layer network remain, one per step, none of which knows of the others.

# %% tags=["covers:A-05"]
cut = nn.RNN(D, H, batch_first=True)
cut.load_state_dict(biased.state_dict())
with torch.no_grad():
    cut.weight_hh_l0.zero_()
mlp = nn.Sequential(nn.Linear(D, H), nn.Tanh())
with torch.no_grad():
    mlp[0].weight.copy_(cut.weight_ih_l0)
    mlp[0].bias.copy_(cut.bias_ih_l0 + cut.bias_hh_l0)
torch.testing.assert_close(cut(x)[0], mlp(x))
order = torch.randperm(T, generator=generator(4))
torch.testing.assert_close(cut(x[:, order])[0], cut(x)[0][:, order])  # shuffled steps: the same answers, shuffled
assert (biased(x[:, order])[0] - biased(x)[0][:, order]).abs().max() > 0.1  # a real recurrent network notices
print("W_hh = 0: an MLP applied to each step, blind to the order of the steps")

# %% [markdown]
# Two things follow from the picture. The number of weights does not depend on $T$; and no arrow points to the left, so
# the state at step $t$ cannot depend on anything that comes after it.

# %% tags=["covers:A-06"]
with seeded(5):
    cell = nn.RNN(4, 8, batch_first=True)
sizes = {}
for steps in (5, 500):
    outputs, _ = cell(torch.randn(1, steps, 4, generator=generator(6)))
    sizes[steps] = (tuple(outputs.shape), sum(p.numel() for p in cell.parameters()))
assert sizes[5][1] == sizes[500][1] == 8 * (4 + 8) + 16
print("shape of the states and number of weights:", sizes)

x8 = torch.randn(1, 12, 4, generator=generator(7))
later = x8.clone()
later[:, 6:] = 100.0  # a different future
assert torch.equal(cell(x8)[0][:, :6], cell(later)[0][:, :6])

influence = torch.zeros(12, 12)  # (state at t, input at s)
for t in range(12):
    source = x8.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(cell(source)[0][0, t].sum(), source)
    influence[t] = slopes[0].norm(dim=1)
assert (influence.triu(1) == 0).all() and (influence.tril() > 0).sum() == 12 * 13 / 2

fig, ax = figure(width=4.6, height=3.4)
assert influence[11, 0] < 1e-3 * influence[11, 11]
names = [str(t) for t in range(1, 13)]
heatmap(
    ax, influence.log10().where(influence > 0, torch.tensor(torch.nan)), label="log10 of the slope's norm", xlabel="input at step s",
    ylabel="state at step t", title="who can influence whom (white: exactly 0)", xticks=names, yticks=names,
)  # fmt: skip
show(fig, alt="Heat map of the slope of the state at step t with respect to the input at step s: exactly 0 (white) above the "
     "diagonal, strongest on it, and fading quickly with the distance below it.")  # fmt: skip

# %% [markdown]
# Everything above the diagonal is exactly 0: no future. Below it the influence *fades*: from one step back to eleven
# steps back by several powers of ten, in a network with fresh random weights. Notebook 2 explains why.
#
# ## 6. Play: what one unit can remember
#
# One unit without input: $h_t=\tanh(w\,h_{t-1}+b)$. Left: where six different starts end. Right: the map that is
# applied again and again; the state rests where the curve crosses the diagonal. Move $w$ and $b$; if nothing moves on this
# page, three settings are drawn below. Find out: how many different pasts can the unit still tell apart after 20 steps?


# %%
def rollout(w: float, b: float, start: Tensor, steps: int = 20) -> Tensor:
    """States (steps + 1, N) of N copies of one unit, from N starts."""
    states = [start]
    for _ in range(steps):
        states.append(torch.tanh(w * states[-1] + b))
    return torch.stack(states)


STARTS = torch.linspace(-1, 1, 6)


def draw_unit(w: float, b: float):
    """Trajectories of six starts, and the map with one of them as a staircase."""
    states = rollout(w, b, STARTS)
    fig, (left, right) = figure(1, 2, width=8.0, height=3.0)
    for k, path in enumerate(states.T):
        below = STARTS[k] < 0
        left.plot(path, color=PALETTE[2] if below else PALETTE[1], linestyle="--" if below else "-", marker="v" if below else "^", markersize=3, lw=1)
    left.set(xlabel="step t", ylabel="state h (no unit)", title="six starts: above 0 (^), below 0 (v, dashed)", ylim=(-1.1, 1.1), xticks=range(0, 21, 5))
    grid = torch.linspace(-1, 1, 201)
    right.plot(grid, torch.tanh(w * grid + b), color=PALETTE[1], label="tanh(w h + b)")
    right.plot(grid, grid, "k:", label="new = old")
    path = states[:, 3]
    right.plot(path.repeat_interleave(2)[:-1], path.repeat_interleave(2)[1:], color=PALETTE[2], lw=1, marker=".", label="one start")
    right.set(xlabel="old state", ylabel="new state", title=f"w = {w:g}, b = {b:g}", ylim=(-1.1, 1.1))
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


explore(
    draw_unit,
    alt="Trajectories of one tanh unit from six starts over 20 steps with recurrent weight {w} and bias {b}, and the map from old to "
    "new state with a staircase that shows one of them.",
    static=[{"w": 0.5, "b": 0.0}, {"w": 2.0, "b": 0.0}, {"w": -2.0, "b": 0.3}],
    w=Slider(-3.0, 3.0, 0.1, 2.0, label="recurrent weight w"),
    b=Slider(-1.5, 1.5, 0.1, 0.0, label="bias b"),
)

# %%
ends = {w: rollout(w, 0.0, STARTS, 200)[-2:] for w in (0.5, 2.0, -2.0)}
assert ends[0.5].abs().max() < 1e-6  # |w| < 1: every past ends in one point
assert ends[2.0].round(decimals=4).unique().numel() == 2  # w > 1: two resting points, so one bit is kept
assert torch.equal(ends[2.0][-1] > 0, STARTS > 0)  # ... and the bit is the sign of the start
assert torch.equal(ends[-2.0][0] > 0, ends[-2.0][1] < 0)  # w < -1: the two are visited in turn
assert (rollout(2.0, 1.0, STARTS, 200)[-1] > 0).all()  # a large bias removes one of the two
print("pasts told apart after 200 steps: w = 0.5: 1, w = 2: 2, w = -2: 2 (alternating), w = 2 with b = 1: 1")

# %% [markdown]
# A weight below 1 forgets; a weight above 1 holds one bit and can be tipped over only by a strong input; a bias tilts the
# scale until one of the two resting points is gone. Every memory of a vanilla cell is of this kind.
#
# ## 7. A head and a loss on every step
#
# The state becomes an answer through a head, and each step gets its own loss. Both are left open in the general scheme;
# here, as mostly, the head is linear and the loss is cross entropy.
#
# $$y_t=F(h_t)=W_{yh}h_t+b_y\qquad C_t=\text{Loss}(y_t,\,GT_t)\qquad C=\sum_{t}C_t$$
#
# Sequences of a batch differ in length and are filled up to a common $T$. Those steps do not exist, so they may not teach.
# One way is to give them the label `ignore_index`: the loss skips them.

# %% tags=["covers:A-07"]
SKIP = -100  # the default `ignore_index` of cross_entropy
N, T, D, H, C = 3, 6, 2, 5, 4
with seeded(8):
    cell, head = nn.RNN(D, H, batch_first=True), nn.Linear(H, C)
draws = generator(9)
x = torch.randn(N, T, D, generator=draws)
y = torch.randint(0, C, (N, T), generator=draws)
sizes = torch.tensor([6, 4, 1])
padded = torch.arange(T) >= sizes[:, None]  # (N, T), True where there is no step
y = y.masked_fill(padded, SKIP)


def total_loss(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, T, D), y (N, T) -> the summed loss and the logits (N, T, C)."""
    logits = head(cell(x)[0])
    return F.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=SKIP, reduction="sum"), logits


loss, logits = total_loss(x, y)
by_hand = sum(-logits[n, t].log_softmax(0)[y[n, t]] for n in range(N) for t in range(int(sizes[n])))
torch.testing.assert_close(loss, by_hand)  # C is the sum of the C_t

(slopes,) = torch.autograd.grad(loss, logits)
assert (slopes[padded] == 0).all() and (slopes[~padded] != 0).all()  # exactly 0, not nearly


def weight_gradients(x: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(total_loss(x, y)[0], [*cell.parameters(), *head.parameters()]))


junk = torch.where(padded[..., None], torch.tensor(1e3), x)  # whatever stands in the padding ...
assert all(torch.equal(a, b) for a, b in zip(weight_gradients(x), weight_gradients(junk)))  # ... moves no weight
print(f"C = {loss.item():.4f} = sum of {int(sizes.sum())} step losses; gradient from {int(padded.sum())} padded steps: exactly 0")

# %% [markdown]
# Two remarks. Padding stands at the *end*, so the junk comes after every real step, and section 5 told us that it cannot
# reach back; with padding in front the states would be spoilt before the first real input. And *sum or mean* is a decision:
# a mean over all $N\,T$ entries makes the loss of the same sentences smaller when a longer one joins the batch.
#
# ## 8. Learning the automaton
#
# Can a network *find* the two-state machine? Sixteen tanh units, a label after every bit, strings of at most 10 bits.
# The test is longer: 40, then 200. Three seeds, about 5 seconds.


# %% tags=["nbval-ignore-output"]
def parity_learner(seed: int, steps: int = 1200):
    """Train a 16-unit network on strings of 1 to 10 bits; return it as a function x -> logits (N, T, 2), its states, and the losses."""
    draws = generator(seed)
    with seeded(seed):
        cell, head = nn.RNN(1, 16, batch_first=True), nn.Linear(16, 2)

    def loss(step: int) -> Tensor:
        length = int(torch.randint(1, 11, (), generator=draws))
        x, y = parity(64, length, generator=draws)
        return F.cross_entropy(head(cell(x)[0]).flatten(0, 1), y.flatten())

    records = train([*cell.parameters(), *head.parameters()], loss, steps=steps, lr=5e-3, label=f"parity, seed {seed}")
    return (lambda x: head(cell(x)[0])), (lambda x: cell(x)[0]), [r.loss for r in records]


learners = [parity_learner(seed) for seed in range(3)]

# %% tags=["covers:A-02", "nbval-ignore-output"]
test_lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 40, 70, 100, 150, 200]
trained_curves = torch.zeros(3, len(test_lengths))
draws = generator(99)
with torch.no_grad():
    for k, length in enumerate(test_lengths):
        x, y = parity(500, length, generator=draws)
        for seed, (answer, _, _) in enumerate(learners):
            trained_curves[seed, k] = (answer(x)[:, -1].argmax(-1) == y[:, -1]).float().mean()

at_40 = trained_curves[:, test_lengths.index(40)]
# Ten seeds measured while writing: 0.998 to 1.000 at length 40. A seed may fail on another machine; two may not.
assert (at_40 > 0.99).sum() >= 2
print("accuracy on the last bit at length 40, three seeds:", [round(v, 3) for v in at_40.tolist()])

fig, (left, right) = figure(1, 2, width=8.4, height=3.1)
smooth = {f"seed {s}": torch.tensor(curve).unfold(0, 20, 1).mean(1) for s, (_, _, curve) in enumerate(learners)}
lines(left, range(20, 1201), smooth, xlabel="training step", ylabel="loss (nats per bit)", title="terraces, then a fall")
left.axhline(math.log(2), color="k", lw=0.8, ls=":")
left.text(1200, math.log(2) + 0.01, "guessing: log 2", ha="right", va="bottom", fontsize=8)
right.axvspan(1, 10, color="0.9")
right.text(1.1, 0.4, "trained\nlengths", fontsize=8, va="bottom")
right.plot(range(1, 41), window_curve, color=PALETTE[2], ls="--", label="window of 6 bits")
right.plot(test_lengths, trained_curves.median(0).values, color=PALETTE[1], marker="o", markersize=4, label="trained network (median)")
right.set(xscale="log", xlabel="length of the string (bits, log scale)", ylabel="accuracy (share right)", ylim=(0.38, 1.04), title="beyond the training lengths")
right.set_xticks([1, 6, 10, 40, 200], ["1", "6", "10", "40", "200"])
right.legend(loc="center right")
show(fig, alt="Left: training losses of three seeds sink from log 2 to about 0.4, linger there for some hundred steps, then drop to nearly 0. Right: accuracy over "
     "string length; the window network drops from 1 to 0.5 at length 7, the trained recurrent network stays at 1 up to 200.")  # fmt: skip

# %% [markdown]
# Twenty times the training length and still right. Has it learned the automaton? Look at its 16-dimensional states
# along random strings of 40 bits, projected on the two directions in which they vary most.

# %% tags=["nbval-ignore-output"]
best = int(at_40.argmax())
with torch.no_grad():
    x, y = parity(60, 40, generator=generator(5))
    states = learners[best][1](x)[:, 1:].flatten(0, 1)  # without the first state, which still lies near the start
group = (2 * y[:, 1:] + x[:, 1:, 0].long()).flatten()  # 0..3: parity so far, and the bit just read
centres = torch.stack([states[group == k].mean(0) for k in range(4)])
nearest = torch.cdist(states, centres).argmin(1)
plane = (states - states.mean(0)) @ torch.linalg.svd(states - states.mean(0), full_matrices=False).Vh[:2].T

fig, ax = figure(width=5.6, height=3.3)
for k, (name, marker) in enumerate((("odd, just read 0", "^"), ("odd, just read 1", "v"), ("even, just read 0", "o"), ("even, just read 1", "s"))):
    ax.scatter(*plane[group == k].T, s=16, marker=marker, color=PALETTE[2 - k // 2], alpha=0.5, label=name)
ax.set(xlabel="first principal direction (no unit)", ylabel="second", title="states of the trained network")
fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
show(fig, alt="Scatter plot of hidden states in two principal directions: four separate groups, one for each pair of parity so far (triangles "
     "for odd, circles and squares for even) and last bit read.")  # fmt: skip
print(f"states nearest to the centre of their own group: {(nearest == group).float().mean():.3f}")

# %% [markdown]
# Four small groups: the parity *and* the bit just read. A finite-state machine written into a continuous space, with
# twice the states that it needs, because a single layer of units cannot compute the exclusive or without such a detour:
# ours made one too, and had three. Nobody asked for this one.
#
# The loss tells the same story. It first falls on the short strings, lingers on terraces, and drops once the
# machine exists: from there on length no longer matters.
#
# ## 9. Four input-output scenarios
#
# The cell does not care how many of its steps have an input and how many have an output. Read (inputs, outputs):
#
# | | one output | many outputs |
# |---|---|---|
# | **one input** | classify a picture (1, 1) | caption a picture (1, T) |
# | **many inputs** | judge a review (T, 1) | label every frame of a sound (T, T) |


# %% tags=["covers:A-13"]
class Cell(NamedTuple):
    """The weights of a vanilla cell with a linear head."""

    w_hx: Tensor  # (H, D)
    w_hh: Tensor  # (H, H)
    b: Tensor  # (H,)
    w_yh: Tensor  # (C, H)


def fresh_cell(D: int, H: int, C: int, seed: int) -> Cell:
    draws = generator(seed)
    shapes = ((H, D), (H, H), (H,), (C, H))
    return Cell(*(0.5 * torch.randn(shape, generator=draws) for shape in shapes))


MODES = {"one to one": (False, False), "one to many": (False, True), "many to one": (True, False), "many to many": (True, True)}


def run(cell: Cell, x: Tensor, mode: str, steps: int = 1) -> Tensor:
    """x (N, T_in, D) -> outputs (N, T_out, C).

    With many inputs there is a step per input; with one input the cell runs for `steps` steps and sees it at the first.
    With many outputs every step answers, with one output only the last.
    """
    many_in, many_out = MODES[mode]
    if not many_in and x.shape[1] != 1:
        raise ValueError(f"mode {mode!r}: got {x.shape[1]} input steps, expected 1. Pass x of shape (N, 1, D).")
    h, nothing, outputs = torch.zeros(len(x), len(cell.w_hh)), torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1] if many_in else steps):
        x_t = x[:, t] if t < x.shape[1] else nothing
        h = torch.tanh(x_t @ cell.w_hx.T + h @ cell.w_hh.T + cell.b)
        outputs.append(h @ cell.w_yh.T)
    return torch.stack(outputs if many_out else outputs[-1:], 1)


T = 7
toy = fresh_cell(D=3, H=6, C=2, seed=10)
scenarios = {}
for mode, (many_in, many_out) in MODES.items():
    x = torch.randn(4, T if many_in else 1, 3, generator=generator(11))
    scenarios[mode] = (x.shape[1], run(toy, x, mode, steps=T if many_out else 1).shape[1])
print(scenarios)
assert list(scenarios.values()) == [(1, 1), (1, T), (T, 1), (T, T)]
x = torch.randn(4, T, 3, generator=generator(12))
assert torch.equal(run(toy, x, "many to one")[:, 0], run(toy, x, "many to many")[:, -1])

# %% [markdown]
# Scenarios can be composed and reframed. Many-to-one followed by one-to-many is the encoder-decoder of notebook 6. And a
# captioner becomes easier to train as (T, T) when each step is given the previous word: that is a choice of the designer,
# not a property of the task.
#
# ## 10. Three blocks make a project
#
# Every project of this course is a choice of **inputs and outputs**, an **architecture** and a **loss** (the frame is
# Spanakis & Driessens'). Decide for these eight tasks, then run the cell: which scenario, and which loss: *cross entropy*
# (choose one of several), *Gaussian likelihood* (predict a number), or *adversarial* (tell real from made)?
#
# a) is this review positive? b) caption a picture. c) next letter of a text. d) which digit is this? e) tomorrow's
# temperature from this week's. f) the speech sound of each 10 ms of a recording. g) pen movements for a given letter.
# h) was this melody composed or generated?


# %% tags=["covers:B-01"]
class Recipe(NamedTuple):
    """Inputs/outputs, architecture and loss of a project."""

    inputs: str
    outputs: str
    scenario: str
    loss: str


RECIPES = {
    "a": Recipe("words", "2 classes", "many to one", "cross entropy"),
    "b": Recipe("picture features", "words", "one to many", "cross entropy"),
    "c": Recipe("letters", "letters", "many to many", "cross entropy"),
    "d": Recipe("picture features", "10 classes", "one to one", "cross entropy"),
    "e": Recipe("temperatures", "a number", "many to one", "Gaussian likelihood"),
    "f": Recipe("sound frames", "classes", "many to many", "cross entropy"),
    "g": Recipe("a letter", "pen offsets", "one to many", "Gaussian likelihood"),
    "h": Recipe("notes", "real or made", "many to one", "adversarial"),
}
LOSSES = {
    "cross entropy": lambda y, draws: F.cross_entropy(y.flatten(0, 1), torch.randint(0, y.shape[-1], y.shape[:2], generator=draws).flatten()),
    "Gaussian likelihood": lambda y, draws: F.gaussian_nll_loss(y, torch.randn(y.shape, generator=draws), torch.ones_like(y)),
    "adversarial": lambda y, draws: F.softplus(-y).mean(),  # -log P(real) on real examples, from a logit
}
for letter, recipe in RECIPES.items():
    many_in, many_out = MODES[recipe.scenario]
    cell = Cell(*(w.requires_grad_() for w in fresh_cell(3, 6, 5, seed=20)))
    y = run(cell, torch.randn(4, T if many_in else 1, 3, generator=generator(21)), recipe.scenario, steps=T if many_out else 1)
    loss = LOSSES[recipe.loss](y, generator(22))
    grads = dict(zip(Cell._fields, torch.autograd.grad(loss, cell)))
    idle = [name for name, grad in grads.items() if (grad == 0).all()]
    assert loss.isfinite() and idle == (["w_hh"] if recipe.scenario == "one to one" else [])
    print(f"{letter}) {recipe.inputs:16s} -> {recipe.outputs:13s} {recipe.scenario:13s} {recipe.loss}")

# %% [markdown]
# All eight run on *one* cell; only the wiring and the loss change. The assertion contains a small surprise: in (1, 1) the
# recurrent weights get no gradient at all, because they are multiplied by $h_0=0$. A recurrent network without time
# is not recurrent.
#
# ## 11. Zooming in: the non-linearity
#
# The menu of non-linearities on the Maastricht slides reads ReLU, sigmoid, tanh, GRU, LSTM, and an open *Linear...?*. GRU
# and LSTM are whole cells (notebook 3). Of the functions one number will matter most: $\gamma$, the largest slope. It says
# how much of a gradient survives one step at best.

# %% tags=["covers:B-02"]
FUNCTIONS = {"tanh": (torch.tanh, 1.0), "sigmoid": (torch.sigmoid, 0.25), "ReLU": (torch.relu, 1.0)}
grid = torch.linspace(-5, 5, 2001, dtype=torch.float64)
slopes = {}
for name, (function, gamma) in FUNCTIONS.items():
    z = grid.clone().requires_grad_()
    (slopes[name],) = torch.autograd.grad(function(z).sum(), z)
    assert abs(slopes[name].max().item() - gamma) < 1e-12  # the bound is reached ...
    p, q = 3 * torch.randn(2, 10_000, generator=generator(30), dtype=torch.float64)
    assert ((function(p) - function(q)).abs() <= gamma * (p - q).abs() + 1e-15).all()  # ... and never passed
print({name: slope.max().item() for name, slope in slopes.items()})

fig, (left, right) = figure(1, 2, width=8.2, height=2.9)
lines(left, grid, {name: f(grid) for name, (f, _) in FUNCTIONS.items()}, xlabel="z", ylabel="f(z)", title="the function")
left.set_ylim(-1.2, 2.2)
lines(right, grid, slopes, xlabel="z", ylabel="slope f'(z)", title="its slope")
right.axhline(0.25, color="k", lw=0.8, ls=":")
right.text(-4.9, 0.27, "1/4", fontsize=9)
show(fig, alt="Left: tanh, sigmoid and ReLU between -5 and 5. Right: their slopes; tanh peaks at 1 and sigmoid at 1/4, both at zero, "
     "ReLU jumps from 0 to 1.")  # fmt: skip

# %% [markdown]
# And the open slot, *Linear...?* With the identity in place of tanh the recurrence can be written out in one line: the
# state is a fixed mixture of the inputs, $h_t=\sum_k W_{hh}^{\,k}W_{hx}\,x_{t-k}$. However deep it looks, it stays linear, and
# no threshold on a linear function of two bits computes their parity: the best fit has no correlation with it whatever.

# %%
linear = fresh_cell(D=3, H=6, C=2, seed=31)
x = torch.randn(1, 9, 3, generator=generator(32))
h = torch.zeros(1, 6)
for x_t in x.unbind(1):
    h = x_t @ linear.w_hx.T + h @ linear.w_hh.T
mixture = sum(torch.linalg.matrix_power(linear.w_hh, k) @ linear.w_hx @ x[0, -1 - k] for k in range(9))
torch.testing.assert_close(h[0], mixture, atol=1e-4, rtol=1e-4)

two_bits = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
even = torch.tensor([1.0, -1.0, -1.0, 1.0])
design = torch.cat([two_bits, torch.ones(4, 1)], 1)
best_fit = design @ torch.linalg.lstsq(design, even[:, None]).solution
assert best_fit.abs().max() < 1e-6  # the best linear fit to parity of two bits is the constant 0: it knows nothing
print("identity instead of tanh: one fixed mixture of the inputs; best linear fit to two-bit parity: 0 everywhere")

# %% [markdown]
# ## 12. Zooming in: connectivity
#
# The second menu: fully connected, convolution, recurrent, recursive, skip or residual, *random...?* All of them map
# inputs to outputs by a matrix; they differ in which entries may be non-zero and which must be *equal*. Eight inputs,
# linear maps, so that each can be drawn as one matrix and checked against its usual code.

# %% tags=["covers:B-03"]
n, draws = 8, generator(40)
u, v, kernel = 0.8, 0.6, torch.tensor([-0.7, 0.4, 0.9])
eye = torch.eye(n)

dense = torch.randn(n, n, generator=draws)
band = sum(torch.diag(kernel[k].expand(n - abs(k - 1)), k - 1) for k in range(3))
step_gap = torch.arange(n)[:, None] - torch.arange(n)
recurrent = torch.where(step_gap >= 0, v * u ** step_gap.clamp_min(0), torch.tensor(0.0))  # h_t = u h_{t-1} + v x_t
level1 = torch.stack([u * eye[2 * k] + v * eye[2 * k + 1] for k in range(4)])  # node = u * left + v * right
level2 = torch.stack([u * level1[2 * k] + v * level1[2 * k + 1] for k in range(2)])
tree = torch.cat([level1, level2, u * level2[:1] + v * level2[1:]])  # (7, 8)
chosen = torch.zeros(n * n).scatter(0, torch.randperm(n * n, generator=draws)[:16], 1.0).view(n, n)
menu = {
    "fully connected": (dense, n * n),
    "convolution": (band, 3),
    "recurrent": (recurrent, 2),
    "recursive": (tree, 2),
    "residual": (eye + band, 3),
    "random": (chosen * dense, 16),
}

x = torch.randn(n, generator=draws)
torch.testing.assert_close(band @ x, F.conv1d(x[None, None], kernel[None, None], padding=1)[0, 0])
h, states = torch.tensor(0.0), []
for x_t in x:
    h = u * h + v * x_t
    states.append(h)
torch.testing.assert_close(recurrent @ x, torch.stack(states))


def compose(leaves: Tensor) -> Tensor:
    """A recursive network: a node is made from its two halves, by the same two weights everywhere."""
    return leaves[0] if len(leaves) == 1 else u * compose(leaves[: len(leaves) // 2]) + v * compose(leaves[len(leaves) // 2 :])


torch.testing.assert_close((tree @ x)[-1], compose(x))
torch.testing.assert_close((eye + band) @ x, x + band @ x)
assert (chosen != 0).sum() == 16 and [free for _, free in menu.values()] == [64, 3, 2, 2, 3, 16]

fig, axes = figure(2, 3, width=8.6, height=5.4)
for ax, (name, (matrix, free)) in zip(axes.flat, menu.items()):
    heatmap(ax, matrix, label="weight", center=0.0, xlabel="input", ylabel="output", title=f"{name}\n{free} free numbers")
show(fig, alt="Six matrices from eight inputs to the outputs: fully connected is dense with 64 free numbers; convolution is a band with 3; "
     "recurrent is a lower triangle that fades from the diagonal with 2; recursive is a staircase of growing blocks with 2; residual "
     "is a band with a strong diagonal with 3; random has 16 scattered entries.")  # fmt: skip

# %% [markdown]
# Recurrent connectivity reaches all the past with *two* numbers, and pays with the fading that you see in each row. A
# convolution reaches three neighbours; a tree reaches everything in three levels instead of eight steps. The last entry,
# random, is not a joke: *reservoir* networks fix a sparse random $W_{hh}$ and train only the head (Jaeger 2001).
#
# ## What to remember
#
# 1. A state of fixed size replaces a window of any size; parity needs two units and no window suffices.
# 2. Split, stacked and torch's notation are one cell; they differ in the biases (none, none, two of which one is idle).
# 3. Unfolding gives a feed-forward net with shared weights: the weight count does not depend on $T$, and no future leaks.
# 4. The loss is the sum over the steps that exist; padding must add exactly 0 to the gradient.
# 5. Scenario, architecture and loss are three separate choices; the cell is the same in all of them.
#
# ## Quiz
#
# **1.** Answer YES if the number of ones is even: `1000010101`, `100011`, and the empty string?
# <details><summary>Answer</summary>YES (four ones), NO (three), YES (zero is even; it is also what the hand-set network starts from).</details><br>
#
# **2.** A window network reaches 0.5 on long strings. Would a window of 1,000 bits be a solution?
# <details><summary>Answer</summary>No: it moves the cliff from length 7 to length 1,001, needs that many inputs and has never seen most of
# their combinations. The twin argument holds for every window.</details><br>
#
# **3.** You train `nn.RNN(64, 128, dropout=0.5)` and it overfits exactly as before. Why?
# <details><summary>Answer</summary>Dropout acts on the outputs of every layer but the last. With one layer there is none. Torch says so in a
# warning when the module is made.</details><br>
#
# **4.** Think big: what could a skip connection across *layers* do, and what one across *time*?
# <details><summary>Answer</summary>Across layers it adds a layer's input to its output, as in residual networks, so that a deep stack can begin as
# the identity. Across time it adds a link from step t - k to step t: a path from the distant past that is k times
# shorter, so the influence fades more slowly. Notebook 4 measures both.</details><br>
#
# **5.** The menus of sections 11 and 12 have open slots. Name a useful *linear* recurrent unit and a useful *random* connectivity.
# <details><summary>Answer</summary>A linear unit with weight 1 adds up its inputs and forgets nothing: it is the heart of the LSTM (notebook 3). Random
# sparse recurrent weights with a trained head are an echo-state network; dropout is random connectivity that changes at every step.</details><br>
#
# **6.** "Demo?" Set the explorer of section 6 to $w=2$, $b=0$ and raise $b$. At which $b$ does the unit lose its memory?
# <details><summary>Answer</summary>At about 0.53, where the curve leaves the diagonal on the lower side and one of the two resting points
# disappears: every start then ends at the upper one.</details>
#
# ## Exercises
#
# In the assignment of this unit: `relu_cell`, `unroll`, `masked_loss` and `parity_learner` are the siblings of sections 3,
# 5, 7 and 8. **Next:** notebook 2, how the gradient travels through the unfolded graph, and why it gets lost.
#
# ## References
#
# - Elman, *Finding structure in time*, Cognitive Science 14, 1990.
# - Bengio, Simard, Frasconi, *Learning long-term dependencies with gradient descent is difficult*, IEEE Trans. Neural Networks 5, 1994.
# - Jaeger, *The echo state approach to analysing and training recurrent neural networks*, GMD report 148, 2001.
# - Goodfellow, Bengio, Courville, *Deep Learning*, MIT Press 2016, chapters 6 and 10.
# - Rice University, *Deep Learning for Vision & Language*; Spanakis & Driessens (Maastricht), *Deep learning for agents, Part 2*: lecture slides.
