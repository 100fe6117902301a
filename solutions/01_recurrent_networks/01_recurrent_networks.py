# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] nbgrader={"grade": false, "grade_id": "intro", "locked": true, "schema_version": 3, "solution": false, "task": false}
# # Recurrent networks
#
# You build the networks of the lectures again, each time in a form that the lectures did not show: other weights layouts,
# other conventions, other failures. Most answers are three to twelve lines. Run the check under an answer as often as you
# like: it says what is right, what is wrong, and which mistake it looks like.
#
# Shapes use one alphabet throughout:
#
# | letter | meaning | symbol | shape |
# |---|---|---|---|
# | N | sequences in a batch | input $x_t$ | (N, D) |
# | T, S | time steps; source steps | hidden state $h_t$ | (N, H) |
# | D, H | input and hidden width | cell state $c_t$ | (N, H) |
# | V, C | vocabulary; classes | logits | (N, V) or (N, C) |
#
# Tensors that you return have the dtype of the inputs. Numbers are compared with a relative tolerance of 1e-3 and an
# absolute one of 1e-5 unless the task says otherwise, and a function must not write into its arguments.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises import check, hint, progress


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s1_cells", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. A cell and its unrolling
#
# One step of a recurrent network, then many, then the loss over all of them.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-relu_cell", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A ReLU cell with stacked weights
#
# Difficulty ●○○○○ · about 5 minutes · 2 points
#
# The lecture's cell squashes with tanh and splits its weights. Write the sibling with one stacked matrix, a bias and a
# rectifier (Le, Jaitly and Hinton 2015):
#
# $$h_t = \max\!\left(0,\; W \begin{pmatrix} x_t \\ h_{t-1} \end{pmatrix} + b\right)$$
#
# `relu_cell(x, h, W, b)` takes `x` (N, D), `h` (N, H), `W` (H, D + H) with **the columns of the input first**, `b` (H,),
# and returns $h_t$ (N, H). Gradients must reach all four arguments.
#
# *What the check looks at*
#
# - h_t for a batch of 3, D = 4, H = 5: 1 point
# - gradients with respect to x, h, W and b: 0.5 points
# - the same for a batch of one: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Batches are rows here: a column vector on the slide is a row of `x`.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Put `x` and `h` side by side along the last axis, in the order of the columns of `W`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `torch.cat([x, h], dim=1) @ W.T` is (N, H); the bias broadcasts over the rows.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "relu_cell", "locked": false, "schema_version": 3, "solution": true, "task": false}
def relu_cell(x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """One step: x (N, D), h (N, H), W (H, D + H), b (H,) -> (N, H)."""
    ### BEGIN SOLUTION
    stacked = torch.cat([x, h], dim=1)
    return torch.relu(stacked @ W.T + b)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-relu_cell", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.relu_cell", relu_cell)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-unroll", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Unroll a cell, in either direction of time
#
# Difficulty ●●○○○ · about 10 minutes · 2 points
#
# A cell knows one step. Unrolling applies the *same* cell, hence the same weights, at every step, and a bidirectional
# network also needs it from the last step to the first (Schuster and Paliwal 1997).
#
# `unroll(cell, x, h, reverse)` takes a function `cell(x_t, h)` that maps (N, D) and (N, H) to (N, H), a batch `x` of
# shape **(N, T, D)**, a first state `h` (N, H) and a truth value. It returns a pair:
#
# - `states` (N, T, H): **`states[:, t]` is the state right after the cell has read `x[:, t]`**, in both directions, so
#   that forward and backward states of one position can later be put side by side;
# - `last` (N, H): the state after the final step that was taken, which for `reverse=True` is the one that read `x[:,
#   0]`.
#
# Reading starts from `h` at whichever end it starts. Gradients flow through all steps.
#
# *What the check looks at*
#
# - states and last state, forwards: 0.5 points
# - states and last state, backwards in time: 1 point
# - gradients through all steps, both ways: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Only the order of the positions differs between the two directions; what is stored at a position does not.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Loop over `range(T)` or over `reversed(range(T))`, and keep each state under its own position.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Collect the states in reading order and, if you read backwards, turn the list round before `torch.stack(..., dim=1)`. Remember the last state before you turn.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "unroll", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unroll(cell, x: Tensor, h: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Apply cell (N, D), (N, H) -> (N, H) along x (N, T, D) from h (N, H): states (N, T, H) and the last one (N, H)."""
    ### BEGIN SOLUTION
    T = x.shape[1]
    states = [h] * T
    for t in reversed(range(T)) if reverse else range(T):
        h = cell(x[:, t], h)
        states[t] = h
    return torch.stack(states, dim=1), h
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-unroll", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.unroll", unroll)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-masked_loss", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### One loss for sequences of different lengths
#
# Difficulty ●●●○○ · about 15 minutes · 2 points
#
# With an output at every step the loss is the sum of the steps' losses $C_t$. Sequences of different lengths share a
# rectangle, and whatever stands beyond a sequence's end is padding. Write the mean cross entropy over the **real**
# positions of the whole batch,
#
# $$C = \frac{1}{\sum_n \ell_n} \sum_{n=1}^{N} \sum_{t=1}^{\ell_n} -\log \mathrm{softmax}(a_{nt})_{y_{nt}}$$
#
# `masked_loss(logits, y, lengths)` takes `logits` $a$ (N, T, C), `y` (N, T) int64 with classes 0 to C − 1, and
# `lengths` $\ell$ (N,) int64 between 1 and T, and returns the scalar $C$. Every real position weighs the same,
# whichever sequence it belongs to.
#
# Two things are easily got wrong. The padding of `y` holds zeros, but class 0 is an ordinary class. And the padding of
# `logits` may hold **anything, even NaN**: neither the loss nor its gradient may notice, and the gradient there is
# exactly 0.
#
# *What the check looks at*
#
# - the loss with and without padding: 1 point
# - the gradient, exactly 0 in the padding: 0.5 points
# - NaN in the padding changes nothing: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Which positions are real follows from `lengths` alone, never from `y`.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.arange(T) < lengths[:, None]` is a mask (N, T). 0 × NaN is NaN, so multiplying by a mask removes nothing.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Index before you take the logarithm: `logits[mask]` is (number of real positions, C) and `y[mask]` fits to it.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "masked_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def masked_loss(logits: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
    """Mean cross entropy over real positions: logits (N, T, C), y (N, T), lengths (N,) -> scalar."""
    ### BEGIN SOLUTION
    T = logits.shape[1]
    real = torch.arange(T, device=logits.device) < lengths[:, None]
    return F.cross_entropy(logits[real], y[real])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-masked_loss", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.masked_loss", masked_loss)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s2_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. Gradients through time
#
# The gradient goes back along the states. You send it there by hand, and mend two sentences about it that do not hold as
# they stand on a slide.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-bptt", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Back-propagation through time, by hand
#
# Difficulty ●●●●○ · about 30 minutes · 3 points
#
# Send the gradient back through the rectified cell $h_t = \max(0,\, W_{hx} x_t + W_{hh} h_{t-1} + b)$, with a loss at
# every step: $C = \sum_t C_t(h_t)$. The forward pass is given as `relu_states`.
#
# `bptt(x, states, W_hh, dh)` takes
#
# - `x` (N, T, D) and `states` (N, T + 1, H) from `relu_states`: `states[:, 0]` is the first state $h_0$, and `states[:,
#   t + 1]` is the state after reading `x[:, t]`;
# - `W_hh` (H, H);
# - `dh` (N, T, H): `dh[:, t]` is $\partial C_t / \partial h$, the gradient that the state after `x[:, t]` gets from
#   **its own** step's loss alone.
#
# It returns `(dW_hx, dW_hh, db, dh_0)`: the gradients of $C$, shapes (H, D), (H, H), (H,) and (N, H), each summed over
# steps and sequences. The derivative of the rectifier at 0 counts as 0. The check runs your function with autograd
# switched off.
#
# *What the check looks at*
#
# - gradient of the recurrent weights: 1 point
# - gradients of the input weights and the bias: 1 point
# - gradient of the first state: 0.5 points
# - all four for sequences of one step: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# A state is used twice: by its own step's loss and by the next step. Both gradients add up before the rectifier.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Walk from the last step to the first with one running tensor (N, H): what comes back from later steps. A unit that is 0 after the rectifier lets nothing pass.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# In a step: add `dh[:, t]` to what came back, keep it where `states[:, t + 1] > 0`, call that `delta`. Its products with `x[:, t]` and with `states[:, t]` are the step's share of the two weights, and `delta @ W_hh` goes further back.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-bptt", "locked": true, "schema_version": 3, "solution": false, "task": false}
def relu_states(x: Tensor, h: Tensor, W_hx: Tensor, W_hh: Tensor, b: Tensor) -> Tensor:
    """The forward pass: x (N, T, D), h (N, H) -> states (N, T + 1, H). states[:, 0] is h; states[:, t + 1] has read x[:, t]."""
    states = [h]
    for x_t in x.unbind(dim=1):
        states.append(torch.relu(x_t @ W_hx.T + states[-1] @ W_hh.T + b))
    return torch.stack(states, dim=1)


# %% nbgrader={"grade": false, "grade_id": "bptt", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bptt(x: Tensor, states: Tensor, W_hh: Tensor, dh: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x (N, T, D), states (N, T + 1, H), W_hh (H, H), dh (N, T, H) -> dW_hx (H, D), dW_hh (H, H), db (H,), dh_0 (N, H)."""
    ### BEGIN SOLUTION
    dW_hx, dW_hh, db, back = 0, 0, 0, 0
    for t in reversed(range(x.shape[1])):
        delta = (dh[:, t] + back) * (states[:, t + 1] > 0)
        dW_hx = dW_hx + delta.T @ x[:, t]
        dW_hh = dW_hh + delta.T @ states[:, t]
        db = db + delta.sum(dim=0)
        back = delta @ W_hh
    return dW_hx, dW_hh, db, back
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-bptt", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("01.bptt", bptt)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-summed_updates", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Summed or averaged?
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# **A slip on a slide.** Spanakis and Driessens (Maastricht, *Deep learning for agents*, Part 2) unfold the network into one copy for each time
# step, compute a weight update for each copy, and then have the updates "summed (or averaged)" and applied. With
# $W^{(t)}$ the copy at step $t$, that is one of
#
# $$W \leftarrow W - \eta \sum_{t=1}^{T} \frac{\partial C}{\partial W^{(t)}}
# \qquad\text{or}\qquad
# W \leftarrow W - \frac{\eta}{T} \sum_{t=1}^{T} \frac{\partial C}{\partial W^{(t)}}$$
#
# Only one of the two is a step of gradient descent with the rate $\eta$ on the loss as a function of the shared $W$.
# Find out which (the chain rule says it; a finite difference shows it), and write
#
# - `tied_step(loss, W, T, lr)`: `loss` takes a **list of T matrices**, one for each time step, and returns the scalar
#   $C$; `W` is (H, H). Make the copies, get their gradients, and return the shared matrix after one step of gradient
#   descent, as a new tensor that needs no gradient. `W` stays as it was.
# - `matching_rate(lr, T)`: the learning rate, a number, with which the *other* rule takes the same step. (For sequences
#   of one length the slip hides in the learning rate. With several lengths no single rate mends it: long sequences then
#   count less.)
#
# *What the check looks at*
#
# - the shared matrix after one step: 1 point
# - three steps in a row, free of graphs: 0.5 points
# - the rate that makes both rules agree: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# If one number is used in T places, nudging it nudges all T places at once: how do the effects on C combine?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# T copies are T different tensors (a list `[W] * T` holds one tensor T times), each with `requires_grad_()`. `torch.autograd.grad(loss(copies), copies)` gives their gradients.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `W.detach().clone().requires_grad_()` is a copy. Subtract the learning rate times the *sum* of the gradients from `W.detach()`; an average is T times shorter.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "summed_updates", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tied_step(loss, W: Tensor, T: int, lr: float) -> Tensor:
    """One step of gradient descent on the shared W (H, H); loss takes a list of T copies -> the new W (H, H)."""
    ### BEGIN SOLUTION
    copies = [W.detach().clone().requires_grad_() for _ in range(T)]
    grads = torch.autograd.grad(loss(copies), copies)
    return W.detach() - lr * torch.stack(grads).sum(dim=0)
    ### END SOLUTION


def matching_rate(lr: float, T: int) -> float:
    """The learning rate with which the other rule takes the step that `tied_step` takes with lr."""
    ### BEGIN SOLUTION
    return lr * T
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-summed_updates", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.summed_updates", tied_step, matching_rate)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-spectral_bound", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Which matrix vanishes, and what follows if it does not?
#
# Difficulty ●●●○○ · about 20 minutes · 2 points
#
# **A slip on a slide.** Spanakis and Driessens (Maastricht, *Deep learning for agents*, Part 2) sum up Pascanu, Mikolov and Bengio (2013):
# with $\lambda_1$ the largest singular value of $W$, it is *sufficient* for vanishing gradients that $\lambda_1 <
# 1/\gamma$, and *necessary* for exploding ones that $\lambda_1 > 1/\gamma$, where $\gamma = 1$ for tanh and $1/4$
# for the sigmoid. On the same slides $W$ is the **stacked** matrix of $h_t = \tanh W \binom{x_t}{h_{t-1}}$.
# `slide_verdict` takes this literally, and takes "necessary" for "enough" besides; `counterexample()`, run below your
# answer, shows what becomes of it.
#
# Go back to the chain rule. One step back multiplies by $\operatorname{diag}(\sigma') \, \partial a_t / \partial
# h_{t-1}$, where the derivative $\sigma'$ is at most $\gamma$. Write
#
# - `jacobian_bound(W, D, gamma, steps)`: for `W` (H, D + H) with the columns of the input first, the upper bound on the
#   spectral norm of $\partial h_T / \partial h_0$ over `steps` steps that follows from the largest singular value of
#   the **right** matrix; a number;
# - `verdict(W, D, gamma)`: `"vanishes"` where the theorem promises it (the bound shrinks with every step), otherwise
#   `"undecided"`: then the gradient may explode, and may as well vanish.
#
# *What the check looks at*
#
# - the bound for four cells, over 1 and 12 steps: 1 point
# - the verdict on four cells: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# Which columns of the stacked matrix multiply the previous state? The others never enter the product over time.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The norm of a product is at most the product of the norms, and a step contributes two factors: the derivative of the squashing function and the recurrent block.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `torch.linalg.matrix_norm(block, ord=2)` is a largest singular value; times gamma it bounds one step. If that is below 1, the product vanishes. If it is not, an upper bound above 1 promises nothing.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-spectral_bound", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "spectral_bound", "locked": false, "schema_version": 3, "solution": true, "task": false}
def jacobian_bound(W: Tensor, D: int, gamma: float, steps: int) -> float:
    """Bound on the spectral norm of dh_T / dh_0 over `steps` steps: W (H, D + H), input columns first."""
    ### BEGIN SOLUTION
    W_hh = W[:, D:]
    largest = torch.linalg.matrix_norm(W_hh, ord=2).item()
    return (gamma * largest) ** steps
    ### END SOLUTION


def verdict(W: Tensor, D: int, gamma: float) -> str:
    """ "vanishes" where the theorem promises it, otherwise "undecided"."""
    ### BEGIN SOLUTION
    return "vanishes" if jacobian_bound(W, D, gamma, 1) < 1 else "undecided"
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "run-spectral_bound", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["nbval-ignore-output"]
counterexample()

# %% nbgrader={"grade": true, "grade_id": "check-spectral_bound", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.spectral_bound", jacobian_bound, verdict)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s2_steps", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### From gradients to steps
#
# What a training step does with a gradient: tame it where it grows too long, cut it where a stream never ends.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-clip_norm", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Clip the norm of all gradients together
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# When a gradient explodes, a step of ordinary length in the same direction is still useful (Pascanu, Mikolov and Bengio
# 2013, algorithm 1). Take the gradients of **all** parameters as one long vector $g$ and rescale it where it is too
# long:
#
# $$g \leftarrow g \cdot \min\!\left(1,\; \frac{c}{\lVert g \rVert_2}\right)$$
#
# `clip_norm(parameters, limit)` takes a list of `nn.Parameter`, of which some may have no gradient (`p.grad is None`:
# skip those, and leave them so), and $c$ = `limit` > 0. It changes the parameters' `.grad` and returns the norm of $g$
# **before** clipping (a number or a scalar tensor), which is what one plots. A gradient within the limit stays as it
# is, to the bit; a gradient of zeros stays zeros. The weights themselves stay untouched. Write it yourself, without
# `torch.nn.utils`.
#
# *What the check looks at*
#
# - gradients and returned norm above the limit: 1 point
# - nothing changes below the limit: 0.5 points
# - missing gradients, and gradients of zeros: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# One factor for all parameters keeps the direction; a factor for each would turn it.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The square of the total norm is the sum of the squares of all entries of all gradients.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Collect the gradients that are not None, `norm = sum(g.square().sum() for g in grads).sqrt()`; if it exceeds the limit, multiply each in place by the ratio of limit and norm.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "clip_norm", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clip_norm(parameters: list[nn.Parameter], limit: float) -> Tensor:
    """Scale all gradients together to a norm of at most `limit`, in place; returns the norm before (scalar)."""
    ### BEGIN SOLUTION
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.cat([g.flatten() for g in grads]).norm()
    if norm > limit:
        for g in grads:
            g.mul_(limit / norm)
    return norm
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-clip_norm", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.clip_norm", clip_norm)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-clip_value", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Clip each entry, and see the direction turn
#
# Difficulty ●●○○○ · about 10 minutes · 1.5 points
#
# The other custom clips entry by entry, $g_j \leftarrow \max(-c, \min(c, g_j))$. It needs no norm, but it turns the
# gradient. By how much?
#
# `clip_value(parameters, limit)` clips every entry of every `.grad` to the range from −`limit` to `limit`, and returns
# the **cosine of the angle between the whole gradient before and the whole gradient after** (a number or a scalar
# tensor): all parameters' entries as one long vector $g$, and
#
# $$\cos\alpha = \frac{g \cdot g'}{\lVert g \rVert\, \lVert g' \rVert}$$
#
# Parameters without a gradient are skipped and stay so; the weights stay untouched; at least one entry of $g$ is not 0.
# The result is 1 where nothing was clipped. Write it without `torch.nn.utils`.
#
# *What the check looks at*
#
# - gradients after clipping at 1: 0.5 points
# - the returned cosine at three limits: 0.5 points
# - a parameter without a gradient: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Make one long vector of the gradient before you change anything.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `clamp_` writes into the gradient, and a view of it changes along: the vector from before must be a copy. `torch.cat` makes one.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `torch.cat([g.flatten() for g in grads])` before and after the clamping, then `F.cosine_similarity(..., dim=0)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "clip_value", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clip_value(parameters: list[nn.Parameter], limit: float) -> Tensor:
    """Clip every entry of every gradient to [-limit, limit], in place; returns the cosine between before and after."""
    ### BEGIN SOLUTION
    grads = [p.grad for p in parameters if p.grad is not None]
    before = torch.cat([g.flatten() for g in grads])
    for g in grads:
        g.clamp_(-limit, limit)
    after = torch.cat([g.flatten() for g in grads])
    return F.cosine_similarity(before, after, dim=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-clip_value", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 1.5}
check("01.clip_value", clip_value)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-truncated_bptt", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Train on a stream: truncated back-propagation through time
#
# Difficulty ●●●○○ · about 25 minutes · 3 points
#
# A stream of a million steps cannot be unrolled at once. Williams and Peng (1990) cut the gradient, not the memory: go
# through the stream in chunks of $k$ steps, update after each, and hand the state on to the next chunk as mere
# values, without their history.
#
# `train_stream(net, optimizer, x, y, h, k)` trains `net`, a `Reader` (given), with `optimizer` (it has `zero_grad()`
# and `step()`) on `x` (N, T, D) and targets `y` (N, T), from the state `h` (N, H). For each chunk of `k` steps, in
# order (the **last one may be shorter**):
#
# 1. run `net` on the chunk, from the state in which the previous chunk ended; gradients stay within the chunk;
# 2. loss: the mean squared error over all entries of the chunk;
# 3. one update by `optimizer`, from this chunk's gradient alone.
#
# It returns `(losses, h)`: a list with each chunk's loss as a Python number, and the final state. **Neither may hold a
# graph**, or memory grows with every chunk. The check records the gradient that each update used.
#
# *What the check looks at*
#
# - one chunk: loss, gradient and weights: 0.5 points
# - three chunks: gradient of each update, losses, final state: 1.5 points
# - a stream whose last chunk is shorter: 0.5 points
# - losses and final state hold no graph: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# What has to survive from one chunk to the next is the value of the state, not how it came about.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `tensor.detach()` has the values without the history: apply it to the state between chunks. A slice past the end, such as `x[:, 8:12]` of 11 steps, is simply shorter.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# For `start` in `range(0, T, k)`: predict from the detached state, `F.mse_loss`, then clear the gradients, go backward, step. `loss.item()` is a number.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-truncated_bptt", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Reader(nn.Module):
    """A recurrent network that predicts one number at every step: x (N, k, D), h (N, H) -> (N, k), h (N, H)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(D, H, batch_first=True)
        self.head = nn.Linear(H, 1)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        states, last = self.rnn(x, h[None])
        return self.head(states)[:, :, 0], last[0]


# %% nbgrader={"grade": false, "grade_id": "truncated_bptt", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_stream(net, optimizer, x: Tensor, y: Tensor, h: Tensor, k: int) -> tuple[list[float], Tensor]:
    """Truncated BPTT over x (N, T, D), y (N, T) in chunks of k, from h (N, H): the chunks' losses and the last state."""
    ### BEGIN SOLUTION
    losses = []
    for start in range(0, x.shape[1], k):
        chunk = slice(start, start + k)
        predicted, h = net(x[:, chunk], h.detach())
        loss = F.mse_loss(predicted, y[:, chunk])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, h.detach()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-truncated_bptt", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("01.truncated_bptt", train_stream)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s3_gates", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. Gates
#
# One name, LSTM, and several cells: with and without a forget gate, with and without peepholes, and with weights stacked in
# every order. Here are two of them, and the bias that decides how they start.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-popular_lstm", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The LSTM cell, stacked as o, f, g, i
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# Frameworks agree on the equations of the LSTM with a forget gate (Gers, Schmidhuber and Cummins 2000), but every one
# stacks the four blocks of weights in an order of its own, and a checkpoint loaded in the wrong order gives no error.
# Write the cell for one matrix whose blocks of H rows are, from top to bottom, **output gate, forget gate, candidate,
# input gate**:
#
# $$\begin{pmatrix} a_o \\ a_f \\ a_g \\ a_i \end{pmatrix} = W \begin{pmatrix} x_t \\ h_{t-1} \end{pmatrix} + b,
# \qquad o, f, i = \sigma(a_o), \sigma(a_f), \sigma(a_i), \qquad g = \tanh(a_g)$$
#
# $$c_t = f \otimes c_{t-1} + i \otimes g, \qquad h_t = o \otimes \tanh(c_t)$$
#
# `popular_lstm(x, h, c, W, b)` takes `x` (N, D), `h` (N, H), `c` (N, H), `W` (4H, D + H) with the columns of the input
# first and `b` (4H,), and returns the pair $(h_t, c_t)$, each (N, H). Write it without `nn.LSTM` and `nn.LSTMCell`.
#
# *What the check looks at*
#
# - both states after a step: 1 point
# - gradients of all five arguments: 0.5 points
# - three steps of one sequence: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# One matrix product gives all four pre-activations at once; the order of the blocks decides which is which.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `a.chunk(4, dim=1)` cuts (N, 4H) into four tensors (N, H), in the order of the rows of `W`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# The product `torch.cat([x, h], dim=1) @ W.T`, plus the bias, is (N, 4H). The new cell state comes first, and the new hidden state looks at it through a tanh and the output gate.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "popular_lstm", "locked": false, "schema_version": 3, "solution": true, "task": false}
def popular_lstm(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """One step: x (N, D), h and c (N, H), W (4H, D + H) with rows o, f, g, i, b (4H,) -> h_t, c_t (N, H)."""
    ### BEGIN SOLUTION
    a = torch.cat([x, h], dim=1) @ W.T + b
    o, f, g, i = a.chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-popular_lstm", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.popular_lstm", popular_lstm)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-peephole_lstm", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Peepholes: what may each gate see?
#
# Difficulty ●●●○○ · about 20 minutes · 2 points
#
# **A slip on a slide.** Under the plain title "LSTM cell", a slide of Rice (*Deep Learning for Vision & Language*) shows another cell than
# PyTorch's, that of Graves (2013):
#
# $$\begin{aligned}
# i_t &= \sigma(W_{xi} x_t + W_{hi} h_{t-1} + W_{ci}\, c_{t-1} + b_i) \\
# f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + W_{cf}\, c_{t-1} + b_f) \\
# c_t &= f_t\, c_{t-1} + i_t \tanh(W_{xc} x_t + W_{hc} h_{t-1} + b_c) \\
# o_t &= \sigma(W_{xo} x_t + W_{ho} h_{t-1} + W_{co}\, c_t + b_o) \\
# h_t &= o_t \tanh(c_t)
# \end{aligned}$$
#
# Two things trip whoever types it in. The slide writes $W_{ci}$, $W_{cf}$, $W_{co}$ like all the other matrices, but in
# the paper these three are **diagonal**: a gate's unit sees its own cell only, 3H numbers instead of 3H². And it is
# easy to compute all gates in one go, as in a cell without peepholes; mind the time index in the line of $o_t$.
#
# `peephole_lstm(x, h, c, W, b, P)` takes `x` (N, D), `h` (N, H), `c` (N, H), `W` (4H, D + H) with the columns of the
# input first and blocks of rows in PyTorch's order **i, f, candidate, o**, `b` (4H,), and `P` (3, H): the diagonals of
# $W_{ci}$, $W_{cf}$, $W_{co}$. It returns $(h_t, c_t)$.
#
# *What the check looks at*
#
# - with P = 0 it is the cell without peepholes: 0.5 points
# - one gate at a time with its peephole: 0.5 points
# - both states with all peepholes: 0.5 points
# - gradients of all six arguments: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# A product with a diagonal matrix is a product entry by entry.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Compute the input gate, the forget gate and the candidate, then the new cell state, and only then the output gate.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Split `torch.cat([x, h], dim=1) @ W.T + b` into four. `P[0] * c` joins the first pre-activation, `P[1] * c` the second, and `P[2]` times the *new* cell state the last.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "peephole_lstm", "locked": false, "schema_version": 3, "solution": true, "task": false}
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


# %% nbgrader={"grade": true, "grade_id": "check-peephole_lstm", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.peephole_lstm", peephole_lstm)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-forget_bias", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Start with open forget gates
#
# Difficulty ●●●○○ · about 15 minutes · 2 points
#
# Along the cell the gradient is multiplied by the forget gate at every step, so it should start near 1 (Gers et al.
# 2000; Jozefowicz, Zaremba and Sutskever 2015). With small weights a gate is $\sigma(\text{bias})$ at first, whatever
# comes in. Choose the bias by the gate that it makes.
#
# `open_forget_gates(lstm, openness)` takes an `nn.LSTM` of any number of layers, in one direction or two, and a number
# $0 < p < 1$. It changes biases so that **every forget gate of every layer and direction is exactly $p$ when $x = 0$
# and $h = 0$**. Nothing else changes: not the other gates, not the weights, and the parameters stay the same objects,
# so that an optimiser that holds them goes on working.
#
# Know PyTorch's two traps: each gate has **two** biases, `bias_ih_l0` and `bias_hh_l0`, which add up, and the four
# gates are stacked in the order i, f, g, o. The LSTM is changed in place; what you return does not matter. (Writing into
# a parameter needs `torch.no_grad()`.)
#
# *What the check looks at*
#
# - the forget gates of a net with one layer: 1 point
# - two layers, two directions: 0.5 points
# - everything else is as it was: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Which number b has σ(b) = p? It is the log-odds of p.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `lstm.named_parameters()` lists every layer and direction: the names begin with `bias_ih` or `bias_hh`. The forget gate's rows are H to 2H, with H = `lstm.hidden_size`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Within `torch.no_grad()`, for each bias: fill its rows H to 2H with log(p / (1 − p)) if it is one of the `bias_ih`, and with 0 if it is one of the `bias_hh`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "forget_bias", "locked": false, "schema_version": 3, "solution": true, "task": false}
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


# %% nbgrader={"grade": true, "grade_id": "check-forget_bias", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.forget_bias", open_forget_gates)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s4_gru", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. Two cells called GRU
#
# The library's GRU and the one of the lecture slides differ in three places. You write both, then carry weights across.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-gru_torch", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The library's GRU, update gate first
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# The GRU of `torch.nn` resets *after* the matrix product, and its update gate $z_t$ keeps the **old** state:
#
# $$\begin{aligned}
# r_t &= \sigma(x_t W_{xr} + b_{xr} + h_{t-1} W_{hr} + b_{hr}) \\
# z_t &= \sigma(x_t W_{xz} + b_{xz} + h_{t-1} W_{hz} + b_{hz}) \\
# n_t &= \tanh\!\left(x_t W_{xn} + b_{xn} + r_t \odot (h_{t-1} W_{hn} + b_{hn})\right) \\
# h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}
# \end{aligned}$$
#
# Other libraries store the same cell otherwise. Here the matrices multiply rows from the right and stand side by side in the
# order **z, r, n** (torch stacks r, z, n): `W_x` (D, 3H), `W_h` (H, 3H), `b_x` (3H,), `b_h` (3H,). Write
# `gru_torch(x, h, W_x, W_h, b_x, b_h)` for `x` (N, D) and `h` (N, H); it returns $h_t$ (N, H).
#
# *What the check looks at*
#
# - h_t for N = 3, D = 4, H = 5: 1.5 points
# - gradients with respect to all six arguments: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Two products are enough: one with `x`, one with `h`, each (N, 3H). Cut both in three.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Only the third piece of the `h` side, its bias included, is multiplied by `r`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `xz, xr, xn = (x @ W_x + b_x).chunk(3, dim=1)`, likewise `hz, hr, hn`; then `n = torch.tanh(xn + r * hn)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "gru_torch", "locked": false, "schema_version": 3, "solution": true, "task": false}
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


# %% nbgrader={"grade": true, "grade_id": "check-gru_torch", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.gru_torch", gru_torch)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-gru_deck", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The GRU of the slides, with a bias for each gate
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# **A slip on a slide.** Spanakis and Driessens (Deep learning for agents, part 2) build their GRU up over five slides. It resets **before** the matrix
# product, and its $z_t$ lets the **new** state in:
#
# $$\begin{aligned}
# r_t &= \sigma\!\left(W_r \begin{pmatrix} x_t \\ h_{t-1} \end{pmatrix} + b_f\right) \qquad
# z_t = \sigma\!\left(W_z \begin{pmatrix} x_t \\ h_{t-1} \end{pmatrix} + b_f\right) \\
# h'_t &= \tanh W \begin{pmatrix} x_t \\ r_t \odot h_{t-1} \end{pmatrix} \qquad
# h_t = (1 - z_t) \odot h_{t-1} + z_t \odot h'_t
# \end{aligned}$$
#
# Both gates share one bias, left over from the LSTM's forget gate. With it the two gates cannot have different default
# openness: remembering ($z$ shut) then also means forgetting the past inside the candidate ($r$ shut). Write the mended cell
# `gru_deck(x, h, W_r, W_z, W, b_r, b_z, b)`: each gate has its own bias, and the candidate has the bias `b`, inside the
# tanh. `x` (N, D), `h` (N, H), the three matrices (H, D + H) with the columns of the input first, the biases (H,); it returns
# $h_t$ (N, H).
#
# *What the check looks at*
#
# - h_t for N = 3, D = 4, H = 5: 1 point
# - each gate forced shut or open by its own bias: 0.5 points
# - gradients with respect to all eight arguments: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Compute both gates from the same stacked input; the candidate needs another stack.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The candidate's stack holds `r * h` in place of `h`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `h_new = torch.tanh(torch.cat([x, r * h], 1) @ W.T + b)`, blended as `(1 - z) * h + z * h_new`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "gru_deck", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gru_deck(x: Tensor, h: Tensor, W_r: Tensor, W_z: Tensor, W: Tensor, b_r: Tensor, b_z: Tensor, b: Tensor) -> Tensor:
    """One step: x (N, D), h (N, H), matrices (H, D + H), biases (H,) -> (N, H)."""
    ### BEGIN SOLUTION
    stacked = torch.cat([x, h], dim=1)
    r = torch.sigmoid(stacked @ W_r.T + b_r)
    z = torch.sigmoid(stacked @ W_z.T + b_z)
    candidate = torch.tanh(torch.cat([x, r * h], dim=1) @ W.T + b)
    return (1 - z) * h + z * candidate
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-gru_deck", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.gru_deck", gru_deck)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-gru_convert", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Weights from the slides' GRU into torch's
#
# Difficulty ●●●○○ · about 20 minutes · 3 points
#
# You have weights of the slides' GRU (the mended one of the last exercise) and want to load them into `nn.GRUCell`. The update
# gates mirror each other, so $z^\text{torch} = 1 - z^\text{slides}$, and $1 - \sigma(a) = \sigma(-a)$. The reset cannot be
# carried over in general: $W_h (r \odot h)$ is not $r \odot (W_h h)$. It can where r is 1, and where the state is 0; then
# your conversion must be **exact**, which settles where the candidate's bias has to go.
#
# Write `gru_convert(W_r, W_z, W, b_r, b_z, b)` for matrices (H, D + H), input columns first, and biases (H,). It returns a
# dictionary with exactly the names of `nn.GRUCell`: `weight_ih` (3H, D), `weight_hh` (3H, H), `bias_ih` (3H,), `bias_hh` (3H,),
# rows in torch's order **r, z, n**. H is `len(b)`.
#
# *What the check looks at*
#
# - names and shapes of the four tensors: 0.5 points
# - gates and candidate matrices, with D = 4, H = 5: 1 point
# - nn.GRUCell with your weights where r = 1: 0.5 points
# - nn.GRUCell with your weights from a zero state, any r: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# Which of the four biases of the candidate and the gates does `r` multiply in torch's equation?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Negate everything that goes into $z$: its matrix and its bias.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Stack `[W_r, -W_z, W]`, cut the columns at D; the whole bias goes to `bias_ih`, and `bias_hh` is zero.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "gru_convert", "locked": false, "schema_version": 3, "solution": true, "task": false}
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


# %% nbgrader={"grade": true, "grade_id": "check-gru_convert", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("01.gru_convert", gru_convert)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s5_architectures", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. Other ways to wire it
#
# The cell stays; what changes is who reads what. One network reads from both ends, one looks further back than a step, one
# is deep.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-bidirectional_readout", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### From both ends, with padding
#
# Difficulty ●●●○○ · about 25 minutes · 3 points
#
# A bidirectional network runs two cells with weights of their own: one from the first step to the last, one from the last
# to the first. In a batch the sequences have different lengths and are padded at the end, so *the last step* is another
# step for each of them: the backward cell must **begin** there, with a state of zeros, and never see the padding. `scan`, given
# below, runs a cell over all steps and knows nothing of lengths. Write two functions.
#
# - `bidirectional_states(x, lengths, forward, backward)`: `x` (N, T, D); `lengths` (N,) int64, from 1 to T; `forward` and
#   `backward` are triples `(W_hx, W_hh, b)` as `scan` takes them. Returns (N, T, 2H): for each step the forward state, then
#   the state of the backward cell **after it has read that step** (so at step 0 it has read the whole sequence). Steps in the
#   padding hold zeros. What stands there (any finite number) must not matter.
# - `bidirectional_readout(states, lengths)`: from such states (N, T, 2H) the summary (N, 2H) of each sequence: for either
#   direction the state that has read all of it.
#
# *What the check looks at*
#
# - states of four sequences of lengths 1, 3, 4 and 6: 1 point
# - the same with 50 in every padded place: 0.5 points
# - the summary, from states that are handed over: 1 point
# - gradients with respect to x (none from the padding) and all six weights: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Draw a sequence of 3 steps in a batch of 6. Where does a plain `flip` put its three steps?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Turn each sequence round *within its length*: step t becomes step `lengths - 1 - t`. The same index turns the backward states back again.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `turn = (lengths[:, None] - 1 - torch.arange(T)).clamp(min=0)` and `rows = torch.arange(N)[:, None]`: then `x[rows, turn]` is the batch turned round, and `scan(...)[rows, turn]` turns the states back. Zero the padding last.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-bidirectional_readout", "locked": true, "schema_version": 3, "solution": false, "task": false}
def scan(x: Tensor, W_hx: Tensor, W_hh: Tensor, b: Tensor) -> Tensor:
    """The tanh cell over x (N, T, D), from a state of zeros -> its states (N, T, H). It knows nothing of lengths."""
    h = torch.zeros(len(x), len(b), dtype=x.dtype)
    states = []
    for x_t in x.unbind(dim=1):
        h = torch.tanh(x_t @ W_hx.T + h @ W_hh.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


# %% nbgrader={"grade": false, "grade_id": "bidirectional_readout", "locked": false, "schema_version": 3, "solution": true, "task": false}
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


# %% nbgrader={"grade": true, "grade_id": "check-bidirectional_readout", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("01.bidirectional_readout", bidirectional_states, bidirectional_readout)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-skip_in_time", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A connection that skips steps
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# Over a long distance a gradient passes one Jacobian for each step. Give the cell a second look back, $k$ steps far, and there
# is a way with $k$ times fewer of them:
#
# $$h_t = \tanh\!\left(W_{hx}\, x_t + W_{hh}\, h_{t-1} + W_{skip}\, h_{t-k} + b\right)$$
#
# Before the first step every state is 0. Write `skip_states(x, W_hx, W_hh, W_skip, b, k)` for `x` (N, T, D), `W_hx` (H, D),
# `W_hh` and `W_skip` (H, H), `b` (H,) and a whole number `k` of at least 1, which may exceed T. It returns the states
# (N, T, H). The gradient flows along both ways.
#
# *What the check looks at*
#
# - states for k = 3, T = 8: 1 point
# - k = 1 (both look at one state), k = 7 and k = 9 (beyond the start): 0.5 points
# - gradients of the last state, k = 3: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Keep all states, not just the last one. What is there to look back to when `t < k`?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Begin the list of states with `k` tensors of zeros: then the state k steps back is always in it.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# With `states = [zeros] * k`, a step appends `torch.tanh(x_t @ W_hx.T + states[-1] @ W_hh.T + states[-k] @ W_skip.T + b)`. Stack `states[k:]`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "skip_in_time", "locked": false, "schema_version": 3, "solution": true, "task": false}
def skip_states(x: Tensor, W_hx: Tensor, W_hh: Tensor, W_skip: Tensor, b: Tensor, k: int) -> Tensor:
    """x (N, T, D), W_hx (H, D), W_hh and W_skip (H, H), b (H,), a distance k -> states (N, T, H)."""
    ### BEGIN SOLUTION
    states = [torch.zeros(len(x), len(b), dtype=x.dtype)] * k
    for x_t in x.unbind(dim=1):
        states.append(torch.tanh(x_t @ W_hx.T + states[-1] @ W_hh.T + states[-k] @ W_skip.T + b))
    return torch.stack(states[k:], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-skip_in_time", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.skip_in_time", skip_states)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-residual_stack", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A stack with skips across layers
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# In a stack, the states of one layer are the inputs of the next: `nn.RNN(..., num_layers=L)` does that. Add a skip across each
# layer, so that a layer only has to learn what to *change*:
#
# $$s^{(0)}_t = W x_t + b, \qquad
# s^{(l)}_t = s^{(l-1)}_t + \text{RNN}^{(l)}\!\left(s^{(l-1)}\right)_t, \quad l = 1 \ldots L$$
#
# The first line makes the widths fit, so that the sum is possible from the first layer on.
#
# Write the class `ResidualStack(D, H, L)`, an `nn.Module` with exactly these parts: `self.inlet`, an `nn.Linear` from D to H, and
# `self.layers`, an `nn.ModuleList` of L separate one-layer `nn.RNN` of H inputs and H units (tanh, with biases,
# `batch_first=True`). Called with `x` (N, T, D) it returns $s^{(L)}$, a tensor (N, T, H). Each layer starts from a state of zeros.
#
# *What the check looks at*
#
# - names and shapes of the parameters, for L = 1 and L = 3: 0.5 points
# - states for given weights, L = 1 and L = 3: 1 point
# - states when all weights of the layers are zero: 0.5 points
# - gradients of all parameters, L = 3: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# `nn.RNN` returns two things. Which of them has a state for every step?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `[nn.RNN(...)] * L` is one layer L times, with one set of weights. A list comprehension makes L layers.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# In `forward`: `s = self.inlet(x)`, then for each layer `s = s + layer(s)[0]`, and return `s`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "residual_stack", "locked": false, "schema_version": 3, "solution": true, "task": false}
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


# %% nbgrader={"grade": true, "grade_id": "check-residual_stack", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("01.residual_stack", ResidualStack)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s6_attention", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. Attention
#
# A different summary of the source for every step of the output: two scores for it, and the form without recurrence.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-dot_attention", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Dot attention over a padded source
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# A decoder state asks, the encoder states answer (Luong, Pham and Manning 2015, section 3.1, the score *dot*):
#
# $$e_{ns} = q_n^\top m_{ns} \qquad \alpha_{ns} = \frac{\exp e_{ns}}{\sum_{s'} \exp e_{ns'}} \qquad
# c_n = \sum_s \alpha_{ns}\, m_{ns}$$
#
# Sources in a batch have different lengths; both sums run over real words only. Write `dot_attention(query, memory, mask)` for
# `query` (N, H), `memory` (N, S, H) and a boolean `mask` (N, S), **True where there is a word**. It returns the pair
# `(context, weights)` of shapes (N, H) and (N, S). There is no scaling. Padded positions get a weight of exactly 0, and scores
# of several thousand must not overflow. Every row of the mask has at least two words.
#
# *What the check looks at*
#
# - context and weights for N = 3, S = 6, H = 4, ragged lengths: 1 point
# - scores in the thousands, garbage in the padding: 0.5 points
# - gradients with respect to query and memory: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# First all scores, one for each pair of sentence and source position, then the mask, then the softmax.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# A score of -inf becomes a weight of exactly 0; `masked_fill` wants True where to fill.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `scores = (memory @ query[:, :, None]).squeeze(2)`, then `scores.masked_fill(~mask, -math.inf).softmax(dim=1)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "dot_attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dot_attention(query: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """query (N, H), memory (N, S, H), mask (N, S) True for words -> context (N, H), weights (N, S)."""
    ### BEGIN SOLUTION
    scores = (memory @ query[:, :, None]).squeeze(2)
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=1)
    context = (weights[:, None, :] @ memory).squeeze(1)
    return context, weights
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-dot_attention", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.dot_attention", dot_attention)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-additive_attention", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Additive attention, all steps at once
#
# Difficulty ●●●○○ · about 18 minutes · 2 points
#
# Bahdanau, Cho and Bengio (2015, section A.1.2) score a decoder state against an encoder state with a small network:
#
# $$e_{nts} = v^\top \tanh(W_q\, q_{nt} + W_m\, m_{ns}) \qquad \alpha_{nt\cdot} = \text{softmax over } s \qquad
# c_{nt} = \sum_s \alpha_{nts}\, m_{ns}$$
#
# Write `additive_attention(queries, memory, mask, W_q, W_m, v)` for `queries` (N, T, H), `memory` (N, S, H), a boolean `mask`
# (N, S), True where there is a word, `W_q` and `W_m` (A, H), `v` (A,). It returns `(context, weights)` of shapes (N, T, H) and
# (N, T, S), with weights of exactly 0 on padding. No loop over steps is needed, and none is forbidden.
#
# *What the check looks at*
#
# - context and weights for N = 2, T = 3, S = 5, H = 4, A = 6: 1.5 points
# - gradients with respect to queries, memory, W_q, W_m, v: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Every query meets every source position: you need a tensor (N, T, S, A) before `v` folds it.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Project both sides first, then add them with axes of length 1 where the other side varies.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `(queries @ W_q.T)[:, :, None] + (memory @ W_m.T)[:, None]` is (N, T, S, A); the mask needs an axis for T, too.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "additive_attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
def additive_attention(
    queries: Tensor, memory: Tensor, mask: Tensor, W_q: Tensor, W_m: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    """queries (N, T, H), memory (N, S, H), mask (N, S) -> context (N, T, H), weights (N, T, S)."""
    ### BEGIN SOLUTION
    asked = (queries @ W_q.T)[:, :, None, :]
    stored = (memory @ W_m.T)[:, None, :, :]
    scores = torch.tanh(asked + stored) @ v
    weights = scores.masked_fill(~mask[:, None, :], -math.inf).softmax(dim=2)
    return weights @ memory, weights
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-additive_attention", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.additive_attention", additive_attention)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-causal_self_attention", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Causal self-attention with a narrow value
#
# Difficulty ●●●○○ · about 15 minutes · 2.5 points
#
# Every token asks, and is asked, in one sequence; a token may look at itself and at what came before (Vaswani et al. 2017,
# section 3.2.1 and the mask of 3.2.3):
#
# $$Q = XW_q^\top,\; K = XW_k^\top,\; V = XW_v^\top \qquad
# A = \text{softmax}\!\left(\frac{QK^\top}{\sqrt{d_k}} + M\right) \qquad Y = AV$$
#
# with $M_{ts} = 0$ for $s \le t$ and $-\infty$ for $s > t$. Write `causal_self_attention(x, W_q, W_k, W_v)` for `x` (N, T, D),
# `W_q` and `W_k` (d_k, D), `W_v` (d_v, D). Values are narrower than keys here: $d_v \ne d_k \ne D$, and the scale belongs to
# $d_k$. It returns `(out, weights)` of shapes (N, T, d_v) and (N, T, T). A changed token must leave all earlier
# outputs as they were, to the bit.
#
# *What the check looks at*
#
# - out and weights for N = 2, T = 5, D = 6, d_k = 4, d_v = 3: 1 point
# - changing the last two tokens moves outputs there, no earlier one: 1 point
# - gradients with respect to x and the three matrices: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Three projections, one (N, T, T) matrix of scores, a triangle of -inf, a softmax along the right axis.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Rows are the tokens that ask. `torch.triu(..., diagonal=1)` marks what a row may not see.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `scores = q @ k.transpose(1, 2) / math.sqrt(k.shape[-1])`, filled with -inf where `triu(1)` is True, `softmax(dim=-1)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "causal_self_attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
def causal_self_attention(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, T, D), W_q and W_k (d_k, D), W_v (d_v, D) -> out (N, T, d_v), weights (N, T, T)."""
    ### BEGIN SOLUTION
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    scores = q @ k.transpose(1, 2) / math.sqrt(k.shape[-1])
    future = torch.ones_like(scores, dtype=torch.bool).triu(diagonal=1)
    weights = scores.masked_fill(future, -math.inf).softmax(dim=-1)
    return weights @ v, weights
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-causal_self_attention", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("01.causal_self_attention", causal_self_attention)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s7_outcomes", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 7. What comes out
#
# A model's numbers become words, a training loop becomes weights, and a bound becomes an explanation in your own words.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-sampler", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Which word next?
#
# Difficulty ●●●○○ · about 20 minutes · 3 points
#
# A language model returns logits. Two knobs decide how they become a word: the *temperature* $\tau$ divides the logits, and
# *top-k* lets only the $k$ largest of each row take part; what is left is normalised again.
#
# $$p_w = \frac{\exp(z_w/\tau)}{\sum_{v \in \text{top } k} \exp(z_v/\tau)} \text{ for } w \in \text{top } k,
# \qquad p_w = 0 \text{ otherwise}$$
#
# Write two functions for `logits` (N, V), without ties.
#
# - `next_probabilities(logits, temperature, top_k)`: the probabilities (N, V), dtype of the logits. `top_k` is a whole number from
#   1 to V, or `None` for all. `temperature` is a number, at least 0. At exactly 0, which is the limit, the largest logit has
#   probability 1; small temperatures must not overflow.
# - `sample_tokens(logits, temperature, top_k, generator)`: one token for each row, drawn independently, (N,) int64.
#   All randomness comes from `generator`, a `torch.Generator`; the global one stays untouched.
#
# Shares are counted over 4000 rows and may be off by 0.055. A right sampler fails this less than once in a million checks.
#
# *What the check looks at*
#
# - probabilities for five pairs of knobs: 1 point
# - temperature near 0 and at 0, top-k of 1: 0.5 points
# - shares of the tokens drawn for 4000 rows each of two kinds: 1 point
# - the given generator and no other: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# A logit of minus infinity has probability 0, and the softmax does the normalising. `torch.softmax` does not overflow.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `logits.topk(k, dim=1).values[:, -1:]` is the smallest logit of each row that stays. Treat temperature 0 first.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `scores.masked_fill(scores < kth, -math.inf)`, then `torch.softmax(scores / temperature, dim=1)`; and `torch.multinomial(p, 1, generator=generator)` draws a column (N, 1).
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "sampler", "locked": false, "schema_version": 3, "solution": true, "task": false}
def next_probabilities(logits: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """logits (N, V) -> probabilities (N, V)."""
    ### BEGIN SOLUTION
    if temperature == 0:
        return F.one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits.dtype)
    if top_k is not None:
        kth = logits.topk(top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < kth, -math.inf)
    return torch.softmax(logits / temperature, dim=1)
    ### END SOLUTION


def sample_tokens(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator) -> Tensor:
    """logits (N, V) -> one token for each row (N,) int64."""
    ### BEGIN SOLUTION
    p = next_probabilities(logits, temperature, top_k)
    return torch.multinomial(p, 1, generator=generator)[:, 0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-sampler", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("01.sampler", next_probabilities, sample_tokens)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-parity_learner", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Learn a rule on short strings, use it on long ones
#
# Difficulty ●●●●○ · about 30 minutes · 3 points
#
# A gated network shall learn to say after every symbol of -1 and +1 whether the number of +1 so far is **odd**: from sequences
# of at most 10 symbols, so well that it still holds at 40. What is graded is what comes out, the weights.
#
# Write `train_parity(seed)`, which trains a `ParityNet(seed)` and returns its `state_dict()`. Both it and the data,
# `odd_so_far`, are given below. Train on sequences of 1 to 10 symbols, the short ones first, with a loss at **every** step:
# the logits belong into `F.binary_cross_entropy_with_logits`. All random numbers come from a `torch.Generator` with this seed.
# A training of 5 seconds is plenty; when your work is graded without its file, it may take 20 at most.
#
# The cell after yours runs it once with seed 0 and keeps the weights in `parity.safetensors` (hand in this file, too). It trains
# again only where the file is absent: **delete it after a change**. The check loads `parity_weights` into a `ParityNet` of its own
# (names and shapes as there, float32 or float64) and measures on 300 fresh sequences of 40 symbols. Over steps 1 to 10 at least
# 0.99 of the answers must be right, over steps 31 to 40 at least 0.97. (The solution's training takes a second or two, and reached
# 0.996 to 1.000 on the latter with 20 seeds.)
#
# *What the check looks at*
#
# - names, shapes and finite numbers of the 6 tensors: 0.5 points
# - accuracy over steps 1 to 10, at least 0.99: 1 point
# - accuracy over steps 31 to 40, at least 0.97: 1.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Ten lines: net, generator, Adam, a loop of some 600 steps. In the loop: a batch of one length, loss, `zero_grad`, `backward`, `step`.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The length of step k may be `min(10, 1 + k // 40)`. A learning rate of 0.02 with the gradient's norm clipped at 1 is fast and safe.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `x, y = odd_so_far(64, length, generator)`, then `loss = F.binary_cross_entropy_with_logits(net(x), y)`: this is the mean over all sequences and steps. At the end `return net.state_dict()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-parity_learner", "locked": true, "schema_version": 3, "solution": false, "task": false}
class ParityNet(nn.Module):
    """Reads x (N, T, 1) of -1 and +1; its logits (N, T) are above 0 where it takes the number of +1 so far for odd."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # the global generator stays as it was
            torch.manual_seed(seed)
            self.gru = nn.GRU(1, 8, batch_first=True)
            self.head = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x)[0])[..., 0]


def odd_so_far(n: int, length: int, generator: torch.Generator) -> tuple:
    """Symbols x (N, T, 1) of -1 and +1, labels y (N, T) float: 1 where the number of +1 up to this step is odd."""
    ups = torch.randint(0, 2, (n, length), generator=generator)
    return (2.0 * ups - 1.0)[..., None], (ups.cumsum(1) % 2).float()


def load_or_train(path: str, train: Callable[[int], dict[str, Tensor]], seed: int = 0) -> dict[str, Tensor]:
    """The tensors in the file, or where there is none those that train(seed) returns, which are then kept in the file."""
    import os
    import time

    from safetensors.torch import load_file, save_file

    if os.path.exists(path):
        print(f"{path}: loaded. Delete the file to train again.")
        kept: dict[str, Tensor] = load_file(path)
        return kept
    start = time.perf_counter()
    weights = train(seed)
    if not isinstance(weights, dict):
        raise TypeError(f"the training returned a {type(weights).__name__}, expected a dictionary: net.state_dict().")
    save_file({name: tensor.detach().contiguous() for name, tensor in weights.items()}, path + ".part")
    os.replace(path + ".part", path)  # all or nothing: a run that is stopped leaves no half file
    print(f"{path}: trained in {time.perf_counter() - start:.0f} s, and kept.")
    return weights


# %% nbgrader={"grade": false, "grade_id": "parity_learner", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_parity(seed: int) -> dict:
    """A ParityNet(seed), trained on sequences of 1 to 10 symbols -> its state_dict."""
    ### BEGIN SOLUTION
    net, generator = ParityNet(seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for step in range(600):
        x, y = odd_so_far(64, min(10, 1 + step // 40), generator)
        loss = F.binary_cross_entropy_with_logits(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    return net.state_dict()
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "run-parity_learner", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["nbval-ignore-output"]
try:
    parity_weights = load_or_train("parity.safetensors", train_parity)
except NotImplementedError:
    parity_weights = None  # not started

# %% nbgrader={"grade": true, "grade_id": "check-parity_learner", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("01.parity_learner", parity_weights)

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-vanishing_gradients", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### In your own words: sufficient, necessary, and a trap
#
# Difficulty ●●●○○ · about 20 minutes · 3 points · graded by a person
#
# A slide (Spanakis and Driessens, Maastricht, *Deep learning for agents*, Part 2, after Pascanu, Mikolov and Bengio 2013)
# says: with $\lambda_1$ the largest singular value of the recurrent matrix and $\gamma$ the largest slope of the activation,
# $\lambda_1 < 1/\gamma$ is *sufficient* for vanishing gradients and $\lambda_1 > 1/\gamma$ is *necessary* for exploding ones.
#
# A student builds a network of 20 **sigmoid** units, so $\gamma = 1/4$, with a random recurrent matrix scaled to
# $\lambda_1 = 4.8$. As $\gamma \lambda_1 = 1.2$ and $1.2^{50} \approx 9 \cdot 10^3$, they expect the gradient to explode.
# With random inputs, the measured norm of $\partial h_{50} / \partial h_0$ is about $10^{-13}$.
#
# In about 200 words:
#
# 1. Derive the bound $\lVert \partial h_T / \partial h_0 \rVert \le (\gamma \lambda_1)^T$ and say why the first statement
#    follows from it.
# 2. Why does the second one say *necessary* and not *sufficient*? Name two reasons why the student's gradient vanishes all
#    the same.
# 3. The student now clips the gradient's norm. Does that help here? What would?

# %% [markdown] nbgrader={"grade": true, "grade_id": "vanishing_gradients", "locked": false, "schema_version": 3, "solution": true, "task": false, "points": 3.0}
# 1. By the chain rule, dh_T/dh_0 is a product of T Jacobians diag(s'(a_t)) W_hh. The norm of a product is at most the product
#    of the norms, the diagonal factor has a norm of at most gamma and W_hh one of lambda_1, so the product is at most
#    (gamma lambda_1)^T. If lambda_1 < 1/gamma, the base is below 1 and the bound falls exponentially: whatever the inputs
#    are, the gradient vanishes. That is what *sufficient* means.
# 2. The norm can only exceed 1 if the bound does, that is if lambda_1 > 1/gamma; without that nothing explodes, so the
#    condition is necessary. But an upper bound above 1 promises nothing about what lies below it. Two reasons for 10^-13: the
#    slope h (1 - h) is 1/4 only at h = 1/2, and every unit that the inputs push away from there has less, so that the product
#    of the actual slopes is far below gamma^T; and 4.8 is the stretch of *one* step along *one* direction, which the next step
#    need not continue (the eigenvalues of this matrix are smaller, and most directions are stretched less).
# 3. No. Clipping only ever shortens a gradient, so it cures explosions; here there is nothing to clip. What helps keeps the
#    factors near 1: gated cells (LSTM, GRU) with an additive path and an open forget gate, skips through time, tanh or
#    rectified units with an orthogonal or identity start, or shorter ways such as attention.
#
# **Rubric**
#
# - 1: The bound: product of Jacobians, its norm at most the product of the norms, both factors named; a base below 1 vanishes.
# - 1: An upper bound above 1 decides nothing (0.5); two reasons: slopes below gamma when units leave h = 1/2, and one stretched direction that the next step need not continue, or singular value against eigenvalue (0.25 each).
# - 1: Clipping cannot lengthen a gradient (0.5); a remedy that keeps the factors near 1, with the reason (0.5).

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Where you stand
#
# `progress` keeps your best scores on this computer, across sessions. Before you hand in, restart the kernel and run all
# cells: what the grader sees is the notebook run from top to bottom.
#

# %% nbgrader={"grade": false, "grade_id": "progress", "locked": true, "schema_version": 3, "solution": false, "task": false}
progress("01")
