"""The references of section 7 against the kit's own measure, scipy's truncated normal, and pictures that are painted."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest, truncnorm

from coursekit.datasets import birds
from coursekit.exercises.u08_text_to_image.known import s7_measures as known
from coursekit.metrics import caption_accuracy
from coursekit.runtime import generator


@pytest.mark.parametrize("score", [known.CAPTION_SCORE.reference, known.caption_score])
def test_score_is_the_kits_where_texts_are_parsed(score) -> None:
    own = generator(0)
    asked_for, drawn = birds.sample(60, generator=own), birds.sample(60, generator=own).stack()
    texts = birds.caption(asked_for, generator=own)
    # Half of the pictures are right in everything.
    read = torch.where(torch.arange(60)[:, None] % 2 == 0, asked_for.stack(), drawn)
    facts = torch.full((60, 7), -1)
    for n, text in enumerate(texts):
        for name, value in birds.parse(text).items():
            facts[n, list(birds.NAMES).index(name)] = birds.NAMES[name].index(value)
    shares, whole = score(read, facts)
    expected = caption_accuracy(texts, read, birds.NAMES, birds.parse)
    assert float(whole) == pytest.approx(expected.captions)
    told = (facts >= 0).sum(0)
    assert float((shares * told).sum() / told.sum()) == pytest.approx(expected.facts)
    nobody = score(read[:2], torch.full((2, 7), -1))
    assert nobody[0].isnan().all() and float(nobody[1]) != float(nobody[1])


@pytest.mark.parametrize("noise", [known.TRUNCATED_NOISE.reference, known.truncated_noise])
@pytest.mark.parametrize("limit", [0.4, 1.45])
def test_noise_is_scipys_truncated_normal(noise, limit: float) -> None:
    z = noise(200, 40, limit, generator(1))
    assert z.shape == (200, 40) and z.dtype == torch.float32 and float(z.abs().max()) <= limit + 1e-6
    assert kstest(z.flatten().double().numpy(), truncnorm(-limit, limit).cdf).pvalue > 1e-3


@pytest.mark.parametrize("boxes", [known.CAPTION_BOXES.reference, known.caption_boxes])
@pytest.mark.parametrize("relation", ["above", "below", "left of", "to the right of"])
def test_painted_things_lie_as_the_caption_says(boxes, relation: str) -> None:
    """Two boxes painted into a picture: their centres of mass say where they are, and they do not touch."""
    things = boxes(f"a red star {relation} a blue circle", 40)
    assert [thing[:2] for thing in things] == [("red", "star"), ("blue", "circle")]
    rows, columns = torch.meshgrid(torch.arange(40.0) + 0.5, torch.arange(40.0) + 0.5, indexing="ij")
    masks = [
        (rows > top) & (rows < bottom) & (columns > left) & (columns < right)
        for _, _, (left, top, right, bottom) in things
    ]
    assert not (masks[0] & masks[1]).any() and all(int(mask.sum()) == 16 * 16 for mask in masks)
    (row_a, column_a), (row_b, column_b) = [(rows[m].mean(), columns[m].mean()) for m in masks]
    holds = {
        "above": row_a < row_b and column_a == column_b,
        "below": row_a > row_b and column_a == column_b,
        "left of": column_a < column_b and row_a == row_b,
        "to the right of": column_a > column_b and row_a == row_b,
    }
    assert bool(holds[relation])
    [(_, _, alone)] = boxes("A white square.", 40)
    assert list(alone) == [10, 10, 30, 30]
    for text in ("two stars", "a red star above", "a red star above a blue circle below a green star"):
        with pytest.raises(ValueError):
            boxes(text, 40)
