"""What is said about flowers: a grammar with many ways to name each fact, and the parser that reads it back.

Two conventions hold in both directions: the colour of "a red flower" is that of its petals, and so is its size; a second
colour that no part claims, as in "this white and yellow flower", is that of the centre.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_generator
from coursekit.datasets.grammar import Dice, Lexicon, Reading, dice, listed, read, require_facts, words

NAMES: dict[str, tuple[str, ...]] = {
    "petal": ("red", "orange", "yellow", "pink", "purple", "blue", "white"),
    "centre": ("yellow", "orange", "brown", "purple", "green", "white"),
    "shape": ("round", "pointed", "thin"),
    "petals": ("four", "six", "many"),
    "size": ("small", "large"),
    "stem": ("bare", "leafy"),
}
"""The six attributes and the names of their values; the id of a value is its position."""


# ---------------------------------------------------------------- writing

_WORDS = {
    "small": ("small", "little", "tiny"),
    "large": ("large", "big"),
    "purple": ("purple", "violet"),
    "thin": ("thin", "narrow"),
    "pointed": ("pointed", "pointy"),
    "many": ("many", "lots of"),
}
_CENTRES = ("a {} centre", "a {} center", "a {} stamen", "a {} stigma", "a centre that is {}")
_STEMS = {
    "bare": ("a bare stem", "no leaves", "a stem that is bare"),
    "leafy": ("a leafy stem", "two leaves", "leaves on its stem"),
}


def caption(labels: Tensor, *, facts: Sequence[str] | None = None, generator: torch.Generator) -> list[str]:
    """One sentence for each of the flowers (N, 6), drawn from many ways to say the same.

    `facts` are the attributes that every sentence names; without them each names two to five, drawn at random.
    """
    require_generator(generator)
    require_facts(facts, NAMES)
    told = [{name: values[k] for (name, values), k in zip(NAMES.items(), row, strict=True)} for row in labels.tolist()]
    return [_sentence(flower, facts, die) for flower, die in zip(told, dice(len(told), generator), strict=True)]


def _sentence(flower: dict[str, str], facts: Sequence[str] | None, die: Dice) -> str:
    names = facts or die.shuffled(tuple(NAMES))[: die.pick((2, 3, 4, 5))]
    told = {name: die.pick(_WORDS.get(flower[name], (flower[name],))) if name in names else "" for name in NAMES}
    colour, details = "", []
    # The colour may be told of the flower or of its petals, and the size too.
    if told["petal"] and told["centre"] and told["petal"] != told["centre"] and die.pick((True, False, False)):
        colour = f"{told['petal']} and {told['centre']}"
        told["petal"] = told["centre"] = ""
    elif told["petal"] and (die.pick((True, False)) or not told["petals"] + told["shape"]):
        colour, told["petal"] = told["petal"], ""
    if told["petals"] or told["shape"] or told["petal"]:
        details.append(die.pick(_PETALS)(told["petals"], told["shape"], told["petal"]))
    if told["centre"]:
        details.append(die.pick(_CENTRES).format(told["centre"]))
    if told["stem"]:
        details.append(die.pick(_STEMS[told["stem"]]))
    return die.pick(_FORMS)(told["size"], colour, die.shuffled(details)).replace("a orange", "an orange")


def _before(count: str, shape: str, colour: str) -> str:
    return words(count, shape, colour, "petals")


def _behind(count: str, shape: str, colour: str) -> str:
    if not shape + colour:
        return f"{count} petals"
    return words(count, "petals that are", listed([word for word in (shape, colour) if word]))


def _between(count: str, shape: str, colour: str) -> str:
    return words(count, shape, "petals", f"that are {colour}" if colour else "")


_PETALS: tuple[Callable[[str, str, str], str], ...] = (_before, _behind, _between)


def _a_flower_with(size: str, colour: str, details: list[str]) -> str:
    return words("a", size, colour, "flower", "with" if details else "", listed(details))


def _this_flower_has(size: str, colour: str, details: list[str]) -> str:
    if not details:
        return words("this is a", size, colour, "flower")
    return words("this", size, colour, "flower has", listed(details))


def _the_flower_is(size: str, colour: str, details: list[str]) -> str:
    if not colour:
        return _this_flower_has(size, colour, details)
    colour = colour.replace(" and ", " with ")  # "is white and yellow" could mean the petals
    return words("the", size, "flower is", colour, "and has" if details else "", listed(details))


def _flower_that_has(size: str, colour: str, details: list[str]) -> str:
    return words("there is a", size, colour, "flower", "that has" if details else "", listed(details))


_FORMS: tuple[Callable[[str, str, list[str]], str], ...] = (
    _a_flower_with,
    _this_flower_has,
    _the_flower_is,
    _flower_that_has,
)


# ---------------------------------------------------------------- reading

_NOUNS = {
    "flower": ("flower", "flowers", "blossom", "bloom"),
    "petal": ("petal", "petals"),
    "centre": ("centre", "center", "middle", "stamen", "stamens", "stigma", "pistil"),
    "stem": ("stem", "stalk", "leaf", "leaves"),
}
_LEXICON = Lexicon(
    adjectives={
        **{word: {"colour": word} for word in (*NAMES["petal"], *NAMES["centre"])},
        "violet": {"colour": "purple"},
        **{word: {"size": size} for size in NAMES["size"] for word in _WORDS[size]},
        **{word: {"shape": shape} for shape in NAMES["shape"] for word in _WORDS.get(shape, (shape,))},
        **{word: {"count": word} for word in NAMES["petals"]},
        "lots": {"count": "many"},
        **{word: {"stem": word} for word in NAMES["stem"]},
    },
    nouns={noun: part for part, nouns in _NOUNS.items() for noun in nouns},
    parts={
        "flower": {"colour": "petal", "size": "size"},
        "petal": {"colour": "petal", "shape": "shape", "count": "petals", "size": "size"},
        "centre": {"colour": "centre"},
        "stem": {"stem": "stem"},
    },
    values=NAMES,
    whole="flower",
    second="centre",
    named={"leaves": ("stem", "leafy"), "leaf": ("stem", "leafy")},
    given={"centre": frozenset({"round"}), "stem": frozenset({"green", "two"})},
    phrases=((re.compile(r"\b(no|without) leaves\b"), "stem", {"no": "bare", "without": "bare"}),),
)


def explain(text: str) -> Reading:
    """The attributes that a caption names, and the words that the world has no picture for."""
    return read(text, _LEXICON)


def parse(text: str) -> dict[str, str]:
    """The attributes that a caption names, such as {"petal": "red", "shape": "thin"}; {} if it names none."""
    return explain(text).facts


def unknown_words(text: str) -> list[str]:
    """The words of a caption that became no attribute because the world has no picture for them, in order."""
    return explain(text).unread
