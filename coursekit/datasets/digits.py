"""Digits: handwriting with a known truth, drawn stroke by stroke; and scikit-learn's real digits beside it.

Shapes: N digits, H = W = size, pictures (N, 1, H, W) float32 in [-1, 1], white on black as in MNIST. Attributes are the
digit, the thickness of the pen and the slant. Which of several ways to write the digit, how the hand wobbles, place,
proportions, pressure and blur are style: a fixed number of draws, so that equal seeds give equal styles.

A digit is a skeleton: strokes through control points, smooth within a stroke (Catmull-Rom), with corners where strokes
meet. A curve is linear in its control points, so one matrix for each skeleton turns the jittered points of a batch into
dots along the strokes. The ink is a sum of Gaussians over these dots. Each is a product of a function of x and one of y,
so that a batch of pictures is one batched matrix product instead of a distance for each pixel and segment.

How hard it is, seeds 0 to 2, 5,000 pictures to train on and 2,000 others to test on: logistic regression on the pixels
reads 0.889 to 0.898 of the digits; a CNN of three strided convolutions (30,000 weights, 12 epochs, 7 CPU seconds) reads
0.987 to 0.991, the thickness 0.998 or more, the slant 0.979 or more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from coursekit.datasets.arguments import require_at_least
from coursekit.datasets.digit_skeletons import SKELETONS
from coursekit.datasets.world import Card, PictureWorld, Sample, World
from coursekit.errors import InputError

NAMES = {
    "digit": tuple("0123456789"),
    "thickness": ("thin", "thick"),
    "slant": ("left", "upright", "right"),
}

_RADII = ((0.056, 0.074), (0.108, 0.132))  # of a thin and of a thick pen; 1 is half the picture's edge
_SHEARS = ((-0.56, -0.40), (-0.06, 0.06), (0.40, 0.56))  # dx / dy of the three slants
_DOTS = 72  # along the strokes of a digit: at most 1.2 standard deviations of their Gaussians apart
_CHUNK = 32  # digits drawn at a time: their pixels and Gaussians stay in the processor's cache
_TEST = 360  # of the real digits: a fifth


class _Bank(NamedTuple):
    """All skeletons as matrices; V skeletons, K control points, P dots along the strokes."""

    controls: Tensor  # (V, K, 2)
    curve: Tensor  # (V, P, K): control points -> dots
    step: Tensor  # (V, P, K): control points -> the piece of stroke (dx, dy) that a dot stands for
    first: Tensor  # (10,) row of a digit's first skeleton
    ways: Tensor  # (10,) how many ways there are to write it


def _pieces(stroke: tuple[tuple[float, float], ...]) -> list[tuple[int, list[int]]]:
    """For each piece between two points: its start and the four neighbours that shape it, as indices into the stroke.

    A stroke whose last point is its first is closed and smooth there; at an open end the neighbour is the end itself.
    """
    n = len(stroke)
    if stroke[0] == stroke[-1]:
        return [(i, [(i - 1) % (n - 1), i, (i + 1) % (n - 1), (i + 2) % (n - 1)]) for i in range(n - 1)]
    return [(i, [max(i - 1, 0), i, i + 1, min(i + 2, n - 1)]) for i in range(n - 1)]


def _skeleton(strokes: tuple[tuple[tuple[float, float], ...], ...], most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Control points (most, 2), curve and step matrices (P, most) of one skeleton.

    Catmull-Rom (Catmull and Rom 1974): between p1 and p2, at t from 0 to 1,
    p = ((2 p1) + (p2 - p0) t + (2 p0 - 5 p1 + 4 p2 - p3) t^2 + (3 p1 - p0 - 3 p2 + p3) t^3) / 2.
    Each piece gets dots in proportion to the length of its chord, at least one.
    """
    points = list(dict.fromkeys(point for stroke in strokes for point in stroke))
    pieces = [(stroke, at) for stroke in strokes for _, at in _pieces(stroke)]
    chords = torch.tensor([math.dist(stroke[at[1]], stroke[at[2]]) for stroke, at in pieces])
    ends = (chords.cumsum(0) / chords.sum() * _DOTS).round().long().tolist()
    curve, step = torch.zeros(2, _DOTS, most).unbind(0)
    start = 0
    for (stroke, at), end in zip(pieces, ends):
        n = end - start
        t = (torch.arange(n) + 0.5) / n
        one = torch.ones(n)
        powers = torch.stack([one, t, t**2, t**3], 1)
        slopes = torch.stack([0 * one, one, 2 * t, 3 * t**2], 1) / n
        cubic = torch.tensor([[0.0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
        for k, i in enumerate(at):  # an end counts twice, hence the sum
            curve[start:end, points.index(stroke[i])] += powers @ cubic[:, k]
            step[start:end, points.index(stroke[i])] += slopes @ cubic[:, k]
        start = end
    controls = torch.zeros(most, 2)
    controls[: len(points)] = torch.tensor(points)
    return controls, curve, step


def _bank() -> _Bank:
    most = max(len({point for stroke in strokes for point in stroke}) for ways in SKELETONS for strokes in ways)
    rows = [_skeleton(strokes, most) for ways in SKELETONS for strokes in ways]
    count = torch.tensor([len(ways) for ways in SKELETONS])
    controls, curve, step = (torch.stack(column) for column in zip(*rows))
    return _Bank(controls, curve, step, count.cumsum(0) - count, count)


_BANK = _bank()


class _Style(NamedTuple):
    """What no attribute names, one row for each digit."""

    way: Tensor  # (N,) in [0, 1): which skeleton
    wobble: Tensor  # (N, K, 2) added to the control points
    pen: Tensor  # (N,) in [0, 1): within the range of the thickness
    lean: Tensor  # (N,) in [0, 1): within the range of the slant
    turn: Tensor  # (N,) radians
    scale: Tensor  # (N, 2) of width and height
    shift: Tensor  # (N, 2)
    waves: Tensor  # (N, 2, 4): size, two frequencies and phase of a wave that bends x, and of one that bends y
    pressure: Tensor  # (N, 3): size, frequency and phase of the pen's pressure along the strokes
    blur: Tensor  # (N,) width of an edge in pixels at 28 px


def _style(n: int, generator: torch.Generator) -> _Style:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    return _Style(
        way=uniform(0, 1),
        wobble=0.040 * torch.randn(n, _BANK.controls.shape[1], 2, generator=generator).clamp_(-2, 2),
        pen=uniform(0, 1),
        lean=uniform(0, 1),
        turn=uniform(-0.10, 0.10),
        scale=torch.stack([uniform(0.78, 1.20), uniform(0.78, 1.06)], -1),
        shift=uniform(-0.14, 0.14, 2),
        waves=torch.cat([uniform(0.0, 0.10, 2, 1), uniform(-3.4, 3.4, 2, 2), uniform(0, 2 * math.pi, 2, 1)], -1),
        pressure=torch.stack([uniform(0, 0.45), uniform(2, 9), uniform(0, 2 * math.pi)], -1),
        blur=uniform(1.0, 1.9),
    )


def _strokes(labels: Tensor, style: _Style) -> tuple[Tensor, Tensor]:
    """Dots (N, P, 2) along the strokes, in the picture's frame (y upwards), and the length (N, P) each stands for."""
    digit, _, slant = labels.unbind(1)
    row = _BANK.first[digit] + (style.way * _BANK.ways[digit]).long()
    x, y = (_BANK.controls[row] + style.wobble).unbind(-1)
    size, fx, fy, phase = style.waves.unsqueeze(-1).unbind(2)  # each (N, 2, 1)
    bend = size * (fx * x.unsqueeze(1) + fy * y.unsqueeze(1) + phase).sin()
    x, y = (x + bend[:, 0]) * style.scale[:, :1], (y + bend[:, 1]) * style.scale[:, 1:]
    low, high = torch.tensor(_SHEARS)[slant].unbind(1)
    x = x + y * (low + (high - low) * style.lean).unsqueeze(1)
    cos, sin = style.turn.cos().unsqueeze(1), style.turn.sin().unsqueeze(1)
    points = torch.stack([x * cos - y * sin, x * sin + y * cos], -1) + style.shift.unsqueeze(1)
    return _BANK.curve[row] @ points, (_BANK.step[row] @ points).norm(dim=-1)


def _render(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Pictures (N, 1, size, size) in [-1, 1]."""
    n = len(labels)
    style = _style(n, generator)
    pictures = torch.empty(n, 1, size, size)
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        _ink(labels[part], _Style(*(values[part] for values in style)), pictures[part, 0])
    return pictures


def _ink(labels: Tensor, style: _Style, pictures: Tensor) -> None:
    """Fill pictures (N, H, W) with the ink of one chunk.

    For a straight stroke the sum of Gaussians of deviation s, each times its piece's length over s sqrt(2 pi), is
    exp(-d^2 / 2 s^2) at the distance d from the stroke, hence d^2 = -2 s^2 ln(sum). Where strokes meet, the sum is larger
    and the ink runs together, as it does. A pressure q on a dot moves the edge to d^2 = r^2 + 2 s^2 ln q.
    """
    size = pictures.shape[-1]
    dots, lengths = _strokes(labels, style)
    low, high = torch.tensor(_RADII)[labels[:, 1]].unbind(1)
    r = low + (high - low) * style.pen
    s = (0.6 * r).view(-1, 1, 1)
    swing, frequency, phase = style.pressure.unsqueeze(-1).unbind(1)
    pressure = (swing * (frequency * torch.linspace(0, 1, _DOTS) + phase).sin()).exp()
    weight = (lengths * pressure).unsqueeze(-1) / (s * math.sqrt(2 * math.pi))
    centres = (torch.arange(size) + 0.5) * (2 / size) - 1
    across = (dots[..., :1] - centres).div_(s).square_().mul_(-0.5).exp_().mul_(weight)  # (N, P, W)
    down = (dots[..., 1:] + centres).div_(s).square_().mul_(-0.5).exp_()  # (N, P, H): rows run downwards
    field = (down.transpose(1, 2) @ across).clamp_(1e-9, 1)
    distance = field.log_().mul_(-2).sqrt_().mul_(s)
    softness = (style.blur * 2 / 28).view(-1, 1, 1)
    # From coverage in 0 to 1 to grey in -1 to 1.
    coverage = torch.sub(r.view(-1, 1, 1), distance).div_(softness).add_(0.5).clamp_(0, 1)
    pictures.copy_(coverage.mul_(2).sub_(1))


WORLD = PictureWorld(
    name="digits",
    names=NAMES,
    sizes=(28, 32),
    channels=1,
    rendering=_render,
    card=Card(
        title="Digits",
        shows="One handwritten digit, white on black, drawn with a pen of known thickness and slant.",
        stands_for="MNIST (LeCun, Cortes and Burges): same size, range and polarity.",
        style="Which of four or five ways to write the digit, wobble, bends, proportions, rotation up to 6 degrees, "
        "place, pressure, blur.",
        limits="No one's hand: real digits vary more, and some cannot be read. Figures on it are no figures on MNIST; "
        "real digits of 8x8 pixels are in real_digits().",
    ),
)


def real_digits(part: str = "all", *, size: int = 8) -> Sample:
    """Handwritten digits of real people: x (N, 1, size, size) in [-1, 1], labels (N, 1) int64, as in scikit-learn.

    1,797 pictures of 8x8 pixels in 17 grey levels, shipped within scikit-learn (Alpaydin and Kaynak 1998, UCI, optical
    recognition of handwritten digits). part "train" is the first 1,437, "test" the last 360: neighbours in the file tend
    to share a hand, so a split at random flatters. (One nearest neighbour reads 0.983 to 0.994 of a random fifth, and
    0.953 to 0.989, 0.965 on average, of a fifth in one piece.) At a size other than 8 they are enlarged (bicubic) to 5/7
    of the edge within a black margin, as MNIST's are (20 of 28 pixels).
    """
    from sklearn.datasets import load_digits  # takes a second to import, and only these digits need it

    parts = {"all": slice(None), "train": slice(None, -_TEST), "test": slice(-_TEST, None)}
    if part not in parts:
        raise InputError.of(
            "`part` of the real digits", got=part, expected=f"one of {', '.join(parts)}", do="Pass one of these."
        )
    require_at_least(8, size=size)
    data = load_digits()
    x = torch.from_numpy(data.images).float().unsqueeze(1)[parts[part]] / 8 - 1
    if size != 8:
        inner = round(size * 20 / 28)
        before = (size - inner) // 2
        margin = (before, size - inner - before) * 2
        x = pad(interpolate(x, (inner, inner), mode="bicubic", align_corners=False).clamp_(-1, 1), margin, value=-1.0)
    return Sample(x, torch.from_numpy(data.target).long().unsqueeze(1)[parts[part]])


def _draw_real(n: int, generator: torch.Generator) -> Sample:
    """n of the 1,797 at random; none comes again before all have come."""
    everything = real_digits()
    rounds = [torch.randperm(len(everything), generator=generator) for _ in range(-(-n // len(everything)))]
    at = torch.cat(rounds)[:n]
    assert isinstance(everything.x, Tensor) and everything.labels is not None
    return Sample(everything.x[at], everything.labels[at])


REAL = World(
    name="real_digits",
    names={"digit": NAMES["digit"]},
    drawing=_draw_real,
    card=Card(
        title="Real digits",
        shows="One digit of 8x8 pixels, written by a person.",
        stands_for="nothing: it is real.",
        style="The hand of one of 13 writers.",
        limits="1,797 pictures in all: draws repeat after that many. Very coarse; thickness and slant are not known.",
        source="scikit-learn's copy of the UCI test set of Alpaydin and Kaynak (CC BY 4.0)",
    ),
)
