"""Answer keys to section 2: what the generator hears."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u04_gan.asked import s2_losses as asked

Row = Callable[[Tensor], Tensor]

# generator_slopes


def generator_slopes(a: Tensor) -> Tensor:
    """Derivatives of the three losses of a generator with respect to D's logits a (N,) -> (3, N)."""
    ### BEGIN SOLUTION
    return -torch.stack([torch.sigmoid(a), torch.sigmoid(-a), torch.exp(a)])
    ### END SOLUTION


def _slopes_by_number(a: Tensor) -> Tensor:
    """The chain rule, number by number: dL/dD times dD/da with the common factor cancelled."""
    rows = []
    for value in a.tolist():
        small = math.exp(-abs(value))  # the smaller of the two weights, the other being 1
        real, fake = (1.0, small) if value >= 0 else (small, 1.0)
        rows.append([-real / (real + fake), -fake / (real + fake), -math.exp(value)])
    return a.new_tensor(rows).T.contiguous()


def _slopes_exponentials(a: Tensor) -> Tensor:
    up, down = a.exp(), (-a).exp()
    return torch.vstack([-1 / (1 + down), -1 / (1 + up), -up])


def _slopes_logarithms(a: Tensor) -> Tensor:
    logs = torch.stack([F.logsigmoid(a), F.logsigmoid(-a), a])
    return logs.exp().neg()


def _slopes_softmax(a: Tensor) -> Tensor:
    two = torch.softmax(torch.stack([a, torch.zeros_like(a)]), dim=0)
    out = a.new_empty(3, len(a))
    out[:2] = -two
    out[2] = -(two[0] / two[1])
    return out


def _slopes_wrong(
    minimax: Row = lambda a: -torch.sigmoid(a),
    other: Row = lambda a: -torch.sigmoid(-a),
    likelihood: Row = lambda a: -torch.exp(a),
    whole: Callable[[Tensor], Tensor] = lambda rows: rows,
) -> Callable[[Tensor], Tensor]:
    """Slopes with one thing wrong."""
    return lambda a: whole(torch.stack([minimax(a), other(a), likelihood(a)]))


def _slopes_autograd(a: Tensor) -> Tensor:
    losses: list[Row] = [lambda u: -F.softplus(u), lambda u: F.softplus(-u), lambda u: -torch.exp(u)]
    u = a.detach().clone().requires_grad_()
    return torch.stack([torch.autograd.grad(loss(u).sum(), u)[0] for loss in losses])


GENERATOR_SLOPES = Key(
    question=asked.GENERATOR_SLOPES,
    solution=(generator_slopes,),
    reference=_slopes_by_number,
    source=(
        "Goodfellow et al. 2014, section 3 (minimax and non-saturating); Goodfellow 2016, NIPS tutorial, "
        "arXiv:1701.00160, section 3.2 (maximum likelihood)"
    ),
    mistakes=(
        Mistake(
            "the slide's dash as a minus",
            "∇ log(1 − σ(a)) = −σ(a). With +σ(a) the generator descends towards fakes that D recognises.",
            _slopes_wrong(minimax=torch.sigmoid),
        ),
        Mistake(
            "all signs turned",
            "These are the directions of the steps. The slopes of losses that fall as a rises are negative.",
            _slopes_wrong(whole=torch.neg),
        ),
        Mistake(
            "non-saturating loss ascended",
            "Row 1 is the slope of −log σ(a), which is to be descended, not of log σ(a).",
            _slopes_wrong(other=lambda a: torch.sigmoid(-a)),
        ),
        Mistake(
            "rows 0 and 1 swapped",
            "The minimax slope is the one that is small where D rejects: −σ(a) at a = −5 is −0.0067.",
            _slopes_wrong(minimax=lambda a: -torch.sigmoid(-a), other=lambda a: -torch.sigmoid(a)),
        ),
        Mistake(
            "1 minus sigma",
            "1 − σ(45) is 0 in floating point, and the truth is 3e-20. Write σ(−a).",
            _slopes_wrong(other=lambda a: torch.sigmoid(a) - 1),
        ),
        Mistake(
            "with respect to D",
            "You differentiate by the probability D. By the logit there is one more factor, σ(a)(1 − σ(a)).",
            _slopes_wrong(
                lambda a: -1 / torch.sigmoid(-a), lambda a: -1 / torch.sigmoid(a), lambda a: -1 / torch.sigmoid(-a) ** 2
            ),
        ),
        Mistake(
            "slope of sigma only",
            "σ(a)(1 − σ(a)) is the slope of D itself. The logarithm's slope divides it by 1 − D, or by D.",
            _slopes_wrong(*[lambda a: -torch.sigmoid(a) * torch.sigmoid(-a)] * 2),
        ),
        Mistake(
            "the losses themselves",
            "You return the losses. Their derivatives are asked for.",
            _slopes_wrong(lambda a: -F.softplus(a), lambda a: F.softplus(-a)),
        ),
        Mistake(
            "odds by way of probabilities",
            "D/(1 − D) is exp(a), and infinite as soon as 1 − D rounds to 0. Use exp(a).",
            _slopes_wrong(likelihood=lambda a: -torch.sigmoid(a) / (1 - torch.sigmoid(a))),
        ),
        Mistake(
            "maximum likelihood with its sign lost",
            "Row 2 is the slope of −exp(a): minus exp(a).",
            _slopes_wrong(likelihood=torch.exp),
        ),
        Mistake(
            "mean over the batch",
            "No mean: the slope of one fake does not depend on how many there are.",
            _slopes_wrong(whole=lambda rows: rows / rows.shape[1]),
        ),
        Mistake(
            "column by column",
            "Your result is (N, 3). Three rows are asked for, one for each loss.",
            _slopes_wrong(whole=lambda rows: rows.T),
        ),
        Mistake(
            "autograd",
            "Under `torch.inference_mode()` autograd records nothing. The slopes fit on paper: write them down.",
            _slopes_autograd,
        ),
    ),
    alternatives={
        "two exponentials": _slopes_exponentials,
        "logarithms": _slopes_logarithms,
        "softmax over two classes": _slopes_softmax,
    },
)

# gradient_shares


def gradient_shares(a: Tensor) -> Tensor:
    """Each fake's share of the generator's gradient at D's logits a (N,) -> (2, N): minimax, non-saturating."""
    ### BEGIN SOLUTION
    loudness = torch.stack([F.logsigmoid(a), F.logsigmoid(-a)])  # log |slope|
    return loudness.softmax(dim=1)
    ### END SOLUTION


def _shares_by_pairs(a: Tensor) -> Tensor:
    """1 over the sum of how much louder the others are, pair by pair, in numbers of Python."""

    def log_sigma(v: float) -> float:
        return -math.log1p(math.exp(-v)) if v >= 0 else v - math.log1p(math.exp(v))

    rows = []
    for sign in (1, -1):
        logs = [log_sigma(sign * v) for v in a.tolist()]
        rows.append([1 / sum(math.exp(other - own) for other in logs) for own in logs])
    return a.new_tensor(rows)


def _shares_logsumexp(a: Tensor) -> Tensor:
    logs = -F.softplus(torch.outer(torch.tensor([-1.0, 1.0], dtype=a.dtype), a))
    return (logs - logs.logsumexp(1, keepdim=True)).exp()


def _shares_by_hand(a: Tensor) -> Tensor:
    """The largest slope is taken out of all before anything can vanish."""
    rows = []
    for b in (a, -a):
        log_slope = torch.minimum(b, torch.zeros_like(b)) - torch.log1p(torch.exp(-b.abs()))
        weight = torch.exp(log_slope - log_slope.max())
        rows.append(weight / weight.sum())
    return torch.stack(rows)


def _shares_by_gradient(a: Tensor) -> Tensor:
    """Softmax as the gradient of a logsumexp."""
    logs = torch.stack([-torch.logaddexp(torch.zeros_like(a), -a), -torch.logaddexp(torch.zeros_like(a), a)])
    leaf = logs.requires_grad_()
    return torch.autograd.grad(leaf.logsumexp(dim=1).sum(), leaf)[0]


def _shares_of(row0: Row, row1: Row) -> Callable[[Tensor], Tensor]:
    """Weights divided by their sum, row by row."""

    def answer(a: Tensor) -> Tensor:
        weights = torch.stack([row0(a), row1(a)])
        return weights / weights.sum(1, keepdim=True)

    return answer


def _shares_with_eps(a: Tensor) -> Tensor:
    weights = torch.stack([torch.sigmoid(a), torch.sigmoid(-a)])
    return weights / (weights.sum(1, keepdim=True) + 1e-12)


GRADIENT_SHARES = Key(
    question=asked.GRADIENT_SHARES,
    solution=(gradient_shares,),
    reference=_shares_by_pairs,
    source="the slopes of Goodfellow et al. 2014, section 3: −σ(a) and −(1 − σ(a))",
    mistakes=(
        Mistake(
            "sigma divided by its sum",
            "Right in the middle. Where all σ are 0 you divide 0 by 0: go by logarithms.",
            _shares_of(torch.sigmoid, lambda a: torch.sigmoid(-a)),
        ),
        Mistake(
            "a small constant in the denominator",
            "The NaN is gone, and so are the shares: where all are tiny, yours are all 0. Go by logarithms.",
            _shares_with_eps,
        ),
        Mistake(
            "clamped slopes",
            "Where all slopes are tiny your clamp makes them equal. Go by logarithms, which need no clamp.",
            _shares_of(lambda a: torch.sigmoid(a).clamp(min=1e-12), lambda a: torch.sigmoid(-a).clamp(min=1e-12)),
        ),
        Mistake(
            "softmax of the logits",
            "That is right only where D rejects everything. The slope is σ(a), not exp(a): softmax of log σ(a).",
            lambda a: torch.stack([a.softmax(0), (-a).softmax(0)]),
        ),
        Mistake(
            "softmax of the slopes",
            "A softmax makes exponentials. Give it the *logarithms* of the slopes.",
            lambda a: torch.stack([torch.sigmoid(a).softmax(0), torch.sigmoid(-a).softmax(0)]),
        ),
        Mistake(
            "rows swapped",
            "Row 0 is minimax, |L'| = σ(a): there the fake that passes is heard best.",
            lambda a: torch.stack([F.logsigmoid(-a), F.logsigmoid(a)]).softmax(1),
        ),
        Mistake(
            "one sum for both rows",
            "Each loss is a training of its own: each row sums to 1.",
            lambda a: torch.stack([F.logsigmoid(a), F.logsigmoid(-a)]).flatten().softmax(0).reshape(2, -1),
        ),
        Mistake(
            "softmax over the losses",
            "You compare the two losses on one fake. The shares are over the batch: `dim=1`.",
            lambda a: torch.stack([F.logsigmoid(a), F.logsigmoid(-a)]).softmax(0),
        ),
        Mistake(
            "shares of the loss",
            "You share out the losses. What G learns from is their slopes.",
            _shares_of(F.softplus, lambda a: F.softplus(-a)),
        ),
        Mistake(
            "logarithms of the shares",
            "You return logarithms: take the exponential of them.",
            lambda a: torch.stack([F.logsigmoid(a), F.logsigmoid(-a)]).log_softmax(1),
        ),
        Mistake(
            "slopes with their sign",
            "Shares are positive: |L'| before dividing, or after.",
            lambda a: -torch.stack([F.logsigmoid(a), F.logsigmoid(-a)]).softmax(1),
        ),
        Mistake(
            "squared slopes",
            "The shares are of |L'|, not of its square.",
            lambda a: (2 * torch.stack([F.logsigmoid(a), F.logsigmoid(-a)])).softmax(1),
        ),
    ),
    alternatives={
        "logsumexp": _shares_logsumexp,
        "largest slope taken out by hand": _shares_by_hand,
        "gradient of a logsumexp": _shares_by_gradient,
    },
)
