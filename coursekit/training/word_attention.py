"""The matching loss of words and regions (the "DAMSM" of Xu et al. 2018), and the loop that trains both encoders by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coursekit.errors import InputError
from coursekit.models.word_attention import Sense, WordMatcher, region_contexts, relevance
from coursekit.training.loop import Record, descend


@dataclass(frozen=True, kw_only=True)
class Sharpness:
    """The three gammas of the paper (its section 4.1 gives these values)."""

    regions: float = 5.0
    """gamma1: how sharply a word picks its regions."""
    words: float = 5.0
    """gamma2: how much the best word counts."""
    pairs: float = 10.0
    """gamma3: how sharply the right pair is picked out of the batch."""


PAPER = Sharpness()


def word_scores(text: Sense, picture: Sense, mask: Tensor, sharpness: Sharpness = PAPER) -> Tensor:
    """R(Q, D) (N, M) of all pairs of N captions and M pictures by words and regions."""
    looks = region_contexts(text.parts, picture.parts, mask, gamma1=sharpness.regions)
    return relevance(text.parts, looks.contexts, mask, gamma2=sharpness.words)


def sentence_scores(text: Sense, picture: Sense) -> Tensor:
    """The same by the wholes: the cosine of sentence and picture, (N, M)."""
    unit = [whole / whole.norm(dim=1, keepdim=True).clamp_min(1e-8) for whole in (text.whole, picture.whole)]
    return unit[0] @ unit[1].T


def matching_loss(scores: Tensor, also: Tensor | None = None, *, gamma3: float = 10.0) -> Tensor:
    """-mean_i log P(D_i | Q_i) - mean_i log P(Q_i | D_i), P by a softmax of gamma3 R over the batch: equations 11 to 13.

    scores (N, N): R of caption i (row) and picture j (column). `also` (N, N) bool: further pairs that fit, by accident or by
    making; they are left out of the softmax (the paper leaves out pictures of the same class). The diagonal always counts.
    """
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        raise InputError.of(
            "`scores`", got=tuple(scores.shape), expected="(N, N): caption i is that of picture i",
            do="Score all pairs of one batch.",
        )  # fmt: skip
    loud = gamma3 * scores
    if also is not None:
        own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        loud = loud.masked_fill(also & ~own, -torch.inf)
    right = loud.diagonal()
    return (loud.logsumexp(0) - right).mean() + (loud.logsumexp(1) - right).mean()


def fitting(facts: Sequence[Mapping[str, str]], labels: Tensor, names: Mapping[str, Sequence[str]]) -> Tensor:
    """(N, M) bool: whether picture m, of labels (M, A), has all that caption n tells, as parsed into `facts`.

    Half of all captions tell three facts or fewer: in a batch of 32 birds one in three is true of another picture, too.
    """
    fits = torch.ones(len(facts), len(labels), dtype=torch.bool)
    for column, (name, values) in enumerate(names.items()):
        told = torch.tensor([values.index(fact[name]) if name in fact else -1 for fact in facts])[:, None]
        fits &= (told < 0) | (told == labels[:, column])
    return fits


Lesson = Callable[[int], tuple[Tensor, list[str], Tensor]]
"""k -> pictures (N, 3, 32, 32), their captions, and which other pairs fit (N, N)."""


def train_matcher(
    net: WordMatcher, lessons: Lesson, *, steps: int, lr: float = 2e-3, sharpness: Sharpness = PAPER
) -> Iterator[Record]:
    """Descend the matching loss of words and that of sentences, added; yield a record after each step."""
    weights = list(net.parameters())
    descent = torch.optim.Adam(weights, lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(descent, lambda k: max(0.02, min(1.0, 2 * (1 - k / steps))))

    def loss(step: int) -> Tensor:
        x, texts, also = lessons(step)
        text, batch = net.read(texts)
        picture = net.picture(x)
        by_words = word_scores(text, picture, batch.mask, sharpness)
        return sum(
            matching_loss(scores, also, gamma3=sharpness.pairs) for scores in (by_words, sentence_scores(text, picture))
        )  # type: ignore[return-value]

    net.train()
    for record in descend(weights, loss, descent, steps=range(steps), label="matching words and regions"):
        schedule.step()
        yield record
    net.eval()
