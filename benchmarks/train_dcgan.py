"""Train the DCGANs that unit 05 explores, and write them to data/dcgan/.

    python benchmarks/train_dcgan.py                  # all of them, one after another
    python benchmarks/train_dcgan.py faces32 --steps 50 --data /some/folder    # a folder with a manifest.json

The kit's recipe (coursekit/training/dcgan.py: KIT) on renders of the world, on one thread. The average of G's weights is what is
shipped. The manifest keeps, of 5,000 samples: the Frechet distance on the oracle's features, and the largest difference of an
attribute's share in percentage points.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from dcgan import judge

from coursekit import shipped
from coursekit.datasets.worlds import world
from coursekit.models.dcgan import Generator
from coursekit.training.dcgan import KIT, Recipe, renders, start
from coursekit.training.gan import train_gan
from coursekit.training.progress import track


class Job(NamedTuple):
    world: str
    size: int
    steps: int
    recipe: Recipe = KIT


PAPER = dataclasses.replace(KIT, fine=0)
"""Without maps at full size, as the paper's networks."""

JOBS = {
    "birds64": Job("birds", 64, 3_000, PAPER),
    "faces32": Job("faces", 32, 12_000),
    "rooms32": Job("rooms", 32, 4_000, dataclasses.replace(PAPER, g_width=48)),
    "digits32": Job("digits", 32, 3_000, PAPER),
}


def train(name: str, job: Job, *, steps: int, seed: int, data: Path | None, report_every: int = 1000) -> None:
    began = time.process_time()
    batches = renders(world(job.world), size=job.size, batch=job.recipe.batch, seed=seed, among=30_000)
    gan = start(job.recipe, channels=batches(0).shape[1], size=job.size, steps=steps, seed=seed, on="cpu")
    for record in track(train_gan(gan, batches), name, total=steps):
        if (record.step + 1) % report_every == 0:
            arm = judge(gan.sample(2000, seed=1), job.world, record.step, 0.0, size=job.size)
            print(
                f"{name} {record.step + 1}: Frechet {arm.frechet:.2f}, {arm.worst:.1f} points ({arm.worst_of})",
                flush=True,
            )
    seconds = time.process_time() - began
    arm = judge(gan.sample(5000, seed=1), job.world, gan.step, seconds, size=job.size)
    G = gan.average
    assert isinstance(G, Generator)
    shipped.save(
        f"dcgan/{name}", G, command=f"python benchmarks/train_dcgan.py {name}", seed=seed, seconds=seconds,
        figures={"frechet": arm.frechet, "worst_share_points": arm.worst},
        config={
            "latent": G.latent, "channels": batches(0).shape[1], "width": job.recipe.g_width, "size": job.size,
            "fine": job.recipe.fine,
        },
        data=data,
    )  # fmt: skip
    print(
        f"{name}: {gan.step} steps, {seconds:.0f} s, Frechet {arm.frechet:.3f}, worst share {arm.worst:.1f} ({arm.worst_of})"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the DCGANs of unit 05.")
    parser.add_argument("names", nargs="*", default=list(JOBS), help=f"of {', '.join(JOBS)}")
    parser.add_argument("--steps", type=int, default=0, help="instead of each one's own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="the data folder to write to (default: the kit's)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in JOBS]:
        parser.error(f"got {', '.join(unknown)}, expected some of {', '.join(JOBS)}")
    torch.set_num_threads(1)
    for name in options.names:
        job = JOBS[name]
        train(name, job, steps=options.steps or job.steps, seed=options.seed, data=options.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
