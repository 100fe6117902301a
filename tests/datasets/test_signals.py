"""The stand-ins for music, speech and handwriting have the structure that is claimed of them."""

from __future__ import annotations

import torch

from coursekit.datasets import signals
from coursekit.runtime import generator


def test_chords_next_frame_is_the_target() -> None:
    x, y = signals.chords(8, 20, generator=generator(0))
    assert x.shape == y.shape == (8, 20, signals.PITCHES)
    assert torch.equal(x[:, 1:], y[:, :-1])
    assert set(x.unique().tolist()) == {0.0, 1.0}


def test_chords_are_triads_over_their_root_held_for_two_frames() -> None:
    x, _ = signals.chords(200, 21, generator=generator(0))
    voices = x.sum(-1)
    assert voices.max() == 4 and (voices[..., None] == 4).float().mean() > 0.7  # 0.95 to the fourth is 0.81
    bass, upper = x[..., :12], x[..., 12:]
    full = voices == 4
    assert (upper[full] * bass[full]).sum(-1).eq(1).all()  # the bass doubles a tone of the triad
    root = bass[full].argmax(-1)
    rolled = torch.stack([torch.roll(tones, -int(r)) for tones, r in zip(upper[full], root, strict=True)])
    kinds = {tuple(row.nonzero().flatten().tolist()) for row in rolled}
    assert kinds == {(0, 4, 7), (0, 3, 7)}  # major and minor triads in root position
    # Two neighbours among three frames of the same chord would need three frames' holding: never.
    sung = full[:, :-2] & full[:, 1:-1] & full[:, 2:]
    same = (x[:, 1:] == x[:, :-1]).all(-1)
    assert not (same[:, 1:] & same[:, :-1])[sung].any()
    assert same[(full[:, 1:] & full[:, :-1])].float().mean() > 0.4


def test_formants_vowels_last_three_to_eight_frames() -> None:
    x, y = signals.formants(60, 50, generator=generator(0))
    assert x.shape == (60, 50, signals.BANDS) and y.shape == (60, 50) and y.dtype == torch.int64
    assert set(y.unique().tolist()) == set(range(10))
    for row in y.tolist():
        runs, start = [], 0
        for t in range(1, len(row) + 1):
            if t == len(row) or row[t] != row[t - 1]:
                runs.append(t - start)
                start = t
        assert all(3 <= run <= 8 for run in runs[:-1])


def test_formants_can_be_told_apart_by_nearest_mean_but_not_perfectly() -> None:
    x, y = signals.formants(400, 30, generator=generator(0))
    means = torch.stack([x[y == k].mean(0) for k in range(10)])
    x, y = signals.formants(100, 30, generator=generator(1))
    accuracy = float((torch.cdist(x.flatten(0, 1), means).argmin(1) == y.flatten()).float().mean())
    assert 0.3 < accuracy < 0.9  # chance is 0.1; neighbours and speakers blur the frames


def test_strokes_draw_every_digit_within_its_box() -> None:
    x, y = signals.strokes(500, generator=generator(0))
    assert x.shape == (500, signals.PEN_STEPS, 3) and set(y.tolist()) == set(range(10))
    assert set(x[..., 2].unique().tolist()) == {0.0, 1.0}
    lifts = (x[..., 2] == 0).sum(1)
    assert torch.equal(lifts, torch.isin(y, torch.tensor([4, 5])).long())  # 4 and 5 take two strokes
    path = x[..., :2].cumsum(1)
    extent = path.amax(1) - path.amin(1)
    assert (extent[:, 1] > 0.8).all() and (extent < 3).all()


def test_strokes_of_a_digit_resemble_one_another_more_than_other_digits() -> None:
    x, y = signals.strokes(1500, generator=generator(0))
    flat = x.flatten(1)
    means = torch.stack([flat[y == k].mean(0) for k in range(10)])
    x, y = signals.strokes(300, generator=generator(1))
    assert (torch.cdist(x.flatten(1), means).argmin(1) == y).float().mean() > 0.9
