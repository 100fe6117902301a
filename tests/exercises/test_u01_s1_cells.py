"""The references of section 1 against torch's own modules."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from coursekit.exercises.u01_recurrent_networks.known import s1_cells as known
from coursekit.runtime import generator

SEEDS = range(3)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("seed", SEEDS)
def test_relu_cell_is_torchs_rnn_cell(seed: int) -> None:
    N, D, H = 3, 4, 5
    shapes = ((N, D), (N, H), (H, D + H), (H,))
    x, h, W, b = (normal(*shape, seed=seed + 10 * k) for k, shape in enumerate(shapes))
    cell = nn.RNNCell(D, H, nonlinearity="relu", dtype=torch.float64)
    weights = {"weight_ih": W[:, :D], "weight_hh": W[:, D:], "bias_ih": b, "bias_hh": torch.zeros_like(b)}
    expected = torch.func.functional_call(cell, weights, (x, h))
    torch.testing.assert_close(known.RELU_CELL.reference(x, h, W, b), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_unroll_is_torchs_bidirectional_rnn(seed: int) -> None:
    N, T, D, H = 3, 6, 2, 4
    x, h = normal(N, T, D, seed=seed), normal(2, N, H, seed=seed + 10)
    rnn = nn.RNN(D, H, bias=False, batch_first=True, bidirectional=True, dtype=torch.float64)
    states, last = rnn(x, h)
    for direction, suffix in enumerate(("", "_reverse")):
        W_hx, W_hh = getattr(rnn, f"weight_ih_l0{suffix}"), getattr(rnn, f"weight_hh_l0{suffix}")
        mine, end = known.UNROLL.reference(
            lambda x_t, h_t, W_hx=W_hx, W_hh=W_hh: torch.tanh(x_t @ W_hx.T + h_t @ W_hh.T),
            x,
            h[direction],
            direction == 1,
        )
        torch.testing.assert_close(mine, states[:, :, direction * H : (direction + 1) * H])
        torch.testing.assert_close(end, last[direction])


@pytest.mark.parametrize("seed", SEEDS)
def test_masked_loss_is_the_loss_of_the_packed_sequences(seed: int) -> None:
    N, T, C = 4, 6, 5
    logits = normal(N, T, C, seed=seed).requires_grad_()
    y = torch.randint(0, C, (N, T), generator=generator(seed))
    lengths = torch.tensor([2, 6, 1, 4])
    packed = [pack_padded_sequence(z, lengths, batch_first=True, enforce_sorted=False).data for z in (logits, y)]
    expected = F.cross_entropy(*packed)
    loss = known.MASKED_LOSS.reference(logits, y, lengths)
    torch.testing.assert_close(loss, expected)
    (grad,) = torch.autograd.grad(loss, logits, retain_graph=True)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, logits)[0])
    padding = torch.arange(T) >= lengths[:, None]
    assert not grad[padding].any()


def test_masked_loss_ignores_nan_in_the_padding() -> None:
    logits = normal(2, 3, 4, seed=0)
    y, lengths = torch.tensor([[1, 2, 0], [3, 0, 0]]), torch.tensor([2, 1])
    clean = known.MASKED_LOSS.reference(logits, y, lengths)
    spoilt = logits.masked_fill((torch.arange(3) >= lengths[:, None])[:, :, None], float("nan"))
    torch.testing.assert_close(known.MASKED_LOSS.reference(spoilt, y, lengths), clean)
