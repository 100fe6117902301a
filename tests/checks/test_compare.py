"""Equal is equal, and everything else is told apart."""

from __future__ import annotations

import math

import pytest
import torch

from coursekit.checks.compare import difference, same

TOL = {"rtol": 1e-3, "atol": 1e-5}


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (torch.ones(2, 3), torch.ones(2, 3)),
        (torch.ones(2), torch.ones(2) * (1 + 1e-4)),
        (torch.tensor([math.nan, -math.inf]), torch.tensor([math.nan, -math.inf])),
        (1.0, 1.0 + 1e-6),
        (2.0, 2),
        ([1, "a", [True]], (1, "a", [True])),
        (None, None),
        (math.nan, math.nan),
    ],
)
def test_same_values_make_no_difference(expected, got):
    assert difference({"v": expected}, {"v": got}, **TOL) is None


@pytest.mark.parametrize(
    ("expected", "got", "says"),
    [
        (torch.ones(2, 3), torch.ones(3, 2), "shape (3, 2)"),
        (torch.ones(2, 3), torch.ones(1, 2, 3), "shape (1, 2, 3)"),
        (torch.ones(2), torch.ones(2, dtype=torch.float64), "dtype torch.float64"),
        (torch.ones(2), torch.tensor([1.0, math.nan]), "nan"),
        (torch.ones(2), torch.tensor([1.0, 1.1]), "1.1"),
        (torch.ones(2), [1.0, 1.0], "[1.0, 1.0]"),
        (torch.tensor([1, 2]), torch.tensor([1, 3]), "3"),
        (1.0, 1.1, "1.1"),
        (1.0, "1.0", "'1.0'"),
        (1, True, "True"),
        (True, 1, "1"),
        (["zero_grad", "step"], ["step", "zero_grad"], "step"),
        ([1], [1, 1], "[1, 1]"),
        (None, 0, "0"),
        (torch.ones(()), 1.0, "1.0"),
    ],
)
def test_other_values_are_told_apart_and_shown(expected, got, says):
    found = difference({"v": expected}, {"v": got}, **TOL)
    assert found is not None
    assert says in found.got


def test_keys_must_agree_in_both_directions():
    assert difference({"v": 1}, {}, **TOL).got == "nothing"
    assert difference({}, {"v": 1}, **TOL).expected == "nothing"


def test_an_object_that_equals_everything_is_no_number():
    class Yes:
        def __eq__(self, other):
            return True

        __hash__ = None

    for expected in (1.0, 1, "a", None, torch.ones(2), [1]):
        assert difference({"v": expected}, {"v": Yes()}, **TOL) is not None


def test_hidden_values_are_redacted_and_shapes_are_not():
    values = difference({"v": torch.ones(2)}, {"v": torch.zeros(2)}, **TOL)
    shapes = difference({"v": torch.ones(2)}, {"v": torch.ones(3)}, **TOL)
    assert "1" not in values.redacted().expected
    assert shapes.redacted() == shapes


def test_same_is_exact():
    assert same(torch.ones(2), torch.ones(2))
    assert not same(torch.ones(2), torch.ones(2) + 1e-6)
