"""What is said about birds: a grammar with many ways to name each fact, and the parser that reads it back.

Two conventions hold in both directions:

- the colour of "a red bird", or of a bird that "is red", is that of the body (back and tail);
- a second colour that no part claims, as in "this bird is red with white", is the belly's.

The parser reads more than the grammar writes: shared adjectives ("a pink breast and crown"), other names of
the parts ("primaries", "crest"). It passes over the words that it does not know, and `explain` lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from coursekit.datasets.arguments import require_generator
from coursekit.datasets.grammar import Dice, Lexicon, Reading, dice, listed, read, require_facts, words
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
    attributes: Attributes,
    *,
    facts: Sequence[str] | None = None,
    forms: Sequence[str] | None = None,
    generator: torch.Generator,
) -> list[str]:
    """One sentence for each of the N birds, drawn from many ways to say the same.

    `facts` are the attributes that every sentence names. Without them each sentence names two to five, drawn
    at random, as people do: what a caption leaves out is not thereby false. `forms` are those of FORMS to choose from
    (default: all), so that a form can be kept out of training.
    """
    require_generator(generator)
    require_facts(facts, NAMES)
    if forms is not None and (isinstance(forms, str) or not forms or set(forms) - set(FORMS)):
        raise InputError.of(
            "`forms`", got=forms, expected=f"a list of some of {', '.join(FORMS)}", do=f"Pass forms={list(FORMS)[:2]}."
        )
    chosen = [FORMS[name] for name in forms or FORMS]
    rolled = dice(len(attributes), generator)
    return [_sentence(bird, facts, chosen, die) for bird, die in zip(attributes.names(), rolled)]


def _sentence(bird: dict[str, str], facts: Sequence[str] | None, forms: Sequence[_Form], die: Dice) -> str:
    told = facts or die.shuffled(tuple(NAMES))[: die.pick((2, 3, 4, 5))]
    size = die.pick(_SIZE_WORDS[bird["size"]]) if "size" in told else ""
    colour = bird["body"] if "body" in told else ""
    facing = die.pick(_FACING).format(bird["facing"]) if "facing" in told else ""
    values = bird | {"beak": die.pick(_BEAK_WORDS[bird["beak"]])}
    details = {
        part: die.pick(_DETAILS[part]).format(values[part]) for part in die.shuffled(tuple(_DETAILS)) if part in told
    }
    form, plain = die.pick(forms), _the_bird_is in forms
    if plain and colour and {"wing", "head", "belly"} <= set(details) and len({bird[part] for part in _COLOURED}) == 1:
        colour = f"completely {colour}"
        details = {part: text for part, text in details.items() if part == "beak"}
        form = _the_bird_is
    elif plain and colour and "belly" in details and bird["belly"] != colour and die.pick((True, False, False)):
        colour = f"{colour} with {bird['belly']}"
        del details["belly"]
        form = _the_bird_is
    return form(size, colour, list(details.values()), facing)


_Form = Callable[[str, str, list[str], str], str]
_COLOURED = ("body", "wing", "head", "belly")


def _a_bird_with(size: str, colour: str, details: list[str], facing: str) -> str:
    return words("a", size, colour, "bird", "with" if details else "", listed(details)) + _end(facing)


def _bird_that_has(size: str, colour: str, details: list[str], facing: str) -> str:
    opening = f"{facing}, a" if facing else "a"
    return words(opening, size, colour, "bird", "that has" if details else "", listed(details))


def _this_bird_has(size: str, colour: str, details: list[str], facing: str) -> str:
    if not details:
        return words("this is a", size, colour, "bird") + _end(facing)
    return words("this", size, colour, "bird", facing, "has", listed(details))


def _the_bird_is(size: str, colour: str, details: list[str], facing: str) -> str:
    if not colour:
        return _this_bird_has(size, colour, details, facing)
    told = words("this", size, "bird is", colour, "and has" if details else "", listed(details))
    return told + _end(facing)


def _with_a_body(size: str, colour: str, details: list[str], facing: str) -> str:
    if not colour:
        return _a_bird_with(size, colour, details, facing)
    return words("the", size, "bird has", listed([f"a {colour} body", *details])) + _end(facing)


FORMS: dict[str, _Form] = {
    "a bird with": _a_bird_with,
    "a bird that has": _bird_that_has,
    "this bird has": _this_bird_has,
    "the bird is": _the_bird_is,
    "with a body": _with_a_body,
}
"""The forms of a sentence: (size, colour of the body, details, facing) -> text."""


def _end(facing: str) -> str:
    return f", {facing}" if facing else ""


# ---------------------------------------------------------------- reading

_NOUNS = {
    "body": ("bird", "body", "back", "fellow", "feathers"),
    "wing": ("wing", "wings", "primaries", "secondaries"),
    "head": ("head", "crown", "crest", "cap"),
    "belly": ("belly", "breast", "underside", "chest"),
    "beak": ("beak", "bill"),
}
_LOOKS = re.compile(r"\b(?:facing|looking|looks|turned)(?: to the)? (left|right)\b")
_LEXICON = Lexicon(
    adjectives={
        **{word: {"colour": word} for word in _COLOURS},
        **{word: {"size": size} for size, told in _SIZE_WORDS.items() for word in told},
        "small": {"size": "small", "length": "short"},
        "short": {"length": "short"},
        "stubby": {"length": "short"},
        "long": {"length": "long"},
    },
    nouns={noun: part for part, nouns in _NOUNS.items() for noun in nouns},
    parts={
        "body": {"colour": "body", "size": "size"},
        "wing": {"colour": "wing"},
        "head": {"colour": "head"},
        "belly": {"colour": "belly"},
        "beak": {"length": "beak"},
    },
    values=NAMES,
    whole="body",
    second="belly",
    everywhere=_COLOURED,
    given={"beak": frozenset(("pointed", "pointy"))},
    phrases=((_LOOKS, "facing", {"left": "left", "right": "right"}),),
    spelling={"gray": "grey"},
)


def explain(text: str) -> Reading:
    """The attributes that a caption names, and the words that the world has no picture for."""
    return read(text, _LEXICON)


def parse(text: str) -> dict[str, str]:
    """The attributes that a caption names, such as {"body": "red", "beak": "short"}; {} if it names none."""
    return explain(text).facts


def unknown_words(text: str) -> list[str]:
    """The words of a caption that became no attribute because the world has no picture for them, in order.

    "a small bird with a cream belly" has ["cream"]; "brown and white wings" has both colours, since a wing has one.
    """
    return explain(text).unread
