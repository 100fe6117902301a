"""The training loop: what it records, what it clips, what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coursekit.errors import InputError, TrainingError
from coursekit.training.loop import Record, descend, train


def weight(*values: float) -> Tensor:
    return torch.tensor(values, requires_grad=True)


def test_records_hold_the_loss_before_the_step_and_the_norm_before_clipping() -> None:
    w = weight(3.0, 4.0)
    records = train([w], lambda step: w.square().sum(), steps=2, lr=0.1, clip=1.0, optimizer="sgd")
    assert [r.step for r in records] == [0, 1]
    assert records[0] == Record(0, 25.0, 10.0)  # the gradient is (6, 8)
    assert records[1].loss == pytest.approx((5 - 0.1) ** 2)  # clipped to length 1, so the weights came 0.1 closer


def test_the_gradient_is_clipped_as_one_vector() -> None:
    a, b = weight(0.0), weight(0.0)
    train([a, b], lambda step: (30 * a + 40 * b).sum(), steps=1, lr=1.0, clip=1.0, optimizer="sgd")
    torch.testing.assert_close(torch.cat([a, b]).detach(), torch.tensor([-0.6, -0.8]))


def test_an_infinite_limit_leaves_the_gradient_alone() -> None:
    w = weight(0.0)
    train([w], lambda step: 30 * w.sum(), steps=1, lr=1.0, clip=math.inf, optimizer="sgd")
    torch.testing.assert_close(w.detach(), torch.tensor([-30.0]))


def test_gradients_of_one_step_do_not_leak_into_the_next() -> None:
    w = weight(0.0)
    train([w], lambda step: (1.0 if step == 0 else 0.0) * w.sum(), steps=3, lr=1.0, optimizer="sgd")
    torch.testing.assert_close(w.detach(), torch.tensor([-1.0]))


def test_the_loss_function_is_told_the_step() -> None:
    w, told = weight(1.0), []

    def loss(step: int) -> Tensor:
        told.append(step)
        return w.square().sum()

    train([w], loss, steps=4)
    assert told == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("steps", "every", "expected"), [(7, 3, [0, 3, 6]), (6, 3, [0, 3, 5]), (1, 5, [0]), (0, 1, [])]
)
def test_every_nth_step_and_the_last_are_recorded(steps: int, every: int, expected: list[int]) -> None:
    w = weight(1.0)
    assert [r.step for r in train([w], lambda step: w.square().sum(), steps=steps, every=every)] == expected


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_every_optimiser_descends(optimizer: str) -> None:
    w = weight(1.0, -1.0)
    records = train((p for p in [w]), lambda step: w.square().sum(), steps=50, lr=0.05, optimizer=optimizer)
    assert records[-1].loss < 0.1 * records[0].loss


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_at_its_step(bad: float) -> None:
    w = weight(1.0)
    seen = []

    def loss(step: int) -> Tensor:
        seen.append(step)
        return w.sum() * (bad if step == 2 else 1.0)

    with pytest.raises(TrainingError) as caught:
        train([w], loss, steps=5, lr=0.25, clip=7.0, label="the copier")
    message = str(caught.value)
    assert seen == [0, 1, 2] and torch.isfinite(w).all()  # the weights are those of the step before
    for expected in ("the copier", "step 2", str(bad), "0.25", "7.0", "learning rate"):
        assert expected in message


def test_an_unknown_optimiser_is_a_clear_error() -> None:
    with pytest.raises(InputError, match=r"got 'lion', expected one of \['adam', 'rmsprop', 'sgd'\]"):
        train([weight(1.0)], lambda step: weight(1.0).sum(), steps=1, optimizer="lion")


def test_descend_yields_each_record_after_its_step_and_waits() -> None:
    """Whoever watches sees the weights as the record's step left them."""
    w = weight(1.0)
    descent = torch.optim.SGD([w], lr=0.1)
    steps = descend([w], lambda step: w.square().sum(), descent, steps=range(3), clip=math.inf)
    assert w.item() == 1.0  # nothing happens before somebody asks
    for k, record in enumerate(steps):
        assert (
            record.step == k
            and record.loss == pytest.approx(0.8 ** (2 * k))
            and w.item() == pytest.approx(0.8 ** (k + 1))
        )


def test_train_is_descend_with_an_optimiser_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = weight(1.0, -2.0), weight(1.0, -2.0)
    records = train([one], lambda step: one.square().sum(), steps=9, lr=0.03)
    adam = torch.optim.Adam([two], lr=0.03)
    assert records == list(descend([two], lambda step: two.square().sum(), adam, steps=range(9)))
    assert torch.equal(one, two) and capsys.readouterr().out == "training: 9 of 9 done\n"
