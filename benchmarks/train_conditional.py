"""Train the conditional generators of notebook 6.1, and write them to data/conditional/.

    python benchmarks/train_conditional.py                # both
    python benchmarks/train_conditional.py cgan           # digits from labels, projection discriminator
    python benchmarks/train_conditional.py infogan        # thick upright zeros and ones, and codes that nobody named
    python benchmarks/train_conditional.py cgan --steps 20 --seeds 1 --data /some/folder    # a folder with a manifest.json

One thread and one core, half a minute for a seed. Seed 0 is shipped: the average of G's weights. The manifest's figures name
the seed; so they say how far three runs differ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import oracles, shipped
from coursekit.datasets import worlds
from coursekit.datasets.world import PictureWorld
from coursekit.metrics import frechet_distance
from coursekit.models.conditional import AuxiliaryDiscriminator, ConditionalDiscriminator, ConditionalGenerator
from coursekit.runtime import generator, seeded, threads
from coursekit.training.classify import shuffled
from coursekit.training.conditional import BATCH, auxiliary_game, coded, conditional, draw_codes, renders_with, shape_of
from coursekit.training.gan import Gan, train_gan

Trained = tuple[nn.Module, dict[str, float], dict[str, Any]]
STEPS = {"cgan": 1200, "infogan": 450}
CATEGORIES, CODES = 2, 1


def run(gan: Gan, batches: Callable[[int], Any], label: str) -> None:
    start = time.process_time()
    for record in train_gan(gan, batches):
        if (record.step + 1) % 200 == 0:
            print(f"{label}: step {record.step + 1}, {time.process_time() - start:.0f} CPU s", flush=True)


def digits() -> PictureWorld:
    world = worlds.world("digits")
    assert isinstance(world, PictureWorld)
    return world


def shipped_average(gan: Gan) -> ConditionalGenerator:
    """The average in eval mode, its weights rounded as they will be stored."""
    assert isinstance(gan.average, ConditionalGenerator)
    best = gan.average.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    return best.half().float()  # type: ignore[no-any-return]


def cgan(seed: int, steps: int) -> Trained:
    read = oracles.oracle("digits")
    x, labels = renders_with(digits(), 8000, seed=100 + seed, slant="upright")
    real = read.features(renders_with(digits(), 2000, seed=1_000_003, slant="upright")[0])
    about = {"latent": 32, "condition": 10, "width": 24}
    with seeded(seed):
        G, D = ConditionalGenerator(**about), ConditionalDiscriminator(condition=10, how="project", width=16)
    gan = conditional(G, D, steps=steps, seed=seed)
    run(gan, shuffled(x, F.one_hot(labels[:, 0], 10).float(), batch=BATCH, seed=seed), f"cgan, seed {seed}")
    best, asked = shipped_average(gan), torch.arange(2000) % 10
    with torch.no_grad():
        fakes = best(torch.randn(2000, best.latent, generator=generator(seed + 7)), F.one_hot(asked, 10).float())
    right = (read.read(fakes)[:, 0] == asked).double().mean().item()
    figures = {f"purity_{seed}": right, f"frechet_{seed}": frechet_distance(real, read.features(fakes))}
    return best, figures, {"generator": about}


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's, without ties: of two tensors (N,)."""
    ranks = torch.stack([v.argsort().argsort().double() for v in (a, b)])
    return torch.corrcoef(ranks)[0, 1].item()


def infogan(seed: int, steps: int) -> Trained:
    read = oracles.oracle("digits")
    x, _ = renders_with(digits(), 8000, seed=100 + seed, digit=("0", "1"), thickness="thick", slant="upright")
    # Little noise and a loud code: what varies most is then said by the code, or not at all.
    about = {"latent": 4, "condition": CATEGORIES + CODES, "width": 16, "gain": 4.0}
    judge = {"categories": CATEGORIES, "continuous": CODES, "width": 16, "hidden": 32}
    with seeded(seed):
        G, D = ConditionalGenerator(**about), AuxiliaryDiscriminator(**judge)
    gan = conditional(G, D, steps=steps, seed=seed, game=auxiliary_game(on_real=False))
    run(gan, coded(x, categories=CATEGORIES, continuous=CODES, batch=BATCH, seed=seed), f"infogan, seed {seed}")
    best = shipped_average(gan)
    Q = D.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    codes = draw_codes(2000, categories=CATEGORIES, continuous=CODES, generator=generator(seed + 7))
    with torch.no_grad():
        fakes = best(torch.randn(2000, best.latent, generator=generator(seed + 8)), codes)
        guess = Q.read(fakes).log_p.argmax(1)
    category = codes[:, :CATEGORIES].argmax(1)
    figures = {
        f"code_{seed}": (guess == category).double().mean().item(),
        f"digit_{seed}": float(normalized_mutual_info_score(category, read.read(fakes)[:, 0])),
        f"frechet_{seed}": frechet_distance(read.features(x[:2000]), read.features(fakes)),
    }
    for name, factor in shape_of(fakes).items():
        figures[f"number_{name}_{seed}"] = rank_correlation(codes[:, -1], factor)
    return nn.ModuleDict({"generator": best, "discriminator": Q}), figures, {"generator": about, "discriminator": judge}


TRAIN: dict[str, Callable[[int, int], Trained]] = {"cgan": cgan, "infogan": infogan}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", choices=[*TRAIN, []], help="default: all")
    parser.add_argument("--seeds", type=int, default=3, help="runs; the first is shipped")
    parser.add_argument("--steps", type=int, help="default: as STEPS says")
    parser.add_argument("--data", type=Path, default=None, help="default: the repository's data/")
    options = parser.parse_args()
    for name in options.networks or TRAIN:
        steps, figures, start = options.steps or STEPS[name], {}, time.process_time()
        with threads(1):
            net, first, config = TRAIN[name](0, steps)
            seconds = time.process_time() - start
            for seed in range(1, options.seeds):
                figures |= TRAIN[name](seed, steps)[1]
        command = f"python benchmarks/train_conditional.py {name}" + (
            f" --steps {options.steps}" if options.steps else ""
        )
        path = shipped.save(
            f"conditional/{name}", net, command=command, seed=0, seconds=seconds, figures=first | figures,
            config=config, data=options.data,
        )  # fmt: skip
        print(
            f"{path.name}: {path.stat().st_size} bytes",
            {k: round(v, 3) for k, v in (first | figures).items()},
            flush=True,
        )


if __name__ == "__main__":
    main()
