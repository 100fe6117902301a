"""Equal is equal, and everything else is told apart."""

from __future__ import annotations

import math

import pytest
import torch

from coursekit.checks.compare import alike, difference, same

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


ODD = [0.0, -0.0, 1.0, 1.0 + 5e-4, 1.1, -1.0, 1e-6, 1e300, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (2, 2)])
def test_close_means_what_torch_means_by_it(dtype, shape):
    """And the short way to a plain no never says it of values that are close."""
    for first in ODD:
        for second in ODD:
            expected, got = (torch.full(shape, value, dtype=torch.float64).to(dtype) for value in (first, second))
            if shape:
                expected[0, 0] = got[0, 0] = 3.0
            close = bool(torch.isclose(got, expected, equal_nan=True, **TOL).all())
            assert (difference({"v": expected}, {"v": got}, **TOL) is None) is close
            assert alike({"v": expected}, {"v": got}, **TOL) is close


@pytest.mark.parametrize(("got", "is_alike"), [({"v": torch.zeros(2), "w": 1}, True), ({"v": torch.zeros(3), "w": 1}, False),
                                               ({"v": torch.zeros(2)}, False), ({"v": "text", "w": 1}, False),
                                               ({"v": torch.zeros(2), "w": 2}, False)])  # fmt: skip
def test_alike_agrees_with_difference(got, is_alike):
    expected = {"v": torch.zeros(2), "w": 1}
    assert alike(expected, got, **TOL) is is_alike is (difference(expected, got, **TOL) is None)
