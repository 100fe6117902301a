"""Layouts: maps against counted pixels, boxes that move with their things, and who may see what."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coursekit.datasets import scenes
from coursekit.datasets.text import Vocabulary
from coursekit.errors import InputError
from coursekit.models.layout import BoxDiscriminator, BoxGenerator, Guess, LayoutReader, layout_loss, layout_maps
from coursekit.runtime import generator, seeded
from coursekit.training.joint_embedding import also_true
from coursekit.training.scenes import SceneLesson, nearly

TEXTS = ["a red disc left of a blue square", "there is a tiny green ring below a large black triangle"]


def layout(n: int, seed: int = 0) -> scenes.Layout:
    return scenes.arrange(scenes.sample(n, generator(seed)), generator=generator(seed + 1))


def reader(attends: bool = True) -> LayoutReader:
    with seeded(0):
        return LayoutReader(Vocabulary.of(TEXTS), width=8, attends=attends)


def test_maps_are_the_shares_of_cells_that_boxes_cover() -> None:
    """Against counting points of a fine grid, 16 in each cell's edge: within 2 / 16 + 1 / 256 of the share."""
    some = layout(20)
    maps = layout_maps(some)
    points = (torch.arange(256) + 0.5) / 256
    for n in range(20):
        expected = torch.zeros(10, 16, 16)
        for k in range(2):
            x0, y0, x1, y1 = some.box[n, k]
            inside = ((points >= y0) & (points < y1)).unsqueeze(1) & ((points >= x0) & (points < x1)).unsqueeze(0)
            share = inside.float().view(16, 16, 16, 16).mean((1, 3))
            expected[some.shape[n, k]] += share
            expected[4 + some.colour[n, k]] += share
        assert torch.allclose(maps[n], expected.clamp(max=1), atol=0.13)
    assert torch.allclose(
        maps.sum((2, 3)).sum(1) / 2 / 256, (some.box[..., 2:] - some.box[..., :2]).prod(-1).sum(1), atol=1e-5
    )


def test_a_thing_that_is_not_there_leaves_no_mark() -> None:
    some = layout(3)
    alone = scenes.Layout(some.shape.clone(), some.colour, some.box)
    alone.shape[:, 1] = -1
    assert (layout_maps(alone).sum((1, 2, 3)) < layout_maps(some).sum((1, 2, 3))).all()
    assert torch.equal(
        layout_maps(alone), layout_maps(scenes.Layout(some.shape[:, :1], some.colour[:, :1], some.box[:, :1]))
    )


@pytest.mark.parametrize("attends", [True, False])
def test_what_a_reader_makes_of_a_sentence_does_not_depend_on_its_neighbours(attends: bool) -> None:
    net = reader(attends)
    both, one = net.layout(TEXTS), net.layout(TEXTS[:1])
    assert torch.allclose(both.box[:1], one.box, atol=1e-6)
    assert both.shape.shape == (2, 2) and both.box.shape == (2, 2, 4)


def test_the_loss_of_a_sure_and_right_guess_is_zero_and_its_parts_are_torchs() -> None:
    some = layout(6)
    sure = Guess(100.0 * nn.functional.one_hot(some.shape, 4), 100.0 * nn.functional.one_hot(some.colour, 6), some.box)
    assert layout_loss(sure, some) == 0
    far = sure._replace(box=some.box + 0.1, shape=torch.zeros(6, 2, 4))
    assert layout_loss(far, some).item() == pytest.approx(torch.tensor(4.0).log().item() + 20 * 0.01, rel=1e-5)


@pytest.mark.parametrize("attends", [True, False])
def test_every_weight_of_the_reader_learns(attends: bool) -> None:
    net, batch = reader(attends), Vocabulary.of(TEXTS).batch(TEXTS)
    layout_loss(net(batch.ids, batch.lengths), layout(2)).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in net.parameters())


def test_networks_have_their_shapes_and_hear_the_maps() -> None:
    with seeded(0):
        G, D = BoxGenerator(latent=4, width=8, fine=8), BoxDiscriminator(width=8, fine=8)
    m, z = layout_maps(layout(4)).requires_grad_(), torch.randn(4, 4, generator=generator(0), requires_grad=True)
    x = G(z, m)
    assert x.shape == (4, 3, 32, 32) and x.abs().max() <= 1
    for way_in in torch.autograd.grad(x.square().sum(), (z, m)):
        assert (way_in.flatten(1).abs().sum(1) > 0).all()
    (heard,) = torch.autograd.grad(D(x.detach(), m).sum(), m)
    assert (heard.flatten(1).abs().sum(1) > 0).all()
    D.eval()
    twice = D(x.detach(), torch.cat([m, m.flip(0)]))
    assert torch.allclose(twice[:4], D(x.detach(), m), atol=1e-5) and twice.shape == (8,)
    with pytest.raises(InputError, match="got 3, expected a multiple of the 4 pictures"):
        D(x, m[:3])


def test_what_is_nearly_right_is_false_of_the_scene() -> None:
    own = generator(0)
    labels = scenes.sample(2000, own)
    told = scenes.facts(scenes.caption(labels, generator=own))
    other = nearly(labels, told, own)
    asked = torch.where(told < 0, told, other)  # the same sentence about the other scene
    assert not also_true(asked, labels).diagonal().any()
    words = torch.sort(labels[:, [1, 4]], 1).values == torch.sort(other[:, [1, 4]], 1).values
    assert words.all(1).double().mean() > 0.4  # half keep every word


def test_a_lesson_tells_right_from_wrong() -> None:
    lesson = SceneLesson.of_layouts(renders=200, seed=0)
    x, m, w = lesson.batches(50, seed=0)(0)
    assert x.shape == (50, 3, 32, 32) and m.shape == w.shape == (50, 10, 16, 16)
    assert ((m - w).flatten(1).abs().sum(1) > 0).all()
    again = lesson.batches(50, seed=0)(0)
    assert all(torch.equal(a, b) for a, b in zip((x, m, w), again, strict=True))
    # The maps are those of the pictures: where no class is painted, the ground is pale.
    assert x.amax(1).amax((1, 2)).min() > 0.5
    bare = torch.nn.functional.max_pool2d(m.sum(1, keepdim=True), 3, 1, 1) == 0
    ground = x[(torch.nn.functional.interpolate(bare.float(), scale_factor=2) > 0).expand_as(x)]
    assert ground.min() > 0.3
