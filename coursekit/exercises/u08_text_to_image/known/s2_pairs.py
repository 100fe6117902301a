"""Answer keys to section 2: wrong captions, the best discriminators, the matching-aware loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u08_text_to_image.asked import s2_pairs as asked

# wrong_captions


def is_true_of(fits: Tensor, labels: Tensor) -> Tensor:
    """fits (M, A, V) bool, labels (N, A) -> (N, M) bool: is the caption true of the picture?"""
    ### BEGIN SOLUTION
    upheld = fits[:, torch.arange(labels.shape[1]), labels]
    return upheld.all(dim=2).T
    ### END SOLUTION


def wrong_captions(fits: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """For each of N pictures the index (N,) int64 of a caption that is not true of it."""
    ### BEGIN SOLUTION
    eligible = ~is_true_of(fits, labels)
    if not eligible.any(dim=1).all():
        raise ValueError("there is a picture of which every caption is true.")
    return torch.multinomial(eligible.double(), 1, generator=generator)[:, 0]
    ### END SOLUTION


def _true_one_by_one(fits: Tensor, labels: Tensor) -> Tensor:
    """Value by value."""
    rows = [
        [all(told[v] for told, v in zip(caption, picture)) for caption in fits.tolist()] for picture in labels.tolist()
    ]
    return torch.tensor(rows)


def _wrong_by_lists(fits: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Lists of false captions, one number for each picture that picks from its list."""
    kinds = [tuple(row) for row in labels.tolist()]
    truth = {row: _true_one_by_one(fits, torch.tensor([row]))[0].tolist() for row in set(kinds)}
    lists = {row: [m for m, told in enumerate(true) if not told] for row, true in truth.items()}
    if not all(lists.values()):
        raise ValueError("nothing false")
    dice = torch.rand(len(labels), generator=generator, dtype=torch.float64).tolist()
    return torch.tensor([lists[row][int(u * len(lists[row]))] for row, u in zip(kinds, dice)])


def _true_by_counts(fits: Tensor, labels: Tensor) -> Tensor:
    """One-hot labels against what fits: as many agreements as attributes."""
    V = fits.shape[2]
    return torch.einsum("mav,nav->nm", fits.long(), F.one_hot(labels, V)) == labels.shape[1]


def _wrong_by_largest(fits: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """The largest of uniform numbers among the false ones."""
    true = _true_by_counts(fits, labels)
    if true.all(1).any():
        raise ValueError("all true")
    return torch.rand(true.shape, generator=generator).masked_fill(true, -1.0).argmax(1)


def _true_none_against(fits: Tensor, labels: Tensor) -> Tensor:
    against = torch.zeros(len(labels), len(fits), dtype=torch.bool)
    for a in range(labels.shape[1]):
        against |= ~fits[:, a][:, labels[:, a]].T
    return against.logical_not()


def _wrong_by_rank(fits: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    false = ~_true_none_against(fits, labels)
    count = false.sum(1)
    if int(count.min()) == 0:
        raise ValueError("a picture without a false caption")
    pick = (torch.rand(len(labels), dtype=torch.float64, generator=generator) * count).long()
    return (false.cumsum(1) == pick[:, None] + 1).long().argmax(1)


def _true_by_gather(fits: Tensor, labels: Tensor) -> Tensor:
    """Both spread over pictures, captions and attributes, then gathered."""
    M, A, V = fits.shape
    asked_for = labels[:, None, :, None].expand(-1, M, A, 1)
    return fits.expand(len(labels), M, A, V).gather(3, asked_for)[..., 0].float().prod(2) > 0


def _wrong_by_swaps(fits: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Drawn from all, and again where the draw is true."""
    true = _true_by_gather(fits, labels)
    if bool(true.all(1).any()):
        raise ValueError("all true")
    rows = torch.arange(len(labels))
    drawn = torch.randint(len(fits), (len(labels),), generator=generator)
    while bool((bad := true[rows, drawn]).any()):
        drawn = drawn.where(~bad, torch.randint(len(fits), (len(labels),), generator=generator))
    return drawn


def _agreements(fits: Tensor, labels: Tensor) -> Tensor:
    """(N, M, A) bool, attribute by attribute."""
    return fits[:, torch.arange(labels.shape[1]), labels].transpose(0, 1)


def _pairing(
    *,
    truth: Callable[[Tensor, Tensor], Tensor] = _true_by_counts,
    pick: Callable[[Tensor, torch.Generator], Tensor] = lambda false, g: torch.multinomial(false, 1, generator=g)[:, 0],
    refuse: Callable[[Tensor], Any] = lambda false: (false.sum(1) == 0).any(),
    used: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> dict[str, Any]:
    """Both functions, with one thing wrong."""

    def wrong(fits: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        false = (~(used or truth)(fits, labels)).double()
        if refuse(false):
            raise ValueError("none")
        # Where nothing is false, anything: what careless code does.
        return pick(torch.where(false.sum(1, keepdim=True) == 0, torch.ones_like(false), false), generator)

    return {"is_true_of": truth, "wrong_captions": wrong}


def _rolled(fits: Tensor, labels: Tensor) -> Tensor:
    """True where the index is not that of the next caption."""
    true = torch.ones(len(labels), len(fits), dtype=torch.bool)
    true[torch.arange(len(labels)), (torch.arange(len(labels)) + 1) % len(fits)] = False
    return true


def _own_index(fits: Tensor, labels: Tensor) -> Tensor:
    return torch.arange(len(labels))[:, None] % len(fits) == torch.arange(len(fits))


def _named_exactly(fits: Tensor, labels: Tensor) -> Tensor:
    """Vague words taken for wrong: true only if every attribute that is spoken of is narrowed down to one value."""
    sharp = ((fits.sum(2) == 1) | fits.all(2)).all(1)
    return _true_by_counts(fits, labels) & sharp


def _global_draw(false: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(false, 1)[:, 0]


def _own_generator(false: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(false, 1, generator=torch.Generator().manual_seed(0))[:, 0]


def _one_for_all(false: Tensor, generator: torch.Generator) -> Tensor:
    dice = torch.rand(1, false.shape[1], generator=generator, dtype=torch.float64)
    return (dice * false).argmax(1)


def _more_wrong(fits: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    errors = (~_agreements(fits, labels)).sum(2).double()
    if bool((errors.sum(1) == 0).any()):
        raise ValueError("none")
    return torch.multinomial(errors**2, 1, generator=generator)[:, 0]


WRONG_CAPTIONS = Key(
    question=asked.WRONG_CAPTIONS,
    solution=(is_true_of, wrong_captions),
    reference={"is_true_of": _true_one_by_one, "wrong_captions": _wrong_by_lists},
    source="Reed et al. 2016, arXiv:1605.05396, section 4.2 (the mismatched pair); what is true of a picture is plain logic",
    mistakes=(
        Mistake(
            "the next caption",
            "You take the next caption of the batch. It may well be true of the picture, and it is always the same one.",
            _pairing(used=_rolled),
        ),
        Mistake(
            "only the own index left out",
            "A caption with another index is not thereby wrong: compare what it tells with the picture.",
            _pairing(used=_own_index),
        ),
        Mistake(
            "vague words are false",
            "A caption that leaves two values open is true of both. You ask for exactly one.",
            _pairing(truth=_named_exactly),
        ),
        Mistake(
            "unspoken attributes count as against",
            "Where a caption does not speak of an attribute every value agrees. You ask that it speak of all of them.",
            _pairing(truth=lambda fits, labels: (_agreements(fits, labels) & ~fits.all(2)).all(2)),
        ),
        Mistake(
            "true if one attribute agrees",
            "A caption is false as soon as **one** attribute disagrees. You call it true if any that it speaks of agrees.",
            _pairing(truth=lambda fits, labels: (_agreements(fits, labels) & ~fits.all(2)).any(2) | fits.all(2).all(1)),
        ),
        Mistake(
            "a silent caption is false",
            "A caption that speaks of nothing contradicts nothing: it is true of every picture.",
            _pairing(truth=lambda fits, labels: _true_by_counts(fits, labels) & ~fits.all(2).all(1)),
        ),
        Mistake(
            "captions and pictures exchanged",
            "`is_true_of` has a row for each **picture**, (N, M).",
            _pairing(truth=lambda fits, labels: _true_by_counts(fits, labels).T, used=_true_by_counts),
        ),
        Mistake(
            "true and false exchanged",
            "`is_true_of` says when a caption is true; yours says when it is false.",
            _pairing(truth=lambda fits, labels: ~_true_by_counts(fits, labels), used=_true_by_counts),
        ),
        Mistake(
            "the true ones are drawn",
            "You draw captions that are true. It is the others that are wanted.",
            _pairing(used=lambda fits, labels: ~_true_by_counts(fits, labels)),
        ),
        Mistake(
            "always the first false caption",
            "The first false caption is as wrong as any, but D then learns that one by heart: draw.",
            _pairing(pick=lambda false, generator: false.argmax(1)),
        ),
        Mistake(
            "one draw for all pictures",
            "Your draws are shared by the pictures of the batch. Each picture needs its own.",
            _pairing(pick=_one_for_all),
        ),
        Mistake(
            "the more wrong, the likelier",
            "Each false caption is to have the same probability, however much of it is wrong.",
            {"is_true_of": _true_by_counts, "wrong_captions": _more_wrong},
        ),
        Mistake(
            "global generator",
            "All randomness comes from `generator`: pass it on.",
            _pairing(pick=_global_draw),
        ),
        Mistake(
            "a generator made anew",
            "You make a generator in the function, so that every call draws the same. Use the one that is handed over.",
            _pairing(pick=_own_generator),
        ),
        Mistake(
            "no error",
            "There may be a picture of which every caption is true. Raise a `ValueError`: nothing right can be returned.",
            _pairing(refuse=lambda false: False),
        ),
        Mistake(
            "error only if no picture has one",
            "One picture without a false caption is enough for the `ValueError`.",
            _pairing(refuse=lambda false: (false.sum(1) == 0).all()),
        ),
    ),
    alternatives={
        "counts, largest of random numbers": {"is_true_of": _true_by_counts, "wrong_captions": _wrong_by_largest},
        "attribute by attribute, by rank": {"is_true_of": _true_none_against, "wrong_captions": _wrong_by_rank},
        "gathered, drawn again": {"is_true_of": _true_by_gather, "wrong_captions": _wrong_by_swaps},
    },
)

# best_answers


def best_answers(joint: Tensor, made: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """joint p(x, t), made p_G(x | t), both (X, T) -> the best D (X, T) of three values: slide, conditional, matching-aware."""
    ### BEGIN SOLUTION
    picture, text = joint.sum(1, keepdim=True), joint.sum(0)
    shown = made * text
    against = (
        (picture.expand_as(joint), shown.sum(1, keepdim=True).expand_as(joint)),
        (joint, shown),
        (joint, picture * text / 2 + shown / 2),
    )
    return tuple(torch.where(a + b > 0, a / (a + b), 0.5) for a, b in against)
    ### END SOLUTION


def _best_cell_by_cell(joint: Tensor, made: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mass that speaks for a cell and the mass against it, added up cell by cell."""
    X, T = joint.shape
    p, g = joint.tolist(), made.tolist()
    p_t = [sum(p[x][t] for x in range(X)) for t in range(T)]
    p_x = [sum(row) for row in p]
    out: list[list[list[float]]] = [[], [], []]
    for x in range(X):
        blind = sum(p_t[t] * g[x][t] for t in range(T))
        cells = [
            (
                (p_x[x], blind),
                (p[x][t], p_t[t] * g[x][t]),
                (p[x][t], 0.5 * p_x[x] * p_t[t] + 0.5 * p_t[t] * g[x][t]),
            )
            for t in range(T)
        ]
        for k in range(3):
            out[k].append([c[k][0] / sum(c[k]) if sum(c[k]) else 0.5 for c in cells])
    first, second, third = (torch.tensor(table, dtype=joint.dtype) for table in out)
    return first, second, third


def _share(real: Tensor, other: Tensor) -> Tensor:
    total = real + other
    return torch.where(total > 0, real / torch.where(total > 0, total, 1.0), 0.5)


def _best_einsum(joint: Tensor, made: Tensor) -> list[Tensor]:
    p_x, p_t = torch.einsum("xt->x", joint), torch.einsum("xt->t", joint)
    pairs = torch.einsum("xt,t->xt", made, p_t)
    slide = _share(p_x, torch.einsum("xt,t->x", made, p_t))
    mixed = torch.lerp(torch.outer(p_x, p_t), pairs, 0.5)
    return [slide[:, None].repeat(1, joint.shape[1]), _share(joint, pairs), _share(joint, mixed)]


def _best_logits(joint: Tensor, made: Tensor) -> list[Tensor]:
    """D = sigma(log a - log b); log 0 - log 0 is NaN, and stands for no opinion."""
    text = joint.sum(dim=0, keepdim=True)
    fakes = text * made
    wrong = joint.sum(1)[:, None] @ text
    sums = [m.sum(1, keepdim=True).expand(*joint.shape) for m in (joint, fakes)]
    logits = [
        sums[0].log() - sums[1].log(),
        joint.log() - fakes.log(),
        joint.log() - (wrong + fakes).log() + math.log(2),
    ]
    return [logit.nan_to_num(nan=0.0, posinf=1e9, neginf=-1e9).sigmoid() for logit in logits]


def _best_stacked(joint: Tensor, made: Tensor) -> tuple[Tensor, ...]:
    """All masses in one tensor (3, 2, X, T), float64."""
    p, T = joint.double(), joint.shape[1]
    shown = made.double() * p.sum(0)
    ones = torch.ones(T, T, dtype=torch.float64)
    mass = torch.stack(
        [
            torch.stack([p @ ones, shown @ ones]),
            torch.stack([p, shown]),
            torch.stack([p, (p.sum(1, keepdim=True) * p.sum(0) + shown) / 2]),
        ]
    )
    return tuple((mass[:, 0] / mass.sum(1)).nan_to_num(nan=0.5).to(joint.dtype).unbind(0))


def _best_wrong(
    *,
    blind: Callable[..., tuple[Tensor, Tensor]] = lambda joint, shown: (joint.sum(1, True), shown.sum(1, True)),
    prior: Callable[[Tensor], Tensor] = lambda joint: joint.sum(0),
    conditional: Callable[..., tuple[Tensor, Tensor]] = lambda joint, shown: (joint, shown),
    third: Callable[..., tuple[Tensor, Tensor]] = lambda joint, shown, x, t: (joint, x * t / 2 + shown / 2),
    fraction: Callable[[Tensor, Tensor], Tensor] = _share,
    order: tuple[int, int, int] = (0, 1, 2),
) -> Callable[..., list[Tensor]]:
    """The tables with one thing wrong."""

    def answer(joint: Tensor, made: Tensor) -> list[Tensor]:
        shown = made * prior(joint)
        x, t = joint.sum(1, keepdim=True), joint.sum(0)
        tables = [
            fraction(*blind(joint, shown)),
            fraction(*conditional(joint, shown)),
            fraction(*third(joint, shown, x, t)),
        ]
        tables[0] = tables[0].expand_as(joint)
        return [tables[k] for k in order]

    return answer


BEST_ANSWERS = Key(
    question=asked.BEST_ANSWERS,
    solution=(best_answers,),
    reference=_best_cell_by_cell,
    source="Goodfellow et al. 2014, proposition 1, for each pair (x, t); Reed et al. 2016, arXiv:1605.05396, algorithm 1",
    mistakes=(
        Mistake(
            "the slide's D reads the text",
            "The slide's D sees x alone, so that its answer is one for all texts: sum over t before you divide.",
            _best_wrong(blind=lambda joint, shown: (joint, shown)),
        ),
        Mistake(
            "the slide's D averaged over texts",
            "The mean of fractions is not the fraction of sums: D does not know t, so the masses are added first.",
            _best_wrong(
                blind=lambda joint, shown: (_share(joint, shown).mean(1, True), 1 - _share(joint, shown).mean(1, True))
            ),
        ),
        Mistake(
            "made pictures not weighed by their texts",
            "`made` is p(x | t). How often a pair is shown to D is p(t) p(x | t).",
            _best_wrong(prior=lambda joint: torch.ones_like(joint.sum(0))),
        ),
        Mistake(
            "all texts equally frequent",
            "Texts are drawn from p(t), the sums of the columns; yours are uniform.",
            _best_wrong(prior=lambda joint: torch.full_like(joint.sum(0), 1 / joint.shape[1])),
        ),
        Mistake(
            "without the halves",
            "Both kinds of negatives count one half, else D is told twice as often that pairs are bad as that they are good.",
            _best_wrong(third=lambda joint, shown, x, t: (joint, x * t + shown)),
        ),
        Mistake(
            "no wrong texts",
            "Your third D is the second: the pairs of a real picture with a wrong text are missing.",
            _best_wrong(third=lambda joint, shown, x, t: (joint, shown)),
        ),
        Mistake(
            "half of the fakes only",
            "The wrong texts count one half as well: yours have the full weight.",
            _best_wrong(third=lambda joint, shown, x, t: (joint, x * t + shown / 2)),
        ),
        Mistake(
            "wrong texts: the real pairs",
            "A wrong text is drawn without looking at the picture, p(x) p(t). You use p(x, t), which are the right ones.",
            _best_wrong(third=lambda joint, shown, x, t: (joint, joint / 2 + shown / 2)),
        ),
        Mistake(
            "wrong texts on made pictures",
            "The wrong texts go with **real** pictures: p(x) p(t). Yours go with the generator's.",
            _best_wrong(
                third=lambda joint, shown, x, t: (joint, shown.sum(1, True) * t / 2 + shown / 2),
            ),
        ),
        Mistake(
            "wrong texts on the positive side",
            "A real picture with a wrong text is a negative: D shall reject it.",
            _best_wrong(third=lambda joint, shown, x, t: (joint + x * t / 2, shown / 2)),
        ),
        Mistake(
            "probability of fake",
            "You return the probability that the pair is bad. D says how good it is.",
            _best_wrong(fraction=lambda real, other: 1 - _share(real, other)),
        ),
        Mistake(
            "odds instead of probability",
            "a / b is the odds; the best D is a / (a + b).",
            _best_wrong(fraction=lambda real, other: torch.where(real + other > 0, real / other, 0.5)),
        ),
        Mistake(
            "0/0",
            "Where neither real nor made pairs occur you divide 0 by 0. The answer there is ½.",
            _best_wrong(fraction=lambda real, other: real / (real + other)),
        ),
        Mistake(
            "nothing seen is fake",
            "Where D is never asked you answer 0. The task says ½.",
            _best_wrong(fraction=lambda real, other: (real / (real + other)).nan_to_num(nan=0.0)),
        ),
        Mistake(
            "other order",
            "First the slide's, then the conditional, then the matching-aware D.",
            _best_wrong(order=(1, 0, 2)),
        ),
    ),
    alternatives={
        "einsum and lerp": _best_einsum,
        "sigmoid of log ratios": _best_logits,
        "all masses in one tensor": _best_stacked,
    },
)

# matching_aware


def matching_loss_D(right: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """Logits of right pairs, of real pictures with wrong texts, of fakes -> what D descends."""
    ### BEGIN SOLUTION
    rejected = F.softplus(wrong).mean() + F.softplus(fake).mean()
    return F.softplus(-right).mean() + rejected / 2
    ### END SOLUTION


def matching_loss_G(fake: Tensor) -> Tensor:
    """Logits of fakes with their texts -> what G descends."""
    ### BEGIN SOLUTION
    return F.softplus(-fake).mean()
    ### END SOLUTION


def _log_sigma(a: Tensor) -> Tensor:
    """log(1 / (1 + exp(-a))), the larger exponent taken out; min is a where a < 0."""
    return torch.minimum(a, torch.zeros_like(a)) - torch.log1p(torch.exp(-a.abs()))


def _d_by_scores(right: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """The equation, example by example."""
    r = sum(_log_sigma(a) for a in right) / len(right)
    w = sum(_log_sigma(-a) for a in wrong) / len(wrong)
    f = sum(_log_sigma(-a) for a in fake) / len(fake)
    return torch.as_tensor(-(r + (w + f) / 2))


def _g_by_scores(fake: Tensor) -> Tensor:
    return torch.stack([-_log_sigma(a) for a in fake]).mean()


def _d_bce(right: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    bce = F.binary_cross_entropy_with_logits
    terms = [bce(a, torch.full_like(a, target)) for a, target in ((right, 1.0), (wrong, 0.0), (fake, 0.0))]
    return torch.dot(torch.stack(terms), right.new_tensor([1.0, 0.5, 0.5]))


def _g_bce(fake: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def _d_weighted(right: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """One list of signed logits, one list of weights."""
    sizes = (len(right), len(wrong), len(fake))
    signed = torch.cat([right, -wrong, -fake])
    weights = torch.cat([right.new_full((n,), w / n) for n, w in zip(sizes, (1.0, 0.5, 0.5))])
    return -(weights * F.logsigmoid(signed)).sum()


def _g_weighted(fake: Tensor) -> Tensor:
    return F.logsigmoid(fake).neg().mean()


def _d_logaddexp(right: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    nought = right.new_zeros(())
    cost = [torch.logaddexp(nought, side).mean() for side in (-right, wrong, fake)]
    return cost[0] + 0.5 * cost[1] + 0.5 * cost[2]


def _g_logaddexp(fake: Tensor) -> Tensor:
    return torch.logaddexp(fake.new_zeros(()), -fake).sum() / fake.numel()


def _matching(d: Callable[..., Tensor] = _d_logaddexp, g: Callable[[Tensor], Tensor] = _g_logaddexp) -> dict[str, Any]:
    return {"matching_loss_D": d, "matching_loss_G": g}


def _s(a: Tensor) -> Tensor:
    return F.softplus(a).mean()


MATCHING_AWARE = Key(
    question=asked.MATCHING_AWARE,
    solution=(matching_loss_D, matching_loss_G),
    reference={"matching_loss_D": _d_by_scores, "matching_loss_G": _g_by_scores},
    source="Reed et al. 2016, arXiv:1605.05396, algorithm 1",
    mistakes=(
        Mistake(
            "the slide's value",
            "The real picture with a wrong text is missing: nothing makes D read the text.",
            _matching(d=lambda right, wrong, fake: _s(-right) + _s(fake)),
        ),
        Mistake(
            "wrong texts instead of fakes",
            "The fakes are missing: D would never learn what a real picture looks like.",
            _matching(d=lambda right, wrong, fake: _s(-right) + _s(wrong)),
        ),
        Mistake(
            "decisions instead of probabilities",
            "Logits above 0 become 1, the others 0: the logarithm is 0 or infinite, and nothing has a gradient.",
            _matching(
                d=lambda right, wrong, fake: (
                    -(
                        (right > 0).to(right.dtype).log().mean()
                        + (1 - (wrong > 0).to(right.dtype)).log().mean() / 2
                        + (1 - (fake > 0).to(right.dtype)).log().mean() / 2
                    )
                ),
                g=lambda fake: -(fake > 0).to(fake.dtype).log().mean(),
            ),
        ),
        Mistake(
            "without the halves",
            "Both negatives together weigh as much as the positives: one half each.",
            _matching(d=lambda right, wrong, fake: _s(-right) + _s(wrong) + _s(fake)),
        ),
        Mistake(
            "half of one only",
            "The one half belongs to both: put the sum of the two into brackets.",
            _matching(d=lambda right, wrong, fake: _s(-right) + _s(wrong) / 2 + _s(fake)),
        ),
        Mistake(
            "all thirds",
            "You average the three cases. The positives count 1, the negatives one half each.",
            _matching(d=lambda right, wrong, fake: (_s(-right) + _s(wrong) + _s(fake)) / 3),
        ),
        Mistake(
            "negatives in one mean",
            "Put into one batch, the larger case counts more. Each case has a mean of its own.",
            _matching(d=lambda right, wrong, fake: _s(-right) + _s(torch.cat([wrong, fake]))),
        ),
        Mistake(
            "wrong texts accepted",
            "A real picture with a wrong text is a negative. You reward D for accepting it.",
            _matching(d=lambda right, wrong, fake: _s(-right) + (_s(-wrong) + _s(fake)) / 2),
        ),
        Mistake(
            "ascended",
            "You return the value, which D ascends. A loss to be descended is its negative.",
            _matching(
                d=lambda right, wrong, fake: -_d_logaddexp(right, wrong, fake), g=lambda fake: -_g_logaddexp(fake)
            ),
        ),
        Mistake(
            "sums",
            "Expectations are means: yours grow with the batch.",
            _matching(
                d=lambda right, wrong, fake: (
                    F.softplus(-right).sum() + (F.softplus(wrong).sum() + F.softplus(fake).sum()) / 2
                ),
                g=lambda fake: F.softplus(-fake).sum(),
            ),
        ),
        Mistake(
            "logarithm of the sigmoid",
            "σ(−200) is 0 in float32, and its logarithm −∞. Stay with the logits: softplus.",
            _matching(
                d=lambda right, wrong, fake: (
                    -(
                        right.sigmoid().log().mean()
                        + ((1 - wrong.sigmoid()).log().mean() + (1 - fake.sigmoid()).log().mean()) / 2
                    )
                ),
                g=lambda fake: -fake.sigmoid().log().mean(),
            ),
        ),
        Mistake(
            "sigmoid with a small number added",
            "A small number under the logarithm keeps it finite, but cuts loss and gradient off just where D is most wrong.",
            _matching(
                d=lambda right, wrong, fake: (
                    -(
                        (right.sigmoid() + 1e-8).log().mean()
                        + ((1 - wrong.sigmoid() + 1e-8).log().mean() + (1 - fake.sigmoid() + 1e-8).log().mean()) / 2
                    )
                ),
                g=lambda fake: -(fake.sigmoid() + 1e-8).log().mean(),
            ),
        ),
        Mistake(
            "G descends log(1 - s)",
            "That is the saturating loss: where D is sure, it has no gradient. G ascends log s_f.",
            _matching(g=lambda fake: -_s(fake)),
        ),
        Mistake(
            "sigmoid twice",
            "You apply the sigmoid before a loss that has it inside.",
            _matching(
                d=lambda right, wrong, fake: _d_bce(right.sigmoid(), wrong.sigmoid(), fake.sigmoid()),
                g=lambda fake: _g_bce(fake.sigmoid()),
            ),
        ),
        Mistake(
            "hinge",
            "That is the hinge loss, which many text-to-image GANs use. Here the logarithms are asked for.",
            _matching(
                d=lambda right, wrong, fake: (
                    F.relu(1 - right).mean() + (F.relu(1 + wrong).mean() + F.relu(1 + fake).mean()) / 2
                ),
                g=lambda fake: -fake.mean(),
            ),
        ),
    ),
    alternatives={
        "cross-entropy with logits": _matching(_d_bce, _g_bce),
        "signed logits and weights": _matching(_d_weighted, _g_weighted),
        "logaddexp": _matching(_d_logaddexp, _g_logaddexp),
    },
)
