"""The references of section 2, second half, against torch's clipping functions and torch's optimiser."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.checks.protocol import RecordingSGD, flat_gradient, flat_weights
from coursekit.exercises.u01_recurrent_networks.asked import s2_steps as asked
from coursekit.exercises.u01_recurrent_networks.known import s2_steps as known
from coursekit.runtime import generator, seeded


def parameters(seed: int) -> list[nn.Parameter]:
    made = []
    for k, shape in enumerate([(3, 2), (4,), (2, 2, 2)]):
        p = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        p.grad = torch.randn(shape, generator=generator(seed + k), dtype=torch.float64)
        made.append(p)
    return [*made, nn.Parameter(torch.zeros(2, dtype=torch.float64))]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limit", [0.3, 2.0, 100.0])
def test_clip_norm_is_torchs(seed: int, limit: float) -> None:
    mine, theirs = parameters(seed), parameters(seed)
    before = flat_gradient(mine)
    norm = known.CLIP_NORM.reference(mine, limit)
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit)
    assert norm == pytest.approx(expected.item())
    torch.testing.assert_close(flat_gradient(mine), flat_gradient(theirs), rtol=1e-5, atol=1e-8)  # torch adds 1e-6
    assert F.cosine_similarity(before, flat_gradient(mine), dim=0).item() == pytest.approx(1.0)
    assert mine[-1].grad is None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limit", [0.3, 100.0])
def test_clip_value_is_torchs(seed: int, limit: float) -> None:
    mine, theirs = parameters(seed), parameters(seed)
    before = flat_gradient(mine)
    cosine = known.CLIP_VALUE.reference(mine, limit)
    torch.nn.utils.clip_grad_value_(theirs, limit)
    assert torch.equal(flat_gradient(mine), flat_gradient(theirs))
    assert cosine == pytest.approx(F.cosine_similarity(before, flat_gradient(theirs), dim=0).item())
    assert (cosine == pytest.approx(1.0)) == (limit == 100.0)
    assert mine[-1].grad is None


def stream(seed: int, T: int) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    with seeded(seed):
        net = asked.Reader(2, 3).double()
    rng = generator(seed)
    x, y, h = (torch.randn(shape, generator=rng, dtype=torch.float64) for shape in ((2, T, 2), (2, T), (2, 3)))
    return net, x, y, h


@pytest.mark.parametrize("T, k", [(4, 4), (9, 3), (7, 3), (3, 10)])
def test_truncated_bptt_is_the_textbook_loop(T: int, k: int) -> None:
    net, x, y, h = stream(0, T)
    twin = copy.deepcopy(net)
    losses, last = known.TRUNCATED_BPTT.reference(net, RecordingSGD(net.parameters(), lr=0.2), x, y, h, k)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.2)
    state, expected = h[None], []
    for a in range(0, T, k):
        states, state = twin.rnn(x[:, a : a + k], state.detach())
        loss = ((twin.head(states)[..., 0] - y[:, a : a + k]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses == pytest.approx(expected)
    torch.testing.assert_close(last, state[0].detach())
    torch.testing.assert_close(flat_weights(net.parameters()), flat_weights(twin.parameters()))


def test_the_gradient_stops_at_the_border_of_a_chunk() -> None:
    # With a huge k the first step's input matters to the last prediction; cut into steps of one, no gradient gets there.
    net, x, y, h = stream(1, 6)
    whole = RecordingSGD(net.parameters(), lr=0.0)
    known.TRUNCATED_BPTT.reference(net, whole, x, y, h, 6)
    loss = F.mse_loss(net(x, h)[0], y)
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))])
    torch.testing.assert_close(whole.gradients[0], expected)
    cut = RecordingSGD(net.parameters(), lr=0.0)
    known.TRUNCATED_BPTT.reference(net, cut, x, y, h, 3)
    assert (torch.stack(cut.gradients).mean(0) - expected).norm() > 1e-3 * expected.norm()
