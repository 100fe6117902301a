"""The warm process: ``python -m coursekit.grading.worker SETTINGS DESCRIPTOR``, started by `pool` and by nobody else.

It is a fresh interpreter, never a fork of the parent, because the parent holds references in memory. It imports what a
submission needs (torch, matplotlib, IPython and the *asking* sides of the exercises), then forks once for each
submission. The fork reads its job from a descriptor that the warm process only hands on, so nothing of a submission is
ever in the memory that the next one inherits; the inputs of the questions, the same for all, it inherits unpacked. What
cannot begin at once waits here, so that no core waits for the parent. How a submission ended is told by the warm process,
which waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import io
import os
import selectors
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursekit.grading import sandbox
from coursekit.grading.frames import Channel
from coursekit.grading.sandbox import limits as resources
from coursekit.grading.sandbox import namespaces
from coursekit.grading.submission import FRAMES, Settings, Warm, live

if TYPE_CHECKING:  # torch comes after the namespaces
    from coursekit.grading.cells import Shell


def main() -> None:
    settings = Settings.loads(sys.argv[1])
    control = _reserve(int(sys.argv[2]))
    home = None
    if not settings.trust:
        sandbox.require()
        home = namespaces.enclose() if settings.namespaces else None
    namespaces.die_with_parent()
    resources.raise_descriptor_limit()
    channel = Channel(socket.socket(fileno=control))
    shell = _warm_up(settings)
    grants = [] if settings.trust else sandbox.prepare(map(Path, settings.hidden), map(Path, settings.readable))
    _freeze()
    channel.send({"ready": True, "namespaces": home is not None})
    _serve(channel, Warm(settings, home, shell, grants, draws={}))


def _freeze() -> None:
    """A collection in a fork would write to, and so copy, every page that holds an object."""
    gc.collect()
    gc.freeze()


def _reserve(control: int) -> int:
    """Move the control channel up and keep `FRAMES` free, so that a fork overwrites nothing that it still needs."""
    moved = fcntl.fcntl(control, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(control)
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != FRAMES:
        os.dup2(nowhere, FRAMES)
        os.close(nowhere)
    return moved


def _warm_up(settings: Settings) -> Shell:
    import matplotlib.pyplot as plt
    import torch

    from coursekit.checks import codec, engine
    from coursekit.checks.isolate import isolated
    from coursekit.course import unit
    from coursekit.exercises import catalogue
    from coursekit.grading.cells import Alarm, make_shell, run

    torch.set_num_threads(1)  # a thread pool does not survive a fork, so none is started here
    with isolated():
        codec.unpack(codec.pack(engine.plain([torch.eye(2) @ torch.eye(2)])))
    for name in settings.units:
        for question in catalogue.questions(unit(name)):
            catalogue.question(question.id)
    shell = make_shell()
    run(shell, "print(1)\n1", Alarm(60.0))
    figure, axes = plt.subplots()
    axes.plot([0, 1], label="warm")
    axes.legend()
    figure.savefig(io.BytesIO(), format="png")
    plt.close(figure)
    shell.reset(new_session=True)
    return shell


def _serve(channel: Channel, warm: Warm) -> None:
    """Fork for each job, a few at a time; report each beginning and end; until the parent hangs up."""
    running: dict[int, int] = {}
    waiting: deque[tuple[dict[str, Any], list[int]]] = deque()
    drawn = 0
    bell, ring = os.pipe()
    os.set_blocking(ring, False)
    os.set_blocking(bell, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    selector = selectors.DefaultSelector()
    selector.register(channel.socket, selectors.EVENT_READ)
    selector.register(bell, selectors.EVENT_READ)
    while True:
        ready = {key.fd for key, _ in selector.select()}
        if bell in ready:
            os.read(bell, 1 << 12)
            _report_ends(channel, running)
        if channel.socket.fileno() in ready:
            messages = channel.receive()
            if messages is None:
                break
            for message, descriptors in messages:
                if "kill" in message:
                    _kill(pid for pid, number in running.items() if number == message["kill"])
                else:
                    waiting.append((message, descriptors))
        while waiting and len(running) < warm.settings.jobs:
            message, descriptors = waiting.popleft()
            if message["draws"] != drawn:
                drawn, warm = message["draws"], replace(warm, draws=_draws(descriptors[0]))
                _freeze()
            running[_start(message, descriptors, warm)] = message["job"]
            channel.send({"job": message["job"], "begun": True})
    _kill(running)


def _draws(descriptor: int) -> dict[str, Any]:
    from coursekit.checks import codec

    size = os.fstat(descriptor).st_size
    draws: dict[str, Any] = codec.unpack(os.pread(descriptor, size, 0), max_bytes=size)
    return draws


def _start(message: Mapping[str, Any], descriptors: list[int], warm: Warm) -> int:
    _, payload, frames = descriptors
    child = namespaces.fork(warm.home)
    if child == 0:
        live(message, payload, frames, warm)
    for descriptor in descriptors:
        os.close(descriptor)
    return child


def _kill(processes: Iterable[int]) -> None:
    for pid in list(processes):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # a trusted submission may have started others


def _report_ends(channel: Channel, running: dict[int, int]) -> None:
    while running:
        pid, status, usage = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return
        number = running.pop(pid, None)
        if number is not None:
            cpu = usage.ru_utime + usage.ru_stime
            channel.send({"job": number, "ended": os.waitstatus_to_exitcode(status), "cpu": cpu})


if __name__ == "__main__":
    main()
