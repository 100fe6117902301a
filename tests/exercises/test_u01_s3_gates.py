"""The references of section 3 against torch's LSTM, with and without further inputs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from coursekit.exercises.u01_recurrent_networks.known import s3_gates as known
from coursekit.runtime import generator, seeded

N, D, H = 3, 2, 4


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def draw(seed: int) -> tuple[Tensor, ...]:
    shapes = ((N, D), (N, H), (N, H), (4 * H, D + H), (4 * H,))
    return tuple(normal(*shape, seed=seed + 10 * k) for k, shape in enumerate(shapes))


def torch_cell(x: Tensor, h: Tensor, c: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """torch.nn.LSTMCell with rows i, f, g, o; x may be wider than D."""
    width = x.shape[1]
    cell = nn.LSTMCell(width, H, dtype=torch.float64)
    weights = {"weight_ih": W[:, :width], "weight_hh": W[:, width:], "bias_ih": b, "bias_hh": torch.zeros_like(b)}
    return torch.func.functional_call(cell, weights, (x, (h, c)))


@pytest.mark.parametrize("seed", range(3))
def test_popular_lstm_is_torchs_cell_with_its_rows_reordered(seed: int) -> None:
    x, h, c, W, b = draw(seed)
    o, f, g, i = W.chunk(4)
    bo, bf, bg, bi = b.chunk(4)
    expected = torch_cell(x, h, c, torch.cat([i, f, g, o]), torch.cat([bi, bf, bg, bo]))
    for mine, theirs in zip(known.POPULAR_LSTM.reference(x, h, c, W, b), expected):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("seed", range(3))
def test_peepholes_are_further_inputs_of_torchs_cell(seed: int) -> None:
    # A cell that reads (x, c_old, c_new) does with plain weights what peepholes do; c_new depends on no output gate.
    x, h, c, W, b = draw(seed)
    P = normal(3, H, seed=seed + 77)
    state, new = known.PEEPHOLE_LSTM.reference(x, h, c, W, b, P)
    peep = torch.zeros(4 * H, 2 * H, dtype=torch.float64)
    peep[:H, :H], peep[H : 2 * H, :H], peep[3 * H :, H:] = P[0].diag(), P[1].diag(), P[2].diag()
    wide = torch.cat([W[:, :D], peep, W[:, D:]], dim=1)
    expected = torch_cell(torch.cat([x, c, new], dim=1), h, c, wide, b)
    torch.testing.assert_close(state, expected[0])
    torch.testing.assert_close(new, expected[1])


@pytest.mark.parametrize("seed", range(3))
def test_without_peepholes_it_is_torchs_cell(seed: int) -> None:
    x, h, c, W, b = draw(seed)
    got = known.PEEPHOLE_LSTM.reference(x, h, c, W, b, torch.zeros(3, H, dtype=torch.float64))
    for mine, theirs in zip(got, torch_cell(x, h, c, W, b)):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("layers, two_way", [(1, False), (2, True)])
def test_forget_gates_open_as_asked(layers: int, two_way: bool) -> None:
    p = 0.93
    with seeded(0):
        lstm = nn.LSTM(D, H, num_layers=layers, bidirectional=two_way).double()
    before = {name: value.clone() for name, value in lstm.state_dict().items()}
    known.FORGET_BIAS.reference(lstm, p)
    # Witness: the first layer's own dynamics. With x = h = 0, raising c by 1 raises the next cell state by the forget gate.
    zeros = torch.zeros(1, 1, D, dtype=torch.float64)
    start = torch.zeros(layers * (2 if two_way else 1), 1, H, dtype=torch.float64)
    _, (_, low) = lstm(zeros, (start, start))
    _, (_, high) = lstm(zeros, (start, start + 1))
    torch.testing.assert_close((high - low)[0], torch.full((1, H), p, dtype=torch.float64))
    for name, value in lstm.state_dict().items():
        if name.startswith("bias_ih"):
            total = value + lstm.state_dict()[name.replace("ih", "hh")]
            torch.testing.assert_close(torch.sigmoid(total[H : 2 * H]), torch.full((H,), p, dtype=torch.float64))
            old = before[name] + before[name.replace("ih", "hh")]
            torch.testing.assert_close(torch.cat([total[:H], total[2 * H :]]), torch.cat([old[:H], old[2 * H :]]))
        elif name.startswith("weight"):
            assert torch.equal(value, before[name])
