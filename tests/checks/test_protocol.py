"""The recording optimiser: steps like SGD, and tells what happened."""

from __future__ import annotations

import copy

import torch
from torch import nn

from coursekit.checks.protocol import RecordingSGD, flat_gradient, flat_weights
from coursekit.runtime import generator, seeded


def net_and_data() -> tuple[nn.Module, torch.Tensor]:
    with seeded(0):
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    return net, torch.randn(5, 3, generator=generator(1))


def test_it_steps_like_torch_sgd() -> None:
    net, x = net_and_data()
    twin = copy.deepcopy(net)
    for model, make in ((net, RecordingSGD), (twin, torch.optim.SGD)):
        optimizer = make(model.parameters(), lr=0.3)
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(flat_weights(net.parameters()), flat_weights(twin.parameters()))


def test_events_are_told_in_order() -> None:
    net, x = net_and_data()
    optimizer = RecordingSGD(net.parameters(), lr=0.1)
    optimizer.zero_grad()
    net(x).mean().backward()
    net(2 * x).mean().backward()  # a second pass without clearing is an event of its own
    optimizer.step()
    optimizer.zero_grad()
    assert optimizer.events == ["zero_grad", "backward", "backward", "step", "zero_grad"]


def test_the_gradient_of_each_step_is_kept() -> None:
    net, x = net_and_data()
    optimizer = RecordingSGD(net.parameters(), lr=0.1)
    net(x).mean().backward()
    first = flat_gradient(net.parameters())
    optimizer.step()
    optimizer.zero_grad()
    optimizer.step()
    assert torch.equal(optimizer.gradients[0], first)
    assert torch.equal(optimizer.gradients[1], torch.zeros_like(first))


def test_zero_grad_may_keep_the_tensors() -> None:
    net, x = net_and_data()
    optimizer = RecordingSGD(net.parameters(), lr=0.1)
    net(x).mean().backward()
    optimizer.zero_grad(set_to_none=False)
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())


def test_a_closure_is_called_before_the_step() -> None:
    net, x = net_and_data()
    optimizer = RecordingSGD(net.parameters(), lr=0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = net(x).mean()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).requires_grad
    assert optimizer.events == ["zero_grad", "backward", "step"]


def test_an_old_graph_notices_the_step() -> None:
    net, x = net_and_data()
    optimizer = RecordingSGD(net.parameters(), lr=0.1)
    late = net(x).square().mean()
    net(x).mean().backward()
    optimizer.step()
    try:
        late.backward()
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:
        raise AssertionError("the weights moved under a graph, and it went unnoticed")
