"""What mends a GAN that misses modes: one table over all remedies, on eight and on twenty-five Gaussians.

    python benchmarks/modes.py                          # about 10 minutes with two processes on two cores
    python benchmarks/modes.py --only r1 wgan-gp --seeds 3
    python benchmarks/modes.py --json data/results/modes.json

Each row is one recipe of `coursekit.training.remedies`, trained afresh from every seed and judged by 2,500 samples: modes
covered (mean and least over the seeds), share of samples within 3 sigma of a mode (of true samples 0.989 are), seconds of
processor time. A run is one thread, so that is also its time by the clock on a free core.

Exits with 1 unless the best recipe, on at least 19 of every 20 seeds, covers 8 of 8 and at least 24 of 25 modes, each run in
under 60 s. With --json the rows are written into a file; its rows for other remedies stay.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from coursekit.datasets.toy2d import WORLDS
from coursekit.training.progress import track
from coursekit.training.remedies import BEST, JUDGED, REMEDIES, Attempt

BAR = {"ring": 8, "grid": 24}
"""Modes that the best recipe must cover."""
LIMIT = 60.0
"""Seconds."""
SHARE = 19 / 20
SHOWN = 200
"""Samples of each remedy's first seed that are kept for a picture."""


class Task(NamedTuple):
    remedy: str
    world: str
    seed: int
    steps: int | None


class Result(NamedTuple):
    task: Task
    covered: int
    quality: float
    seconds: float
    points: list[int]
    """Hundredths: x1, x2 of SHOWN samples."""


def attempt(task: Task) -> Result:
    """One run, on one thread."""
    torch.set_num_threads(1)
    began = time.process_time()
    run = Attempt(task.remedy, WORLDS[task.world], seed=task.seed, steps=task.steps)
    for _ in run.train():
        pass
    modes = run.judge()
    points = (100 * run.sample(SHOWN)).nan_to_num().clamp(-999, 999).round().int().flatten().tolist()
    return Result(task, modes.covered, modes.quality, time.process_time() - began, points)


def results(tasks: list[Task], jobs: int) -> Iterator[Result]:
    """As they come in."""
    if jobs == 1:
        yield from map(attempt, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(attempt, tasks)


def rows(done: list[Result]) -> list[dict[str, Any]]:
    """One for each remedy and world, in the order of REMEDIES; lists run over the seeds."""
    table = []
    for remedy in REMEDIES:
        for world in BAR:
            own = sorted((r for r in done if r.task[:2] == (remedy, world)), key=lambda r: r.task.seed)
            if own:
                table.append({
                    "remedy": remedy, "world": world, "says": REMEDIES[remedy].says,
                    "steps": own[0].task.steps or REMEDIES[remedy].steps,
                    "seeds": [r.task.seed for r in own], "covered": [r.covered for r in own],
                    "quality": [round(r.quality, 3) for r in own], "seconds": [round(r.seconds, 1) for r in own],
                    "points": own[0].points,
                })  # fmt: skip
    return table


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def text(table: list[dict[str, Any]]) -> Iterator[str]:
    """The table as lines."""
    yield f"{'remedy':12} {'world':6} {'seeds':>5} {'modes: mean':>12} {'least':>6} {'of':>3} {'quality':>8} {'seconds':>8}"
    for row in table:
        of = WORLDS[row["world"]].pieces
        yield (
            f"{row['remedy']:12} {row['world']:6} {len(row['seeds']):5} {mean(row['covered']):12.1f} {min(row['covered']):6}"
            f" {of:3} {mean(row['quality']):8.2f} {mean(row['seconds']):8.1f}   {row['says']}"
        )


def verdict(table: list[dict[str, Any]]) -> tuple[bool, list[str]]:
    """Whether the best recipe reaches the bar, and what there is to say about it."""
    good, said = True, []
    for row in table:
        if row["remedy"] == BEST:
            need, n = BAR[row["world"]], len(row["seeds"])
            reached = sum(c >= need and s < LIMIT for c, s in zip(row["covered"], row["seconds"]))
            good &= reached >= SHARE * n
            said.append(
                f"{BEST} on {row['world']}: at least {need} of {WORLDS[row['world']].pieces} modes in {reached} of {n} seeds, "
                f"the slowest run in {max(row['seconds']):.0f} s"
            )
    return good, said


def save(table: list[dict[str, Any]], path: Path) -> None:
    """Write the rows; those of other remedies and worlds in the file stay."""
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    fresh = {(row["remedy"], row["world"]): row for row in [*old, *table]}
    kept = [fresh[key] for key in itertools.product(REMEDIES, BAR) if key in fresh]
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"machine": "two x86-64 cores, one thread a run, seconds of processor time", "samples": JUDGED, "best": BEST}
    body = ",\n".join("  " + json.dumps(row) for row in kept)
    path.write_text(json.dumps(head)[:-1] + ', "rows": [\n' + body + "\n]}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description="The remedies against missing modes, in one table.")
    parser.add_argument("--only", nargs="+", choices=list(REMEDIES), default=list(REMEDIES), metavar="REMEDY")
    parser.add_argument("--worlds", nargs="+", choices=list(BAR), default=list(BAR))
    parser.add_argument("--seeds", type=int, default=3, help="of every remedy but the best")
    parser.add_argument("--best-seeds", type=int, default=20, help=f"of the best one, {BEST}")
    parser.add_argument("--steps", type=int, help="of every run, instead of the recipe's")
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    parser.add_argument("--json", type=Path, help="file for the rows")
    options = parser.parse_args()
    tasks = [
        Task(remedy, world, seed, options.steps)
        for remedy in options.only
        for world in options.worlds
        for seed in range(options.best_seeds if remedy == BEST else options.seeds)
    ]
    done = []
    for result in track(results(tasks, options.jobs), "runs", total=len(tasks)):
        done.append(result)
        if options.json:
            save(rows(done), options.json)
    table = rows(done)
    print(*text(table), sep="\n")
    good, said = verdict(table)
    print(*said, sep="\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
