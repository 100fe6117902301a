"""The references of section 3 against torch's own layers, finite differences, and torch.optim."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises.u08_text_to_image.known import s3_conditioning as known
from coursekit.exercises.u08_text_to_image.nets import TextD, TextG, made
from coursekit.runtime import generator


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("text_maps", [known.TEXT_MAPS.reference, known.text_maps])
def test_text_in_maps_by_torchs_layers(text_maps) -> None:
    """nn.Linear, nn.Upsample (which copies) and nn.Conv2d."""
    linear, convolution, leak = nn.Linear(5, 2).double(), nn.Conv2d(5, 4, 1).double(), nn.LeakyReLU(0.2)
    h, phi = normal(2, 3, 4, 6, seed=1), normal(2, 5, seed=2)
    copies = nn.Upsample(size=(4, 6), mode="nearest")(leak(linear(phi))[:, :, None, None])
    expected = leak(convolution(torch.cat([h, copies], 1)))
    weights = linear.weight, linear.bias, convolution.weight[:, :, 0, 0], convolution.bias
    torch.testing.assert_close(text_maps(h, phi, *weights), expected)


@pytest.mark.parametrize("loss", [known.BETWEEN_LOSS.reference, known.between_loss])
def test_the_ends_are_the_ordinary_loss(loss) -> None:
    G, D = made(TextG, 1, torch.float64).eval(), made(TextD, 2, torch.float64)
    phi, z, partner = normal(4, 4, seed=3), normal(4, 3, seed=4), torch.tensor([2, 0, 3, 1])
    for beta, text in ((1.0, phi), (0.0, phi[partner])):
        expected = F.binary_cross_entropy(torch.sigmoid(D(G(z, text), text)), torch.ones(4, dtype=torch.float64))
        got = loss(G, D, phi, partner, torch.full((4,), beta, dtype=torch.float64), z)
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("loss", [known.BETWEEN_LOSS.reference, known.between_loss])
def test_halfway_does_not_know_which_end_is_which(loss) -> None:
    G, D = made(TextG, 1, torch.float64).eval(), made(TextD, 2, torch.float64)
    phi, z = normal(2, 4, seed=3), normal(1, 3, seed=4).expand(2, 3)
    half = torch.full((2,), 0.5, dtype=torch.float64)
    value = loss(G, D, phi, torch.tensor([1, 0]), half, z)
    middle = phi.mean(0, keepdim=True)
    torch.testing.assert_close(value, F.softplus(-D(G(z[:1], middle), middle))[0])


@pytest.mark.parametrize("step", [known.MATCHING_STEP.reference, known.matching_step])
def test_a_step_by_torchs_sgd_and_mse(step) -> None:
    G, D = made(TextG, 5, torch.float64), made(TextD, 6, torch.float64)
    x, phi, wrong, z = normal(3, 2, 3, 4, seed=1), normal(3, 4, seed=2), normal(3, 4, seed=3), normal(3, 3, seed=4)
    twin_G, twin = copy.deepcopy(G), copy.deepcopy(D)
    optimizer = torch.optim.SGD(D.parameters(), lr=0.3)
    before = [p.clone() for p in G.parameters()]
    loss = step(D, G, optimizer, x, phi, wrong, z)
    one, nought = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    expected = F.mse_loss(twin(x, phi), one) + 0.5 * F.mse_loss(twin(x, wrong), nought)
    expected = expected + 0.5 * F.mse_loss(twin(twin_G(z, phi), phi), nought)
    assert loss == pytest.approx(expected.item()) and isinstance(loss, float)
    for moved, old, slope in zip(
        D.parameters(), twin.parameters(), torch.autograd.grad(expected, list(twin.parameters()))
    ):
        torch.testing.assert_close(moved, old - 0.3 * slope)
    assert all(torch.equal(p, q) and p.grad is None for p, q in zip(G.parameters(), before))
