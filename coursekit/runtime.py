"""Seeds, device and threads in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def device() -> torch.device:
    """The fastest device at hand: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def generator(seed: int, *, device: str | torch.device = "cpu") -> torch.Generator:
    """An own random generator: nothing in the kit draws from torch's global one."""
    return torch.Generator(device=device).manual_seed(seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block torch's *global* generator starts from `seed`; afterwards it is as it was.

    `torch.nn` draws initial weights from the global generator and takes no other, hence::

        with seeded(0):
            net = torch.nn.RNN(10, 20)
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Within the block torch computes with `count` threads; afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
