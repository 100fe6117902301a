"""Training side by side is training alone, R times."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coursekit.errors import InputError
from coursekit.runtime import generator
from coursekit.training.together import train_together

TARGET = torch.tensor([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]])


def losses(w: Tensor) -> Tensor:
    """A bowl with another bottom in each run: (R, 2) to (R,)."""
    return (w - TARGET[: len(w)]).square().sum(1)


def draw() -> Tensor:
    return torch.randn(3, 2, generator=generator(0))


def test_agrees_with_torch_adam_and_clipping_run_by_run() -> None:
    rates = (0.01, 0.03, 0.1)
    together = draw()
    history = train_together(
        [together], lambda step: losses(together), steps=40, lr=torch.tensor(rates), clip=0.7, label=None
    )
    assert history.shape == (3, 40)
    for run, rate in enumerate(rates):
        alone = draw()[run].requires_grad_()
        adam = torch.optim.Adam([alone], lr=rate)
        for step in range(40):
            adam.zero_grad()
            loss = (alone - TARGET[run]).square().sum()
            torch.testing.assert_close(history[run, step], loss.detach())
            loss.backward()
            torch.nn.utils.clip_grad_norm_([alone], 0.7)
            adam.step()
        torch.testing.assert_close(together[run].detach(), alone.detach())


def test_a_run_that_diverges_stands_still_and_harms_no_other() -> None:
    w = draw()
    start = w.clone()
    poison = torch.tensor([0.0, float("nan"), 0.0])
    history = train_together([w], lambda step: losses(w) + poison * w.sum(1), steps=5, label=None)
    assert history[1].isnan().all() and torch.equal(w[1].detach(), start[1])
    alone = draw()
    train_together([alone], lambda step: losses(alone), steps=5, label=None)
    assert torch.equal(w[[0, 2]].detach(), alone[[0, 2]].detach())


def test_a_weight_without_influence_is_left_alone() -> None:
    w, idle = draw(), torch.ones(3, 4)
    train_together([w, idle], lambda step: losses(w), steps=3, label=None)
    assert torch.equal(idle.detach(), torch.ones(3, 4))


def test_parameters_without_a_common_run_axis_are_refused() -> None:
    with pytest.raises(InputError, match="run axis"):
        train_together([torch.zeros(3, 2), torch.zeros(4, 2)], lambda step: torch.zeros(3), steps=1, label=None)
