"""Answer keys to section 1: characters, the shared space, retrieval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.checks.declare import Key, Mistake
from coursekit.exercises.u08_text_to_image.asked import s1_text as asked

# char_one_hot


def char_one_hot(captions: list[str], alphabet: str, length: int) -> Tensor:
    """N strings -> (N, A, T) float32: which character of the alphabet stands at which place."""
    ### BEGIN SOLUTION
    found = torch.zeros(len(captions), len(alphabet), length, dtype=torch.float32)
    for n, told in enumerate(captions):
        for place, sign in enumerate(told.lower()[:length]):
            if sign in alphabet:
                found[n, alphabet.index(sign), place] = 1
    return found
    ### END SOLUTION


def _chars_entry_by_entry(captions: list[str], alphabet: str, length: int) -> Tensor:
    """Every entry of the result asked for by itself."""
    rows = [
        [[float(t < len(c) and c[t].lower() == letter) for t in range(length)] for letter in alphabet] for c in captions
    ]
    return torch.tensor(rows, dtype=torch.float32)


def _chars_one_hot(captions: list[str], alphabet: str, length: int) -> Tensor:
    ids = torch.full((len(captions), length), len(alphabet))
    place = {letter: k for k, letter in enumerate(alphabet)}
    for row, caption in zip(ids, captions):
        read = [place.get(letter, len(alphabet)) for letter in caption[:length].lower()]
        row[: len(read)] = torch.tensor(read, dtype=torch.int64)
    return F.one_hot(ids, len(alphabet) + 1)[..., :-1].transpose(1, 2).float()


def _chars_compared(captions: list[str], alphabet: str, length: int) -> Tensor:
    """Code points against code points; 0 stands for padding."""
    padded = [[ord(letter) for letter in caption.lower()[:length]] for caption in captions]
    points = torch.tensor([row + [0] * (length - len(row)) for row in padded])
    known = torch.tensor([ord(letter) for letter in alphabet])
    return (points[:, None, :] == known[None, :, None]).to(torch.float32)


def _chars_eye(captions: list[str], alphabet: str, length: int) -> Tensor:
    table = torch.cat(
        [torch.eye(len(alphabet), dtype=torch.float32), torch.zeros(1, len(alphabet), dtype=torch.float32)]
    )
    padded = [caption.lower()[:length].ljust(length, "\0") for caption in captions]
    # str.find gives -1 where there is none: the last row, of zeros.
    return torch.stack([table[[alphabet.find(letter) for letter in text]].T for text in padded])


def _chars_wrong(
    *,
    fold: Callable[[str], str] = (lambda text: text.lower()),
    cut: Callable[[str, int], str] = lambda text, T: text[:T],
    pad: Callable[[str, int], str] = lambda text, T: text.ljust(T, "\0"),
    index: Callable[[str, str], int | None] = lambda letter, alphabet: (
        alphabet.index(letter) if letter in alphabet else None
    ),
    prepare: Callable[[str, str], str] = lambda text, alphabet: text,
    finish: Callable[[Tensor], Tensor] = lambda codes: codes,
) -> Callable[..., Tensor]:
    """The encoding with one thing wrong."""

    def answer(captions: list[str], alphabet: str, length: int) -> Tensor:
        codes = torch.zeros(len(captions), len(alphabet), length, dtype=torch.float32)
        for n, caption in enumerate(captions):
            text = pad(cut(prepare(fold(caption), alphabet), length), length)
            for t, letter in enumerate(text):
                k = None if letter == "\0" else index(letter, alphabet)
                if k is not None:
                    codes[n, k, t] = 1
        return finish(codes)

    return answer


CHAR_ONE_HOT = Key(
    question=asked.CHAR_ONE_HOT,
    solution=(char_one_hot,),
    reference=_chars_entry_by_entry,
    source="Zhang, Zhao & LeCun 2015, arXiv:1509.01626, section 2.2; Reed et al. 2016, arXiv:1605.05395, section 4",
    mistakes=(
        Mistake(
            "unknown is the last letter",
            "`find` gives -1 for an unknown character, and index -1 is the last letter of the alphabet.",
            _chars_wrong(index=lambda letter, alphabet: alphabet.find(letter)),
        ),
        Mistake(
            "unknown is the first letter",
            "Unknown characters become letter 0 in your code. They are columns of zeros.",
            _chars_wrong(index=lambda letter, alphabet: max(alphabet.find(letter), 0)),
        ),
        Mistake(
            "unknown characters left out",
            "An unknown character keeps its place: yours is taken out, and all that follows moves up.",
            _chars_wrong(prepare=lambda text, alphabet: "".join(c for c in text if c in alphabet)),
        ),
        Mistake(
            "ends at the first unknown character",
            "Reading stops at an unknown character in your code: pass over it and go on.",
            _chars_wrong(
                prepare=lambda text, alphabet: text[: next((k for k, c in enumerate(text) if c not in alphabet), None)]
            ),
        ),
        Mistake(
            "capitals are unknown",
            "A capital counts as its small letter: `caption.lower()`.",
            _chars_wrong(fold=lambda text: text),
        ),
        Mistake(
            "places before channels",
            "The result is (N, A, T): a Conv1d slides along the last axis, which must be the places.",
            _chars_wrong(finish=lambda codes: codes.transpose(1, 2)),
        ),
        Mistake(
            "whole numbers",
            "The dtype is to be float32: a convolution cannot read int64.",
            _chars_wrong(finish=lambda codes: codes.long()),
        ),
        Mistake(
            "padded in front",
            "Short captions begin at place 0 and end in zeros; yours end at the last place.",
            _chars_wrong(pad=lambda text, T: text.rjust(T, "\0")),
        ),
        Mistake(
            "the end of a long caption",
            "Of a long caption the first T characters are read, not the last.",
            _chars_wrong(cut=lambda text, T: text[-T:]),
        ),
        Mistake(
            "padded with spaces",
            "A space is a character of the alphabet. What lies beyond the end is nothing: zeros.",
            _chars_wrong(pad=lambda text, T: text.ljust(T)),
        ),
        Mistake(
            "a channel for the unknown",
            "There are A channels. Yours has one more, for what is not in the alphabet.",
            _chars_wrong(finish=lambda codes: torch.cat([codes, 1 - codes.sum(1, keepdim=True)], 1)),
        ),
        Mistake(
            "numbers of letters",
            "You return the letters' numbers. One-hot means a channel for each letter, 1 in one of them.",
            _chars_wrong(finish=lambda codes: codes.argmax(1)),
        ),
    ),
    alternatives={
        "one_hot with one class too many": _chars_one_hot,
        "code points compared": _chars_compared,
        "rows of a unit matrix": _chars_eye,
    },
)

# structured_hinge


def structured_hinge(images: Tensor, texts: Tensor, y: Tensor) -> Tensor:
    """images (N, D), texts (N, D), classes y (N,) -> the symmetric structured hinge loss, a scalar."""
    ### BEGIN SOLUTION
    fit = images @ texts.T
    kin = (y[:, None] == y[None, :]).to(fit.dtype)
    needed = (1 - kin) - fit.diagonal()[:, None]
    sides = [needed + table @ kin / kin.sum(0) for table in (fit, fit.T)]
    return sum(side.amax(1).clamp(min=0).mean() for side in sides)
    ### END SOLUTION


def _hinge_by_pairs(images: Tensor, texts: Tensor, y: Tensor) -> Tensor:
    """Pair by pair and class by class, as the equations stand."""
    classes, N = sorted(set(y.tolist())), len(y)
    total = images.new_zeros(())
    for n in range(N):
        own = (images[n] * texts[n]).sum()
        for side in ("picture", "caption"):
            worst = images.new_zeros(())
            for c in classes:
                members = [m for m in range(N) if int(y[m]) == c]
                fits = [
                    (images[n] * texts[m]).sum() if side == "picture" else (images[m] * texts[n]).sum() for m in members
                ]
                value = float(c != int(y[n])) + sum(fits) / len(members) - own
                worst = value if bool(value > worst) else worst
            total = total + worst
    return total / N


def _hinge_of_means(images: Tensor, texts: Tensor, y: Tensor) -> Tensor:
    """The mean of scores is the score of the mean: class centres first."""
    classes, inverse = torch.unique(y, return_inverse=True)
    member = F.one_hot(inverse, len(classes)).to(images.dtype)
    own = torch.einsum("nd,nd->n", images, texts)
    text_centres = (member.T @ texts) / member.sum(0)[:, None]
    image_centres = (member.T @ images) / member.sum(0)[:, None]
    v = torch.relu((images @ text_centres.T + 1 - member - own[:, None]).max(dim=1).values)
    t = torch.relu((texts @ image_centres.T + 1 - member - own[:, None]).max(dim=1).values)
    return (v + t).mean()


def _hinge_scattered(images: Tensor, texts: Tensor, y: Tensor) -> Tensor:
    classes, inverse = y.unique(return_inverse=True)
    scores, K = torch.mm(images, texts.t()), len(classes)
    size = torch.bincount(inverse, minlength=K)
    loss = scores.new_zeros(())
    for table in (scores, scores.t()):
        sums = table.new_zeros(len(y), K).index_add(1, inverse, table)
        delta = torch.ones_like(sums).scatter(1, inverse[:, None], 0.0)
        margin = delta + sums / size - torch.diagonal(scores).unsqueeze(1)
        loss = loss + torch.cat([margin, torch.zeros_like(margin[:, :1])], 1).max(1)[0].sum() / len(y)
    return loss


def _hinge_grouped(images: Tensor, texts: Tensor, y: Tensor) -> Tensor:
    """A mean over each group's columns, float64 within."""
    a, b = images.double(), texts.double()
    scores, sides = a.matmul(b.transpose(0, 1)), []
    for table in (scores, scores.transpose(0, 1)):
        columns = [table[:, y == c].mean(1) + (y != c) for c in y.unique()]
        sides.append((torch.stack(columns, 1) - scores.diag().unsqueeze(1)).amax(1))
    return torch.stack(sides).clamp_min(0).sum(0).mean().to(images.dtype)


def _hinge_wrong(
    *,
    embed: Callable[[Tensor], Tensor] = lambda e: e,
    classes: Callable[[Tensor], Tensor] = lambda y: y,
    margin: Callable[[Tensor], Tensor] = lambda same: 1 - same,
    means: Callable[[Tensor, Tensor], Tensor] = lambda table, same: table @ same / same.sum(0),
    pool: Callable[[Tensor, Tensor], Tensor] = lambda slack, same: slack.amax(1),
    floor: Callable[[Tensor], Tensor] = lambda value: value.clamp(min=0),
    tables: Callable[[Tensor], tuple[Tensor, ...]] = lambda scores: (scores, scores.T),
    own: Callable[[Tensor], Tensor] = lambda scores: scores.diagonal()[:, None],
    end: Callable[[Tensor], Tensor] = lambda values: values.mean(),
) -> Callable[..., Tensor]:
    """The loss with one thing wrong."""

    def answer(images: Tensor, texts: Tensor, y: Tensor) -> Tensor:
        scores = embed(images) @ embed(texts).T
        y = classes(y)
        same = (y[:, None] == y).to(scores.dtype)
        terms = [end(floor(pool(margin(same) + means(t, same) - own(scores), same))) for t in tables(scores)]
        return torch.stack(terms).sum()

    return answer


def _softmax_form(images: Tensor, texts: Tensor, y: Tensor) -> Tensor:
    scores, right = images @ texts.T, torch.arange(len(y))
    return F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)


STRUCTURED_HINGE = Key(
    question=asked.STRUCTURED_HINGE,
    solution=(structured_hinge,),
    reference=_hinge_by_pairs,
    source="Reed, Akata, Lee & Schiele 2016, arXiv:1605.05395, equations 2 to 6",
    mistakes=(
        Mistake(
            "softmax instead of a margin",
            "That is the cross-entropy over the batch: it never reaches 0, and it pushes captions of one class apart.",
            _softmax_form,
        ),
        Mistake(
            "captions of one class pushed apart",
            "Δ is 0 within a class. You demand the margin of all pairs but n itself: compare classes, not indices.",
            _hinge_wrong(classes=lambda y: torch.arange(len(y))),
        ),
        Mistake(
            "sum over the classes",
            "The class that comes closest counts, by a maximum. You sum the hinges of all classes.",
            _hinge_wrong(
                pool=lambda slack, same: (slack.clamp(min=0) / same.sum(0)).sum(1),
            ),
        ),
        Mistake(
            "best caption instead of the class mean",
            "A class is represented by the mean over its captions (or pictures). You take its best single one.",
            _hinge_wrong(means=lambda table, same: table),
        ),
        Mistake(
            "sums instead of means",
            "Divide by the number of captions of the class: large classes are not closer for being large.",
            _hinge_wrong(means=lambda table, same: table @ same),
        ),
        Mistake(
            "own class left out",
            "y runs over all classes, the own one too: with Δ = 0 it asks the pair to be no worse than its class's mean.",
            _hinge_wrong(margin=lambda same: torch.where(same > 0, -torch.inf, 1.0).to(same.dtype)),
        ),
        Mistake(
            "margin within the class, too",
            "Δ(y, y) = 0. With a margin of 1 in the own class the loss can never be 0.",
            _hinge_wrong(margin=lambda same: torch.ones_like(same)),
        ),
        Mistake(
            "no margin",
            "Δ is missing: a wrong class must be farther away by 1, not only farther.",
            _hinge_wrong(margin=lambda same: torch.zeros_like(same)),
        ),
        Mistake(
            "not cut off at 0",
            "A pair that is better than everything by the margin costs 0, not less than 0.",
            _hinge_wrong(floor=lambda value: value),
        ),
        Mistake(
            "pictures to captions only",
            "The loss is symmetric: the same once more for captions against pictures.",
            _hinge_wrong(tables=lambda scores: (scores,)),
        ),
        Mistake(
            "captions to pictures only",
            "The loss is symmetric: ℓ_v, pictures against the captions of each class, is missing.",
            _hinge_wrong(tables=lambda scores: (scores.T,)),
        ),
        Mistake(
            "one direction twice",
            "Both of your terms compare pictures with captions of each class. For the other one, transpose the scores.",
            _hinge_wrong(tables=lambda scores: (scores, scores)),
        ),
        Mistake(
            "mean of both directions",
            "The two directions are added, not averaged.",
            _hinge_wrong(end=lambda values: values.mean() / 2),
        ),
        Mistake(
            "sum over the batch",
            "Divide by N: the loss is a mean over pairs.",
            _hinge_wrong(end=lambda values: values.sum()),
        ),
        Mistake(
            "normalised embeddings",
            "F is the plain inner product: with cosines a margin of 1 means something else.",
            _hinge_wrong(embed=lambda e: F.normalize(e, dim=1)),
        ),
        Mistake(
            "right pair detached",
            "The values are right, but the pair's own score carries no gradient: it has to be pulled together, too.",
            _hinge_wrong(own=lambda scores: scores.diagonal()[:, None].detach()),
        ),
    ),
    alternatives={
        "scores of class centres": _hinge_of_means,
        "index_add": _hinge_scattered,
        "groups of columns, float64": _hinge_grouped,
    },
)

# recall_at_k


def recall_at_k(scores: Tensor, k: int) -> tuple[float, float]:
    """scores (N, N), rows captions, columns pictures -> recall from caption to picture, from picture to caption."""
    ### BEGIN SOLUTION
    true_pair = scores.diagonal()
    ahead = scores >= true_pair[:, None], (scores >= true_pair).T
    to_picture, to_caption = ((rivals.sum(1) <= k).double().mean().item() for rivals in ahead)
    return to_picture, to_caption
    ### END SOLUTION


def _recall_by_counting(scores: Tensor, k: int) -> tuple[float, float]:
    """Query by query, candidate by candidate."""
    s, N = scores.tolist(), len(scores)
    hits = [0, 0]
    for n in range(N):
        hits[0] += 1 + sum(s[n][m] >= s[n][n] for m in range(N) if m != n) <= k
        hits[1] += 1 + sum(s[m][n] >= s[n][n] for m in range(N) if m != n) <= k
    return hits[0] / N, hits[1] / N


def _recall_kth_rival(scores: Tensor, k: int) -> tuple[float, float]:
    """The right one is among the first k if it beats the k-th best of the others."""
    N, shares = len(scores), []
    for table in (scores, scores.T):
        others = table[~torch.eye(N, dtype=torch.bool)].view(N, N - 1)
        if k == N:
            shares.append(1.0)
        else:
            shares.append(float((others.sort(dim=1, descending=True).values[:, k - 1] < table.diag()).double().mean()))
    return shares[0], shares[1]


def _recall_searchsorted(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    own = scores.diagonal()[:, None].contiguous()
    below = [torch.searchsorted(table.sort(1).values, own)[:, 0] for table in (scores, scores.T)]
    first, second = ((len(scores) - count <= k).to(torch.float64).mean() for count in below)
    return first, second


def _recall_ranked(scores: Tensor, k: int) -> list[float]:
    """Ranks as a sum of signs: a tie is pushed behind by counting it as a defeat."""
    ranks = [1 - torch.eye(len(t)).to(t.dtype) for t in (scores, scores.T)]
    places = [1 + (r * (t - t.diagonal()[:, None] >= 0)).sum(1) for r, t in zip(ranks, (scores, scores.T))]
    return [int((p <= k).sum()) / len(scores) for p in places]


def _recall_wrong(
    *,
    rank: Callable[[Tensor], Tensor] = lambda t: (t >= t.diagonal()[:, None]).sum(1),
    hit: Callable[[Tensor, int], Tensor] = lambda rank, k: rank <= k,
    tables: Callable[[Tensor], tuple[Tensor, Tensor]] = lambda scores: (scores, scores.T),
    share: Callable[[Tensor, int], float] = lambda hits, k: float(hits.double().mean()),
) -> Callable[..., Any]:
    """The measure with one thing wrong."""

    def answer(scores: Tensor, k: int) -> list[float]:
        return [share(hit(rank(table), k), k) for table in tables(scores)]

    return answer


def _rank_by_position(t: Tensor) -> Tensor:
    order = t.argsort(dim=1, descending=True, stable=True)
    return (order == torch.arange(len(t))[:, None]).double().argmax(1) + 1


def _rank_in_favour(t: Tensor) -> Tensor:
    return (t > t.diagonal()[:, None]).sum(1) + 1


RECALL_AT_K = Key(
    question=asked.RECALL_AT_K,
    solution=(recall_at_k,),
    reference=_recall_by_counting,
    source="Hodosh, Young & Hockenmaier 2013, Journal of AI Research 47, section 4.1 (recall at k of both directions)",
    mistakes=(
        Mistake(
            "ties in its favour",
            "You count who is strictly better. A collapsed encoder then scores 100 %: ties count against the right answer.",
            _recall_wrong(rank=_rank_in_favour),
        ),
        Mistake(
            "ties by position",
            "Sorting breaks ties by position, so the score depends on the order of the data. Count instead.",
            _recall_wrong(rank=_rank_by_position),
        ),
        Mistake(
            "ties by halves",
            "You share ties out: half of them count. Here all of them count against the right answer.",
            _recall_wrong(rank=lambda t: (_rank_in_favour(t) + (t >= t.diagonal()[:, None]).sum(1)) / 2),
        ),
        Mistake(
            "directions exchanged",
            "Rows are captions: caption to picture looks along a row, and comes first.",
            _recall_wrong(tables=lambda scores: (scores.T, scores)),
        ),
        Mistake(
            "caption to picture twice",
            "Both numbers are those of captions looking for pictures. The other direction looks down the columns.",
            _recall_wrong(tables=lambda scores: (scores, scores)),
        ),
        Mistake(
            "one place too few",
            "Rank k is among the first k. You ask for a rank below k.",
            _recall_wrong(hit=lambda rank, k: rank < k),
        ),
        Mistake(
            "one place too many",
            "The rank is 1 plus the number of others that are ahead. You forgot the 1, so rank k + 1 passes as well.",
            _recall_wrong(hit=lambda rank, k: rank - 1 <= k),
        ),
        Mistake(
            "k ignored",
            "You test for the first place only, whatever k is.",
            _recall_wrong(hit=lambda rank, k: rank <= 1),
        ),
        Mistake(
            "precision",
            "You divide by k. Recall asks whether the right one is there; there is only one.",
            _recall_wrong(share=lambda hits, k: float(hits.double().mean()) / k),
        ),
        Mistake(
            "per cent",
            "The shares are from 0 to 1.",
            _recall_wrong(share=lambda hits, k: 100 * float(hits.double().mean())),
        ),
        Mistake(
            "counts",
            "You return how many are right, not which share.",
            _recall_wrong(share=lambda hits, k: float(hits.sum())),
        ),
    ),
    alternatives={
        "the k-th best rival": _recall_kth_rival,
        "searchsorted": _recall_searchsorted,
        "ranks from differences": _recall_ranked,
    },
)
