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
# *What the check looks at:* h_t for a batch of 3, D = 4, H = 5 (1) · gradients with respect to x, h, W and b (0.5) · the same for a batch of one (0.5).
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
# `unroll(cell, x, h, reverse)` takes a function `cell(x_t, h)` that maps (N, D) and (N, H) to (N, H), a batch `x` of shape
# **(N, T, D)**, a first state `h` (N, H) and a truth value. It returns a pair:
#
# - `states` (N, T, H): **`states[:, t]` is the state right after the cell has read `x[:, t]`**, in both directions, so that
#   forward and backward states of one position can later be put side by side;
# - `last` (N, H): the state after the final step that was taken, which for `reverse=True` is the one that read `x[:, 0]`.
#
# Reading starts from `h` at whichever end it starts. Gradients flow through all steps.
#
# *What the check looks at:* states and last state, forwards (0.5) · states and last state, backwards in time (1) · gradients through all steps, both ways (0.5).
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
# $$C = 
# rac{1}{\sum_n \ell_n} \sum_{n=1}^{N} \sum_{t=1}^{\ell_n} -\log \mathrm{softmax}(a_{nt})_{y_{nt}}$$
#
# `masked_loss(logits, y, lengths)` takes `logits` $a$ (N, T, C), `y` (N, T) int64 with classes 0 to C − 1, and `lengths`
# $\ell$ (N,) int64 between 1 and T, and returns the scalar $C$. Every real position weighs the same, whichever sequence it
# belongs to.
#
# Two things are easily got wrong. The padding of `y` holds zeros, but class 0 is an ordinary class. And the padding of
# `logits` may hold **anything, even NaN**: neither the loss nor its gradient may notice, and the gradient there is exactly 0.
#
# *What the check looks at:* the loss with and without padding (1) · the gradient, exactly 0 in the padding (0.5) · NaN in the padding changes nothing (0.5).
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
# The gradient goes back along the states. You send it there by hand, tame it when it grows, cut it where a stream never
# ends, and mend two sentences about it.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-bptt", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Back-propagation through time, by hand
#
# Difficulty ●●●●○ · about 30 minutes · 3 points
#
# Send the gradient back through the rectified cell $h_t = \max(0,\, W_{hx} x_t + W_{hh} h_{t-1} + b)$, with a loss at every
# step: $C = \sum_t C_t(h_t)$. The forward pass is given as `relu_states`.
#
# `bptt(x, states, W_hh, dh)` takes
#
# - `x` (N, T, D) and `states` (N, T + 1, H) from `relu_states`: `states[:, 0]` is the first state $h_0$, and
#   `states[:, t + 1]` is the state after reading `x[:, t]`;
# - `W_hh` (H, H);
# - `dh` (N, T, H): `dh[:, t]` is $\partial C_t / \partial h$, the gradient that the state after `x[:, t]` gets from **its own**
#   step's loss alone.
#
# It returns `(dW_hx, dW_hh, db, dh_0)`: the gradients of $C$, shapes (H, D), (H, H), (H,) and (N, H), each summed over steps and
# sequences. The derivative of the rectifier at 0 counts as 0. The check runs your function with autograd switched off.
#
# *What the check looks at:* gradient of the recurrent weights (1) · gradients of the input weights and the bias (1) · gradient of the first state (0.5) · all four for sequences of one step (0.5).
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
    """The forward pass: x (N, T, D), h (N, H) -> states (N, T + 1, H); states[:, 0] is h, states[:, t + 1] has read x[:, t]."""
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
# **A slip on a slide.** Spanakis and Driessens (Maastricht, *Deep learning for agents*, Part 2) unfold the network into one copy for each time step,
# compute a weight update for each copy, and then have the updates "summed (or averaged)" and applied. With $W^{(t)}$
# the copy at step $t$, that is one of
#
# $$W \leftarrow W - \eta \sum_{t=1}^{T} \frac{\partial C}{\partial W^{(t)}}
# \qquad\text{or}\qquad
# W \leftarrow W - \frac{\eta}{T} \sum_{t=1}^{T} \frac{\partial C}{\partial W^{(t)}}$$
#
# Only one of the two is gradient descent on the loss as a function of the shared $W$. Find out which (the chain rule says it; a
# finite difference shows it), and write
#
# - `tied_step(loss, W, T, lr)`: `loss` takes a **list of T matrices**, one for each time step, and returns the scalar $C$; `W`
#   is (H, H). Make the copies, get their gradients, and return the shared matrix after one step of gradient descent, as a
#   new tensor that needs no gradient. `W` stays as it was.
# - `matching_rate(lr, T)`: the learning rate, a number, with which the *other* rule takes the same step. (For sequences of one
#   length the slip hides in the learning rate. With several lengths no single rate mends it: long sequences then count less.)
#
# *What the check looks at:* the shared matrix after one step (1) · three steps in a row, free of graphs (0.5) · the rate that makes both rules agree (0.5).
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


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-clip_norm", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Clip the norm of all gradients together
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# When a gradient explodes, a step of ordinary length in the same direction is still useful (Pascanu, Mikolov and Bengio 2013,
# algorithm 1). Take the gradients of **all** parameters as one long vector $g$ and rescale it where it is too long:
#
# $$g \leftarrow g \cdot \min\!\left(1,\; \frac{c}{\lVert g \rVert_2}\right)$$
#
# `clip_norm(parameters, limit)` takes a list of `nn.Parameter`, of which some may have no gradient (`p.grad is None`: skip those,
# and leave them so), and $c$ = `limit` > 0. It changes the parameters' `.grad` and returns the norm of $g$ **before** clipping (a number or a
# scalar tensor), which is what one plots. A gradient within the limit stays as it is, to the bit; a gradient of zeros stays zeros. The
# weights themselves stay untouched. Write it yourself, without `torch.nn.utils`.
#
# *What the check looks at:* gradients and returned norm above the limit (1) · nothing changes below the limit (0.5) · missing gradients, and gradients of zeros (0.5).
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
# Collect the gradients that are not None, `norm = sum(g.square().sum() for g in grads).sqrt()`; if it exceeds the limit, `g.mul_(limit / norm)` for each.
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
# The other custom clips entry by entry, $g_j \leftarrow \max(-c, \min(c, g_j))$. It needs no norm, but it turns the gradient. By how much?
#
# `clip_value(parameters, limit)` clips every entry of every `.grad` to the range from −`limit` to `limit`, and returns the **cosine of the
# angle between the whole gradient before and the whole gradient after** (a number or a scalar tensor): all parameters' entries as one
# long vector $g$, and
#
# $$\cos\alpha = \frac{g \cdot g'}{\lVert g \rVert\, \lVert g' \rVert}$$
#
# Parameters without a gradient are skipped and stay so; the weights stay untouched; at least one entry of $g$ is not 0. The result is 1 where
# nothing was clipped. Write it without `torch.nn.utils`.
#
# *What the check looks at:* gradients after clipping at 1 (0.5) · the returned cosine at three limits (0.5) · a parameter without a gradient (0.5).
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


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-spectral_bound", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Which matrix vanishes, and what follows if it does not?
#
# Difficulty ●●●○○ · about 20 minutes · 2 points
#
# **A slip on a slide.** Spanakis and Driessens (Maastricht, *Deep learning for agents*, Part 2) sum up Pascanu, Mikolov and Bengio (2013): with $\lambda_1$ the
# largest singular value of $W$, it is *sufficient* for vanishing gradients that $\lambda_1 < 1/\gamma$, and *necessary* for exploding ones that
# $\lambda_1 > 1/\gamma$, where $\gamma = 1$ for tanh and $1/4$ for the sigmoid. On the same slides $W$ is the **stacked** matrix of
# $h_t = \tanh W \binom{x_t}{h_{t-1}}$. `slide_verdict` takes this literally, and takes "necessary" for "enough" besides; `counterexample()`, run below your
# answer, shows what becomes of it.
#
# Go back to the chain rule. One step back multiplies by $\operatorname{diag}(\sigma') \, \partial a_t / \partial h_{t-1}$, where the
# derivative $\sigma'$ is at most $\gamma$. Write
#
# - `jacobian_bound(W, D, gamma, steps)`: for `W` (H, D + H) with the columns of the input first, the upper bound on the spectral norm of
#   $\partial h_T / \partial h_0$ over `steps` steps that follows from the largest singular value of the **right** matrix; a number;
# - `verdict(W, D, gamma)`: `"vanishes"` where the theorem promises it (the bound shrinks with every step), otherwise `"undecided"`: then
#   the gradient may explode, and may as well vanish.
#
# *What the check looks at:* the bound for four cells, over 1 and 12 steps (1) · the verdict on four cells (1).
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


# %% nbgrader={"grade": false, "grade_id": "run-spectral_bound", "locked": true, "schema_version": 3, "solution": false, "task": false}
counterexample()

# %% nbgrader={"grade": true, "grade_id": "check-spectral_bound", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("01.spectral_bound", jacobian_bound, verdict)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-truncated_bptt", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Train on a stream: truncated back-propagation through time
#
# Difficulty ●●●○○ · about 25 minutes · 3 points
#
# A stream of a million steps cannot be unrolled at once. Williams and Peng (1990) cut the gradient, not the memory: go through the stream
# in chunks of $k$ steps, update after each, and hand the state on to the next chunk *as a number*, without its history.
#
# `train_stream(net, optimizer, x, y, h, k)` trains `net`, a `Reader` (given), with `optimizer` (it has `zero_grad()` and `step()`) on `x` (N, T, D)
# and targets `y` (N, T), from the state `h` (N, H). For each chunk of `k` steps, in order (the **last one may be shorter**):
#
# 1. run `net` on the chunk, from the state in which the previous chunk ended; gradients stay within the chunk;
# 2. loss: the mean squared error over all entries of the chunk;
# 3. one update by `optimizer`, from this chunk's gradient alone.
#
# It returns `(losses, h)`: a list with each chunk's loss as a Python number, and the final state. **Neither may hold a graph**, or memory grows
# with every chunk. The check records the gradient that each update used.
#
# *What the check looks at:* one chunk: loss, gradient and weights (0.5) · three chunks: gradient of each update, losses, final state (1.5) · a stream whose last chunk is shorter (0.5) · losses and final state hold no graph (0.5).
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

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Where you stand
#
# `progress` keeps your best scores on this computer, across sessions. Before you hand in, restart the kernel and run all
# cells: what the grader sees is the notebook run from top to bottom.
#

# %% nbgrader={"grade": false, "grade_id": "progress", "locked": true, "schema_version": 3, "solution": false, "task": false}
progress("01")
