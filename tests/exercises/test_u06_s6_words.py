"""The references of section 6 against autograd, finite words, and rankings that can be read off."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from coursekit.exercises.u06_conditional_gan.known import s6_words as known
from coursekit.runtime import generator


@pytest.mark.parametrize("gradients", [known.SKIPGRAM_GRADIENTS.reference, known.skipgram_gradients])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_autograds(gradients, seed: int) -> None:
    own = generator(seed)
    inner, outer = torch.randn(2, 9, 4, generator=own, dtype=torch.float64)
    centres, contexts = torch.randint(0, 9, (2, 12), generator=own)
    negatives = torch.randint(0, 9, (12, 3), generator=own)
    u, v = inner.clone().requires_grad_(), outer.clone().requires_grad_()
    loss = -F.logsigmoid((F.embedding(centres, u) * F.embedding(contexts, v)).sum(1)).sum()
    loss = loss - F.logsigmoid(-torch.bmm(F.embedding(negatives, v), F.embedding(centres, u)[:, :, None])).sum()
    found = gradients(inner, outer, centres, contexts, negatives)
    for mine, theirs in zip(found, torch.autograd.grad(loss, [u, v])):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("tags", [known.COMMON_TAGS.reference, known.common_tags])
def test_tags_that_can_be_read_off(tags) -> None:
    """Words on the axes of a space of three; two vectors near the first, one near the third, none near the second."""
    words = torch.diag(torch.tensor([1.0, 5.0, 0.2]))
    vectors = torch.tensor([[2.0, 0.3, 0.0], [0.1, 0.0, 0.01], [0.0, 0.0, 9.0]])
    assert tags(vectors, words, 1, 3) == [0, 2]
    assert tags(vectors, words, 1, 1) == [0]
    assert tags(vectors[:2], words, 2, 1) == [0]
    assert all(type(w) is int for w in tags(vectors, words, 1, 3))


@pytest.mark.parametrize("tags", [known.COMMON_TAGS.reference, known.common_tags])
@pytest.mark.parametrize("seed", range(3))
def test_one_vector_names_its_neighbours_in_order(tags, seed: int) -> None:
    own = generator(seed)
    words, vector = torch.randn(20, 5, generator=own), torch.randn(1, 5, generator=own)
    expected = F.cosine_similarity(vector, words).argsort(descending=True)[:6].tolist()
    assert tags(vector, words, 6, 6) == expected
    assert tags(vector, words, 6, 4) == expected[:4]
    # Lengths do not matter.
    scale = torch.rand(20, 1, generator=own) + 0.1
    assert tags(3 * vector, scale * words, 6, 6) == expected
