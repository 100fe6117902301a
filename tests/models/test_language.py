"""The language model: causal, and a state that stands for everything read."""

from __future__ import annotations

import pytest
import torch

from coursekit.models.language import LanguageModel
from coursekit.runtime import generator, seeded

N, T, V = 3, 7, 9


@pytest.mark.parametrize("layers", [1, 3])
def test_reading_in_two_pieces_is_reading_at_once(layers: int) -> None:
    with seeded(0):
        net = LanguageModel(V, hidden=6, embedding=5, layers=layers)
    ids = torch.randint(0, V, (N, T), generator=generator(1))
    whole, (h, c) = net(ids)
    first, state = net(ids[:, :4])
    second, (h2, c2) = net(ids[:, 4:], state)
    assert whole.shape == (N, T, V) and h.shape == (layers, N, 6)
    torch.testing.assert_close(whole, torch.cat([first, second], 1))
    torch.testing.assert_close((h, c), (h2, c2))


def test_a_token_changes_no_earlier_prediction() -> None:
    with seeded(0):
        net = LanguageModel(V, hidden=6)
    ids = torch.randint(0, V, (N, T), generator=generator(1))
    other = ids.clone()
    other[:, 4] = (other[:, 4] + 1) % V
    before, after = net(ids)[0], net(other)[0]
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amax(-1).min() > 0
