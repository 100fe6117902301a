"""Catalogue answers written as code that stands alone."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch

from coursekit.errors import ExerciseError
from coursekit.exercises.audit import all_keys
from coursekit.exercises.source import as_code


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
