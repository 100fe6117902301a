"""Train the cascades of notebook 6.2 and the single generators beside them, and write them to data/conditional/.

    python benchmarks/train_pyramid.py                # all, twelve minutes of one core
    python benchmarks/train_pyramid.py birds          # 32 px: cascade and single
    python benchmarks/train_pyramid.py hundred        # 16 px, on 100 pictures: cascade_hundred and single_hundred
    python benchmarks/train_pyramid.py pairs          # coupled digits: prints how many pairs agree, ships nothing
    python benchmarks/train_pyramid.py birds --share 0.05 --seeds 1 --data /some/folder    # a folder with a manifest.json

One thread. The single generator gets as many CPU seconds as all levels of its cascade together. Seed 0 is shipped (averages of
G's weights); the figures of the others are in the manifest, so that it says how far runs differ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coursekit import oracles, shipped
from coursekit.datasets import worlds
from coursekit.datasets.world import PictureWorld
from coursekit.losses import HINGE
from coursekit.metrics import frechet_distance, memorisation
from coursekit.models.coupled import CoupledDiscriminator, CoupledGenerator, unrelated
from coursekit.models.dcgan import Discriminator, Generator
from coursekit.models.laplacian import (
    BaseDiscriminator,
    Cascade,
    DetailDiscriminator,
    DetailGenerator,
    halve,
    split,
    widen,
)
from coursekit.runtime import fabric, generator, precision, seeded, threads
from coursekit.training.classify import shuffled
from coursekit.training.conditional import BATCH, RECIPE, renders_with
from coursekit.training.gan import Gan, GanConfig, train_gan, within

LATENT = 32
WIDTHS = {"cascade": (48, (32, 24)), "cascade of a hundred": (32, (24,))}
"""Of the base and of the detail generators."""
SECONDS = {"birds": (12.0, 12.0, 30.0), "hundred": (10.0, 10.0)}
"""CPU seconds for each level, coarsest first."""
SLOW: dict[str, Any] = RECIPE | {"lr_d": 2e-3, "lr_g": 2e-3}
"""Colours bear lower rates than digits do."""
Trained = dict[str, tuple[nn.Module, dict[str, Any], dict[str, float]]]


def play(
    G: nn.Module, D: nn.Module, batches: Callable[[int], Any], *, seconds: float, seed: int, label: str
) -> nn.Module:
    """A run of so many CPU seconds -> the average of G, eval mode."""
    config = GanConfig(steps=1_000_000, latent=G.latent, seed=seed, **SLOW)  # type: ignore[arg-type]
    gan = Gan(G, D, config, game=HINGE, fabric=fabric(on="cpu", precision=precision("cpu")))
    for _ in within(gan, train_gan(gan, batches), seconds):
        pass
    print(f"{label}: {gan.step} steps", flush=True)
    assert gan.average is not None
    return gan.average.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload, no-any-return]


def birds(n: int, seed: int) -> Tensor:
    world = worlds.world("birds")
    assert isinstance(world, PictureWorld)
    return world.render(world.sample(n, generator=generator(seed)), generator=generator(seed + 1), size=32)


def levels(x: Tensor, edge: int) -> Tensor:
    """Pictures (N, C, 32, 32) -> (N, C, edge, edge), by the pyramid."""
    while x.shape[-1] > edge:
        x = halve(x)
    return x


def train_cascade(x: Tensor, seconds: tuple[float, ...], seed: int, label: str) -> tuple[Cascade, dict[str, Any]]:
    """x (N, 3, edge, edge): the levels one after the other, none of which sees another's work."""
    pyramid, here = [], x
    for _ in seconds[1:]:
        low, high = split(here)
        pyramid.append((high, widen(low, high.shape[2:])))
        here = low
    pyramid.reverse()
    base, details = WIDTHS[label]
    about: dict[str, Any] = {
        "latent": LATENT, "base": base, "details": list(details),
        "scales": [round(high.std().item(), 3) for high, _ in pyramid],
    }  # fmt: skip
    with seeded(seed):
        cascade = Cascade(**about)
        D = BaseDiscriminator()
    options = {"seed": seed, "label": f"{label}, seed {seed}"}
    cascade.base = play(cascade.base, D, _only(here, seed), seconds=seconds[0], **options)  # type: ignore[arg-type, assignment]
    for k, ((high, wide), budget) in enumerate(zip(pyramid, seconds[1:])):
        G = cascade.details[k]
        assert isinstance(G, DetailGenerator)
        with seeded(seed + k):
            judge = DetailDiscriminator(edge=G.edge, scale=float(G.scale))
        batches = shuffled(high, wide, batch=BATCH, seed=seed)
        cascade.details[k] = play(G, judge, batches, seconds=budget, **options)  # type: ignore[arg-type]
    return cascade.requires_grad_(False), about


def train_single(x: Tensor, seconds: float, seed: int, label: str) -> tuple[Generator, dict[str, Any]]:
    edge = x.shape[-1]
    about = {"latent": LATENT, "width": 16, "fine": 16, "size": edge}
    with seeded(seed):
        G, D = Generator(**about), Discriminator(width=16, size=edge, norm="spectral", fine=16)  # type: ignore[arg-type]
    net = play(G, D, _only(x, seed), seconds=seconds, seed=seed, label=f"{label}, seed {seed}")
    assert isinstance(net, Generator)
    return net.requires_grad_(False), about


def _only(x: Tensor, seed: int) -> Callable[[int], Tensor]:
    batches = shuffled(x, batch=BATCH, seed=seed)
    return lambda k: batches(k)[0]


def samples(net: nn.Module, n: int, seed: int) -> Tensor:
    z = torch.randn(n, LATENT, generator=generator(seed))
    with torch.no_grad():
        x: Tensor = net(z, generator=generator(seed + 1)) if isinstance(net, Cascade) else net(z)
    return x.clamp(-1, 1)


def birds_32(seed: int, share: float) -> Trained:
    read, x = oracles.oracle("birds"), birds(8000, 10 * seed)
    real = read.features(birds(1000, 1_000_003))
    seconds = tuple(share * s for s in SECONDS["birds"])
    pair = {
        "cascade": train_cascade(x, seconds, seed, "cascade"),
        "single": train_single(x, sum(seconds), seed, "single"),
    }
    return {
        name: (net, about, {f"frechet_{seed}": frechet_distance(real, read.features(samples(net, 1000, 7)))})
        for name, (net, about) in pair.items()
    }


def coarse(x: Tensor) -> Tensor:
    """What copies are looked for in: 8 x 8 pixels."""
    return levels(x, 8)


def hundred(seed: int, share: float) -> Trained:
    x, new = levels(birds(100, 50 + seed), 16), levels(birds(500, 2_000_003), 16)
    seconds = tuple(share * s for s in SECONDS["hundred"])
    pair = {
        "cascade_hundred": train_cascade(x, seconds, seed, "cascade of a hundred"),
        "single_hundred": train_single(x, sum(seconds), seed, "single of a hundred"),
    }
    found: Trained = {}
    for name, (net, about) in pair.items():
        fakes = samples(net, 500, 7)
        copies, at_16 = memorisation(coarse(fakes), coarse(x)), memorisation(fakes, x)
        fresh = memorisation(coarse(new), coarse(x))
        found[name] = net, about, {
            f"share_{seed}": copies.share, f"ratio_{seed}": copies.ratio, f"share_16px_{seed}": at_16.share,
            f"ratio_16px_{seed}": at_16.ratio, f"fresh_ratio_{seed}": fresh.ratio,
        }  # fmt: skip
    return found


TRAIN: dict[str, Callable[[int, float], Trained]] = {"birds": birds_32, "hundred": hundred}


def pairs(seed: int, share: float) -> None:
    """Digits and their negatives, coupled and apart: prints the share of pairs that the oracle reads as the same digit."""
    read = oracles.oracle("digits")
    world = worlds.world("digits")
    assert isinstance(world, PictureWorld)
    white, black = (renders_with(world, 3000, seed=2 * seed + k, slant="upright")[0] for k in (1, 2))
    for name, shared, steps in (("coupled", (2, 3), 1000), ("not coupled", (0, 0), 200)):
        with seeded(seed):
            G, D = CoupledGenerator(shared=shared[0]), CoupledDiscriminator(shared=shared[1])
        options = RECIPE | {"channels_last": False}
        config = GanConfig(steps=int(steps * share), latent=G.latent, seed=seed, **options)
        gan = Gan(G, D, config, game=HINGE, fabric=fabric(on="cpu", precision=precision("cpu")))
        for _ in train_gan(gan, unrelated(white, -black, batch=BATCH, seed=seed)):
            pass
        both = gan.sample(1000, seed=60)
        agree = (read.read(both[:, 0])[:, 0] == read.read(-both[:, 1])[:, 0]).double().mean().item()
        print(f"{name}, seed {seed}: the same digit in {agree:.3f} of 1000 pairs", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*TRAIN, "pairs", []], help="default: all")
    parser.add_argument("--seeds", type=int, default=3, help="runs; the first is shipped")
    parser.add_argument("--share", type=float, default=1.0, help="of the CPU seconds")
    parser.add_argument("--data", type=Path, default=None, help="default: the repository's data/")
    options = parser.parse_args()
    for part in options.parts or [*TRAIN, "pairs"]:
        if part == "pairs":
            with threads(1):
                for seed in range(options.seeds):
                    pairs(seed, options.share)
            continue
        with threads(1):
            start = time.process_time()
            shown = TRAIN[part](0, options.share)
            seconds, figures = time.process_time() - start, {name: dict(f) for name, (_, _, f) in shown.items()}
            for seed in range(1, options.seeds):
                for name, (_, _, more) in TRAIN[part](seed, options.share).items():
                    figures[name] |= more
        command = f"python benchmarks/train_pyramid.py {part}" + (
            f" --share {options.share}" if options.share != 1 else ""
        )
        for name, (net, about, _) in shown.items():
            path = shipped.save(
                f"conditional/{name}", net, command=command, seed=0, seconds=seconds, figures=figures[name], config=about,
                data=options.data,
            )  # fmt: skip
            print(
                f"{path.name}: {path.stat().st_size} bytes",
                {k: round(v, 3) for k, v in figures[name].items()},
                flush=True,
            )


if __name__ == "__main__":
    main()
