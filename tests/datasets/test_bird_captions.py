"""Captions say only what is true, say it in many ways, and are read back."""

from __future__ import annotations

import re

import pytest
import torch

from coursekit.datasets import birds
from coursekit.errors import InputError
from coursekit.runtime import generator

# The captions that decks show are in test_captions.py; these are the corners of the rules.
CORNERS = {
    "the flower has petals that are bright pinkish purple with white stigma": {},
    "a red and white bird with a black belly": {"body": "red", "belly": "black"},
    "brown and white wings": {},
    "": {},
}


@pytest.mark.parametrize(("text", "facts"), CORNERS.items())
def test_corners_of_the_rules(text: str, facts: dict[str, str]) -> None:
    assert birds.parse(text) == facts


def test_captions_name_two_to_five_true_facts() -> None:
    attributes = birds.sample(5000, generator=generator(0))
    named = set()
    for text, truth in zip(birds.caption(attributes, generator=generator(1)), attributes.names(), strict=True):
        told = birds.parse(text)
        assert told.items() <= truth.items(), text
        assert 2 <= len(told) <= 5, text
        named |= set(told)
    assert named == set(birds.NAMES)


@pytest.mark.parametrize(
    "facts", [list(birds.NAMES), ["body", "belly"], ["facing"], ["size"], ["beak"], ["wing", "head", "beak"]]
)
def test_captions_name_the_facts_asked_for_and_no_others(facts: list[str]) -> None:
    attributes = birds.sample(1500, generator=generator(0))
    for text, truth in zip(
        birds.caption(attributes, facts=facts, generator=generator(1)), attributes.names(), strict=True
    ):
        assert birds.parse(text) == {name: truth[name] for name in facts}, text


def test_a_bird_of_one_colour_may_be_completely_so() -> None:
    bird = dict.fromkeys(("body", "wing", "head", "belly"), "pink")
    bird |= {"size": "small", "beak": "long", "facing": "left"}
    texts = birds.caption(birds.Attributes.of([bird]), facts=list(birds.NAMES), generator=generator(0))
    assert "completely pink" in texts[0] and birds.parse(texts[0]) == bird


def test_each_fact_has_several_paraphrases() -> None:
    one = birds.sample(1, generator=generator(0)).take(torch.zeros(1000, dtype=torch.int64))
    for fact in birds.NAMES:
        assert len(set(birds.caption(one, facts=[fact], generator=generator(1)))) >= 4
    assert len(set(birds.caption(one, facts=["body", "wing", "beak"], generator=generator(1)))) > 100


def test_a_seed_fixes_the_captions() -> None:
    attributes = birds.sample(30, generator=generator(0))
    texts = birds.caption(attributes, generator=generator(1))
    assert texts == birds.caption(attributes, generator=generator(1))
    assert texts != birds.caption(attributes, generator=generator(2))


def test_facts_are_ids_of_what_the_parser_reads() -> None:
    texts = [
        "a small red bird with black wings",
        "this bird is grey with white, looking right",
        "the flower has petals",
        "",
    ]
    told = birds.facts(texts)
    assert told.dtype == torch.int64
    assert told.tolist() == [
        [0, 6, -1, -1, 0, -1, -1],
        [8, -1, -1, 7, -1, -1, 1],
        [-1] * 7,
        [-1] * 7,
    ]
    assert birds.facts([]).shape == (0, 7)


def test_facts_of_a_full_caption_are_the_bird() -> None:
    attributes = birds.sample(300, generator=generator(0))
    texts = birds.caption(attributes, facts=list(birds.NAMES), generator=generator(1))
    assert torch.equal(birds.facts(texts), attributes.stack())


@pytest.mark.parametrize("form", birds.FORMS)
def test_a_caption_in_one_form_is_true_and_in_no_other(form: str) -> None:
    """What marks each form: `a bird that has` can be told from the rest by these two words."""
    attributes = birds.sample(600, generator=generator(2))
    texts = birds.caption(attributes, forms=[form], generator=generator(3))
    for text, truth in zip(texts, attributes.names(), strict=True):
        told = birds.parse(text)
        assert told.items() <= truth.items() and 2 <= len(told) <= 5, text
    opening = {"a bird with": "a ", "a bird that has": ("a ", "facing", "looking", "turned"), "this bird has": "this ",
               "the bird is": "this ", "with a body": ("the ", "a ")}[form]  # fmt: skip
    assert all(text.startswith(opening) for text in texts)
    assert any("that has" in text for text in texts) == (form == "a bird that has")
    whole = [text for text in texts if "completely" in text or re.match(r"this (\w+ )?bird is \w+ with", text)]
    assert bool(whole) == (form == "the bird is")


def test_without_forms_all_five_are_drawn() -> None:
    one = birds.sample(1, generator=generator(0)).take(torch.zeros(400, dtype=torch.int64))
    facts = ["body", "wing"]
    everything = set(birds.caption(one, facts=facts, generator=generator(1)))
    assert everything == set(birds.caption(one, facts=facts, forms=list(birds.FORMS), generator=generator(1)))
    by_form = [set(birds.caption(one, facts=facts, forms=[form], generator=generator(1))) for form in birds.FORMS]
    assert all(everything & texts for texts in by_form)
    assert not by_form[0] & by_form[1] and not by_form[1] & by_form[2]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda a, g: birds.caption(a, facts=["tail"], generator=g), "facts"),
        (lambda a, g: birds.caption(a, facts="body", generator=g), "facts"),
        (lambda a, g: birds.caption(a, facts=[], generator=g), "facts"),
        (lambda a, g: birds.caption(a, forms=["a poem"], generator=g), "forms"),
        (lambda a, g: birds.caption(a, forms="a bird with", generator=g), "forms"),
        (lambda a, g: birds.caption(a, forms=[], generator=g), "forms"),
        (lambda a, g: birds.caption(a, generator=1), "generator"),
        (lambda a, g: birds.parse(["a red bird"]), "text"),
    ],
)
def test_a_bad_argument_is_named_with_what_to_do(call, name: str) -> None:
    with pytest.raises(InputError, match=rf"^`{name}`: got .*, expected .*\. [A-Z].*\.$"):
        call(birds.sample(2, generator=generator(0)), generator(0))
