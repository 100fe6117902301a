"""Penalties against closed forms, and that they train D."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit.models.points import PointCritic
from coursekit.runtime import generator, seeded
from coursekit.training.penalties import between, class_loss, clip, r1, slopes, two_sided

REAL = torch.randn(7, 2, generator=generator(0), dtype=torch.float64)
FAKE = 3 + torch.randn(7, 2, generator=generator(1), dtype=torch.float64)


class Plane(nn.Module):
    """The score w . x: its gradient is w everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w


class Bowl(nn.Module):
    """The score |x|^2: its gradient is 2 x."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square().sum(1)


def test_slopes_of_a_plane_and_of_a_bowl() -> None:
    torch.testing.assert_close(slopes(Plane(), REAL), torch.full((7,), 5.0, dtype=torch.float64))
    torch.testing.assert_close(slopes(Bowl(), REAL), 2 * REAL.norm(dim=1))


def test_the_two_sided_penalty_in_closed_form_with_its_gradient() -> None:
    """10 (|w| - 1)^2, whose gradient is 20 (|w| - 1) w / |w|."""
    plane = Plane()
    with seeded(0):
        loss = two_sided(10.0)(plane, REAL, FAKE)
    loss.backward()
    assert loss.item() == pytest.approx(160.0)
    torch.testing.assert_close(plane.w.grad, 80 * plane.w.detach() / 5)
    plane.w.data /= 10  # a slope of 0.5 is punished, too: 10 * 0.25
    with seeded(0):
        assert two_sided(10.0)(plane, REAL, FAKE).item() == pytest.approx(2.5)


def test_the_two_sided_penalty_looks_between_the_points() -> None:
    with seeded(3):
        x = between(REAL, FAKE)
    with seeded(3):
        share = torch.rand(7, 1)
    torch.testing.assert_close(x, share * REAL + (1 - share) * FAKE)
    assert len(set(share.flatten().tolist())) == 7  # each pair its own
    with seeded(3):
        loss = two_sided(1.0)(Bowl(), REAL, FAKE)
    torch.testing.assert_close(loss, (2 * x.norm(dim=1) - 1).square().mean())


def test_r1_looks_at_real_data_alone() -> None:
    loss = r1(0.5)(Bowl(), REAL, FAKE)
    torch.testing.assert_close(loss, 0.25 * (4 * REAL.square().sum(1)).mean())


def test_the_class_loss_is_that_of_the_first_k_classes() -> None:
    with seeded(0):
        D = PointCritic(classes=3).double()
    labels = torch.tensor([[0], [1], [2], [2], [1], [0], [2]])
    torch.testing.assert_close(
        class_loss(2.0)(D, REAL, FAKE, labels), 2 * F.cross_entropy(D(REAL)[:, :3].float(), labels[:, 0])
    )


def test_clipping_moves_only_what_is_outside() -> None:
    D = nn.Linear(3, 2)
    D.weight.data = torch.tensor([[0.5, -0.5, 0.05], [-0.02, 0.1, 9.0]])
    with torch.no_grad():
        clip(0.1)(D)
    torch.testing.assert_close(D.weight.data, torch.tensor([[0.1, -0.1, 0.05], [-0.02, 0.1, 0.1]]))
    assert D.bias.abs().max() <= 0.1
