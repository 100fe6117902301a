"""Rendered bedrooms: exact boxes of windows, style apart from attributes, each attribute visible in its place."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from coursekit.datasets import rooms
from coursekit.errors import InputError
from coursekit.runtime import generator, threads

PLAIN = {
    "wall": "white",
    "floor": "wood",
    "bed": "red",
    "side": "left",
    "windows": "two",
    "lamp": "off",
    "picture": "one",
}


def render(n: int = 60, size: int = 64, seed: int = 5, **changes: str) -> Tensor:
    labels = rooms.WORLD.labels([PLAIN | changes] * n)
    return rooms.WORLD.render(labels, size=size, generator=generator(seed))


def changed(a: Tensor, b: Tensor, by: float = 0.0) -> Tensor:
    """(N, H, W) bool."""
    return (a - b).abs().amax(1) > by


@pytest.mark.parametrize("size", [16, 32, 33, 64])
def test_pictures_are_in_range_and_use_it(size: int) -> None:
    batch = rooms.WORLD.draw(150, generator=generator(0), size=size)
    assert batch.x.shape == (150, 3, size, size) and batch.x.dtype == torch.float32
    assert -1 <= batch.x.min() < -0.8 and 0.9 < batch.x.max() <= 1
    assert batch.labels.shape == (150, 7) and batch.more["boxes"].shape == (150, 2, 4)


def test_a_seed_fixes_the_rooms_and_torchs_own_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    a, b, c = (rooms.WORLD.draw(140, generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(a.x, b.x) and torch.equal(a.more["boxes"].nan_to_num(), b.more["boxes"].nan_to_num())
    assert not torch.equal(a.x, c.x)
    assert torch.equal(before, torch.get_rng_state())


def test_equal_rooms_get_styles_of_their_own_and_do_not_depend_on_their_neighbours() -> None:
    pictures = render(200, 32)
    assert len(torch.unique(pictures.flatten(1), dim=0)) == 200
    labels = rooms.WORLD.sample(200, generator=generator(0))
    other = labels.clone()
    other[150:] = labels[:50]
    a, b = (rooms.WORLD.render(rows, generator=generator(1)) for rows in (labels, other))
    assert torch.equal(a[:150], b[:150])


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("windows", ["one", "two"])
def test_windows_show_inside_their_boxes_only_and_fill_them(windows: str, side: str, size: int) -> None:
    labels = rooms.WORLD.labels([PLAIN | {"windows": windows, "side": side}] * 100)
    boxes = rooms.boxes(labels, generator=generator(5), size=size)
    seen = changed(render(100, size, windows=windows, side=side), render(100, size, windows="none", side=side))
    edges = torch.arange(size)
    x0, y0, x1, y1 = boxes.unsqueeze(-1).unbind(2)  # each (N, 2, 1)
    across, down = (edges + 1 > x0) & (edges < x1), (edges + 1 > y0) & (edges < y1)
    inside = (across.unsqueeze(2) & down.unsqueeze(3)).any(1)
    assert not (seen & ~inside).any()
    # Tight: a side is met to the pixel, and to another one where a slanted edge, its slope below 1, ends in a corner.
    for k in range(1 if windows == "one" else 2):
        box = boxes[:, k]
        own = seen & across[:, k].unsqueeze(1) & down[:, k].unsqueeze(2)
        columns, rows = own.any(1).float(), own.any(2).float()
        first, last = columns.argmax(1), size - columns.flip(1).argmax(1)
        upper, lower = rows.argmax(1), size - rows.flip(1).argmax(1)
        assert (torch.stack([first, upper, last, lower], 1) - box).abs().max() < 2


def test_there_are_as_many_boxes_as_windows_and_a_single_one_comes_first() -> None:
    batch = rooms.WORLD.draw(300, generator=generator(0))
    there = ~batch.more["boxes"].isnan()
    assert torch.equal(there.all(2), there.any(2))
    count = batch.labels[:, list(rooms.NAMES).index("windows")]
    assert torch.equal(there.all(2), torch.stack([count >= 1, count == 2], 1))
    x0, y0, x1, y1 = batch.more["boxes"][there.all(2)].unbind(1)
    assert ((x1 - x0 > 2) & (y1 - y0 > 5) & (x0 >= 0) & (y0 >= 0) & (x1 <= 32) & (y1 <= 32)).all()


def test_boxes_of_draw_are_those_of_the_function_and_grow_with_the_picture() -> None:
    drawn = rooms.WORLD.draw(50, generator=generator(3))
    for size in (32, 64):
        draws = generator(3)
        labels = rooms.WORLD.sample(50, generator=draws)
        boxes = rooms.boxes(labels, generator=draws, size=size)
        assert torch.equal(drawn.labels, labels)
        assert torch.allclose(boxes, drawn.more["boxes"] * size / 32, equal_nan=True)


def test_the_other_side_is_the_mirror_image() -> None:
    assert torch.equal(render(side="left"), render(side="right").flip(-1))


@pytest.mark.parametrize(
    ("change", "top", "bottom", "least", "most"),
    [
        # The region as shares of the height, and of the picture the least and the most that changes.
        ({"bed": "blue"}, 0.45, 1.0, 0.06, 0.25),
        ({"floor": "tiles"}, 0.57, 1.0, 0.15, 0.42),
        ({"picture": "none"}, 0.0, 0.45, 0.01, 0.05),
        ({"lamp": "on"}, 0.0, 0.8, 0.01, 0.35),
    ],
)
def test_an_attribute_changes_its_part_of_the_room_only(
    change: dict[str, str], top: float, bottom: float, least: float, most: float
) -> None:
    seen = changed(render(), render(**change), by=0.02)
    assert not seen[:, : int(top * 64)].any() and not seen[:, int(bottom * 64) :].any()
    shares = seen.float().mean((1, 2))
    assert least < shares.min() and shares.max() < most


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in rooms.NAMES.items() for value in values])
def test_every_value_of_every_attribute_shows_at_32_pixels(name: str, value: str) -> None:
    """At least six pixels of 1,024 differ plainly from what each other value of the attribute would give."""
    for other in rooms.NAMES[name]:
        if other != value:
            seen = changed(render(size=32, **{name: value}), render(size=32, **{name: other}), by=0.15)
            assert seen.sum((1, 2)).min() >= 6


def test_edges_are_smooth() -> None:
    """The picture of half the size is close to the mean over squares of four pixels."""
    labels = rooms.WORLD.sample(60, generator=generator(0))
    fine, coarse = (rooms.WORLD.render(labels, generator=generator(1), size=size) for size in (128, 64))
    error = (torch.nn.functional.avg_pool2d(fine, 2) - coarse).square().mean().sqrt()
    hard = (fine[..., ::2, ::2] - torch.nn.functional.avg_pool2d(fine, 2)).square().mean().sqrt()
    assert error < 0.05 and error < hard


def test_five_thousand_pictures_a_second_on_one_core() -> None:
    """Processor time, the best of five; measured 8,000 a second, half of what is promised is let pass on a busy machine."""
    labels = rooms.WORLD.sample(512, generator=generator(0))
    seconds = []
    with threads(1):
        for _ in range(5):
            start = time.process_time()
            rooms.WORLD.render(labels, generator=generator(1))
            seconds.append(time.process_time() - start)
    assert 512 / min(seconds) >= 5000 / 2


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda g: rooms.WORLD.draw(0, generator=g), "`n`"),
        (lambda g: rooms.WORLD.draw(2, generator=0), "`generator`"),
        (lambda g: rooms.WORLD.draw(2, generator=g, size=8), "`size`"),
        (
            lambda g: rooms.WORLD.render(torch.zeros(2, 6, dtype=torch.int64), generator=g),
            "labels of the world 'rooms'",
        ),
        (lambda g: rooms.boxes(torch.full((2, 7), 9), generator=g), "labels of the world 'rooms'"),
        (lambda g: rooms.boxes(torch.zeros(2, 7, dtype=torch.int64), generator=g, size=4), "`size`"),
        (lambda g: rooms.boxes(torch.zeros(2, 7, dtype=torch.int64), generator=None), "`generator`"),
    ],
)
def test_a_bad_argument_is_named_with_what_to_do(call, name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name}: got [\s\S]*, expected .*\. [A-Z].*\.$"):
        call(generator(0))
