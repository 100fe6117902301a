"""Answer keys to section 6: words as vectors, and words for a picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u06_conditional_gan.asked import s6_words as asked

# skipgram_gradients


def skipgram_gradients(
    inner: Tensor, outer: Tensor, centres: Tensor, contexts: Tensor, negatives: Tensor
) -> tuple[Tensor, Tensor]:
    """Tables (V, D), N pairs with M negatives each -> the gradients of the sum of losses by both tables."""
    ### BEGIN SOLUTION
    beside = torch.cat([contexts[:, None], negatives], dim=1)
    middle, around = inner[centres], outer[beside]
    pull = torch.sigmoid(torch.einsum("nd,nmd->nm", middle, around))
    pull[:, 0] -= 1
    for_middle = torch.einsum("nm,nmd->nd", pull, around)
    for_around = pull[:, :, None] * middle[:, None]
    by_inner = torch.zeros_like(inner).index_add_(0, centres, for_middle)
    return by_inner, torch.zeros_like(outer).index_add_(0, beside.flatten(), for_around.flatten(0, 1))
    ### END SOLUTION


def _skipgram_by_pairs(
    inner: Tensor, outer: Tensor, centres: Tensor, contexts: Tensor, negatives: Tensor
) -> tuple[Tensor, Tensor]:
    """Pair by pair, coordinate by coordinate, in numbers of Python."""

    def sigma(a: float) -> float:
        return 1 / (1 + math.exp(-a)) if a >= 0 else math.exp(a) / (1 + math.exp(a))

    U, V = inner.tolist(), outer.tolist()
    by_u, by_v = ([[0.0] * len(row) for row in table] for table in (U, V))
    for c, o, row in zip(centres.tolist(), contexts.tolist(), negatives.tolist()):
        for w, label in [(o, 1.0)] + [(w, 0.0) for w in row]:
            slope = sigma(sum(a * b for a, b in zip(U[c], V[w]))) - label
            for d in range(len(U[c])):
                by_u[c][d] += slope * V[w][d]
                by_v[w][d] += slope * U[c][d]
    return inner.new_tensor(by_u), outer.new_tensor(by_v)


def _skipgram_matrix(
    inner: Tensor, outer: Tensor, centres: Tensor, contexts: Tensor, negatives: Tensor
) -> tuple[Tensor, Tensor]:
    """A table (V, V) of slopes, centre by word beside it; the gradients are two products."""
    a = inner @ outer.T
    positive, negative = torch.zeros_like(a), torch.zeros_like(a)
    one = torch.ones(len(centres), dtype=a.dtype)
    positive.index_put_((centres, contexts), one, accumulate=True)
    for column in negatives.T:
        negative.index_put_((centres, column), one, accumulate=True)
    slopes = negative * torch.sigmoid(a) - positive * torch.sigmoid(-a)
    return slopes @ outer, slopes.T @ inner


def _skipgram_one_hot(
    inner: Tensor, outer: Tensor, centres: Tensor, contexts: Tensor, negatives: Tensor
) -> tuple[Tensor, Tensor]:
    V = len(inner)
    c, o, n = (F.one_hot(index, V).to(inner.dtype) for index in (centres, contexts, negatives))
    u, v, w = c @ inner, o @ outer, n @ outer
    right = torch.sigmoid((u * v).sum(1, keepdim=True)) - 1
    wrong = torch.sigmoid((u[:, None] * w).sum(2, keepdim=True))
    return c.T @ (right * v + (wrong * w).sum(1)), o.T @ (right * u) + torch.einsum(
        "nmv,nmd->vd", n, wrong * u[:, None]
    )


def _skipgram_loop(
    inner: Tensor, outer: Tensor, centres: Tensor, contexts: Tensor, negatives: Tensor
) -> tuple[Tensor, Tensor]:
    by_inner, by_outer = torch.zeros_like(inner), torch.zeros_like(outer)
    for n, c in enumerate(centres.tolist()):
        u = inner[c]
        for w, label in zip([int(contexts[n]), *negatives[n].tolist()], [1.0] + [0.0] * negatives.shape[1]):
            slope = torch.sigmoid(u @ outer[w]) - label
            by_inner[c] += slope * outer[w]
            by_outer[w] += slope * u
    return by_inner, by_outer


def _skipgram_wrong(
    *,
    slopes: Callable[[Tensor], Tensor] = lambda a: torch.cat([torch.sigmoid(a[:, :1]) - 1, torch.sigmoid(a[:, 1:])], 1),
    add: bool = True,
    outer_slopes: Callable[[Tensor], Tensor] = lambda s: s,
    inner_slopes: Callable[[Tensor], Tensor] = lambda s: s,
    exchanged: bool = False,
    factor: Callable[[Tensor], float] = lambda a: 1.0,
    swap: int = 1,
) -> Callable[..., Any]:
    """The gradients with one thing wrong."""

    def answer(inner: Tensor, outer: Tensor, centres: Tensor, contexts: Tensor, negatives: Tensor) -> Any:
        if exchanged:
            inner, outer = outer, inner
        words = torch.cat([contexts[:, None], negatives], 1)
        u, v = inner[centres], outer[words]
        a = torch.einsum("nd,nmd->nm", u, v)
        s = slopes(a) * factor(a)
        for_u = torch.einsum("nm,nmd->nd", inner_slopes(s), v)
        for_v = (outer_slopes(s)[:, :, None] * u[:, None]).flatten(0, 1)
        by_inner, by_outer = torch.zeros_like(inner), torch.zeros_like(outer)
        if add:
            by_inner.index_add_(0, centres, for_u)
            by_outer.index_add_(0, words.flatten(), for_v)
        else:
            for row, gradient in zip(centres.tolist(), for_u):
                by_inner[row] = gradient
            for row, gradient in zip(words.flatten().tolist(), for_v):
                by_outer[row] = gradient
        return (by_inner, by_outer)[::swap]

    return answer


def _skipgram_autograd(inner: Tensor, outer: Tensor, centres: Tensor, contexts: Tensor, negatives: Tensor) -> Any:
    u, v = inner.clone().requires_grad_(), outer.clone().requires_grad_()
    right = F.softplus(-(u[centres] * v[contexts]).sum(1)).sum()
    wrong = F.softplus(torch.einsum("nd,nmd->nm", u[centres], v[negatives])).sum()
    return torch.autograd.grad(right + wrong, [u, v])


def _first_only(s: Tensor) -> Tensor:
    return s * (torch.arange(s.shape[1]) == 0)


def _negatives_only(s: Tensor) -> Tensor:
    return s * (torch.arange(s.shape[1]) > 0)


SKIPGRAM_GRADIENTS = Key(
    question=asked.SKIPGRAM_GRADIENTS,
    solution=(skipgram_gradients,),
    reference=_skipgram_by_pairs,
    source="Mikolov et al. 2013, Distributed representations of words and phrases, arXiv:1310.4546, equation 4",
    mistakes=(
        Mistake(
            "repeated words overwrite each other",
            "A word that occurs twice keeps only its last gradient: `table[index] = ...` overwrites. `index_add_` adds up.",
            _skipgram_wrong(add=False),
        ),
        Mistake(
            "directions of the step",
            "Those are the directions of descent. The gradients of the loss have the opposite sign.",
            _skipgram_wrong(factor=lambda a: -1.0),
        ),
        Mistake(
            "negatives attracted",
            "Your negatives are drawn to the centre, as contexts are: their slope is σ(a), positive.",
            _skipgram_wrong(slopes=lambda a: torch.sigmoid(a) - 1),
        ),
        Mistake(
            "context repelled",
            "Your context is pushed away, as negatives are: its slope is σ(a) − 1, negative.",
            _skipgram_wrong(slopes=torch.sigmoid),
        ),
        Mistake(
            "sigma of the wrong sign",
            "The slope of −log σ(a) is σ(a) − 1: small where the pair is recognised already. Yours is large there.",
            _skipgram_wrong(slopes=lambda a: torch.cat([-torch.sigmoid(a[:, :1]), torch.sigmoid(-a[:, 1:])], 1)),
        ),
        Mistake(
            "no negatives",
            "Without the negatives all words end up in one place.",
            _skipgram_wrong(slopes=lambda a: _first_only(torch.sigmoid(a) - 1)),
        ),
        Mistake(
            "negatives do not move",
            "The rows of the negatives in the outer table get a gradient, too.",
            _skipgram_wrong(outer_slopes=_first_only),
        ),
        Mistake(
            "context does not move",
            "The row of the context in the outer table gets a gradient, too.",
            _skipgram_wrong(outer_slopes=_negatives_only),
        ),
        Mistake(
            "centre hears the context only",
            "The centre is pushed away from the negatives, too: sum over all 1 + M words.",
            _skipgram_wrong(inner_slopes=_first_only),
        ),
        Mistake(
            "mean over the pairs",
            "The gradient of the sum of the N losses is asked for.",
            _skipgram_wrong(factor=lambda a: 1 / len(a)),
        ),
        Mistake(
            "mean over the negatives",
            "The negatives' terms are summed, not averaged.",
            _skipgram_wrong(
                slopes=lambda a: torch.cat([torch.sigmoid(a[:, :1]) - 1, torch.sigmoid(a[:, 1:]) / (a.shape[1] - 1)], 1)
            ),
        ),
        Mistake(
            "tables exchanged",
            "Centres are looked up in `inner`, contexts and negatives in `outer`.",
            _skipgram_wrong(exchanged=True),
        ),
        Mistake(
            "results exchanged",
            "The gradient of `inner` comes first.",
            _skipgram_wrong(swap=-1),
        ),
        Mistake(
            "quotient of exponentials",
            "Right for small products. At a = 100 in float32 exp(a) is infinite, and infinite by infinite is NaN: "
            "`torch.sigmoid`.",
            _skipgram_wrong(
                slopes=lambda a: torch.cat(
                    [
                        (a[:, :1].float().exp() / (1 + a[:, :1].float().exp())).to(a.dtype) - 1,
                        (a[:, 1:].float().exp() / (1 + a[:, 1:].float().exp())).to(a.dtype),
                    ],
                    1,
                )
            ),
        ),
        Mistake(
            "autograd",
            "Under `torch.inference_mode()` autograd records nothing. The gradients fit on paper: write them down.",
            _skipgram_autograd,
        ),
    ),
    alternatives={
        "a table of slopes": _skipgram_matrix,
        "one-hot rows": _skipgram_one_hot,
        "a loop over words": _skipgram_loop,
    },
)

# common_tags


def common_tags(vectors: Tensor, words: Tensor, near: int, count: int) -> list[int]:
    """Generated vectors (S, D), all word vectors (V, D) -> the words that most vectors name, by number."""
    ### BEGIN SOLUTION
    alike = F.normalize(vectors, dim=1) @ F.normalize(words, dim=1).T
    named = alike.topk(near, dim=1).indices.flatten()
    votes = torch.bincount(named, minlength=len(words)).tolist()
    total = alike.sum(dim=0).tolist()
    ranked = sorted(set(named.tolist()), key=lambda word: (votes[word], total[word]), reverse=True)
    return ranked[:count]
    ### END SOLUTION


def _tags_by_numbers(vectors: Tensor, words: Tensor, near: int, count: int) -> list[int]:
    """Cosines, votes and sums in numbers of Python."""

    def cosine(a: list[float], b: list[float]) -> float:
        return sum(p * q for p, q in zip(a, b)) / (math.hypot(*a) * math.hypot(*b))

    A, B = vectors.tolist(), words.tolist()
    votes = dict.fromkeys(range(len(B)), 0)
    for a in A:
        nearest = sorted(votes, key=lambda w: -cosine(a, B[w]))[:near]
        for w in nearest:
            votes[w] += 1
    voted = [w for w in votes if votes[w]]
    return sorted(voted, key=lambda w: (-votes[w], -sum(cosine(a, B[w]) for a in A)))[:count]


def _tags_counter(vectors: Tensor, words: Tensor, near: int, count: int) -> list[int]:
    alike = F.cosine_similarity(vectors[:, None], words[None], dim=2)
    by_total = alike.sum(0).argsort(descending=True).tolist()
    named = Counter(w for row in alike for w in row.argsort(descending=True)[:near].tolist())
    voted = [w for w in by_total if named[w]]  # sorted is stable: ties keep this order
    return sorted(voted, key=lambda w: -named[w])[:count]


def _tags_one_score(vectors: Tensor, words: Tensor, near: int, count: int) -> list[int]:
    """Votes and sums in one number: a sum of S cosines is never beyond S."""
    S = len(vectors)
    alike = (vectors / vectors.norm(dim=1, keepdim=True)) @ (words / words.norm(dim=1, keepdim=True)).T
    votes = torch.zeros_like(alike).scatter_(1, alike.topk(near, 1).indices, 1.0).sum(0)
    score = votes * (3 * S) + alike.sum(0)
    best = score.topk(min(count, int((votes > 0).sum()))).indices
    return [int(w) for w in best]


def _tags_most_common(vectors: Tensor, words: Tensor, near: int, count: int) -> list[int]:
    unit, table = F.normalize(vectors.double()), F.normalize(words.double())
    total = (unit.sum(0) @ table.T).tolist()
    named: list[int] = []
    for row in unit @ table.T:
        named += torch.sort(row, descending=True).indices[:near].tolist()
    named.sort(key=lambda w: -total[w])  # the counter keeps the order of first meeting among equals
    return [w for w, _ in Counter(named).most_common(count)]


def _cosines(vectors: Tensor, words: Tensor) -> Tensor:
    return F.normalize(vectors, dim=1) @ F.normalize(words, dim=1).T


def _tags_wrong(
    *,
    alike_of: Callable[[Tensor, Tensor], Tensor] = _cosines,
    near_of: Callable[[int, int], int] = lambda near, count: near,
    farthest: bool = False,
    tie: Callable[[Tensor, int], float] = lambda alike, w: float(alike[:, w].sum()),
    fill: bool = False,
    rank: Callable[[list[int], Any], list[int]] = lambda named, order: sorted(named, key=order),
    result: Callable[[list[int], int], Any] = lambda ranked, count: ranked[:count],
) -> Callable[..., Any]:
    """The tags with one thing wrong."""

    def answer(vectors: Tensor, words: Tensor, near: int, count: int) -> Any:
        alike = alike_of(vectors, words)
        named = alike.topk(min(near_of(near, count), len(words)), 1, largest=not farthest).indices.flatten().tolist()
        votes = {w: named.count(w) for w in range(len(words))}
        voted = [w for w in votes if fill or votes[w]]
        return result(rank(voted, lambda w: (-votes[w], -tie(alike, w))), count)

    return answer


def _tags_of_the_mean(vectors: Tensor, words: Tensor, near: int, count: int) -> list[int]:
    return _cosines(vectors.mean(0, keepdim=True), words)[0].topk(count).indices.tolist()


def _tags_of_the_sum(vectors: Tensor, words: Tensor, near: int, count: int) -> list[int]:
    return _cosines(vectors, words).sum(0).topk(count).indices.tolist()


def _tags_of_the_best(vectors: Tensor, words: Tensor, near: int, count: int) -> list[int]:
    return _cosines(vectors, words).amax(0).topk(count).indices.tolist()


COMMON_TAGS = Key(
    question=asked.COMMON_TAGS,
    solution=(common_tags,),
    reference=_tags_by_numbers,
    source="Mirza & Osindero 2014, arXiv:1411.1784, section 4.2 (100 samples, 20 nearest words of each, the 10 most common)",
    mistakes=(
        Mistake(
            "dot products",
            "By the dot product long word vectors are near to everything. The cosine divides by both lengths.",
            _tags_wrong(alike_of=lambda vectors, words: vectors @ words.T),
        ),
        Mistake(
            "Euclidean distance",
            "By distance short word vectors are near to everything. The cosine compares directions.",
            _tags_wrong(alike_of=lambda vectors, words: -torch.cdist(vectors, words)),
        ),
        Mistake(
            "vectors not scaled",
            "The names are right, but in the sums long vectors count for more: a cosine divides by both lengths.",
            _tags_wrong(alike_of=lambda vectors, words: vectors @ F.normalize(words, dim=1).T),
        ),
        Mistake(
            "farthest words",
            "Those are the farthest words: the largest cosine is the nearest.",
            _tags_wrong(farthest=True),
        ),
        Mistake(
            "vectors averaged first",
            "The mean of several vectors is a vector that nobody drew. Look up the words of each, then count.",
            _tags_of_the_mean,
        ),
        Mistake(
            "cosines summed, not counted",
            "A sum of cosines prefers words that are not far from anything. Count who names whom; the sum is for ties.",
            _tags_of_the_sum,
        ),
        Mistake(
            "best single match",
            "You rank by the nearest vector alone: a word that one draw hits exactly beats one that three draws name.",
            _tags_of_the_best,
        ),
        Mistake(
            "ties by number",
            "Of words named equally often the one with the larger sum of cosines comes first, not the lower number.",
            _tags_wrong(tie=lambda alike, w: -float(w)),
        ),
        Mistake(
            "ties by the best match",
            "For ties the cosines with *all* S vectors are summed.",
            _tags_wrong(tie=lambda alike, w: float(alike[:, w].max())),
        ),
        Mistake(
            "ties the wrong way",
            "Of words named equally often the one with the *larger* sum of cosines comes first.",
            _tags_wrong(tie=lambda alike, w: -float(alike[:, w].sum())),
        ),
        Mistake(
            "filled up with words nobody named",
            "A word that no vector named is no tag: the list may be shorter.",
            _tags_wrong(fill=True),
        ),
        Mistake(
            "count taken for near",
            "`near` words for each vector, `count` tags in the end.",
            _tags_wrong(near_of=lambda near, count: count),
        ),
        Mistake(
            "rarest first",
            "Most frequent first: sort in descending order.",
            _tags_wrong(rank=lambda named, order: sorted(named, key=order)[::-1]),
        ),
        Mistake(
            "in order of their numbers",
            "The list is ordered by how often a word was named, not by its number.",
            _tags_wrong(result=lambda ranked, count: sorted(ranked[:count])),
        ),
        Mistake(
            "a tensor",
            "A list of Python ints is asked for: `.tolist()`.",
            _tags_wrong(result=lambda ranked, count: torch.tensor(ranked[:count])),
        ),
    ),
    alternatives={
        "a counter, stable sorts": _tags_counter,
        "votes and sums in one score": _tags_one_score,
        "most_common": _tags_most_common,
    },
)
