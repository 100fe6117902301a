"""### Targets, labels and slopes

What the discriminator aims at, what else it can be asked, and how each of its layers is kept from being steep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from coursekit.checks.declare import Findings, Inputs, Part, Question
from coursekit.checks.draws import Rng
from coursekit.checks.probes import weighted_sum

# least_squares_game


def _draw_targets(rng: Rng) -> Inputs:
    low = rng.number(-2.0, -0.6)
    density = rng.uniform(2, 7, low=0.05, high=1.0)
    density[1, 2] = density[0, 4] = 0.0
    return {
        "real": rng.normal(6, scale=1.5),
        "fake": rng.normal(4, scale=1.5),
        "targets": [low, low + rng.number(2.2, 3.0), low + rng.number(1.0, 1.8)],
        "densities": density,
    }


def _codings(inputs: Inputs) -> list[list[float]]:
    return [[0.0, 1.0, 1.0], [-1.0, 1.0, 0.0], inputs["targets"]]


def _ls_values(answer: Any, inputs: Inputs) -> Findings:
    found: Findings = {}
    for a, b, c in _codings(inputs):
        d_loss, g_loss = answer.least_squares_losses(inputs["real"], inputs["fake"], a, b, c)
        found[f"D's loss, targets {a:.1f} {b:.1f} {c:.1f}"] = d_loss
        found[f"G's loss, targets {a:.1f} {b:.1f} {c:.1f}"] = g_loss
    return found


def _ls_gradients(answer: Any, inputs: Inputs) -> Findings:
    found: Findings = {}
    for player in (0, 1):
        real, fake = inputs["real"].clone().requires_grad_(), inputs["fake"].clone().requires_grad_()
        loss = answer.least_squares_losses(real, fake, *inputs["targets"])[player]
        grads = torch.autograd.grad(loss, [real, fake], allow_unused=True)
        for name, grad, scores in zip(("real", "fake"), grads, (real, fake)):
            # No gradient and a gradient of zeros are the same to a player.
            found[f"{'DG'[player]}'s gradient of the {name} scores"] = (
                torch.zeros_like(scores) if grad is None else grad
            )
    return found


def _ls_game(answer: Any, inputs: Inputs) -> Findings:
    """Where the scores of fakes go when G descends its loss, with the slide's targets."""
    fake = inputs["fake"].clone().requires_grad_()
    for _ in range(8):
        g_loss = answer.least_squares_losses(inputs["real"], fake, 0.0, 1.0, 1.0)[1]
        (grad,) = torch.autograd.grad(g_loss, fake)
        fake = (fake - 0.5 * grad).detach().requires_grad_()
    return {"scores of fakes after 8 steps of G": fake}


def _ls_best(answer: Any, inputs: Inputs) -> Findings:
    p_data, p_g = inputs["densities"]
    return {
        f"best scores, targets {a:.1f} {b:.1f}": answer.best_score(p_data, p_g, a, b) for a, b, _ in _codings(inputs)
    }


LEAST_SQUARES_GAME = Question(
    unit="04",
    name="least_squares_game",
    title="Least squares with two players, not one",
    slip=True,
    difficulty=2,
    minutes=18,
    task="""
A slide on CycleGAN (HKUST, *Advanced Deep Learning Architectures: Generative Adversarial Networks*) writes the
least-squares game as one value,

$$V = \\mathbb E\\big[(D(x) - 1)^2\\big] + \\mathbb E\\big[D(G(z))^2\\big]$$

and does not say who does what. D descends it, and rightly so. But let G descend it as well, and G drives $D(G(z))$ to 0: it
learns to be **recognised**. Let G ascend it, and the scores run off to infinity. Least squares need a loss for each player
(Mao et al. 2017, equation 9), with three targets: $a$ for fakes and $b$ for data in D's eyes, and $c$, what G wants D to
say of fakes:

$$L_D = \\tfrac12\\, \\mathbb E\\big[(D(x) - b)^2\\big] + \\tfrac12\\, \\mathbb E\\big[(D(G(z)) - a)^2\\big], \\qquad
L_G = \\tfrac12\\, \\mathbb E\\big[(D(G(z)) - c)^2\\big]$$

- `least_squares_losses(real, fake, a, b, c)` takes the scores `real` (N,) and `fake` (M,) and three numbers. It returns the pair
  $(L_D, L_G)$ of 0-dimensional tensors, both to be descended; expectations are means.
- `best_score(p_data, p_g, a, b)` takes densities at K points, both (K,), at least one of them above 0 at every point. It returns
  the score (K,) that minimises $L_D$ at each point. Derive it: it is no longer a probability.
""",
    answers=("least_squares_losses", "best_score"),
    draw=_draw_targets,
    parts=(
        Part(name="losses", points=1.0, tests="both losses for three sets of targets", probe=_ls_values),
        Part(name="gradients", points=0.5, tests="their gradients with respect to the scores", probe=_ls_gradients),
        Part(name="game", points=0.5, tests="where G drives the scores of fakes", probe=_ls_game),
        Part(name="best score", points=0.5, tests="the best score for densities at seven points", probe=_ls_best),
    ),
    hints=(
        "Three squared distances, each to a target of its own. G has no say in the scores of data.",
        "The best score minimises $p_{data} (s - b)^2 + p_g (s - a)^2$ over $s$: set the derivative to 0.",
        "A mean of the two targets, weighted by the densities: b with that of the data, a with that of the fakes.",
    ),
)

# labelled_discriminator


def _draw_labelled(rng: Rng) -> Inputs:
    K = 4
    fake = rng.normal(3, K + 1, scale=2.0)
    extreme = torch.zeros(4, K + 1, dtype=rng.dtype)
    extreme[0, K], extreme[1, 1], extreme[2] = 900.0, 1200.0, 1000.0
    extreme[3, :K], extreme[3, K] = -1000.0, -100.0
    return {
        "real": rng.normal(5, K + 1, scale=2.0),
        "labels": torch.cat([torch.tensor([K - 1]), rng.integers(0, K, 4)])[rng.permutation(5)],
        "fake": fake,
        "extreme": extreme + rng.normal(4, K + 1),
    }


def _labelled_values(answer: Any, inputs: Inputs) -> Findings:
    real, labels, fake = inputs["real"], inputs["labels"], inputs["fake"]
    return {
        "loss, 5 real and 3 fake": answer.labelled_d_loss(real, labels, fake),
        "loss, 2 real and 3 fake": answer.labelled_d_loss(real[:2], labels[:2], fake),
    }


def _labelled_gradients(answer: Any, inputs: Inputs) -> Findings:
    real, fake = inputs["real"].requires_grad_(), inputs["fake"].requires_grad_()
    grads = torch.autograd.grad(answer.labelled_d_loss(real, inputs["labels"], fake), [real, fake], allow_unused=True)
    return {"gradient of the logits of data": grads[0], "gradient of the logits of fakes": grads[1]}


def _labelled_realness(answer: Any, inputs: Inputs) -> Findings:
    return {"realness of data": answer.realness(inputs["real"]), "realness of fakes": answer.realness(inputs["fake"])}


def _labelled_extreme(answer: Any, inputs: Inputs) -> Findings:
    logits = inputs["extreme"].requires_grad_()
    realness = answer.realness(logits)
    (grad,) = torch.autograd.grad(realness.sum(), logits)
    labels = torch.tensor([0, 0, 3, 1])
    return {
        "realness of large logits": realness,
        "its gradient": grad,
        "loss of large logits": answer.labelled_d_loss(logits, labels, logits[:3]),
    }


LABELLED_DISCRIMINATOR = Question(
    unit="04",
    name="labelled_discriminator",
    title="Labels for the discriminator: K classes and one for fakes",
    difficulty=3,
    minutes=20,
    task="""
“Label information of the real data might help”, says a slide, and it does: a discriminator that must also say *what* it
sees has more to teach. Let it have K + 1 logits $l$ per example, K for the classes of the data and **the last one for
“fake”** (Salimans et al. 2016, section 5), with $p(k \\mid x)$ their softmax:

$$L_D = -\\frac1N \\sum_n \\log p(y_n \\mid x_n) \\; - \\; \\frac1M \\sum_m \\log p(\\text{fake} \\mid \\tilde x_m)$$

- `labelled_d_loss(real, labels, fake)` takes logits `real` (N, K+1), `labels` (N,) int64 from 0 to K − 1, and logits `fake`
  (M, K+1). It returns $L_D$, a 0-dimensional tensor. Both sums have a mean of their own; N and M differ.
- `realness(logits)` takes logits (N, K+1) and returns the **logit** (N,) of the probability that an example is real,
  $r = \\log \\dfrac{1 - p(\\text{fake})}{p(\\text{fake})}$, so that $\\sigma(r)$ is that probability and every loss of
logits can be had from it.

Both must be exact, and so must be their gradients, for logits of a thousand: a probability of $e^{-900}$ rounds to 0, and 1
minus it to 1, but its logarithm is an ordinary number.
""",
    answers=("labelled_d_loss", "realness"),
    draw=_draw_labelled,
    parts=(
        Part(name="loss", points=1.0, tests="the loss of two batches", probe=_labelled_values),
        Part(name="gradients", points=0.5, tests="its gradients", probe=_labelled_gradients),
        Part(name="realness", points=1.0, tests="the logit of being real", probe=_labelled_realness),
        Part(name="large logits", points=0.5, tests="logits of about a thousand", probe=_labelled_extreme),
    ),
    hints=(
        "Fakes have a label, too: it is K. And in the ratio of the two probabilities the denominator of the softmax cancels.",
        "`F.cross_entropy` takes logits and labels and is exact. What is left of the ratio is a sum of "
        "exponentials over one exponential.",
        "`torch.logsumexp` over the first K logits, minus the last. "
        "`fake.new_full((len(fake),), K, dtype=torch.int64)` are the labels of "
        "the fakes.",
    ),
)

# spectral_weight


def _draw_spectral(rng: Rng) -> Inputs:
    u = rng.normal(4)
    return {"W": rng.normal(4, 6, scale=2.0), "kernel": rng.normal(4, 2, 3, 2, scale=0.5), "u": u / u.norm()}


def _spectral_step(name: str) -> Callable[[Any, Inputs], Findings]:
    def probe(spectral_weight: Any, inputs: Inputs) -> Findings:
        W_bar, u = spectral_weight(inputs[name], inputs["u"])
        small, _ = spectral_weight(0.01 * inputs[name], inputs["u"])
        return {"normalised weight": W_bar, "new u": u, "a hundredth of the weight, normalised": small}

    return probe


def _spectral_gradient(spectral_weight: Any, inputs: Inputs) -> Findings:
    W = inputs["W"].requires_grad_()
    W_bar, u = spectral_weight(W, inputs["u"])
    (grad,) = torch.autograd.grad(weighted_sum(W_bar), W)
    return {"gradient of W": grad, "new u requires a gradient": u.requires_grad}


def _spectral_converged(spectral_weight: Any, inputs: Inputs) -> Findings:
    """The spectrum is drawn apart, so that 40 steps are enough whatever the draw."""
    U, _, Vh = torch.linalg.svd(inputs["W"], full_matrices=False)
    W = U @ torch.diag(torch.tensor([2.0, 1.2, 0.7, 0.3], dtype=U.dtype)) @ Vh
    u = U @ torch.full((4,), 0.5, dtype=U.dtype)
    for _ in range(40):
        W_bar, u = spectral_weight(W, u)
    return {
        "largest singular value after 40 steps": float(torch.linalg.matrix_norm(W_bar, 2)),
        "normalised weight": W_bar,
    }


SPECTRAL_WEIGHT = Question(
    unit="04",
    name="spectral_weight",
    title="Spectral normalisation, one power iteration",
    difficulty=4,
    minutes=25,
    task="""
A linear layer stretches no vector by more than its largest singular value $\\sigma(W)$. Divide the weight by it, and the
layer's slope is at most 1. Computing $\\sigma$ in every step would be dear, but weights change slowly: one step of the
power iteration, from where the last one ended, is enough (Miyato et al. 2018, algorithm 1).

$$v = \\frac{W^\\top u}{\\lVert W^\\top u \\rVert}, \\qquad u' = \\frac{W v}{\\lVert W v \\rVert}, \\qquad
\\sigma = u'^\\top W v, \\qquad \\bar W = W / \\sigma$$

`spectral_weight(W, u)` takes a weight `W` of shape (O, ...), such as (O, I) of a linear layer or (O, I, h, w) of a
convolution, which counts as a matrix of O rows and as many columns as there are numbers in a row; and `u` (O,), of length
1. It makes **one** iteration and returns the pair $(\\bar W, u')$: the normalised weight in the shape of `W`, and the new
`u`, without a graph.

The gradient flows through $W$ **and** through $\\sigma$, in which $u'$ and $v$ count as **constants** (equation 9 of the
paper: at the singular vectors that is exact).
""",
    answers=("spectral_weight",),
    draw=_draw_spectral,
    parts=(
        Part(name="matrix", points=1.0, tests="one iteration for a matrix", probe=_spectral_step("W")),
        Part(
            name="kernel", points=0.5, tests="one iteration for a convolution's kernel", probe=_spectral_step("kernel")
        ),
        Part(name="gradient", points=1.0, tests="the gradient of W, through sigma", probe=_spectral_gradient),
        Part(
            name="converged",
            points=0.5,
            tests="a largest singular value of 1 after 40 steps",
            probe=_spectral_converged,
        ),
    ),
    hints=(
        "Two halves: an iteration that nobody differentiates, and a division that is differentiated.",
        "`W.flatten(1)` is the matrix. `torch.no_grad()` around v and u', nothing around σ.",
        "Under `no_grad`: `v = F.normalize(A.T @ u, dim=0)`, `u = F.normalize(A @ v, dim=0)`. Outside of it: "
        "`sigma = u @ A @ v`, and "
        "`W / sigma`.",
    ),
)
