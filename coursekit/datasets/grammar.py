"""What the caption grammars share: choices by dice, lists in English, and a reader of noun phrases.

A `Lexicon` says what the words of one world mean; `read` finds the facts in a text, and names the words that the world
has no picture for. The reader understands more than the grammars write: adjectives in front of a noun ("a pink
breast"), behind it ("wings that are black"), shared ("a pink breast and crown") and in lists ("small, round petals").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, TypeVar

import torch

from coursekit.errors import InputError

T = TypeVar("T")


# ---------------------------------------------------------------- writing


class Dice:
    """Choices made by a list of random numbers."""

    def __init__(self, rolls: list[int]) -> None:
        self._rolls = iter(rolls)

    def pick(self, options: Sequence[T]) -> T:
        return options[next(self._rolls) % len(options)]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        left = list(options)
        return [left.pop(next(self._rolls) % len(left)) for _ in options]


def dice(n: int, generator: torch.Generator, *, rolls: int = 24) -> list[Dice]:
    """Dice for n sentences, in one block of random numbers: a draw for each choice would take most of the time."""
    return [Dice(row) for row in torch.randint(0, 2**31, (n, rolls), generator=generator).tolist()]


def require_facts(facts: object, names: Mapping[str, object]) -> None:
    """Raise InputError unless `facts` is None or a list of some of the names."""
    if facts is not None and (isinstance(facts, str) or not facts or set(facts) - set(names)):  # type: ignore[call-overload]
        raise InputError.of(
            "`facts`",
            got=facts,
            expected=f"a list of some of {', '.join(names)}",
            do=f"Pass facts={list(names)[:2]}.",
        )


def words(*parts: str) -> str:
    """The parts that are not empty, with blanks between them."""
    return " ".join(filter(None, parts))


def listed(items: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """What the words of one world mean."""

    adjectives: Mapping[str, Mapping[str, str]]
    """Word -> {kind: value}: "small" is {"size": "small", "length": "short"}."""
    nouns: Mapping[str, str]
    """Word -> the part that it names: "breast" -> "belly"."""
    parts: Mapping[str, Mapping[str, str]]
    """Part -> {kind: attribute}: what an adjective of that kind says when it belongs to that part."""
    values: Mapping[str, Sequence[str]]
    """Attribute -> its values: what the world has a picture for."""
    whole: str
    """The part that stands for the whole thing."""
    second: str = ""
    """The part that a second colour of the whole belongs to, as in "red with white"."""
    everywhere: tuple[str, ...] = ()
    """The attributes that "completely red" names."""
    named: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Noun -> the (attribute, value) that it states by itself."""
    given: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Part -> adjectives that hold for it in every picture."""
    phrases: tuple[tuple[re.Pattern[str], str, Mapping[str, str]], ...] = ()
    """(pattern, attribute, {its group 1: value}): turns of speech that are read, and taken out, before the words."""
    spelling: Mapping[str, str] = field(default_factory=dict)
    """Other spellings of a word."""


class Reading(NamedTuple):
    """What a text says about a picture."""

    facts: dict[str, str]
    """Attribute -> value."""
    unread: list[str]
    """Words that became no fact because the world has no picture for them, in the order of the text."""


_LINKS = {"is": "is", "are": "is", "with": "with", "has": "", "have": "", ".": "", ";": "", ",": ""}
_ARTICLES = ("a", "an", "the", "its")
_DESCRIBED = ("that", "which", "is", "are")
"""What follows a noun whose own adjectives are still to come: "a pink breast and wings that are black"."""
_SILENT = frozenset({
    "this", "that", "these", "those", "it", "there", "which", "who", "in", "on", "at", "of", "to", "from", "by", "for", "as",
    "and", "or", "but", "also", "very", "quite", "rather", "almost", "all", "mostly", "completely", "entirely", "overall",
    "having", "moves", "sized", "size", "shaped", "coloured", "colored", "colour", "color", "colours", "colors",
})  # fmt: skip
"""Words that ask for no picture of their own."""


def read(text: str, lexicon: Lexicon) -> Reading:
    """The facts of one caption, and the words that became none."""
    if not isinstance(text, str):
        raise InputError.of("`text`", got=text, expected="one caption, a string", do="Parse one at a time.")
    text = re.sub(r"\band featur(?:es|ing)\b", "and has", text.lower())  # a verb here; elsewhere a noun
    facts = {}
    for pattern, attribute, values in lexicon.phrases:
        for match in pattern.finditer(text):
            facts[attribute] = values[match[1]]
        text = pattern.sub(" ", text)
    reader = _Reader(lexicon)
    tokens = [lexicon.spelling.get(word, word) for word in re.findall(r"[a-z]+|[,.;]", text)]
    for position, (word, after) in enumerate(pairwise([*tokens, ".", ""])):
        reader.read(position, word, after)
    unread = [tokens[i] for i in sorted(reader.unread)]
    return Reading(reader.found | facts, unread)


class _Reader:
    """Reads word by word; adjectives wait until a noun or the end of their phrase says whose they are."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.found: dict[str, str] = {}
        self.unread: set[int] = set()
        self.waiting: list[tuple[int, str]] = []  # adjectives whose noun has not come yet, with their positions
        self.shared: list[tuple[int, str]] = []  # those of the last noun: "and" hands them on to the next
        self.part: str | None = None  # the last noun's part
        self.link = ""  # "is" or "with", if that is what the waiting adjectives hang on
        self.everywhere = False
        self.before = ""  # the previous word
        self.stranger = False  # the previous word is one that this world does not know

    def read(self, position: int, word: str, after: str) -> None:
        lexicon = self.lexicon
        silent = word in _SILENT or word in _LINKS or word in _ARTICLES
        if self.stranger and silent:
            # "grey stripes and ...": the phrase has ended in a noun unknown here; the adjectives were its own.
            self.waiting = []
        self.stranger = False
        if word in lexicon.adjectives:
            self.waiting.append((position, word))
            self.unread.add(position)  # until it says something
        elif word in lexicon.nouns:
            self._noun(word, after)
        elif not silent:
            self.stranger = True
            self.unread.add(position)
            if any(word in words for words in lexicon.given.values()):
                self.waiting.append((position, word))
                self.stranger = False
        elif word in ("completely", "entirely"):
            self.everywhere = True
        elif word == "and":
            if self.link == "is":
                self._settle()  # "is small and red": what follows may still hang on the same "is"
        elif word == "," and not self.link:
            pass  # "small, round petals": the list goes on, or nothing waits
        elif word == "," and self.link == "is":
            self._settle()
        elif word in _LINKS:
            self._settle()
            self.link = _LINKS[word]
        elif word in _ARTICLES and self.link:
            self._settle()  # "is red with white, a black crown", "this is a ...": a new noun phrase begins
            self.link = ""
        self.before = word

    def _noun(self, noun: str, after: str) -> None:
        if self.before in self.lexicon.nouns:
            return  # "wing feathers" are still the wing
        part = self.lexicon.nouns[noun]
        if noun in self.lexicon.named:
            attribute, value = self.lexicon.named[noun]
            self.found[attribute] = value
        if not self.waiting and self.before == "and" and after not in _DESCRIBED:
            self.waiting = self.shared
        self.shared, self.part, self.link = self.waiting, part, ""
        self._assign(part, self.waiting)
        self.waiting = []

    def _settle(self) -> None:
        """End of a phrase without a noun: "is ..." speaks of the last noun, "with white" of the second colour's part."""
        whole = self.lexicon.parts[self.lexicon.whole].get("colour")
        if self.link == "is" and self.part:
            self._assign(self.part, self.waiting)
        elif self.link == "with" and whole in self.found and self.lexicon.second:
            self._assign(self.lexicon.second, self.waiting)
        self.waiting = []

    def _assign(self, part: str, adjectives: list[tuple[int, str]]) -> None:
        lexicon = self.lexicon
        self.unread -= {position for position, word in adjectives if word in lexicon.given.get(part, ())}
        for kind, attribute in lexicon.parts[part].items():
            meanings = [(i, lexicon.adjectives.get(word, {}).get(kind)) for i, word in adjectives]
            told = [(i, value) for i, value in meanings if value is not None]
            if kind == "colour" and part == lexicon.whole and lexicon.second and len(told) == 2:
                second = lexicon.parts[lexicon.second]["colour"]  # "a red and white bird"
                position, value = told.pop()
                self._say(second, value, position)
            if len({value for _, value in told}) != 1:  # "brown and white wings" do not say which is which
                continue
            everywhere = self.everywhere and kind == "colour" and part == lexicon.whole
            for name in lexicon.everywhere if everywhere else (attribute,):
                self._say(name, told[0][1], *(position for position, _ in told))
            if kind == "colour":
                self.everywhere = False

    def _say(self, attribute: str, value: str, *positions: int) -> None:
        if value in self.lexicon.values[attribute]:  # there are no green petals
            self.found[attribute] = value
            self.unread -= set(positions)
