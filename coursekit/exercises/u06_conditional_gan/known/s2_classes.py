"""Answer keys to section 2: networks that read the label back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u06_conditional_gan.asked import s2_classes as asked

# acgan_losses


def acgan_losses(
    real: Tensor, fake: Tensor, real_classes: Tensor, fake_classes: Tensor, y_real: Tensor, y_fake: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits (N,), (M,), class logits (N, K), (M, K), labels (N,), (M,) -> the losses of D and G, to be minimised."""
    ### BEGIN SOLUTION
    named_fake = F.cross_entropy(fake_classes, y_fake)
    caught = F.softplus(fake).mean()
    d_loss = F.softplus(-real).mean() + caught + F.cross_entropy(real_classes, y_real) + named_fake
    return d_loss, named_fake - caught
    ### END SOLUTION


def _log_sigma(a: Tensor) -> Tensor:
    """log(1 / (1 + exp(-a))) without overflow."""
    low = torch.minimum(a, torch.zeros_like(a))
    return low - torch.log(torch.exp(low - a) + torch.exp(low))


def _log_share(row: Tensor, k: int) -> Tensor:
    top = row.max().detach()
    return row[k] - top - torch.log(torch.exp(row - top).sum())


def _acgan_term_by_term(
    real: Tensor, fake: Tensor, real_classes: Tensor, fake_classes: Tensor, y_real: Tensor, y_fake: Tensor
) -> tuple[Tensor, Tensor]:
    """The four expectations, example by example."""
    s_real = sum(_log_sigma(a) for a in real) / len(real)
    s_fake = sum(_log_sigma(-a) for a in fake) / len(fake)
    c_real = sum(_log_share(row, k) for row, k in zip(real_classes, y_real.tolist())) / len(real)
    c_fake = sum(_log_share(row, k) for row, k in zip(fake_classes, y_fake.tolist())) / len(fake)
    return torch.as_tensor(-(s_real + s_fake + c_real + c_fake)), torch.as_tensor(s_fake - c_fake)


def _acgan_log_probabilities(
    real: Tensor, fake: Tensor, real_classes: Tensor, fake_classes: Tensor, y_real: Tensor, y_fake: Tensor
) -> tuple[Tensor, Tensor]:
    def classes(logits: Tensor, y: Tensor) -> Tensor:
        return logits.log_softmax(1).gather(1, y[:, None]).mean()

    source = F.logsigmoid(real).mean(), F.logsigmoid(-fake).mean()
    named = classes(real_classes, y_real), classes(fake_classes, y_fake)
    return -(sum(source) + sum(named)), source[1] - named[1]


def _acgan_bce(
    real: Tensor, fake: Tensor, real_classes: Tensor, fake_classes: Tensor, y_real: Tensor, y_fake: Tensor
) -> tuple[Tensor, Tensor]:
    bce, ce = nn.BCEWithLogitsLoss(), nn.CrossEntropyLoss()
    d_loss = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))
    d_loss = d_loss + ce(real_classes, y_real) + ce(fake_classes, y_fake)
    return d_loss, ce(fake_classes, y_fake) - bce(fake, torch.zeros_like(fake))


def _acgan_logsumexp(
    real: Tensor, fake: Tensor, real_classes: Tensor, fake_classes: Tensor, y_real: Tensor, y_fake: Tensor
) -> tuple[Tensor, Tensor]:
    zero = torch.zeros((), dtype=real.dtype)
    L_S = torch.logaddexp(zero, -real).mean(), torch.logaddexp(zero, fake).mean()
    picked = [
        logits.logsumexp(1).mean() - logits[torch.arange(len(y)), y].mean()
        for logits, y in ((real_classes, y_real), (fake_classes, y_fake))
    ]
    return torch.stack([*L_S, *picked]).sum(), picked[1] - L_S[1]


def _acgan_wrong(
    *,
    d_of: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = lambda sr, sf, cr, cf: sr + sf + cr + cf,
    g_of: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = lambda sr, sf, cr, cf: cf - sf,
    g_source: Callable[[Tensor], Tensor] | None = None,
    naming: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    soft: Callable[[Tensor], Tensor] = F.softplus,
    labels: Callable[[Tensor, Tensor], Tensor] = lambda y_real, y_fake: y_fake,
    total: Callable[[Tensor], Tensor] = torch.mean,
    order: int = 1,
) -> Callable[..., Any]:
    """The losses with one thing wrong: sr, sf, cr, cf are the four terms as costs."""

    def answer(
        real: Tensor, fake: Tensor, real_classes: Tensor, fake_classes: Tensor, y_real: Tensor, y_fake: Tensor
    ) -> Any:
        sr, sf = total(soft(-real)), total(soft(fake))
        cr, cf = naming(real_classes, y_real), naming(fake_classes, labels(y_real, y_fake))
        g_loss = cf + g_source(fake) if g_source else g_of(sr, sf, cr, cf)
        return (d_of(sr, sf, cr, cf), g_loss)[::order]

    return answer


ACGAN_LOSSES = Key(
    question=asked.ACGAN_LOSSES,
    solution=(acgan_losses,),
    reference=_acgan_term_by_term,
    source="Odena, Olah & Shlens 2017, arXiv:1610.09585, equations 2 and 3",
    mistakes=(
        Mistake(
            "G against its label",
            "Your G minimises L_C: it hides the class that it was told. Both players maximise L_C; add the cross entropy.",
            _acgan_wrong(g_of=lambda sr, sf, cr, cf: -sf - cf),
        ),
        Mistake(
            "G against itself",
            "Your G lowers its own logits. It minimises log(1 − σ(a)), which is *minus* the softplus of a.",
            _acgan_wrong(g_of=lambda sr, sf, cr, cf: sf + cf),
        ),
        Mistake(
            "D misnames the fakes",
            "Fakes are no game in L_C: D, too, maximises the probability of the class that the fake was made for.",
            _acgan_wrong(d_of=lambda sr, sf, cr, cf: sr + sf + cr - cf),
        ),
        Mistake(
            "class of data only",
            "L_C has a term for fakes in D's loss, too.",
            _acgan_wrong(d_of=lambda sr, sf, cr, cf: sr + sf + cr),
        ),
        Mistake(
            "G without a class",
            "Nothing tells your G to draw what it was told: the class term of the fakes is missing.",
            _acgan_wrong(g_of=lambda sr, sf, cr, cf: -sf + 0 * cf),
        ),
        Mistake(
            "non-saturating",
            "That is −log σ(a), the non-saturating form. Here the paper's form is asked for: log(1 − σ(a)).",
            _acgan_wrong(g_source=lambda fake: F.softplus(-fake).mean()),
        ),
        Mistake(
            "data left in G's loss",
            "The means over data are no business of G: leave both out of `g_loss`.",
            _acgan_wrong(g_of=lambda sr, sf, cr, cf: cr + cf - sr - sf),
        ),
        Mistake(
            "values instead of losses",
            "Both are to be minimised: you return what the players maximise.",
            _acgan_wrong(d_of=lambda sr, sf, cr, cf: -(sr + sf + cr + cf), g_of=lambda sr, sf, cr, cf: sf - cf),
        ),
        Mistake(
            "softmax twice",
            "`F.cross_entropy` takes logits: no softmax before it.",
            _acgan_wrong(naming=lambda logits, y: F.cross_entropy(logits.softmax(1), y)),
        ),
        Mistake(
            "logarithm of a rounded probability",
            "At a = 200, 1 − σ(a) is 0 and its logarithm infinite. `F.softplus(a)` is right everywhere.",
            _acgan_wrong(soft=lambda a: -(1 - torch.sigmoid(a)).log()),
        ),
        Mistake(
            "clamped logarithm",
            "Finite, but far off where D is sure, and without gradient: `F.softplus(a)` needs no clamp.",
            _acgan_wrong(soft=lambda a: -(1 - torch.sigmoid(a)).clamp(min=1e-8).log()),
        ),
        Mistake(
            "fakes with the labels of data",
            "The fakes have labels of their own, `y_fake`.",
            _acgan_wrong(labels=lambda y_real, y_fake: y_real[: len(y_fake)]),
        ),
        Mistake(
            "sums over the batch",
            "Each expectation is a mean over its own batch.",
            _acgan_wrong(total=torch.sum, naming=lambda logits, y: F.cross_entropy(logits, y, reduction="sum")),
        ),
        Mistake(
            "losses exchanged",
            "D's loss comes first.",
            _acgan_wrong(order=-1),
        ),
    ),
    alternatives={
        "logarithms of probabilities": _acgan_log_probabilities,
        "torch's loss modules": _acgan_bce,
        "logsumexp": _acgan_logsumexp,
    },
)

# info_bound


def info_bound(logits: Tensor, k: Tensor, mean: Tensor, logvar: Tensor, c: Tensor) -> Tensor:
    """Q's guesses of a category k (N,) and of numbers c (N, J) -> the bound on the information, in nats."""
    ### BEGIN SOLUTION
    guessed = -F.cross_entropy(logits, k)
    squares = (c - mean).square() * torch.exp(-logvar)
    density = -0.5 * (math.log(2 * math.pi) + logvar + squares).sum(dim=1)
    return guessed + density.mean() + math.log(logits.shape[1]) + c.shape[1] * math.log(2)
    ### END SOLUTION


def _info_by_numbers(logits: Tensor, k: Tensor, mean: Tensor, logvar: Tensor, c: Tensor) -> Tensor:
    """Picture by picture, from the density of a Gaussian and the entropy of a uniform code."""
    total = logits.new_zeros(())
    for n in range(len(k)):
        total = total + torch.log(torch.exp(logits[n, k[n]]) / torch.exp(logits[n]).sum())
        for j in range(c.shape[1]):
            spread = torch.exp(logvar[n, j] / 2)
            away = (c[n, j] - mean[n, j]) / spread
            total = total + torch.log(torch.exp(-away * away / 2) / (spread * math.sqrt(2 * math.pi)))
    entropy = -sum(1 / logits.shape[1] * math.log(1 / logits.shape[1]) for _ in range(logits.shape[1]))
    entropy += sum(-math.log(1 / 2) for _ in range(c.shape[1]))
    return total / len(k) + entropy


def _info_nll(logits: Tensor, k: Tensor, mean: Tensor, logvar: Tensor, c: Tensor) -> Tensor:
    missed = F.cross_entropy(logits, k, reduction="sum")
    missed = missed + F.gaussian_nll_loss(mean, c, logvar.exp(), full=True, reduction="sum", eps=1e-12)
    return math.log(logits.shape[1] * 2 ** c.shape[1]) - missed / len(k)


def _info_ratios(logits: Tensor, k: Tensor, mean: Tensor, logvar: Tensor, c: Tensor) -> Tensor:
    """The mean of log Q(c | x) / p(c): each factor against its prior."""
    category = logits.log_softmax(1)[torch.arange(len(k)), k] + math.log(logits.shape[1])
    scaled = (c - mean) * torch.exp(-0.5 * logvar)
    numbers = -0.5 * scaled**2 - 0.5 * logvar - 0.5 * math.log(2 * math.pi) - math.log(0.5)
    return (category + numbers.sum(1)).mean()


def _info_distributions(logits: Tensor, k: Tensor, mean: Tensor, logvar: Tensor, c: Tensor) -> Tensor:
    hot = F.one_hot(k, logits.shape[1]).to(logits.dtype)
    category = (hot * logits).sum(1) - logits.logsumexp(1)
    quarter = torch.einsum("nj,nj,nj->n", c - mean, c - mean, (-logvar).exp())
    numbers = -(quarter + logvar.sum(1)) / 2
    constant = math.log(hot.shape[1]) + c.shape[1] * (math.log(2) - math.log(math.tau) / 2)
    return torch.stack([category, numbers]).sum(0).sum() / len(k) + constant


def _gaussian(c: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    return -0.5 * (math.log(2 * math.pi) + logvar + (c - mean) ** 2 * torch.exp(-logvar))


def _info_wrong(
    *,
    numbers: Callable[[Tensor, Tensor, Tensor], Tensor] = _gaussian,
    over: Callable[[Tensor], Tensor] = lambda terms: terms.sum(1).mean(),
    category: Callable[[Tensor, Tensor], Tensor] = lambda logits, k: -F.cross_entropy(logits, k),
    entropy: Callable[[int, int], float] = lambda K, J: math.log(K) + J * math.log(2),
    factor: float = 1.0,
) -> Callable[..., Tensor]:
    """The bound with one thing wrong."""

    def answer(logits: Tensor, k: Tensor, mean: Tensor, logvar: Tensor, c: Tensor) -> Tensor:
        terms = over(numbers(c, mean, logvar)) if c.shape[1] else 0.0
        return factor * (category(logits, k) + terms + entropy(logits.shape[1], c.shape[1]))

    return answer


INFO_BOUND = Key(
    question=asked.INFO_BOUND,
    solution=(info_bound,),
    reference=_info_by_numbers,
    source="Chen et al. 2016, arXiv:1606.03657, equation 5 and section 6; Barber & Agakov 2003, The IM algorithm",
    mistakes=(
        Mistake(
            "no entropy",
            "log Q alone is never above what it could be, and means nothing: add H(c) = log K + J log 2.",
            _info_wrong(entropy=lambda K, J: 0.0),
        ),
        Mistake(
            "entropy of the category only",
            "The numbers have an entropy, too: log 2 each.",
            _info_wrong(entropy=lambda K, J: math.log(K)),
        ),
        Mistake(
            "entropy of the numbers only",
            "The category has an entropy, too: log K.",
            _info_wrong(entropy=lambda K, J: J * math.log(2)),
        ),
        Mistake(
            "entropy subtracted",
            "The entropy is added: a Q that knows nothing has log Q = −log K, and the bound is 0.",
            _info_wrong(entropy=lambda K, J: -math.log(K) - J * math.log(2)),
        ),
        Mistake(
            "entropy of a Gaussian code",
            "That is the entropy of a standard Gaussian. The numbers are uniform on [−1, 1], which has log 2.",
            _info_wrong(entropy=lambda K, J: math.log(K) + J * 0.5 * math.log(2 * math.pi * math.e)),
        ),
        Mistake(
            "squared error",
            "That is a Gaussian of variance 1. Here the variance is Q's own: exp(logvar).",
            _info_wrong(numbers=lambda c, mean, logvar: _gaussian(c, mean, 0 * logvar)),
        ),
        Mistake(
            "log variance taken for log deviation",
            "`logvar` is the logarithm of the variance: the exponent is (c − m)² exp(−logvar) / 2.",
            _info_wrong(numbers=lambda c, mean, logvar: _gaussian(c, mean, 2 * logvar)),
        ),
        Mistake(
            "variance the wrong way up",
            "The square is divided by the variance: exp(−logvar).",
            _info_wrong(
                numbers=lambda c, mean, logvar: (
                    -0.5 * (math.log(2 * math.pi) + logvar + (c - mean) ** 2 * torch.exp(logvar))
                )
            ),
        ),
        Mistake(
            "normaliser without logvar",
            "Without the term −logvar / 2 Q would claim any variance it likes: the density's normaliser is missing.",
            _info_wrong(numbers=lambda c, mean, logvar: _gaussian(c, mean, logvar) + 0.5 * logvar),
        ),
        Mistake(
            "no 2π",
            "The density of a Gaussian has the factor 1 / sqrt(2π): in nats it counts.",
            _info_wrong(numbers=lambda c, mean, logvar: _gaussian(c, mean, logvar) + 0.5 * math.log(2 * math.pi)),
        ),
        Mistake(
            "no factor one half",
            "log of a Gaussian has a factor 1/2 in front of logvar and of the square.",
            _info_wrong(numbers=lambda c, mean, logvar: 2 * _gaussian(c, mean, logvar)),
        ),
        Mistake(
            "mean over the numbers",
            "The J numbers are independent: their logarithms add up. Sum over axis 1, then take the mean over the batch.",
            _info_wrong(over=torch.mean),
        ),
        Mistake(
            "softmax twice",
            "`logits` go into the cross entropy as they are.",
            _info_wrong(category=lambda logits, k: -F.cross_entropy(logits.softmax(1), k)),
        ),
        Mistake(
            "the loss",
            "You return minus the bound. G and Q maximise it.",
            _info_wrong(factor=-1.0),
        ),
        Mistake(
            "bits",
            "These are bits: nats are asked for.",
            _info_wrong(factor=1 / math.log(2)),
        ),
    ),
    alternatives={
        "torch's negative log-likelihood": _info_nll,
        "ratios to the prior": _info_ratios,
        "one-hot rows and einsum": _info_distributions,
    },
)

# projection_scores


def projection_scores(maps: Tensor, p: Tensor, table: Tensor, head: Tensor, bias: Tensor) -> Tensor:
    """maps (N, M, H, W), probabilities p (N, K), table (K, M), head (M,), bias (1,) -> logits (N,)."""
    ### BEGIN SOLUTION
    pooled = maps.relu().sum(dim=(2, 3))
    directions = p @ table
    return (pooled * (head + directions)).sum(dim=1) + bias
    ### END SOLUTION


def _projection_by_loops(maps: Tensor, p: Tensor, table: Tensor, head: Tensor, bias: Tensor) -> Tensor:
    """Picture by picture, class by class."""
    rows = []
    for picture, row in zip(maps, p):
        phi = [sum(v if float(v) > 0 else 0 * v for v in plane.flatten()) for plane in picture]
        score = bias[0] + sum(w * f for w, f in zip(head, phi))
        for share, e in zip(row, table):
            score = score + share * sum(a * f for a, f in zip(e, phi))
        rows.append(score)
    return torch.stack(rows)


def _projection_all_classes(maps: Tensor, p: Tensor, table: Tensor, head: Tensor, bias: Tensor) -> Tensor:
    """The scores for every class, then their mixture: the judgement of the picture is the same for all."""
    phi = F.relu(maps).flatten(2).sum(2)
    every = (phi @ head + bias)[:, None] + phi @ table.T
    return torch.einsum("nk,nk->n", p / p.sum(1, keepdim=True), every)


def _projection_linear(maps: Tensor, p: Tensor, table: Tensor, head: Tensor, bias: Tensor) -> Tensor:
    phi = maps.clamp(min=0).mean((2, 3)) * (maps.shape[2] * maps.shape[3])
    return F.linear(phi, head[None], bias).squeeze(1) + torch.bmm(phi[:, None], (p @ table)[:, :, None]).flatten()


def _projection_einsum(maps: Tensor, p: Tensor, table: Tensor, head: Tensor, bias: Tensor) -> Tensor:
    positive = torch.where(maps > 0, maps, torch.zeros_like(maps))
    return torch.einsum("nmhw,m->n", positive, head) + torch.einsum("nmhw,nk,km->n", positive, p, table) + bias


def _projection_wrong(
    *,
    pool: Callable[[Tensor], Tensor] = lambda maps: maps.relu().sum((2, 3)),
    direction: Callable[[Tensor, Tensor], Tensor] = lambda p, table: p @ table,
    score: Callable[..., Tensor] = lambda phi, e, head, bias: phi @ head + bias + (phi * e).sum(1),
) -> Callable[..., Tensor]:
    """The score with one thing wrong."""
    return lambda maps, p, table, head, bias: score(pool(maps), direction(p, table), head, bias)


PROJECTION_SCORES = Key(
    question=asked.PROJECTION_SCORES,
    solution=(projection_scores,),
    reference=_projection_by_loops,
    source="Miyato & Koyama 2018, arXiv:1802.05637, equation 3 and figure 14 (rectifier, then a global sum)",
    mistakes=(
        Mistake(
            "mean over the pixels",
            "φ is the *sum* over the pixels.",
            _projection_wrong(pool=lambda maps: maps.relu().mean((2, 3))),
        ),
        Mistake(
            "not rectified",
            "The maps are rectified before they are summed.",
            _projection_wrong(pool=lambda maps: maps.sum((2, 3))),
        ),
        Mistake(
            "rectified after the sum",
            "Rectify each pixel, then sum: not the other way round.",
            _projection_wrong(pool=lambda maps: maps.sum((2, 3)).relu()),
        ),
        Mistake(
            "largest pixel",
            "φ is the sum over the pixels, not their maximum.",
            _projection_wrong(pool=lambda maps: maps.relu().amax((2, 3))),
        ),
        Mistake(
            "label only",
            "The judgement of the picture, ⟨w, φ⟩ + b, is missing.",
            _projection_wrong(score=lambda phi, e, head, bias: (phi * e).sum(1) + 0 * (head.sum() + bias)),
        ),
        Mistake(
            "picture only",
            "The label does not count: add ⟨e(y), φ⟩.",
            _projection_wrong(score=lambda phi, e, head, bias: phi @ head + bias + 0 * e.sum()),
        ),
        Mistake(
            "no bias",
            "The bias is missing.",
            _projection_wrong(score=lambda phi, e, head, bias: phi @ head + (phi * e).sum(1) + 0 * bias),
        ),
        Mistake(
            "mean of the products",
            "An inner product is a sum over the M features, not their mean.",
            _projection_wrong(score=lambda phi, e, head, bias: phi @ head + bias + (phi * e).mean(1)),
        ),
        Mistake(
            "all pictures with all labels",
            "`phi @ e.T` scores every picture with every label: only row n with label n is asked for.",
            _projection_wrong(score=lambda phi, e, head, bias: (phi @ head + bias)[:, None] + phi @ e.T),
        ),
        Mistake(
            "the likeliest class only",
            "Right for certain labels. An uncertain one is a mixture of the classes' vectors: `p @ table`.",
            _projection_wrong(direction=lambda p, table: table[p.argmax(1)]),
        ),
        Mistake(
            "vectors scaled to length 1",
            "The vectors of the classes are used as they are, with their lengths.",
            _projection_wrong(direction=lambda p, table: F.normalize(p @ table, dim=1)),
        ),
        Mistake(
            "a probability of the class",
            "That is AC-GAN's logarithm of P(C = y). Here the plain inner product is added.",
            lambda maps, p, table, head, bias: (
                maps.relu().sum((2, 3)) @ head + bias + (p * (maps.relu().sum((2, 3)) @ table.T).log_softmax(1)).sum(1)
            ),
        ),
        Mistake(
            "table not learnt",
            "The values are right, but the table of the classes gets no gradient.",
            _projection_wrong(direction=lambda p, table: p @ table.detach() + 0 * table.sum()),
        ),
    ),
    alternatives={
        "scores of all classes, mixed": _projection_all_classes,
        "linear and bmm": _projection_linear,
        "einsum": _projection_einsum,
    },
)

# read_grid


def read_grid(seen: Tensor) -> tuple[float, float, float]:
    """Classes seen in a grid (K, n) -> shares: row's own label; row's most frequent class; best one-to-one naming."""
    ### BEGIN SOLUTION
    from itertools import permutations

    K, size = len(seen), seen.numel()
    counts = (seen[:, :, None] == torch.arange(K)).sum(dim=1)
    namings = [sum(int(counts[row, k]) for row, k in enumerate(order)) for order in permutations(range(K))]
    return int(counts.trace()) / size, int(counts.amax(dim=1).sum()) / size, max(namings) / size
    ### END SOLUTION


def _grid_by_words(seen: Tensor) -> tuple[float, float, float]:
    """The three definitions, picture by picture."""
    rows = seen.tolist()
    K, n = len(rows), len(rows[0])

    def share(names: Any) -> float:
        return sum(v == name for row, name in zip(rows, names) for v in row) / (K * n)

    favourites = [max(range(K), key=row.count) for row in rows]
    distinct = (names for names in itertools.product(range(K), repeat=K) if len(set(names)) == K)
    return share(range(K)), share(favourites), max(map(share, distinct))


def _grid_recursive(seen: Tensor) -> tuple[float, float, float]:
    K = len(seen)
    table = torch.stack([torch.bincount(row, minlength=K) for row in seen])

    def best(row: int, free: frozenset[int]) -> int:
        return max((int(table[row, k]) + best(row + 1, free - {k}) for k in free), default=0)

    whole = float(seen.numel())
    return (
        (seen == torch.arange(K)[:, None]).double().mean().item(),
        table.max(1).values.sum().item() / whole,
        best(0, frozenset(range(K))) / whole,
    )


def _grid_modes(seen: Tensor) -> tuple[float, float, float]:
    K = len(seen)
    rows = torch.arange(K)
    told = float((seen - rows[:, None]).eq(0).double().mean())
    pure = float((seen == seen.mode(1).values[:, None]).double().mean())
    matched = max(
        float((seen == torch.tensor(names)[:, None]).double().mean()) for names in itertools.permutations(range(K))
    )
    return told, pure, matched


def _grid_shares(seen: Tensor) -> tuple[float, float, float]:
    """From a table of shares; namings as permutation matrices' traces."""
    K, n = seen.shape
    table = torch.zeros(K, K, dtype=torch.float64)
    table.index_put_(
        (torch.arange(K).repeat_interleave(n), seen.flatten()), torch.ones(K * n).double(), accumulate=True
    )
    table /= K * n
    matched = max(torch.trace(table[:, list(order)]) for order in itertools.permutations(range(K)))
    return table.diag().sum().item(), table.max(dim=1)[0].sum().item(), matched.item()


def _table(seen: Tensor) -> Tensor:
    return (seen[:, :, None] == torch.arange(len(seen))).sum(1)


def _best_naming(table: Tensor) -> int:
    return max(
        int(table[torch.arange(len(table)), list(order)].sum()) for order in itertools.permutations(range(len(table)))
    )


def _greedy(table: Tensor) -> int:
    """The fullest cell first."""
    left, total = table.clone(), 0
    for _ in range(len(table)):
        row, k = divmod(int(left.argmax()), len(table))
        total += int(table[row, k])
        left[row], left[:, k] = -1, -1
    return total


def _first_come(table: Tensor) -> int:
    """Row by row, the best class still free."""
    free, total = torch.ones(len(table), dtype=torch.bool), 0
    for row in table:
        k = int(torch.where(free, row, -1).argmax())
        free[k] = False
        total += int(row[k])
    return total


def _grid_wrong(
    told: Callable[[Tensor], Any] = lambda t: t.trace(),
    pure: Callable[[Tensor], Any] = lambda t: t.amax(1).sum(),
    matched: Callable[[Tensor], Any] = _best_naming,
    whole: Callable[[Tensor], float] = lambda t: float(t.sum()),
) -> Callable[[Tensor], Any]:
    """The three shares with one thing wrong."""

    def answer(seen: Tensor) -> Any:
        t = _table(seen)
        return tuple(float(f(t)) / whole(t) for f in (told, pure, matched))

    return answer


READ_GRID = Key(
    question=asked.READ_GRID,
    solution=(read_grid,),
    reference=_grid_by_words,
    source=(
        "purity: Manning, Raghavan & Schuetze 2008, Introduction to Information Retrieval, section 16.3; codes matched to "
        "classes: Chen et al. 2016, arXiv:1606.03657, section 7.2"
    ),
    mistakes=(
        Mistake(
            "a class twice",
            "Your naming may give one class to two rows, so a collapsed generator gets full marks. No class twice.",
            _grid_wrong(matched=lambda t: t.amax(1).sum()),
        ),
        Mistake(
            "rows for classes",
            "You take the largest count of each *class*, not of each row: one row may then own several classes.",
            _grid_wrong(matched=lambda t: t.amax(0).sum()),
        ),
        Mistake(
            "greedy by cells",
            "Taking the fullest cell first can spoil the rest: try all K! namings.",
            _grid_wrong(matched=_greedy),
        ),
        Mistake(
            "greedy by rows",
            "First come, first served depends on the order of the rows: try all K! namings.",
            _grid_wrong(matched=_first_come),
        ),
        Mistake(
            "no naming at all",
            "A code's value 3 need not mean class 3: `matched` is for the best naming.",
            _grid_wrong(matched=lambda t: t.trace()),
        ),
        Mistake(
            "worst naming",
            "You return the worst naming: `max`.",
            _grid_wrong(
                matched=lambda t: min(
                    int(t[torch.arange(len(t)), list(o)].sum()) for o in itertools.permutations(range(len(t)))
                )
            ),
        ),
        Mistake(
            "purity of columns",
            "Purity is by row: the most frequent class of each row.",
            _grid_wrong(pure=lambda t: t.amax(0).sum()),
        ),
        Mistake(
            "purity against the label",
            "`pure` takes the most frequent class of each row, whatever it is.",
            _grid_wrong(pure=lambda t: t.trace()),
        ),
        Mistake(
            "told by the most frequent class",
            "`told` asks whether row r has class r.",
            _grid_wrong(told=lambda t: t.amax(1).sum()),
        ),
        Mistake(
            "rows that have the right majority",
            "You count rows. The share of *pictures* with the row's label is asked for.",
            _grid_wrong(told=lambda t: (t.argmax(1) == torch.arange(len(t))).sum() * int(t[0].sum())),
        ),
        Mistake(
            "counts",
            "Shares of all K n pictures are asked for, between 0 and 1.",
            _grid_wrong(whole=lambda t: 1.0),
        ),
        Mistake(
            "divided by the pictures of one row",
            "Divide by all K n pictures.",
            _grid_wrong(whole=lambda t: float(t[0].sum())),
        ),
    ),
    alternatives={
        "recursion over the free classes": _grid_recursive,
        "modes of the rows": _grid_modes,
        "a table of shares": _grid_shares,
    },
)
