"""The references of section 4 against torch's own cell and against limits that the equations promise."""

from __future__ import annotations

import pytest
import torch

from coursekit.checks.draws import Rng
from coursekit.exercises.u01_recurrent_networks.asked import s4_gru as asked
from coursekit.exercises.u01_recurrent_networks.known import s4_gru as known

H, D = asked.H, asked.D


def inputs(question, seed):
    return question.draw(Rng(seed, "test", torch.float64))


@pytest.mark.parametrize("seed", range(3))
def test_torch_convention_equals_torch(seed):
    i = inputs(asked.GRU_TORCH, seed)
    cell = torch.nn.GRUCell(D, H, dtype=torch.float64)
    z, r, n = (slice(k * H, (k + 1) * H) for k in range(3))
    with torch.no_grad():
        for name, given in (
            ("weight_ih", i["W_x"].T),
            ("weight_hh", i["W_h"].T),
            ("bias_ih", i["b_x"]),
            ("bias_hh", i["b_h"]),
        ):
            getattr(cell, name).copy_(torch.cat([given[r], given[z], given[n]]))
    torch.testing.assert_close(known._gru_rows(**i), cell(i["x"], i["h"]))


@pytest.mark.parametrize("seed", range(3))
def test_deck_convention_reaches_its_limits(seed):
    i = inputs(asked.GRU_DECK, seed)
    far = torch.full_like(i["b_z"], 50.0)
    torch.testing.assert_close(known._deck_rows(**{**i, "b_z": -far}), i["h"])
    memoryless = known._deck_rows(**{**i, "b_z": far, "b_r": -far})
    torch.testing.assert_close(memoryless, torch.tanh(i["x"] @ i["W"][:, :D].T + i["b"]))


def test_the_conventions_differ_and_the_mirror_makes_blends_equal():
    i = inputs(asked.GRU_DECK, 0)
    state = known._convert_rows(i["W_r"], i["W_z"], i["W"], i["b_r"], i["b_z"], i["b"])
    cell = torch.nn.GRUCell(D, H, dtype=torch.float64)
    cell.load_state_dict(state)
    deck = known._deck_rows(**i)
    assert (cell(i["x"], i["h"]) - deck).abs().max() > 1e-3, "reset before and after the matrix are two cells"
    state = known._convert_rows(i["W_r"], i["W_z"], i["W"], torch.full_like(i["b_r"], 50.0), i["b_z"], i["b"])
    cell.load_state_dict(state)
    opened = known._deck_rows(**{**i, "b_r": torch.full_like(i["b_r"], 50.0)})
    torch.testing.assert_close(cell(i["x"], i["h"]), opened)


def test_one_bias_for_both_gates_changes_the_cell():
    i = inputs(asked.GRU_DECK, 1)
    assert (known._deck_rows(**i) - known._deck_rows(**{**i, "b_z": i["b_r"]})).abs().max() > 0.05
