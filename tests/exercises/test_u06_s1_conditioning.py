"""The references of section 1 against torch's one-hot, a search for the best D, and torch's optimisers."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.exercises.u06_conditional_gan.known import s1_conditioning as known
from coursekit.exercises.u06_conditional_gan.nets import LabelD, LabelG
from coursekit.runtime import generator

BOTH = [known.LABEL_INPUTS.reference, dict(zip(known.LABEL_INPUTS.question.answers, known.LABEL_INPUTS.solution))]
GAMES = [known.CONDITIONAL_GAME.reference, known.conditional_game]


@pytest.mark.parametrize("pair", BOTH)
def test_labels_are_torchs_one_hot(pair) -> None:
    x = torch.randn(4, 2, 3, 5, generator=generator(1), dtype=torch.float64)
    y = torch.tensor([2, 0, 3, 2])
    hot = F.one_hot(y, 5).double()
    found = pair["labelled_pictures"](x, y, 5)
    torch.testing.assert_close(found[:, :2], x)
    torch.testing.assert_close(found[:, 2:].amax((2, 3)), hot)
    torch.testing.assert_close(found[:, 2:].amin((2, 3)), hot)
    torch.testing.assert_close(pair["labelled_noise"](x[:, 0, 0], y, 5), torch.cat([x[:, 0, 0], hot], 1))
    assert float(pair["labelled_pictures"](x, torch.full((4,), -1), 5)[:, 2:].abs().sum()) == 0


@pytest.mark.parametrize("pair", BOTH)
def test_a_convolution_reads_maps_as_a_bias_for_each_class(pair) -> None:
    """What a discriminator's first layer makes of the maps: a number for each class, everywhere the same."""
    x = torch.randn(3, 2, 4, 5, generator=generator(1), dtype=torch.float64)
    kernel = torch.randn(6, 2 + 4, 3, 3, generator=generator(2), dtype=torch.float64)
    y = torch.tensor([1, 3, 0])
    found = F.conv2d(pair["labelled_pictures"](x, y, 4), kernel)
    shift = kernel[:, 2:].sum((2, 3)).T[y]
    torch.testing.assert_close(found, F.conv2d(x, kernel[:, :2]) + shift[:, :, None, None])


def tables(seed: int) -> tuple[Tensor, Tensor]:
    joint, q = torch.rand(2, 3, 4, generator=generator(seed), dtype=torch.float64)
    return joint / joint.sum(), q / q.sum(1, keepdim=True)


@pytest.mark.parametrize("game", GAMES)
def test_no_other_d_is_better(game) -> None:
    joint, q = tables(3)
    best, told, blind = game(joint, q)
    fakes = joint.sum(1, keepdim=True) * q

    def value(D: Tensor) -> float:
        return float((joint * D.log() + fakes * (1 - D).log()).sum())

    assert value(best) == pytest.approx(float(told))
    for target, shape in ((told, (3, 4)), (blind, (1, 4))):
        logits = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        for _ in range(1500):
            V = (joint * F.logsigmoid(logits) + fakes * F.logsigmoid(-logits)).sum()
            (slope,) = torch.autograd.grad(V, logits)
            logits = (logits + 5 * slope).detach().requires_grad_()
        assert V.item() == pytest.approx(float(target), abs=1e-6)
    assert float(blind) <= float(told)


@pytest.mark.parametrize("game", GAMES)
def test_a_generator_that_does_not_listen(game) -> None:
    joint, _ = tables(5)
    deaf = joint.sum(0, keepdim=True).repeat(3, 1)
    _, told, blind = game(joint, deaf)
    assert float(blind) == pytest.approx(-math.log(4))
    # Twice the Jensen-Shannon divergence between p(x, y) and p(x) p(y).
    product = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    middle = (joint + product) / 2
    twice = float((joint * (joint / middle).log()).sum() + (product * (product / middle).log()).sum())
    assert float(told) == pytest.approx(twice - math.log(4)) and twice > 0.01


@pytest.mark.parametrize("step", [known.CONDITIONAL_D_STEP.reference, known.conditional_d_step])
def test_step_is_an_update_of_torchs_optimiser(step) -> None:
    G, D = LabelG(3, torch.float64).train(), LabelD(4, torch.float64).train()
    twin_G, twin_D = copy.deepcopy(G), copy.deepcopy(D)
    optimizer, twin = (torch.optim.SGD(net.parameters(), 0.3, momentum=0.5) for net in (D, twin_D))
    own = generator(1)
    x = 2 * torch.rand(5, 2, 3, 5, generator=own, dtype=torch.float64) - 1
    y = torch.tensor([0, 3, 1, 2, 3])
    for _ in range(3):
        z = torch.randn(5, 3, generator=own, dtype=torch.float64)
        loss = step(D, G, optimizer, x, y, lambda n, z=z: z[:n])
        with torch.no_grad():
            fakes = twin_G(z, y)
        real, fake = twin_D(x, y), twin_D(fakes, y)
        expected = F.binary_cross_entropy(real, torch.ones_like(real)) + F.binary_cross_entropy(
            fake, torch.zeros_like(fake)
        )
        twin.zero_grad()
        expected.backward()
        twin.step()
        assert loss == pytest.approx(expected.item())
    for net, other in ((G, twin_G), (D, twin_D)):
        for name, value in net.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name])
    assert all(p.grad is None for p in G.parameters())
