"""What a generator of pictures from words learns from: renders, captions that are true of them, and captions that are not.

::

    lesson = Lesson.of(encoder, renders=20_000, size=32, seed=0)
    x, t, w = lesson.batches(32, seed=0)(0)

Shapes: pictures x (N, 3, H, W), codes of true captions t and of false ones w, both (N, D).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from coursekit import runtime
from coursekit.datasets import birds
from coursekit.errors import InputError
from coursekit.models.joint_embedding import TextEncoder
from coursekit.training.joint_embedding import also_true

SEEN_FORMS = tuple(form for form in birds.FORMS if form != "a bird that has")
"""The forms of a sentence that training reads; the fifth is kept for the test of unseen wording."""
UNSEEN_FORMS = ("a bird that has",)


def held_out(labels: Tensor) -> Tensor:
    """(N,) bool: is this combination of body and wing colour kept out of training? Nine of 81 are: one for each body colour.

    labels (N, 7) int64 of birds: the columns body and wing come first.
    """
    return labels[:, 1] == (labels[:, 0] + 4) % 9


def sample_birds(n: int, *, generator: torch.Generator, unseen: bool = False) -> birds.Attributes:
    """n birds of the combinations that training sees, or of those that it does not."""
    found: list[Tensor] = []
    while sum(map(len, found)) < n:
        labels = birds.sample(4 * n, generator=generator).stack()
        found.append(labels[held_out(labels) == unseen])
    return birds.Attributes(*torch.cat(found)[:n].unbind(1))


@dataclass(frozen=True, eq=False)
class Lesson:
    """M pictures, what is true of them, and K captions of each, true and nearly true, as codes."""

    x: Tensor
    """(M, 3, H, W)."""
    labels: Tensor
    """(M, 7) int64."""
    told: Tensor
    """(K, M, 7) int64: what the k-th caption of each picture tells, -1 for what it leaves unsaid."""
    codes: Tensor
    """(K, M, D)."""
    nearly: Tensor
    """(K, M, D): the codes of the same captions with one fact changed, and so false."""
    twins: Tensor | None = None
    """(K, M, 3, H, W): other pictures that the captions are true of; what they leave unsaid, and the style, is drawn anew."""
    twin_labels: Tensor | None = None
    """(K, M, 7) int64."""

    @classmethod
    def of(cls, encoder: TextEncoder, *, renders: int, size: int, seed: int, twins: bool = False) -> Lesson:
        """Fresh renders of the combinations seen in training; of each a caption of two to five facts, and one that tells all.

        Both are in the forms seen in training. `twins`: with a second picture of each caption.
        """
        own = runtime.generator(seed)
        flock = sample_birds(renders, generator=own)
        x = birds.render(flock, size=size, generator=own)
        told, codes, nearly = [], [], []
        for facts in (None, tuple(birds.NAMES)):
            state = own.get_state()
            texts = birds.caption(flock, facts=facts, forms=SEEN_FORMS, generator=own)
            told.append(birds.facts(texts))
            codes.append(encoder.embed(texts))
            changed = _with_one_changed(flock.stack(), told[-1], own)
            own.set_state(state)  # the same dice: the same sentence, but for the word
            nearly.append(encoder.embed(birds.caption(changed, facts=facts, forms=SEEN_FORMS, generator=own)))
        lesson = cls(x, flock.stack(), *map(torch.stack, (told, codes, nearly)))
        return lesson._with_twins(size, own) if twins else lesson

    def _with_twins(self, size: int, own: torch.Generator) -> Lesson:
        labels = torch.stack([_with_the_same_told(self.labels, told, own) for told in self.told])
        pictures = [birds.render(birds.Attributes(*some.unbind(1)), size=size, generator=own) for some in labels]
        return replace(self, twins=torch.stack(pictures), twin_labels=labels)

    def batches(self, batch: int, *, seed: int) -> Callable[[int], tuple[Tensor, Tensor, Tensor]]:
        """k -> x, t, w of the k-th batch: w is the code of a caption that is false of the picture.

        Half of the w are the picture's own caption with one fact changed, so that D has to read every word. The others belong
        to another picture. Another caption is not thereby a wrong one, "a red bird" fits many: each is the next in the batch
        that does not fit. With twins the second half of x are twins of the first half: the same captions, other pictures.
        """
        copies = 1 if self.twins is None else 2
        if batch < 2 * copies or batch % copies:
            raise InputError.of(
                "batch",
                got=batch,
                expected="two captions or more, and with twins two pictures of each",
                do="Take an even number from 4.",
            )

        def batches(k: int) -> tuple[Tensor, Tensor, Tensor]:
            own = runtime.generator((seed * 1_000_003 + k) % 2**63)
            n = batch // copies
            rows = torch.randint(len(self.x), (n,), generator=own)
            which = torch.randint(len(self.told), (n,), generator=own)
            told, codes = self.told[which, rows], self.codes[which, rows]
            close = torch.rand(n, 1, generator=own) < 0.5
            pictures, labels = [self.x[rows]], [self.labels[rows]]
            if self.twins is not None and self.twin_labels is not None:
                pictures.append(self.twins[which, rows])
                labels.append(self.twin_labels[which, rows])
            wrong = [torch.where(close, self.nearly[which, rows], codes[next_false(told, some)]) for some in labels]
            return torch.cat(pictures), codes.repeat(copies, 1), torch.cat(wrong)

        return batches


def next_false(told: Tensor, labels: Tensor) -> Tensor:
    """(N,) int64: for picture i the first of the captions i + 1, i + 2, ... (round the end) that is false of it.

    told, labels (N, 7). Where every caption fits, its own: then there is no wrong one in the batch.
    """
    n = len(told)
    order = (torch.arange(n).unsqueeze(1) + torch.arange(1, n + 1)) % n  # row i: i + 1, ..., i
    false = ~also_true(told, labels).T.gather(1, order)
    first = torch.where(false.any(1), false.int().argmax(1), n - 1)
    return order[torch.arange(n), first]


def _with_the_same_told(labels: Tensor, told: Tensor, own: torch.Generator) -> Tensor:
    """(M, 7): labels that agree in what is told, the rest drawn anew; of the combinations that training sees."""
    other = birds.sample(len(labels), generator=own).stack()
    other = torch.where(told < 0, other, labels)
    return torch.where(held_out(other).unsqueeze(1), labels, other)


def _with_one_changed(labels: Tensor, told: Tensor, own: torch.Generator) -> birds.Attributes:
    """Birds that differ from (M, 7) labels in one attribute each, one that their caption tells."""
    column = torch.multinomial((told >= 0).float(), 1, generator=own).squeeze(1)
    counts = torch.tensor([len(values) for values in birds.NAMES.values()])[column]
    shift = 1 + (torch.rand(len(labels), generator=own) * (counts - 1)).long()
    rows, changed = torch.arange(len(labels)), labels.clone()
    changed[rows, column] = (labels[rows, column] + shift) % counts
    return birds.Attributes(*changed.unbind(1))
