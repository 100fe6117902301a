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
# # Input optimisation
#
# The weights stay, the image moves. You attack networks, bound the attack, fool them, defend them, and read pictures back out
# of them, each time in a form that the lectures did not show. Most answers are three to twelve lines. Run the check under an
# answer as often as you like: it says what is right, what is wrong, and which mistake it looks like.
#
# | letter | meaning | symbol | shape |
# |---|---|---|---|
# | N | images in a batch | image $I$ | (N, C, H, W), pixels in [-1, 1] |
# | C, H, W | channels, height, width | logits $a$ | (N, K) |
# | K | classes | label $y$, target $t$ | (N,) int64, 0 to K − 1 |
# | $\epsilon$ | radius of a ball around an image, in units of [-1, 1] | loss $L$ | scalar |
#
# A network `net` maps images (N, C, H, W) to logits (N, K), before any softmax. It is not yours: unless the task says
# otherwise, its weights, their `.grad`, their `requires_grad` flags and its train or eval mode are afterwards as they were, and
# a function must not write into its arguments. Tensors that you return have the dtype of the inputs and carry no graph. Numbers
# are compared with a relative tolerance of 1e-3 and an absolute one of 1e-5 unless the task says otherwise.

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises import check, hint, progress


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s1_inputs", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 1. The image is the variable
#
# Training moves the weights and leaves the images alone. Here it is the other way round: the gradient with respect to the
# image, and what a few steps along it do to a network's opinion.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-input_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The gradient of the image, and of nothing else
#
# Difficulty ●●○○○ · about 10 minutes · 2 points
#
# Everything in this unit begins with the gradient of a loss with respect to the **image**. The network is borrowed:
# whoever trains it must find it as it was.
#
# `input_gradient(net, x, y)` takes a network `net` (`net(x)` gives logits (N, K)), images `x` (N, C, H, W) and labels
# `y` (N,) int64, and returns
#
# $$\frac{\partial}{\partial x_n}\left( -\log \mathrm{softmax}(\mathrm{net}(x_n))_{y_n} \right) \qquad (N, C, H, W)$$
#
# for **each** image: the gradient of one image must not depend on how many others are in the batch. The result carries
# no graph.
#
# Afterwards all is as before: the weights, their `.grad` (some of it may be in use: do not clear it either), their
# `requires_grad` flags (some weights may be frozen), the mode of the network, and the image that was handed in. Its
# `requires_grad` and its `.grad` stay as they are, also where it is a leaf of somebody else's graph with a `.grad` of
# its own.
#
# *What the check looks at*
#
# - gradients for a batch of 3 and for one image alone: 1 point
# - weights, their .grad, flags and mode as before: 0.5 points
# - the image as before; the result without a graph: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# `loss.backward()` writes into the `.grad` of everything that the loss depends on. Is there a way to ask for one gradient only?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.autograd.grad(loss, z)` returns the gradients and writes nothing. Let z be a tensor of your own, with the values of `x` and no history.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `z = x.detach().clone().requires_grad_()`, then the cross entropy of `net(z)` with `reduction='sum'`: in a sum each image has a term of its own.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "input_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def input_gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of each image's own loss: images x (N, C, H, W), labels y (N,) -> (N, C, H, W)."""
    ### BEGIN SOLUTION
    z = x.detach().clone().requires_grad_()
    loss = F.cross_entropy(net(z), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, z)
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-input_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("02.input_gradient", input_gradient)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-targeted_attack", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A batch of images, each to its own wrong class
#
# Difficulty ●●○○○ · about 15 minutes · 2.5 points
#
# The update of the lecture, $I \leftarrow I - \lambda\, \partial L / \partial I$, with two things that it leaves
# open: images have a range, and the number under the picture should be that picture's.
#
# `targeted_attack(net, x, target, steps, lr)` takes images `x` (N, C, H, W) in [-1, 1] and `target` (N,) int64, **the
# class that each image shall be taken for**. It makes `steps` plain gradient steps of rate `lr` = $\lambda$ on
# $L = \sum_n -\log \mathrm{softmax}(\mathrm{net}(x_n))_{t_n}$, and after **every** step brings pixels outside
# [-1, 1] back to the nearer end. It returns a pair without a graph:
#
# - `image` (N, C, H, W), the images after the last step;
# - `p` (N,), the probability of `target` **for exactly those images**: as in "parking meter: 0.999679".
#
# No sign, no normalising: just the gradient. The network and `x` stay as they were.
#
# *What the check looks at*
#
# - images after one step and after five: 1 point
# - p belongs to the returned image: 0.5 points
# - network and image as before, no graph: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# The loss of the target is what shall become small. Which way does a gradient point?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Each step needs a fresh leaf: detach the image, ask for its gradient, take the step, `clamp`.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# In the loop `z = z.detach().requires_grad_()`, `(g,) = torch.autograd.grad(loss, z)`, `z = (z - lr * g).clamp(-1, 1)`; after the loop one more look by the network, under `torch.no_grad()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "targeted_attack", "locked": false, "schema_version": 3, "solution": true, "task": false}
def targeted_attack(net: nn.Module, x: Tensor, target: Tensor, steps: int, lr: float) -> tuple[Tensor, Tensor]:
    """Plain gradient steps towards target (N,) from images x: the images (N, C, H, W) and their p (N,)."""
    ### BEGIN SOLUTION
    z = x.detach().clone()
    for _ in range(steps):
        z.requires_grad_()
        loss = F.cross_entropy(net(z), target, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, z)
        z = (z.detach() - lr * gradient).clamp(-1, 1)
    with torch.no_grad():
        p = net(z).softmax(dim=1).gather(1, target[:, None]).squeeze(1)
    return z, p
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-targeted_attack", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("02.targeted_attack", targeted_attack)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-log_odds_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Ascend the softmax, they say
#
# Difficulty ●●●○○ · about 20 minutes · 2 points
#
# **A slip on a slide.** One slide makes fooling images by gradient ascent on the *softmax output* $p$ of a class until it reaches 99.99 %;
# another descends the *log-loss* $-\log p$. Run them literally. The first one's gradient is
# $\nabla p = p\,(1-p)\,\nabla o$, the second's is $\nabla \log p = (1-p)\,\nabla o$, with one direction
#
# $$\nabla o, \qquad o = \log \frac{p}{1-p}.$$
#
# So $p$ stands still at both ends, where an attack starts and where it should arrive, and $\log p$ at the end. The
# log-odds $o$ stand still nowhere. Mend the ascent: write its gradient.
#
# `log_odds_gradient(net, x, target)` takes images `x` (N, C, H, W) and `target` (N,) int64 and returns
# $\partial o_n / \partial x_n$ for **each** image, (N, C, H, W), without a graph. It must be right to the usual tolerance
# also where $p$ is exactly 0 in floating point (a logit 1000 below the others) and where it is exactly 1 (60 above them):
# there is no way through $p$ itself. There are at least three classes. The network and `x` stay as they were.
#
# *What the check looks at*
#
# - the gradient where p is neither 0 nor 1: 0.5 points
# - the same where p underflows to 0: 0.5 points
# - the same where p rounds to 1: 0.5 points
# - network and image as before, no graph: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Write p and 1 − p out as fractions of exponentials of logits. What cancels in p / (1 − p)?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The odds are exp(a_t) over the sum of exp(a_k) of all **other** classes, so o is a difference of two terms, neither of which needs p.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `o = a_t - torch.logsumexp(others, 1)`, where `others` are the logits with -inf in the target's place (`a.scatter(1, target[:, None], -math.inf)`).
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "log_odds_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_odds_gradient(net: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """The gradient of log(p / (1 - p)) of target (N,) for images x (N, C, H, W) -> (N, C, H, W)."""
    ### BEGIN SOLUTION
    z = x.detach().clone().requires_grad_()
    a = net(z)
    others = a.scatter(1, target[:, None], -math.inf)
    odds = a.gather(1, target[:, None]).squeeze(1) - others.logsumexp(dim=1)
    return torch.autograd.grad(odds.sum(), z)[0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-log_odds_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("02.log_odds_gradient", log_odds_gradient)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-fooling_image", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### From almost nothing to 99.99 %
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# Nguyen, Yosinski and Clune (2015, figure 13) start at the mean of all images plus a little noise, which breaks the
# symmetry, and climb until the network is 99.99 % sure.
#
# `fooling_image(net, mean, noise, target, length, confidence, steps)` takes **one** `mean` image and one `noise` image,
# both (C, H, W), and a class number `target`. It starts at their sum $x$ and makes steps of a fixed `length` $r$ in the
# direction in which the log-loss of the target falls (a plain gradient step would need thousands: near p = 1 the
# gradient fades),
#
# $$x \leftarrow x - r\, \frac{g}{\lVert g \rVert_2}, \qquad g = \frac{\partial\, (-\log p)}{\partial x},$$
#
# - **until p of the image at hand is at least `confidence`**, which may be so at once: then no step is made;
# - and never more than `steps` of them.
#
# It returns `(image, taken)`: the image (C, H, W) without a graph, and how many steps were made (an int). Pixels are not
# clipped, and once p suffices the image is not moved again. The network, `mean` and `noise` stay as they were.
# (Images come in float64 here, so that no count of steps hangs on rounding.)
#
# *What the check looks at*
#
# - image and steps at 0.9999, for two noises: 1 point
# - no step where p suffices at once: 0.5 points
# - no more steps than allowed: 0.5 points
# - network, mean and noise as before, no graph: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Look first, then step: the test stands before the update, within the loop.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The network wants a batch: `net(image[None])`. One forward pass serves the test and the gradient; `g / g.norm()` has length 1.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# In `for taken in range(steps)` compute `log_p = net(z[None]).log_softmax(1)[0, target]` and return `(z.detach(), taken)` if it is at least `math.log(confidence)`; behind the loop return with `steps`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "fooling_image", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fooling_image(
    net: nn.Module, mean: Tensor, noise: Tensor, target: int, length: float, confidence: float, steps: int
) -> tuple[Tensor, int]:
    """From mean + noise (C, H, W) until the network is confident: the image (C, H, W) and the number of steps."""
    ### BEGIN SOLUTION
    z = (mean + noise).detach()
    for taken in range(steps):
        z.requires_grad_()
        log_p = net(z[None]).log_softmax(dim=1)[0, target]
        if log_p >= math.log(confidence):
            return z.detach(), taken
        (gradient,) = torch.autograd.grad(log_p, z)
        z = z.detach() + length * gradient / gradient.norm()
    return z, steps
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-fooling_image", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("02.fooling_image", fooling_image)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s2_attacks", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 2. Attacks with a bound
#
# "Close to the original" is a promise that a plain gradient step does not keep. A ball around the image keeps it: first
# the largest change of any pixel, then the Euclidean length.
#
# Images come in float64 where an exercise takes the sign of a gradient, so that no pixel's direction hangs on rounding.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-fgsm", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The slide's step is not the one of the paper it credits
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# **A slip on a slide.** Under the credit "Goodfellow et al." the slide has $I \leftarrow I - \lambda\, \partial L / \partial I$. Run
# literally, that moves a pixel by $\lambda$ times its gradient: almost nothing where the network is sure, out of sight
# or out of range where it is not. What Goodfellow, Shlens and Szegedy (2015, section 4) propose moves **every** pixel by
# the same, chosen amount, away from the truth:
#
# $$I' = \mathrm{clip}_{[-1,\,1]}\!\left( I + \epsilon\; \mathrm{sign}\,
# \frac{\partial L(I, y)}{\partial I} \right)$$
#
# Mend the step. `fgsm(net, x, y, eps)` takes images `x` (N, C, H, W) in [-1, 1], their **true** labels `y` (N,) int64
# and `eps` (N,), a radius of its own **for each image**, in the units of the pixels. $L$ is the cross entropy, and `y`
# is not always what the network thinks. It returns the attacked images (N, C, H, W), in [-1, 1] and without a graph. A
# pixel whose gradient is exactly 0 stays as it is. The network and `x` stay as they were.
#
# *What the check looks at*
#
# - attacked images, each with its own radius: 1 point
# - the largest change, the range, pixels without gradient: 0.5 points
# - network and image as before, no graph: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# The loss of the true label is to grow. And the gradient gives directions only: what remains of a number without its size?
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.sign(0.)` is 0. A tensor (N,) against one (N, C, H, W) meets the wrong axis: give it axes of length 1.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `(x + eps[:, None, None, None] * g.sign()).clamp(-1, 1)`, where g is `torch.autograd.grad` of the cross entropy at a copy of `x`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "fgsm", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fgsm(net: nn.Module, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
    """One signed step away from labels y (N,) with radii eps (N,): images x (N, C, H, W) -> (N, C, H, W)."""
    ### BEGIN SOLUTION
    z = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(net(z), y), z)
    return (x.detach() + eps[:, None, None, None] * gradient.sign()).clamp(-1, 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-fgsm", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("02.fgsm", fgsm)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-pgd", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Many steps in a ball with a map of radii
#
# Difficulty ●●●○○ · about 20 minutes · 3 points
#
# Madry et al. (2018, section 2.1) repeat the signed step and project back after each, from a random start. Here the
# attacker cannot reach every place alike (think of a sticker): the radius is a map.
#
# `pgd(net, x, y, start, eps, alpha, steps)` takes images `x` (N, C, H, W) in [-1, 1], true labels `y` (N,) int64, a
# perturbation `start` (N, C, H, W) with $|$`start`$| \le$ `eps`, radii `eps` **(H, W)**, the same for all images and
# channels and **0 where no pixel may change**, a step `alpha` and a number of `steps` (0 is allowed). With $L$ the cross
# entropy,
#
# $$x_0 = \Pi(x + \mathrm{start}) \qquad x_{k+1} = \Pi\!\left( x_k + \alpha\; \mathrm{sign}\,
# \frac{\partial L(x_k, y)}{\partial x_k} \right)$$
#
# where $\Pi$ moves each pixel to the nearest value that is both within `eps` of the **original** pixel and in [-1, 1].
# Return the last image, without a graph. The network and all arguments stay as they were.
#
# *What the check looks at*
#
# - the projected start, before any step: 0.5 points
# - images after one step and after six: 1.5 points
# - inside the ball and the range: 0.5 points
# - network and image as before, no graph: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Write the projection first, as a function of an image, and use it for the start and after every step.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Both conditions are intervals around or over the same pixel, and the original is in both: clamp to one, then to the other.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `x + (z - x).clamp(-eps, eps)`, then `.clamp(-1, 1)`: tensors as limits broadcast. In the loop the gradient is that of z, not that of `x`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "pgd", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pgd(net: nn.Module, x: Tensor, y: Tensor, start: Tensor, eps: Tensor, alpha: float, steps: int) -> Tensor:
    """Signed steps away from y (N,), projected to radii eps (H, W) around x (N, C, H, W) and to [-1, 1]."""

    ### BEGIN SOLUTION
    def project(z: Tensor) -> Tensor:
        return (x + (z - x).clamp(-eps, eps)).clamp(-1, 1).detach()

    z = project(x + start)
    for _ in range(steps):
        z.requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(net(z), y), z)
        z = project(z + alpha * gradient.sign())
    return z
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-pgd", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("02.pgd", pgd)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-l2_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### One step in a Euclidean ball
#
# Difficulty ●●○○○ · about 15 minutes · 2 points
#
# A sign belongs to the largest-change ball. In the Euclidean ball the steepest step is the gradient itself, brought to
# length.
#
# `l2_step(image, x, gradient, alpha, eps)` takes the present images `image`, the originals `x` and the gradients
# `gradient` of the loss, all (N, C, H, W), a step length `alpha` and a radius `eps`. For **each** image, with norms over
# all its C·H·W entries, in this order:
#
# 1. add the gradient, scaled to length `alpha`: uphill. **A gradient of zeros moves nothing**; one of length 1e-8 makes
#    a full step;
# 2. if the image is now farther than `eps` from its original, pull it straight back to distance `eps`; if not, leave it;
# 3. move pixels outside [-1, 1] to the nearer end.
#
# Return the new images (N, C, H, W). No network is needed.
#
# *What the check looks at*
#
# - a step that stays inside the ball: 0.5 points
# - a step that leaves it, and is pulled back: 0.5 points
# - gradients of length 0 and 1e-8: 0.5 points
# - two images at once, each by its own norm: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Two norms for each image: that of its gradient and that of its distance from the original.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `t.flatten(1).norm(dim=1)` is (N,); it needs three more axes before it divides. 0 / 0 is NaN: what else may stand in for a norm of 0?
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `size = torch.where(norm > 0, norm, 1)`; the distance d is multiplied by `(eps / d_norm).clamp(max=1)`, which pulls back and never pushes out (1 / 0 is inf, and the clamp makes it 1).
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "l2_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def l2_step(image: Tensor, x: Tensor, gradient: Tensor, alpha: float, eps: float) -> Tensor:
    """Uphill by alpha, back to distance eps from x, into [-1, 1]: all (N, C, H, W)."""

    ### BEGIN SOLUTION
    def norm(t: Tensor) -> Tensor:
        return t.flatten(1).norm(dim=1)[:, None, None, None]

    size = norm(gradient)
    step = alpha * gradient / torch.where(size > 0, size, 1)
    change = image + step - x
    change = change * (eps / norm(change)).clamp(max=1)
    return (x + change).clamp(-1, 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-l2_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("02.l2_step", l2_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s2_defence", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### The other side
#
# Training on what an attack found, and an honest count of what it was good for.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-adversarial_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### One step of adversarial training
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# Fool the network, train it on what fooled it, repeat: each time it is harder to fool. Goodfellow, Shlens and Szegedy
# (2015, section 6) mix the clean and the attacked loss, here with a share $s$ of the attacked one:
#
# $$\tilde L = (1 - s)\; L(x, y) + s\; L(x_{adv}, y)$$
#
# `adversarial_step(net, optimizer, attack, x, y, share)` makes **one** update of `net` by `optimizer` (it has
# `zero_grad()` and `step()`) and returns $\tilde L$ as a Python number. $L$ is the mean cross entropy of the batch, and
# `share` = $s$ is in [0, 1].
#
# - `attack(net, x, y)` returns attacked images. It runs while the network is in **eval** mode; both losses are taken in
#   **train** mode, in which the network is handed in and left behind.
# - The attack is careless: it leaves gradients in the weights' `.grad`, and what it returns still hangs on its graph.
#   The update must use the gradient of $\tilde L$ alone, with $x_{adv}$ **as given data**.
#
# The check records the gradient that the update used.
#
# *What the check looks at*
#
# - gradient, weights and labels of one update, s = 0.3: 1 point
# - three updates with different shares: 0.5 points
# - eval for the attack, train for the losses and afterwards: 0.5 points
# - the returned loss, a number: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Two jobs that must not leak into each other: the attack first, the training step after it.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Gradients that the attack left are cleared *after* it. `detach()` cuts what it returned off its history.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `net.eval()`, attack, `.detach()`, `net.train()`; then `zero_grad`, the mixed loss of two forward passes, `backward`, `step`, and `loss.item()`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "adversarial_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adversarial_step(net: nn.Module, optimizer, attack, x: Tensor, y: Tensor, share: float) -> float:
    """One update on (1 - share) * clean + share * attacked loss; images x (N, C, H, W), labels y (N,) -> the loss."""
    ### BEGIN SOLUTION
    net.eval()
    attacked = attack(net, x, y).detach()
    net.train()
    optimizer.zero_grad()
    loss = (1 - share) * F.cross_entropy(net(x), y) + share * F.cross_entropy(net(attacked), y)
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-adversarial_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("02.adversarial_step", adversarial_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-robust_accuracy", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### How robust, honestly counted
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# A defence is worth what its count is worth. Write the evaluation.
#
# `robust_accuracy(net, attack, batches)` takes a network, a function `attack(net, x, y)` that returns attacked images,
# and `batches`, an iterable of pairs `x` (n, C, H, W), `y` (n,) int64, **not all of one size**, which can be read
# **once**. It returns two Python numbers between 0 and 1, both shares **of all images**:
#
# - `clean`: those that the network takes for what they are;
# - `robust`: those that it takes for what they are **both before and after** the attack. (An image that it got wrong,
#   and that the attack happens to put right, is no merit.)
#
# The network is in **eval** mode for all of it, and in the end in the mode in which it was found. The attack is told the
# true labels, and it needs gradients. Every batch has at least one image that the network gets right before the attack.
#
# *What the check looks at*
#
# - both shares for batches of 5, 4 and 3: 1 point
# - true labels for the attack; eval mode for it and for every pass: 0.5 points
# - the network as it was found, in either mode: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Count images, batch by batch, and divide once at the end.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `with torch.no_grad():` may hold your own two looks at the logits, never the attack. `net.training` is the mode, and `net.train(mode)` sets it.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `right = net(x).argmax(1) == y`, `still = right & (net(attack(net, x, y)).argmax(1) == y)`, sums of both, and `len(y)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "robust_accuracy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def robust_accuracy(net: nn.Module, attack, batches) -> tuple[float, float]:
    """Shares of all images that net gets right before, and both before and after, the attack."""
    ### BEGIN SOLUTION
    mode, right, still, count = net.training, 0, 0, 0
    net.eval()
    for x, y in batches:
        clean = net(x).argmax(dim=1) == y
        both = clean & (net(attack(net, x, y)).argmax(dim=1) == y)
        right += int(clean.sum())
        still += int(both.sum())
        count += len(y)
    net.train(mode)
    return right / count, still / count
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-robust_accuracy", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("02.robust_accuracy", robust_accuracy)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s3_regularisers", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 3. Regularisers and inversion
#
# A loss alone leaves an image full of noise. What keeps it smooth, what that costs at the border and in flat regions, and how a
# picture is read back out of its code.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-total_variation", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Total variation up to the border
#
# Difficulty ●●○○○ · about 15 minutes · 3 points
#
# **A slip on a slide.** A slide of Rice (*Deep Learning for Vision & Language*) prints the regulariser of Mahendran and Vedaldi (2015) for a discrete
# image,
#
# $$\mathcal{R}_{V^\beta}(x) = \sum_{i,j} \left( (x_{i,j+1} - x_{ij})^2 + (x_{i+1,j} - x_{ij})^2 \right)^{\beta/2}$$
#
# and leaves the limits of the sum open: in the last row there is no $x_{i+1,j}$, in the last column no $x_{i,j+1}$. Two hasty
# ways out are in `slide_readings`; `border_cases()`, run below your answer, shows what becomes of them. One does not see a
# bright corner at all, so nothing ever removes noise from it. The other charges a harmless ramp for the jump between opposite
# sides.
#
# Mend it, and for any $\beta$ (the slide carries it through all exponents, only to set it to 1): **a difference whose
# neighbour lies outside the image is 0; the pixel's other difference still counts.** So $i$ and $j$ run over all pixels.
#
# `total_variation(x, beta)` takes `x` (N, C, H, W) and a number `beta` of at least 1 and returns $\mathcal{R}$ for each image,
# shape (N,): the sum over pixels and channels, **every channel by itself** (the power is taken before channels are added), no
# mean. H or W may be 1. Gradients flow to `x`; they are tested for `beta` of 2 and more, and the next exercise is about the
# rest.
#
# *What the check looks at*
#
# - R for 3 images of 2 channels, 5 × 7, four values of beta: 1 point
# - variation in the last row and column only; one row; one column: 1 point
# - R(x + 5) = R(x), and R(-3 x) = 3^beta R(x): 0.5 points
# - the gradient for beta = 2 and beta = 3: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Both differences of a pixel stand under one power, so both tensors of differences need the image's full size.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# A row has W − 1 horizontal differences: fill up the last column with 0, and for the vertical ones the last row.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `F.pad(x[..., 1:] - x[..., :-1], (0, 1))` is (N, C, H, W); for rows the padding is `(0, 0, 0, 1)`. Then `(du**2 + dv**2) ** (beta / 2)`, summed over all axes but the first.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-total_variation", "locked": true, "schema_version": 3, "solution": false, "task": false}
def slide_readings(x: Tensor, beta: float) -> dict[str, float]:
    """The slide's sum over one image x (H, W), its border settled in two hasty ways."""
    du, dv = x[:-1, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, :-1]
    wrapped_du, wrapped_dv = x.roll(-1, 1) - x, x.roll(-1, 0) - x
    return {
        "only pixels with both neighbours": ((du**2 + dv**2) ** (beta / 2)).sum().item(),
        "the neighbour of the last is the first": ((wrapped_du**2 + wrapped_dv**2) ** (beta / 2)).sum().item(),
    }


def border_cases() -> None:
    """Both readings for a grey image with one bright pixel in the lower right corner, and for a ramp."""
    corner = torch.zeros(6, 8)
    corner[-1, -1] = 1.0
    for name, x in {"bright corner": corner, "ramp": torch.linspace(0, 1, 8).expand(6, 8)}.items():
        for reading, value in slide_readings(x, 1.0).items():
            print(f"{name}, {reading}: {value:.2f}")


# %% nbgrader={"grade": false, "grade_id": "total_variation", "locked": false, "schema_version": 3, "solution": true, "task": false}
def total_variation(x: Tensor, beta: float) -> Tensor:
    """x (N, C, H, W) -> the total variation of each image (N,); differences that would leave the image are 0."""
    ### BEGIN SOLUTION
    du = F.pad(x[..., 1:] - x[..., :-1], (0, 1))
    dv = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    return ((du**2 + dv**2) ** (beta / 2)).sum(dim=(1, 2, 3))
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "run-total_variation", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["nbval-ignore-output"]
border_cases()

# %% nbgrader={"grade": true, "grade_id": "check-total_variation", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 3.0}
check("02.total_variation", total_variation)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-smooth_tv", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Total variation that survives a flat patch
#
# Difficulty ●●○○○ · about 15 minutes · 2.5 points
#
# For $\beta = 1$ every pixel contributes a square root, and the root's slope at 0 is infinite. One pixel whose two differences
# are both 0 is enough for autograd to return $\infty \cdot 0$ = NaN, and an image of constant patches, the very thing that the
# regulariser wants, has many. Round the tip off,
#
# $$\mathcal{R}_{\beta,\epsilon}(x) = \sum_{c,i,j} \left[ \left( d_u^2 + d_v^2 + \epsilon^2 \right)^{\beta/2} -
# \epsilon^\beta \right]$$
#
# where $d_u$, $d_v$ are the differences to the right and downwards at pixel $(i, j)$ of channel $c$. The second term makes a flat
# patch cost nothing. Here the image is a **tile**: the right neighbour of the last column is the first column, the lower neighbour
# of the last row the first row. `wrapped_differences`, given below, does that.
#
# `smooth_tv(x, beta, eps)` takes `x` (N, C, H, W), a number `beta` of at least 1 and a number `eps` above 0 and returns
# $\mathcal{R}$ for each image, shape (N,): a sum, no mean. Its gradient is finite everywhere, and exactly the formula's.
#
# *What the check looks at*
#
# - R for 3 images of 2 channels, 6 × 8, three values of beta: 1 point
# - R = 0 for constant images: 0.5 points
# - gradients for beta = 1 and 1.5, at noise, at constant patches and at constant images: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# What is done after the root cannot mend it: back-propagation still multiplies by the root's own slope.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Where exactly does ε² stand in the formula, and how many pixels subtract ε to the power β?
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `(du**2 + dv**2 + eps**2) ** (beta / 2) - eps**beta` for each pixel, then the sum over all axes but the first.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "given-smooth_tv", "locked": true, "schema_version": 3, "solution": false, "task": false}
def wrapped_differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences on a tile whose opposite sides touch: x (..., H, W) -> to the right, downwards, both (..., H, W)."""
    return x.roll(-1, -1) - x, x.roll(-1, -2) - x


# %% nbgrader={"grade": false, "grade_id": "smooth_tv", "locked": false, "schema_version": 3, "solution": true, "task": false}
def smooth_tv(x: Tensor, beta: float, eps: float) -> Tensor:
    """x (N, C, H, W), a tile -> its total variation with the tip rounded off (N,)."""
    ### BEGIN SOLUTION
    du, dv = wrapped_differences(x)
    rounded = (du**2 + dv**2 + eps**2) ** (beta / 2) - eps**beta
    return rounded.sum(dim=(1, 2, 3))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-smooth_tv", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("02.smooth_tv", smooth_tv)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-inversion_loss", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Reading an image back out of its code
#
# Difficulty ●●○○○ · about 15 minutes · 2.5 points
#
# Which images look to a network like $x_0$? Mahendran and Vedaldi (2015) start anywhere and descend on
#
# $$E(x) = \frac{\lVert \Phi(x) - \Phi(x_0) \rVert_2^2}{\lVert \Phi(x_0) \rVert_2^2} + \lambda\, \mathcal{R}(x)$$
#
# Dividing by the norm of the *target's* code makes layers of all sizes comparable: 0 is a perfect match, and a code of zeros
# scores 1.
#
# `inversion_loss(features, x, x0, prior, weight)` takes
#
# - the function `features` $= \Phi$, which maps images (N, C, H, W) to codes of **any** shape (N, ...);
# - `x` and `x0`, both (N, C, H, W), where `x[n]` is to match the code of `x0[n]`;
# - the function `prior` $= \mathcal{R}$, which maps images to one number each, (N,), and the number `weight` $= \lambda$.
#
# It returns $E$ for **each** image, shape (N,): norms run over all entries of one image's code and over no other image's.
#
# The target is a constant: gradients reach `x`, through both terms, and never `x0`, also where `x0` requires one.
#
# *What the check looks at*
#
# - the first term alone; 0 for x = x0: 1 point
# - E with the regulariser, for codes of maps and of vectors: 0.5 points
# - the gradient of x; none for x0: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# Both norms are sums of squares over everything that belongs to one image: over all axes but the first.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `flatten(1)` makes any code (N, D). Which of the two calls of `features` must leave no trace in the graph?
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `code = features(x0).detach().flatten(1)`; the first term is `(features(x).flatten(1) - code).square().sum(1) / code.square().sum(1)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "inversion_loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def inversion_loss(
    features: Callable[[Tensor], Tensor], x: Tensor, x0: Tensor, prior: Callable[[Tensor], Tensor], weight: float
) -> Tensor:
    """features: (N, C, H, W) -> (N, ...), prior: (N, C, H, W) -> (N,), x and x0 (N, C, H, W) -> (N,)."""
    ### BEGIN SOLUTION
    target = features(x0).detach().flatten(1)
    error = (features(x).flatten(1) - target).square().sum(dim=1)
    return error / target.square().sum(dim=1) + weight * prior(x)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-inversion_loss", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("02.inversion_loss", inversion_loss)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-denoise_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Denoising by hand: the gradient of total variation
#
# Difficulty ●●●○○ · about 25 minutes · 2.5 points
#
# Rudin, Osher and Fatemi (1992) remove the noise of an image $y$ by descending on
#
# $$E(x) = \tfrac12 \sum_{c,i,j} (x - y)^2 + \lambda \sum_{c,i,j} r, \qquad r = \sqrt{d_u^2 + d_v^2 + \epsilon^2}$$
#
# with the differences $d_u$, $d_v$ of `wrapped_differences` from the exercise before: the image is a tile. Autograd could do it.
# Do it by hand: the result has a name, $-\operatorname{div}(\nabla x / r)$, and shows what total variation does to an edge.
#
# A pixel stands in its own $r$ with the sign − (twice), and with the sign + in the $r$ of its **left** neighbour (in $d_u$) and of
# the one **above** (in $d_v$). Collect the four.
#
# `denoise_step(x, y, weight, eps, lr)` takes `x`, `y` (N, C, H, W) and numbers $\lambda$ = `weight`, $\epsilon$ = `eps`, `lr`,
# and returns `x - lr * gradient of E` (N, C, H, W), a new tensor. The check runs it under `torch.no_grad()`.
#
# *What the check looks at*
#
# - a step without the regulariser: 0.5 points
# - a step from x = y, where only the regulariser pulls: 1 point
# - three steps with both terms: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# First p_u = d_u / r and p_v = d_v / r: the slopes of r in its two differences.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The gradient at a pixel is: p_u of the left neighbour − p_u here + p_v of the pixel above − p_v here. `wrapped_differences` looks right and down; here you look left and up.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `p_u.roll(1, -1)` holds the left neighbours, `p_v.roll(1, -2)` those above. The regulariser's gradient is `p_u.roll(1, -1) - p_u + p_v.roll(1, -2) - p_v`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "denoise_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def denoise_step(x: Tensor, y: Tensor, weight: float, eps: float, lr: float) -> Tensor:
    """One step down (x - y)² / 2 + weight * sqrt(d_u² + d_v² + eps²): x, y (N, C, H, W) -> (N, C, H, W)."""
    ### BEGIN SOLUTION
    du, dv = wrapped_differences(x)
    r = (du**2 + dv**2 + eps**2).sqrt()
    p_u, p_v = du / r, dv / r
    smoothness = p_u.roll(1, -1) - p_u + p_v.roll(1, -2) - p_v
    return x - lr * (x - y + weight * smoothness)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-denoise_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("02.denoise_step", denoise_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s4_dreams", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 4. Dreams
#
# Ascent on a layer's activity shows nothing before two things are settled: how far a step goes, and how to keep the grid of the
# layer out of the picture.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-ascent_step", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A step of known size
#
# Difficulty ●●○○○ · about 12 minutes · 2.5 points
#
# The gradient of a layer's activity is millions of times larger for one layer than for another, and for one image than for its
# neighbour in the batch. So DeepDream rescales it before every step. The original script divides by the mean absolute value;
# here it is the root mean square, after which a step moves every image equally far:
#
# $$x_n \leftarrow x_n + \eta\, \frac{g_n}{\mathrm{rms}(g_n) + 10^{-8}}, \qquad g_n = \frac{\partial a_n}{\partial x_n},
# \qquad \mathrm{rms}(g) = \sqrt{\tfrac{1}{CHW} \textstyle\sum_{c,i,j} g_{cij}^2}$$
#
# `ascent_step(activity, x, lr)` takes the function `activity`, which maps images (N, C, H, W) to one number each, (N,), where the
# number of image n depends on image n alone; `x` (N, C, H, W); and the number `lr` $= \eta$. It returns the images after one step
# **up**, (N, C, H, W). An image whose gradient is 0 everywhere stays where it is. The result carries no graph, and `x` neither
# requires a gradient afterwards nor holds one. Pixels are not clipped.
#
# *What the check looks at*
#
# - a step with a single image: 0.5 points
# - three images whose gradients differ a thousandfold: 1 point
# - an image whose gradient is 0: 0.5 points
# - no graph on the result, no gradient on x: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# One backward pass is enough for all images: no image's activity depends on another image.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# Differentiate the sum of the activities with respect to a detached copy. The mean of squares runs over axes 1, 2, 3.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `leaf = x.detach().requires_grad_()`, `(g,) = torch.autograd.grad(activity(leaf).sum(), leaf)`, and `g.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()` is (N, 1, 1, 1).
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "ascent_step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ascent_step(activity: Callable[[Tensor], Tensor], x: Tensor, lr: float) -> Tensor:
    """activity (N, C, H, W) -> (N,), x (N, C, H, W) -> the images after one step of length lr per pixel (N, C, H, W)."""
    ### BEGIN SOLUTION
    leaf = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(activity(leaf).sum(), leaf)
    rms = g.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return x.detach() + lr * g / (rms + 1e-8)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-ascent_step", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("02.ascent_step", ascent_step)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-jittered_ascent", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Jitter, and its undo
#
# Difficulty ●●○○○ · about 12 minutes · 2 points
#
# Layers with strides have a grid, and plain ascent engraves it into the image. So every step looks at the image from another
# offset: shift, step, shift back. One sign wrong, and the dream drifts across the picture or smears.
#
# `jittered_ascent(activity, x, shifts, lr)` takes the function `activity`, images (N, C, H, W) to one number each, (N,); `x` (N, C,
# H, W); a list `shifts` of pairs `(dy, dx)` of whole numbers, also negative ones; and a number `lr`. For each pair in turn it
# takes one plain step **up**, `+ lr` times the gradient of the sum of the activities (not rescaled), at the image moved **down by
# dy and right by dx**, pixels that leave on one side coming back on the other. It returns the images (N, C, H, W) after the last
# step in their original place, without a graph.
#
# *What the check looks at*
#
# - (0, 0) is a plain step: 0.5 points
# - one step, for three shifts: 1 point
# - three steps with another shift each: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# After each step the image is back in its place: nothing of a shift is left for the next one.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.roll` takes as many `shifts` as `dims`. Down is along axis 2, right along axis 3.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `x.roll((dy, dx), (2, 3))`, one step there, then `.roll((-dy, -dx), (2, 3))`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "jittered_ascent", "locked": false, "schema_version": 3, "solution": true, "task": false}
def jittered_ascent(
    activity: Callable[[Tensor], Tensor], x: Tensor, shifts: list[tuple[int, int]], lr: float
) -> Tensor:
    """activity (N, C, H, W) -> (N,), x (N, C, H, W), pairs (dy, dx) -> the images after a step for each pair (N, C, H, W)."""
    ### BEGIN SOLUTION
    for dy, dx in shifts:
        moved = x.detach().roll((dy, dx), (2, 3)).requires_grad_()
        (g,) = torch.autograd.grad(activity(moved).sum(), moved)
        x = (moved + lr * g).detach().roll((-dy, -dx), (2, 3))
    return x
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-jittered_ascent", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("02.jittered_ascent", jittered_ascent)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s5_scales", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 5. Octaves and tiles
#
# The same dream at several sizes, and a photograph that is too large for one pass.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-octave_dream", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Octaves that keep the picture sharp
#
# Difficulty ●●●○○ · about 20 minutes · 2.5 points
#
# A network's filters have a size; an image shrunk to half makes them twice as large. DeepDream works from the coarsest size to
# the finest, and hands on only what was **dreamt**, never the shrunken picture: an enlarged picture would be blurred.
#
# For each size in turn:
#
# 1. `base`: the original `x`, shrunk to this size in one go;
# 2. `detail`: what the coarser octave handed on, enlarged to this size; zeros at the first one;
# 3. `dream` the sum of both;
# 4. hand on what was dreamt minus `base`.
#
# `octave_dream(x, sizes, dream)` takes `x` (N, C, H, W); a list `sizes` of pairs (height, width), from coarse to fine, the last
# one (H, W); and a function `dream`, images to images of equal size. It returns what was dreamt at the last size.
#
# The ratio of two sizes is no whole number: use the sizes, not a factor. **Shrink** with the mode `"area"` (the mean of the
# pixels covered), **enlarge** with `"bilinear"` and `align_corners=False`, both of `F.interpolate`, without antialiasing.
#
# *What the check looks at*
#
# - a single size: one dream at full size: 0.5 points
# - 8 × 11, then 13 × 18: 1 point
# - 5 × 7, 8 × 11, 13 × 18, and the sizes that were dreamt at: 0.5 points
# - a dream that changes nothing gives back x: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Two things change size: the original, always shrunk from `x` itself, and the detail, enlarged from octave to octave.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# A loop over `sizes` with the detail as its only state. What was dreamt includes the detail of before: nothing has to be added up.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `detail = dream(base + F.interpolate(detail, size, mode='bilinear')) - base`; before the first size let `detail` be zeros like `x`, which stay zeros at any size.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "octave_dream", "locked": false, "schema_version": 3, "solution": true, "task": false}
def octave_dream(x: Tensor, sizes: list[tuple[int, int]], dream: Callable[[Tensor], Tensor]) -> Tensor:
    """x (N, C, H, W), sizes (height, width) from coarse to fine, dream: images -> images -> what was dreamt (N, C, H, W)."""
    ### BEGIN SOLUTION
    detail = torch.zeros_like(x)
    for size in sizes:
        base = F.interpolate(x, size, mode="area")
        detail = F.interpolate(detail, size, mode="bilinear", align_corners=False)
        dreamt = dream(base + detail)
        detail = dreamt - base
    return dreamt
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-octave_dream", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.5}
check("02.octave_dream", octave_dream)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-tiled_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Tiles without seams
#
# Difficulty ●●●○○ · about 20 minutes · 2 points
#
# A photograph does not fit into memory with all its activations. So the gradient is computed tile by tile. Filters that reach
# over a tile's edge find zeros there instead of the picture, which shows as a seam in the dream. The remedy is context: cut every
# tile out with a margin, differentiate the larger piece, and keep only the tile itself. With a margin as wide as the network's
# reach the result **equals** the gradient of the whole image (here the activity is a sum over places, with filters of 3 × 3,
# and a margin of 2 is enough).
#
# `tiled_gradient(activity, x, tile, margin)` takes the function `activity`, images or pieces of images (N, C, h, w) to one number
# each, (N,); `x` (N, C, H, W); and two whole numbers in pixels. Tiles of `tile` × `tile` start at rows and columns 0, `tile`, 2
# `tile`, ...; the last ones of a row or column may be smaller. The piece for a tile is the tile and up to `margin` pixels more on
# each of its four sides, **as far as the image goes**: nothing is padded. It returns the gradient (N, C, H, W), each pixel's from
# the piece of its own tile, without a graph; `x` requires no gradient afterwards.
#
# *What the check looks at*
#
# - images of 10 × 13 in tiles of 5, seams included: 0.5 points
# - tiles of 4 with margins of 1 and 2: 1 point
# - no piece larger than tile + 2 margin; no graph is kept: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# Each tile has two rectangles: the one that you differentiate, and the one that you keep.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# The piece starts at `max(i - margin, 0)`, so the tile starts at `i - max(i - margin, 0)` within it. A slice may end beyond the image, but must not start before it.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `top = max(i - margin, 0)`; `piece = x[:, :, top : i + tile + margin, ...]`; from its gradient `g` keep `g[:, :, i - top : i - top + tile, ...]`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "tiled_gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tiled_gradient(activity: Callable[[Tensor], Tensor], x: Tensor, tile: int, margin: int) -> Tensor:
    """activity (N, C, h, w) -> (N,), x (N, C, H, W) -> the gradient (N, C, H, W), each tile's from a piece with a margin."""
    ### BEGIN SOLUTION
    gradient = torch.zeros_like(x)
    for i in range(0, x.shape[2], tile):
        for j in range(0, x.shape[3], tile):
            top, left = max(i - margin, 0), max(j - margin, 0)
            piece = x[:, :, top : i + tile + margin, left : j + tile + margin].detach().requires_grad_()
            (g,) = torch.autograd.grad(activity(piece).sum(), piece)
            kept = g[:, :, i - top : i - top + tile, j - left : j - left + tile]
            gradient[:, :, i : i + tile, j : j + tile] = kept
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-tiled_gradient", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("02.tiled_gradient", tiled_gradient)


# %% [markdown] nbgrader={"grade": false, "grade_id": "section-s6_saliency", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## 6. Saliency
#
# The input gradient read as an explanation: averaged over noise, or with a rectifier that passes only what helps.

# %% [markdown] nbgrader={"grade": false, "grade_id": "task-smooth_saliency", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### Saliency averaged over noise
#
# Difficulty ●●●○○ · about 18 minutes · 2 points
#
# Where does a class see its evidence? The gradient of its logit with respect to the image says so, but it flickers from pixel to
# pixel. SmoothGrad (Smilkov et al. 2017) averages it over noisy copies of the image:
#
# $$G_n = \frac1S \sum_{s=1}^{S} \frac{\partial a_{n y_n}}{\partial x_n}\bigg|_{x_n + \sigma_n z_{sn}}, \qquad
# \sigma_n = \ell \, (\max x_n - \min x_n), \qquad M_{nij} = \max_c \left| G_{ncij} \right|$$
#
# Mind the order: the **signed** gradients are averaged, then comes the absolute value, then the maximum over the channels.
#
# `smooth_saliency(net, x, y, noise, level)` takes a network `net`, images (N, C, H, W) to logits $a$ (N, K); `x` (N, C, H, W);
# classes `y` (N,) int64; standard normal `noise` $z$ (S, N, C, H, W); and the number `level` $= \ell$. Maximum and minimum run
# over all pixels and channels of an image, each image by itself. It returns the maps $M$ (N, H, W), without a graph. Noisy
# copies are not clipped.
#
# *What the check looks at*
#
# - no noise: the plain gradient's map: 0.5 points
# - one noisy copy; four copies of one image: 0.5 points
# - three images, four copies each; no graph is kept: 1 point
#
# <details><summary>Hint 1 of 3</summary>
#
# What is averaged can be positive in one copy and negative in the next; that is where the noise cancels.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `net(noisy).gather(1, y[:, None]).sum()` is the sum of the logits asked for. `x.amax(dim=(1, 2, 3), keepdim=True)` is (N, 1, 1, 1).
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# For each z: `noisy = (x + sigma * z).requires_grad_()`, add its gradient to a total. At the end `(total / len(noise)).abs().amax(dim=1)`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "smooth_saliency", "locked": false, "schema_version": 3, "solution": true, "task": false}
def smooth_saliency(net: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, noise: Tensor, level: float) -> Tensor:
    """net (N, C, H, W) -> (N, K), x (N, C, H, W), y (N,), noise (S, N, C, H, W) -> maps (N, H, W)."""
    ### BEGIN SOLUTION
    sigma = level * (x.amax(dim=(1, 2, 3), keepdim=True) - x.amin(dim=(1, 2, 3), keepdim=True))
    total = torch.zeros_like(x)
    for z in noise:
        noisy = (x + sigma * z).detach().requires_grad_()
        (g,) = torch.autograd.grad(net(noisy).gather(1, y[:, None]).sum(), noisy)
        total = total + g
    return (total / len(noise)).abs().amax(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-smooth_saliency", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("02.smooth_saliency", smooth_saliency)


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-guided_relu", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ### A rectifier that rectifies its gradient, too
#
# Difficulty ●●●○○ · about 15 minutes · 2 points
#
# Guided backpropagation (Springenberg et al. 2015) draws sharp pictures of what excites a unit by changing one rule: on the way
# back a rectifier passes a gradient only where its input was positive (as ever) **and** the gradient itself is positive. What
# inhibits the unit is never shown.
#
# $$f(a) = \max(0, a) \qquad\qquad \bar a = \bar f \cdot [a > 0] \cdot [\bar f > 0]$$
#
# where $\bar f$ is the gradient that arrives at the output and $\bar a$ the one that is sent on to the input.
#
# Write `guided_relu(a)` for a tensor `a` of any shape: it returns $f(a)$ of the same shape, and whoever differentiates through it
# gets $\bar a$. It must work in a stack of layers, and for an `a` that requires no gradient. (The result is no gradient of any
# function, so it cannot be had from a clever forward formula alone.) You may define helpers or a class next to the function, in the
# same cell.
#
# *What the check looks at*
#
# - the values, without a graph: 0.5 points
# - the gradient of one rectifier: 1 point
# - gradients through two layers: 0.5 points
#
# <details><summary>Hint 1 of 3</summary>
#
# The forward pass is the usual one. You need a say in the backward pass only.
#
# </details>
# <details><summary>Hint 2 of 3</summary>
#
# `torch.autograd.Function` with `forward(ctx, a)` and `backward(ctx, grad)` defines both by hand; `ctx.save_for_backward(a)` keeps what the second one needs. A tensor's `register_hook` can change a gradient, too.
#
# </details>
# <details><summary>Hint 3 of 3</summary>
#
# `backward` returns `grad * (a > 0) * (grad > 0)`, or: a hook on `torch.relu(a)` that returns `grad.clamp(min=0)`. A hook needs a tensor that requires a gradient.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "guided_relu", "locked": false, "schema_version": 3, "solution": true, "task": false}
def guided_relu(a: Tensor) -> Tensor:
    """max(0, a) of any shape; back through it goes the gradient where a and the gradient itself are positive."""
    ### BEGIN SOLUTION
    out = torch.relu(a)
    if out.requires_grad:
        out.register_hook(lambda grad: grad.clamp(min=0))
    return out
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-guided_relu", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 2.0}
check("02.guided_relu", guided_relu)

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Where you stand
#
# `progress` keeps your best scores on this computer, across sessions. Before you hand in, restart the kernel and run all
# cells: what the grader sees is the notebook run from top to bottom.
#

# %% nbgrader={"grade": false, "grade_id": "progress", "locked": true, "schema_version": 3, "solution": false, "task": false}
progress("02")
