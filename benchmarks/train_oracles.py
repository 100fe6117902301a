"""Train the oracles, the networks that read a world's attributes back, and write them to data/oracles/.

    python benchmarks/train_oracles.py                      # every picture world, with the settings of the shipped files
    python benchmarks/train_oracles.py birds digits
    python benchmarks/train_oracles.py birds --steps 20 --data /some/folder    # a folder with a manifest.json

Every batch is rendered afresh: no picture is seen twice. One thread, so that a run is repeatable on a machine; half a
minute to two of one core for each world. The manifest keeps the accuracy of each attribute on 4,000 renders of another seed,
the mean over the world's sizes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit import oracles, shipped
from coursekit.datasets import worlds
from coursekit.datasets.world import PictureWorld
from coursekit.runtime import generator, seeded, threads

BATCH = 128
RATE = 3e-3
STEPS = 600
HELD_OUT = 4000
HELD_OUT_SEED = 1_000_003
OTHER_SIZE_EVERY = 8
"""Every so many batches are rendered at another of the world's sizes: a picture made smaller differs a little from one
rendered small."""
NOISE = 0.1
"""Each picture gets noise of a standard deviation between 0 and this: generated pictures are never as clean as renders."""

WITHOUT = ("things",)
"""Worlds of pictures without an oracle: things are told apart by the classifiers of benchmarks/train_dreamnet.py."""

SETTINGS: dict[str, dict[str, Any]] = {
    "birds": {"steps": 1200},
    "digits": {"steps": 1200},
    "faces": {"steps": 1600},  # the mouth is a few pixels
    "flowers": {"steps": 1200},
    "rooms": {"steps": 800},
    "sprites": {"steps": 1400, "batch": 48, "widths": (24, 48, 64)},  # eight frames each
    "scenes": {"steps": 700, "widths": (24, 48, 64)},
}
"""World -> what differs from the above for it."""


def loss_of(logits: Tensor, labels: Tensor, values: tuple[int, ...]) -> Tensor:
    """Cross-entropy in nats, summed over the attributes, mean over the pictures."""
    return sum(F.cross_entropy(part.float(), labels[:, a]) for a, part in enumerate(logits.split(values, 1)))  # type: ignore[return-value]


def train(
    world: PictureWorld, *, seed: int, steps: int, size: int, batch: int, widths: tuple[int, ...]
) -> tuple[oracles.Reader, dict[str, Any]]:
    """AdamW, the rate rising for a tenth of the steps and then falling to 0 along half a cosine."""
    draw = generator(seed)
    config = oracles.config(world, oracles.fresh(world, 2, generator=draw)[0], size=size, widths=widths)
    with seeded(seed):
        net = oracles.build(config)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    start = time.process_time()
    for step in range(steps):
        other = (step + 1) % OTHER_SIZE_EVERY == 0 and len(world.sizes) > 1
        edge = world.sizes[1 + step // OTHER_SIZE_EVERY % (len(world.sizes) - 1)] if other else world.sizes[0]
        x, labels = oracles.fresh(world, batch, generator=draw, size=edge)
        spread = NOISE * torch.rand(len(x), *[1] * (x.dim() - 1), generator=draw)
        x = x + spread * torch.randn(x.shape, generator=draw)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(x)
        loss = loss_of(logits, labels, net.values)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % max(1, steps // 6) == 0:
            print(
                f"{world.name}: step {step + 1} of {steps}, loss {loss.item():.3f} nats, {time.process_time() - start:.0f} CPU s",
                flush=True,
            )
    return net.eval(), config


@torch.no_grad()
def rescale(net: oracles.Reader, x: Tensor) -> None:
    """Make the mean square of the features about 1, so that distances between them have a size that means something.

    What is read stays the same: the features are linear in `code` up to a ReLU, and the heads take the factor back. A power
    of two changes no digit of the weights.
    """
    factor = 2.0 ** round(math.log2(net.features(x).square().mean().sqrt().item()))
    net.code.weight /= factor
    net.code.bias /= factor
    net.heads.weight *= factor


def held_out(world: PictureWorld, net: oracles.Reader) -> dict[str, float]:
    """Accuracy of each attribute on fresh renders, the mean over the world's sizes."""
    net.half().float()  # as they will be stored
    reader, shares = oracles.Oracle(world.name, world.names, net), []
    for edge in world.sizes:
        x, labels = oracles.fresh(world, HELD_OUT, generator=generator(HELD_OUT_SEED), size=edge)
        shares.append(reader.accuracy(x, labels))
    return {name: sum(share[name] for share in shares) / len(shares) for name in world.names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("worlds", nargs="*", help="names (default: every world of pictures with attributes)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help=f"default: {STEPS}, or as SETTINGS says")
    parser.add_argument("--data", type=Path, default=None, help="default: the repository's data/")
    options = parser.parse_args()
    for name in options.worlds or [
        n for n, w in worlds.WORLDS.items() if isinstance(w, PictureWorld) and n not in WITHOUT
    ]:
        world = worlds.world(name)
        assert isinstance(world, PictureWorld), f"{name} is no world of pictures"
        settings = {
            "steps": STEPS,
            "batch": BATCH,
            "widths": oracles.WIDTHS,
            "size": world.sizes[0],
            **SETTINGS.get(name, {}),
        }
        if options.steps:
            settings["steps"] = options.steps
        start = time.process_time()
        with threads(1):
            net, config = train(world, seed=options.seed, **settings)
            rescale(net, oracles.fresh(world, 1000, generator=generator(HELD_OUT_SEED))[0])
            seconds = time.process_time() - start
            figures = held_out(world, net)
        command = f"python benchmarks/train_oracles.py {name} --seed {options.seed}"
        command += f" --steps {options.steps}" if options.steps else ""
        path = shipped.save(
            f"oracles/{name}", net, command=command,
            seed=options.seed, seconds=seconds, figures=figures, config=config, data=options.data,
        )  # fmt: skip
        print(
            f"{path.name}: {path.stat().st_size} bytes, {seconds:.0f} CPU s",
            {k: round(v, 4) for k, v in figures.items()},
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
