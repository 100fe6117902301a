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
# # Generative adversarial networks
#
# Two networks play against each other. One turns noise into imitations, the other tells them from data, and each learns from
# the other's opinion. You compute the value of the game, its optimum and its gradients, write the steps that train the two
# without spoiling each other, and repair what breaks. Most answers are three to twelve lines. Run the check under an answer as
# often as you like: it says what is right, what is wrong, and which mistake it looks like.
#
# | letter | meaning | symbol | shape |
# |---|---|---|---|
# | N, M | examples, fakes in a batch | data $x \sim p_{data}$ | (N, ...), in [-1, 1] |
# | Z | width of the noise | noise $z \sim p_z$ | (N, Z) |
# | G | generator | fakes $G(z)$, their density $p_g$ | as the data |
# | D | discriminator | logit $a$ | (N,) |
# | k | steps of D for one of G | | |
#
# A discriminator gives a logit $a$ per example, and $\sigma(a)$ is the probability that it is **real**, unless the task says
# otherwise. All logarithms are natural. Numbers that you return are 0-dimensional tensors in the dtype of the inputs unless the
# task says otherwise, and a function must not write into its arguments. Numbers are compared with a relative tolerance of 1e-3
# and an absolute one of 1e-5 unless the task says otherwise.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises import check, hint, progress


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s1_framework", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. The game and its value
#
# What the two networks play for: the value of the game from finitely many scores, the best discriminator there is and what is
# left of the game against it, and a discriminator that answers the opposite question.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-game_value", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The value of the game, and how far to trust it
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# The two networks of Goodfellow et al. (2014, equation 1) play for
#
# $$V(D, G) = \mathbb E_{x \sim p_{data}}[\log D(x)] + \mathbb E_{z \sim p_z}[\log(1 - D(G(z)))], \qquad
# D = \sigma(a).$$
#
# Nobody has the expectations, only samples: N examples and M fakes, drawn independently. Estimate the value **and** say how
# much the estimate would scatter from one draw of the samples to the next.
#
# `game_value(real, fake)` takes the logits of the examples `real` (N,) and of the fakes `fake` (M,), with N and M at least 2
# and not necessarily equal. It returns a pair of 0-dimensional tensors:
#
# - `value`: $V$ with each expectation replaced by the mean of its sample;
# - `error`: its standard error $\sqrt{s_r^2 / N + s_f^2 / M}$. Here $s_r^2$ is the variance of the N terms
#   $\log D(x_n)$, $s_f^2$ that of the M terms $\log(1 - D(G(z_m)))$, both **unbiased** (divided by N − 1 and M − 1).
#
# Logits may be as far out as ±250. There $\sigma(a)$ is exactly 0 or 1 in floating point, but neither result is infinite,
# and none may be off.
#
# *What the check looks at*
#
# - V from 7 examples and 5 fakes: 0.5 points
# - its standard error: 0.5 points
# - both, with logits near 200 and −200 among others: 0.5 points
# - a D that says 1/2 to everything: −log 4, without scatter: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Two samples, two sets of terms. What is log(1 − σ(a)), written as the logarithm of another σ?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# 1 − σ(a) = σ(−a), and torch has a function for the logarithm of σ that never takes the logarithm of 0.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `F.logsigmoid(real)` and `F.logsigmoid(-fake)` are the terms; `.var()` is unbiased; divide each variance by the size of its own sample, add, and take the root.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "game_value", "locked": false, "schema_version": 3, "solution": true, "task": false}
def game_value(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The value of the game and its standard error from logits of examples (N,) and of fakes (M,): two numbers."""
    ### BEGIN SOLUTION
    if_real, if_fake = F.logsigmoid(real), F.logsigmoid(-fake)
    value = if_real.mean() + if_fake.mean()
    error = (if_real.var() / len(if_real) + if_fake.var() / len(if_fake)).sqrt()
    return value, error
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-game_value", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("04.game_value", game_value)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-optimal_discriminator", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The best discriminator, and what is left of the game
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# Where there are only K different examples, everything about the game can be counted. Data come with probabilities $p$,
# fakes with probabilities $q$, and D has one number for each of the K examples. Against a given G the best ones are
#
# $$D^*_k = \frac{p_k}{p_k + q_k}, \qquad
# C(G) = \max_D V(D, G) = \sum_k p_k \log D^*_k + q_k \log(1 - D^*_k) = 2\, \mathrm{JS}(p, q) - \log 4$$
#
# (Goodfellow et al. 2014, proposition 1 and theorem 1; JS is the Jensen-Shannon divergence).
#
# `optimal_discriminator(p, q)` takes two vectors of probabilities (K,), each with sum 1, and returns a pair: `D*` (K,) and
# the value $C(G)$, a 0-dimensional tensor. **Probabilities may be 0**:
#
# - an example that only data have, or only fakes, has $D^*_k$ exactly 1 or 0;
# - an example that neither has does not matter to the game: by convention $D^*_k = 1/2$;
# - in the value, $0 \log 0 = 0$.
#
# So $C = -\log 4$ where $q = p$, and $C = 0$, the largest value there is, where $p$ and $q$ never meet.
#
# *What the check looks at*
#
# - D* and C for 5 examples: 0.5 points
# - D* and C where p is 0, where q is 0, where both are: 1 point
# - C where q = p, and where p and q never meet: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Three things can be 0 here: p, q, and their sum. Which of the formulas meets which?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.where` picks 1/2 where p + q is 0, and `torch.xlogy(x, y)` is x log y with 0 log 0 = 0.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# With `best = torch.where(p + q > 0, p / (p + q), 0.5)` the value is the sum of `torch.xlogy(p, best)` and of the same for q and 1 − best.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "optimal_discriminator", "locked": false, "schema_version": 3, "solution": true, "task": false}
def optimal_discriminator(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """D* (K,) and the value of the game against it, for probabilities p (K,) of data and q (K,) of fakes."""
    ### BEGIN SOLUTION
    best = torch.where(p + q > 0, p / (p + q), 0.5)
    return best, (torch.xlogy(p, best) + torch.xlogy(q, 1 - best)).sum()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-optimal_discriminator", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("04.optimal_discriminator", optimal_discriminator)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-losses_of_p_fake", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A discriminator that answers the opposite question
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# **A slip on a slide.** One lecture writes the game as
#
# $$\arg\min_G \max_D\; \mathbb E_{z, x}\left[ \log D(G(z)) + \log(1 - D(x)) \right].$$
#
# There is nothing wrong with it, but look: this D is trained to give the probability of **fake**, and its optimum is
# $p_g / (p_{data} + p_g)$. Some slides later the same lecture lets G minimise $-\log D(G(z))$, copied from a paper whose D
# gives the probability of **real**. Put the two together and G learns to be recognised. Mend it: write both losses for the D
# of the first slide.
#
# `losses_of_p_fake(real, fake)` takes **logits** $b$ of such a D, $\sigma(b)$ = P(fake): `real` (N,) for data and `fake` (M,)
# for fakes, with N and M not necessarily equal. It returns a pair, both to be **minimised**:
#
# - `d_loss`, 0-dimensional: the binary cross entropy of D with both kinds counting one half,
#   $-\frac12 \left( \mathrm{mean}_m \log D(G(z_m)) + \mathrm{mean}_n \log(1 - D(x_n)) \right)$;
# - `g_losses` (M,), one number **per fake**, no mean: the *non-saturating* loss, minus the logarithm of the probability that
#   this D gives to the fake's being **real**.
#
# Gradients must reach the logits: those of both kinds from `d_loss`. Logits as far out as ±250 must give finite, right numbers.
#
# *What the check looks at*
#
# - d_loss for 6 examples and 4 fakes: 0.5 points
# - g_losses, one for each of 4 fakes: 0.5 points
# - gradients of both with respect to the logits: 0.5 points
# - both losses with logits near 220 and −210: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Say it in words first: which logits does this D want high, which low? And G?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The probability of real is 1 − σ(b) = σ(−b), and −log σ(−b) = softplus(b).
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `F.softplus(fake)` is what each fake costs G. For D: softplus of −fake, and softplus of real, each with its own mean.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "losses_of_p_fake", "locked": false, "schema_version": 3, "solution": true, "task": false}
def losses_of_p_fake(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Losses of a D whose logits say FAKE, for data (N,) and fakes (M,): D's number and G's losses (M,)."""
    ### BEGIN SOLUTION
    d_loss = 0.5 * (F.softplus(-fake).mean() + F.softplus(real).mean())
    g_losses = F.softplus(fake)  # -log P(real) = -log sigma(-b)
    return d_loss, g_losses
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-losses_of_p_fake", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("04.losses_of_p_fake", losses_of_p_fake)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s1_noise", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### From noise to data
#
# The generator as a change of variables: where it stretches the noise, the density thins out.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-push_forward", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The density of what a generator makes
#
# Difficulty ●●●○○ · about 20 minutes · 2 points
#
# A generator transforms one distribution into another. In one dimension, with a strictly monotone G, its density can be
# written down: the mass between two values of z lies between their images, so
#
# $$\log p_g(G(z)) = \log p_z(z) - \log \left| G'(z) \right|.$$
#
# `push_forward(G, log_prior, z)` takes a generator `G` that maps noise (N,) to data (N,) **entry by entry** (`x[n]` depends on
# `z[n]` alone) and is strictly rising or strictly **falling**; a function `log_prior` that maps noise (N,) to
# $\log p_z$ (N,); and noise `z` (N,). It returns a pair of tensors (N,), both without a graph:
#
# - `x` = $G(z)$;
# - `log_density` = $\log p_g$ **at those x**.
#
# You have no formula for $G'$: ask autograd. The prior may be any (the check has a Gaussian and a uniform one), and the
# density may be far smaller than the smallest floating-point number: $\log p_g = -1500$ is an ordinary answer (there the
# relative tolerance is 1e-5). `G`, the `.grad` and flags of its weights, and `z` stay as they were, also where `z` is a leaf
# with a `.grad` of its own.
#
# *What the check looks at*
#
# - a rising G, Gaussian noise: 0.5 points
# - a rising G, uniform noise: 0.25 points
# - a falling G, Gaussian noise: 0.25 points
# - log densities below −1000: 0.25 points
# - the density of x encloses the area 1: 0.25 points
# - weights, gradients and z as before, no graph: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# x[n] depends on z[n] alone. What is then the gradient of the sum of all x?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.autograd.grad(x.sum(), u)` gives all N slopes at once and writes into nobody's `.grad`. Let u be a leaf of your own.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `u = z.detach().requires_grad_()`, slopes by `torch.autograd.grad`, then `log_prior` at the **noise**, minus the logarithm of the absolute slopes; detach what you return.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "push_forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
def push_forward(G: nn.Module, log_prior: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """Data x = G(z) (N,) and the logarithm of G's density there (N,), for noise z (N,) with log density log_prior."""
    ### BEGIN SOLUTION
    u = z.detach().requires_grad_()
    x = G(u)
    (stretch,) = torch.autograd.grad(x.sum(), u)
    return x.detach(), log_prior(u.detach()) - stretch.abs().log()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-push_forward", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("04.push_forward", push_forward)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s2_losses", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. What the generator hears
#
# Two losses with one aim. What differs is the gradient that each fake gets, and so which fakes a batch learns from.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-generator_slopes", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Three slopes by hand, and a slide's sign
#
# Difficulty ●●○○○ · about 15 minutes · 1.5 points
#
# **A slip on a slide.** One slide derives why the generator's gradient vanishes. As printed it reads
#
# $$-\nabla_a \log(1 - \sigma(a)) = \frac{-\nabla_a \sigma(a)}{1 - \sigma(a)} = -\sigma(a).$$
#
# The first minus is the dash of a list, but who takes it for a sign gets $\nabla_a \log(1 - \sigma(a)) = +\sigma(a)$, and
# a generator that descends along it makes its fakes easier to recognise. Do it again, for three losses that a generator can
# **descend**. $a$ is D's logit of a fake and $D = \sigma(a)$ the probability of real:
#
# | row | loss of one fake | name |
# |---|---|---|
# | 0 | $\log(1 - \sigma(a))$ | minimax, saturating |
# | 1 | $-\log \sigma(a)$ | non-saturating |
# | 2 | $-e^{a}$ | maximum likelihood (Goodfellow 2016, section 3.2) |
#
# `generator_slopes(a)` takes logits `a` (N,) and returns the derivatives of the three losses with respect to $a$ (3, N), row
# by row, **signs included, no mean**.
#
# By hand: the check calls you under `torch.inference_mode()`, where autograd records nothing. For logits with an absolute
# value of 41 to 47 it compares with a relative tolerance of 1e-3 and **no absolute one**: a slope of $-10^{-19}$ must be
# $-10^{-19}$, and neither 0 nor infinite.
#
# *What the check looks at*
#
# - the three slopes at a = −5, 0 and 5: 0.5 points
# - the three slopes at other logits: 0.5 points
# - logits near 45 and −45, relative tolerance alone: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# σ' = σ (1 − σ). Write down each loss, differentiate, cancel, and only then write code.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Rows 0 and 1 are −σ(a) and −(1 − σ(a)). The second one, computed like that, is 0 as soon as σ(a) rounds to 1. What is 1 − σ(a) as a single σ?
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `-torch.sigmoid(a)`, `-torch.sigmoid(-a)`, `-torch.exp(a)`, stacked.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "generator_slopes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def generator_slopes(a: Tensor) -> Tensor:
    """Derivatives of the three losses of a generator with respect to D's logits a (N,) -> (3, N)."""
    ### BEGIN SOLUTION
    return -torch.stack([torch.sigmoid(a), torch.sigmoid(-a), torch.exp(a)])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-generator_slopes", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 1.5}
check("04.generator_slopes", generator_slopes)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-gradient_shares", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Which fakes does the generator learn from?
#
# Difficulty ●●●○○ · about 15 minutes · 1.5 points
#
# "The gradient is dominated by the region where samples are already good", a slide says of the minimax loss. Measure it: in
# a batch of fakes, what share of the gradient is whose?
#
# `gradient_shares(a)` takes the logits `a` (N,) that D gives to N fakes and returns their shares (2, N):
#
# $$\mathrm{share}_n = \frac{\left| L'(a_n) \right|}{\sum_m \left| L'(a_m) \right|}, \qquad
# \text{row 0: } L = \log(1 - \sigma(a)), \quad \text{row 1: } L = -\log \sigma(a).$$
#
# Every row sums to 1. Early in training D rejects everything; a batch whose logits are **all** near −1200, or all near +1200,
# is far beyond what $\sigma$ can hold, but each fake still has its share: of two fakes at −1200 and −1201 one is heard 2.7
# times as loud in row 0, and both equally in row 1. Results must be right there too.
#
# *What the check looks at*
#
# - one fake that passes among five: 0.5 points
# - all logits near −1150: 0.5 points
# - all logits near 1150: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# You have both slopes already. Their quotients survive where they themselves do not: how does one divide tiny numbers by their sum?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# A number divided by a sum of such numbers is a softmax of their **logarithms**, which are all ordinary numbers here.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# The logarithm of |slope| is log σ(a) in row 0 and log σ(−a) in row 1: softmax of `F.logsigmoid(...)` over the batch.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "gradient_shares", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient_shares(a: Tensor) -> Tensor:
    """Each fake's share of the generator's gradient at D's logits a (N,) -> (2, N): minimax, non-saturating."""
    ### BEGIN SOLUTION
    loudness = torch.stack([F.logsigmoid(a), F.logsigmoid(-a)])  # log |slope|
    return loudness.softmax(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-gradient_shares", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 1.5}
check("04.gradient_shares", gradient_shares)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s3_training", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. The two steps
#
# Each network is trained through the other, and neither step may leave a trace in the network that it only looks through.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-discriminator_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### One step of D, a batch in pieces
#
# Difficulty ●●●○○ · about 20 minutes · 3 points
#
# The batch that you want does not fit into memory, so it comes in pieces. D still makes **one** update, with the gradient of
# the whole batch, and G, without which there would be no fakes, must not notice.
#
# `discriminator_step(D, G, optimizer, pieces, noise)` makes one update of `D` by `optimizer`, which holds D's weights (it has
# `zero_grad()` and `step()`), and returns the loss, a Python float. D gives logits (n,), $\sigma(a)$ = P(real).
#
# - `pieces` is a list of tensors $x^{(i)}$ ($n_i$, 3), **not all of one size**, N examples altogether. For each of them, in
#   order, draw fresh noise by **one** call `noise(n)` with $n = n_i$, which returns (n, Z), and make as many fakes.
# - The loss is the cross entropy of the whole batch, in the order of its pieces:
#
# $$L = \frac1N \sum_i \sum_{j=1}^{n_i} -\log D(x^{(i)}_j) - \log\left(1 - D(G(z^{(i)}_j))\right)$$
#
# - D sees data and fakes of a piece in **two passes**, as batch norm in D would mix them otherwise.
# - G is handed in in train mode and **runs in train mode**, once per piece: its batch norm uses the statistics of the batch, and
#   its running averages move, as they always do. Nothing else about G changes: weights, their `.grad` (some of it may be in
#   use: do not clear it), their `requires_grad` flags, its mode.
#
# There may be gradients in D's weights from before. The check records the gradient that the update used. The loss is compared
# with a relative tolerance of 1e-5 and an absolute one of 1e-6.
#
# *What the check looks at*
#
# - gradient and weights of one update, pieces of 6, 4, 3: 1 point
# - two steps: two updates, gradients cleared: 0.5 points
# - G's weights, .grad, flags, mode and running averages: 1 point
# - fresh noise, once for each piece: 0.25 points
# - the returned loss, a number, for three pieces and for two: 0.25 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Gradients add up in `.grad` from one `backward` to the next. So how often do you clear, how often do you step?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The fakes are data: make them under `torch.no_grad()`, or detach them before D sees them. Each term's weight is 1/N, whatever piece it stands in.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Clear once; per piece the `softplus` of −D(x) and of D(fakes), both summed, divided by N, and `backward`; after the loop one `step`. Add up the losses by `.item()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "discriminator_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def discriminator_step(D: nn.Module, G: nn.Module, optimizer, pieces: list[Tensor], noise) -> float:
    """One update of D for a batch that comes in pieces (n_i, 3), with fresh fakes for each -> the loss."""
    ### BEGIN SOLUTION
    share, total = 1 / sum(len(x) for x in pieces), 0.0
    optimizer.zero_grad()
    for x in pieces:
        fooling = G(noise(len(x))).detach()
        part = share * (F.softplus(-D(x)).sum() + F.softplus(D(fooling)).sum())
        part.backward()
        total += part.item()
    optimizer.step()
    return total
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-discriminator_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("04.discriminator_step", discriminator_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-generator_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### One step of G, with D on another machine
#
# Difficulty ●●●○○ · about 25 minutes · 2.5 points
#
# All that G ever learns about the data passes through one message: the gradient of its loss with respect to its fakes. So D
# may live on another machine. The fakes travel there, as plain numbers, and the gradient travels back. Write both ends.
#
# **D's end.** `feedback(D, fake)` takes fakes (n, 3) and returns the gradient of the non-saturating loss with respect to them,
#
# $$\frac{\partial}{\partial\, \mathrm{fake}}\; \frac1n \sum_{j=1}^{n} -\log D(\mathrm{fake}_j) \qquad (n, 3),$$
#
# without a graph. `D(fake)` gives logits (n,), $\sigma(a)$ = P(real), and they may be as low as −1000. D is only looked through:
# its weights, their `.grad` (in use: neither add to it nor clear it), and their `requires_grad` flags (some may be frozen)
# stay as they were; so does `fake`, also where it is a leaf with a `.grad` of its own.
#
# **G's end.** `generator_step(G, optimizer, z, feedback)` makes **one** update of `G` by `optimizer`, which holds G's weights
# (it has `zero_grad()` and `step()`), from noise `z` (n, Z). Here `feedback(fake)` takes **one** argument, the fakes
# **without their graph**, is called **once**, and returns a message (n, 3): the gradient of *some* loss with respect to the
# fakes, whatever D and loss it comes from. G descends that loss. Nothing is returned.
#
# The check records the gradient that the update used. Its own message is no gradient of a GAN's loss.
#
# *What the check looks at*
#
# - feedback for 4 fakes and for 2: 0.5 points
# - feedback where D's logits are near −900: 0.5 points
# - feedback leaves D and the fakes as they were: 0.5 points
# - generator_step: fakes sent, gradient, weights: 0.75 points
# - two steps: two updates, gradients cleared: 0.25 points
#
# <details><summary>Hint 1 of 3</summary>
#
# The chain rule cut in two: dL/dfake on one side, dfake/dweights on the other. Who knows which?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# D's end: `torch.autograd.grad` with respect to a leaf with the values of the fakes. G's end: `backward` of a tensor that is no scalar takes an argument.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `fake = G(z)`, then `fake.backward(gradient=...)` with the message for `fake.detach()`. On D's end the loss is the mean of `softplus(-a)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "generator_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def feedback(D: nn.Module, fake: Tensor) -> Tensor:
    """The gradient of the mean of -log D over fakes (n, 3) with respect to them, (n, 3)."""
    ### BEGIN SOLUTION
    received = fake.detach().requires_grad_()
    (message,) = torch.autograd.grad(F.softplus(-D(received)).mean(), received)
    return message
    ### END SOLUTION


def generator_step(G: nn.Module, optimizer, z: Tensor, feedback: Callable[[Tensor], Tensor]) -> None:
    """One update of G from noise z (n, Z), by what `feedback` says about its fakes."""
    ### BEGIN SOLUTION
    sent = G(z)
    optimizer.zero_grad()
    sent.backward(gradient=feedback(sent.detach()))
    optimizer.step()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-generator_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("04.generator_step", feedback, generator_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-algorithm_1", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Algorithm 1, with the right letter under the gradient
#
# Difficulty ●●●○○ · about 25 minutes · 3 points
#
# **A slip on a slide.** One lecture reprints Algorithm 1 of Goodfellow et al. (2014) with this line for the generator:
#
# $$\text{update the generator by descending} \quad
# \nabla_{\theta_d} \frac1m \sum_{i=1}^m \log\left(1 - D(G(z^{(i)}))\right).$$
#
# Run it literally and G never moves: it is D that steps, *down* the value that it had climbed. Put the right letter under the
# gradient, and play the game:
#
# - **for** `iterations` times:
#   - **for** k times: draw m noise vectors and m examples, and let D **ascend**
#     $\frac1m \sum_i \log D(x^{(i)}) + \log(1 - D(G(z^{(i)})))$ by one step;
#   - draw m **new** noise vectors, and let G **descend** $\frac1m \sum_i \log(1 - D(G(z^{(i)})))$ by one step.
#
# `algorithm_1(D, G, d_optimizer, g_optimizer, data, noise, iterations, k, m)` plays it and returns nothing.
#
# - `D` gives logits (m,), $\sigma(a)$ = P(real). `G` takes noise (m, Z).
# - `data(m)` and `noise(m)` each return m fresh rows. Both are called once for each update of D, and `noise(m)` alone once for
#   each update of G, right before it: every number is used for one update only.
# - `d_optimizer` and `g_optimizer` hold the weights of one network each, descend (as optimisers do), and keep a **momentum**: a
#   superfluous `step()` moves weights, a gradient that was not cleared goes on for a long time. Weights may hold gradients from
#   before.
# - G's loss is the one above, the saturating one.
#
# *What the check looks at*
#
# - who steps when, and what is drawn for it: 2 iterations, k = 3, m = 4: 0.75 points
# - the same: 2 iterations, k = 1, m = 2: 0.25 points
# - the gradient of every update, 2 iterations, k = 2: 1 point
# - both networks after 2 iterations, k = 2, with old gradients at the start: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# Two loops, two updates. Which of the two optimisers steps in each, and whose gradients does a `backward` fill?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# G's loss fills D's `.grad` too, and D's loss fills G's unless the fakes are detached: clear right before each `backward`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# D: `softplus(-D(x)).mean() + softplus(D(fakes)).mean()` with detached fakes, cleared and stepped by `d_optimizer`. G: minus the mean of `softplus` of D's logits, cleared and stepped by `g_optimizer`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "algorithm_1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def algorithm_1(
    D: nn.Module, G: nn.Module, d_optimizer, g_optimizer, data, noise, iterations: int, k: int, m: int
) -> None:
    """Goodfellow et al. (2014), algorithm 1: k updates of D on fresh minibatches of m, then one of G, again and again."""
    ### BEGIN SOLUTION
    for _ in range(iterations):
        for _ in range(k):
            on_data, on_fakes = D(data(m)), D(G(noise(m)).detach())
            d_optimizer.zero_grad()
            (F.softplus(-on_data) + F.softplus(on_fakes)).mean().backward()
            d_optimizer.step()
        on_fakes = D(G(noise(m)))
        g_optimizer.zero_grad()
        F.logsigmoid(-on_fakes).mean().backward()
        g_optimizer.step()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-algorithm_1", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("04.algorithm_1", algorithm_1)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s4_failure", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. How it fails
#
# Players that circle for ever, a unique solution that nobody reaches, and the marks that a failed run leaves in its records.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-game_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Three ways to take a step in a game
#
# Difficulty ●●●○○ · about 20 minutes · 3 points
#
# Player $x$ wants a value $V(x, y)$ small, player $y$ wants it large. How do two gradient players move? In three ways at
# least, and on $V = xy$ the first one spirals outwards, the second circles, and the third arrives:
#
# $$\text{simultaneous:} \quad x' = x - \eta\, \nabla_x V(x, y), \qquad y' = y + \eta\, \nabla_y V(x, y)$$
# $$\text{alternating:} \quad x' = x - \eta\, \nabla_x V(x, y), \qquad y' = y + \eta\, \nabla_y V(x', y)$$
# $$\text{extragradient:} \quad x' = x - \eta\, \nabla_x V(\bar x, \bar y),
# \qquad y' = y + \eta\, \nabla_y V(\bar x, \bar y)$$
#
# where $(\bar x, \bar y)$ is what a *simultaneous* step from $(x, y)$ with the same $\eta$ gives (Korpelevich 1976): look
# where the step would lead, come back, and leave in the direction that you saw there.
#
# `game_step(value, x, y, eta, rule)` takes a function `value(x, y)` that returns a scalar, two vectors `x` (D,) and `y` (E,),
# the number `eta` $= \eta$ and one of the words `"simultaneous"`, `"alternating"`, `"extragradient"`. It returns the pair of
# new vectors. They carry no graph; `x` and `y` come without `requires_grad` and stay as they are.
#
# *What the check looks at*
#
# - three simultaneous steps in two games: 1 point
# - three alternating steps: 1 point
# - three extragradient steps: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# Write the simultaneous step first, as a small function. The other two can be had from pieces of it.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.autograd.grad(value(x, y), [x, y])` needs tensors that require a gradient: take `x.clone().requires_grad_()`. The result carries no graph.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# A helper `slopes(x, y)` returns both gradients. Alternating: move x, then ask for the slopes at (x', y) and use the second. Extragradient: ask for the slopes at the look-ahead point, and apply them at (x, y).
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "game_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def game_step(value, x: Tensor, y: Tensor, eta: float, rule: str) -> tuple[Tensor, Tensor]:
    """One step of x (D,), who descends value(x, y), and of y (E,), who ascends it -> the new x and y."""

    ### BEGIN SOLUTION
    def slopes(x, y):
        x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
        return torch.autograd.grad(value(x, y), [x, y])

    at = (x, y)
    if rule == "extragradient":
        down, up = slopes(x, y)
        at = (x - eta * down, y + eta * up)
    down, up = slopes(*at)
    if rule == "alternating":
        up = slopes(x - eta * down, y)[1]
    return x - eta * down, y + eta * up
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-game_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("04.game_step", game_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-game_convergence", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### “A unique solution exists, ensuring convergence”
#
# Difficulty ●●●●○ · about 30 minutes · 3 points
#
# **A slip on a slide.** A slide (Shi, *A Brief Review on GANs*) says of the adversarial game: “Unique solution exists (ensuring convergence)”. The
# first half may hold; the second does not follow. $V = xy$ has exactly one equilibrium, and simultaneous gradient steps never
# reach it. Put a test in place of the promise.
#
# Write $w = (x, y)$ as one vector and $F(w) = (\nabla_x V, -\nabla_y V)$. A simultaneous step is $w' = w - \eta F(w)$.
# Near an equilibrium $w^*$, where $F = 0$, deviations are multiplied by $I - \eta J$ with the Jacobian
# $J = \partial F / \partial w$ at $w^*$. With the (complex) eigenvalues $\lambda_j$ of $J$:
#
# $$\rho(\eta) = \max_j \left| 1 - \eta \lambda_j \right|, \qquad
# \eta_{max} = \min_j \frac{2\, \mathrm{Re}\, \lambda_j}{|\lambda_j|^2}$$
#
# In the long run the distance grows by $\rho$ per step, and steps converge for $0 < \eta < \eta_{max}$ if every
# $\mathrm{Re}\, \lambda_j > 0$. Mind that $J$ is *not* the Hessian of $V$: player $y$ climbs.
#
# - `growth(value, x, y, eta)` returns $\rho(\eta)$;
# - `largest_rate(value, x, y)` returns $\eta_{max}$, or 0 if no rate converges, that is, if the smallest real part is at most
#   1e-6 times the largest $|\lambda_j|$.
#
# Both return Python numbers. `value(x, y)` returns a scalar and is smooth; `x` (D,) and `y` (E,) are float64, without
# `requires_grad`, and **are** the equilibrium.
#
# *What the check looks at*
#
# - growth in x y and in a game of five variables: 1.5 points
# - largest rate of a game that converges: 1 point
# - 0 where no rate converges: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Both functions need the same eigenvalues: write one helper that returns them (in the same cell).
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.autograd.functional.hessian(value, (x, y))` returns the four blocks of second derivatives as a tuple of tuples. The Jacobian J has the rows of y negated.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `torch.cat([torch.cat([xx, xy], 1), -torch.cat([yx, yy], 1)])`, then `torch.linalg.eigvals`. Its `.real` and `.abs()` are all that the formulas need.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "game_convergence", "locked": false, "schema_version": 3, "solution": true, "task": false}
def _eigenvalues(value, x: Tensor, y: Tensor) -> Tensor:
    """Eigenvalues of the Jacobian of (grad_x V, -grad_y V)."""
    ### BEGIN SOLUTION
    (xx, xy), (yx, yy) = torch.autograd.functional.hessian(value, (x, y))
    return torch.linalg.eigvals(torch.cat([torch.cat([xx, xy], 1), -torch.cat([yx, yy], 1)]))
    ### END SOLUTION


def growth(value, x: Tensor, y: Tensor, eta: float) -> float:
    """By which factor a simultaneous step multiplies the distance to the equilibrium (x, y), in the long run."""
    ### BEGIN SOLUTION
    return (1 - eta * _eigenvalues(value, x, y)).abs().max().item()
    ### END SOLUTION


def largest_rate(value, x: Tensor, y: Tensor) -> float:
    """The rate below which simultaneous steps converge to the equilibrium (x, y), or 0."""
    ### BEGIN SOLUTION
    poles = _eigenvalues(value, x, y)
    if poles.real.min() <= 1e-6 * poles.abs().max():
        return 0.0
    return (2 * poles.real / poles.abs() ** 2).min().item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-game_convergence", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("04.game_convergence", growth, largest_rate)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-diagnose", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### What went wrong in this run?
#
# Difficulty ●●●○○ · about 25 minutes · 2.5 points
#
# Losses do not say whether a GAN works; records that mean something do. Write the doctor that reads them.
#
# `diagnose(real, fake, counts)` takes the records of one run: `real` (T,) and `fake` (T,), the mean opinion $\sigma(D)$ on
# data and on fakes, and `counts` (T, K) int64, how many samples fell on each of K modes. It looks at the **last `T // 4`
# records** (T is at least 4) and returns a **list** with the names of all symptoms it finds, in the order of this table; an
# empty list where there are none.
#
# | symptom | found if |
# |---|---|
# | `"not finite"` | any entry of `real` or `fake`, in the **whole** run, is infinite or NaN; it is then the **only** one |
# | `"D has won"` | the mean of `real` is at least 0.95 **and** the mean of `fake` is at most 0.05: nothing left to learn from |
# | `"labels swapped"` | the mean of `fake` exceeds the mean of `real` by more than 0.1: somewhere D is taught the opposite |
# | `"mode collapse"` | fewer than K/2 modes are covered in at least one record each |
# | `"mode hopping"` | on average fewer than K/2 modes are covered per record, but at least K/2 in at least one record each |
#
# A record covers a mode if **more than 1 %** of that record's samples (the sum of its row of `counts`) fell on it; a row of
# zeros covers none. Means are those over the last `T // 4` records.
#
# *What the check looks at*
#
# - ten records of a game between the players: 1 point
# - eight records of what became of the modes: 1 point
# - several symptoms at once, and numbers that are none: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# First the window, then a truth table `covered` (records, K), then five questions to it, one after the other.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `covered.sum(1)` counts modes per record, `covered.any(0)` says which are covered at all. Multiply rather than divide, and a row of zeros is no special case.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `covered = counts > 0.01 * counts.sum(1, keepdim=True)` over the window; the two last rows of the table are then about `covered.any(0).sum()` and `covered.sum(1).double().mean()`, both against K/2.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "diagnose", "locked": false, "schema_version": 3, "solution": true, "task": false}
def diagnose(real: Tensor, fake: Tensor, counts: Tensor) -> list:
    """The symptoms of a run: opinions real (T,) and fake (T,), samples per mode counts (T, K)."""
    ### BEGIN SOLUTION
    if not (real.isfinite() & fake.isfinite()).all():
        return ["not finite"]
    late = len(real) // 4
    trust, doubt = real[-late:].mean(), fake[-late:].mean()
    hit = counts[-late:] > 0.01 * counts[-late:].sum(1, keepdim=True)
    ever, usually, half = hit.any(0).sum(), hit.sum(1).double().mean(), counts.shape[1] / 2
    findings = {
        "D has won": trust >= 0.95 and doubt <= 0.05,
        "labels swapped": doubt > trust + 0.1,
        "mode collapse": ever < half,
        "mode hopping": usually < half <= ever,
    }
    return [name for name, found in findings.items() if found]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-diagnose", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("04.diagnose", diagnose)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-effective_modes", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### How many modes is that, really?
#
# Difficulty ●●○○○ · about 12 minutes · 1.5 points
#
# Eight modes covered, of which seven by one sample each: a count of covered modes is easily flattered. The entropy of the
# shares is not, and its exponential is a number of modes again:
#
# $$p_k = \frac{n_k}{\sum_j n_j}, \qquad H = -\sum_k p_k \ln p_k, \qquad K_{eff} = e^H$$
#
# K modes evenly covered give K, one alone gives 1.
#
# `effective_modes(counts)` takes `counts` $n$ (R, K) int64, R rows of counts, and returns $K_{eff}$ (R,) in the default float
# dtype. A mode without samples contributes nothing ($0 \ln 0 = 0$), and a row without any sample has 0 effective modes.
#
# *What the check looks at*
#
# - rows in which every mode has samples: 0.5 points
# - modes without samples; even rows: 0.5 points
# - a row without any sample: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Two zeros make trouble: the logarithm of an empty mode, and the sum of an empty row.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.special.entr(p)` is −p ln p with the right value at 0; `torch.xlogy(p, p)` is p ln p.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Divide by `total.clamp(min=1)`, take the exponential of the summed `entr`, times whether the total is above 0.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "effective_modes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def effective_modes(counts: Tensor) -> Tensor:
    """The exponential of the shares' entropy, for rows of counts (R, K) -> (R,)."""
    ### BEGIN SOLUTION
    everything = counts.sum(dim=1, keepdim=True)
    share = counts / everything.clamp(min=1)
    return torch.special.entr(share).sum(dim=1).exp() * (everything[:, 0] > 0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-effective_modes", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 1.5}
check("04.effective_modes", effective_modes)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s5_critics", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. What helps
#
# A discriminator that sees the whole batch, critics that are kept in bounds, targets in place of logarithms, labels.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-minibatch_features", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Let the discriminator see the whole batch
#
# Difficulty ●●●○○ · about 20 minutes · 2 points
#
# A discriminator that judges one example at a time cannot see that all of them are alike. Minibatch discrimination (Salimans
# et al. 2016, section 3.2) tells it how close each example is to the *others* of its batch. A learned tensor $T$ turns the
# features $h_i$ of example $i$ into B rows of C numbers, and
#
# $$M_{ibc} = \sum_a h_{ia} T_{abc}, \qquad o_{ib} = \sum_{j \neq i} \exp\!\Big(-\sum_c |M_{ibc} - M_{jbc}|\Big)$$
#
# `minibatch_features(h, T)` takes `h` (N, A) and `T` (A, B, C) and returns (N, A + B): the features `h`, followed by the
# closeness $o$. An example is **not** compared with itself (the paper's formula includes it, which only adds 1): a batch of
# one has $o = 0$, N equal examples have $o = N - 1$. Gradients reach `h`, through both halves, and `T`.
#
# *What the check looks at*
#
# - features of a batch of five: 1 point
# - equal examples, a batch of one, pairs: 0.5 points
# - gradients of h and T: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Broadcasting compares all pairs at once: give M an axis for i and one for j, and keep an eye on which is which.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.einsum('na,abc->nbc', h, T)` is M. `M[:, None] - M[None]` is (N, N, B, C).
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Absolute values summed over the last axis, `exp` of the negative, summed over one of the two N: then subtract the 1 that each example has from itself, and `torch.cat([h, o], dim=1)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "minibatch_features", "locked": false, "schema_version": 3, "solution": true, "task": false}
def minibatch_features(h: Tensor, T: Tensor) -> Tensor:
    """Features (N, A), followed by the closeness to the others of the batch (N, B); T is (A, B, C)."""
    ### BEGIN SOLUTION
    rows = torch.einsum("na,abc->nbc", h, T)
    apart = (rows[:, None] - rows[None]).abs().sum(dim=3)
    closeness = torch.exp(-apart).sum(dim=1) - 1
    return torch.cat([h, closeness], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-minibatch_features", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("04.minibatch_features", minibatch_features)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-clipped_critic_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A step of the Wasserstein critic
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# A critic $f$ gives scores without a sigmoid. Its task is to keep the scores of data and of fakes as far apart as it can,
# while it may not be steep; the original WGAN (Arjovsky, Chintala and Bottou 2017, algorithm 1) ensures that by force:
#
# $$\max_f \; W = \frac1N \sum_n f(x_n) - \frac1M \sum_m f(G(z_m)), \qquad \text{then every weight} \; w \leftarrow
# \max(-c, \min(c, w))$$
#
# `clipped_critic_step(critic, generator, optimizer, x, z, c)` makes **one** update of `critic`: clear the old gradients,
# differentiate, one `optimizer.step()` (the optimiser **descends**; it has `zero_grad()` and `step()`), and only then clip
# all of the critic's parameters to [−c, c], **in place**. `x` is (N, D), `z` is (M, Z); both networks return one row per
# example, the critic scores (N,). It returns the estimate $W$ **before** the update, as a Python number.
#
# The generator gets no gradient: its weights' `.grad` stay as they were found. Buffers of the critic are not weights.
#
# *What the check looks at*
#
# - gradient and weights of one step: 1 point
# - three steps in a row: 0.5 points
# - the returned estimate, a number: 0.5 points
# - the generator and the critic's buffer: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# The optimiser descends, the critic wants W to be large: what do you call `backward` on?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `generator(z).detach()` keeps the gradient out of the generator. Clip under `torch.no_grad()`, after the step.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `with torch.no_grad():` then `p.clamp_(-c, c)` for every `p` in `critic.parameters()`. Return the estimate's `.item()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "clipped_critic_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clipped_critic_step(critic: nn.Module, generator: nn.Module, optimizer, x: Tensor, z: Tensor, c: float) -> float:
    """One update of the critic on data x (N, D) and noise z (M, Z), clipped to [-c, c] -> the estimate W."""
    ### BEGIN SOLUTION
    gap = critic(x).mean() - critic(generator(z).detach()).mean()
    optimizer.zero_grad()
    (-gap).backward()
    optimizer.step()
    with torch.no_grad():
        for weight in critic.parameters():
            weight.clamp_(-c, c)
    return gap.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-clipped_critic_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("04.clipped_critic_step", clipped_critic_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-one_sided_penalty", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A gradient penalty for steep slopes only
#
# Difficulty ●●●●○ · about 25 minutes · 3 points
#
# Clipping weights is a crude bound. The gradient penalty (Gulrajani et al. 2017) asks for a slope of 1 between data and
# fakes; its one-sided form (Petzka, Fischer and Lukovnikov 2018) punishes only what is too steep, which is all that the
# theory needs:
#
# $$\hat x_n = \epsilon_n x_n + (1 - \epsilon_n)\, \tilde x_n, \qquad
# P = \frac1N \sum_n \max\big(0,\; \lVert \nabla_{\hat x_n} f(\hat x_n) \rVert_2 - 1\big)^2$$
#
# `one_sided_penalty(critic, x, fake, eps)` takes a `critic` that maps images (N, C, H, W) to scores (N,), data `x` and `fake`
# $\tilde x$ (N, C, H, W), and `eps` (N,), a weight for each example. It returns $P$, a 0-dimensional tensor, without a factor
# $\lambda$. The norm is that of an example's whole gradient, over C, H and W.
#
# - $P$ is to be trained: `backward()` on it must reach the **critic's weights**. Your function does not call `backward` itself.
# - `fake` may come with the graph of the generator that made it. No gradient may reach the **generator**.
# - Where the critic is flat, the slope is exactly 0. Such an example adds 0 to the penalty and to every gradient, and **no NaN**.
#
# *What the check looks at*
#
# - the penalty of five examples, and of two: 1 point
# - its gradient with respect to the critic's weights: 1 point
# - no gradient for the generator: 0.5 points
# - an example where the critic is flat: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# A gradient of a gradient: the first one must itself be part of a graph.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)`, where `mixed` is a detached tensor that requires a gradient. `eps[:, None, None, None]` goes with images.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `slope.flatten(1).norm(dim=1)` has a usable gradient at 0, a square root of a sum does not. Then `(length - 1).clamp(min=0)`, squared, and the mean.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "one_sided_penalty", "locked": false, "schema_version": 3, "solution": true, "task": false}
def one_sided_penalty(critic, x: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """Mean of max(0, slope - 1)^2 at mixtures of x and fake (N, C, H, W), with weights eps (N,)."""
    ### BEGIN SOLUTION
    share = eps[:, None, None, None]
    mixture = (share * x + (1 - share) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixture).sum(), mixture, create_graph=True)
    steepness = slope.flatten(1).norm(dim=1)
    return (steepness - 1).clamp(min=0).square().mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-one_sided_penalty", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("04.one_sided_penalty", one_sided_penalty)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s5_targets", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Targets, labels and slopes
#
# What the discriminator aims at, what else it can be asked, and how each of its layers is kept from being steep.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-least_squares_game", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Least squares with two players, not one
#
# Difficulty ●●○○○ · about 18 minutes · 2.5 points
#
# **A slip on a slide.** A slide on CycleGAN (HKUST, *Advanced Deep Learning Architectures: Generative Adversarial Networks*) writes the
# least-squares game as one value,
#
# $$V = \mathbb E\big[(D(x) - 1)^2\big] + \mathbb E\big[D(G(z))^2\big]$$
#
# and does not say who does what. D descends it, and rightly so. But let G descend it as well, and G drives $D(G(z))$ to 0: it
# learns to be **recognised**. Let G ascend it, and the scores run off to infinity. Least squares need a loss for each player
# (Mao et al. 2017, equation 9), with three targets: $a$ for fakes and $b$ for data in D's eyes, and $c$, what G wants D to
# say of fakes:
#
# $$L_D = \tfrac12\, \mathbb E\big[(D(x) - b)^2\big] + \tfrac12\, \mathbb E\big[(D(G(z)) - a)^2\big], \qquad
# L_G = \tfrac12\, \mathbb E\big[(D(G(z)) - c)^2\big]$$
#
# - `least_squares_losses(real, fake, a, b, c)` takes the scores `real` (N,) and `fake` (M,) and three numbers. It returns the pair
#   $(L_D, L_G)$ of 0-dimensional tensors, both to be descended; expectations are means.
# - `best_score(p_data, p_g, a, b)` takes densities at K points, both (K,), at least one of them above 0 at every point. It returns
#   the score (K,) that minimises $L_D$ at each point. Derive it: it is no longer a probability.
#
# *What the check looks at*
#
# - both losses for three sets of targets: 1 point
# - their gradients with respect to the scores: 0.5 points
# - where G drives the scores of fakes: 0.5 points
# - the best score for densities at seven points: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Three squared distances, each to a target of its own. G has no say in the scores of data.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The best score minimises $p_{data} (s - b)^2 + p_g (s - a)^2$ over $s$: set the derivative to 0.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# A mean of the two targets, weighted by the densities: b with that of the data, a with that of the fakes.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "least_squares_game", "locked": false, "schema_version": 3, "solution": true, "task": false}
def least_squares_losses(real: Tensor, fake: Tensor, a: float, b: float, c: float) -> tuple[Tensor, Tensor]:
    """D's and G's loss for scores real (N,), fake (M,) and the targets a (fakes), b (data), c (what G wants)."""
    ### BEGIN SOLUTION
    for_d = ((real - b).square().mean() + (fake - a).square().mean()) / 2
    for_g = (fake - c).square().mean() / 2
    return for_d, for_g
    ### END SOLUTION


def best_score(p_data: Tensor, p_g: Tensor, a: float, b: float) -> Tensor:
    """The score (K,) that minimises D's loss where the densities are p_data and p_g (K,)."""
    ### BEGIN SOLUTION
    return (b * p_data + a * p_g) / (p_data + p_g)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-least_squares_game", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("04.least_squares_game", least_squares_losses, best_score)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-labelled_discriminator", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Labels for the discriminator: K classes and one for fakes
#
# Difficulty ●●●○○ · about 20 minutes · 3 points
#
# “Label information of the real data might help”, says a slide, and it does: a discriminator that must also say *what* it
# sees has more to teach. Let it have K + 1 logits $l$ per example, K for the classes of the data and **the last one for
# “fake”** (Salimans et al. 2016, section 5), with $p(k \mid x)$ their softmax:
#
# $$L_D = -\frac1N \sum_n \log p(y_n \mid x_n) \; - \; \frac1M \sum_m \log p(\text{fake} \mid \tilde x_m)$$
#
# - `labelled_d_loss(real, labels, fake)` takes logits `real` (N, K+1), `labels` (N,) int64 from 0 to K − 1, and logits `fake`
#   (M, K+1). It returns $L_D$, a 0-dimensional tensor. Both sums have a mean of their own; N and M differ.
# - `realness(logits)` takes logits (N, K+1) and returns the **logit** (N,) of the probability that an example is real,
#   $r = \log \dfrac{1 - p(\text{fake})}{p(\text{fake})}$, so that $\sigma(r)$ is that probability and every loss of
# logits can be had from it.
#
# Both must be exact, and so must be their gradients, for logits of a thousand: a probability of $e^{-900}$ rounds to 0, and 1
# minus it to 1, but its logarithm is an ordinary number.
#
# *What the check looks at*
#
# - the loss of two batches: 1 point
# - its gradients: 0.5 points
# - the logit of being real: 1 point
# - logits of about a thousand: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Fakes have a label, too: it is K. And in the ratio of the two probabilities the denominator of the softmax cancels.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `F.cross_entropy` takes logits and labels and is exact. What is left of the ratio is a sum of exponentials over one exponential.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `torch.logsumexp` over the first K logits, minus the last. `fake.new_full((len(fake),), K, dtype=torch.int64)` are the labels of the fakes.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "labelled_discriminator", "locked": false, "schema_version": 3, "solution": true, "task": false}
def labelled_d_loss(real: Tensor, labels: Tensor, fake: Tensor) -> Tensor:
    """Cross entropy of logits real (N, K+1) with labels (N,), plus that of fake (M, K+1) with the class K."""
    ### BEGIN SOLUTION
    imitation = fake.new_full((len(fake),), fake.shape[1] - 1, dtype=torch.int64)
    return F.cross_entropy(real, labels) + F.cross_entropy(fake, imitation)
    ### END SOLUTION


def realness(logits: Tensor) -> Tensor:
    """The logit (N,) of P(real), from logits (N, K+1) of which the last is that of "fake"."""
    ### BEGIN SOLUTION
    return logits[:, :-1].logsumexp(dim=1) - logits[:, -1]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-labelled_discriminator", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("04.labelled_discriminator", labelled_d_loss, realness)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-spectral_weight", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Spectral normalisation, one power iteration
#
# Difficulty ●●●●○ · about 25 minutes · 3 points
#
# A linear layer stretches no vector by more than its largest singular value $\sigma(W)$. Divide the weight by it, and the
# layer's slope is at most 1. Computing $\sigma$ in every step would be dear, but weights change slowly: one step of the
# power iteration, from where the last one ended, is enough (Miyato et al. 2018, algorithm 1).
#
# $$v = \frac{W^\top u}{\lVert W^\top u \rVert}, \qquad u' = \frac{W v}{\lVert W v \rVert}, \qquad
# \sigma = u'^\top W v, \qquad \bar W = W / \sigma$$
#
# `spectral_weight(W, u)` takes a weight `W` of shape (O, ...), such as (O, I) of a linear layer or (O, I, h, w) of a
# convolution, which counts as a matrix of O rows and as many columns as there are numbers in a row; and `u` (O,), of length
# 1. It makes **one** iteration and returns the pair $(\bar W, u')$: the normalised weight in the shape of `W`, and the new
# `u`, without a graph.
#
# The gradient flows through $W$ **and** through $\sigma$, in which $u'$ and $v$ count as **constants** (equation 9 of the
# paper: at the singular vectors that is exact).
#
# *What the check looks at*
#
# - one iteration for a matrix: 1 point
# - one iteration for a convolution's kernel: 0.5 points
# - the gradient of W, through sigma: 1 point
# - a largest singular value of 1 after 40 steps: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Two halves: an iteration that nobody differentiates, and a division that is differentiated.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `W.flatten(1)` is the matrix. `torch.no_grad()` around v and u', nothing around σ.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# Under `no_grad`: `v = F.normalize(A.T @ u, dim=0)`, `u = F.normalize(A @ v, dim=0)`. Outside of it: `sigma = u @ A @ v`, and `W / sigma`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "spectral_weight", "locked": false, "schema_version": 3, "solution": true, "task": false}
def spectral_weight(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """W (O, ...) over its largest singular value, estimated by one power iteration from u (O,) -> W_bar, the new u."""
    ### BEGIN SOLUTION
    matrix = W.flatten(1)
    with torch.no_grad():
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    stretch = u @ matrix @ v
    return W / stretch, u
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-spectral_weight", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("04.spectral_weight", spectral_weight)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s6_outcome", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. What comes out
#
# A generator that leaves no mode out: weights that are measured, not code that is read.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-ring_generator", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Leave no mode out
#
# Difficulty ●●●●● · about 40 minutes · 3.5 points
#
# Eight narrow Gaussians on a circle: the classic trap for a GAN that collapses. Train one that does not, with whatever remedy
# of this unit you like. What is graded is what comes out, the weights of the generator.
#
# Write `train_ring(seed)`, which trains a `RingGenerator(seed)` and returns its `state_dict()`, or that of an average of its
# weights over the training. Given below are the generator, the data `ring_points`, a discriminator that you may use or
# replace, and `update`. All random numbers come from a `torch.Generator` with this seed. A training of 15 seconds is plenty;
# when your work is graded without its file, it may take 40 at most.
#
# The cell after yours runs it once with seed 0 and keeps the weights in `ring.safetensors` (hand in this file, too). It
# trains again only where the file is absent: **delete it after a change**. The check loads `ring_weights` into a
# `RingGenerator` of its own (names and shapes as there, float32 or float64), and measures 2500 samples from fresh noise
# $z \sim N(0, I)$, of width 4. A sample is *good* if it lies within 3σ = 0.15 of its nearest mode.
#
# - **Modes**: at least 7 of the 8 have a share of at least 2 % each, counted in good samples out of all 2500.
# - **Quality**: at least 80 % of the samples are good.
# - **Spread**: the root mean square distance of good samples from their modes is at least 0.3 σ (that of data is 1.35 σ):
#   eight points that are always the same are learned by heart, not generated.
#
# Quality and spread count only for a generator that covers at least 4 modes. (The solution trains for 7 seconds, and with 20
# seeds it covered all 8 modes, with a quality of 0.93 to 0.95 and a spread of 0.65 to 0.80.)
#
# *What the check looks at*
#
# - names, shapes and finite numbers of the 6 tensors: 0.5 points
# - at least 7 of 8 modes, each with a share of at least 2 %: 1.5 points
# - at least 80 % good samples: 1 point
# - good samples differ: at least 0.3 sigma from their modes: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Twelve lines: two networks, two Adams with `betas=(0.0, 0.9)`, a loop of some 3000 steps of batch 128. In the loop one update of D and one of G, with the non-saturating loss.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# What keeps D from running away is a penalty on its gradient **at the data**: 0.01 times the mean squared norm (Mescheder et al. 2018). It needs `x.requires_grad_()` and `create_graph=True`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# A learning rate of 0.004 for both, and a second `RingGenerator` whose weights follow G's: after each step `lerp_` them by 0.002 towards G's. Return the follower's `state_dict()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-ring_generator", "locked": true, "schema_version": 3, "solution": false, "task": false}
class RingGenerator(nn.Module):
    """Noise z (N, 4) -> points (N, 2)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # the global generator stays as it was
            torch.manual_seed(seed)
            self.first, self.second, self.head = nn.Linear(4, 64), nn.Linear(64, 64), nn.Linear(64, 2)

    def forward(self, z: Tensor) -> Tensor:
        return self.head(torch.relu(self.second(torch.relu(self.first(z)))))


class RingDiscriminator(nn.Module):
    """Points (N, 2) -> logits (N,)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2))
            self.head = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))[:, 0]


def ring_points(n: int, generator: torch.Generator) -> Tensor:
    """Data (N, 2): one of eight modes on the circle of radius 1, each as likely, plus noise of standard deviation 0.05."""
    angle = torch.randint(0, 8, (n,), generator=generator) * (math.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(n, 2, generator=generator)


def update(optimizer, loss: Tensor) -> None:
    """Clear the gradients, differentiate the loss, and step."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


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


# %% nbgrader={"grade": false, "grade_id": "ring_generator", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_ring(seed: int) -> dict:
    """A RingGenerator(seed), trained on ring_points -> the state_dict of its averaged weights."""
    ### BEGIN SOLUTION
    G, steady, dice = RingGenerator(seed), RingGenerator(seed), torch.Generator().manual_seed(seed)
    D = RingDiscriminator(seed + 1)
    for_G, for_D = (torch.optim.Adam(net.parameters(), lr=0.004, betas=(0.0, 0.9)) for net in (G, D))
    for _ in range(3000):
        x, z = ring_points(128, dice).requires_grad_(), torch.randn(128, 4, generator=dice)
        trust, forged = D(x), G(z)
        (steep,) = torch.autograd.grad(trust.sum(), x, create_graph=True)
        judged = F.softplus(-trust).mean() + F.softplus(D(forged.detach())).mean()
        update(for_D, judged + 0.01 * steep.square().sum(1).mean())
        update(for_G, F.softplus(-D(forged)).mean())
        for slow, fast in zip(steady.parameters(), G.parameters()):
            slow.data.lerp_(fast.data, 0.002)
    return steady.state_dict()
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "run-ring_generator", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["nbval-ignore-output"]
try:
    ring_weights = load_or_train("ring.safetensors", train_ring)
except NotImplementedError:
    ring_weights = None  # not started

# %% nbgrader={"grade": true, "grade_id": "check-ring_generator", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.5}
check("04.ring_generator", ring_weights)

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Where you stand
#
# `progress` keeps your best scores on this computer, across sessions. Before you hand in, restart the kernel and run all
# cells: what the grader sees is the notebook run from top to bottom.
#

# %% nbgrader={"grade": false, "grade_id": "progress", "locked": true, "schema_version": 3, "solution": false, "task": false}
progress("04")
