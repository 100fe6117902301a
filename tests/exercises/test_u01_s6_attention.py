"""The references of section 6 against torch's own attention and against limits."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from coursekit.checks.draws import Rng
from coursekit.exercises.u01_recurrent_networks.asked import s6_attention as asked
from coursekit.exercises.u01_recurrent_networks.known import s6_attention as known


def inputs(question, seed):
    return question.draw(Rng(seed, "test", torch.float64))


@pytest.mark.parametrize("seed", range(3))
def test_dot_equals_torch_without_its_scale(seed):
    i = inputs(asked.DOT_ATTENTION, seed)
    context, weights = known._dot_loops(i["query"], i["memory"], i["mask"])
    library = F.scaled_dot_product_attention(
        i["query"][:, None], i["memory"], i["memory"], attn_mask=i["mask"][:, None], scale=1.0
    )
    torch.testing.assert_close(context, library[:, 0])
    torch.testing.assert_close(weights.sum(1), torch.ones(3, dtype=torch.float64))


def test_every_draw_has_padding_and_a_full_row():
    for question in (asked.DOT_ATTENTION, asked.ADDITIVE_ATTENTION):
        for seed in range(50):
            mask = inputs(question, seed)["mask"]
            lengths = mask.sum(1)
            assert (lengths == mask.shape[1]).sum() == 1
            assert lengths.min() >= 2


@pytest.mark.parametrize("seed", range(3))
def test_additive_equals_bahdanau_by_hand(seed):
    i = inputs(asked.ADDITIVE_ATTENTION, seed)
    context, weights = known._additive_loops(**i)
    n, t = 1, 2
    scores = torch.stack([i["v"] @ torch.tanh(i["W_q"] @ i["queries"][n, t] + i["W_m"] @ m) for m in i["memory"][n]])
    expected = scores[i["mask"][n]].softmax(0)
    torch.testing.assert_close(weights[n, t][i["mask"][n]], expected)
    torch.testing.assert_close(context[n, t], expected @ i["memory"][n][i["mask"][n]])


@pytest.mark.parametrize("seed", range(3))
def test_causal_equals_torch(seed):
    i = inputs(asked.CAUSAL_SELF_ATTENTION, seed)
    out, weights = known._causal_loops(**i)
    q, k, v = (i["x"] @ i[name].T for name in ("W_q", "W_k", "W_v"))
    torch.testing.assert_close(out, F.scaled_dot_product_attention(q, k, v, is_causal=True))
    assert torch.equal(weights.triu(1), torch.zeros_like(weights))
    assert math.isclose(weights[0, 0, 0].item(), 1.0)
