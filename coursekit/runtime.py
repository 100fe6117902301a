"""Seeds, device, precision and threads in one place.

Two environment variables overrule what the machine suggests: ``COURSEKIT_DEVICE`` (``cpu``, ``cuda``, ``mps``) and
``COURSEKIT_PRECISION`` (``32-true``, ``bf16-mixed``).
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import torch

from coursekit.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")
DEVICES = ("cpu", "cuda", "mps")
PRECISIONS = ("32-true", "bf16-mixed")
"""float32 throughout; or float32 weights with bfloat16 arithmetic in matrix products and convolutions. Fabric's names."""


def device() -> torch.device:
    """The fastest device at hand: CUDA, then Apple's MPS, then the CPU."""
    if wish := _wish("COURSEKIT_DEVICE", DEVICES):
        return torch.device(wish)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def precision(on: torch.device | str | None = None) -> str:
    """What is fast: "bf16-mixed" where the device (default: `device()`) multiplies bfloat16 in hardware, else "32-true".

    Worth it for convolutions and wide layers. Small networks lose more to rounding and casts than they gain, hence
    `fabric` uses it only where it is asked to.
    """
    if wish := _wish("COURSEKIT_PRECISION", PRECISIONS):
        return wish
    kind = torch.device(on or device()).type
    if kind == "cuda":
        fast = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    elif kind == "cpu":
        # In words of the processor: torch answers on processors that lack the instructions, too, but slowly.
        able = getattr(torch.cpu, "get_capabilities", dict)()
        fast = bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    else:
        fast = False
    return "bf16-mixed" if fast else "32-true"


def fabric(*, on: torch.device | str | None = None, processes: int = 1, precision: str = "32-true") -> Fabric:
    """A Lightning Fabric: it moves networks and data to a device, casts, and joins processes.

    One process needs nothing more. Several (data-parallel, one device each) begin inside `launch`. `precision` is one of
    `PRECISIONS`; `runtime.precision()` knows which is fast here.
    """
    if precision not in PRECISIONS:
        raise InputError.of(
            "precision", got=precision, expected=f"one of {', '.join(PRECISIONS)}", do="Pick one of these."
        )
    if processes < 1:
        raise InputError.of(
            "processes", got=processes, expected="at least 1", do="Pass processes=1 for an ordinary run."
        )
    kind = torch.device(on or device()).type
    if kind == "cpu" and processes > 1:
        # Processes of one machine meet on its loopback. Looking up the machine's own name first fails without a network.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    from lightning_fabric import Fabric  # over a second of imports, which plain loops do without

    # It reports its choice of precision on standard error; nbgrader gives no points to a cell that writes there.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    strategy = "ddp_spawn" if processes > 1 else "auto"
    return Fabric(accelerator=kind, devices=processes, strategy=strategy, precision=precision)  # type: ignore[arg-type]


def launch(on: Fabric, function: Callable[..., T], *args: object) -> T:
    """Calls ``function(on, ...)`` in each of a fabric's processes; returns what the first one returned.

    Every process leaves its group before it ends, networks first. A network wrapped for several processes that outlives
    the group takes the group's threads down with itself, holding Python's lock while it waits for a thread that wants it:
    now and then such a process never ends. A process that ends in the group may abort.
    """
    return on.launch(_leave_afterwards, function, args)  # type: ignore[arg-type]


def _leave_afterwards(on: Fabric, function: Callable[..., T], args: tuple[object, ...]) -> T:
    try:
        return function(on, *args)
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # they hold networks
        raise
    finally:
        if on.world_size > 1:
            gc.collect()
            torch.distributed.destroy_process_group()


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


def _wish(variable: str, options: tuple[str, ...]) -> str | None:
    wish = os.environ.get(variable)
    if wish and wish not in options:
        raise InputError.of(
            f"${variable}", got=wish, expected=f"one of {', '.join(options)}", do="Unset it, or pick one."
        )
    return wish or None
