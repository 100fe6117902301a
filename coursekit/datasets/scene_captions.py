"""What is said about scenes: a grammar with many ways to name two things and their relation, and the reader of it.

One scene can be told from either end: "a red disc left of a blue square" is "a blue square right of a red disc". The reader
brings both to one form: thing 1 is the left or upper one, and the relation is "left of" or "above".

    told = read("a small blue square with a red disc to its left")
    told.things         # ({"size": "small", "colour": "blue", "shape": "square"}, {"colour": "red", "shape": "disc"})
    told.relation       # "right of": the first that is named lies to the right of the second
    parse(...)          # {"shape_1": "disc", "colour_1": "red", "shape_2": "square", ..., "relation": "left of"}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_generator
from coursekit.datasets.grammar import Dice, dice, words
from coursekit.errors import InputError

SHAPES = ("disc", "square", "triangle", "ring")
COLOURS = ("red", "yellow", "green", "blue", "purple", "black")
SIZES = ("small", "large")
RELATIONS = ("left of", "above", "right of", "below")
"""Of the first thing to the second; the inverse of a relation stands two places on."""

NAMES: dict[str, tuple[str, ...]] = {
    "shape_1": SHAPES,
    "colour_1": COLOURS,
    "size_1": SIZES,
    "shape_2": SHAPES,
    "colour_2": COLOURS,
    "size_2": SIZES,
    "relation": RELATIONS[:2],
}
"""The seven attributes and the names of their values; the id of a value is its position. Thing 1 is left of or above thing 2."""

KINDS = ("shape", "colour", "size")
FORMS = ("plain", "its", "there", "two things", "and")
"""The forms of a sentence: "A left of B", "B with A to its left", "there is A to the left of B", "two things: A on the left and
B on the right", "A and, to its right, B"."""

# ---------------------------------------------------------------- writing

_WORDS = {
    "small": ("small", "little", "tiny"),
    "large": ("large", "big"),
    "disc": ("disc", "circle"),
    "ring": ("ring", "hoop"),
    "purple": ("purple", "violet"),
}
_BEFORE = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over"),
    "below": ("below", "under", "beneath"),
}
"""What stands between A and B where A is so related to B."""
_ITS = {
    "left of": ("to its left", "on its left", "to the left of it"),
    "right of": ("to its right", "on its right", "to the right of it"),
    "above": ("above it", "over it"),
    "below": ("below it", "under it", "beneath it"),
}
_ENDS = {
    "left of": ("on the left", "on the right"),
    "right of": ("on the right", "on the left"),
    "above": ("at the top", "at the bottom"),
    "below": ("at the bottom", "at the top"),
}


def inverse(relation: str) -> str:
    """The relation of B to A, where `relation` is that of A to B."""
    return RELATIONS[(RELATIONS.index(relation) + 2) % 4]


def caption(
    labels: Tensor, *, sizes: bool | None = None, forms: Sequence[str] = FORMS, generator: torch.Generator
) -> list[str]:
    """One sentence for each of the scenes (N, 7), in one of `forms`. Each thing may be named first.

    `sizes`: whether the sizes are told; None: of each thing by the toss of a coin. All else is told always.
    """
    require_generator(generator)
    if isinstance(forms, str) or not forms or set(forms) - set(FORMS):
        raise InputError.of("`forms`", got=forms, expected=f"some of {', '.join(FORMS)}", do="Pass forms=FORMS.")
    return [
        _sentence(row, sizes, forms, die)
        for row, die in zip(labels.tolist(), dice(len(labels), generator), strict=True)
    ]


def _sentence(row: list[int], sizes: bool | None, forms: Sequence[str], die: Dice) -> str:
    told = [values[k] for values, k in zip(NAMES.values(), row, strict=True)]
    a, b = _thing(told[:3], sizes, die), _thing(told[3:6], sizes, die)
    relation = told[6]
    if die.pick((True, False)):
        a, b, relation = b, a, inverse(relation)
    form, back = die.pick(forms), inverse(relation)
    if form == "plain":
        return f"{a} {die.pick(_BEFORE[relation])} {b}"
    if form == "its":
        return f"{a} with {b} {die.pick(_ITS[back])}"
    if form == "there":
        where = die.pick(_BEFORE[relation])
        return die.pick((f"there is {a} {where} {b}", f"{where} {b} there is {a}"))
    here, there = _ENDS[relation]
    if form == "two things":
        return die.pick((f"two things: {a} {here} and {b} {there}", f"two things, {a} {here}, {b} {there}"))
    return f"{a} and, {die.pick(_ITS[back])}, {b}"


def _thing(told: Sequence[str], sizes: bool | None, die: Dice) -> str:
    shape, colour, size = (die.pick(_WORDS.get(value, (value,))) for value in told)
    shown = die.pick((True, False))
    return words("a", size if (shown if sizes is None else sizes) else "", colour, shape)


# ---------------------------------------------------------------- reading

_VALUES = {kind: NAMES[f"{kind}_1"] for kind in KINDS}
_MEANING = {
    word: (kind, value) for kind, values in _VALUES.items() for value in values for word in _WORDS.get(value, (value,))
} | {"thing": ("", ""), "things": ("", "")}
_THING = re.compile(
    r"(?:\b(?:an?|the|one)\s+)?((?:\b(?:"
    + "|".join(w for w, (kind, _) in _MEANING.items() if kind in ("colour", "size"))
    + r")[,\s]+)*)\b("
    + "|".join(w for w, (kind, _) in _MEANING.items() if kind in ("shape", "") and w != "things")
    + r")\b"
)
_WHERE = {
    "left": "left of", "right": "right of", "above": "above", "over": "above", "top": "above",
    "below": "below", "under": "below", "beneath": "below", "underneath": "below", "bottom": "below",
}  # fmt: skip
_SIDE = r"(left|right|above|over|below|underneath|under|beneath)"
_OF = re.compile(rf"\b{_SIDE}\b(?: of)? @(\d)")  # "left of @1": the other thing is so related to @1
_IT = re.compile(rf"(?:\b(?:to|on) its {_SIDE}|\b(?:to |on |at )?(?:the )?{_SIDE}(?: of)? it)\b(?P<next>[, ]*@\d)?")
_END = re.compile(r"@(\d),? (?:is )?(?:on|at|in) the (left|right|top|bottom)\b(?! of)")


class Told(NamedTuple):
    """What a text says, in the order in which it names things."""

    things: tuple[dict[str, str], ...]
    """For each thing: kind -> value, what is unsaid left out."""
    relation: str | None
    """Of the first thing named to the second; None if there are not two things, or their relation is not told."""


def read(text: str) -> Told:
    """The things that a text names, and the relation of the first to the second."""
    if not isinstance(text, str):
        raise InputError.of("`text`", got=text, expected="one caption, a string", do="Parse one at a time.")
    things: list[dict[str, str]] = []

    def mark(match: re.Match[str]) -> str:
        meant = (_MEANING[word] for word in [*re.findall("[a-z]+", match[1]), match[2]])
        things.append({kind: value for kind, value in meant if kind})
        return f"@{len(things) - 1}"

    skeleton = re.sub(r"\s+", " ", _THING.sub(mark, text.lower()))
    return Told(tuple(things), _relation(skeleton) if len(things) == 2 else None)


def _relation(text: str) -> str | None:
    """Of thing @0 to thing @1, in a text where each thing has become its mark."""
    if found := _IT.search(text):
        # "B with A to its left" speaks of the thing before, "B and, to its left, A" of the one that follows.
        before = re.findall(r"@(\d)", text[: found.start()])
        who = found["next"][-1] if found["next"] else (before or [""])[-1]
        where = _WHERE[found[1] or found[2]]
        return {"0": where, "1": inverse(where)}.get(who)
    if found := _OF.search(text):
        return _WHERE[found[1]] if found[2] == "1" else inverse(_WHERE[found[1]])
    if found := _END.search(text):
        return _WHERE[found[2]] if found[1] == "0" else inverse(_WHERE[found[2]])
    return None


def parse(text: str) -> dict[str, str]:
    """The attributes that a caption tells, thing 1 the left or upper one; {} unless it tells two things and their relation."""
    told = read(text)
    if told.relation is None:
        return {}
    a, b = told.things
    relation = told.relation
    if relation not in NAMES["relation"]:
        a, b, relation = b, a, inverse(relation)
    facts = {f"{kind}_{k}": thing[kind] for k, thing in ((1, a), (2, b)) for kind in KINDS if kind in thing}
    return facts | {"relation": relation}


def facts(captions: Sequence[str]) -> Tensor:
    """What N captions tell: (N, 7) int64, the ids of the values that they name, -1 for what they leave unsaid."""
    told = [parse(text) for text in captions]
    rows = [[values.index(one[name]) if name in one else -1 for name, values in NAMES.items()] for one in told]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, len(NAMES))
