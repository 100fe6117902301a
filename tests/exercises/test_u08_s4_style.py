"""The references of section 4 against a linear case, scikit-learn and a Monte-Carlo estimate."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from coursekit.exercises.u08_text_to_image.known import s4_style as known
from coursekit.exercises.u08_text_to_image.nets import StyleS, TextG, made
from coursekit.runtime import generator


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


LOSSES = [known.STYLE_LOSS.reference, known.style_loss]
AREAS = [known.VERIFICATION_AUC.reference, known.verification_auc]


class LinearG(nn.Module):
    """z, phi -> A z + phi."""

    def __init__(self, A: Tensor) -> None:
        super().__init__()
        self.A = nn.Parameter(A)

    def forward(self, z: Tensor, phi: Tensor) -> Tensor:
        return z @ self.A.T + phi


class LinearS(nn.Module):
    def __init__(self, A: Tensor) -> None:
        super().__init__()
        self.W = nn.Parameter(A)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.W.T


@pytest.mark.parametrize("loss", LOSSES)
def test_an_inverse_has_no_loss_and_no_slope(loss) -> None:
    A = normal(3, 3, seed=1) + 2 * torch.eye(3, dtype=torch.float64)
    G, S = LinearG(A), LinearS(torch.linalg.inv(A))
    z, phi = normal(7, 3, seed=2), torch.zeros(7, 3, dtype=torch.float64)
    assert loss(S, G, phi, z).item() == pytest.approx(0, abs=1e-20)
    nothing = LinearS(torch.zeros(3, 3, dtype=torch.float64))
    value = loss(nothing, G, phi, z)
    torch.testing.assert_close(value, z.norm(dim=1).square().mean())
    value.backward()
    # d/dW mean |z - W x|^2 at W = 0 is -2 mean z x^T.
    torch.testing.assert_close(nothing.W.grad, -2 * z.T @ (z @ A.T) / 7)
    assert G.A.grad is None


@pytest.mark.parametrize("loss", LOSSES)
def test_a_style_encoder_that_knows_nothing_costs_z(loss) -> None:
    """S = 0: the expectation of a squared length of width 3 is 3."""
    G, S = made(TextG, 1, torch.float64), made(StyleS, 2, torch.float64)
    nn.init.zeros_(S.head.weight)
    nn.init.zeros_(S.head.bias)
    value = loss(S, G, normal(4000, 4, seed=3), normal(4000, 3, seed=4)).item()
    assert value == pytest.approx(3, abs=0.15)  # standard deviation sqrt(6 / 4000) = 0.039


@pytest.mark.parametrize("area", AREAS)
def test_area_is_that_of_scikit_learn(area) -> None:
    same, other = normal(30, seed=1) + 0.7, normal(50, seed=2)
    for digits in (8, 0):  # rounded to whole numbers there are ties
        s, o = (t.mul(10**digits).round().div(10**digits) for t in (same, other))
        expected = roc_auc_score([1] * 30 + [0] * 50, torch.cat([s, o]).tolist())
        assert float(area(s, o)) == pytest.approx(expected)
