"""## 5. What helps

A discriminator that sees the whole batch, critics that are kept in bounds, targets in place of logarithms, labels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum
from coursekit.checks.protocol import RecordingSGD, flat_weights
from coursekit.exercises.u04_gan.nets_b import (
    CHANNELS,
    FEATURES,
    HEIGHT,
    LATENT,
    WIDTH,
    ImageCritic,
    PointCritic,
    PointGenerator,
    draw_critic,
    draw_generator,
    draw_image_critic,
)

# minibatch_features


def _draw_minibatch(rng: Rng) -> Inputs:
    return {"h": rng.normal(5, 3), "T": rng.normal(3, 2, 4, scale=0.25), "order": rng.permutation(5)}


def _minibatch_values(minibatch_features: Any, inputs: Inputs) -> Findings:
    return {"features of five examples": minibatch_features(inputs["h"], inputs["T"])}


def _minibatch_special(minibatch_features: Any, inputs: Inputs) -> Findings:
    h, T = inputs["h"], inputs["T"]
    return {
        "four copies of one example": minibatch_features(h[:1].expand(4, 3).clone(), T),
        "a batch of one": minibatch_features(h[1:2], T),
        "two and the same two": minibatch_features(h[[0, 2, 2, 0]], T),
    }


def _minibatch_gradients(minibatch_features: Any, inputs: Inputs) -> Findings:
    h, T = inputs["h"].requires_grad_(), inputs["T"].requires_grad_()
    grads = torch.autograd.grad(weighted_sum(minibatch_features(h, T)), [h, T], allow_unused=True)
    return {"gradient of h": grads[0], "gradient of T": grads[1]}


MINIBATCH_FEATURES = Question(
    unit="04",
    name="minibatch_features",
    title="Let the discriminator see the whole batch",
    difficulty=3,
    minutes=20,
    task="""
A discriminator that judges one example at a time cannot see that all of them are alike. Minibatch discrimination (Salimans
et al. 2016, section 3.2) tells it how close each example is to the *others* of its batch. A learned tensor $T$ turns the
features $h_i$ of example $i$ into B rows of C numbers, and

$$M_{ibc} = \\sum_a h_{ia} T_{abc}, \\qquad o_{ib} = \\sum_{j \\neq i} \\exp\\!\\Big(-\\sum_c |M_{ibc} - M_{jbc}|\\Big)$$

`minibatch_features(h, T)` takes `h` (N, A) and `T` (A, B, C) and returns (N, A + B): the features `h`, followed by the
closeness $o$. An example is **not** compared with itself (the paper's formula includes it, which only adds 1): a batch of
one has $o = 0$, N equal examples have $o = N - 1$. Gradients reach `h`, through both halves, and `T`.
""",
    answers=("minibatch_features",),
    draw=_draw_minibatch,
    parts=(
        Part(name="values", points=1.0, tests="features of a batch of five", probe=_minibatch_values),
        Part(
            name="special batches", points=0.5, tests="equal examples, a batch of one, pairs", probe=_minibatch_special
        ),
        Part(name="gradients", points=0.5, tests="gradients of h and T", probe=_minibatch_gradients),
    ),
    hints=(
        "Broadcasting compares all pairs at once: give M an axis for i and one for j, and keep an eye on which is which.",
        "`torch.einsum('na,abc->nbc', h, T)` is M. `M[:, None] - M[None]` is (N, N, B, C).",
        "Absolute values summed over the last axis, `exp` of the negative, summed over one of the two N: then "
        "subtract the 1 that each "
        "example has from itself, and `torch.cat([h, o], dim=1)`.",
    ),
)

# clipped_critic_step


def _draw_clipped(rng: Rng) -> Inputs:
    return {
        "critic": draw_critic(rng),
        "generator": draw_generator(rng),
        "x": [rng.uniform(6, FEATURES, low=-0.2, high=1.0) for _ in range(3)],
        "z": [rng.normal(5, LATENT) for _ in range(3)],
        "c": rng.number(0.3, 0.4),
    }


def _clipped_run(step: Any, inputs: Inputs, count: int) -> dict[str, Any]:
    critic, generator = PointCritic(inputs["critic"]), PointGenerator(inputs["generator"])
    for p in (*critic.parameters(), *generator.parameters()):
        p.grad = torch.full_like(p, 0.25)  # as they are found in the middle of a training
    optimizer = RecordingSGD(critic.parameters(), lr=0.05)
    returned = [step(critic, generator, optimizer, inputs["x"][k], inputs["z"][k], inputs["c"]) for k in range(count)]
    return {
        "gradient of each update": optimizer.gradients,
        "weights": flat_weights(critic.parameters()),
        "buffer": critic.gain,
        "returned": returned,
        "generator": [flat_weights(generator.parameters()), *[p.grad for p in generator.parameters()]],
    }


def _clipped_once(step: Any, inputs: Inputs) -> Findings:
    seen = _clipped_run(step, inputs, 1)
    return {"gradient of the update": seen["gradient of each update"], "weights afterwards": seen["weights"]}


def _clipped_thrice(step: Any, inputs: Inputs) -> Findings:
    seen = _clipped_run(step, inputs, 3)
    return {"gradient of each update": seen["gradient of each update"], "weights after three steps": seen["weights"]}


def _clipped_estimate(step: Any, inputs: Inputs) -> Findings:
    returned = _clipped_run(step, inputs, 2)["returned"]
    return {
        "estimates": [float(value) for value in returned],
        "estimate holds a graph": any(isinstance(value, Tensor) and value.requires_grad for value in returned),
    }


def _clipped_untouched(step: Any, inputs: Inputs) -> Findings:
    seen = _clipped_run(step, inputs, 2)
    return {"generator's weights and their gradients": seen["generator"], "critic's buffer": seen["buffer"]}


CLIPPED_CRITIC_STEP = Question(
    unit="04",
    name="clipped_critic_step",
    title="A step of the Wasserstein critic",
    difficulty=3,
    minutes=20,
    task="""
A critic $f$ gives scores without a sigmoid. Its task is to keep the scores of data and of fakes as far apart as it can,
while it may not be steep; the original WGAN (Arjovsky, Chintala and Bottou 2017, algorithm 1) ensures that by force:

$$\\max_f \\; W = \\frac1N \\sum_n f(x_n) - \\frac1M \\sum_m f(G(z_m)), \\qquad \\text{then every weight} \\; w \\leftarrow
\\max(-c, \\min(c, w))$$

`clipped_critic_step(critic, generator, optimizer, x, z, c)` makes **one** update of `critic`: clear the old gradients,
differentiate, one `optimizer.step()` (the optimiser **descends**; it has `zero_grad()` and `step()`), and only then clip
all of the critic's parameters to [−c, c], **in place**. `x` is (N, D), `z` is (M, Z); both networks return one row per
example, the critic scores (N,). It returns the estimate $W$ **before** the update, as a Python number.

The generator gets no gradient: its weights' `.grad` stay as they were found. Buffers of the critic are not weights.
""",
    answers=("clipped_critic_step",),
    draw=_draw_clipped,
    parts=(
        Part(name="one step", points=1.0, tests="gradient and weights of one step", probe=_clipped_once),
        Part(name="three steps", points=0.5, tests="three steps in a row", probe=_clipped_thrice),
        Part(name="estimate", points=0.5, tests="the returned estimate, a number", probe=_clipped_estimate),
        Part(name="untouched", points=0.5, tests="the generator and the critic's buffer", probe=_clipped_untouched),
    ),
    hints=(
        "The optimiser descends, the critic wants W to be large: what do you call `backward` on?",
        "`generator(z).detach()` keeps the gradient out of the generator. Clip under `torch.no_grad()`, after the step.",
        "`with torch.no_grad():` then `p.clamp_(-c, c)` for every `p` in `critic.parameters()`. Return the "
        "estimate's `.item()`.",
    ),
)

# one_sided_penalty


def _draw_penalty(rng: Rng) -> Inputs:
    critic, shape = draw_image_critic(rng, slope=2.5), (5, CHANNELS, HEIGHT, WIDTH)
    # Nearly grey: the critic is steeper than 1 there. Examples 1 and 3 saturate all of its units: flatter.
    contrast = torch.tensor([0.2, 0.1, 0.35, 0.1, 0.25], dtype=rng.dtype)[:, None, None, None]
    signs = torch.tensor([[1.0, 1, -1, 1, -1], [-1, 1, 1, -1, -1]], dtype=rng.dtype)
    loud = torch.zeros(shape, dtype=rng.dtype)
    loud[1::2] = (2.5 * signs @ torch.linalg.pinv(ImageCritic(critic).W.detach()).T).reshape(2, *shape[1:])
    x, noise = rng.normal(*shape), rng.normal(*shape)
    return {
        "critic": critic,
        "x": loud + contrast * x,
        "fake": loud + contrast * (0.8 * x + 0.6 * noise),
        "shift": rng.normal(CHANNELS, HEIGHT, WIDTH, scale=0.05),
        "eps": rng.uniform(5, low=0.1, high=0.3) + torch.tensor([0.0, 0.6, 0.3, 0.1, 0.5], dtype=rng.dtype),
    }


def _penalty_value(penalty: Any, inputs: Inputs) -> Findings:
    critic = ImageCritic(inputs["critic"])
    images = [(inputs["x"], inputs["fake"], inputs["eps"]), (inputs["x"][:2], inputs["fake"][:2], inputs["eps"][:2])]
    return {f"penalty of {len(x)} examples": penalty(critic, x, fake, eps) for x, fake, eps in images}


def _penalty_gradient(penalty: Any, inputs: Inputs) -> Findings:
    critic = ImageCritic(inputs["critic"])
    value = penalty(critic, inputs["x"], inputs["fake"], inputs["eps"])
    filled = [p.grad is not None for p in critic.parameters()]
    if not value.requires_grad:
        return {"gradient of the critic's weights": None, "weights had a gradient before": filled}
    value.backward()
    # A bias at the end of a critic has no say in its slope, and so no gradient.
    return {
        "gradient of the critic's weights": [p.grad for p in critic.parameters()],
        "weights had a gradient before": filled,
    }


def _penalty_generator(penalty: Any, inputs: Inputs) -> Findings:
    critic, shift = ImageCritic(inputs["critic"]), inputs["shift"].clone().requires_grad_()
    x = inputs["x"].clone()
    value = penalty(critic, x, inputs["fake"] + shift, inputs["eps"])
    if value.requires_grad:
        value.backward()
    return {
        "penalty": value,
        "gradient that reached the generator": shift.grad,
        "data require a gradient": x.requires_grad,
    }


def _penalty_flat(penalty: Any, inputs: Inputs) -> Findings:
    """The second example lies where the critic is constant: its slope is exactly 0."""
    critic = ImageCritic(inputs["critic"], dead=0.4)
    x, fake = inputs["x"] * 3, inputs["fake"] * 3
    x[1] = fake[1] = 0.0
    value = penalty(critic, x, fake, inputs["eps"])
    found: Findings = {"penalty": value, "gradient of the critic's weights": None}
    if value.requires_grad:
        value.backward()
        found["gradient of the critic's weights"] = [p.grad for p in critic.parameters()]
    return found


ONE_SIDED_PENALTY = Question(
    unit="04",
    name="one_sided_penalty",
    title="A gradient penalty for steep slopes only",
    difficulty=4,
    minutes=25,
    task="""
Clipping weights is a crude bound. The gradient penalty (Gulrajani et al. 2017) asks for a slope of 1 between data and
fakes; its one-sided form (Petzka, Fischer and Lukovnikov 2018) punishes only what is too steep, which is all that the
theory needs:

$$\\hat x_n = \\epsilon_n x_n + (1 - \\epsilon_n)\\, \\tilde x_n, \\qquad
P = \\frac1N \\sum_n \\max\\big(0,\\; \\lVert \\nabla_{\\hat x_n} f(\\hat x_n) \\rVert_2 - 1\\big)^2$$

`one_sided_penalty(critic, x, fake, eps)` takes a `critic` that maps images (N, C, H, W) to scores (N,), data `x` and `fake`
$\\tilde x$ (N, C, H, W), and `eps` (N,), a weight for each example. It returns $P$, a 0-dimensional tensor, without a factor
$\\lambda$. The norm is that of an example's whole gradient, over C, H and W.

- $P$ is to be trained: `backward()` on it must reach the **critic's weights**. Your function does not call `backward` itself.
- `fake` may come with the graph of the generator that made it. No gradient may reach the **generator**.
- Where the critic is flat, the slope is exactly 0. Such an example adds 0 to the penalty and to every gradient, and **no NaN**.
""",
    answers=("one_sided_penalty",),
    draw=_draw_penalty,
    parts=(
        Part(name="value", points=1.0, tests="the penalty of five examples, and of two", probe=_penalty_value),
        Part(
            name="weights",
            points=1.0,
            tests="its gradient with respect to the critic's weights",
            probe=_penalty_gradient,
        ),
        Part(name="generator", points=0.5, tests="no gradient for the generator", probe=_penalty_generator),
        Part(name="flat", points=0.5, tests="an example where the critic is flat", probe=_penalty_flat),
    ),
    hints=(
        "A gradient of a gradient: the first one must itself be part of a graph.",
        "`torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)`, where `mixed` is a detached "
        "tensor that requires a "
        "gradient. `eps[:, None, None, None]` goes with images.",
        "`slope.flatten(1).norm(dim=1)` has a usable gradient at 0, a square root of a sum does not. Then "
        "`(length - 1).clamp(min=0)`, "
        "squared, and the mean.",
    ),
)
