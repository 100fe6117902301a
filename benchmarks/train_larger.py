"""Train the larger generators in small, and write them to data/larger/.

    python benchmarks/train_larger.py                     # both, with the settings of the shipped files
    python benchmarks/train_larger.py style               # a style-based generator of birds
    python benchmarks/train_larger.py classes             # a class-conditional generator of digits
    python benchmarks/train_larger.py style --steps 20 --data /some/folder      # a folder with a manifest.json

One thread and one core, about six minutes each. What is shipped is the exponential average of the generator's weights. The
manifest keeps the Frechet distance of 2,000 fakes to 2,000 fresh renders in the oracle's features, that of 2,000 other renders,
and for the digits the share that the oracle reads as the class that was asked for.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coursekit import oracles, runtime, shipped
from coursekit.datasets import worlds
from coursekit.datasets.world import PictureWorld
from coursekit.losses import HINGE
from coursekit.metrics import frechet_distance
from coursekit.models import dcgan
from coursekit.models.class_conditional import ClassDiscriminator, ClassGenerator, standing_statistics
from coursekit.models.style import StyleGenerator
from coursekit.runtime import generator, seeded, threads
from coursekit.training.gan import Gan, GanConfig, train_gan

BATCH = 32
POOL = 15_000
"""Renders to train on, each seen about six times."""
HELD_OUT = 2000
HELD_OUT_SEED = 1_000_003
COMMON: dict[str, Any] = {
    "betas": (0.0, 0.99),
    "decay_from": 0.5,
    "ema": 0.998,
    "channels_last": True,
    "measure_every": 400,
}
CONFIG: dict[str, dict[str, Any]] = {
    "style": {"steps": 2800, "lr_g": 2e-3, "lr_d": 4e-4},
    "classes": {"steps": 2600, "lr_g": 4e-4, "lr_d": 4e-4},
}
WORLD = {"style": "birds", "classes": "digits"}


def pool(world: PictureWorld, seed: int, size: int) -> tuple[Tensor, Tensor]:
    return oracles.fresh(world, POOL, generator=generator(seed), size=size)


def train(
    G: nn.Module, D: nn.Module, batches: Callable[[int], Any], config: GanConfig, score: Callable[[Gan], float]
) -> Gan:
    fabric = runtime.fabric(on="cpu", precision=runtime.precision("cpu"))
    gan, start = Gan(G, D, config, game=HINGE, fabric=fabric), time.process_time()
    for record in train_gan(gan, batches, measure=score):
        if record.measure is not None:
            seconds = time.process_time() - start
            print(
                f"step {record.step + 1} of {config.steps}: Frechet {record.measure:.2f}, {seconds:.0f} CPU s",
                flush=True,
            )
    return gan


def style(seed: int, steps: int) -> tuple[nn.Module, dict[str, float], dict[str, Any]]:
    world, read = worlds.world("birds"), oracles.oracle("birds")
    assert isinstance(world, PictureWorld)
    x, _ = pool(world, seed, 32)
    pick = generator(seed + 1)
    real = read.features(oracles.fresh(world, HELD_OUT, generator=generator(HELD_OUT_SEED))[0])
    with seeded(seed):
        G, D = StyleGenerator(), dcgan.Discriminator(width=32, norm="spectral")
    config = GanConfig(latent=G.latent, **COMMON, seed=seed, **CONFIG["style"] | {"steps": steps})
    gan = train(
        G, D, lambda k: x[torch.randint(len(x), (BATCH,), generator=pick)], config,
        lambda gan: frechet_distance(real, read.features(gan.sample(HELD_OUT))),
    )  # fmt: skip
    best = gan.average
    assert isinstance(best, StyleGenerator)
    best.eval()
    with torch.no_grad():
        best.mean_w.copy_(best.map(torch.randn(10_000, best.latent, generator=generator(seed))).mean(0))
        best.half().float()  # as it will be stored
        fakes = torch.cat(
            [best(z) for z in torch.randn(HELD_OUT, best.latent, generator=generator(seed + 2)).split(500)]
        )
    other = read.features(oracles.fresh(world, HELD_OUT, generator=generator(HELD_OUT_SEED + 1))[0])
    figures = {"frechet": frechet_distance(real, read.features(fakes)), "frechet_real": frechet_distance(real, other)}
    return best, figures, {"world": "birds", "size": 32}


def classes(seed: int, steps: int) -> tuple[nn.Module, dict[str, float], dict[str, Any]]:
    world, read = worlds.world("digits"), oracles.oracle("digits")
    assert isinstance(world, PictureWorld)
    x, labels = pool(world, seed, 32)
    y = labels[:, 0]
    pick = generator(seed + 1)
    real = read.features(oracles.fresh(world, HELD_OUT, generator=generator(HELD_OUT_SEED), size=32)[0])
    asked = torch.arange(HELD_OUT) % 10
    with seeded(seed):
        G, D = ClassGenerator(classes=10, width=16), ClassDiscriminator(classes=10, width=16)
    config = GanConfig(latent=G.latent, **COMMON, seed=seed, **CONFIG["classes"] | {"steps": steps})

    def batches(k: int) -> tuple[Tensor, Tensor]:
        at = torch.randint(len(x), (BATCH,), generator=pick)
        return x[at], y[at]

    gan = train(G, D, batches, config, lambda gan: frechet_distance(real, read.features(gan.sample(HELD_OUT, asked))))
    best = gan.average
    assert isinstance(best, ClassGenerator)
    own = generator(seed + 2)
    # The statistics that came with the average are those of the weights of the moment.
    standing_statistics(best.eval(), lambda: (torch.randn(200, best.latent, generator=own), torch.arange(200) % 10))
    best.half().float()
    with torch.no_grad():
        fakes = torch.cat([best(torch.randn(500, best.latent, generator=own), part) for part in asked.split(500)])
    other = read.features(oracles.fresh(world, HELD_OUT, generator=generator(HELD_OUT_SEED + 1), size=32)[0])
    figures = {
        "frechet": frechet_distance(real, read.features(fakes)),
        "frechet_real": frechet_distance(real, other),
        "class": (read.read(fakes)[:, 0] == asked).double().mean().item(),
    }
    return best, figures, {"world": "digits", "classes": 10, "width": 16, "size": 32}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", choices=["style", "classes", []], help="default: both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="default: as CONFIG says")
    parser.add_argument("--data", type=Path, default=None, help="default: the repository's data/")
    options = parser.parse_args()
    for name in options.networks or CONFIG:
        start = time.process_time()
        with threads(1):
            make, steps = {"style": style, "classes": classes}[name], options.steps or CONFIG[name]["steps"]
            net, figures, config = make(options.seed, steps)
        command = f"python benchmarks/train_larger.py {name} --seed {options.seed}"
        command += f" --steps {options.steps}" if options.steps else ""
        path = shipped.save(
            f"larger/{WORLD[name]}_{name}", net, command=command, seed=options.seed, seconds=time.process_time() - start,
            figures=figures, config=config, data=options.data,
        )  # fmt: skip
        print(f"{path.name}: {path.stat().st_size} bytes", {k: round(v, 4) for k, v in figures.items()}, flush=True)


if __name__ == "__main__":
    main()
