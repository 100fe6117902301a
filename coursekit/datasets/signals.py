"""Frame by frame: music, speech and handwriting, small enough to train on within seconds.

Shapes: N batch, T time, P pitches, F frequency bands. They stand in for the three corpora of Greff et al.
2017, "LSTM: a search space odyssey": JSB Chorales, TIMIT and IAM online handwriting.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from coursekit.datasets.arguments import require_at_least, require_generator


class Labelled(NamedTuple):
    """Inputs x (N, T, ...) and what is to be said about them, y (N, ...)."""

    x: torch.Tensor
    y: torch.Tensor


# ---------------------------------------------------------------- music

PITCHES = 24  # two octaves: the bass sings in the lower one, three voices in the upper one

# Degrees I, ii, IV, V, vi of a major key as semitones above its tonic, and how often each follows each.
_TRIADS = ((0, 4, 7), (2, 5, 9), (5, 9, 0), (7, 11, 2), (9, 0, 4))
_FOLLOWS = (
    (0.00, 0.15, 0.35, 0.35, 0.15),
    (0.00, 0.00, 0.10, 0.85, 0.05),
    (0.25, 0.15, 0.00, 0.55, 0.05),
    (0.75, 0.00, 0.05, 0.00, 0.20),
    (0.05, 0.45, 0.40, 0.10, 0.00),
)


def chords(n: int, length: int, *, generator: torch.Generator) -> Labelled:
    """Four-part chord progressions in a random major key, each chord held for two frames.

    Returns x (N, T, P) and y (N, T, P), the next frame; both float, multi-hot over P = 24 pitches, semitones.
    One voice in twenty is silent. The key never changes within a piece: a net that has heard it knows more.
    """
    require_at_least(1, n=n, length=length)
    require_generator(generator)
    follows = torch.tensor(_FOLLOWS)
    degree = torch.randint(0, len(_TRIADS), (n,), generator=generator)
    held = torch.randint(0, 2, (n,), generator=generator)  # has the chord of the first frame begun before it?
    degrees = []
    for step in range(length + 1):
        change = torch.multinomial(follows[degree], 1, generator=generator).squeeze(1)
        moves = (held + step) % 2 == 0
        degree = torch.where(moves, change, degree)
        degrees.append(degree)
    key = torch.randint(0, 12, (n, 1, 1), generator=generator)
    tones = (torch.tensor(_TRIADS)[torch.stack(degrees, 1)] + key) % 12  # (N, T+1, 3), root first
    notes = torch.cat([tones[..., :1], tones + 12], -1)
    sounding = (torch.rand(notes.shape, generator=generator) >= 0.05).float()
    frames = torch.zeros(n, length + 1, PITCHES).scatter_(2, notes, sounding)
    return Labelled(frames[:, :-1].contiguous(), frames[:, 1:].contiguous())


# ---------------------------------------------------------------- speech

BANDS = 20  # centres from 200 to 4,000 Hz, equally spaced in log frequency
VOWELS = ("iy", "ih", "eh", "ae", "aa", "ao", "uh", "uw", "ah", "er")
# Mean formants F1, F2, F3 in Hz of the ten vowels, male speakers: Peterson and Barney 1952, table II.
_FORMANTS = (
    (270, 2290, 3010),
    (390, 1990, 2550),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (570, 840, 2410),
    (440, 1020, 2240),
    (300, 870, 2240),
    (640, 1190, 2390),
    (490, 1350, 1690),
)


def formants(n: int, length: int, *, generator: torch.Generator) -> Labelled:
    """Vowels gliding into one another: log-spectral frames, and the vowel of each.

    Returns x (N, T, F) float over F = 20 bands, y (N, T) int64 of 10 classes (see VOWELS). A vowel lasts 3 to
    8 frames and never follows itself. Formants are smeared over five frames (so the neighbours on both sides
    help) and scaled by the speaker's vocal tract, 0.85 to 1.2 times.
    """
    require_at_least(1, n=n, length=length)
    require_generator(generator)
    segments = length // 3 + 1
    ends = torch.randint(3, 9, (n, segments), generator=generator).cumsum(1)
    steps = torch.arange(length).expand(n, length).contiguous()
    segment = torch.searchsorted(ends, steps, right=True)
    leaps = torch.randint(1, len(VOWELS), (n, segments), generator=generator)
    y = (leaps.cumsum(1) % len(VOWELS)).gather(1, segment)

    log_f = torch.tensor(_FORMANTS).float().log()[y].transpose(1, 2)  # (N, 3, T), log Hz
    log_f = _over_five_steps(log_f)
    log_f = log_f + (0.85 + 0.35 * torch.rand(n, 1, 1, generator=generator)).log()
    centres = torch.linspace(math.log(200), math.log(4000), BANDS)
    strength = torch.tensor([1.0, 0.7, 0.4]).view(1, 3, 1, 1)
    bumps = torch.exp(-0.5 * ((centres - log_f.unsqueeze(-1)) / 0.15) ** 2)
    x = (strength * bumps).sum(1) + 0.1 * torch.randn(n, length, BANDS, generator=generator)
    return Labelled(x, y)


# ---------------------------------------------------------------- handwriting

PEN_STEPS = 24

# Digits as pen strokes in a box of width 1 and height 1.5, y upwards; each stroke is a smooth curve through
# its points.
_DIGITS: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = (
    (
        (
            (0.5, 1.5), (0.1, 1.2), (0.0, 0.7), (0.2, 0.1),
            (0.5, 0.0), (0.9, 0.3), (1.0, 0.8), (0.8, 1.35), (0.5, 1.5),
        ),
    ),
    (((0.25, 1.2), (0.55, 1.5), (0.55, 0.75), (0.55, 0.0)),),
    (((0.05, 1.2), (0.4, 1.5), (0.85, 1.3), (0.75, 0.8), (0.3, 0.3), (0.0, 0.0), (0.5, 0.02), (1.0, 0.0)),),
    (((0.1, 1.4), (0.6, 1.5), (0.85, 1.15), (0.4, 0.8), (0.85, 0.55), (0.8, 0.1), (0.4, 0.0), (0.05, 0.15)),),
    (((0.6, 1.5), (0.3, 0.95), (0.0, 0.5), (0.5, 0.5), (1.0, 0.5)), ((0.75, 0.9), (0.75, 0.45), (0.75, 0.0))),
    (
        (
            (0.2, 1.5), (0.17, 1.15), (0.15, 0.8), (0.55, 0.95),
            (0.9, 0.6), (0.7, 0.1), (0.35, 0.0), (0.0, 0.15),
        ),
        ((0.2, 1.5), (0.55, 1.5), (0.9, 1.5)),
    ),
    (((0.8, 1.5), (0.3, 1.1), (0.05, 0.5), (0.3, 0.02), (0.75, 0.1), (0.85, 0.5), (0.5, 0.75), (0.1, 0.45)),),
    (((0.0, 1.5), (0.5, 1.5), (1.0, 1.5), (0.65, 0.75), (0.35, 0.0)),),
    (
        (
            (0.75, 1.3), (0.4, 1.5), (0.1, 1.2), (0.45, 0.8), (0.9, 0.4),
            (0.55, 0.0), (0.1, 0.35), (0.5, 0.8), (0.85, 1.1), (0.75, 1.3),
        ),
    ),
    (((0.85, 1.2), (0.5, 1.5), (0.1, 1.2), (0.35, 0.8), (0.8, 1.0), (0.85, 1.3), (0.8, 0.7), (0.7, 0.0)),),
)  # fmt: skip


def strokes(n: int, *, generator: torch.Generator) -> Labelled:
    """Handwritten digits as pen movements: which character was written?

    Returns x (N, T, 3) float: dx and dy in units of a digit's width (y upwards), and 1 where the pen touches
    the paper during the movement; y (N,) int64 digit. T = 24. Writers slant, turn, stretch and wobble.
    """
    require_at_least(1, n=n)
    require_generator(generator)
    points, down = _templates()
    y = torch.randint(0, len(_DIGITS), (n,), generator=generator)
    path = points[y]  # (N, T+1, 2)

    def spread(size: float) -> torch.Tensor:
        return size * torch.randn(n, generator=generator)

    turn, slant, wide, high = spread(0.12), spread(0.2), 1 + spread(0.12), 1 + spread(0.12)
    writer = torch.stack(
        [
            torch.stack([wide * turn.cos(), slant - turn.sin()], -1),
            torch.stack([wide * turn.sin(), high * turn.cos()], -1),
        ],
        1,
    )  # (N, 2, 2)
    path = path @ writer.transpose(1, 2)
    wobble = 0.08 * torch.randn(n, PEN_STEPS + 1, 2, generator=generator)
    wobble = _over_five_steps(wobble.transpose(1, 2)).transpose(1, 2)
    return Labelled(torch.cat([(path + wobble).diff(dim=1), down[y].unsqueeze(-1)], -1), y)


@functools.cache
def _templates() -> tuple[torch.Tensor, torch.Tensor]:
    """The ten digits, resampled: points (10, T+1, 2), pen down during each movement (10, T)."""
    points, down = [], []
    for digit in _DIGITS:
        curves = [_smooth(torch.tensor(stroke)) for stroke in digit]
        lengths = torch.stack([curve.diff(dim=0).norm(dim=1).sum() for curve in curves])
        movements = PEN_STEPS - (len(curves) - 1)  # a jump between two strokes takes one movement
        shares = (lengths / lengths.sum() * movements).round().long()
        shares[0] += movements - shares.sum()
        pieces = [_resample(curve, int(share)) for curve, share in zip(curves, shares, strict=True)]
        points.append(torch.cat(pieces))
        touching = [torch.cat([torch.zeros(1), torch.ones(int(share))]) for share in shares]
        down.append(torch.cat(touching)[1:])
    return torch.stack(points), torch.stack(down)


def _over_five_steps(curves: torch.Tensor) -> torch.Tensor:
    """Moving mean along the last axis of (N, C, T); the ends are repeated."""
    return F.avg_pool1d(F.pad(curves, (2, 2), mode="replicate"), 5, stride=1)


def _smooth(knots: torch.Tensor) -> torch.Tensor:
    """A Catmull-Rom curve through the knots (K, 2), 16 points to a piece."""
    padded = torch.cat([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    a, b, c, d = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    t = torch.linspace(0, 1, 17)[:-1, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return torch.cat([curve.flatten(0, 1), knots[-1:]])


def _resample(curve: torch.Tensor, movements: int) -> torch.Tensor:
    """Points (movements+1, 2) at equal distances along the curve (M, 2)."""
    along = torch.cat([torch.zeros(1), curve.diff(dim=0).norm(dim=1).cumsum(0)])
    wanted = torch.linspace(0, float(along[-1]), movements + 1)
    right = torch.searchsorted(along, wanted).clamp(1, len(along) - 1)
    share = ((wanted - along[right - 1]) / (along[right] - along[right - 1])).clamp(0, 1).unsqueeze(1)
    return curve[right - 1] * (1 - share) + curve[right] * share
