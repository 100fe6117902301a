"""## 2. What the generator hears

Two losses with one aim. What differs is the gradient that each fake gets, and so which fakes a batch learns from.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.declare import Findings, Inputs, Law, Part, Question
from coursekit.checks.draws import Rng

# generator_slopes


def _draw_slopes(rng: Rng) -> Inputs:
    return {"a": rng.normal(4, scale=1.5), "far": rng.uniform(2, low=41.0, high=47.0)}


def _slopes_table(generator_slopes: Any, inputs: Inputs) -> Findings:
    with torch.inference_mode():
        return {"slopes": generator_slopes(torch.tensor([-5.0, 0.0, 5.0], dtype=inputs["a"].dtype))}


def _slopes_drawn(generator_slopes: Any, inputs: Inputs) -> Findings:
    with torch.inference_mode():
        return {"slopes": generator_slopes(inputs["a"])}


def _slopes_far(generator_slopes: Any, inputs: Inputs) -> Findings:
    with torch.inference_mode():
        return {"slopes": generator_slopes(torch.stack([inputs["far"][0], -inputs["far"][1]]))}


def _all_downwards(inputs: Inputs, found: Findings) -> bool:
    return bool((found["slopes"] < 0).all())


def _odds_between(inputs: Inputs, found: Findings) -> bool:
    """Non-saturating over minimax is (1 - D) / D = exp(-a); maximum likelihood over minimax is 1 / (1 - D)."""
    minimax, other, _ = found["slopes"]
    return bool(torch.allclose(other / minimax, torch.exp(-inputs["a"]), rtol=1e-3))


GENERATOR_SLOPES = Question(
    unit="04",
    name="generator_slopes",
    title="Three slopes by hand, and a slide's sign",
    difficulty=2,
    minutes=15,
    slip=True,
    task="""
One slide derives why the generator's gradient vanishes. As printed it reads

$$-\\nabla_a \\log(1 - \\sigma(a)) = \\frac{-\\nabla_a \\sigma(a)}{1 - \\sigma(a)} = -\\sigma(a).$$

The first minus is the dash of a list, but who takes it for a sign gets $\\nabla_a \\log(1 - \\sigma(a)) = +\\sigma(a)$, and
a generator that descends along it makes its fakes easier to recognise. Do it again, for three losses that a generator can
**descend**. $a$ is D's logit of a fake and $D = \\sigma(a)$ the probability of real:

| row | loss of one fake | name |
|---|---|---|
| 0 | $\\log(1 - \\sigma(a))$ | minimax, saturating |
| 1 | $-\\log \\sigma(a)$ | non-saturating |
| 2 | $-e^{a}$ | maximum likelihood (Goodfellow 2016, section 3.2) |

`generator_slopes(a)` takes logits `a` (N,) and returns the derivatives of the three losses with respect to $a$ (3, N), row
by row, **signs included, no mean**.

By hand: the check calls you under `torch.inference_mode()`, where autograd records nothing. For logits with an absolute
value of 41 to 47 it compares with a relative tolerance of 1e-3 and **no absolute one**: a slope of $-10^{-19}$ must be
$-10^{-19}$, and neither 0 nor infinite.
""",
    answers=("generator_slopes",),
    draw=_draw_slopes,
    parts=(
        Part(name="table", points=0.5, tests="the three slopes at a = −5, 0 and 5", probe=_slopes_table),
        Part(
            name="drawn",
            points=0.5,
            tests="the three slopes at other logits",
            probe=_slopes_drawn,
            laws=(
                Law(
                    "a slope points upwards",
                    "All three losses fall as D takes the fake for real: every slope is negative.",
                    _all_downwards,
                ),
                Law(
                    "wrong ratio",
                    "Row 1 over row 0 is (1 − D)/D = exp(−a) at every logit.",
                    _odds_between,
                ),
            ),
        ),
        Part(
            name="far out",
            points=0.5,
            tests="logits near 45 and −45, relative tolerance alone",
            probe=_slopes_far,
            atol=0.0,
        ),
    ),
    hints=(
        "σ' = σ (1 − σ). Write down each loss, differentiate, cancel, and only then write code.",
        "Rows 0 and 1 are −σ(a) and −(1 − σ(a)). The second one, computed like that, is 0 as soon as σ(a) rounds to 1. "
        "What is 1 − σ(a) as a single σ?",
        "`-torch.sigmoid(a)`, `-torch.sigmoid(-a)`, `-torch.exp(a)`, stacked.",
    ),
)

# gradient_shares


def _draw_shares(rng: Rng) -> Inputs:
    """Most fakes are recognised, one passes: at 0 and beyond the two losses, softmax and sigma all part ways."""
    a = rng.normal(6, scale=0.8) - 1.5
    a[rng.integer(0, 6)] = rng.number(1.5, 2.5)
    return {"a": a, "far": rng.normal(5, scale=1.2), "beyond": rng.number(1100.0, 1200.0)}


def _shares_mixed(gradient_shares: Any, inputs: Inputs) -> Findings:
    return {"shares": gradient_shares(inputs["a"])}


def _shares_rejected(gradient_shares: Any, inputs: Inputs) -> Findings:
    return {"shares": gradient_shares(inputs["far"] - inputs["beyond"])}


def _shares_accepted(gradient_shares: Any, inputs: Inputs) -> Findings:
    return {"shares": gradient_shares(inputs["far"] + inputs["beyond"])}


def _rows_sum_to_one(inputs: Inputs, found: Findings) -> bool:
    shares: Tensor = found["shares"]
    return all(math.isclose(float(row.sum()), 1, rel_tol=1e-4) for row in shares)


_SUM_LAW = Law(
    "shares that do not sum to 1",
    "A batch hands out one whole gradient: each row is positive and sums to 1.",
    _rows_sum_to_one,
)

GRADIENT_SHARES = Question(
    unit="04",
    name="gradient_shares",
    title="Which fakes does the generator learn from?",
    difficulty=3,
    minutes=15,
    task="""
"The gradient is dominated by the region where samples are already good", a slide says of the minimax loss. Measure it: in
a batch of fakes, what share of the gradient is whose?

`gradient_shares(a)` takes the logits `a` (N,) that D gives to N fakes and returns their shares (2, N):

$$\\mathrm{share}_n = \\frac{\\left| L'(a_n) \\right|}{\\sum_m \\left| L'(a_m) \\right|}, \\qquad
\\text{row 0: } L = \\log(1 - \\sigma(a)), \\quad \\text{row 1: } L = -\\log \\sigma(a).$$

Every row sums to 1. Early in training D rejects everything; a batch whose logits are **all** near −1200, or all near +1200,
is far beyond what $\\sigma$ can hold, but each fake still has its share: of two fakes at −1200 and −1201 one is heard 2.7
times as loud in row 0, and both equally in row 1. Results must be right there too.
""",
    answers=("gradient_shares",),
    draw=_draw_shares,
    parts=(
        Part(name="mixed", points=0.5, tests="one fake that passes among five", probe=_shares_mixed, laws=(_SUM_LAW,)),
        Part(name="all rejected", points=0.5, tests="all logits near −1150", probe=_shares_rejected, laws=(_SUM_LAW,)),
        Part(name="all accepted", points=0.5, tests="all logits near 1150", probe=_shares_accepted, laws=(_SUM_LAW,)),
    ),
    hints=(
        "You have both slopes already. Their quotients survive where they themselves do not: how does one divide tiny "
        "numbers by their sum?",
        "A number divided by a sum of such numbers is a softmax of their **logarithms**, which are all ordinary numbers here.",
        "The logarithm of |slope| is log σ(a) in row 0 and log σ(−a) in row 1: softmax of `F.logsigmoid(...)` over the "
        "batch.",
    ),
)
