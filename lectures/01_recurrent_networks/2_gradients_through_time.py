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
# # 1.2 Gradients through time
#
# An unfolded network is a deep network whose layers share their weights. So back-propagation works as it stands, and so
# does everything that can go wrong in a deep network, fifty times over.
#
# After this notebook you can
#
# - derive the gradient of a recurrent cell by hand and check it in three independent ways;
# - say what sums up where, and what a truncated or averaged gradient leaves out;
# - use the bound $(\gamma\lambda_1)^T$ correctly: what it proves, what it does not, and for which matrix;
# - clip a gradient, and say which of the two kinds changes its direction.
#
# **Reading time** 40 minutes. **Running time** about 12 seconds on two cores.
#
# | symbol | meaning |
# |---|---|
# | $C=\sum_t C_t$ | the loss and its parts, one for each step |
# | $\eta$ | learning rate |
# | $z_t=W_{hx}x_t+W_{hh}h_{t-1}+b$ | what goes into the non-linearity |
# | $\delta_t=\partial C/\partial z_t$ | the gradient there |
# | $J=\partial h_T/\partial h_0$ | how the last state depends on the first, $(H,H)$ |
# | $\gamma$ | largest slope of the non-linearity: 1 for tanh, 1/4 for the sigmoid |
# | $\lambda_1,\ \rho$ | largest *singular value* of a matrix; largest *absolute eigenvalue* (spectral radius) |
#
# The other symbols are those of notebook 1.1.
#
# **Recipe card**
#
# | Inputs / outputs | Architecture | Loss |
# |---|---|---|
# | a sequence / a number after each step, or at the end | one vanilla cell, linear head | squared error |

# %%
import math

import numpy as np
import torch
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from torch import Tensor, nn

from coursekit.errors import TrainingError
from coursekit.plots import PALETTE, figure, heatmap, lines, show, use_style
from coursekit.runtime import generator, seeded
from coursekit.training.loop import train
from coursekit.widgets import Choice, Slider, explore

use_style()
torch.set_num_threads(1)  # these matrices are tiny: two threads would mostly wait for each other


def normal(*shape: int, seed: int) -> Tensor:
    """Standard normal numbers in double precision, so that rounding does not hide or fake a difference."""
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


# %% [markdown]
# ## 1. Remember back-propagation? One layer
#
# $$y=f(x;W)\qquad C=\text{Loss}(y,y_{GT})\qquad
# \frac{\partial C}{\partial W}=\Big(\frac{\partial C}{\partial y}\Big)\Big(\frac{\partial y}{\partial W}\Big)\qquad
# W\leftarrow W-\eta\,\frac{\partial C}{\partial W}$$
#
# Take $y=\tanh(Wx)$ and $C=\tfrac12\lVert y-y_{GT}\rVert^2$. The second factor looks harmless, but it is a block of
# $H\cdot H\cdot D$ numbers: every output by every weight. Nearly all are 0, as output $i$ uses only row $i$ of $W$; what is
# left is an outer product, $\partial C/\partial W=\delta\,x^\top$ with $\delta=(y-y_{GT})\otimes(1-y^2)$. Below: the
# formula taken literally, the outer product, autograd, and a measurement that knows no calculus.


# %% tags=["covers:A-14"]
def measured_gradient(cost, w: Tensor, step: float = 1e-5) -> Tensor:
    """Central differences: nudge each entry of w up and down. Error of order step squared."""
    grad = torch.zeros_like(w)
    for i in range(w.numel()):
        nudge = torch.zeros_like(w).view(-1)
        nudge[i] = step
        nudge = nudge.view_as(w)
        grad.view(-1)[i] = (cost(w + nudge) - cost(w - nudge)) / (2 * step)
    return grad


H, D = 4, 3
x, target, W = normal(D, seed=1), normal(H, seed=2), normal(H, D, seed=3)


def one_layer_cost(W: Tensor) -> Tensor:
    return 0.5 * (torch.tanh(W @ x) - target).square().sum()


y = torch.tanh(W @ x)
delta = (y - target) * (1 - y**2)
by_hand = torch.outer(delta, x)

block = torch.autograd.functional.jacobian(lambda W: torch.tanh(W @ x), W)  # (H, H, D): dy/dW, taken literally
literal = torch.einsum("i,ijk->jk", y - target, block)
weight = W.clone().requires_grad_()
(auto,) = torch.autograd.grad(one_layer_cost(weight), weight)

for other in (literal, auto, measured_gradient(one_layer_cost, W)):
    assert (by_hand - other).abs().max() < 1e-6
assert one_layer_cost(W - 0.1 * by_hand) < one_layer_cost(W)  # and a step against it pays
print(f"dy/dW holds {block.numel()} numbers, {int((block == 0).sum())} of them 0; the outer product needs {H} + {D}")

# %% [markdown]
# ## 2. Two layers
#
# $$y_1=f_1(x;W_1)\qquad y_2=f_2(y_1;W_2)\qquad
# \frac{\partial C}{\partial W_1}=\Big(\frac{\partial C}{\partial y_2}\Big)\Big(\frac{\partial y_2}{\partial y_1}\Big)\Big(\frac{\partial y_1}{\partial W_1}\Big)$$
#
# The new factor $\partial y_2/\partial y_1$ is the one to watch: for every layer that the gradient passes, one more such
# matrix is multiplied in. Work from the right end of the picture to the left and each result is used by the next.


# %%
def box(ax, x: float, y: float, text: str, colour: str = PALETTE[1]) -> None:
    """A labelled box centred on (x, y)."""
    ax.text(x, y, text, ha="center", va="center", bbox={"boxstyle": "round,pad=0.35", "fc": "white", "ec": colour, "lw": 1.6})


def arrow(ax, start: tuple[float, float], end: tuple[float, float], style: str = "-", colour: str = "k", bend: float = 0.0) -> None:
    """An arrow from start to end; `bend` curves it."""
    ax.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=colour, linestyle=style, lw=1.3, connectionstyle=f"arc3,rad={bend}")
    )


fig, ax = figure(width=7.4, height=2.0)
for k, text in enumerate(("$x$", "$y_1$", "$y_2$", "$C$")):
    box(ax, 2 * k, 0, text, PALETTE[0] if text == "$C$" else PALETTE[1])
for k, (forward, back) in enumerate((("$W_1$", ""), ("$W_2$", r"$\times\ \partial y_2/\partial y_1$"), ("Loss", r"$\partial C/\partial y_2$"))):
    arrow(ax, (2 * k + 0.25, 0.12), (2 * k + 1.75, 0.12))
    ax.text(2 * k + 1, 0.22, forward, ha="center", fontsize=9)
    if back:
        arrow(ax, (2 * k + 1.75, -0.12), (2 * k + 0.25, -0.12), "--", PALETTE[2])
        ax.text(2 * k + 1, -0.42, back, ha="center", fontsize=9, color=PALETTE[2])
for k, name in ((2, "1"), (4, "2")):
    arrow(ax, (k, -0.3), (k, -0.8), "--", PALETTE[2])
    ax.text(k, -1.05, rf"$\times\ \partial y_{name}/\partial W_{name}\ =\ \partial C/\partial W_{name}$", ha="center", fontsize=9, color=PALETTE[2])
ax.set(xlim=(-0.5, 6.5), ylim=(-1.2, 0.5))
ax.axis("off")
show(fig, alt="Boxes x, y1, y2, C in a row. Solid arrows run forward through W1, W2 and the loss. Dashed arrows run back from C to y2 and from "
     "y2 to y1, each with its factor, and turn down to the gradients of W2 and W1.")  # fmt: skip

# %% tags=["covers:A-15"]
C_out = 2
W1, W2, target = normal(H, D, seed=4), normal(C_out, H, seed=5), normal(C_out, seed=6)


def two_layer_cost(W1: Tensor, W2: Tensor) -> Tensor:
    return 0.5 * (W2 @ torch.tanh(W1 @ x) - target).square().sum()


y1 = torch.tanh(W1 @ x)
from_loss = W2 @ y1 - target  # dC/dy2, computed once and used twice
grad_W2 = torch.outer(from_loss, y1)
from_layer2 = W2.T @ from_loss  # dC/dy1: the transposed matrix carries the gradient back
grad_W1 = torch.outer(from_layer2 * (1 - y1**2), x)

leaves = [W1.clone().requires_grad_(), W2.clone().requires_grad_()]
auto1, auto2 = torch.autograd.grad(two_layer_cost(*leaves), leaves)
for mine, auto, measured in (
    (grad_W1, auto1, measured_gradient(lambda w: two_layer_cost(w, W2), W1)),
    (grad_W2, auto2, measured_gradient(lambda w: two_layer_cost(W1, w), W2)),
):
    assert (mine - auto).abs().max() < 1e-12 and (mine - measured).abs().max() < 1e-6
print("both gradients: by hand = autograd = finite differences")

# %% [markdown]
# ## 3. Any graph: an autograd engine in forty lines
#
# Layers in a row are a special case. In general a computation is a graph: every number knows its parents and the slope
# with respect to each. One rule is enough to go back through it: *add to each parent's gradient your own gradient times the
# slope*, last results first. (The idea of teaching it on scalars is Karpathy's `micrograd`.)


# %% tags=["covers:A-16"]
class Value:
    """A number that remembers how it was made, so that gradients can find their way back."""

    def __init__(self, data, parents=(), slopes=()):
        self.data, self.grad = float(data), 0.0
        self.parents, self.slopes = parents, slopes  # slopes[i] = d self / d parents[i]

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    __radd__, __rmul__ = __add__, __mul__

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, (self,), (1 - y * y,))

    def in_order(self, seen):
        """This value and all that it was made from, ancestors first, each once."""
        if id(self) in seen:
            return []
        seen.add(id(self))
        return [v for parent in self.parents for v in parent.in_order(seen)] + [self]

    def backward(self, accumulate=True):
        self.grad = 1.0
        for value in reversed(self.in_order(set())):
            for parent, slope in zip(value.parents, value.slopes):
                parent.grad = (parent.grad if accumulate else 0.0) + value.grad * slope


x3 = Value(3.0)
product = x3 * x3
y3 = product + x3
y3.backward()
assert (y3.data, x3.grad) == (12.0, 7.0)  # dy/dx = 2x + 1: all three uses of x count

wrong = Value(3.0)
(wrong * wrong + wrong).backward(accumulate=False)
assert wrong.grad != 7.0
print(f"y = x x + x at 3: gradient {x3.grad:g}; if a later use overwrites an earlier one: {wrong.grad:g}")

# %%
fig, ax = figure(width=6.6, height=2.3)
nodes = {"x": (0, 0, x3), "x x": (2.6, 0.55, product), "y = x x + x": (5.4, 0, y3)}
for name, (px, py, value) in nodes.items():
    box(ax, px, py, f"{name}\nvalue {value.data:g}\ngradient {value.grad:g}")
for start, end, bend in (((0.62, 0.3), (1.85, 0.68), -0.2), ((0.62, 0.12), (1.85, 0.45), 0.15), ((3.3, 0.5), (4.6, 0.15), 0.0), ((0.62, -0.2), (4.6, -0.2), 0.12)):
    arrow(ax, start, end, bend=bend)
for px, py, text in ((1.1, 0.84, "slope 3"), (1.45, 0.1, "slope 3"), (4.05, 0.48, "slope 1"), (2.6, -0.7, "slope 1")):
    ax.text(px, py, text, ha="center", fontsize=8)
ax.set(xlim=(-0.8, 6.4), ylim=(-0.85, 1.1))
ax.axis("off")
show(fig, alt="Graph of y = x x + x: two arrows from x to the product with slope 3 each, one arrow from x to the sum and one from the product "
     "to the sum with slope 1 each; x has the gradient 3 + 3 + 1 = 7.")  # fmt: skip

# %% [markdown]
# A node that is used more than once collects a gradient from *every* use: $3+3+1=7$. That is question 4 of notebook 1.1,
# and it is the whole secret of this notebook, because a recurrent weight is a node that is used $T$ times.


# %%
def unit_after(w, steps: int, inputs=(0.5, -0.3, 0.8)):
    """h_T of one unit h = tanh(w h + x); `w` is one weight, or a list with an own copy for each step."""
    h = 0.1
    for t in range(steps):
        z = (w[t] if isinstance(w, list) else w) * h + inputs[t]
        h = z.tanh()
    return h


shared, copies = Value(1.3), [Value(1.3) for _ in range(3)]
unit_after(shared, 3).backward()
unit_after(copies, 3).backward()
leaf = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
unit_after(leaf, 3).backward()
print(f"shared weight: {shared.grad:.6f}; three separate copies: {' + '.join(f'{c.grad:.6f}' for c in copies)}")
assert math.isclose(shared.grad, sum(c.grad for c in copies)) and math.isclose(shared.grad, leaf.grad.item())

# %% [markdown]
# ## 4. Back-propagation through time, by hand
#
# Now with vectors: $h_t=\tanh(z_t)$, $y_t=W_{yh}h_t$, $C_t=\tfrac12\lVert y_t-GT_t\rVert^2$. The state $h_t$ is used twice: by
# its own head, and by the next state. So two gradients meet in it, and are added:
#
# $$\frac{\partial C}{\partial h_t}=W_{yh}^\top(y_t-GT_t)+W_{hh}^\top\,\delta_{t+1}\qquad
# \delta_t=(1-h_t^2)\otimes\frac{\partial C}{\partial h_t}\qquad
# \frac{\partial C}{\partial W_{hh}}=\sum_t \delta_t\,h_{t-1}^\top$$
#
# In NumPy, so that nothing is done behind our back:


# %% tags=["covers:A-17"]
def bptt(x, target, W_hx, W_hh, b, W_yh):
    """x (T, D), target (T, C) -> gradients of W_hx (H, D), b (H,), W_yh (C, H), and of each *copy* of W_hh (T, H, H)."""
    T, H = len(x), len(W_hh)
    h = np.zeros((T + 1, H))  # h[0] is the start, h[t + 1] the state after input t
    for t in range(T):
        h[t + 1] = np.tanh(W_hx @ x[t] + W_hh @ h[t] + b)
    g_hx, g_b, g_yh, g_copies = np.zeros_like(W_hx), np.zeros_like(b), np.zeros_like(W_yh), np.zeros((T, H, H))
    from_future = np.zeros(H)
    for t in reversed(range(T)):
        error = W_yh @ h[t + 1] - target[t]
        delta = (1 - h[t + 1] ** 2) * (W_yh.T @ error + from_future)
        g_yh += np.outer(error, h[t + 1])
        g_hx += np.outer(delta, x[t])
        g_b += delta
        g_copies[t] = np.outer(delta, h[t])
        from_future = W_hh.T @ delta
    return g_hx, g_b, g_yh, g_copies


T, D, H, C_out = 20, 3, 5, 2
x, target = normal(T, D, seed=10), normal(T, C_out, seed=11)
start = {"W_hx": normal(H, D, seed=12), "W_hh": 0.5 * normal(H, H, seed=13), "b": normal(H, seed=14), "W_yh": normal(C_out, H, seed=15)}


def step_losses(W_hx, W_hh, b, W_yh, x=x, target=target) -> tuple[list[Tensor], list[Tensor]]:
    """The losses C_t and the states h_t; W_hh may be a list with one copy for each step."""
    h, losses, states = torch.zeros(H, dtype=torch.float64), [], []
    for t in range(len(x)):
        h = torch.tanh(W_hx @ x[t] + (W_hh[t] if isinstance(W_hh, list) else W_hh) @ h + b)
        states.append(h)
        losses.append(0.5 * (W_yh @ h - target[t]).square().sum())
    return losses, states


g_hx, g_b, g_yh, g_copies = bptt(x.numpy(), target.numpy(), *(w.numpy() for w in start.values()))
leaves = {name: w.clone().requires_grad_() for name, w in start.items()}
losses, states = step_losses(**leaves)
auto = dict(zip(leaves, torch.autograd.grad(sum(losses), leaves.values(), retain_graph=True)))
for name, mine in (("W_hx", g_hx), ("W_hh", g_copies.sum(0)), ("b", g_b), ("W_yh", g_yh)):
    assert np.abs(mine - auto[name].numpy()).max() < 1e-10, name
print("four gradients: BPTT by hand = autograd to 1e-10")

# %% [markdown]
# Lectures often show the chain for *one* loss and *one* early state:
#
# $$\frac{\partial C_t}{\partial h_1}=\Big(\frac{\partial C_t}{\partial y_t}\Big)\Big(\frac{\partial y_t}{\partial h_t}\Big)
# \Big(\frac{\partial h_t}{\partial h_{t-1}}\Big)\cdots\Big(\frac{\partial h_2}{\partial h_1}\Big)
# \qquad\text{with}\qquad \frac{\partial h_t}{\partial h_{t-1}}=\text{diag}(1-h_t^2)\,W_{hh}$$
#
# It is right, and it is one cell of the picture below. What training uses is the sum over the whole column.

# %% tags=["covers:A-17"]
reach = torch.zeros(T, T)  # (loss at t, state at s)
for t in range(T):
    for s, grad in enumerate(torch.autograd.grad(losses[t], states[: t + 1], retain_graph=True)):
        reach[t, s] = grad.norm()

chain = leaves["W_yh"] @ states[-1] - target[-1]  # dC_T/dy_T, then factor by factor to the left
chain = chain @ leaves["W_yh"]
for t in reversed(range(1, T)):
    chain = chain @ ((1 - states[t] ** 2)[:, None] * leaves["W_hh"])
one_path, total = (torch.autograd.grad(c, states[0], retain_graph=True)[0] for c in (losses[-1], sum(losses)))
torch.testing.assert_close(chain.detach(), one_path)
all_paths = sum(torch.autograd.grad(c, states[0], retain_graph=True)[0] for c in losses)
torch.testing.assert_close(all_paths, total)
print(f"gradient at h_1 from the last loss alone: {one_path.norm():.1e}; from all losses: {total.norm():.1e}")

names = [str(t) if t % 5 == 0 else "" for t in range(1, T + 1)]
fig, ax = figure(width=5.0, height=3.6)
heatmap(ax, reach.log10().where(reach > 0, torch.tensor(torch.nan)), label="log10 of the gradient's norm", xlabel="state h_s", ylabel="loss C_t",
        title="which loss teaches which state", xticks=names, yticks=names)  # fmt: skip
show(fig, alt="Heat map of the gradient of the loss at step t with respect to the state at step s: largest on the diagonal, fading to the "
     "left, white (exactly zero) above the diagonal.")  # fmt: skip

# %% [markdown]
# Read a row from right to left: a loss teaches the latest states well and the early ones hardly at all. Sections 6 and 7
# are about that slope.
#
# ### Sum or average?
#
# "The updates of the copies are summed (or averaged)", say the slides. Are the two the same? Give every step an own copy of
# $W_{hh}$ and look.

# %% tags=["covers:A-17"]
copies = [start["W_hh"].clone().requires_grad_() for _ in range(T)]
per_copy = torch.stack(torch.autograd.grad(sum(step_losses(start["W_hx"], copies, start["b"], start["W_yh"])[0]), copies))
torch.testing.assert_close(per_copy, torch.tensor(g_copies))  # what `bptt` returned, copy by copy
torch.testing.assert_close(per_copy.sum(0), auto["W_hh"])  # the sum is the gradient ...
torch.testing.assert_close(T * per_copy.mean(0), auto["W_hh"])  # ... and the mean is that by T

# With one length the factor hides in the learning rate. With two lengths it does not:
short = torch.autograd.grad(sum(step_losses(**leaves, x=x[:4], target=target[:4])[0]), leaves["W_hh"])[0]
summed, averaged = auto["W_hh"] + short, auto["W_hh"] / T + short / 4
cosine = torch.cosine_similarity(summed.flatten(), averaged.flatten(), 0)
assert cosine < 0.999


# And with Adam it hides altogether, because Adam divides by the size of the gradient:
def after_one_step(kind, lr: float, grad: Tensor) -> Tensor:
    w = start["W_hh"].clone().requires_grad_()
    w.grad = grad.clone()
    kind([w], lr=lr).step()
    return w.detach()


g = auto["W_hh"]
torch.testing.assert_close(after_one_step(torch.optim.SGD, 0.1, g / T), after_one_step(torch.optim.SGD, 0.1 / T, g))
torch.testing.assert_close(after_one_step(torch.optim.Adam, 0.1, g / T), after_one_step(torch.optim.Adam, 0.1, g), atol=1e-5, rtol=0)
print(f"T = {T}: |sum| / |mean| = {per_copy.sum(0).norm() / per_copy.mean(0).norm():.6f}; lengths 20 and 4 together: cosine {cosine:.3f}")

# %% [markdown]
# The sum is the gradient. The mean is the gradient divided by $T$: for sequences of one length this is a smaller learning
# rate and nothing else; for a batch of mixed lengths it is another *direction*, in which a step of a short sequence counts
# for more than one of a long sequence. Not wrong, but a decision, and one to take on purpose.
#
# ## 5. Truncated back-propagation
#
# For a sequence of 10,000 steps the whole graph does not fit into memory. The usual remedy: carry the *state* on, but cut
# the *graph* every $k$ steps. `detach()` does both: same number, no history.


# %% tags=["covers:A-17"]
def last_state(w_hx: Tensor, w_hh: Tensor, x: Tensor, cut_every: int | None = None) -> Tensor:
    """x (T, D) -> h_T (H,); the graph is cut before steps 0, k, 2k ... if `cut_every` is k."""
    h = torch.zeros(len(w_hh), dtype=x.dtype)
    for t, x_t in enumerate(x):
        if cut_every and t % cut_every == 0:
            h = h.detach()
        h = torch.tanh(w_hx @ x_t + w_hh @ h)
    return h


T, k = 24, 8
rotation = torch.linalg.qr(normal(5, 5, seed=20)).Q  # keeps lengths, so that the full gradient reaches far back
x, w_hx = 0.1 * normal(T, 3, seed=21), normal(5, 3, seed=22)
norms, weight_grads, values = {}, {}, {}
for name, cut in (("full", None), (f"cut every {k} steps", k)):
    inputs, w_hh = x.clone().requires_grad_(), rotation.clone().requires_grad_()
    h = last_state(w_hx, w_hh, inputs, cut)
    grad_x, weight_grads[name] = torch.autograd.grad(h.sum(), (inputs, w_hh))
    norms[name], values[name] = grad_x.norm(dim=1), h.detach()

full, cut = norms.values()
assert torch.equal(*values.values())  # forward: the very same number
assert (cut[: T - k] == 0).all()  # backward: nothing older than k steps, exactly
assert torch.equal(cut[T - k :], full[T - k :])  # and within the last k steps nothing is changed
bias = torch.cosine_similarity(*(g.flatten() for g in weight_grads.values()), 0)
print(f"gradient of W_hh: cosine between full and truncated {bias:.3f}")

fig, ax = figure(width=6.0, height=2.7)
lines(ax, range(1, T + 1), norms, xlabel="input at step s", ylabel="gradient of the last state", title="what the last step can still teach")
for edge in (8.5, 16.5):
    ax.axvline(edge, color="k", lw=0.8, ls=":")
ax.text(16.6, 0.05, "cut", fontsize=8)
ax.text(8.6, 0.05, "cut", fontsize=8)
ax.set_ylim(0)
ax.set_xticks([1, 8, 16, 24])
show(fig, alt="Norm of the gradient of the last state with respect to each input: the full gradient is nonzero over all 24 steps; the "
     "truncated one is identical over the last eight steps and exactly zero before.")  # fmt: skip

# %% [markdown]
# Truncation is not noise, it is *bias*: the direction of the update changes, and a dependency longer than $k$ steps is never
# learned from, however long you train. (The state still carries the information; only the lesson is missing.)
#
# ## 6. Why the past fades: a bound that always holds
#
# A product of $T$ numbers shrinks or grows without limit unless they are all near 1. So does a product of matrices. Take
# norms in $J=\prod_t \text{diag}(f'(z_t))\,W_{hh}$, and remember that $f'\le\gamma$:
#
# $$\lVert J\rVert\ \le\ \prod_t\ \gamma\,\lVert W_{hh}\rVert\ =\ (\gamma\,\lambda_1)^T$$
#
# where $\lambda_1$ is the largest singular value (Pascanu, Mikolov & Bengio 2013, section 2.1). If $\lambda_1<1/\gamma$ the right
# side goes to 0, and the gradient must follow: the condition is **sufficient** for vanishing.


# %% tags=["covers:A-18"]
def jacobian_norms(w_hh: Tensor, drive: Tensor, kind: str = "tanh") -> Tensor:
    """Spectral norms (T,) of dh_t/dh_0 for t = 1..T; `drive` (T, H) is what the inputs add to z_t, and h_0 = 0."""
    h, product, norms = torch.zeros(len(w_hh), dtype=w_hh.dtype), torch.eye(len(w_hh), dtype=w_hh.dtype), []
    for d in drive:
        z = w_hh @ h + d
        h = torch.tanh(z) if kind == "tanh" else torch.sigmoid(z)
        slope = 1 - h**2 if kind == "tanh" else h * (1 - h)
        product = slope[:, None] * (w_hh @ product)
        norms.append(torch.linalg.matrix_norm(product, 2))
    return torch.stack(norms)


def scaled(matrix: Tensor, largest: float) -> Tensor:
    """The matrix with its largest singular value set to `largest`."""
    return matrix * largest / torch.linalg.matrix_norm(matrix, 2)


# The function itself against autograd:
w_small, d_small = normal(4, 4, seed=30), normal(6, 4, seed=31)


def sixth_state(h: Tensor) -> Tensor:
    for d in d_small:
        h = torch.tanh(w_small @ h + d)
    return h


truth = torch.autograd.functional.jacobian(sixth_state, torch.zeros(4, dtype=torch.float64))
torch.testing.assert_close(jacobian_norms(w_small, d_small)[-1], torch.linalg.matrix_norm(truth, 2))

# The bound in 200 random networks, both non-linearities, contracting and expanding:
H, T, GAMMA = 20, 50, {"tanh": 1.0, "sigmoid": 0.25}
powers = torch.arange(1, T + 1, dtype=torch.float64)
draws = generator(32)
for _ in range(200):
    largest = float(0.2 + 6 * torch.rand((), generator=draws))
    matrix = scaled(torch.randn(H, H, generator=draws, dtype=torch.float64), largest)
    drive = 2 * torch.rand((), generator=draws) * torch.randn(T, H, generator=draws, dtype=torch.float64)
    for kind, gamma in GAMMA.items():
        assert (jacobian_norms(matrix, drive, kind) <= (gamma * largest) ** powers * (1 + 1e-9)).all()
print("200 random networks, 2 non-linearities, 50 steps each: never above the bound")

# %% [markdown]
# How close does the truth come to the bound? Three networks of 20 tanh units, all with $\lambda_1=0.9$.

# %% tags=["covers:A-18"]
gauss, quiet, driven = normal(H, H, seed=40), torch.zeros(T, H, dtype=torch.float64), normal(T, H, seed=41)
orthogonal = torch.linalg.qr(gauss).Q
bound = 0.9**powers
curves = {
    "bound 0.9^t": bound,
    "0.9 x rotation, no input": jacobian_norms(0.9 * orthogonal, quiet),
    "0.9 x rotation, random input": jacobian_norms(0.9 * orthogonal, driven),
    "random matrix, random input": jacobian_norms(scaled(gauss, 0.9), driven),
}
ends = {name: curve[-1].item() for name, curve in curves.items()}
print("\n".join(f"{name:30s} {end:.1e}" for name, end in ends.items()))
assert abs(ends["bound 0.9^t"] - 5.2e-3) < 1e-4
assert math.isclose(ends["0.9 x rotation, no input"], ends["bound 0.9^t"], rel_tol=1e-9)  # the bound is attained
assert ends["0.9 x rotation, random input"] < 1e-8 and ends["random matrix, random input"] < 1e-12

fig, ax = figure(width=6.4, height=3.0)
lines(ax, range(1, T + 1), curves, xlabel="steps t between the two states", ylabel="norm of dh_t / dh_0", title="largest singular value 0.9: bound and truth")
ax.set(yscale="log", ylim=(1e-20, 10))
show(fig, alt="Norm of the Jacobian over 50 steps on a log scale: the rotation without input lies on the bound and ends at 5e-3; the "
     "rotation with input and the random matrix fall far below it.")  # fmt: skip

# %% [markdown]
# The bound is attained when nothing is lost: a rotation at rest, where every slope is 1. Two leaks make reality far worse.
# Inputs push the units into the flat parts of tanh (slopes below 1), and a random matrix stretches only a *few* directions by
# $\lambda_1$: the product soon leaves them.
#
# For the **sigmoid** $\gamma=1/4$, so the threshold is $\lambda_1=4$. The same matrix, two fates:

# %% tags=["covers:A-18"]
strong = 3.9 * orthogonal
with_sigmoid, with_tanh = (jacobian_norms(strong, driven, kind)[-1].item() for kind in ("sigmoid", "tanh"))
assert 1 / GAMMA["sigmoid"] > 3.9 and with_sigmoid <= (3.9 / 4) ** T  # proven to vanish
assert 1 / GAMMA["tanh"] < 3.9 and with_tanh > 100  # nothing was promised, and it does not
print(f"lambda_1 = 3.9, 50 steps: sigmoid {with_sigmoid:.0e} (bound {(3.9 / 4) ** T:.2f}), tanh {with_tanh:.0e}")

# %% [markdown]
# ### $\lambda_1$ of which $W$?
#
# The slide that states the condition says "of $W$", and the slides before it write the cell with the *stacked*
# $W=[W_{hx}\ W_{hh}]$. The theorem is about the recurrent block. Put the stacked matrix in, and the statement stays true,
# since $\lVert W_{hh}\rVert\le\lVert W\rVert$ (a block is never larger than the whole), but it hardly ever says anything:

# %%
for seed in range(100):
    whole = normal(6, 10, seed=1000 + seed)
    assert torch.linalg.matrix_norm(whole[:, 4:], 2) <= torch.linalg.matrix_norm(whole, 2)

w_hh, w_hx = 0.9 * orthogonal, normal(H, 10, seed=42)
block, stacked = (torch.linalg.matrix_norm(m, 2).item() for m in (w_hh, torch.cat([w_hx, w_hh], 1)))
steps_of_input = normal(T, 10, seed=43) @ w_hx.T
end = jacobian_norms(w_hh, steps_of_input)[-1].item()
assert block < 1 < stacked and end < block**T
print(f"lambda_1 of the block {block:.2f}: must vanish, and does ({end:.0e}). lambda_1 of the stacked matrix {stacked:.2f}: no verdict")

# %% [markdown]
# ## 7. The trap: exploding is *necessary*, not sufficient
#
# Read the bound the other way round. If gradients explode, then $\lambda_1>1/\gamma$. That makes $\lambda_1>1/\gamma$
# **necessary** for exploding. It does not say that gradients explode whenever $\lambda_1>1/\gamma$. Guess for each network
# below what happens to its gradient over 50 steps, then look.

# %% tags=["covers:A-19"]
one_way = torch.tensor([[0.0, 100.0], [0.0, 0.0]], dtype=torch.float64)  # unit 2 feeds unit 1, strongly, and nobody feeds unit 2
zoo = {
    "1.2 x random matrix, random input": (scaled(gauss, 1.2), driven),
    "1.2 x rotation, random input": (1.2 * orthogonal, driven),
    "1.2 x rotation, no input": (1.2 * orthogonal, quiet),
    "3.9 x rotation, random input": (3.9 * orthogonal, driven),
    "one-way street, no input": (one_way, quiet[:, :2]),
}
results = {}
print(f"{'network':36s} lambda_1   bound at 50   truth at 50")
for name, (matrix, drive) in zoo.items():
    largest = torch.linalg.matrix_norm(matrix, 2).item()
    results[name] = jacobian_norms(matrix, drive)
    print(f"{name:36s} {largest:8.1f} {largest**T:13.0e} {results[name][-1].item():13.0e}")

assert results["1.2 x random matrix, random input"][-1] < 1e-8  # above 1, and vanishing all the same
assert results["1.2 x rotation, random input"][-1] < 1e-3
assert math.isclose(results["1.2 x rotation, no input"][-1].item(), 1.2**T, rel_tol=1e-9)  # 9.1e3: this one does explode
assert results["3.9 x rotation, random input"][-1] > 100
assert results["one-way street, no input"][0] == 100 and (results["one-way street, no input"][1:] == 0).all()

# %% [markdown]
# The last row is the extreme: $\lambda_1=100$, and after two steps the gradient is exactly 0, because nothing feeds the unit
# that feeds. One step can stretch by $\lambda_1$; many steps in a row can only if the stretched direction is mapped onto
# itself, which is a matter of eigenvalues. The one-way street has only the eigenvalue 0. At rest, the spectral radius
# $\rho$ decides the long run; and inputs, by flattening the tanh, always pull down.
#
# ## 8. Play: fifty steps
#
# Choose a kind of matrix, its spectral radius and the size of the inputs. Left: bound and truth. Right: eigenvalues (dots),
# the unit circle, and the circle of radius $\lambda_1$. Three things to find: a setting above 1 that vanishes; one in which
# the truth *grows* first and vanishes later; and, for each $\rho$ above 1, the size of input that stops the explosion.

# %%
chain_of_four = torch.diag(torch.full((3,), 2.0), 1)  # unit 4 feeds 3, 3 feeds 2, 2 feeds 1
keep = torch.diag(torch.tensor([1.0, 0.9, -0.9, 0.7, -1.0]))
sheared = (torch.kron(keep, torch.eye(4)) + torch.kron(torch.eye(5), chain_of_four)).double()
KINDS = {"random": gauss, "rotation": orthogonal, "sheared": sheared}


def spectral_radius(matrix: Tensor) -> float:
    return torch.linalg.eigvals(matrix).abs().max().item()


def draw_fifty(kind: str, rho: float, size: float):
    """Jacobian norms over 50 steps beside the eigenvalues of the recurrent matrix."""
    matrix = KINDS[kind] * rho / spectral_radius(KINDS[kind])
    largest = torch.linalg.matrix_norm(matrix, 2).item()
    truth = jacobian_norms(matrix, size * driven).clamp_min(1e-30)
    fig, (left, right) = figure(1, 2, width=8.2, height=3.2, width_ratios=[1.5, 1])
    lines(left, range(1, T + 1), {"bound": largest**powers, "truth": truth}, xlabel="steps t", ylabel="norm of dh_t / dh_0", title=f"{kind} matrix, input size {size:g}")
    left.axhline(1, color="k", lw=0.8, ls=":")
    left.set(yscale="log", ylim=(0.1 * min(truth.min().item(), 1e-3), 10 * max(largest**T, 1e3)))
    eigen = torch.linalg.eigvals(matrix)
    right.plot(eigen.real, eigen.imag, "o", color=PALETTE[2], markersize=4)
    for radius, style in ((1.0, ":"), (largest, "--")):
        right.add_patch(Circle((0, 0), radius, fill=False, linestyle=style, color="k" if radius == 1.0 else PALETTE[1]))
    reach = 1.1 * max(largest, 1.0)
    right.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="real part", ylabel="imaginary part")
    right.set_title(f"radius {rho:g}, lambda_1 {largest:.2f}")
    return fig


explore(
    draw_fifty,
    alt="Gradient norm through 50 steps against its bound, on a log scale, for a {kind} matrix of spectral radius {rho} with inputs of size {size}; beside "
    "it the eigenvalues with the unit circle (dotted) and the circle of the largest singular value (dashed).",
    static=[
        {"kind": "rotation", "rho": 1.2, "size": 0.0},
        {"kind": "rotation", "rho": 1.2, "size": 0.5},
        {"kind": "random", "rho": 0.9, "size": 0.1},
        {"kind": "sheared", "rho": 0.8, "size": 0.0},
    ],
    kind=Choice(list(KINDS), "rotation", label="kind of matrix"),
    rho=Slider(0.1, 3.0, 0.1, 1.2, label="spectral radius"),
    size=Slider(0.0, 2.0, 0.1, 0.0, label="size of the inputs"),
)

# %%
sheared = 0.8 * KINDS["sheared"] / spectral_radius(KINDS["sheared"])
bump = jacobian_norms(sheared, quiet)
assert spectral_radius(sheared) < 1 < torch.linalg.matrix_norm(sheared, 2)
assert bump.max() > 20 * bump[0] and bump[-1] < 0.1 * bump.max()  # grows first, although every eigenvalue is below 1
long_run = jacobian_norms(sheared, torch.zeros(200, H, dtype=torch.float64))
assert long_run[-1] < 1e-6  # and vanishes in the end
print(f"sheared, radius 0.8: from {bump[0]:.1f} up to {bump.max():.0e}, and down to {long_run[-1]:.0e} after 200 steps")

# %% [markdown]
# ## 9. Clipping
#
# Against vanishing, nothing can be done to the gradient afterwards: what is lost is lost (notebook 3 changes the cell
# instead). Against exploding there is a blunt and effective tool. Two versions, for a gradient $g$ and a limit $c$:
#
# $$\text{by norm:}\quad g\leftarrow g\cdot\min\Big(1,\frac{c}{\lVert g\rVert}\Big)\qquad\qquad
# \text{by value:}\quad g_i\leftarrow\max(-c,\min(c,g_i))$$


# %% tags=["covers:A-20"]
def shorten(g: Tensor, c: float) -> Tensor:
    """Clip by norm: the same direction, at most length c."""
    return g * min(1.0, c / g.norm().item())


def cut_off(g: Tensor, c: float) -> Tensor:
    """Clip by value: every entry into [-c, c]."""
    return g.clamp(-c, c)


for seed in range(200):
    g = 3 * normal(7, seed=2000 + seed)
    short, cut = shorten(g, 1.0), cut_off(g, 1.0)
    assert torch.cosine_similarity(short, g, 0) > 1 - 1e-12 and short.norm() <= 1 + 1e-12
    assert torch.cosine_similarity(cut, g, 0) < 0.9999 and cut.abs().max() <= 1  # each entry is bounded, the direction is not kept
    small = g / (10 * g.norm())
    assert torch.equal(shorten(small, 1.0), small) and torch.equal(cut_off(small, 1.0), small)  # below c: untouched

    for ours, torchs in ((shorten, nn.utils.clip_grad_norm_), (cut_off, nn.utils.clip_grad_value_)):
        leaf = torch.zeros(7, dtype=torch.float64, requires_grad=True)
        leaf.grad = g.clone()
        torchs([leaf], 1.0)
        torch.testing.assert_close(leaf.grad, ours(g, 1.0), atol=1e-5, rtol=0)  # torch divides by norm + 1e-6

# A steep and a shallow weight: after clipping by value they look equally important.
g = torch.tensor([3.0, 0.45])
fig, ax = figure(width=6.4, height=2.9)
for vector, name, style, colour, (at_x, at_y) in (
    (g, "g", "-", PALETTE[0], (2.2, 0.52)),
    (shorten(g, 1.0), "by norm", "-", PALETTE[1], (1.1, -0.1)),
    (cut_off(g, 1.0), "by value", "--", PALETTE[2], (1.1, 0.72)),
):
    arrow(ax, (0, 0), tuple(vector.tolist()), style, colour)
    ax.text(at_x, at_y, f"{name} ({vector[0]:.2f}, {vector[1]:.2f})", color=colour, fontsize=9)
ax.add_patch(Circle((0, 0), 1, fill=False, color=PALETTE[1]))
ax.add_patch(Rectangle((-1, -1), 2, 2, fill=False, color=PALETTE[2], linestyle="--"))
ax.set(xlim=(-1.2, 3.3), ylim=(-1.15, 1.15), aspect="equal", xlabel="gradient of weight 1", ylabel="of weight 2", title="limit c = 1")
show(fig, alt="A gradient arrow (3, 0.45), the arrow clipped by norm in the same direction ending on the unit circle, and the arrow clipped "
     "by value to (1, 0.45), which points elsewhere.")  # fmt: skip
print(f"cosine with g: by norm {torch.cosine_similarity(shorten(g, 1.0), g, 0):.4f}, by value {torch.cosine_similarity(cut_off(g, 1.0), g, 0):.4f}")

# %% [markdown]
# The norm is that of *all* gradients of the network joined into one vector. Clip every tensor by itself and the direction is
# lost again.
#
# ### The wall
#
# Why does a long gradient do harm at all? One sigmoid unit, $h_t=\sigma(w\,h_{t-1}+b)$, is run for 50 steps; the loss is
# $(h_{50}-0.7)^2$ (after figure 6 of Pascanu et al.). Two weights, so the loss is a landscape. It has a wall, where the unit tips
# from one resting point to the other. A step that starts on the wall goes wherever the wall faces. Fifteen runs, from
# five starts at three learning rates, with and without clipping. About 3 seconds.


# %% tags=["covers:A-20", "nbval-ignore-output"]
def wall_loss(w: Tensor, b: Tensor) -> Tensor:
    h = torch.full_like(w, 0.5)
    for _ in range(50):
        h = torch.sigmoid(w * h + b)
    return (h - 0.7) ** 2


STARTS = torch.tensor([[5.5, -2.5], [5.0, -2.2], [6.5, -3.0], [6.0, -2.8], [5.8, -2.6]], dtype=torch.float64)
RATES = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64)


def descend(limit: float, steps: int = 400) -> tuple[Tensor, Tensor]:
    """Fifteen runs side by side -> their paths (steps + 1, 15, 2) and final losses (15,)."""
    points, rate = STARTS.repeat(3, 1), RATES.repeat_interleave(5)[:, None]
    path = [points]
    for _ in range(steps):
        leaf = points.clone().requires_grad_()
        (g,) = torch.autograd.grad(wall_loss(*leaf.T).sum(), leaf)
        norm = g.norm(dim=1, keepdim=True)
        points = points - rate * g * (limit / norm).clamp(max=1.0)
        path.append(points)
    return torch.stack(path), wall_loss(*points.T)


free_path, free_loss = descend(math.inf)
clipped_path, clipped_loss = descend(0.5)
# Measured while writing: clipped, all 15 end below 4e-4; unclipped, 6 or 7 of 15 end above 0.05.
assert (clipped_loss < 2e-3).all() and (free_loss > 0.05).sum() >= 3
print(f"of 15 runs end below 0.002: {int((clipped_loss < 2e-3).sum())} clipped, {int((free_loss < 2e-3).sum())} unclipped")

thrown = int((free_path[1:] - free_path[:-1]).norm(dim=2).max(0).values.where(free_loss > 0.05, torch.tensor(0.0, dtype=torch.float64)).argmax())
b_axis, w_axis = torch.linspace(-5, -1, 240, dtype=torch.float64), torch.linspace(3, 7, 240, dtype=torch.float64)
surface = wall_loss(*torch.meshgrid(w_axis, b_axis, indexing="ij"))
fig, axes = figure(1, 2, width=8.4, height=3.4, sharey=True)
for ax, path, loss, name in ((axes[0], free_path, free_loss, "unclipped"), (axes[1], clipped_path, clipped_loss, "clipped at norm 0.5")):
    mesh = ax.pcolormesh(b_axis.numpy(), w_axis.numpy(), surface.numpy(), cmap="cividis", shading="auto", rasterized=True)
    ax.plot(path[:, thrown, 1], path[:, thrown, 0], color="white", lw=1.2, marker=".", markersize=3)
    ax.plot(*path[0, thrown].flip(0), marker="o", color="white", markeredgecolor="k", markersize=7)
    ax.set(xlim=(-5, -1), ylim=(3, 7), xlabel="bias b", title=f"{name}: ends at {loss[thrown]:.0e}")
    ax.grid(visible=False)
axes[0].set_ylabel("recurrent weight w")
fig.colorbar(mesh, ax=axes, label="loss")
show(fig, alt="Two maps of the loss over bias and recurrent weight with a sharp wall. Left, unclipped: the path runs along the wall and is then "
     "thrown out of the map. Right, clipped: from the same start the path crosses into the valley and stays.")  # fmt: skip

# %% [markdown]
# Without a limit, one step of the run on the left undoes a hundred others. With it, the step on the wall is as short as any
# other.
#
# ### A training run that is rescued
#
# A task for a network: *how full is the tape?* Thirty bits, with a different share of ones in each string; the answer is the
# mean. Sixteen ReLU units with recurrent weights that start as the identity (Le, Jaitly & Hinton 2015): perfect memory,
# but $\gamma\lambda_1=1$ exactly, so that the first unlucky update puts the network above the threshold. Three seeds, plain
# gradient descent, with and without a limit of 1. About 4 seconds.


# %% tags=["nbval-ignore-output"]
def tape(n: int, length: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Bits x (N, T, 1) with a share of ones that differs from string to string, and their mean y (N,)."""
    share = torch.rand(n, 1, 1, generator=draws)
    x = (torch.rand(n, length, 1, generator=draws) < share).float()
    return x, x.mean((1, 2))


def train_on_tape(seed: int, limit: float) -> tuple[list[float], str]:
    """The losses of up to 400 steps, and what became of the network."""
    draws, losses = generator(seed), []
    with seeded(seed):
        cell, head = nn.RNN(1, 16, nonlinearity="relu", batch_first=True), nn.Linear(16, 1)
    nn.init.eye_(cell.weight_hh_l0)

    def loss(step: int) -> Tensor:
        x, y = tape(64, 30, draws)
        value = (head(cell(x)[0][:, -1])[:, 0] - y).square().mean()
        losses.append(value.item())
        return value

    try:
        train([*cell.parameters(), *head.parameters()], loss, steps=400, lr=0.03, clip=limit, optimizer="sgd", label=f"seed {seed}, limit {limit:g}")
    except TrainingError as error:
        return losses, f"stopped at step {len(losses) - 1}: {type(error).__name__}"
    with torch.no_grad():
        awake = int((cell(tape(500, 30, draws)[0])[0][:, -1] > 0).any(0).sum())
    return losses, f"{awake} of 16 units still react"


runs = {(seed, limit): train_on_tape(seed, limit) for seed in range(3) for limit in (math.inf, 1.0)}

# %% tags=["covers:A-20", "nbval-ignore-output"]
variance = tape(20_000, 30, generator(50))[1].var().item()  # the loss of always answering the average
for (seed, limit), (losses, how) in runs.items():
    tail = sum(losses[-50:]) / len(losses[-50:])
    good = len(losses) == 400 and tail < 0.25 * variance
    # Six seeds measured while writing: clipped 0.002 to 0.005; unclipped stuck at 0.09, huge, or not finite, in all six.
    assert good == (limit == 1.0)
    print(f"seed {seed}, {'clipped' if limit == 1.0 else 'unclipped':9s}  mean of the last losses {tail:7.2g}   {how}")
print(f"always answering the average: {variance:.3f}")

fig, ax = figure(width=6.6, height=3.1)
for (seed, limit), (losses, _) in runs.items():
    clipped = limit == 1.0
    shown = torch.tensor(losses).nan_to_num(1e12, 1e12).clamp(1e-4, 1e12)
    ax.plot(range(len(shown)), shown, color=PALETTE[1] if clipped else PALETTE[2], ls="-" if clipped else "--", lw=1.1,
            label=("clipped at norm 1" if clipped else "not clipped") if seed == 0 else None)  # fmt: skip
    if len(losses) < 400:
        ax.plot(len(shown) - 1, shown[-1], marker="x", color=PALETTE[2], ls="none", label="stopped: not finite" if seed == 0 else None)
ax.axhline(variance, color="k", lw=0.9, ls=":", label="always the average")
ax.set(yscale="log", ylim=(1e-4, 1e13), xlabel="training step", ylabel="squared error", title="how full is the tape? three seeds each")
ax.legend(loc="upper right")
show(fig, alt="Training losses on a log scale: the three clipped runs sink well below the dotted line of always answering the average; the three "
     "unclipped runs jump by ten powers of ten or more at once; those that are not stopped there sink back to the line and stay on it.")  # fmt: skip

# %% [markdown]
# An unclipped run that does not overflow may look harmless: its loss returns to the dotted line and stays there. The jump has
# switched all ReLU units off, and the network answers with its bias. Log the norm of the gradient *before* clipping: it
# shows at which step that happened.
#
# ## What to remember
#
# 1. A weight that is used $T$ times collects $T$ gradients, and they are summed. Averaging is another learning rate for one
#    length and another direction for several.
# 2. Two gradients meet in every state: from its own loss, and from the next state through $W_{hh}^\top$.
# 3. $\lVert J\rVert\le(\gamma\lambda_1)^T$ always, with $\lambda_1$ of the *recurrent block*. Below $1/\gamma$ the gradient must
#    vanish; above it *may* explode, and mostly still vanishes.
# 4. Truncation keeps the state and cuts the lesson: exactly nothing is learned from further back than $k$ steps.
# 5. Clip by the norm of the whole gradient: the direction is kept. It helps against exploding only.
#
# ## Quiz
#
# **1.** Remember back-propagation: why does the picture of section 2 run from right to left?
# <details><summary>Answer</summary>Every factor is shared by all weights further left, so going from the loss backwards computes each once. From left
# to right the products would be matrices instead of vectors, and would have to be repeated for every weight.</details><br>
#
# **2.** Write down $\partial C/\partial W_1$ and $\partial C/\partial W_2$ for two layers.
# <details><summary>Answer</summary>dC/dW2 = (dC/dy2)(dy2/dW2) and dC/dW1 = (dC/dy2)(dy2/dy1)(dy1/dW1). In code: outer(e, y1), and
# outer((W2^T e) * f1', x) with e = dC/dy2.</details><br>
#
# **3.** A colleague measures $\lambda_1=1.5$ for a tanh network and concludes that its gradients explode. What do you answer?
# <details><summary>Answer</summary>That this is necessary, not sufficient. The network may explode, but saturated units and directions that are
# not repeated can make it vanish at 1.5 as well: measure the Jacobian. Only below 1 would there be a verdict without measuring.</details><br>
#
# **4.** The same colleague takes $\lambda_1$ of `torch.cat([weight_ih, weight_hh], 1)`. Right or wrong?
# <details><summary>Answer</summary>Not wrong but weak. The stacked matrix has at least the block's singular value, so "below 1, vanishes" stays
# true, and it applies to fewer networks. The condition is meant for the recurrent block.</details><br>
#
# **5.** Your loss is `nan` at step 12. You clip by value at 1,000. Why may that not help?
# <details><summary>Answer</summary>A million weights with an entry of up to 1,000 each give a norm of up to a million. And a nan stays a nan
# under both kinds of clipping: it has to be prevented, with a limit near the typical norm, before it arises.</details><br>
#
# **6.** The parity automaton of notebook 1.1 never forgets, and its gradient over 20 steps is below $10^{-20}$. A contradiction?
# <details><summary>Answer</summary>No. It keeps its bit because disturbances shrink at every step, and a gradient measures how far a disturbance gets.
# A vanilla cell that stores a bit safely has a vanishing gradient (Bengio et al. 1994). Notebook 3 shows the way out.</details>
#
# ## Exercises
#
# In the assignment of this unit: `bptt` (for another cell), `truncated_bptt`, `clip_norm` and `clip_value`, and the traps of sections 4,
# 6 and 7. **Next:** notebook 3, cells through which the gradient can pass.
#
# ## References
#
# - Pascanu, Mikolov, Bengio, *On the difficulty of training recurrent neural networks*, ICML 2013.
# - Bengio, Simard, Frasconi, *Learning long-term dependencies with gradient descent is difficult*, IEEE Trans. Neural Networks 5, 1994.
# - Werbos, *Backpropagation through time: what it does and how to do it*, Proc. IEEE 78, 1990.
# - Le, Jaitly, Hinton, *A simple way to initialize recurrent networks of rectified linear units*, arXiv 1504.00941, 2015.
# - Spanakis & Driessens (Maastricht), *Deep learning for agents, Part 2*: lecture slides.
