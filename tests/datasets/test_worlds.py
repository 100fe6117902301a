"""Every world keeps the promises of `World`: a full card, equal seeds, known shapes and ranges, true labels."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from coursekit.datasets import birds, cards, worlds
from coursekit.datasets.world import PictureWorld, Sample
from coursekit.errors import InputError
from coursekit.runtime import generator

PICTURES = [name for name in worlds.WORLDS if isinstance(worlds.world(name), PictureWorld)]


def same(a: Sample, b: Sample) -> bool:
    pairs = [(a.x, b.x), (a.y, b.y), (a.labels, b.labels), (a.captions, b.captions)]
    pairs += [(a.more[key], b.more[key]) for key in a.more]
    for p, q in pairs:
        if isinstance(p, torch.Tensor):  # what is not there may be NaN, which equals nothing
            if not torch.equal(p.nan_to_num(-99.0), q.nan_to_num(-99.0)):
                return False
        elif p != q:
            return False
    return True


@pytest.mark.parametrize("name", worlds.WORLDS)
def test_a_world_has_its_name_and_a_full_card(name: str) -> None:
    world = worlds.world(name)
    assert world.name == name
    for field in dataclasses.fields(world.card):
        text = getattr(world.card, field.name)
        assert len(text) > 3 and text == text.strip() and "  " not in text, field.name
    for values in world.names.values():
        assert isinstance(values, tuple) and len(set(values)) == len(values) > 1


@pytest.mark.parametrize("name", worlds.WORLDS)
def test_equal_seeds_give_equal_samples_and_torchs_own_generator_is_left_alone(name: str) -> None:
    world = worlds.world(name)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()
    one = world.draw(66, generator=generator(3))
    assert len(one) == 66
    assert same(one, world.draw(66, generator=generator(3)))
    assert not same(one, world.draw(66, generator=generator(4)))
    assert torch.equal(before, torch.get_rng_state())
    assert (before_numpy == np.random.get_state()[1]).all()


@pytest.mark.parametrize("name", worlds.WORLDS)
def test_a_sample_has_one_row_for_each_example(name: str) -> None:
    world = worlds.world(name)
    sample = world.draw(9, generator=generator(0))
    for part in (sample.x, sample.y, sample.labels, sample.captions, *sample.more.values()):
        assert part is None or len(part) == 9
        if isinstance(part, torch.Tensor) and part.is_floating_point():
            assert part.dtype == torch.float32
    assert not isinstance(sample.x, torch.Tensor) or sample.x.isfinite().all()
    assert (sample.labels is None) == (not world.names)
    if sample.labels is not None:
        assert sample.labels.dtype == torch.int64 and sample.labels.shape == (9, len(world.names))
        assert set(world.describe(sample.labels[0])) == set(world.names)


@pytest.mark.parametrize("name", [name for name in worlds.WORLDS if worlds.world(name).names])
def test_every_value_of_every_attribute_is_drawn_and_no_other(name: str) -> None:
    world = worlds.world(name)
    many = (
        world.sample
        if isinstance(world, PictureWorld)
        else lambda n, generator: world.draw(n, generator=generator).labels
    )
    labels = many(1500, generator=generator(0))
    for column, values in zip(labels.unbind(1), world.names.values(), strict=True):
        assert column.unique().tolist() == list(range(len(values)))


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_in_range_at_every_size(name: str) -> None:
    world = worlds.world(name)
    for size in world.sizes:
        sample = world.draw(66, generator=generator(1), size=size)
        for x in (sample.x, sample.y):  # y is the other picture of a pair, where there is one
            if x is not None:
                assert x.shape[0] == 66 and x.shape[-3:] == (world.channels, size, size)
                assert x.min() >= -1 and x.max() <= 1 and x.min() < -0.4 and x.max() > 0.4
    assert world.draw(2, generator=generator(1)).x.shape[-1] == world.sizes[0]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_show_their_labels_in_a_style_that_does_not_depend_on_them(name: str) -> None:
    """Equal seeds: what one attribute changes leaves the rest of the picture as it was, and the next picture too."""
    world = worlds.world(name)
    labels = world.sample(66, generator=generator(0))
    x = world.render(labels, generator=generator(1))
    for column, values in enumerate(world.names.values()):
        other = labels.clone()
        other[3, column] = (other[3, column] + 1) % len(values)
        changed = (world.render(other, generator=generator(1)) != x).flatten(1).any(1)
        assert changed.tolist() == [k == 3 for k in range(66)], list(world.names)[column]


@pytest.mark.parametrize("name", PICTURES)
def test_equal_labels_get_styles_of_their_own(name: str) -> None:
    world = worlds.world(name)
    labels = world.sample(1, generator=generator(0)).repeat(66, 1)  # more than a chunk
    x = world.render(labels, generator=generator(1)).flatten(1)
    assert len(torch.unique(x, dim=0)) == 66


@pytest.mark.parametrize("name", PICTURES)
def test_labels_go_to_names_and_back(name: str) -> None:
    world = worlds.world(name)
    labels = world.sample(5, generator=generator(0))
    assert torch.equal(world.labels([world.describe(row) for row in labels]), labels)


@pytest.mark.parametrize("name", worlds.WORLDS)
def test_a_bad_argument_is_named_with_what_to_do(name: str) -> None:
    world = worlds.world(name)
    calls = [lambda: world.draw(0, generator=generator(0)), lambda: world.draw(2, generator=7)]
    if isinstance(world, PictureWorld):
        wrong = torch.full((2, len(world.names)), 99)
        calls += [
            lambda: world.render(wrong, generator=generator(0)),
            lambda: world.render(wrong.float(), generator=generator(0)),
            lambda: world.render(wrong[0], generator=generator(0)),
            lambda: world.draw(2, generator=generator(0), size=8),
            lambda: world.labels([{}]),
        ]
    for call in calls:
        with pytest.raises(InputError, match=r"^[\s\S]*: got [\s\S]*, expected [\s\S]*\. [A-Z][\s\S]*\.$"):
            call()


def test_birds_are_the_same_through_both_doors() -> None:
    world = worlds.world("birds")
    attributes = birds.sample(20, generator=generator(0))
    labels = world.sample(20, generator=generator(0))
    assert torch.equal(labels, attributes.stack())
    pictures = birds.render(attributes, generator=generator(1))
    assert torch.equal(world.render(labels, generator=generator(1)), pictures)
    assert world.captions(labels, generator=generator(2)) == birds.caption(attributes, generator=generator(2))


def test_an_unknown_world_is_answered_with_close_names() -> None:
    with pytest.raises(InputError, match=r"got 'bird', expected one of birds, .*Did you mean 'birds'\?"):
        worlds.world("bird")
    with pytest.raises(InputError, match=r"Pass one of these names\."):
        worlds.world("xyzzy")
    assert "bird" not in worlds.WORLDS and "birds" in worlds.WORLDS
    with pytest.raises(KeyError):
        worlds.WORLDS["bird"]


def test_the_list_of_worlds_imports_nothing_heavy() -> None:
    code = "import sys; from coursekit.datasets import worlds; list(worlds.WORLDS); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_cards_in_data_are_those_of_the_code(tmp_path: Path) -> None:
    written = cards.write_cards(tmp_path)
    folder = Path(__file__).resolve().parents[2] / "data" / "cards"
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
    for path in written:
        shipped = (folder / path.name).read_text(encoding="utf-8")
        assert shipped == path.read_text(encoding="utf-8"), f"{path.name}: write the cards anew with write_cards()"
