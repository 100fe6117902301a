"""Rendered facades: maps that can be counted, photographs that follow them, and what a map does not say."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from coursekit.datasets import facades
from coursekit.errors import InputError
from coursekit.runtime import generator, threads

WORLD = facades.WORLD
NAMES = list(facades.NAMES)
ID = {name: k for k, name in enumerate(facades.CLASSES)}
PLAIN = {name: values[0] for name, values in facades.NAMES.items()} | {"storeys": "three", "bays": "three"}


def labels(n: int = 60, **changes: str) -> Tensor:
    return WORLD.labels([PLAIN | changes] * n)


def photos(n: int = 60, size: int = 64, seed: int = 5, **changes: str) -> Tensor:
    return WORLD.render(labels(n, **changes), size=size, generator=generator(seed))


def kinds(n: int = 60, size: int = 64, seed: int = 5, material: bool = False, **changes: str) -> Tensor:
    return facades.classes(facades.maps(labels(n, **changes), size=size, generator=generator(seed), material=material))


def changed(a: Tensor, b: Tensor, by: float = 0.02) -> Tensor:
    """(N, H, W) bool."""
    return (a - b).abs().amax(1) > by


def runs(line: Tensor) -> int:
    """How many runs of True a line (L,) has."""
    return int(torch.nn.functional.pad(line.int(), (1, 0)).diff().eq(1).sum())


@pytest.mark.parametrize("size", [16, 32, 33, 64])
def test_maps_and_photographs_are_in_range_and_use_it(size: int) -> None:
    batch = WORLD.draw(150, generator=generator(0), size=size)
    for pictures in (batch.x, batch.y):
        assert pictures.shape == (150, 3, size, size) and pictures.dtype == torch.float32
        assert -1 <= pictures.min() < -0.6 and 0.85 < pictures.max() <= 1
    assert batch.labels.shape == (150, 7) and batch.more["classes"].shape == (150, size, size)


def test_a_seed_fixes_the_pictures_and_torchs_own_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    for make in (WORLD.draw, facades.pairs, facades.unpaired):
        a, b, c = (make(140, generator=generator(seed)) for seed in (1, 1, 2))
        assert torch.equal(a.x, b.x) and torch.equal(a.y, b.y) and torch.equal(a.labels, b.labels)
        assert not torch.equal(a.x, c.x) and not torch.equal(a.y, c.y)
    assert torch.equal(before, torch.get_rng_state())


def test_equal_facades_get_styles_of_their_own_and_do_not_depend_on_their_neighbours() -> None:
    assert len(torch.unique(photos(200, 32).flatten(1), dim=0)) == 200
    rows = WORLD.sample(200, generator=generator(0))
    other = rows.clone()
    other[150:] = rows[:50]
    for make in (WORLD.render, facades.maps):
        assert torch.equal(make(rows, generator=generator(1))[:150], make(other, generator=generator(1))[:150])


def test_a_pair_is_a_map_and_the_photograph_of_it() -> None:
    draws, again = generator(3), generator(3)
    pairs = WORLD.draw(40, generator=draws)
    rows = WORLD.sample(40, generator=again)
    state = again.get_state()
    assert torch.equal(pairs.labels, rows) and torch.equal(pairs.y, WORLD.render(rows, generator=again))
    again.set_state(state)
    assert torch.equal(pairs.x, facades.maps(rows, generator=again))
    assert torch.equal(pairs.more["classes"], facades.classes(pairs.x))
    others = facades.unpaired(40, generator=generator(3))
    assert not torch.equal(others.labels, others.more["y_labels"])


@pytest.mark.parametrize("size", [32, 64])
def test_a_map_has_the_colours_of_its_classes_and_they_are_read_back_through_noise(size: int) -> None:
    maps = facades.pairs(50, generator=generator(0), size=size, material=True).x
    colours = torch.tensor(tuple(facades.CLASSES.values())) * 2 - 1
    found = facades.classes(maps)
    assert found.dtype == torch.int64 and torch.equal(colours[found].movedim(-1, 1), maps)
    assert set(found.unique().tolist()) == set(range(len(colours)))
    # The closest two colours are 0.5 apart, so that an error of 0.24 in their direction is always mended.
    assert torch.pdist(colours).min() > 0.5
    noise = torch.rand(maps.shape, generator=generator(1)) * 0.2 - 0.1
    assert torch.equal(facades.classes(maps + noise), found)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("storeys", ["two", "three", "four"])
@pytest.mark.parametrize("bays", ["two", "three", "four"])
def test_windows_can_be_counted_on_the_map(storeys: str, bays: str, size: int) -> None:
    """Across the uppermost storey there are as many windows as bays, in the bay away from the door as many as storeys."""
    for facade in kinds(30, size, storeys=storeys, bays=bays) == ID["window"]:
        across, down = (facade.any(axis) for axis in (0, 1))
        assert runs(across) == 2 + facades.NAMES["bays"].index(bays)
        assert runs(down) == 2 + facades.NAMES["storeys"].index(storeys)
        upper = facade[int(down.int().argmax())]
        assert runs(upper) == 2 + facades.NAMES["bays"].index(bays)


def test_each_attribute_but_the_wall_shows_on_the_map() -> None:
    assert (kinds(roof="gabled") == ID["roof"]).flatten(1).any(1).all() and not (kinds() == ID["roof"]).any()
    assert (kinds(shop="shop") == ID["shop"]).flatten(1).any(1).all() and not (kinds() == ID["shop"]).any()
    rails = kinds(balconies="some") == ID["balcony"]
    assert rails.flatten(1).any(1).all() and not (kinds() == ID["balcony"]).any()
    for side, sign in (("left", -1), ("right", 1)):
        door = (kinds(door=side) == ID["door"]).float()
        middle = (door * torch.linspace(-1, 1, 64)).sum((1, 2)) / door.sum((1, 2))
        assert (sign * middle > 0.3).all()


def test_a_map_does_not_say_what_the_wall_is_made_of_unless_asked() -> None:
    plain = kinds(wall="brick")
    for k, wall in enumerate(facades.NAMES["wall"]):
        assert torch.equal(kinds(wall=wall), plain)
        named = kinds(wall=wall, material=True)
        seen = (plain == ID["wall"]) if k else torch.zeros_like(plain, dtype=torch.bool)
        assert (
            torch.equal(named != plain, seen)
            and (named[plain == ID["wall"]] == (ID["street"] + k if k else ID["wall"])).all()
        )
    assert changed(photos(wall="brick"), photos(wall="stone")).float().mean() > 0.3


@pytest.mark.parametrize("size", [32, 64])
def test_another_wall_changes_the_photograph_where_the_map_says_wall(size: int) -> None:
    """All of the wall, and else only what the wall shines through: balconies, and pixels on the edge of a part."""
    found = kinds(size=size, balconies="some")
    wall, rails = found == ID["wall"], found == ID["balcony"]
    seen = changed(photos(size=size, balconies="some"), photos(size=size, wall="plaster", balconies="some"))
    highest, lowest = (
        sign * torch.nn.functional.max_pool2d(sign * found.float(), 3, stride=1, padding=1) for sign in (1, -1)
    )
    edge = highest != lowest  # another class beside it
    assert not (seen & ~(wall | edge | rails)).any()
    assert seen[wall].float().mean() > 0.999


@pytest.mark.parametrize("size", [32, 64])
def test_pixels_of_a_class_look_alike(size: int) -> None:
    """The share of a photograph's colour variance that the classes explain, against that of another facade's classes."""
    batch = WORLD.draw(200, generator=generator(0), size=size)

    def explained(classes: Tensor) -> float:
        total = within = 0.0
        for photo, ids in zip(batch.y.flatten(2), classes.flatten(1)):
            total += float((photo - photo.mean(1, keepdim=True)).square().sum())
            for k in ids.unique():
                own = photo[:, ids == k]
                within += float((own - own.mean(1, keepdim=True)).square().sum())
        return 1 - within / total

    right, wrong = explained(batch.more["classes"]), explained(batch.more["classes"].roll(1, 0))
    # Over 10 seeds: 0.637 to 0.659 against 0.397 to 0.418 at 32 px, 0.559 to 0.574 against 0.332 to 0.344 at 64.
    assert right > 0.5 and right - wrong > 0.15


@pytest.mark.parametrize(
    ("change", "top", "bottom", "least", "most"),
    [
        # The region as shares of the height, and of the picture the least and the most that changes.
        ({"roof": "gabled"}, 0.0, 0.25, 0.02, 0.12),
        ({"door": "right"}, 0.55, 0.96, 0.03, 0.20),
        ({"shop": "shop"}, 0.55, 0.96, 0.05, 0.30),
        ({"balconies": "some"}, 0.20, 0.75, 0.01, 0.15),
    ],
)
def test_an_attribute_changes_its_part_of_the_facade_only(
    change: dict[str, str], top: float, bottom: float, least: float, most: float
) -> None:
    seen = changed(photos(), photos(**change))
    assert not seen[:, : int(top * 64)].any() and not seen[:, int(bottom * 64) :].any()
    shares = seen.float().mean((1, 2))
    assert least < shares.min() and shares.max() < most


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in facades.NAMES.items() for value in values]
)
@pytest.mark.parametrize("storeys", ["two", "four"])
def test_every_value_of_every_attribute_shows_at_32_pixels(name: str, value: str, storeys: str) -> None:
    """At least six pixels of 1,024 differ plainly from what each other value of the attribute would give."""
    for other in facades.NAMES[name]:
        if other != value:
            a, b = (photos(20, 32, **({"storeys": storeys, "bays": storeys} | {name: this})) for this in (value, other))
            assert changed(a, b, by=0.15).sum((1, 2)).min() >= 6


def test_edges_of_photographs_are_smooth() -> None:
    """Without courses of stone, the picture of half the size is close to the mean over squares of four pixels."""
    fine, coarse = (photos(size=size, wall="plaster") for size in (128, 64))
    error = (torch.nn.functional.avg_pool2d(fine, 2) - coarse).square().mean().sqrt()
    hard = (fine[..., ::2, ::2] - torch.nn.functional.avg_pool2d(fine, 2)).square().mean().sqrt()
    assert error < 0.06 and error < hard


def test_five_thousand_pictures_a_second_on_one_core() -> None:
    """Processor time, the best of five; measured 11,000 a second, half of what is promised is let pass on a busy machine."""
    rows = WORLD.sample(512, generator=generator(0))
    seconds = []
    with threads(1):
        for _ in range(5):
            start = time.process_time()
            WORLD.render(rows, generator=generator(1))
            seconds.append(time.process_time() - start)
    assert 512 / min(seconds) >= 5000 / 2


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda g: WORLD.draw(0, generator=g), "`n`"),
        (lambda g: facades.unpaired(2, generator=0), "`generator`"),
        (lambda g: facades.pairs(2, generator=g, size=8), "`size`"),
        (lambda g: facades.maps(labels(2), generator=g, size=8), "`size`"),
        (lambda g: facades.maps(labels(2), generator=0), "`generator`"),
        (lambda g: facades.maps(labels(2)[:, 1:], generator=g), "labels of the world 'facades'"),
        (lambda g: facades.classes(torch.zeros(2, 1, 32, 32)), "`maps`"),
        (lambda g: facades.classes("map"), "`maps`"),
    ],
)
def test_a_bad_argument_is_named_with_what_to_do(call, name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name}: got [\s\S]*, expected .*\. [A-Z].*\.$"):
        call(generator(0))
