"""Skip-gram word vectors with negative sampling (Mikolov et al. 2013b), and what one does with them.

    words = Vocabulary.of(texts)
    vectors = skip_gram(pairs(texts, words, window=4, generator=own), words, latent=16, seed=0)
    vectors.nearest("red", 5)

V words, D dimensions, P pairs. Mikolov et al. (2013a): "Efficient estimation of word representations in vector
space"; (2013b): "Distributed representations of words and phrases and their compositionality".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import runtime
from coursekit.errors import InputError
from coursekit.models.points import perceptron

_WORD = re.compile(r"[a-z]+")


def tokens(text: str) -> list[str]:
    """The words of a text, lower case, without punctuation and digits."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """Words, the most frequent first, and how often each was met."""

    words: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, texts: Sequence[str], *, least: int = 5) -> Vocabulary:
        """.

        F all words that are met at least `least` times; of equally frequent ones the first in the alphabet comes
        first.
        """
        met = Counter(word for text in texts for word in tokens(text))
        kept = sorted(((word, n) for word, n in met.items() if n >= least), key=lambda row: (-row[1], row[0]))
        if not kept:
            raise InputError.of(
                "texts",
                got=f"{len(texts)} without a frequent word",
                expected=f"words met {least} times",
                do="Pass more text, or a lower `least`.",
            )
        return cls(*zip(*kept))

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def index(self) -> dict[str, int]:
        """Word -> its id."""
        return {word: k for k, word in enumerate(self.words)}

    def ids(self, words: Sequence[str]) -> Tensor:
        """(len(words),) int64. Raises InputError at a word that is not there."""
        unknown = [word for word in words if word not in self.index]
        if unknown:
            raise InputError.of(
                "words",
                got=", ".join(unknown),
                expected="words of the vocabulary",
                do=f"It has {len(self)}, such as {', '.join(self.words[:5])}.",
            )
        return torch.tensor([self.index[word] for word in words], dtype=torch.int64)


def pairs(texts: Sequence[str], words: Vocabulary, *, window: int, generator: torch.Generator) -> Tensor:
    """(P, 2) int64: each word with each word around it, at most R away; R is drawn anew for each word from 1 to `window`.

    So near words count more (Mikolov et al. 2013a, section 3.2). Unknown words are left out before distances are taken.
    """
    lines = [[words.index[word] for word in tokens(text) if word in words.index] for text in texts]
    reach = torch.randint(1, window + 1, (sum(map(len, lines)),), generator=generator).tolist()
    found, at = [], 0
    for line in lines:
        for i, word in enumerate(line):
            low, high = max(0, i - reach[at]), i + reach[at] + 1
            found += [(word, other) for j, other in enumerate(line[low:high], low) if j != i]
            at += 1
    return torch.tensor(found, dtype=torch.int64).reshape(-1, 2)


def negative_sampling_loss(centre: Tensor, context: Tensor, wrong: Tensor) -> Tensor:
    """Mean over N pairs of -log sigma(v.u) - sum_k log sigma(-v.u_k) (Mikolov et al. 2013b, equation 4).

    centre, context (N, D); wrong (N, K, D): the vectors of K words drawn at random.
    """
    right = F.logsigmoid((centre * context).sum(1))
    others = F.logsigmoid(-(wrong @ centre.unsqueeze(2)).squeeze(2)).sum(1)
    return -(right + others).mean()


@dataclass(frozen=True, eq=False)
class WordVectors:
    """A vocabulary and a vector (D,) for each word, as rows of `table` (V, D)."""

    words: Vocabulary
    table: Tensor

    def __getitem__(self, word: str) -> Tensor:
        return self.table[self.words.ids([word])[0]]

    def nearest(self, query: str | Tensor, count: int = 5, *, without: Sequence[str] = ()) -> list[tuple[str, float]]:
        """The `count` words of the largest cosine to a word or a vector (D,), best first; a word is not its own neighbour."""
        if isinstance(query, str):
            query, without = self[query], (*without, query)
        scores = F.cosine_similarity(self.table, query, dim=1)
        scores[self.words.ids(list(without))] = -torch.inf
        top = scores.topk(count)
        return [(self.words.words[k], value) for k, value in zip(top.indices.tolist(), top.values.tolist())]

    def analogy(self, a: str, b: str, c: str) -> str:
        """The word that is to c as b is to a.

        Nearest to b - a + c of unit vectors, none of the three (2013a, section 4.1).
        """
        unit = WordVectors(self.words, F.normalize(self.table, dim=1))
        return unit.nearest(unit[b] - unit[a] + unit[c], 1, without=(a, b, c))[0][0]


def skip_gram(
    found: Tensor, words: Vocabulary, *, width: int = 16, negatives: int = 5, epochs: float = 2.0, batch: int = 1024,
    lr: float = 0.02, seed: int = 0,
) -> WordVectors:  # fmt: skip
    """Vectors (V, `width`) from pairs (P, 2): each word is to tell the words around it from words drawn at random.

    Random words come with the power 3/4 of their frequency (2013b, section 2.2). Adam, its rate falling to 0 on a
    straight line. Frequent words are not thinned out: with a hundred words in all there would be little left.
    """
    own = runtime.generator(seed)
    centre = torch.randn(len(words), width, generator=own).mul_(0.1).requires_grad_()
    context = torch.zeros(len(words), width).requires_grad_()
    often = torch.tensor(words.counts, dtype=torch.float32) ** 0.75
    adam = torch.optim.Adam([centre, context], lr=lr, fused=True)
    steps = max(1, round(epochs * len(found) / batch))
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = lr * (1 - step / steps)
        v, u = found[torch.randint(len(found), (batch,), generator=own)].unbind(1)
        wrong = torch.multinomial(often, batch * negatives, replacement=True, generator=own).view(batch, negatives)
        loss = negative_sampling_loss(F.embedding(v, centre), F.embedding(u, context), F.embedding(wrong, context))
        adam.zero_grad()
        loss.backward()
        adam.step()
    return WordVectors(words, centre.detach())


class TagGenerator(nn.Module):
    """z (N, Z), features of pictures (N, F) -> tags as vectors (N, D) of length 1 (Mirza and Osindero 2014, section 4.2)."""

    def __init__(self, *, latent: int = 16, features: int = 96, width: int = 16, hidden: int = 128) -> None:
        super().__init__()
        self.latent = latent
        self.layers = perceptron(latent + features, width, hidden, 2, nn.ReLU())

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        return F.normalize(self.layers(torch.cat([z, features], 1)), dim=1)


class TagCritic(nn.Module):
    """Tags (N, D), features (N, F) -> scores (N,).

    Does a person who sees this picture say this? A projection: <h(tag), k(features)>.
    """

    def __init__(self, *, features: int = 96, width: int = 16, hidden: int = 128) -> None:
        super().__init__()
        self.tag = nn.Sequential(
            nn.Linear(width, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        self.picture = nn.Linear(features, hidden)
        self.plain = nn.Linear(hidden, 1)

    def forward(self, tags: Tensor, features: Tensor) -> Tensor:
        h = self.tag(tags)
        return self.plain(h).squeeze(1) + (h * self.picture(features)).sum(1)
