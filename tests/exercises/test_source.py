"""Catalogue answers written as code that stands alone."""

from __future__ import annotations

import functools
import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from coursekit.errors import ExerciseError
from coursekit.exercises import catalogue
from coursekit.exercises.audit import all_keys
from coursekit.exercises.source import _agrees, as_code


def test_slices_and_numbers_without_a_literal_are_written() -> None:
    rows, flat = slice(1, None, 2), torch.tensor([1.0, math.nan, -math.inf])
    alone: dict[str, Any] = {"torch": torch}
    exec(as_code(functools.partial(dict, rows=rows, nothing=math.nan, flat=flat), "mine"), alone)
    found = alone["mine"]()
    assert found["rows"] == rows and math.isnan(found["nothing"])
    torch.testing.assert_close(found["flat"], flat, equal_nan=True)


def test_what_has_no_text_is_refused() -> None:
    with pytest.raises(ExerciseError, match="cannot write"):
        as_code(functools.partial(dict, handle=torch.Generator()), "mine")


@pytest.mark.parametrize("key", all_keys(), ids=lambda key: key.question.id)
def test_every_mistake_and_alternative_can_be_written(key) -> None:
    for answer in [*(mistake.answer for mistake in key.mistakes), *key.alternatives.values()]:
        for name, value in (answer if isinstance(answer, dict) else {key.question.answers[0]: answer}).items():
            compile(as_code(value, name), key.question.id, "exec")


def test_a_parameter_is_not_taken_for_the_function_of_its_name() -> None:
    """`generator_step` has a parameter called as the other answer is: that answer must not come along with it."""
    key = catalogue.key("04.generator_step")
    assert key is not None
    text = as_code(key.solution[1], "generator_step")
    assert "feedback" in text and "def feedback" not in text


def test_what_a_decorated_closure_uses_comes_along() -> None:
    """torch.no_grad() wraps a function in one with a closure of its own."""
    key = catalogue.key("05.init_weights")
    assert key is not None
    text = as_code(key.mistakes[0].answer, "init_weights")
    names: dict[str, object] = {"torch": torch, "nn": nn, "Tensor": torch.Tensor}
    exec("from __future__ import annotations\n" + text, names)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    names["init_weights"](net, 0.02, torch.Generator().manual_seed(0))  # type: ignore[operator]
    assert net[0].weight.std() < 0.05


def test_an_empty_tuple_is_written() -> None:
    assert eval(as_code((), "x").removeprefix("x = ")) == ()


def test_sets_and_patterns_are_written() -> None:
    alone: dict[str, Any] = {"torch": torch}
    words = re.compile(r"a (red|green)\.?", re.IGNORECASE)
    exec(as_code(functools.partial(dict, colours={"red", "green"}, words=words), "mine"), alone)
    found = alone["mine"]()
    assert found == {"colours": {"red", "green"}, "words": words} and found["words"].match("A RED")


def test_a_name_that_stands_for_two_things_is_refused() -> None:
    _agrees("weight", 2.0, {"weight": "weight = 2.0"})
    with pytest.raises(ExerciseError, match="two things"):
        _agrees("weight", "two", {"weight": "weight = 2.0"})
