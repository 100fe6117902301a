"""The toy grammar is a function, its sentences are Dutch, and it is not word for word."""

from __future__ import annotations

from collections import Counter

import pytest

from coursekit.datasets.translation import all_pairs, pairs
from coursekit.errors import InputError
from coursekit.runtime import generator

# Written by hand, not by the grammar.
KNOWN = {
    "what is your name": "wat is jouw naam",
    "i see the dog": "ik zie de hond",
    "you see the dog": "jij ziet de hond",
    "do you see the dog": "zie jij de hond",
    "today you find a house": "vandaag vind jij een huis",
    "we have bought the book": "wij hebben het boek gekocht",
    "they want to buy a cat": "zij willen een kat kopen",
    "i do not find the cat": "ik vind de kat niet",
    "you do not find a cat": "jij vindt geen kat",
    "where is our book": "waar is ons boek",
    "where is our dog": "waar is onze hond",
}


def test_sentences_known_to_be_right() -> None:
    corpus = dict(all_pairs())
    assert {english: corpus[english] for english in KNOWN} == KNOWN


def test_each_sentence_has_one_translation_and_back() -> None:
    corpus = all_pairs()
    assert len({p.english for p in corpus}) == len({p.dutch for p in corpus}) == len(corpus) == 596


def test_lengths_differ_and_words_change_places() -> None:
    differing = [p for p in all_pairs() if len(p.english.split()) != len(p.dutch.split())]
    assert 0.2 < len(differing) / 596 < 0.8
    # In "i have seen the dog" the verb is third, in "ik heb de hond gezien" it is last.
    participles = {"seen": "gezien", "bought": "gekocht", "found": "gevonden"}
    for english, dutch in all_pairs():
        for word, woord in participles.items():
            if word in english.split():
                assert english.split()[2] == word and dutch.split()[-1] == woord


def test_the_vocabularies_are_as_small_as_stated() -> None:
    words = Counter(word for p in all_pairs() for word in p.english.split())
    assert len(words) == 30


def test_a_seed_fixes_the_draw() -> None:
    drawn = pairs(50, generator=generator(0))
    assert drawn == pairs(50, generator=generator(0)) != pairs(50, generator=generator(1))
    assert set(drawn) <= set(all_pairs())


@pytest.mark.parametrize(("n", "rng", "name"), [(0, generator(0), "n"), (2, "seed", "generator")])
def test_a_bad_argument_is_named_with_what_to_do(n, rng, name: str) -> None:
    with pytest.raises(InputError, match=rf"`{name}`: got .*, expected .*\. Pass .*\.$"):
        pairs(n, generator=rng)
