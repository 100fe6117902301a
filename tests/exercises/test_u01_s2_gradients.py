"""The references of section 2, first half, against autograd, finite differences and measured Jacobians."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coursekit.exercises.u01_recurrent_networks.asked import s2_gradients as asked
from coursekit.exercises.u01_recurrent_networks.known import s2_gradients as known
from coursekit.runtime import generator

SEEDS = range(3)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("seed", SEEDS)
def test_bptt_is_autograd(seed: int) -> None:
    N, T, D, H = 2, 7, 3, 5
    shapes = {"x": (N, T, D), "h": (N, H), "W_hx": (H, D), "W_hh": (H, H), "b": (H,)}
    leaves = {
        name: normal(*shape, seed=seed + 10 * k).requires_grad_() for k, (name, shape) in enumerate(shapes.items())
    }
    dh = normal(N, T, H, seed=seed + 99)
    states = asked.relu_states(**leaves)
    loss = (states[:, 1:] * dh).sum()
    expected = torch.autograd.grad(loss, [leaves[name] for name in ("W_hx", "W_hh", "b", "h")])
    with torch.no_grad():
        got = known.BPTT.reference(leaves["x"], states, leaves["W_hh"], dh)
    for mine, theirs in zip(got, expected):
        torch.testing.assert_close(mine, theirs)


def test_relu_states_are_torchs() -> None:
    N, T, D, H = 2, 4, 3, 5
    rnn = torch.nn.RNN(D, H, nonlinearity="relu", batch_first=True, dtype=torch.float64)
    x, h = normal(N, T, D, seed=1), normal(N, H, seed=2)
    states = asked.relu_states(x, h, rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0 + rnn.bias_hh_l0)
    torch.testing.assert_close(states[:, 0], h)
    torch.testing.assert_close(states[:, 1:], rnn(x, h[None])[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_tied_step_follows_the_finite_difference(seed: int) -> None:
    inputs = asked.SUMMED_UPDATES.inputs(seed, torch.float64)[0]
    loss, W, T, lr = asked._unfolded_loss(inputs), inputs["W"], 5, 0.1
    slope = torch.zeros_like(W)
    for j in range(W.shape[0]):
        for k in range(W.shape[1]):
            nudge = torch.zeros_like(W)
            nudge[j, k] = 1e-6
            slope[j, k] = (loss([W + nudge] * T) - loss([W - nudge] * T)) / 2e-6
    answer = known.SUMMED_UPDATES.reference
    torch.testing.assert_close(answer["tied_step"](loss, W, T, lr), W - lr * slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("T", [1, 3, 8])
def test_the_averaged_rule_takes_the_same_step_at_the_matching_rate(T: int) -> None:
    inputs = asked.SUMMED_UPDATES.inputs(0, torch.float64)[0]
    loss, W = (
        asked._unfolded_loss({**inputs, "x": normal(2, T, 3, seed=3), "weights": normal(2, T, 3, seed=4)}),
        inputs["W"],
    )
    copies = [W.clone().requires_grad_() for _ in range(T)]
    mean = torch.stack(torch.autograd.grad(loss(copies), copies)).mean(0)
    answer = known.SUMMED_UPDATES.reference
    torch.testing.assert_close(answer["tied_step"](loss, W, T, 0.2), W - answer["matching_rate"](0.2, T) * mean)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("squash, gamma", [(torch.tanh, 1.0), (torch.sigmoid, 0.25)])
def test_no_measured_jacobian_exceeds_the_bound(seed: int, squash, gamma: float) -> None:  # type: ignore[no-untyped-def]
    D = 3
    for W in asked.SPECTRAL_BOUND.inputs(seed, torch.float64)[0].values():
        h = normal(W.shape[0], seed=seed)
        J = torch.eye(W.shape[0], dtype=torch.float64)
        for t in range(1, 13):
            x = normal(D, seed=seed + 100 * t)
            J = torch.autograd.functional.jacobian(lambda h: squash(W @ torch.cat([x, h])), h) @ J
            h = squash(W @ torch.cat([x, h]))
            bound = known.SPECTRAL_BOUND.reference["jacobian_bound"](W, D, gamma, t)
            assert torch.linalg.matrix_norm(J, 2) <= bound * (1 + 1e-9)


def test_the_bound_is_reached_by_a_linear_direction() -> None:
    # At h = 0 with x = 0 tanh has slope 1, and one step from there stretches its first singular direction by lambda_1.
    W = normal(4, 7, seed=5)
    J = torch.autograd.functional.jacobian(
        lambda h: torch.tanh(W @ torch.cat([torch.zeros(3, dtype=torch.float64), h])),
        torch.zeros(4, dtype=torch.float64),
    )
    bound = known.SPECTRAL_BOUND.reference["jacobian_bound"](W, 3, 1.0, 1)
    assert torch.linalg.matrix_norm(J, 2).item() == pytest.approx(bound)


def test_the_counterexample_vanishes_where_the_slide_says_explodes(capsys: pytest.CaptureFixture[str]) -> None:
    asked.counterexample()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("it explodes" in line and float(line.rsplit(" ", 1)[1]) < 1e-3 for line in lines)
