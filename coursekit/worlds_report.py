"""What `coursekit worlds` shows: how each world looks, how fast it is drawn, what its oracle reads, and what data/ weighs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit import oracles, shipped
from coursekit.contact_sheets import write_sheet
from coursekit.datasets import worlds
from coursekit.datasets.world import PictureWorld, World
from coursekit.models.dreamnet import load_dreamnet
from coursekit.runtime import generator, threads

LIMIT_MEGABYTES = 30.0
"""What data/ may weigh in all."""
LEAST_ACCURACY = 0.97
"""What an oracle must reach on each attribute."""
RENDERS = 2000
"""Fresh renders that an oracle is judged by: a true accuracy of 0.97 then shows as 0.97 +- 0.004."""
CLASSIFIED = "things"
"""The world that a classifier reads: `dreamnet`, with which unit 02 dreams."""
_BATCH, _SECONDS, _RUNS = 512, 0.25, 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one world."""

    name: str
    images_per_second: float
    """Examples drawn in a second of one processor, one thread, at the world's default size; the best of three runs."""
    oracle: dict[str, float] = field(default_factory=dict)
    """Attribute -> accuracy on fresh renders; empty where there is no oracle."""
    sheet: Path | None = None

    def faults(self, renders: int = RENDERS) -> list[str]:
        """Attributes that are read too badly, by more than four standard deviations of the sample."""
        margin = 4 * (LEAST_ACCURACY * (1 - LEAST_ACCURACY) / renders) ** 0.5
        return [
            f"{self.name}: `{attribute}` is read in {share:.3f} of {renders} renders, expected {LEAST_ACCURACY}"
            for attribute, share in self.oracle.items()
            if share < LEAST_ACCURACY - margin
        ]


def examine(name: str, *, out: Path | None, seed: int = 0) -> Row:
    """Measure the world `name`, and write its contact sheet to the folder `out` (None: none)."""
    world = worlds.world(name)
    with threads(1):
        speed = images_per_second(world, seed=seed)
        accuracy = oracle_accuracy(world, seed=seed) if name in (*oracles.shipped_oracles(), CLASSIFIED) else {}
        sheet = write_sheet(world, out, seed=seed) if out else None
    return Row(name=name, images_per_second=speed, oracle=accuracy, sheet=sheet)


def images_per_second(world: World, *, seed: int = 0) -> float:
    """Examples drawn per CPU second. Best of three runs: whatever else the machine does can only slow one down.

    Of a world of pictures the rendering is measured: attributes are drawn before, captions not at all.
    """
    draw = generator(seed)
    if isinstance(world, PictureWorld):
        labels = world.sample(_BATCH, generator=draw)
        work = lambda: world.render(labels, generator=draw)  # noqa: E731
    else:
        work = lambda: world.draw(_BATCH, generator=draw)  # noqa: E731
    work()  # the first call pays for imports and memory
    return max(_rate(work) for _ in range(_RUNS))


def _rate(work: Any) -> float:
    start, done = time.process_time(), 0
    while (spent := time.process_time() - start) < _SECONDS:
        work()
        done += _BATCH
    return done / spent


def oracle_accuracy(world: World, *, seed: int = 0, renders: int = RENDERS) -> dict[str, float]:
    """Attribute -> share of fresh renders that the shipped oracle (or classifier) reads right, at the default size."""
    assert isinstance(world, PictureWorld)
    # Far from any seed that an oracle was trained with.
    x, labels = oracles.fresh(world, renders, generator=generator(7_000_000 + seed))
    if world.name == CLASSIFIED:
        [attribute] = world.names
        return {attribute: (load_dreamnet().read(x) == labels[:, 0]).float().mean().item()}
    return oracles.oracle(world.name).accuracy(x, labels)


def data_megabytes(data: Path | None = None) -> float:
    """Weight of data/ in MB (10^6 bytes), without data/real, where downloaded data sets lie."""
    data = data or shipped.folder()
    files = (path for path in data.rglob("*") if path.is_file() and path.relative_to(data).parts[0] != "real")
    return sum(path.stat().st_size for path in files) / 1e6


def as_json(rows: Iterable[Row], megabytes: float) -> dict[str, Any]:
    measured = {row.name: {"images_per_second": round(row.images_per_second, 1), "oracle": row.oracle} for row in rows}
    return {"worlds": measured, "data_megabytes": round(megabytes, 3)}


def line(row: Row) -> str:
    """One world, as text: speed, then attributes with their accuracy."""
    read = "  ".join(f"{attribute} {share:.3f}" for attribute, share in row.oracle.items())
    return f"{row.name:<12} {row.images_per_second:>9,.0f}/s  {read or 'no oracle'}"


def as_text(rows: Iterable[Row], megabytes: float) -> str:
    """What follows the lines: sizes, and what is wrong."""
    files = shipped.manifest()
    sizes = "\n".join(f"  {row['bytes'] / 1e6:7.3f} MB  {name}" for name, row in files.items())
    total = f"data/ {megabytes:.2f} MB of at most {LIMIT_MEGABYTES:g}; in it:\n{sizes}"
    return "\n".join([total, *faults(rows, megabytes)])


def faults(rows: Iterable[Row], megabytes: float) -> list[str]:
    """What the command ends with exit code 1 for."""
    heavy = (
        [f"data/ weighs {megabytes:.1f} MB, expected at most {LIMIT_MEGABYTES:g}"]
        if megabytes > LIMIT_MEGABYTES
        else []
    )
    return [fault for row in rows for fault in row.faults()] + heavy
