"""Shipped weights: written whole, checked before they are used, and all of them listed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from coursekit import shipped
from coursekit.errors import InputError, ShippedFileError
from coursekit.runtime import seeded


def net(features: int = 3) -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Linear(features, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the weights "part/tiny"."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / shipped.MANIFEST).write_text("{}")
    shipped.save(
        "part/tiny", net(), command="python make.py", seed=5, seconds=1.26, figures={"accuracy": 0.98765},
        config={"features": 3}, data=folder,
    )  # fmt: skip
    return folder


def test_round_trip(data: Path) -> None:
    """16 bits: 11 significant ones, hence off by at most one part in 2,048. Counts stay whole."""
    other = net()
    for weight in other.parameters():
        nn.init.zeros_(weight)
    loaded = shipped.load("part/tiny", other, data=data)
    assert loaded is other and not other.training and not any(w.requires_grad for w in other.parameters())
    for key, value in net().state_dict().items():
        got = other.state_dict()[key]
        assert got.dtype == value.dtype
        torch.testing.assert_close(got, value, rtol=2**-11, atol=1e-7)


def test_the_row_says_how_the_file_came_about(data: Path) -> None:
    row = shipped.row("part/tiny", data)
    content = (data / "part" / "tiny.safetensors").read_bytes()
    assert row["sha256"] == hashlib.sha256(content).hexdigest() and row["bytes"] == len(content)
    assert (row["command"], row["seed"], row["seconds"]) == ("python make.py", 5, 1.3)
    assert row["figures"] == {"accuracy": 0.9877} and row["config"] == {"features": 3}
    assert "cores" in row["machine"] and torch.__version__ in row["machine"]


def test_rows_are_sorted_and_replaced(data: Path) -> None:
    shipped.save("alone", net(), command="b", seed=0, seconds=0, data=data)
    shipped.save("part/tiny", net(), command="again", seed=6, seconds=0, data=data)
    assert list(shipped.manifest(data)) == ["alone.safetensors", "part/tiny.safetensors"]
    assert shipped.row("part/tiny", data)["command"] == "again"
    assert not list(data.rglob(".*")), "a draft was left behind"


@pytest.mark.parametrize("harm", ["flip a bit", "truncate", "empty", "remove"])
def test_a_harmed_file_is_refused_with_its_name_and_its_remedy(data: Path, harm: str) -> None:
    path = data / "part" / "tiny.safetensors"
    content = bytearray(path.read_bytes())
    if harm == "flip a bit":
        content[-3] ^= 1
    path.write_bytes({"truncate": content[: len(content) // 2], "empty": b""}.get(harm, content))
    if harm == "remove":
        path.unlink()
    with pytest.raises(ShippedFileError) as caught:
        shipped.load("part/tiny", net(), data=data)
    message = str(caught.value)
    assert str(path) in message and "python make.py" in message and "Restore it" in message
    assert ("cannot be read" in message) == (harm == "remove")
    assert ("SHA-256" in message) == (harm != "remove")


def test_weights_of_another_network_are_refused(data: Path) -> None:
    with pytest.raises(ShippedFileError, match=r"(?s)tiny\.safetensors: does not fit this Sequential .*size mismatch"):
        shipped.load("part/tiny", net(features=7), data=data)


def test_unknown_names_and_broken_manifests(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one of part/tiny"):
        shipped.load("part/huge", net(), data=data)
    (data / shipped.MANIFEST).write_text("{")
    with pytest.raises(ShippedFileError, match="cannot be read as JSON"):
        shipped.manifest(data)
    with pytest.raises(ShippedFileError, match="cannot be read"):
        shipped.manifest(tmp_path)


def test_the_folder_is_found_from_below_and_from_elsewhere(data: Path, tmp_path: Path, root: Path) -> None:
    below = tmp_path / "lectures" / "01"
    below.mkdir(parents=True)
    assert shipped.folder(below) == data
    assert shipped.folder(Path("/")) == root / "data"  # the package's own


# ---------------------------------------------------------------- the repository's own files


def test_every_file_of_data_is_listed_and_is_what_is_listed(root: Path) -> None:
    data = root / "data"
    rows = shipped.manifest(data)
    assert rows
    for name, row in rows.items():
        content = (data / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (row["bytes"], row["sha256"]), name
        assert row["command"].startswith("python benchmarks/"), name
        assert (root / row["command"].split()[1]).is_file(), name
        assert isinstance(row["seed"], int) and (row["seconds"] is None or row["seconds"] > 0), name
    files = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    # results/ holds figures that a benchmark printed, not weights.
    unlisted = {name for name in files - rows.keys() if not name.startswith(("cache/", "cards/", "results/"))}
    assert unlisted <= {shipped.MANIFEST}


def test_data_stays_light(root: Path) -> None:
    rows = json.loads((root / "data" / shipped.MANIFEST).read_text())
    assert sum(row["bytes"] for row in rows.values()) < 30e6
