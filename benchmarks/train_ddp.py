"""Two processes train as one: the same global batches, each process computing one half of every batch.

    python benchmarks/train_ddp.py            # on the CPU, over gloo on this machine's loopback; needs no network
    python benchmarks/train_ddp.py --steps 200 --seed 3

Lightning Fabric starts the processes and averages their gradients (torch's DistributedDataParallel). A GAN on eight
Gaussians is trained first by two processes, then by one, from equal weights, data and noise. Exits with 1 if a recorded
number differs by more than TOLERANCE.

The two cannot agree bit for bit: a mean over a batch is summed in one order, the mean of two halves in another, and every step
feeds the difference to the next. Over seeds 0 to 9 the largest difference within the default 40 steps was 2.4e-7, two units in
the last place of a float32 near 1; TOLERANCE leaves forty times that for other processors. Without averaged gradients the
numbers part by 1e-2 within the first steps (`--broken` shows it).
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from dataclasses import asdict

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from coursekit import runtime
from coursekit.training.gan import Gan, GanConfig, GanRecord, train_gan

BATCH, LATENT, WIDTH = 64, 4, 32
TOLERANCE = 1e-5
"""Absolute, of losses, opinions and gradient norms, which are all of order 1."""


def ring(k: int) -> Tensor:
    """The k-th global batch (64, 2): eight Gaussians around a circle."""
    own = runtime.generator(1_000 + k)
    angle = torch.randint(8, (BATCH,), generator=own) * (math.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(BATCH, 2, generator=own)


def networks(seed: int) -> tuple[nn.Module, nn.Module]:
    """No batch norm: its mean is over a process's half of the batch, so that two processes compute something else."""
    with runtime.seeded(seed):
        G = nn.Sequential(nn.Linear(LATENT, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2))
        D = nn.Sequential(
            nn.Linear(2, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, 1)
        )
    return G, D


def train(fabric: Fabric, steps: int, seed: int, broken: bool) -> list[dict[str, float]]:
    """Runs in each process; the first one's records come back, as plain values (Fabric sends no frozen dataclass)."""
    torch.set_num_threads(1)
    gan = Gan(
        *networks(seed),
        GanConfig(steps=steps, latent=LATENT, lr_d=1e-3, lr_g=1e-3, d_steps=2, seed=seed),
        fabric=fabric,
    )
    with contextlib.ExitStack() as stack:
        if broken and fabric.world_size > 1:
            for net in (gan.G, gan.D):
                stack.enter_context(fabric.no_backward_sync(net))
        return [asdict(record) for record in train_gan(gan, ring)]


def run(processes: int, *arguments: object) -> tuple[list[GanRecord], float]:
    began = time.perf_counter()
    rows = runtime.launch(runtime.fabric(on="cpu", processes=processes), train, *arguments)
    return [GanRecord(**row) for row in rows], time.perf_counter() - began


def difference(one: GanRecord, other: GanRecord) -> float:
    names = ("d_loss", "g_loss", "d_real", "d_fake", "d_grad_norm", "g_grad_norm")
    return max(abs(getattr(one, name) - getattr(other, name)) for name in names)


def main() -> int:
    parser = argparse.ArgumentParser(description="Two processes against one: the same losses.")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--broken", action="store_true", help="do not average gradients: must fail")
    options = parser.parse_args()
    two, two_seconds = run(2, options.steps, options.seed, options.broken)
    one, one_seconds = run(1, options.steps, options.seed, options.broken)
    print("step   loss of D: one process, two      loss of G: one process, two      largest difference of the record")
    for a, b in zip(one, two, strict=True):
        if a.step % max(1, options.steps // 10) == 0 or a.step == options.steps - 1:
            print(
                f"{a.step:4}            {a.d_loss:.6f}  {b.d_loss:.6f}               {a.g_loss:.6f}  {b.g_loss:.6f}"
                f"      {difference(a, b):.1e}"
            )
    largest = max(map(difference, one, two))
    same = len(one) == options.steps and largest <= TOLERANCE
    print(f"one process {one_seconds:.1f} s, two {two_seconds:.1f} s, start-up included")
    verdict = "the same" if same else "DIFFERENT"
    print(f"largest difference {largest:.1e} over {len(one)} steps, tolerance {TOLERANCE:.0e}: {verdict}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
