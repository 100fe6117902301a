"""Train a face generator that is told an age, the network that recognises faces, and an encoder, into data/conditional/.

    python benchmarks/train_inference.py                      # all three, one after another
    python benchmarks/train_inference.py encoder --steps 20 --data /some/folder      # a folder with a manifest.json

One thread. The generator begins as the shipped DCGAN of unit 05 (data/dcgan/faces32) and learns to be told. What is
shipped is the average of its weights. The manifest keeps, by the oracle: the share of the asked age, and the share of
codes whose two pictures agree in everything else.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coursekit import oracles, runtime, shipped
from coursekit.datasets.world import PictureWorld
from coursekit.datasets.worlds import world
from coursekit.losses import HINGE
from coursekit.metrics import frechet_distance
from coursekit.models.dcgan import load_generator
from coursekit.models.inference import Encoder, TunedCritic, TunedGenerator, load_ages, load_recogniser
from coursekit.training.classify import shuffled
from coursekit.training.gan import Gan, GanConfig
from coursekit.training.inference import train_conditions, train_inverse
from coursekit.training.progress import track
from coursekit.training.run import descend_once

STEPS = {"ages": 1800, "encoder": 300, "recogniser": 1200}
KEEP, WAIT, TOLD = 5.0, 300, 3
WATCH = 300
"""Steps between looks."""
POOL, BATCH, HELD_OUT = 30_000, 32, 2000
WIDTHS = (16, 32, 48)
"""Of the encoder: its codes are a start, no more."""

Made = tuple[str, nn.Module, dict[str, float], dict[str, Any]]


def faces() -> PictureWorld:
    found = world("faces")
    assert isinstance(found, PictureWorld)
    return found


def two_ages(n: int, latent: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Codes (n, Z), each twice in a row, and the two ages (n, 2) in turn."""
    z = torch.randn(n // 2, latent, generator=runtime.generator(seed)).repeat_interleave(2, 0)
    return z, F.one_hot(torch.arange(n) % 2, 2).float()


def judge(gan: Gan, seed: int) -> dict[str, float]:
    """What the oracle says of 1,000 codes at both ages."""
    column = list(faces().names).index("age")
    reader = oracles.oracle("faces")
    z, y = two_ages(HELD_OUT, gan.config.latent, seed=seed + 2)
    fakes = gan.sample(z, y)
    read = reader.read(fakes)
    young, old = read[0::2], read[1::2]
    same = {name: (young[:, k] == old[:, k]) for k, name in enumerate(faces().names) if k != column}
    real = oracles.fresh(faces(), HELD_OUT, generator=runtime.generator(seed + 3), size=32)[0]
    return {
        "age": (read[:, column] == y.argmax(1)).double().mean().item(),
        "all_else_equal": torch.stack(list(same.values())).all(0).double().mean().item(),
        **{name: agree.double().mean().item() for name, agree in same.items()},
        "frechet": frechet_distance(reader.features(real), reader.features(fakes)),
    }


def ages(steps: int, seed: int, data: Path | None) -> Made:
    own, column = runtime.generator(1_000_003 + seed), list(faces().names).index("age")
    labels = faces().sample(POOL, generator=own)
    x, y = faces().render(labels, generator=own, size=32), F.one_hot(labels[:, column], 2).float()
    batches = shuffled(x, y, batch=BATCH, seed=seed)
    plain = load_generator("faces32").requires_grad_(True).train()
    with runtime.seeded(seed):
        G = TunedGenerator(plain, conditions=2, told=TOLD)
        D = TunedCritic(conditions=2)
    config = GanConfig(
        steps=steps, latent=G.latent, lr_d=4e-4, lr_g=2e-4, betas=(0.0, 0.99), decay_from=0.5, ema=0.998,
        channels_last=True, seed=seed,
    )  # fmt: skip
    gan = Gan(G, D, config, game=HINGE, fabric=runtime.fabric(on="cpu", precision=runtime.precision("cpu")))
    look = load_recogniser(data=data)
    run = train_conditions(gan, lambda k: (batches(k)[0], batches(k)[1]), look=look, keep=KEEP, wait=WAIT)
    for record in track(run, "ages", total=steps):
        if WATCH and (record.step + 1) % WATCH == 0:
            figures = judge(gan, seed)
            print(record, {k: round(v, 3) for k, v in figures.items()}, f"{time.process_time():.0f} CPU s", flush=True)
    best = gan.average
    assert isinstance(best, TunedGenerator)
    best.half().float()  # as it will be stored
    figures = judge(gan, seed)
    return "faces_age", best, figures, {"latent": G.latent, "width": 32, "fine": 24, "conditions": 2, "told": TOLD}


def encoder(steps: int, seed: int, data: Path | None) -> Made:
    G = load_ages(data=data)
    with runtime.seeded(seed):
        E = Encoder(latent=G.latent, conditions=2, widths=WIDTHS)
    last = [r.code for r in track(train_inverse(E, G, steps=steps, seed=seed), "encoder", total=steps)][-50:]
    return (
        "faces_age_encoder",
        E,
        {"code_error": sum(last) / len(last)},
        {"latent": G.latent, "conditions": 2, "widths": WIDTHS},
    )


def recogniser(steps: int, seed: int, data: Path | None) -> Made:
    """A reader of everything but the age: to it, a face and the same face years later are alike."""
    own = runtime.generator(seed + 77)
    x, labels = oracles.fresh(faces(), 20_000, generator=own, size=32)
    names = {name: values for name, values in faces().names.items() if name != "age"}
    columns = [list(faces().names).index(name) for name in names]
    about = oracles.config(faces(), x, size=32, widths=(16, 32, 64)) | {"names": names, "features": 64}
    with runtime.seeded(seed + 77):
        net = oracles.build(about).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01, fused=True)
    rising = torch.optim.lr_scheduler.OneCycleLR(adam, 3e-3, total_steps=steps, pct_start=0.1)
    batches = shuffled(x, labels, batch=64, seed=seed)
    for step in track(range(steps), "recogniser", total=steps):
        pictures, rows = batches(step)
        # Generated pictures are never as clean as renders.
        pictures = pictures + 0.1 * torch.rand(64, 1, 1, 1, generator=own) * torch.randn(pictures.shape, generator=own)
        parts = net(pictures).split(net.values, 1)
        losses = [F.cross_entropy(part, rows[:, k]) for part, k in zip(parts, columns)]
        descend_once(torch.stack(losses).sum(), adam, label=f"step {step}")
        rising.step()
    net.eval().requires_grad_(False)
    net.half().float()  # as it will be stored
    scale = float(net.features(x[:1000]).square().mean().sqrt())
    fresh, truth = oracles.fresh(faces(), HELD_OUT, generator=runtime.generator(seed + 78), size=32)
    found = torch.stack([part.argmax(1) for part in net(fresh).split(net.values, 1)], 1)
    right = (found == truth[:, columns]).double().mean(0).tolist()
    return (
        "faces_recogniser",
        net,
        dict(zip(names, right)),
        {**about, "names": {k: list(v) for k, v in names.items()}, "scale": scale},
    )


JOBS: dict[str, Callable[[int, int, Path | None], Made]] = {"recogniser": recogniser, "ages": ages, "encoder": encoder}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(JOBS), help=f"of {', '.join(JOBS)}, in this order")
    parser.add_argument("--steps", type=int, default=0, help="instead of each one's own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="the data folder to write to (default: the kit's)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in JOBS]:
        parser.error(f"got {', '.join(unknown)}, expected some of {', '.join(JOBS)}")
    torch.set_num_threads(1)
    for name in options.names:
        began = time.process_time()
        file, net, figures, config = JOBS[name](options.steps or STEPS[name], options.seed, options.data)
        path = shipped.save(
            f"conditional/{file}", net, command=f"python benchmarks/train_inference.py {name}", seed=options.seed,
            seconds=time.process_time() - began, figures=figures, config=config, data=options.data,
        )  # fmt: skip
        print(
            f"{path.name}: {path.stat().st_size} bytes, {time.process_time() - began:.0f} CPU s",
            {k: round(v, 4) for k, v in figures.items()},
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
