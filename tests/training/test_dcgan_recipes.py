"""The two recipes of unit 05, and the benchmarks that compare them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from coursekit.datasets.worlds import world
from coursekit.models.dcgan import load_generator
from coursekit.oracles import oracle
from coursekit.runtime import generator
from coursekit.training.dcgan import KIT, STOCK, renders, start
from coursekit.training.gan import train_gan


@pytest.mark.parametrize("recipe", [STOCK, KIT], ids=["stock", "kit"])
def test_a_recipe_trains_both_networks(recipe) -> None:
    batches = renders(world("birds"), size=32, batch=recipe.batch, seed=0, among=128)
    gan = start(recipe, channels=3, size=32, steps=2, seed=0, on="cpu")
    nets = nn.ModuleDict({"G": gan.generator, "D": gan.discriminator})
    before = {name: p.detach().clone() for name, p in nets.named_parameters()}
    assert [record.step for record in train_gan(gan, batches)] == [0, 1]
    still = [name for name, p in nets.named_parameters() if torch.equal(p, before[name])]
    # While no score leaves the margin the hinge loss pulls the last bias up and down by equal amounts.
    assert set(still) <= ({"D.to_score.bias"} if recipe is KIT else set())
    assert gan.sample(5).shape == (5, 3, 32, 32) and gan.sample(5).abs().max() <= 1


def test_the_stock_recipe_begins_as_the_paper_does_and_the_kits_as_torch_does() -> None:
    stock, kit = (start(recipe, channels=3, size=32, steps=1, seed=0, on="cpu") for recipe in (STOCK, KIT))
    kernels = [m.weight for m in stock.generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert all(w.std().item() == pytest.approx(0.02, rel=0.05) for w in kernels)
    first = next(m for m in kit.generator.modules() if isinstance(m, nn.ConvTranspose2d)).weight
    bound = (first.shape[1] * 16) ** -0.5  # torch's default: uniform within 1 / root of the fan
    assert first.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_batches_are_renders_each_epoch_in_a_new_order() -> None:
    batches = renders(world("digits"), size=32, batch=8, seed=3, among=16)
    first, second = [torch.cat([batches(2 * epoch), batches(2 * epoch + 1)]) for epoch in (0, 1)]
    assert first.shape == (16, 1, 32, 32) and not torch.equal(first, second)
    key = lambda x: x.flatten(1).sum(1).sort().values  # noqa: E731
    torch.testing.assert_close(key(first), key(second))


@pytest.mark.parametrize("name", ["birds64", "faces32", "rooms32", "digits32"])
def test_shipped_generators_draw_what_the_oracle_can_read(name: str) -> None:
    """Variety and sense in one: every value of every attribute is read from at least a quarter of its share.

    The least over all values, in shares, over ten other draws of noise: birds 0.31 to 0.54, faces 0.66 to 0.80, rooms 0.75 to
    0.87, digits 0.30 to 0.54.
    """
    data = world(name[:-2])
    G = load_generator(name)
    with torch.no_grad():
        x = torch.cat([G(torch.randn(250, G.latent, generator=generator(seed))) for seed in range(2)])
    assert x.shape[1:] == (1 if name == "digits32" else 3, int(name[-2:]), int(name[-2:]))
    read = oracle(data.name).read(x)
    for a, (attribute, values) in enumerate(data.names.items()):
        shares = torch.bincount(read[:, a], minlength=len(values)) / len(x)
        assert shares.min() > 0.25 / len(values), (attribute, shares)


def test_the_training_benchmark_measures_both_sides(root: Path) -> None:
    command = [sys.executable, str(root / "benchmarks" / "training.py"), "--json", "--rounds", "1", "--steps", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    result = json.loads(done.stdout)
    speed = result["images_per_second"]
    assert result["float32"] == pytest.approx(speed["float32"] / speed["stock"], abs=0.2) and result["gpu"] is None
