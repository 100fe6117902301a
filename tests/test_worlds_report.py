"""`coursekit worlds`: its sheets, its figures, its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from coursekit import contact_sheets, shipped, worlds_report
from coursekit.cli import main
from coursekit.datasets import worlds
from coursekit.datasets.world import Card, PictureWorld, World
from coursekit.runtime import generator
from coursekit.worlds_report import Row


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short runs: these tests are about what is reported, not about how fast it is."""
    monkeypatch.setattr(worlds_report, "_SECONDS", 0.01)
    monkeypatch.setattr(worlds_report, "_BATCH", 64)


CARD = Card(title="Squares", shows="A square.", stands_for="nothing", style="none", limits="all")


def squares(labels: Tensor, size: int, draw: torch.Generator) -> Tensor:
    """Grey by label: -1, 0, 1; the level of one channel is style."""
    shade = labels[:, 0].float() - 1
    x = shade.view(-1, 1, 1, 1).expand(-1, 3, size, size).clone()
    x[:, 2] = 2 * torch.rand(len(labels), 1, 1, generator=draw) - 1
    return x


SQUARES = PictureWorld(
    name="squares", card=CARD, names={"shade": ("black", "grey", "white")}, sizes=(32,), rendering=squares
)


def test_json_has_what_the_interface_says(tmp_path: Path, capsys: pytest.CaptureFixture[str], root: Path) -> None:
    status = main(["worlds", "birds", "ring", "reviews", "--json", "--out", str(tmp_path), "--seed", "3"])
    report = json.loads(capsys.readouterr().out)
    assert status == 0 and report.keys() == {"worlds", "data_megabytes"}
    assert list(report["worlds"]) == ["birds", "ring", "reviews"]
    for row in report["worlds"].values():
        assert row.keys() == {"images_per_second", "oracle"} and row["images_per_second"] > 100
    assert report["worlds"]["birds"]["oracle"].keys() == worlds.world("birds").names.keys()
    assert min(report["worlds"]["birds"]["oracle"].values()) > 0.97
    assert report["worlds"]["ring"]["oracle"] == {} == report["worlds"]["reviews"]["oracle"]
    assert 0 < report["data_megabytes"] < 30
    assert {path.name for path in tmp_path.iterdir()} == {"birds.png", "ring.png", "reviews.txt"}


def test_text_names_files_and_speeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worlds", "birds", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert (
        "birds" in printed
        and "beak 0.99" in printed.replace("1.000", "0.999")
        and "oracles/birds.safetensors" in printed
    )
    assert f"contact sheets: {tmp_path}" in printed


def test_an_unknown_world_is_refused_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worlds", "birds", "brids", "--out", str(tmp_path)]) == 2
    assert "Did you mean 'birds'" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_cards_are_written_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shipped, "folder", lambda start=None: tmp_path)
    assert main(["worlds", "--write-cards"]) == 0
    assert {path.stem for path in (tmp_path / "cards").iterdir()} == set(worlds.WORLDS)
    assert "cards/birds.md" in capsys.readouterr().out


def test_what_falls_short_is_a_fault() -> None:
    """0.97 on 2,000 renders, less four standard deviations: 0.9547."""
    fine = Row(name="a", images_per_second=1, oracle={"x": 0.956, "y": 1.0})
    poor = Row(name="b", images_per_second=1, oracle={"x": 0.953})
    assert worlds_report.faults([fine], 29.9) == []
    assert worlds_report.faults([poor], 1) == ["b: `x` is read in 0.953 of 2000 renders, expected 0.97"]
    assert worlds_report.faults([fine], 30.1) == ["data/ weighs 30.1 MB, expected at most 30"]
    assert "b: `x`" in worlds_report.as_text([poor], 1)


def test_weight_of_data_is_without_real_data_sets(tmp_path: Path) -> None:
    for name, size in (("a.bin", 1_500_000), ("deep/b.bin", 500_000), ("real/c.bin", 9_000_000)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert worlds_report.data_megabytes(tmp_path) == 2.0


def test_speed_counts_examples_per_cpu_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that ticks 1 ms for each call of a renderer: 64 pictures a millisecond."""
    now = [0.0]
    monkeypatch.setattr(worlds_report.time, "process_time", lambda: now[0])

    def slow(labels: Tensor, size: int, draw: torch.Generator) -> Tensor:
        now[0] += 1e-3
        return squares(labels, size, draw)

    world = PictureWorld(name="slow", card=CARD, names=SQUARES.names, sizes=(32,), rendering=slow)
    assert worlds_report.images_per_second(world) == pytest.approx(64_000)


def test_a_sheet_shows_each_value_in_the_same_style(tmp_path: Path) -> None:
    """The first strip: black, grey and white beside each other, with the same blue."""
    path = contact_sheets.write_sheet(SQUARES, tmp_path, seed=1)
    sheet = np.asarray(Image.open(path))
    assert sheet.shape[1] == contact_sheets.WIDTH
    rows, cols = np.nonzero((sheet[..., 0] == 128) & (sheet[..., 1] == 128))  # the grey square of the first group
    y, x = rows[0] + 40, cols[0] + 40
    step = contact_sheets.EDGE + 6
    black, grey, white = (sheet[y, x + k * step] for k in (-1, 0, 1))
    assert (*black[:2], *grey[:2], *white[:2]) == (0, 0, 128, 128, 255, 255)
    assert black[2] == grey[2] == white[2]


def test_films_pairs_pixels_and_texts_have_sheets(tmp_path: Path) -> None:
    for name in ("sprites", "seasons", "real_digits", "parity"):
        path = contact_sheets.write_sheet(worlds.world(name), tmp_path)
        assert path.stem == name and path.stat().st_size > 500
    assert "->" in (tmp_path / "parity.txt").read_text()


def test_every_world_has_a_sheet_of_its_kind() -> None:
    """No world falls through to text that is a picture."""
    for name, world in worlds.WORLDS.items():
        assert isinstance(world, World) and world.name == name
        x = world.draw(2, generator=generator(0)).x
        pictured = isinstance(x, Tensor) and x.dim() >= 4
        assert not pictured or isinstance(world, PictureWorld) or name == "real_digits"


def test_things_are_read_by_the_classifier_that_unit_02_dreams_with() -> None:
    # 0.9905 on 4,000 renders (data/manifest.json): 300 show 0.99 +- 0.006.
    accuracy = worlds_report.oracle_accuracy(worlds.world("things"), renders=300)
    assert accuracy.keys() == {"thing"} and 0.96 <= accuracy["thing"] <= 1.0
