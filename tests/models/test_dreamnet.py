"""The shipped classifiers of `things`: what their rows in the manifest claim, measured again on fresh pictures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from coursekit import shipped
from coursekit.datasets.things import NAMES, WORLD
from coursekit.models.classifier import Classifier
from coursekit.models.dreamnet import SHAPES, build, load_dreamnet, load_second
from coursekit.runtime import generator

LOADERS = {"dreamnet": load_dreamnet, "dreamnet_second": load_second}


@pytest.mark.parametrize("name", SHAPES)
def test_the_stated_accuracy_is_reached_on_fresh_pictures(name: str) -> None:
    net, claimed = LOADERS[name](), shipped.row(name)["figures"]["accuracy_64px"]
    sample = WORLD.draw(200, generator=generator(77), size=64)
    accuracy = (net.read(sample.x) == sample.labels[:, 0]).double().mean().item()
    # Five standard deviations of a share measured on 200 pictures, at the claim.
    assert accuracy > claimed - 5 * (claimed * (1 - claimed) / 200) ** 0.5


@pytest.mark.parametrize("load", LOADERS.values())
def test_loaded_networks_are_frozen_and_name_their_features(load: Callable[[], Classifier]) -> None:
    net = load()
    assert not net.training and not any(w.requires_grad for w in net.parameters())
    assert net.classes == NAMES["thing"]
    for h, w in ((32, 32), (50, 70)):
        named = net.features(torch.zeros(1, 3, h, w))
        blocks = [f"block{b + 1}" for b in range(len(net.blocks))]
        assert list(named) == [*blocks, "code", "logits"] and named["logits"].shape == (1, len(net.classes))


def test_the_manifest_says_how_the_networks_are_built() -> None:
    for name in SHAPES:
        row = shipped.row(name)
        net = Classifier(row["config"]["classes"], widths=row["config"]["widths"], depths=row["config"]["depths"])
        shipped.load(name, net)
        x = torch.zeros(1, 3, 32, 32)
        torch.testing.assert_close(net(x), LOADERS[name]()(x))


def test_building_is_seeded() -> None:
    one, two, other = (build("dreamnet_second", seed=seed).head.weight for seed in (3, 3, 4))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_dreamnet_resists_what_fools_the_plain_network() -> None:
    """The reason for two networks: a step of length 2 against each (64 x 64 pictures in [-1, 1])."""
    sample = WORLD.draw(100, generator=generator(78), size=64)
    left = {}
    for name, load in LOADERS.items():
        net, x, y = load(), sample.x.clone().requires_grad_(), sample.labels[:, 0]
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(net(x), y, reduction="sum"), x)
        moved = sample.x + 2 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        left[name] = (net.read(moved) == y).double().mean().item()
    # Measured over six seeds: 0.87 to 0.96 right against 0.49 to 0.67, a gap of 0.29 to 0.44.
    assert left["dreamnet"] > left["dreamnet_second"] + 0.15
