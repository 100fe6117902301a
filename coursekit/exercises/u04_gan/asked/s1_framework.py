"""## 1. The game and its value

What the two networks play for: the value of the game from finitely many scores, the best discriminator there is and what is
left of the game against it, and a discriminator that answers the opposite question.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng

# game_value


def _draw_value(rng: Rng) -> Inputs:
    """Logits of which none is near 0; two of data and of fakes each are far out, on both sides."""
    real, fake = rng.normal(7, scale=1.3) + 0.8, rng.normal(5, scale=1.1) - 0.6
    far = torch.tensor([230.0, -190.0], dtype=real.dtype)
    return {
        "real": real,
        "fake": fake,
        "far real": torch.cat([real[:3], far + rng.number(-9, 9)]),
        "far fake": torch.cat([-far + rng.number(-9, 9), fake[:4]]),
    }


def _value_estimate(game_value: Any, inputs: Inputs) -> Findings:
    return {"value": game_value(inputs["real"], inputs["fake"])[0]}


def _value_error(game_value: Any, inputs: Inputs) -> Findings:
    return {"standard error": game_value(inputs["real"], inputs["fake"])[1]}


def _value_far(game_value: Any, inputs: Inputs) -> Findings:
    value, error = game_value(inputs["far real"], inputs["far fake"])
    return {"value": value, "standard error": error}


def _value_undecided(game_value: Any, inputs: Inputs) -> Findings:
    value, error = game_value(torch.zeros_like(inputs["real"]), torch.zeros_like(inputs["fake"]))
    return {"value": value, "standard error": error}


def _is_minus_log_4(inputs: Inputs, found: Findings) -> bool:
    return abs(float(found["value"]) + math.log(4)) < 1e-5


GAME_VALUE = Question(
    unit="04",
    name="game_value",
    title="The value of the game, and how far to trust it",
    difficulty=2,
    minutes=12,
    task="""
The two networks of Goodfellow et al. (2014, equation 1) play for

$$V(D, G) = \\mathbb E_{x \\sim p_{data}}[\\log D(x)] + \\mathbb E_{z \\sim p_z}[\\log(1 - D(G(z)))], \\qquad
D = \\sigma(a).$$

Nobody has the expectations, only samples: N examples and M fakes, drawn independently. Estimate the value **and** say how
much the estimate would scatter from one draw of the samples to the next.

`game_value(real, fake)` takes the logits of the examples `real` (N,) and of the fakes `fake` (M,), with N and M at least 2
and not necessarily equal. It returns a pair of 0-dimensional tensors:

- `value`: $V$ with each expectation replaced by the mean of its sample;
- `error`: its standard error $\\sqrt{s_r^2 / N + s_f^2 / M}$. Here $s_r^2$ is the variance of the N terms
  $\\log D(x_n)$, $s_f^2$ that of the M terms $\\log(1 - D(G(z_m)))$, both **unbiased** (divided by N − 1 and M − 1).

Logits may be as far out as ±250. There $\\sigma(a)$ is exactly 0 or 1 in floating point, but neither result is infinite,
and none may be off.
""",
    answers=("game_value",),
    draw=_draw_value,
    parts=(
        Part(name="value", points=0.5, tests="V from 7 examples and 5 fakes", probe=_value_estimate),
        Part(name="error", points=0.5, tests="its standard error", probe=_value_error),
        Part(name="far out", points=0.5, tests="both, with logits near 200 and −200 among others", probe=_value_far),
        Part(
            name="undecided",
            points=0.5,
            tests="a D that says 1/2 to everything: −log 4, without scatter",
            probe=_value_undecided,
            laws=(
                Law(
                    "not -log 4",
                    "With D = 1/2 everywhere each of the two means is log(1/2): V = −log 4 = −1.3863.",
                    _is_minus_log_4,
                ),
            ),
        ),
    ),
    hints=(
        "Two samples, two sets of terms. What is log(1 − σ(a)), written as the logarithm of another σ?",
        "1 − σ(a) = σ(−a), and torch has a function for the logarithm of σ that never takes the logarithm of 0.",
        "`F.logsigmoid(real)` and `F.logsigmoid(-fake)` are the terms; `.var()` is unbiased; divide each variance by "
        "the size of its own sample, add, and take the root.",
    ),
)

# optimal_discriminator


def _distribution(weights: Tensor) -> Tensor:
    return weights / weights.sum()


def _draw_optimal(rng: Rng) -> Inputs:
    p, q = rng.uniform(5, low=0.1, high=1.0), rng.uniform(5, low=0.1, high=1.0)
    p[0], q[0] = 1.5, 0.1  # never nearly the same
    some, other = rng.uniform(6, low=0.2, high=1.0), rng.uniform(6, low=0.2, high=1.0)
    places = rng.permutation(6).tolist()
    some[places[0]], other[places[1]] = 0.0, 0.0
    some[places[2]], other[places[2]] = 0.0, 0.0
    left = torch.arange(5) < 2
    return {
        "p": _distribution(p),
        "q": _distribution(q),
        "p with zeros": _distribution(some),
        "q with zeros": _distribution(other),
        "p left": _distribution(p * left),
        "q right": _distribution(q * ~left),
    }


def _optimal(optimal_discriminator: Any, p: Tensor, q: Tensor) -> Findings:
    best, value = optimal_discriminator(p, q)
    return {"D*": best, "value": value}


def _optimal_full(optimal_discriminator: Any, inputs: Inputs) -> Findings:
    return _optimal(optimal_discriminator, inputs["p"], inputs["q"])


def _optimal_zeros(optimal_discriminator: Any, inputs: Inputs) -> Findings:
    return _optimal(optimal_discriminator, inputs["p with zeros"], inputs["q with zeros"])


def _optimal_ends(optimal_discriminator: Any, inputs: Inputs) -> Findings:
    _, equal = optimal_discriminator(inputs["p"], inputs["p"].clone())
    _, apart = optimal_discriminator(inputs["p left"], inputs["q right"])
    return {"value where q = p": equal, "value where q and p never meet": apart}


OPTIMAL_DISCRIMINATOR = Question(
    unit="04",
    name="optimal_discriminator",
    title="The best discriminator, and what is left of the game",
    difficulty=2,
    minutes=15,
    task="""
Where there are only K different examples, everything about the game can be counted. Data come with probabilities $p$,
fakes with probabilities $q$, and D has one number for each of the K examples. Against a given G the best ones are

$$D^*_k = \\frac{p_k}{p_k + q_k}, \\qquad
C(G) = \\max_D V(D, G) = \\sum_k p_k \\log D^*_k + q_k \\log(1 - D^*_k) = 2\\, \\mathrm{JS}(p, q) - \\log 4$$

(Goodfellow et al. 2014, proposition 1 and theorem 1; JS is the Jensen-Shannon divergence).

`optimal_discriminator(p, q)` takes two vectors of probabilities (K,), each with sum 1, and returns a pair: `D*` (K,) and
the value $C(G)$, a 0-dimensional tensor. **Probabilities may be 0**:

- an example that only data have, or only fakes, has $D^*_k$ exactly 1 or 0;
- an example that neither has does not matter to the game: by convention $D^*_k = 1/2$;
- in the value, $0 \\log 0 = 0$.

So $C = -\\log 4$ where $q = p$, and $C = 0$, the largest value there is, where $p$ and $q$ never meet.
""",
    answers=("optimal_discriminator",),
    draw=_draw_optimal,
    parts=(
        Part(name="everywhere positive", points=0.5, tests="D* and C for 5 examples", probe=_optimal_full),
        Part(
            name="zeros",
            points=1.0,
            tests="D* and C where p is 0, where q is 0, where both are",
            probe=_optimal_zeros,
        ),
        Part(name="ends", points=0.5, tests="C where q = p, and where p and q never meet", probe=_optimal_ends),
    ),
    hints=(
        "Three things can be 0 here: p, q, and their sum. Which of the formulas meets which?",
        "`torch.where` picks 1/2 where p + q is 0, and `torch.xlogy(x, y)` is x log y with 0 log 0 = 0.",
        "With `best = torch.where(p + q > 0, p / (p + q), 0.5)` the value is the sum of `torch.xlogy(p, best)` and of the "
        "same for q and 1 − best.",
    ),
)

# losses_of_p_fake


def _draw_fake(rng: Rng) -> Inputs:
    """Logits b of a D that says FAKE, most of them rightly, none near 0, where all conventions agree."""
    real, fake = rng.normal(6, scale=0.8) - 1.7, rng.normal(4, scale=0.8) + 1.4
    far = torch.tensor([220.0, -210.0], dtype=real.dtype)
    return {"real": real, "fake": fake, "far real": real[:2] + far, "far fake": fake[:2] + far}


def _fake_d(losses_of_p_fake: Any, inputs: Inputs) -> Findings:
    return {"D's loss": losses_of_p_fake(inputs["real"], inputs["fake"])[0]}


def _fake_g(losses_of_p_fake: Any, inputs: Inputs) -> Findings:
    return {"G's losses": losses_of_p_fake(inputs["real"], inputs["fake"])[1]}


def _fake_gradients(losses_of_p_fake: Any, inputs: Inputs) -> Findings:
    real, fake = inputs["real"].requires_grad_(), inputs["fake"].requires_grad_()
    d_loss, g_losses = losses_of_p_fake(real, fake)
    of_d = torch.autograd.grad(d_loss, [real, fake], retain_graph=True)
    (of_g,) = torch.autograd.grad(g_losses.sum(), fake)
    return {"of D's loss, logits of data": of_d[0], "of D's loss, logits of fakes": of_d[1], "of G's losses": of_g}


def _fake_far(losses_of_p_fake: Any, inputs: Inputs) -> Findings:
    d_loss, g_losses = losses_of_p_fake(inputs["far real"], inputs["far fake"])
    return {"D's loss": d_loss, "G's losses": g_losses}


def _learns_to_pass(inputs: Inputs, found: Findings) -> bool:
    return bool((found["of G's losses"] > 0).all())


LOSSES_OF_P_FAKE = Question(
    unit="04",
    name="losses_of_p_fake",
    title="A discriminator that answers the opposite question",
    difficulty=2,
    minutes=15,
    slip=True,
    task="""
One lecture writes the game as

$$\\arg\\min_G \\max_D\\; \\mathbb E_{z, x}\\left[ \\log D(G(z)) + \\log(1 - D(x)) \\right].$$

There is nothing wrong with it, but look: this D is trained to give the probability of **fake**, and its optimum is
$p_g / (p_{data} + p_g)$. Some slides later the same lecture lets G minimise $-\\log D(G(z))$, copied from a paper whose D
gives the probability of **real**. Put the two together and G learns to be recognised. Mend it: write both losses for the D
of the first slide.

`losses_of_p_fake(real, fake)` takes **logits** $b$ of such a D, $\\sigma(b)$ = P(fake): `real` (N,) for data and `fake` (M,)
for fakes, with N and M not necessarily equal. It returns a pair, both to be **minimised**:

- `d_loss`, 0-dimensional: the binary cross entropy of D with both kinds counting one half,
  $-\\frac12 \\left( \\mathrm{mean}_m \\log D(G(z_m)) + \\mathrm{mean}_n \\log(1 - D(x_n)) \\right)$;
- `g_losses` (M,), one number **per fake**, no mean: the *non-saturating* loss, minus the logarithm of the probability that
  this D gives to the fake's being **real**.

Gradients must reach the logits: those of both kinds from `d_loss`. Logits as far out as ±250 must give finite, right numbers.
""",
    answers=("losses_of_p_fake",),
    draw=_draw_fake,
    parts=(
        Part(name="loss of D", points=0.5, tests="d_loss for 6 examples and 4 fakes", probe=_fake_d),
        Part(name="losses of G", points=0.5, tests="g_losses, one for each of 4 fakes", probe=_fake_g),
        Part(
            name="gradients",
            points=0.5,
            tests="gradients of both with respect to the logits",
            probe=_fake_gradients,
            laws=(
                Law(
                    "G learns to be recognised",
                    "Descending your loss, G raises the probability of FAKE: a fake's logit must fall, so the gradient "
                    "there is positive.",
                    _learns_to_pass,
                ),
            ),
        ),
        Part(name="far out", points=0.5, tests="both losses with logits near 220 and −210", probe=_fake_far),
    ),
    hints=(
        "Say it in words first: which logits does this D want high, which low? And G?",
        "The probability of real is 1 − σ(b) = σ(−b), and −log σ(−b) = softplus(b).",
        "`F.softplus(fake)` is what each fake costs G. For D: softplus of −fake, and softplus of real, each with its "
        "own mean.",
    ),
)
