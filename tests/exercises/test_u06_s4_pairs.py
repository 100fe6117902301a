"""The references of section 4 against torch's optimisers and separate gradients."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from coursekit.exercises.u06_conditional_gan.known import s4_pairs as known
from coursekit.exercises.u06_conditional_gan.nets import JointD, PlainG, Reader
from coursekit.runtime import generator, seeded


def towers() -> tuple[nn.Sequential, nn.Sequential]:
    def tower() -> nn.Sequential:
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)).double()

    with seeded(1):
        return tower(), tower()


@pytest.mark.parametrize("couple", [known.COUPLE.reference, known.couple])
@pytest.mark.parametrize(("shared", "end"), [(3, "front"), (1, "back"), (0, "back")])
def test_gradients_of_both_domains_add_up_in_what_is_shared(couple, shared: int, end: str) -> None:
    first, second = towers()
    x = torch.randn(6, 3, generator=generator(2), dtype=torch.float64)
    listed = couple(first, second, shared, end)
    alone = copy.deepcopy(first), copy.deepcopy(second)  # copied one by one: nothing is shared any more
    for net in alone:
        net(x).square().mean().backward()
    (first(x).square().mean() + second(x).square().mean()).backward()
    for k, layer in enumerate(first):
        is_shared = k < shared if end == "front" else k >= 5 - shared
        assert (layer is second[k]) == is_shared
        for name, parameter in layer.named_parameters():
            grads = [dict(net[k].named_parameters())[name].grad for net in alone]
            torch.testing.assert_close(parameter.grad, grads[0] + grads[1] if is_shared else grads[0])
    assert len({id(p) for p in listed}) == len(listed)
    assert {id(p) for p in listed} == {id(p) for net in (first, second) for p in net.parameters()}


@pytest.mark.parametrize("couple", [known.COUPLE.reference, known.couple])
def test_shared_layers_stay_shared_while_training(couple) -> None:
    first, second = towers()
    optimizer = torch.optim.Adam(couple(first, second, 3, "front"), lr=0.05)  # torch warns of a parameter listed twice
    x = torch.randn(6, 3, generator=generator(2), dtype=torch.float64)
    for _ in range(5):
        optimizer.zero_grad()
        ((first(x) - 1).square().mean() + (second(x) + 1).square().mean()).backward()
        optimizer.step()
    torch.testing.assert_close(first[:3](x), second[:3](x), rtol=0, atol=0)
    assert not torch.allclose(first(x), second(x))


@pytest.mark.parametrize("step", [known.BIGAN_STEP.reference, known.bigan_step])
def test_step_is_two_updates_of_torchs_optimisers(step) -> None:
    nets = JointD(1, torch.float64), Reader(3, 2, torch.float64), PlainG(3, torch.float64)
    twins = copy.deepcopy(nets)

    def optimisers(D, E, G):
        pair = [*E.parameters(), *G.parameters()]
        return [torch.optim.SGD(p, 0.4, momentum=0.5) for p in (list(D.parameters()), pair)]

    mine, theirs = optimisers(*nets), optimisers(*twins)
    own, (D, E, G) = generator(4), twins
    bce = F.binary_cross_entropy
    for _ in range(3):
        x = 2 * torch.rand(5, 2, 3, 5, generator=own, dtype=torch.float64) - 1
        z = torch.randn(3, 3, generator=own, dtype=torch.float64)
        losses = step(*nets, *mine, x, z)
        expected = []
        for optimizer, label in zip(theirs, (1.0, 0.0)):
            a, b = D(x, E(x)).sigmoid(), D(G(z), z).sigmoid()
            loss = bce(a, torch.full_like(a, label)) + bce(b, torch.full_like(b, 1 - label))
            weights = optimizer.param_groups[0]["params"]
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
                weight.grad = gradient
            optimizer.step()
            expected.append(loss.item())
        assert losses == pytest.approx(expected)
    for net, twin in zip(nets, twins):
        for p, q in zip(net.parameters(), twin.parameters()):
            torch.testing.assert_close(p, q)
