"""The reference of section 5 against torch's attention with a word of zeros, and its limits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.exercises.u08_text_to_image.known import s5_words as known
from coursekit.runtime import generator


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


ATTENTIONS = [known.WORD_CONTEXT.reference, known.word_context]


@pytest.mark.parametrize("attend", ATTENTIONS)
def test_silence_is_a_key_of_zeros(attend) -> None:
    """scaled_dot_product_attention, its scale taken out, with one more word whose key and value are 0."""
    h, words, U = normal(2, 3, 2, 4, seed=1), normal(2, 4, 5, seed=2), normal(3, 5, seed=3)
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    keys = torch.cat([torch.zeros(2, 1, 3, dtype=torch.float64), words @ U.T], 1)
    seen = torch.cat([torch.ones(2, 1, dtype=torch.bool), mask], 1)[:, None]
    queries = h.flatten(2).transpose(1, 2)
    expected = F.scaled_dot_product_attention(queries, keys, keys, attn_mask=seen, scale=1.0)
    context, weights = attend(h, words, U, mask)
    torch.testing.assert_close(context, expected.transpose(1, 2).view(2, 3, 2, 4))
    left = 1 - weights.sum(1)  # the share of silence: 1 / (1 + sum exp)
    scores = torch.einsum("nchw,nic->nihw", h, words @ U.T).masked_fill(~mask[..., None, None], -torch.inf)
    torch.testing.assert_close(left, torch.sigmoid(-scores.logsumexp(1)))


@pytest.mark.parametrize("attend", ATTENTIONS)
def test_one_word_is_a_sigmoid(attend) -> None:
    h, word, U = normal(1, 3, 2, 2, seed=4), normal(1, 1, 3, seed=5), torch.eye(3, dtype=torch.float64)
    context, weights = attend(h, word, U, torch.ones(1, 1, dtype=torch.bool))
    torch.testing.assert_close(weights[:, 0], torch.sigmoid(torch.einsum("nchw,c->nhw", h, word[0, 0])))
    torch.testing.assert_close(context, weights * word[0, 0][None, :, None, None])
    context, weights = attend(h, word, U, torch.zeros(1, 1, dtype=torch.bool))
    assert not context.any() and not weights.any()
