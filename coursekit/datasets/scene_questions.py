"""Questions about scenes, from templates, and the answers that follow from what is known of the scene.

    asked = questions(labels, generator=generator(0))          # one for each scene: texts, answers (N,), kinds
    answer("what colour is the thing left of the square?", parse("a red disc left of a blue square"))      # "red"

A question can be answered from a picture's labels, or from what a caption tells: `answer` gives None where that is not enough.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from coursekit.datasets.arguments import require_generator
from coursekit.datasets.grammar import Dice, dice
from coursekit.datasets.scene_captions import COLOURS, NAMES, RELATIONS, SHAPES, SIZES, inverse
from coursekit.errors import InputError

ANSWERS = ("yes", "no", *COLOURS, *SHAPES, *SIZES)
"""Every answer; its id is its position."""
KINDS = ("is there", "where", "what colour", "what shape", "how large")
_VALUES = {"shape": SHAPES, "colour": COLOURS, "size": SIZES}


class Asked(NamedTuple):
    """N questions."""

    texts: list[str]
    answers: Tensor
    """(N,) int64 ids into ANSWERS."""
    kinds: Tensor
    """(N,) int64 ids into KINDS."""


def questions(labels: Tensor, *, generator: torch.Generator) -> Asked:
    """A question about each of the scenes (N, 7): its kind is uniform; yes and no are as frequent as each other."""
    require_generator(generator)
    rows = [{name: values[k] for (name, values), k in zip(NAMES.items(), row, strict=True)} for row in labels.tolist()]
    asked = [_question(scene, die) for scene, die in zip(rows, dice(len(rows), generator), strict=True)]
    replies = []
    for (text, _), scene in zip(asked, rows, strict=True):
        reply = answer(text, scene)
        assert reply is not None, f"{text!r} has no answer in {scene}"
        replies.append(ANSWERS.index(reply))
    return Asked([text for text, _ in asked], torch.tensor(replies), torch.tensor([kind for _, kind in asked]))


def _question(scene: Mapping[str, str], die: Dice) -> tuple[str, int]:
    kind = die.pick(range(len(KINDS)))
    first = die.pick((True, False))  # is the one spoken of thing 1?
    me, it = ("1", "2") if first else ("2", "1")
    where = scene["relation"] if first else inverse(scene["relation"])
    alike = scene["shape_1"] == scene["shape_2"]
    # A thing is named by its colour, which is never shared, or by its shape where that tells it apart.
    by_shape = not alike and die.pick((True, False))

    def named(k: str) -> str:
        return scene[f"shape_{k}"] if by_shape else f"{scene[f'colour_{k}']} thing"

    if KINDS[kind] == "is there":
        there = die.pick((True, False))
        shape, colour = scene[f"shape_{me}"], scene[f"colour_{me}"]
        if not there:
            colours = [c for c in COLOURS if c not in (scene["colour_1"], scene["colour_2"])]
            # What is there, but in another colour, that of the other thing if the two can be mixed up.
            swap = not alike and die.pick((True, False))
            colour = scene[f"colour_{it}"] if swap else die.pick(colours)
        return f"is there a {colour} {shape}?", kind
    if KINDS[kind] == "where":
        said = where if die.pick((True, False)) else die.pick([r for r in RELATIONS if r != where])
        return f"is the {named(me)} {said} the {named(it)}?", kind
    target = f"thing {where} the {named(it)}" if die.pick((True, False)) else ""
    if KINDS[kind] == "what colour":
        # Not by its colour; nor by its shape, where both have it.
        plain = f"thing {where} the other" if alike else scene[f"shape_{me}"]
        return f"what colour is the {target or plain}?", kind
    if KINDS[kind] == "what shape":
        return f"what shape is the {target or scene[f'colour_{me}'] + ' thing'}?", kind
    return f"is the {target or named(me)} small or large?", kind


_RELATION = "|".join(RELATIONS)
_THERE = re.compile(r"is there an? (\w+) (\w+)\?$")
_IS = re.compile(rf"is the (.+?) ({_RELATION}) the (.+?)\?$")
_WHAT = re.compile(r"what (colour|shape) is the (.+?)\?$")
_HOW = re.compile(r"is the (.+?) small or large\?$")


def answer(question: str, scene: Mapping[str, str]) -> str | None:
    """One of ANSWERS, from the attributes of a scene that are known; None where they do not settle it.

    `scene` is a row of labels by name, or what `parse` reads from a caption.
    """
    text = question.strip().lower()
    if found := _THERE.match(text):
        return _exists(scene, colour=found[1], shape=found[2])
    if found := _HOW.match(text):
        return _of(scene, _which(scene, found[1]), "size")
    if found := _WHAT.match(text):
        return _of(scene, _which(scene, found[2]), found[1])
    if found := _IS.match(text):
        me, it = _which(scene, found[1]), _which(scene, found[3])
        if not me or not it or me == it or "relation" not in scene:
            return None
        where = scene["relation"] if me == "1" else inverse(scene["relation"])
        return "yes" if where == found[2] else "no"
    raise InputError.of(
        "`question`", got=question, expected="one of the templates of questions()",
        do='Ask, for example, "what colour is the thing left of the square?".',
    )  # fmt: skip


def _exists(scene: Mapping[str, str], *, colour: str, shape: str) -> str | None:
    known = [(scene.get(f"colour_{k}"), scene.get(f"shape_{k}")) for k in "12"]
    if (colour, shape) in known:
        return "yes"
    maybe = any(c in (colour, None) and s in (shape, None) for c, s in known)
    return None if maybe else "no"


def _which(scene: Mapping[str, str], name: str) -> str:
    """ "1" or "2": the only thing that a noun phrase fits; "" where there is none, or both."""
    if found := re.match(rf"thing ({_RELATION}) the (.+)$", name):
        if "relation" not in scene:
            return ""
        me = {scene["relation"]: "1", inverse(scene["relation"]): "2"}.get(found[1], "")
        it = {"1": "2", "2": "1"}.get(me, "")
        return me if found[2] == "other" or _which(scene, found[2]) == it else ""
    told = {kind: word for word in name.split() for kind, values in _VALUES.items() if word in values}
    fits = [k for k in "12" if all(scene.get(f"{kind}_{k}") == word for kind, word in told.items())]
    return fits[0] if len(fits) == 1 else ""


def _of(scene: Mapping[str, str], thing: str, kind: str) -> str | None:
    return scene.get(f"{kind}_{thing}") if thing else None
