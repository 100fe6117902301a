"""Train the two classifiers of the world `things` and write them to data/.

    python benchmarks/train_dreamnet.py                      # both, as shipped
    python benchmarks/train_dreamnet.py dreamnet_second      # one of: dreamnet, dreamnet_second
    python benchmarks/train_dreamnet.py dreamnet --images 20000 --radius 2 --out /some/folder

`dreamnet` is trained on disturbed pictures: each is moved by `radius` (Euclidean, for 64 x 64 pictures in [-1, 1]) along the
gradient of its own loss, from a random start (one-step adversarial training, Wong et al. 2020, with the L2 ball of
Engstrom et al. 2019). `dreamnet_second` is trained on the pictures as they are. Every batch is freshly rendered;
contrast, blur and noise vary. Computed in bfloat16; the seconds that are printed and recorded are those of the processor.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from coursekit import shipped
from coursekit.datasets.things import WORLD
from coursekit.models.classifier import Classifier
from coursekit.models.dreamnet import SHAPES, build
from coursekit.runtime import generator, threads

IMAGES = {"dreamnet": 100_000, "dreamnet_second": 50_000}
RADIUS = {"dreamnet": 1.5, "dreamnet_second": 0.0}
SEED = {"dreamnet": 0, "dreamnet_second": 1}
SIZES = {"dreamnet": ((0.4, 32), (0.85, 48), (1.0, 64)), "dreamnet_second": ((0.75, 48), (1.0, 64))}
"""(up to this share of the steps, edge of the pictures in pixels): small pictures are cheap and teach the most at first."""
BATCH, POOL = 64, 1536
RATE, DECAY, SMOOTHING = 3e-3, 0.02, 0.05


def varied(x: Tensor, draws: torch.Generator) -> Tensor:
    """Pictures (N, 3, H, W) with another contrast and brightness each; some blurred, some with noise."""
    n = len(x)
    factor, shift, blur, noise = torch.rand(4, n, 1, 1, 1, generator=draws)
    x = torch.lerp(
        x, F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1), (blur * 1.5 - 0.6).clamp(0, 1)
    )
    x = x * (0.7 + 0.5 * factor) + 0.4 * (shift - 0.5)
    return (x + torch.randn(x.shape, generator=draws) * (noise * 0.2 - 0.08).clamp(min=0)).clamp_(-1, 1)


def disturbed(net: Classifier, x: Tensor, y: Tensor, radius: float, draws: torch.Generator) -> Tensor:
    """x + d with a norm of d of at most `radius`: a random start inside the ball, then one step up the loss."""
    start = torch.randn(x.shape, generator=draws)
    start *= radius * 0.5 / start.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    point = (x + start).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(net(point).float(), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, point)
    step = start + 1.25 * radius * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1).clamp(min=1e-12)
    step *= (radius / step.flatten(1).norm(dim=1).view(-1, 1, 1, 1).clamp(min=1e-12)).clamp(max=1)
    return (x + step).clamp_(-1, 1)


def _towards(average: Tensor, new: Tensor, count: Tensor) -> Tensor:
    """A running mean over about the last 500 steps, or the last tenth of them where there are fewer."""
    return average + (new - average) * max(0.002, 10 / (10 + int(count)))


def train(name: str, *, images: int, radius: float, seed: int, snapshots: Path | None = None) -> Classifier:
    """The network after `images` pictures; prints as it goes. What is returned is a running average of its weights."""
    draws, net = generator(seed), build(name, seed=seed)
    average = torch.optim.swa_utils.AveragedModel(net, avg_fn=_towards, use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY, betas=(0.9, 0.98))
    steps = images // BATCH
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda s: min(1.0, (s + 1) / (0.06 * steps)) * 0.5 * (1 + math.cos(math.pi * min(s, steps) / steps)) + 1e-3,
    )
    start, pool = time.process_time(), iter(())
    right = seen = 0
    for step in range(steps):
        part = next(pool, None)
        if part is None:
            size = next(size for share, size in SIZES[name] if step < share * steps)
            sample = WORLD.draw(POOL, generator=draws, size=size)
            pool = iter(zip(sample.x.split(BATCH), sample.labels[:, 0].split(BATCH)))
            part = next(pool)
        x, y = varied(part[0], draws).contiguous(memory_format=torch.channels_last), part[1]
        grown = 0.0
        if radius:
            # Plain pictures at first, or nothing is learned at all; the whole radius after seven tenths.
            grown = min(1.0, max(0.0, step / steps - 0.1) / 0.6) * radius * x.shape[-1] / 64
        if grown:
            net.eval().requires_grad_(False)
            x = disturbed(net, x, y, grown, draws)
            net.train().requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(x).float()
        loss = F.cross_entropy(logits, y, label_smoothing=SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(net)
        right, seen = right + int((logits.argmax(1) == y).sum()), seen + len(y)
        if (step + 1) % max(1, steps // 30) == 0:
            print(
                f"{name}: {step + 1} of {steps} steps, loss {loss.item():.3f}, {right / seen:.3f} right in training, "
                f"{time.process_time() - start:.0f} CPU s",
                flush=True,
            )
            right = seen = 0
            if snapshots:
                shipped.save(name, average.module, command="a snapshot", seed=seed, seconds=0.0, data=snapshots)
    return average.module.eval()


def figures(net: Classifier, seed: int, n: int = 2000) -> dict[str, float]:
    """Accuracy on fresh pictures at three sizes, and at 64 px when each is moved by 1.0 against the network."""
    found = {}
    for size in (32, 64, 96):
        sample = WORLD.draw(n if size < 96 else n // 2, generator=generator(seed + size), size=size)
        found[f"accuracy_{size}px"] = (net.read(sample.x) == sample.labels[:, 0]).double().mean().item()
    sample = WORLD.draw(500, generator=generator(seed), size=64)
    moved = disturbed(net.requires_grad_(False), sample.x, sample.labels[:, 0], 1.0, generator(seed))
    found["accuracy_64px_moved_by_1"] = (net.read(moved) == sample.labels[:, 0]).double().mean().item()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="?", choices=(*SHAPES, "both"), default="both")
    parser.add_argument("--images", type=int, help=f"default: {IMAGES}")
    parser.add_argument("--radius", type=float, help=f"default: {RADIUS}")
    parser.add_argument("--seed", type=int, help=f"default: {SEED}")
    parser.add_argument("--out", type=Path, help="a folder with a manifest.json; default: data/")
    parser.add_argument(
        "--snapshots", type=Path, help="a folder with a manifest.json: what is there so far, thirty times"
    )
    options = parser.parse_args()
    for name in SHAPES if options.which == "both" else (options.which,):
        images = options.images or IMAGES[name]
        radius = RADIUS[name] if options.radius is None else options.radius
        seed = SEED[name] if options.seed is None else options.seed
        start = time.process_time()
        with threads(1):
            net = train(name, images=images, radius=radius, seed=seed, snapshots=options.snapshots)
            seconds = time.process_time() - start
            found = figures(net, 1000 + seed)
        command = f"python benchmarks/train_dreamnet.py {name} --images {images} --radius {radius:g} --seed {seed}"
        config = {"classes": list(net.classes), **asdict(SHAPES[name])}
        path = shipped.save(
            name, net, command=command, seed=seed, seconds=seconds, figures=found, config=config, data=options.out
        )
        print(f"{path.name}: {path.stat().st_size} bytes, {seconds:.0f} CPU s, {found}", flush=True)


if __name__ == "__main__":
    main()
