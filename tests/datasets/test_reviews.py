"""Labels follow the stated rule, which is applied here by an independent reader."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from coursekit.datasets import reviews as world
from coursekit.errors import InputError
from coursekit.runtime import generator


def opinion(text: str) -> bool:
    """The rule, read off the text: the last clause decides, and a "not" in it turns it around."""
    last = re.split(r" but | and ", text)[-1].split()
    good = any(word in world.GOOD for word in last)
    assert good != any(word in world.BAD for word in last)
    return good != ("not" in last)


@pytest.mark.parametrize("clauses", [1, 2, 4])
def test_the_last_clause_decides(clauses: int) -> None:
    found = world.reviews(300, generator=generator(0), clauses=clauses)
    assert all(opinion(review.text) == review.positive for review in found)
    assert all(len(re.split(r" but | and ", review.text)) == clauses for review in found)
    assert 0.35 < sum(review.positive for review in found) / 300 < 0.65


def test_but_joins_unlike_clauses_and_and_like_ones() -> None:
    for text, _ in world.reviews(200, generator=generator(0), clauses=2):
        first, joint, second = re.fullmatch(r"(.*) (but|and) (.*)", text).groups()
        assert (joint == "and") == (opinion(first) == opinion(second))


def test_order_pairs_have_the_same_words_and_opposite_labels() -> None:
    pairs = world.order_pairs(300, generator=generator(0))
    for positive, negative in pairs:
        assert positive.positive and not negative.positive
        assert positive.text != negative.text
        assert Counter(positive.text.split()) == Counter(negative.text.split())
    assert len({positive.text for positive, _ in pairs}) > 200


def test_order_pairs_hold_the_good_word_in_force_in_the_positive_version_only() -> None:
    """In each frame the word that is asserted (not denied, not expected, not past) is the label's."""
    asserted = (
        r"was \w+ (\w+) , not \w+ at all",
        r"was not \w+ , it was \w+ (\w+)",
        r"was \w+ but the \w+ was \w+ (\w+)",
        r"expected the \w+ to be \w+ but it was (\w+)",
        r"had been \w+ , now the \w+ is \w+ (\w+)",
    )
    used = set()
    for pair in world.order_pairs(200, generator=generator(1)):
        for text, positive in pair:
            hits = [(frame, match[1]) for frame in asserted if (match := re.search(frame, text))]
            assert len(hits) == 1
            used.add(hits[0][0])
            assert (hits[0][1] in world.GOOD) == positive
    assert used == set(asserted)


@pytest.mark.parametrize("length", [2, 5, 30])
def test_cue_first_has_its_only_cue_in_front(length: int) -> None:
    found = world.cue_first(100, length, generator=generator(0))
    for text, positive in found:
        words = text.split()
        assert len(words) == length
        assert words[0] in (world.GOOD if positive else world.BAD)
        assert not set(words[1:]) & {*world.GOOD, *world.BAD, "not"}


@pytest.mark.parametrize(
    "draw",
    [world.reviews, world.order_pairs, lambda n, generator: world.cue_first(n, 9, generator=generator)],
)
def test_a_seed_fixes_the_reviews(draw) -> None:
    assert draw(20, generator=generator(0)) == draw(20, generator=generator(0)) != draw(20, generator=generator(1))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda g: world.reviews(0, generator=g), "n"),
        (lambda g: world.reviews(1, generator=g, clauses=0), "clauses"),
        (lambda g: world.reviews(1, generator=None), "generator"),
        (lambda g: world.order_pairs(-1, generator=g), "n"),
        (lambda g: world.cue_first(3, 1, generator=g), "length"),
    ],
)
def test_a_bad_argument_is_named_with_what_to_do(call, name: str) -> None:
    with pytest.raises(InputError, match=rf"`{name}`: got .*, expected .*\. Pass .*\.$"):
        call(generator(0))
