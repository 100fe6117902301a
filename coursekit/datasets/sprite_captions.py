"""What is said about sprites: a grammar with several ways to name each fact, and the parser that reads it back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_generator
from coursekit.datasets.grammar import Dice, Lexicon, Reading, dice, read, require_facts, words

NAMES: dict[str, tuple[str, ...]] = {
    "shape": ("disc", "square", "triangle", "star"),
    "colour": ("red", "yellow", "green", "blue", "white"),
    "motion": ("left", "right", "up", "down", "round", "bounce"),
    "speed": ("slow", "fast"),
    "size": ("small", "large"),
}
"""The five attributes and the names of their values; the id of a value is its position. Motion "round" is
anticlockwise on a circle; "bounce" is up and down between floor and peak, along a parabola."""


# ---------------------------------------------------------------- writing

_MOVES: dict[str, tuple[str, ...]] = {
    "left": ("moves left", "goes to the left", "drifts left"),
    "right": ("moves right", "goes to the right", "drifts right"),
    "up": ("moves up", "rises", "goes up"),
    "down": ("moves down", "sinks", "goes down"),
    "round": ("moves in circles", "goes round and round", "circles"),
    "bounce": ("bounces", "jumps up and down", "keeps bouncing"),
}
_WORDS = {
    "slow": ("slowly", "at a slow pace"),
    "fast": ("fast", "quickly", "at a fast pace"),
    "small": ("small", "little", "tiny"),
    "large": ("large", "big"),
    "disc": ("disc", "ball"),
    "square": ("square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
}


def caption(labels: Tensor, *, facts: Sequence[str] | None = None, generator: torch.Generator) -> list[str]:
    """One sentence for each of the films (N, 5), such as "a small red star moves left slowly".

    `facts` are the attributes that every sentence names; without them each names two to five, drawn at random.
    """
    require_generator(generator)
    require_facts(facts, NAMES)
    films = [{name: values[k] for (name, values), k in zip(NAMES.items(), row, strict=True)} for row in labels.tolist()]
    return [_sentence(film, facts, die) for film, die in zip(films, dice(len(films), generator), strict=True)]


def _sentence(film: dict[str, str], facts: Sequence[str] | None, die: Dice) -> str:
    told = facts or die.shuffled(tuple(NAMES))[: die.pick((2, 3, 4, 5))]
    options = {value: _WORDS.get(value, (value,)) for value in film.values()}
    said = {name: die.pick(options[film[name]]) if name in told else "" for name in NAMES}
    move = die.pick(_MOVES[film["motion"]]) if "motion" in told else ""
    shape = said["shape"] or die.pick(("thing", "shape", "sprite"))
    if not move and said["speed"]:
        move = "moves"
    return die.pick(_FORMS)(words(said["size"], said["colour"], shape), move, said["speed"])


_FORMS: tuple[Callable[[str, str, str], str], ...] = (
    lambda thing, move, speed: words("a", thing, move, speed),
    lambda thing, move, speed: words("the", thing, move, speed),
    lambda thing, move, speed: words("there is a", thing, "that" if move else "", move, speed),
    lambda thing, move, speed: words(f"{speed}," if speed else "", "a", thing, move),
)


# ---------------------------------------------------------------- reading

_LEXICON = Lexicon(
    adjectives={
        **{word: {"colour": word} for word in NAMES["colour"]},
        **{word: {"size": size} for size in NAMES["size"] for word in _WORDS[size]},
    },
    nouns={word: "sprite" for shape in NAMES["shape"] for word in (*_WORDS[shape], "thing", "shape", "sprite")},
    parts={"sprite": {"colour": "colour", "size": "size"}},
    values=NAMES,
    whole="sprite",
    named={word: ("shape", shape) for shape in NAMES["shape"] for word in _WORDS[shape]},
    phrases=(
        (
            re.compile(r"\b(slowly|quickly|fast|at a slow pace|at a fast pace)\b,?"),
            "speed",
            {word: speed for speed in NAMES["speed"] for word in _WORDS[speed]},
        ),
        (
            re.compile(rf"\b({'|'.join(move for moves in _MOVES.values() for move in moves)})\b"),
            "motion",
            {move: motion for motion, moves in _MOVES.items() for move in moves},
        ),
    ),
)


def explain(text: str) -> Reading:
    """The attributes that a caption names, and the words that the world has no film for."""
    return read(text, _LEXICON)


def parse(text: str) -> dict[str, str]:
    """The attributes that a caption names, such as {"shape": "star", "motion": "left"}; {} if it names none."""
    return explain(text).facts


def unknown_words(text: str) -> list[str]:
    """The words of a caption that became no attribute because the world has no film for them, in order."""
    return explain(text).unread
