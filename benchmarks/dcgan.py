"""The kit's DCGAN recipe against the stock one, at equal computing time: which pictures come out?

    python benchmarks/dcgan.py                 # 4 CPU-minutes each, side by side on two cores; then bfloat16 against float32
    python benchmarks/dcgan.py --seconds 60 --world faces
    python benchmarks/dcgan.py --json
    python benchmarks/dcgan.py --picture docs/img/dcgan.png

`stock` is the recipe of the PyTorch DCGAN example, its widths scaled to 32 px (coursekit/training/dcgan.py: STOCK), `kit` the
kit's own (KIT). Both train on one thread until their process has used `--seconds` of CPU time. Then the world's oracle looks at
5,000 samples of each: `frechet` is the Frechet distance of its features to those of 5,000 fresh renders, `worst` the largest
difference in percentage points between an attribute's share among the samples and among the renders. `float32` is the
kit's recipe without bfloat16, for as many steps as `kit` made in its time: what bfloat16 does to the pictures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from coursekit import oracles, plots, runtime
from coursekit.datasets.worlds import world
from coursekit.metrics.sets import frechet_distance
from coursekit.training.dcgan import KIT, STOCK, renders, start
from coursekit.training.gan import train_gan, within

SIZE = 32
JUDGED = 5000
RECIPES = {"stock": STOCK, "kit": KIT, "float32": dataclasses.replace(KIT, fast=False)}


@dataclasses.dataclass(frozen=True)
class Arm:
    """What one recipe reached."""

    steps: int
    cpu_seconds: float
    frechet: float
    worst: float
    """Percentage points."""
    worst_of: str
    pictures: Tensor
    """(48, C, size, size)"""

    def figures(self) -> dict[str, object]:
        rounded = {
            "cpu_seconds": round(self.cpu_seconds),
            "frechet": round(self.frechet, 3),
            "worst": round(self.worst, 1),
        }
        return {"steps": self.steps, **rounded, "worst_of": self.worst_of}


def run(name: str, world_name: str, seed: int, *, seconds: float = 0, steps: int = 0) -> Arm:
    """Train until `seconds` of CPU time are used, or for `steps`."""
    torch.set_num_threads(1)
    recipe, data = RECIPES[name], world(world_name)
    batches = renders(data, size=SIZE, batch=recipe.batch, seed=seed)
    channels = batches(0).shape[1]
    gan = start(recipe, channels=channels, size=SIZE, steps=steps or 10**6, seed=seed, on="cpu")
    began = time.process_time()
    records = train_gan(gan, batches)
    for _ in records if steps else within(gan, records, seconds):
        pass
    used = time.process_time() - began
    return judge(gan.sample(JUDGED, seed=1), world_name, gan.step, used)


def judge(fake: Tensor, world_name: str, steps: int, used: float, *, size: int = SIZE) -> Arm:
    """5,000 fresh renders, read by the oracle, against fakes (N, C, size, size)."""
    data, oracle = world(world_name), oracles.oracle(world_name)
    real, _ = oracles.fresh(data, JUDGED, generator=runtime.generator(2), size=size)
    frechet = frechet_distance(oracle.features(real), oracle.features(fake))
    read, true = oracle.read(fake), oracle.read(real)
    off = {
        f"{name} {value}": ((read[:, a] == k).double().mean() - (true[:, a] == k).double().mean()).item() * 100
        for a, (name, values) in enumerate(data.names.items())
        for k, value in enumerate(values)
    }
    worst = max(off, key=lambda key: abs(off[key]))
    return Arm(steps, used, frechet, abs(off[worst]), worst, fake[:48])


def main() -> int:
    parser = argparse.ArgumentParser(
        description="The kit's DCGAN recipe against the stock one at equal computing time."
    )
    parser.add_argument("--seconds", type=float, default=240, help="CPU seconds for each recipe")
    parser.add_argument("--world", default="birds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--picture", type=Path, help="where to write the samples of both, as PNG")
    options = parser.parse_args()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        racing = {
            name: pool.submit(run, name, options.world, options.seed, seconds=options.seconds)
            for name in ("stock", "kit")
        }
        arms = {name: racer.result() for name, racer in racing.items()}
        arms["float32"] = pool.submit(run, "float32", options.world, options.seed, steps=arms["kit"].steps).result()
    ratio = arms["kit"].frechet / arms["stock"].frechet
    result = {name: arm.figures() for name, arm in arms.items()} | {"ratio": round(ratio, 3)}
    if options.picture:
        rows = torch.cat([arms["stock"].pictures[:24], arms["kit"].pictures[:24]])
        options.picture.write_bytes(plots.png(plots.pictures(rows, cols=12, width=8), colours=128))
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"{'':10}  steps   CPU s   Frechet distance   largest difference of a share")
    for name, arm in arms.items():
        print(
            f"{name:10} {arm.steps:6} {arm.cpu_seconds:7.0f} {arm.frechet:18.2f}   {arm.worst:.1f} points ({arm.worst_of})"
        )
    print(f"Frechet distance of kit over stock: {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
