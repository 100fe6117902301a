"""How fast the kit trains: its DCGAN step against that of the stock PyTorch DCGAN example, same networks, same batch, paired.

    python benchmarks/training.py                  # on the CPU: float32 and bfloat16
    python benchmarks/training.py --json           # {"float32": ratio, "bfloat16": ratio or null, "gpu": ratio or null, ...}
    python benchmarks/training.py --device cuda    # the ratio "gpu"

Both train the paper's networks for 64 px (noise 100, width 64, batch norm in both) with batches of 64. The stock step is that
of pytorch/examples/dcgan in float32: `BCELoss` on a sigmoid, an ordinary Adam, fakes made once for both players, gradients
for D's weights in G's step, too, and five numbers read for its report. The kit's is a turn of `train_gan`: losses of logits,
D frozen while G learns, channels-last memory, fused Adam; fakes made once for both players as well (`fresh_noise=False`).
Its second run has bfloat16 arithmetic.

Rounds alternate between the contestants, and a ratio is the median over rounds of paired ratios: what else the machine does
hits both. Whether bfloat16 harms the pictures is measured by benchmarks/dcgan.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from coursekit import runtime
from coursekit.models.dcgan import Discriminator, Generator, init_dcgan
from coursekit.training.gan import Gan, GanConfig, train_gan

LATENT, BATCH, SIZE = 100, 64, 64
Step = Callable[[Tensor], None]


def networks(device: torch.device) -> tuple[nn.Module, nn.Module]:
    with runtime.seeded(0):
        G, D = Generator(latent=LATENT, size=SIZE), Discriminator(size=SIZE)
    return init_dcgan(G, seed=1).to(device), init_dcgan(D, seed=2).to(device)


def stock(device: torch.device) -> Step:
    """One pass through the loop of the PyTorch example."""
    G, D = networks(device)
    criterion = nn.BCELoss()
    g_adam, d_adam = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D))

    def step(real: Tensor) -> None:
        D.zero_grad()
        real = real.to(device)
        label = torch.full((len(real),), 1.0, device=device)
        output = torch.sigmoid(D(real))
        d_real = criterion(output, label)
        d_real.backward()
        output.mean().item()
        fake = G(torch.randn(len(real), LATENT, device=device))
        label.fill_(0.0)
        output = torch.sigmoid(D(fake.detach()))
        d_fake = criterion(output, label)
        d_fake.backward()
        output.mean().item()
        d_loss = d_real + d_fake
        d_adam.step()
        G.zero_grad()
        label.fill_(1.0)
        output = torch.sigmoid(D(fake))
        g_loss = criterion(output, label)
        g_loss.backward()
        output.mean().item()
        g_adam.step()
        d_loss.item(), g_loss.item()

    return step


def kit(device: torch.device, precision: str) -> Step:
    """One turn of `train_gan`, records and their numbers included."""
    G, D = networks(device)
    fabric = runtime.fabric(on=device, precision=precision)
    config = GanConfig(steps=10**9, latent=LATENT, channels_last=True, fresh_noise=False)
    waiting: list[Tensor] = []
    records = train_gan(Gan(G, D, config, fabric=fabric), lambda _: waiting.pop())

    def step(real: Tensor) -> None:
        waiting.append(real)
        next(records)

    return step


def race(runners: dict[str, Step], device: torch.device, *, rounds: int, steps: int) -> dict[str, list[float]]:
    """Contestant -> images a second in each round."""
    own = runtime.generator(3)
    real = torch.rand(BATCH, 3, SIZE, SIZE, generator=own) * 2 - 1
    speeds: dict[str, list[float]] = {name: [] for name in runners}
    for lap in range(-1, rounds):  # the first lap warms up
        for name, step in runners.items():
            _wait(device)
            began = time.perf_counter()
            for _ in range(steps):
                step(real)
            _wait(device)
            if lap >= 0:
                speeds[name].append(steps * BATCH / (time.perf_counter() - began))
        print(f"\rround {lap + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    print("\r", end="", file=sys.stderr)
    return speeds


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> int:
    parser = argparse.ArgumentParser(description="The kit's DCGAN step against the stock example's.")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4, help="steps of each contestant in a round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    fast = runtime.precision(device) == "bf16-mixed"
    runners = {"stock": stock(device), "float32": kit(device, "32-true")}
    if fast:
        runners["bfloat16"] = kit(device, "bf16-mixed")
    speeds = race(runners, device, rounds=options.rounds, steps=options.steps)
    ratios = {
        name: [mine / theirs for mine, theirs in zip(speeds[name], speeds["stock"])]
        for name in runners
        if name != "stock"
    }
    median = {name: round(statistics.median(values), 2) for name, values in ratios.items()}
    on_gpu = device.type == "cuda"
    result = {
        "float32": None if on_gpu else median["float32"],
        "bfloat16": None if on_gpu else median.get("bfloat16"),
        "gpu": max(median.values()) if on_gpu else None,
        "spread": {name: [round(min(values), 2), round(max(values), 2)] for name, values in ratios.items()},
        "images_per_second": {name: round(statistics.median(values)) for name, values in speeds.items()},
        "threads": torch.get_num_threads(),
        "machine": torch.cuda.get_device_name(device) if on_gpu else torch.backends.cpu.get_cpu_capability(),
    }
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"{'':10} images/s   times stock (lowest to highest round)")
    for name, values in speeds.items():
        against = (
            f"{median[name]:.2f}   ({min(ratios[name]):.2f} to {max(ratios[name]):.2f})" if name in median else "1"
        )
        print(f"{name:10} {statistics.median(values):8.0f}   {against}")
    if not fast:
        print("bfloat16: this processor does not multiply it in hardware, so it is left out.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
