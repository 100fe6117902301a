"""Answer keys to section 1: the game and its value."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u04_gan.asked import s1_framework as asked

Pair = tuple[Tensor, Tensor]


def _log_sigma(a: float) -> float:
    """log(1 / (1 + exp(-a))) of one number, with the larger of the two exponents taken out."""
    return -math.log1p(math.exp(-a)) if a >= 0 else a - math.log1p(math.exp(a))


# game_value


def game_value(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The value of the game and its standard error from logits of examples (N,) and of fakes (M,): two numbers."""
    ### BEGIN SOLUTION
    if_real, if_fake = F.logsigmoid(real), F.logsigmoid(-fake)
    value = if_real.mean() + if_fake.mean()
    error = (if_real.var() / len(if_real) + if_fake.var() / len(if_fake)).sqrt()
    return value, error
    ### END SOLUTION


def _value_by_terms(real: Tensor, fake: Tensor) -> Pair:
    """Term by term, in numbers of Python."""
    value, square = 0.0, 0.0
    for terms in ([_log_sigma(a) for a in real.tolist()], [_log_sigma(-a) for a in fake.tolist()]):
        mean = sum(terms) / len(terms)
        value += mean
        square += sum((t - mean) ** 2 for t in terms) / (len(terms) - 1) / len(terms)
    return real.new_tensor(value), real.new_tensor(math.sqrt(square))


def _value_softplus(real: Tensor, fake: Tensor) -> Pair:
    costs = [F.softplus(-real.double()), F.softplus(fake.double())]
    error = torch.linalg.vector_norm(torch.stack([c.std() / math.sqrt(len(c)) for c in costs]))
    return -sum(c.mean() for c in costs).to(real.dtype), error.to(real.dtype)  # type: ignore[union-attr]


def _value_logaddexp(real: Tensor, fake: Tensor) -> Pair:
    zero = torch.zeros((), dtype=real.dtype)
    means, squares = [], []
    for a in (real, -fake):
        terms = -torch.logaddexp(zero, -a)
        centred = terms - terms.mean()
        means.append(terms.mean())
        squares.append((centred @ centred) / (a.numel() * (a.numel() - 1)))
    return means[0] + means[1], (squares[0] + squares[1]) ** 0.5


def _value_bce(real: Tensor, fake: Tensor) -> Pair:
    scores, labels = torch.cat([real, fake]), torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    costs = F.binary_cross_entropy_with_logits(scores, labels, reduction="none")
    yes, no = costs.tensor_split([len(real)])
    return -(yes.mean() + no.mean()), torch.sqrt(torch.var(yes) / yes.numel() + torch.var(no) / no.numel())


def _standard_error(terms: list[Tensor]) -> Tensor:
    return torch.stack([t.var() / len(t) for t in terms]).sum().sqrt()


def _value_wrong(
    *,
    terms: Callable[[Tensor, Tensor], list[Tensor]] = lambda real, fake: [F.logsigmoid(real), F.logsigmoid(-fake)],
    value: Callable[[list[Tensor]], Tensor] = lambda terms: terms[0].mean() + terms[1].mean(),
    error: Callable[[list[Tensor]], Tensor] = _standard_error,
) -> Callable[..., Pair]:
    """A value with one thing wrong."""

    def answer(real: Tensor, fake: Tensor) -> Pair:
        found = terms(real, fake)
        return value(found), error(found)

    return answer


def _by_probabilities(eps: float) -> Callable[[Tensor, Tensor], list[Tensor]]:
    return lambda real, fake: [torch.log(torch.sigmoid(real) + eps), torch.log(1 - torch.sigmoid(fake) + eps)]


GAME_VALUE = Key(
    question=asked.GAME_VALUE,
    solution=(game_value,),
    reference=_value_by_terms,
    source=(
        "Goodfellow et al. 2014, Generative adversarial nets, eq. 1; the variance of a difference of means of two "
        "independent samples: Wasserman 2004, All of statistics, chapter 10"
    ),
    mistakes=(
        Mistake(
            "logarithm of a sigma",
            "Where σ(a) is 0 or 1 in floating point, its logarithm is infinite. `F.logsigmoid` has no such end.",
            _value_wrong(terms=_by_probabilities(0.0)),
        ),
        Mistake(
            "a small constant in the logarithm",
            "log(σ + 1e-8) is never infinite, but it stops at −18.4 where the truth goes on to −200. Use `F.logsigmoid`.",
            _value_wrong(terms=_by_probabilities(1e-8)),
        ),
        Mistake(
            "log D of the fakes",
            "The second term is log(1 − D) = log σ(−a). Yours is log D.",
            _value_wrong(terms=lambda real, fake: [F.logsigmoid(real), F.logsigmoid(fake)]),
        ),
        Mistake(
            "examples and fakes swapped",
            "log D belongs to the examples, log(1 − D) to the fakes.",
            _value_wrong(terms=lambda real, fake: [F.logsigmoid(fake), F.logsigmoid(-real)]),
        ),
        Mistake(
            "logits taken for probabilities",
            "`real` and `fake` are logits: any numbers. The probability is σ of them.",
            _value_wrong(terms=lambda real, fake: [torch.log(real), torch.log(1 - fake)]),
        ),
        Mistake(
            "one mean over both",
            "Each expectation is a mean over its own sample. One mean over all N + M terms is another number.",
            _value_wrong(value=lambda terms: torch.cat(terms).mean()),
        ),
        Mistake(
            "half of it",
            "V is the sum of the two means, not the mean of them.",
            _value_wrong(
                value=lambda terms: (terms[0].mean() + terms[1].mean()) / 2,
                error=lambda terms: _standard_error(terms) / 2,
            ),
        ),
        Mistake(
            "sums instead of means",
            "An expectation is estimated by a mean: divide each sum by its number of terms.",
            _value_wrong(value=lambda terms: terms[0].sum() + terms[1].sum()),
        ),
        Mistake(
            "D's loss",
            "The sign is turned: what D descends is −V, the cross entropy.",
            _value_wrong(value=lambda terms: -terms[0].mean() - terms[1].mean()),
        ),
        Mistake(
            "base 2",
            "You have bits. All logarithms here are natural.",
            _value_wrong(
                terms=lambda real, fake: [F.logsigmoid(real) / math.log(2), F.logsigmoid(-fake) / math.log(2)]
            ),
        ),
        Mistake(
            "scatter of one term",
            "That is how much single terms scatter. Their mean scatters less: each variance is divided by its number of "
            "terms.",
            _value_wrong(error=lambda terms: torch.stack([t.var() for t in terms]).sum().sqrt()),
        ),
        Mistake(
            "errors added",
            "For independent samples the *variances* add up, so the errors add up as the sides of a right angle do.",
            _value_wrong(error=lambda terms: torch.stack([t.std() / math.sqrt(len(t)) for t in terms]).sum()),
        ),
        Mistake(
            "biased variance",
            "Divide by N − 1 and M − 1: around their own mean the terms scatter a little too little.",
            _value_wrong(error=lambda terms: torch.stack([t.var(correction=0) / len(t) for t in terms]).sum().sqrt()),
        ),
        Mistake(
            "one variance for both",
            "The two samples have variances of their own, around means of their own. Do not pool them.",
            _value_wrong(error=lambda terms: (torch.cat(terms).var() / len(torch.cat(terms))).sqrt()),
        ),
        Mistake(
            "variance instead of error",
            "That is the square of the standard error: take the root.",
            _value_wrong(error=lambda terms: _standard_error(terms) ** 2),
        ),
    ),
    alternatives={
        "softplus in float64, hypotenuse": _value_softplus,
        "logaddexp and centred terms": _value_logaddexp,
        "cross entropy with labels": _value_bce,
    },
)

# optimal_discriminator


def optimal_discriminator(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """D* (K,) and the value of the game against it, for probabilities p (K,) of data and q (K,) of fakes."""
    ### BEGIN SOLUTION
    best = torch.where(p + q > 0, p / (p + q), 0.5)
    return best, (torch.xlogy(p, best) + torch.xlogy(q, 1 - best)).sum()
    ### END SOLUTION


def _optimal_by_cells(p: Tensor, q: Tensor) -> Pair:
    """Cell by cell, in numbers of Python."""
    best, value = [], 0.0
    for data, fakes in zip(p.tolist(), q.tolist()):
        d = data / (data + fakes) if data + fakes > 0 else 0.5
        best.append(d)
        value += data * math.log(d) if data > 0 else 0.0
        value += fakes * math.log(fakes / (data + fakes)) if fakes > 0 else 0.0
    return p.new_tensor(best), p.new_tensor(value)


def _optimal_by_js(p: Tensor, q: Tensor) -> Pair:
    """The value as 2 JS - log 4, each divergence as torch counts it."""
    middle = (p + q) / 2
    js = torch.stack([F.kl_div(middle.clamp(min=1e-30).log(), one, reduction="sum") for one in (p, q)]).mean()
    best = torch.nan_to_num(p / (2 * middle), nan=0.5)
    return best, 2 * js - math.log(4)


def _optimal_masked(p: Tensor, q: Tensor) -> Pair:
    best = torch.full_like(p, 0.5)
    seen = (p > 0) | (q > 0)
    best[seen] = p[seen] / (p[seen] + q[seen])
    yes, no = p > 0, q > 0
    return best, (p[yes] * best[yes].log()).sum() + (q[no] * torch.log1p(-best[no])).sum()


def _optimal_by_entropy(p: Tensor, q: Tensor) -> Pair:
    """C = H(p + q) - H(p) - H(q), with H = -sum x log x, in float64."""

    def entropy(x: Tensor) -> Tensor:
        return torch.special.entr(x).sum()

    p64, q64 = p.double(), q.double()
    value = entropy(p64 + q64) - entropy(p64) - entropy(q64)
    both = torch.stack([p64, q64])
    best = torch.where(both.sum(0) == 0, torch.full_like(p64, 0.5), both[0] / both.sum(0).clamp(min=1e-300))
    return best.to(p.dtype), value.to(p.dtype)


def _best(p: Tensor, q: Tensor) -> Tensor:
    return torch.nan_to_num(p / (p + q), nan=0.5)


def _worth(p: Tensor, q: Tensor, best: Tensor) -> Tensor:
    return (torch.xlogy(p, best) + torch.xlogy(q, 1 - best)).sum()


def _optimal_wrong(
    *,
    best: Callable[[Tensor, Tensor], Tensor] = _best,
    value: Callable[[Tensor, Tensor, Tensor], Tensor] = _worth,
) -> Callable[..., Pair]:
    """An optimum with one thing wrong."""

    def answer(p: Tensor, q: Tensor) -> Pair:
        d = best(p, q)
        return d, value(p, q, d)

    return answer


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


OPTIMAL_DISCRIMINATOR = Key(
    question=asked.OPTIMAL_DISCRIMINATOR,
    solution=(optimal_discriminator,),
    reference=_optimal_by_cells,
    source="Goodfellow et al. 2014, Generative adversarial nets, proposition 1 (eq. 2) and theorem 1 (eq. 5, 6)",
    mistakes=(
        Mistake(
            "probability of fake",
            "Your D gives q / (p + q), the probability of fake. The value counts log D for data: D is the probability "
            "of real.",
            _optimal_wrong(best=lambda p, q: torch.nan_to_num(q / (p + q), nan=0.5)),
        ),
        Mistake(
            "ratio p / q",
            "p / q is the odds of real. The probability is p / (p + q).",
            _optimal_wrong(
                best=lambda p, q: torch.nan_to_num(p / q, nan=0.5), value=lambda p, q, d: _worth(p, q, _best(p, q))
            ),
        ),
        Mistake(
            "0 / 0",
            "Where neither data nor fakes are, p / (p + q) is 0 / 0, and the NaN goes on into the value. Set D* to 1/2 "
            "there.",
            _optimal_wrong(best=lambda p, q: p / (p + q)),
        ),
        Mistake(
            "a small constant in the denominator",
            "p / (p + q + eps) is 0 where neither data nor fakes are. By the convention D* is 1/2 there.",
            _optimal_wrong(best=lambda p, q: p / (p + q + 1e-12)),
        ),
        Mistake(
            "0 log 0",
            "0 · log 0 is NaN in floating point. In the value such a term is 0: `torch.xlogy`, or leave it out.",
            _optimal_wrong(value=lambda p, q, d: (p * d.log() + q * (1 - d).log()).sum()),
        ),
        Mistake(
            "only where both are",
            "You drop every example of which p or q is 0. Where p is 0 the other term, q log(1 − D*), is 0 as well, but "
            "D* itself is 0 there, not 1/2.",
            _optimal_wrong(best=lambda p, q: torch.where((p > 0) & (q > 0), p / (p + q), 0.5)),
        ),
        Mistake(
            "mean over the examples",
            "An expectation weighs by probability, and the p and q have done that: take the sum, not the mean.",
            _optimal_wrong(value=lambda p, q, d: _worth(p, q, d) / len(p)),
        ),
        Mistake(
            "JS without its 2",
            "The value is *twice* the divergence, minus log 4.",
            _optimal_wrong(value=lambda p, q, d: (_worth(p, q, d) + math.log(4)) / 2 - math.log(4)),
        ),
        Mistake(
            "the divergence alone",
            "2 JS is 0 where q = p. The value is lower by log 4.",
            _optimal_wrong(value=lambda p, q, d: _worth(p, q, d) + math.log(4)),
        ),
        Mistake(
            "Kullback-Leibler instead of Jensen-Shannon",
            "Your value is infinite as soon as data have what fakes lack. The game compares both with their mean.",
            _optimal_wrong(value=lambda p, q, d: _divergence(p, q) + _divergence(q, p) - math.log(4)),
        ),
        Mistake(
            "D's loss",
            "The sign is turned: V itself is never positive.",
            _optimal_wrong(value=lambda p, q, d: -_worth(p, q, d)),
        ),
        Mistake(
            "data's term alone",
            "The second term, q log(1 − D*), is missing from the value.",
            _optimal_wrong(value=lambda p, q, d: torch.xlogy(p, d).sum()),
        ),
        Mistake(
            "both terms under p",
            "1 − D* is weighed by q: fakes are drawn from G, not from the data.",
            _optimal_wrong(value=lambda p, q, d: (torch.xlogy(p, d) + torch.xlogy(p, 1 - d)).nan_to_num().sum()),
        ),
        Mistake(
            "base 2",
            "You have bits, where q = p gives −2. All logarithms here are natural.",
            _optimal_wrong(value=lambda p, q, d: _worth(p, q, d) / math.log(2)),
        ),
        Mistake(
            "the value at D = 1/2",
            "Your value is that of a D which has given up, −log 4 for any G. Put D* in.",
            _optimal_wrong(value=lambda p, q, d: _worth(p, q, torch.full_like(d, 0.5))),
        ),
    ),
    alternatives={
        "2 JS - log 4 by kl_div": _optimal_by_js,
        "masks": _optimal_masked,
        "entropies in float64": _optimal_by_entropy,
    },
)

# losses_of_p_fake


def losses_of_p_fake(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Losses of a D whose logits say FAKE, for data (N,) and fakes (M,): D's number and G's losses (M,)."""
    ### BEGIN SOLUTION
    d_loss = 0.5 * (F.softplus(-fake).mean() + F.softplus(real).mean())
    g_losses = F.softplus(fake)  # -log P(real) = -log sigma(-b)
    return d_loss, g_losses
    ### END SOLUTION


def _fake_by_terms(real: Tensor, fake: Tensor) -> Pair:
    """-log of a probability as the slide has it, with the larger exponent taken out of 1 + exp, term by term."""

    def cost(b: Tensor) -> Tensor:
        """-log sigma(b) of one logit."""
        top = torch.maximum(-b, torch.zeros_like(b)).detach()
        return top + torch.log(torch.exp(-top) + torch.exp(-b - top))

    d_loss = torch.zeros((), dtype=real.dtype)
    for b in fake:
        d_loss = d_loss + cost(b) / (2 * len(fake))
    for b in real:
        d_loss = d_loss + cost(-b) / (2 * len(real))
    return d_loss, torch.stack([cost(-b) for b in fake])


def _fake_by_labels(real: Tensor, fake: Tensor) -> Pair:
    """Cross entropy with 1 for fake; G asks for the label 0."""
    bce = F.binary_cross_entropy_with_logits
    halves = bce(fake, torch.ones_like(fake)), bce(real, torch.zeros_like(real))
    return (halves[0] + halves[1]) / 2, bce(fake, torch.zeros_like(fake), reduction="none")


def _fake_turned(real: Tensor, fake: Tensor) -> Pair:
    """Turn the logits, then all is as for a D that says REAL."""
    a_real, a_fake = -real, -fake
    d_loss = torch.lerp(F.logsigmoid(a_real).mean(), F.logsigmoid(-a_fake).mean(), 0.5)
    return -d_loss, -F.logsigmoid(a_fake)


def _fake_two_classes(real: Tensor, fake: Tensor) -> Pair:
    """A softmax over (real, fake) with logits (0, b), in float64."""

    def both(b: Tensor) -> Tensor:
        return torch.stack([torch.zeros_like(b), b], dim=1).double()

    yes, no = torch.ones(len(fake), dtype=torch.int64), torch.zeros(len(real), dtype=torch.int64)
    d_loss = (F.cross_entropy(both(fake), yes) + F.cross_entropy(both(real), no)) / 2
    return d_loss.to(real.dtype), -both(fake).log_softmax(1)[:, 0].to(real.dtype)


def _fake_wrong(
    *,
    d: Callable[[Tensor, Tensor], Tensor] = lambda real, fake: (F.softplus(-fake).mean() + F.softplus(real).mean()) / 2,
    g: Callable[[Tensor], Tensor] = F.softplus,
) -> Callable[..., Pair]:
    """Losses with one thing wrong."""
    return lambda real, fake: (d(real, fake), g(fake))


def _d_of_p_real(real: Tensor, fake: Tensor) -> Tensor:
    return (F.softplus(fake).mean() + F.softplus(-real).mean()) / 2


def _cut(t: Tensor) -> Tensor:
    """No gradient, without an exception when somebody asks for one."""
    return t.detach() + 0 * t


LOSSES_OF_P_FAKE = Key(
    question=asked.LOSSES_OF_P_FAKE,
    solution=(losses_of_p_fake,),
    reference=_fake_by_terms,
    source=(
        "Goodfellow et al. 2014, eq. 1 and section 3, with D replaced by 1 - D; the copied loss: Ledig et al. 2017, "
        "SRGAN, arXiv:1609.04802, eq. 6"
    ),
    mistakes=(
        Mistake(
            "the slides taken literally",
            "D's loss is right, but −log D(G(z)) with this D is small where the fake is *recognised*. G wants it taken for "
            "real: −log(1 − D(G(z))).",
            _fake_wrong(g=lambda fake: F.softplus(-fake)),
        ),
        Mistake(
            "a D that says REAL",
            "Both losses are those of a D that gives the probability of real. Here σ(b) is the probability of fake.",
            _fake_wrong(d=_d_of_p_real, g=lambda fake: F.softplus(-fake)),
        ),
        Mistake(
            "D trained the wrong way",
            "G's losses are right, but your D descends towards calling data fake. It is to be high on fakes and low on "
            "data.",
            _fake_wrong(d=_d_of_p_real),
        ),
        Mistake(
            "saturating loss of G",
            "G descends log D(G(z)) with you: the right direction, and flat where D is sure of the fake. Use the "
            "non-saturating −log(1 − D(G(z))).",
            _fake_wrong(g=F.logsigmoid),
        ),
        Mistake(
            "value instead of loss",
            "D would have to *ascend* yours: the slide maximises. Turn its sign.",
            _fake_wrong(d=lambda real, fake: -(F.softplus(-fake).mean() + F.softplus(real).mean()) / 2),
        ),
        Mistake(
            "G's sign turned",
            "log(1 − D(G(z))) is to rise. A loss is to fall: put a minus before it.",
            _fake_wrong(g=lambda fake: F.logsigmoid(-fake)),
        ),
        Mistake(
            "sum of the halves",
            "Both kinds count one half: the factor 1/2 is missing from D's loss.",
            _fake_wrong(d=lambda real, fake: F.softplus(-fake).mean() + F.softplus(real).mean()),
        ),
        Mistake(
            "one mean over all",
            "A mean over all N + M logits gives the larger of the two samples more weight. Both kinds count one half.",
            _fake_wrong(d=lambda real, fake: torch.cat([F.softplus(-fake), F.softplus(real)]).mean()),
        ),
        Mistake(
            "G's losses averaged",
            "One number per fake is asked for, (M,), not their mean.",
            _fake_wrong(g=lambda fake: F.softplus(fake).mean()),
        ),
        Mistake(
            "no gradient from the data",
            "D's loss sends no gradient to the logits of the data: something is detached that should not be.",
            _fake_wrong(d=lambda real, fake: (F.softplus(-fake).mean() + F.softplus(_cut(real)).mean()) / 2),
        ),
        Mistake(
            "no gradient from the fakes",
            "D's loss sends no gradient to the logits of the fakes. Fakes are detached *before* D sees them, and D's "
            "logits never.",
            _fake_wrong(d=lambda real, fake: (F.softplus(-_cut(fake)).mean() + F.softplus(real).mean()) / 2),
        ),
        Mistake(
            "logarithm of a sigma",
            "Where σ(b) is 0 or 1 in floating point the logarithm is infinite. softplus has no such end.",
            _fake_wrong(
                d=lambda real, fake: -(fake.sigmoid().log().mean() + (1 - real.sigmoid()).log().mean()) / 2,
                g=lambda fake: -(1 - fake.sigmoid()).log(),
            ),
        ),
        Mistake(
            "binary_cross_entropy of probabilities",
            "`F.binary_cross_entropy` on σ(b) stops at 100: your loss and its gradient are wrong far out. Use logits.",
            _fake_wrong(
                d=lambda real, fake: (
                    (
                        F.binary_cross_entropy(fake.sigmoid(), torch.ones_like(fake))
                        + F.binary_cross_entropy(real.sigmoid(), torch.zeros_like(real))
                    )
                    / 2
                ),
                g=lambda fake: F.binary_cross_entropy(fake.sigmoid(), torch.zeros_like(fake), reduction="none"),
            ),
        ),
    ),
    alternatives={
        "cross entropy with labels": _fake_by_labels,
        "logits turned": _fake_turned,
        "two classes": _fake_two_classes,
    },
)
