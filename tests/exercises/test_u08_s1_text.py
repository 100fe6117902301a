"""The references of section 1 against torch's encodings, losses and sorting."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.exercises.u08_text_to_image.known import s1_text as known
from coursekit.runtime import generator


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


ENCODERS = [known.CHAR_ONE_HOT.reference, known.char_one_hot]
HINGES = [known.STRUCTURED_HINGE.reference, known.structured_hinge]
RECALLS = [known.RECALL_AT_K.reference, known.recall_at_k]


@pytest.mark.parametrize("encode", ENCODERS)
def test_characters_can_be_read_back(encode) -> None:
    alphabet = " abcdefghijklmnopqrstuvwxyz"
    codes = encode(["A Red bird!", ""], alphabet, 14)
    assert codes.shape == (2, 27, 14) and codes.dtype == torch.float32
    known_places = codes.sum(1) > 0
    text = "".join(alphabet[int(k)] if there else "?" for k, there in zip(codes[0].argmax(0), known_places[0]))
    assert text == "a red bird????"
    assert not codes[1].any()


@pytest.mark.parametrize("hinge", HINGES)
def test_two_pairs_of_two_classes_are_a_margin_ranking_loss(hinge) -> None:
    """With two classes of one pair each the maximum over classes is torch's own margin loss of the only rival."""
    v, t = normal(2, 4, seed=1), normal(2, 4, seed=2)
    scores, other = v @ t.T, torch.tensor([1, 0])
    own, ones = scores.diagonal(), torch.ones(2, dtype=torch.float64)
    expected = sum(
        F.margin_ranking_loss(own, table[torch.arange(2), other], ones, margin=1.0) for table in (scores, scores.T)
    )
    torch.testing.assert_close(hinge(v, t, torch.tensor([4, 9])), expected)


@pytest.mark.parametrize("hinge", HINGES)
def test_captions_of_one_class_are_not_pushed_apart(hinge) -> None:
    """One class alone: only a pair below its class's mean costs, and no margin is asked for."""
    v, t, y = normal(3, 4, seed=3), normal(3, 4, seed=4), torch.tensor([2, 2, 2])
    scores = v @ t.T
    by_text = torch.relu(scores.mean(1) - scores.diagonal())
    by_image = torch.relu(scores.mean(0) - scores.diagonal())
    torch.testing.assert_close(hinge(v, t, y), (by_text + by_image).mean())
    equal = normal(1, 4, seed=5).expand(3, 4)
    assert float(hinge(equal, equal, y)) == pytest.approx(0, abs=1e-12)
    apart = 3 * torch.eye(3, dtype=torch.float64)
    assert float(hinge(apart, apart, torch.arange(3))) == 0


@pytest.mark.parametrize("recall", RECALLS)
def test_recall_without_ties_is_that_of_topk(recall) -> None:
    scores = normal(20, 20, seed=6)
    right = torch.arange(20)[:, None]
    for k in (1, 4, 20):
        expected = [
            (table.topk(k, dim=1).indices == right).any(1).double().mean().item() for table in (scores, scores.T)
        ]
        assert list(recall(scores, k)) == pytest.approx(expected)


@pytest.mark.parametrize("recall", RECALLS)
def test_an_encoder_that_has_collapsed_recalls_nothing(recall) -> None:
    """The worst order among equals: a grain less for the right one decides every tie."""
    scores = (3 * normal(15, 15, seed=7)).round()
    worst = scores - 1e-6 * torch.eye(15, dtype=torch.float64)
    for k in (1, 3, 8):
        assert recall(scores, k) == pytest.approx(recall(worst, k))
    assert tuple(recall(torch.zeros(9, 9), 8)) == (0, 0)
    assert tuple(recall(torch.zeros(9, 9), 9)) == (1, 1)
