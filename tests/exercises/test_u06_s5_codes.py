"""The references of section 5 against torch's optimiser, a closed form, and torch's own loss."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.exercises.u06_conditional_gan.known import s5_codes as known
from coursekit.exercises.u06_conditional_gan.nets import LabelG, Reader
from coursekit.runtime import generator

ICGANS = [known.ICGAN.reference, dict(zip(known.ICGAN.question.answers, known.ICGAN.solution))]


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("identity", [known.IDENTITY_CODE.reference, known.identity_code])
def test_code_is_that_of_torchs_optimiser(identity) -> None:
    G, phi = LabelG(1, torch.float64).train(), Reader(4, 2, torch.float64)
    x, z, y = 0.5 * drawn(3, 2, 3, 5, seed=3), drawn(3, 3, seed=4), torch.tensor([2, 0, 1])
    found, distance = identity(G, phi, x, y, z, 6, 0.02)
    assert G.training
    G.eval()
    code = z.clone().requires_grad_()
    optimizer = torch.optim.SGD([code], 0.02)
    for _ in range(6):
        optimizer.zero_grad()
        F.mse_loss(phi(G(code, y)), phi(x), reduction="sum").backward()
        optimizer.step()
    torch.testing.assert_close(found, code.detach())
    left = torch.cdist(phi(x)[:, None], phi(G(found, y))[:, None])[:, 0, 0].square()
    torch.testing.assert_close(distance, left.detach())


@pytest.mark.parametrize("identity", [known.IDENTITY_CODE.reference, known.identity_code])
def test_descent_in_a_linear_world_has_a_closed_form(identity) -> None:
    """G(z, y) = z A and phi the identity: after k steps z - z* is (1 - 2 rate A A^T)^k of what it was."""
    A = torch.tensor([[1.0, 0.0], [0.5, 1.5]], dtype=torch.float64)

    class Linear(nn.Module):
        def forward(self, z: Tensor, y: Tensor) -> Tensor:
            return z @ A

    z, goal = drawn(4, 2, seed=1), drawn(4, 2, seed=2)
    found, distance = identity(Linear(), nn.Identity(), goal @ A, torch.zeros(4), z, 7, 0.05)
    shrink = torch.linalg.matrix_power(torch.eye(2).double() - 0.1 * A @ A.T, 7)
    torch.testing.assert_close(found, goal + (z - goal) @ shrink)
    torch.testing.assert_close(distance, ((found - goal) @ A).square().sum(1))


@pytest.mark.parametrize("pair", ICGANS)
def test_encoder_losses_are_torchs(pair) -> None:
    E_z, E_y, G = Reader(3, 1, torch.float64), Reader(4, 2, torch.float64, squash=True), LabelG(3, torch.float64).eval()
    x, z = drawn(5, 2, 3, 5, seed=4), drawn(3, 3, seed=5)
    y, told = (drawn(5, 4, seed=6) > 0).double(), (drawn(3, 4, seed=7) > 0).double()
    L_z, L_y = pair["encoder_losses"](E_z, E_y, G, x, y, z, told)
    torch.testing.assert_close(L_z, 3 * F.mse_loss(E_z(G(z, told)), z))
    torch.testing.assert_close(L_y, 4 * F.mse_loss(E_y(x), y))
    (L_z + L_y).backward()
    assert all(p.grad is None for p in G.parameters())
    assert all(p.grad is not None for net in (E_z, E_y) for p in net.parameters())


@pytest.mark.parametrize("pair", ICGANS)
def test_an_edit_by_perfect_encoders_is_what_g_makes(pair) -> None:
    """Encoders that know noise and attributes by heart: editing is drawing the same noise with another attribute."""
    G = LabelG(3, torch.float64).eval()
    z, y = drawn(3, 3, seed=5), (drawn(3, 4, seed=7) > 0).double()
    x = G(z, y).detach()
    wanted = y.clone()
    wanted[:, 2] = 1.0
    found = pair["edit_pictures"](lambda x: z, lambda x: 0.2 + 0.6 * y, G, x, 2, 1.0)
    torch.testing.assert_close(found, G(wanted.new_tensor(z.tolist()), wanted).detach())
    assert not found.requires_grad
