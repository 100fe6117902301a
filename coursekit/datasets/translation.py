"""An English-Dutch toy grammar: 30 English words, lengths that differ, words that change places.

What makes it hard to translate word by word:

- the participle and the infinitive go to the end   "i have seen the dog"     "ik heb de hond gezien"
- "to" and "do" have no counterpart                 "we want to buy a house"  "wij willen een huis kopen"
- "not" follows a definite object                   "i do not see the cat"    "ik zie de kat niet"
- "not" with "a" melts into one word                "i do not see a cat"      "ik zie geen kat"
- a question and a leading "today" put the verb in front of the subject, and "jij" then drops the verb's -t
- articles and "our" follow the noun's gender       "our book", "our dog"     "ons boek", "onze hond"
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import torch

from coursekit.datasets.arguments import require_at_least, require_generator


class Translation(NamedTuple):
    """A sentence in English and in Dutch, in lower case, words parted by blanks."""

    english: str
    dutch: str


class _Subject(NamedTuple):
    english: str
    dutch: str
    person: int  # which form the Dutch verb takes: 0 ik, 1 jij, 2 wij and zij


class _Verb(NamedTuple):
    english: str
    participle: str
    forms: tuple[str, str, str]  # ik, jij, wij
    infinitive: str
    dutch_participle: str

    def after(self, subject: _Subject) -> str:
        return self.forms[subject.person]

    def before(self, subject: _Subject) -> str:
        """The form in front of its subject: "jij ziet", but "zie jij"."""
        return self.forms[0 if subject.person == 1 else subject.person]


class _Noun(NamedTuple):
    english: str
    dutch: str
    neuter: bool  # "het" and "ons" instead of "de" and "onze"


_SUBJECTS = (
    _Subject("i", "ik", 0),
    _Subject("you", "jij", 1),
    _Subject("we", "wij", 2),
    _Subject("they", "zij", 2),
)
_VERBS = (
    _Verb("see", "seen", ("zie", "ziet", "zien"), "zien", "gezien"),
    _Verb("buy", "bought", ("koop", "koopt", "kopen"), "kopen", "gekocht"),
    _Verb("find", "found", ("vind", "vindt", "vinden"), "vinden", "gevonden"),
)
_NOUNS = (
    _Noun("dog", "hond", False),
    _Noun("cat", "kat", False),
    _Noun("book", "boek", True),
    _Noun("house", "huis", True),
)
_NAME = _Noun("name", "naam", False)
_HAVE = ("heb", "hebt", "hebben")
_WANT = ("wil", "wilt", "willen")
_OWNERS = (("my", "mijn", "mijn"), ("your", "jouw", "jouw"), ("our", "onze", "ons"), ("their", "hun", "hun"))


def pairs(n: int, *, generator: torch.Generator) -> list[Translation]:
    """n sentences drawn from all_pairs() with replacement."""
    require_at_least(1, n=n)
    require_generator(generator)
    corpus = all_pairs()
    return [corpus[i] for i in torch.randint(0, len(corpus), (n,), generator=generator).tolist()]


@functools.cache
def all_pairs() -> tuple[Translation, ...]:
    """Every sentence of the grammar, in a fixed order."""
    sentences = [
        sentence
        for subject, verb, noun, definite in itertools.product(_SUBJECTS, _VERBS, _NOUNS, (True, False))
        for sentence in _about(subject, verb, noun, definite)
    ]
    for english, de, het in _OWNERS:
        for question, vraag, nouns in (("what", "wat", (_NAME,)), ("where", "waar", _NOUNS)):
            sentences += [
                Translation(f"{question} is {english} {noun.english}", f"{vraag} is {owner} {noun.dutch}")
                for noun in nouns
                for owner in (het if noun.neuter else de,)
            ]
    return tuple(sentences)


def _about(subject: _Subject, verb: _Verb, noun: _Noun, definite: bool) -> list[Translation]:
    """The six sentences on one subject, verb and object."""
    s, ik = subject.english, subject.dutch
    the = "the" if definite else "a"
    de = ("het" if noun.neuter else "de") if definite else "een"
    thing, ding = f"{the} {noun.english}", f"{de} {noun.dutch}"
    has, wants = _HAVE[subject.person], _WANT[subject.person]
    denied = f"{ding} niet" if definite else f"geen {noun.dutch}"
    return [
        Translation(f"{s} {verb.english} {thing}", f"{ik} {verb.after(subject)} {ding}"),
        Translation(f"{s} have {verb.participle} {thing}", f"{ik} {has} {ding} {verb.dutch_participle}"),
        Translation(f"{s} want to {verb.english} {thing}", f"{ik} {wants} {ding} {verb.infinitive}"),
        Translation(f"{s} do not {verb.english} {thing}", f"{ik} {verb.after(subject)} {denied}"),
        Translation(f"do {s} {verb.english} {thing}", f"{verb.before(subject)} {ik} {ding}"),
        Translation(f"today {s} {verb.english} {thing}", f"vandaag {verb.before(subject)} {ik} {ding}"),
    ]
