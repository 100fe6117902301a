"""What is said about birds: a grammar with many ways to name each fact, and the parser that reads it back.

Two conventions hold in both directions:

- the colour of "a red bird", or of a bird that "is red", is that of the body (back and tail);
- a second colour that no part claims, as in "this bird is red with white", is the belly's.

The parser reads more than the grammar writes: shared adjectives ("a pink breast and crown"), other names of
the parts ("primaries", "crest"), and it passes over the words that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch

from coursekit.datasets.arguments import require_generator
from coursekit.errors import InputError

if TYPE_CHECKING:
    from coursekit.datasets.birds import Attributes

_COLOURS = ("red", "yellow", "green", "blue", "pink", "brown", "black", "white", "grey")
NAMES: dict[str, tuple[str, ...]] = {
    "body": _COLOURS,
    "wing": _COLOURS,
    "head": _COLOURS,
    "belly": _COLOURS,
    "size": ("small", "large"),
    "beak": ("short", "long"),
    "facing": ("left", "right"),
}
"""The seven attributes and the names of their values; the id of a value is its position."""

T = TypeVar("T")


# ---------------------------------------------------------------- writing

_SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("large", "big")}
_BEAK_WORDS = {"short": ("short", "very short", "stubby"), "long": ("long", "very long", "long pointed")}
_DETAILS: dict[str, tuple[str, ...]] = {
    "wing": ("{} wings", "{} wing feathers", "wings that are {}"),
    "head": ("a {} head", "a {} crown", "a head that is {}"),
    "belly": ("a {} belly", "a {} breast", "a {} underside", "a belly that is {}"),
    "beak": ("a {} beak", "a {} bill"),
}
_FACING = ("facing {}", "looking {}", "looking to the {}", "turned to the {}")


def caption(
    attributes: Attributes, *, facts: Sequence[str] | None = None, generator: torch.Generator
) -> list[str]:
    """One sentence for each of the N birds, drawn from many ways to say the same.

    `facts` are the attributes that every sentence names. Without them each sentence names two to five, drawn
    at random, as people do: what a caption leaves out is not thereby false.
    """
    require_generator(generator)
    if facts is not None and (isinstance(facts, str) or not facts or set(facts) - set(NAMES)):
        raise InputError.of(
            "`facts`",
            got=facts,
            expected=f"a list of some of {', '.join(NAMES)}",
            do='Pass facts=["body", "wing"].',
        )
    # One block of random numbers: a draw for each choice of each sentence would take most of the time.
    rolls = torch.randint(0, 2**31, (len(attributes), 24), generator=generator).tolist()
    return [_sentence(bird, facts, _Dice(row)) for bird, row in zip(attributes.names(), rolls, strict=True)]


class _Dice:
    """Choices made by a list of random numbers."""

    def __init__(self, rolls: list[int]) -> None:
        self._rolls = iter(rolls)

    def pick(self, options: Sequence[T]) -> T:
        return options[next(self._rolls) % len(options)]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        left = list(options)
        return [left.pop(next(self._rolls) % len(left)) for _ in options]


def _sentence(bird: dict[str, str], facts: Sequence[str] | None, dice: _Dice) -> str:
    told = facts or dice.shuffled(tuple(NAMES))[: dice.pick((2, 3, 4, 5))]
    size = dice.pick(_SIZE_WORDS[bird["size"]]) if "size" in told else ""
    colour = bird["body"] if "body" in told else ""
    facing = dice.pick(_FACING).format(bird["facing"]) if "facing" in told else ""
    words = bird | {"beak": dice.pick(_BEAK_WORDS[bird["beak"]])}
    details = {
        part: dice.pick(_DETAILS[part]).format(words[part])
        for part in dice.shuffled(tuple(_DETAILS))
        if part in told
    }
    form = dice.pick(_FORMS)
    if colour and {"wing", "head", "belly"} <= set(details) and len({bird[part] for part in _COLOURED}) == 1:
        colour = f"completely {colour}"
        details = {part: text for part, text in details.items() if part == "beak"}
        form = _the_bird_is
    elif colour and "belly" in details and bird["belly"] != colour and dice.pick((True, False, False)):
        colour = f"{colour} with {bird['belly']}"
        del details["belly"]
        form = _the_bird_is
    return form(size, colour, list(details.values()), facing)


_COLOURED = ("body", "wing", "head", "belly")


def _a_bird_with(size: str, colour: str, details: list[str], facing: str) -> str:
    return _words("a", size, colour, "bird", "with" if details else "", _list(details)) + _end(facing)


def _bird_that_has(size: str, colour: str, details: list[str], facing: str) -> str:
    opening = f"{facing}, a" if facing else "a"
    return _words(opening, size, colour, "bird", "that has" if details else "", _list(details))


def _this_bird_has(size: str, colour: str, details: list[str], facing: str) -> str:
    if not details:
        return _words("this is a", size, colour, "bird") + _end(facing)
    return _words("this", size, colour, "bird", facing, "has", _list(details))


def _the_bird_is(size: str, colour: str, details: list[str], facing: str) -> str:
    if not colour:
        return _this_bird_has(size, colour, details, facing)
    told = _words("this", size, "bird is", colour, "and has" if details else "", _list(details))
    return told + _end(facing)


def _with_a_body(size: str, colour: str, details: list[str], facing: str) -> str:
    if not colour:
        return _a_bird_with(size, colour, details, facing)
    return _words("the", size, "bird has", _list([f"a {colour} body", *details])) + _end(facing)


_FORMS: tuple[Callable[[str, str, list[str], str], str], ...] = (
    _a_bird_with,
    _bird_that_has,
    _this_bird_has,
    _the_bird_is,
    _with_a_body,
)


def _words(*words: str) -> str:
    return " ".join(filter(None, words))


def _list(items: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def _end(facing: str) -> str:
    return f", {facing}" if facing else ""


# ---------------------------------------------------------------- reading

_NOUNS = {
    "body": ("bird", "body", "back", "fellow"),
    "wing": ("wing", "wings", "primaries", "secondaries"),
    "head": ("head", "crown", "crest", "cap"),
    "belly": ("belly", "breast", "underside", "chest"),
    "beak": ("beak", "bill"),
}
_PART_OF = {noun: part for part, nouns in _NOUNS.items() for noun in nouns}
_SIZE_OF = {word: size for size, words in _SIZE_WORDS.items() for word in words}
_LENGTH_OF = {"short": "short", "stubby": "short", "small": "short", "long": "long"}
_LOOKS = re.compile(r"\b(?:facing|looking|looks|turned)(?: to the)? (left|right)\b")


def parse(text: str) -> dict[str, str]:
    """The attributes that a caption names, such as {"body": "red", "beak": "short"}; {} if it names none."""
    if not isinstance(text, str):
        raise InputError.of("`text`", got=text, expected="one caption, a string", do="Parse one at a time.")
    text = text.lower().replace("gray", "grey")
    reader = _Reader()
    for word in [*re.findall(r"[a-z]+|[,.;]", text), "."]:
        reader.read(word)
    looks = _LOOKS.search(text)
    return reader.found | ({"facing": looks[1]} if looks else {})


class _Reader:
    """Reads word by word; adjectives wait until a noun or the end of their phrase says whose they are."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.waiting: list[str] = []  # adjectives whose noun has not come yet
        self.shared: list[str] = []  # those of the last noun: "and" hands them on to the next
        self.part: str | None = None  # the last noun's part
        self.link: str | None = None  # "is" or "with", if that is what the waiting adjectives hang on
        self.everywhere = False
        self.before = ""  # the previous word

    def read(self, word: str) -> None:
        if word in _COLOURS or word in _SIZE_OF or word in _LENGTH_OF:
            self.waiting.append(word)
        elif word in _PART_OF:
            self._noun(_PART_OF[word])
        elif word in ("completely", "entirely"):
            self.everywhere = True
        elif word == "and":
            if self.link == "is":
                self._settle()  # "is small and red": what follows may still hang on the same "is"
        elif word in (",", ".", ";", "with", "has", "have", "is", "are"):
            self._settle()
            self.link = {"is": "is", "are": "is", "with": "with"}.get(word)
        elif word in ("a", "an", "the", "its") and self.link == "with":
            self._settle()
        self.before = word

    def _noun(self, part: str) -> None:
        if not self.waiting and self.before == "and":
            self.waiting = self.shared
        self.shared, self.part, self.link = self.waiting, part, None
        self._assign(part, self.waiting)
        self.waiting = []

    def _settle(self) -> None:
        """End of a phrase without a noun: "is ..." speaks of the last noun, "with white" of the belly."""
        if self.link == "is" and self.part:
            self._assign(self.part, self.waiting)
        elif self.link == "with" and "body" in self.found:
            self._assign("belly", self.waiting)
        self.waiting = []

    def _assign(self, part: str, adjectives: list[str]) -> None:
        colours = [word for word in adjectives if word in _COLOURS]
        if part == "beak":
            for word in set(adjectives) & set(_LENGTH_OF):
                self.found["beak"] = _LENGTH_OF[word]
            return
        if part == "body":
            for word in set(adjectives) & set(_SIZE_OF):
                self.found["size"] = _SIZE_OF[word]
            if len(colours) == 2:  # "a red and white bird"
                self.found["belly"] = colours.pop()
        if len(colours) == 1:  # "brown and white wings" do not say which is which
            parts = _COLOURED if self.everywhere and part == "body" else (part,)
            self.found |= dict.fromkeys(parts, colours[0])
            self.everywhere = False
