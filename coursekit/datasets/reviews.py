"""Short reviews whose sentiment is known, and in which the order of the words decides it.

The rule behind every label: in a chain of clauses the last one decides; "not" turns its clause around.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from coursekit.datasets.arguments import integer, pick, require_at_least, require_generator

SUBJECTS = ("food", "service", "soup", "chicken", "room", "film", "music", "place", "coffee", "staff")
GOOD = ("good", "great", "lovely", "wonderful", "excellent", "superb")
BAD = ("bad", "awful", "terrible", "horrible", "dreadful", "poor")
DEGREES = ("really", "very", "quite", "truly")

# Sentences with no opinion, which fill a review up behind its cue.
_FILLERS = (
    "we went there on monday with two friends",
    "the table by the window had four chairs",
    "my sister parked the car behind the church",
    "they open at noon and close at ten",
    "it is near the station on the left",
    "the menu had soup and bread and tea",
    "a man at the door took our coats",
    "we paid at the desk and walked home",
)

# Pairs with the same words: {p} is the place of the good word in the positive version and of the bad one in
# the negative version; {q} is the place of the other. Word order is all that tells them apart.
_SWAPS = (
    "the {s} was {d} {p} , not {q} at all",
    "the {s} was not {q} , it was {d} {p}",
    "the {t} was {q} but the {s} was {d} {p}",
    "i expected the {s} to be {q} but it was {p}",
    "the {t} had been {q} , now the {s} is {d} {p}",
)


class Review(NamedTuple):
    """A review and whether its author was pleased."""

    text: str
    positive: bool


def reviews(n: int, *, generator: torch.Generator, clauses: int = 1) -> list[Review]:
    """Reviews of `clauses` clauses, such as "the food was good but the service was not really great".

    A clause is negated with probability one half. "but" joins clauses of unlike opinion, "and" of like; the
    last clause decides.
    """
    require_at_least(1, n=n, clauses=clauses)
    require_generator(generator)
    return [_review(clauses, generator) for _ in range(n)]


def _review(clauses: int, generator: torch.Generator) -> Review:
    text, before = "", None
    for _ in range(clauses):
        positive, negated = bool(integer(0, 2, generator)), bool(integer(0, 2, generator))
        word = pick(GOOD if positive != negated else BAD, generator)
        degree = f"{pick(DEGREES, generator)} " if integer(0, 2, generator) else ""
        clause = f"the {pick(SUBJECTS, generator)} was {'not ' if negated else ''}{degree}{word}"
        text += clause if before is None else f" {'and' if positive == before else 'but'} {clause}"
        before = positive
    return Review(text, bool(before))


def order_pairs(n: int, *, generator: torch.Generator) -> list[tuple[Review, Review]]:
    """Pairs (positive, negative) made of exactly the same words.

    "the food was good , not bad at all" against "the food was bad , not good at all": whatever counts words
    and forgets their order is right about one of the two at most.
    """
    require_at_least(1, n=n)
    require_generator(generator)
    pairs = []
    for _ in range(n):
        frame = pick(_SWAPS, generator)
        other, subject = integer(0, len(SUBJECTS), generator), integer(1, len(SUBJECTS), generator)
        words = {
            "t": SUBJECTS[other],
            "s": SUBJECTS[(other + subject) % len(SUBJECTS)],
            "d": pick(DEGREES, generator),
        }
        good, bad = pick(GOOD, generator), pick(BAD, generator)
        pairs.append(
            (
                Review(frame.format(p=good, q=bad, **words), True),
                Review(frame.format(p=bad, q=good, **words), False),
            )
        )
    return pairs


def cue_first(n: int, length: int, *, generator: torch.Generator) -> list[Review]:
    """Reviews of exactly `length` words that say what they think in the first two and nothing of it after.

    "awful soup we went there on monday with ...": whoever reads only the end has long forgotten.
    """
    require_at_least(1, n=n)
    require_at_least(2, length=length)
    require_generator(generator)
    found = []
    for _ in range(n):
        positive = bool(integer(0, 2, generator))
        words = [pick(GOOD if positive else BAD, generator), pick(SUBJECTS, generator)]
        while len(words) < length:
            words += pick(_FILLERS, generator).split()
        found.append(Review(" ".join(words[:length]), positive))
    return found
