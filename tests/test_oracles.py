"""Oracles: they read what was rendered, on renders that they never saw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from coursekit import oracles, shipped
from coursekit.datasets import worlds
from coursekit.datasets.world import PictureWorld
from coursekit.errors import InputError, ShippedFileError
from coursekit.metrics import attribute_accuracy, frechet_distance
from coursekit.runtime import generator, seeded

RENDERS = 512
# Four standard deviations of a share of 512 whose truth is 0.97: 4 sqrt(0.97 0.03 / 512).
MARGIN = 0.030


def renders(name: str, n: int = RENDERS, *, seed: int = 4_000_001, size: int | None = None) -> tuple[Tensor, Tensor]:
    world = worlds.world(name)
    assert isinstance(world, PictureWorld)
    return oracles.fresh(world, n, generator=generator(seed), size=size)


def test_the_worlds_that_need_one_have_one() -> None:
    assert set(oracles.shipped_oracles()) >= {
        "birds",
        "digits",
        "faces",
        "rooms",
        "seasons",
        "facades",
        "sprites",
        "flowers",
    }


@pytest.mark.parametrize("name", oracles.shipped_oracles())
def test_every_attribute_is_read_at_every_size(name: str) -> None:
    reader, world = oracles.oracle(name), worlds.world(name)
    assert reader.names == {k: tuple(v) for k, v in world.names.items()}, "trained for other attributes: train it again"
    for size in world.sizes[:2]:  # type: ignore[attr-defined]
        x, labels = renders(name, size=size)
        for attribute, share in reader.accuracy(x, labels).items():
            assert share > 0.97 - MARGIN, f"{attribute} at {size} px: {share:.3f}"


@pytest.mark.parametrize("name", oracles.shipped_oracles())
def test_figures_of_the_manifest(name: str) -> None:
    """On 4,000 held-out renders: every attribute 0.97, most of them 0.99."""
    figures = list(shipped.row(f"oracles/{name}")["figures"].values())
    assert min(figures) >= 0.97
    assert sum(figure >= 0.99 for figure in figures) > len(figures) / 2


def test_shapes_and_agreement() -> None:
    x, labels = renders("birds", 40)
    reader = oracles.oracle("birds")
    read, features, logits = reader.read(x), reader.features(x), reader.logits(x)
    assert read.shape == labels.shape and read.dtype == torch.int64
    assert features.shape == (40, oracles.FEATURES) and not features.requires_grad and features.min() >= 0
    assert {k: v.shape[1] for k, v in logits.items()} == {k: len(v) for k, v in reader.names.items()}
    assert torch.equal(torch.stack([v.argmax(1) for v in logits.values()], 1), read)
    shares = reader.accuracy(x, labels)
    assert list(shares.values()) == attribute_accuracy(read, labels).tolist() and list(shares) == list(reader.names)


def test_accuracy_looks_at_the_labels() -> None:
    """Against labels of other birds an attribute of K values is right in 1 of K: 400 birds, four standard deviations."""
    x, labels = renders("birds", 400)
    other = worlds.world("birds").sample(400, generator=generator(9))  # type: ignore[attr-defined]
    reader = oracles.oracle("birds")
    for attribute, share in reader.accuracy(x, other).items():
        p = 1 / len(reader.names[attribute])
        assert abs(share - p) < 4 * (p * (1 - p) / 400) ** 0.5, attribute


def test_many_pictures_are_read_as_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = renders("birds", 10)
    reader = oracles.oracle("birds")
    whole = reader.features(x)
    monkeypatch.setattr(oracles, "_CHUNK", 3)
    torch.testing.assert_close(reader.features(x), whole)
    assert torch.equal(reader.read(x), torch.cat([reader.read(one) for one in x.split(1)]))


def test_features_tell_other_pictures_from_the_same() -> None:
    """Frechet distance between two sets of 500 birds, against that to birds that are all red: 3 seeds, ratios 16 to 21."""
    reader = oracles.oracle("birds")
    world = worlds.world("birds")
    one, other = (reader.features(renders("birds", 500, seed=s)[0]) for s in (1, 2))
    labels = world.sample(500, generator=generator(3))  # type: ignore[attr-defined]
    labels[:, 0] = 0
    red = reader.features(world.render(labels, generator=generator(4)))  # type: ignore[attr-defined]
    assert frechet_distance(one, red) > 5 * frechet_distance(one, other)


def test_wrong_inputs_are_refused() -> None:
    x, labels = renders("birds", 4)
    reader = oracles.oracle("birds")
    for bad in (x[:, :1], x[0], x[:0], x.unsqueeze(1)):
        with pytest.raises(InputError, match="oracle of 'birds'"):
            reader.read(bad)
    with pytest.raises(InputError, match="body, wing"):
        reader.accuracy(x, labels[:, :3])
    with pytest.raises(InputError, match="oracles/birds"):
        oracles.oracle("unicorns")


def test_a_corrupt_file_is_refused(tmp_path: Path) -> None:
    """The message names the file, and the command that makes it anew."""
    (tmp_path / "oracles").mkdir()
    rows = shipped.manifest()
    (tmp_path / shipped.MANIFEST).write_text(
        json.dumps({"oracles/birds.safetensors": rows["oracles/birds.safetensors"]})
    )
    path = tmp_path / "oracles" / "birds.safetensors"
    shutil.copy(shipped.folder() / "oracles" / "birds.safetensors", path)
    assert oracles.oracle("birds", data=tmp_path).world == "birds"
    oracles._load.cache_clear()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ShippedFileError) as caught:
        oracles.oracle("birds", data=tmp_path)
    assert str(path) in str(caught.value) and "train_oracles.py birds" in str(caught.value)


@pytest.mark.parametrize(("channels", "frames", "size"), [(1, 1, 28), (3, 1, 32), (3, 1, 64), (3, 8, 32)])
def test_a_reader_of_any_size(channels: int, frames: int, size: int) -> None:
    with seeded(0):
        net = oracles.Reader((3, 2), channels=channels, size=size, frames=frames).eval()
    lead = (channels,) if frames == 1 else (frames, channels)
    for edge in (size, 2 * size):
        x = torch.rand(2, *lead, edge, edge, generator=generator(0))
        assert net(x).shape == (2, 5) and net.features(x).shape == (2, oracles.FEATURES)


def test_of_facades_the_photograph_is_read() -> None:
    pair = worlds.world("facades").draw(256, generator=generator(5))
    assert isinstance(pair.x, Tensor) and isinstance(pair.y, Tensor) and pair.labels is not None
    reader = oracles.oracle("facades")
    assert min(reader.accuracy(pair.y, pair.labels).values()) > 0.97 - 4 * (0.97 * 0.03 / 256) ** 0.5
    assert min(reader.accuracy(pair.x, pair.labels).values()) < 0.9
