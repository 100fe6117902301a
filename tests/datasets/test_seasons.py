"""Rendered landscapes: pairs of one scene in two seasons, unpaired sets, each attribute visible in its place."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from coursekit.datasets import seasons
from coursekit.errors import InputError
from coursekit.runtime import generator, threads

WORLD = seasons.WORLD
PLAIN = {"season": "summer", "time": "day", "peaks": "two", "trees": "few", "house": "none", "water": "none"}


def render(n: int = 60, size: int = 64, seed: int = 5, **changes: str) -> Tensor:
    labels = WORLD.labels([PLAIN | changes] * n)
    return WORLD.render(labels, size=size, generator=generator(seed))


def changed(a: Tensor, b: Tensor, by: float = 0.02) -> Tensor:
    """(N, H, W) bool."""
    return (a - b).abs().amax(1) > by


def alikeness(a: Tensor, b: Tensor) -> Tensor:
    """(N,) correlation of where the edges are: of the brightness's steps to the right and downwards, their size."""

    def edges(x: Tensor) -> Tensor:
        grey = x.mean(1)
        steps = torch.cat([grey.diff(dim=1).abs().flatten(1), grey.diff(dim=2).abs().flatten(1)], 1)
        return torch.nn.functional.normalize(steps - steps.mean(1, keepdim=True), dim=1)

    return (edges(a) * edges(b)).sum(1)


@pytest.mark.parametrize("size", [16, 32, 33, 64])
def test_pictures_are_in_range_and_use_it(size: int) -> None:
    batch = WORLD.draw(150, generator=generator(0), size=size)
    assert batch.x.shape == (150, 3, size, size) and batch.x.dtype == torch.float32
    assert -1 <= batch.x.min() < -0.7 and 0.9 < batch.x.max() <= 1
    assert batch.labels.shape == (150, 6)


def test_a_seed_fixes_the_pictures_and_torchs_own_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    for make in (WORLD.draw, seasons.pairs, seasons.unpaired):
        a, b, c = (make(140, generator=generator(seed)) for seed in (1, 1, 2))
        assert torch.equal(a.x, b.x) and torch.equal(a.labels, b.labels) and not torch.equal(a.x, c.x)
        assert a.y is None or torch.equal(a.y, b.y)
    assert torch.equal(before, torch.get_rng_state())


def test_equal_landscapes_get_styles_of_their_own_and_do_not_depend_on_their_neighbours() -> None:
    assert len(torch.unique(render(200, 32).flatten(1), dim=0)) == 200
    labels = WORLD.sample(200, generator=generator(0))
    other = labels.clone()
    other[150:] = labels[:50]
    a, b = (WORLD.render(rows, generator=generator(1)) for rows in (labels, other))
    assert torch.equal(a[:150], b[:150])


def test_a_pair_is_one_landscape_in_two_seasons() -> None:
    draws, again = generator(3), generator(3)
    pairs = seasons.pairs(80, generator=draws, size=64)
    assert pairs.labels[:, 0].eq(0).all() and pairs.more["y_labels"][:, 0].eq(1).all()
    assert torch.equal(pairs.labels[:, 1:], pairs.more["y_labels"][:, 1:])
    WORLD.sample(80, generator=again)
    assert torch.equal(pairs.y, WORLD.render(pairs.more["y_labels"], generator=again, size=64))
    assert torch.equal(draws.get_state(), again.get_state())  # nothing is drawn twice


def test_a_pair_is_aligned_and_an_unpaired_row_is_not() -> None:
    pairs, others = (make(200, generator=generator(4), size=64) for make in (seasons.pairs, seasons.unpaired))
    together, apart = alikeness(pairs.x, pairs.y), alikeness(others.x, others.y)
    # Means over 10 seeds: 0.457 to 0.467 and 0.066 to 0.072.
    assert together.mean() > 0.4 and apart.mean() < 0.12
    assert others.labels[:, 0].eq(0).all() and others.more["y_labels"][:, 0].eq(1).all()
    assert 0.4 < others.labels[:, 1:].eq(others.more["y_labels"][:, 1:]).float().mean() < 0.6


def test_winter_lies_white_on_the_meadow() -> None:
    # Of 300 landscapes the darkest in winter and the brightest in summer: 0.65 and -0.16 by day, 0.29 and -0.52 at dusk.
    for hour, least in (("day", 0.4), ("dusk", 0.0)):
        summer, winter = render(season="summer", time=hour), render(season="winter", time=hour)
        meadow = (slice(None), slice(None), slice(50, 64), slice(24, 40))  # between the trees in front
        assert winter[meadow].mean((1, 2, 3)).min() > least > summer[meadow].mean((1, 2, 3)).max()
        green = summer[meadow][:, 1] - summer[meadow][:, 2]
        assert green.mean((1, 2)).min() > 0.15


@pytest.mark.parametrize("season", ["summer", "winter"])
@pytest.mark.parametrize(
    ("change", "top", "bottom", "least", "most"),
    [
        # The region as shares of the height, and of the picture the least and the most that changes.
        ({"water": "lake"}, 0.70, 1.0, 0.03, 0.20),
        ({"house": "one"}, 0.45, 0.80, 0.01, 0.06),
        ({"trees": "many"}, 0.40, 1.0, 0.05, 0.25),
        ({"peaks": "three"}, 0.10, 0.65, 0.02, 0.40),
    ],
)
def test_an_attribute_changes_its_part_of_the_landscape_only(
    change: dict[str, str], top: float, bottom: float, least: float, most: float, season: str
) -> None:
    seen = changed(render(season=season), render(season=season, **change))
    assert not seen[:, : int(top * 64)].any() and not seen[:, int(bottom * 64) :].any()
    shares = seen.float().mean((1, 2))
    assert least < shares.min() and shares.max() < most


@pytest.mark.parametrize("peaks", ["one", "two", "three"])
def test_the_skyline_has_as_many_summits_as_it_says(peaks: str) -> None:
    """At dusk the sky is redder than blue by far and the land is not: runs of land on a row above the trees."""
    pictures = render(100, 64, time="dusk", peaks=peaks)
    land = torch.nn.functional.pad(((pictures[:, 0] - pictures[:, 2]) / 2 < 0.22)[:, 26].int(), (1, 0))
    counts = land.diff(dim=1).eq(1).sum(1)
    # Over 5 seeds: 0.93 to 0.96 for one, where a shoulder may stand out, and 1.00 for more.
    assert (counts == WORLD.names["peaks"].index(peaks) + 1).float().mean() > 0.9


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WORLD.names.items() for value in values])
@pytest.mark.parametrize("setting", [("summer", "day"), ("winter", "day"), ("summer", "dusk"), ("winter", "dusk")])
def test_every_value_of_every_attribute_shows_at_32_pixels(name: str, value: str, setting: tuple[str, str]) -> None:
    """At least six pixels of 1,024 differ plainly from what each other value of the attribute would give."""
    scene = {"season": setting[0], "time": setting[1]}
    for other in WORLD.names[name]:
        if other != value:
            a, b = (render(20, 32, **(scene | {name: this})) for this in (value, other))
            assert changed(a, b, by=0.15).sum((1, 2)).min() >= 6


def test_edges_are_smooth() -> None:
    """The picture of half the size is close to the mean over squares of four pixels."""
    labels = WORLD.sample(60, generator=generator(0))
    fine, coarse = (WORLD.render(labels, generator=generator(1), size=size) for size in (128, 64))
    error = (torch.nn.functional.avg_pool2d(fine, 2) - coarse).square().mean().sqrt()
    hard = (fine[..., ::2, ::2] - torch.nn.functional.avg_pool2d(fine, 2)).square().mean().sqrt()
    assert error < 0.06 and error < hard


def test_five_thousand_pictures_a_second_on_one_core() -> None:
    """Processor time, the best of five; measured 7,000 a second, half of what is promised is let pass on a busy machine."""
    labels = WORLD.sample(512, generator=generator(0))
    seconds = []
    with threads(1):
        for _ in range(5):
            start = time.process_time()
            WORLD.render(labels, generator=generator(1))
            seconds.append(time.process_time() - start)
    assert 512 / min(seconds) >= 5000 / 2


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda g: seasons.pairs(0, generator=g), "`n`"),
        (lambda g: seasons.unpaired(2, generator=0), "`generator`"),
        (lambda g: seasons.pairs(2, generator=g, size=8), "`size`"),
        (lambda g: seasons.unpaired(2, generator=g, size=8), "`size`"),
        (lambda g: WORLD.render(torch.zeros(2, 7, dtype=torch.int64), generator=g), "labels of the world 'seasons'"),
        (lambda g: WORLD.labels([PLAIN | {"season": "spring"}]), "`season` in the world 'seasons'"),
    ],
)
def test_a_bad_argument_is_named_with_what_to_do(call, name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name}: got [\s\S]*, expected .*\. [A-Z].*\.$"):
        call(generator(0))
