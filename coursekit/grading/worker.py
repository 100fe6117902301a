"""The warm process: ``python -m coursekit.grading.worker SETTINGS``, started by `pool` and by nobody else.

It is a fresh interpreter, never a fork of the parent, because the parent holds references in memory. It imports what a
submission needs (torch, matplotlib, IPython and the *asking* sides of the exercises), then forks once for each
submission. The fork reads its job from a descriptor that the warm process only hands on, so nothing of a submission is
ever in the memory that the next one inherits. How a submission ended is told by the warm process, which waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import io
import json
import os
import random
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from coursekit.errors import EvidenceError
from coursekit.grading import sandbox, scratch
from coursekit.grading.frames import Channel, write
from coursekit.grading.results import Limits
from coursekit.grading.sandbox import limits as resources
from coursekit.grading.sandbox import namespaces
from coursekit.grading.sandbox.landlock import Grant

if TYPE_CHECKING:
    from coursekit.grading.cells import Shell

_FRAMES = 3
"""The one descriptor that a submission has, after the three standard ones, which lead nowhere."""


@dataclass(frozen=True)
class Settings:
    """What the parent tells the warm process on its command line."""

    control: int
    units: tuple[str, ...]
    hidden: tuple[str, ...]
    readable: tuple[str, ...]
    trust: bool
    namespaces: bool
    limits: Limits

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Settings:
        values = json.loads(text)
        return cls(**{**values, "limits": Limits(**values["limits"])})


@dataclass(frozen=True)
class _Warm:
    """What every fork inherits."""

    settings: Settings
    home: int | None
    """From `namespaces.enclose`."""
    shell: Shell
    grants: list[Grant]


def main() -> None:
    settings = Settings.loads(sys.argv[1])
    control = _reserve(settings.control)
    home = None
    if not settings.trust:
        sandbox.require()
        home = namespaces.enclose() if settings.namespaces else None
    namespaces.die_with_parent()
    resources.raise_descriptor_limit()
    channel = Channel(socket.socket(fileno=control))
    shell = _warm_up(settings)
    grants = [] if settings.trust else sandbox.prepare(map(Path, settings.hidden), map(Path, settings.readable))
    gc.collect()
    gc.freeze()  # a collection in a fork would write to, and so copy, every page that holds an object
    channel.send({"ready": True, "namespaces": home is not None})
    _serve(channel, _Warm(settings, home, shell, grants))


def _reserve(control: int) -> int:
    """Move the control channel up and keep `_FRAMES` free, so that a fork overwrites nothing that it still needs."""
    moved = fcntl.fcntl(control, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(control)
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != _FRAMES:
        os.dup2(nowhere, _FRAMES)
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


def _serve(channel: Channel, warm: _Warm) -> None:
    """Fork for each job, report each end, until the parent hangs up."""
    running: dict[int, int] = {}
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
                    running[_start(message, descriptors, warm)] = message["job"]
    _kill(running)


def _start(message: Mapping[str, Any], descriptors: list[int], warm: _Warm) -> int:
    payload, frames = descriptors
    child = namespaces.fork(warm.home)
    if child == 0:
        _submission(message, payload, frames, warm)
    os.close(payload)
    os.close(frames)
    return child


def _kill(processes: Any) -> None:
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
            channel.send({"ended": number, "status": os.waitstatus_to_exitcode(status), "cpu": cpu})


def _submission(message: Mapping[str, Any], payload: int, frames: int, warm: _Warm) -> NoReturn:
    """All of a fork's life."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        namespaces.die_with_parent()
        _only_frames(frames)
        try:
            with open(payload, "rb") as stream:
                job = stream.read()
            _enclose(message, warm)
        except Exception as error:  # nothing of the submission has run: the parent is to know why
            _send({"kind": "fault", "text": f"{type(error).__name__}: {error}"})
        else:
            _run(job, warm)
            status = 0
    finally:  # no handler that a submission registered, and no clean-up of the warm process
        os._exit(status)


def _only_frames(frames: int) -> None:
    """Move the pipe to its place; the standard descriptors lead nowhere. The others go when the sandbox closes."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    os.dup2(frames, _FRAMES)
    os.close(frames)


def _enclose(message: Mapping[str, Any], warm: _Warm) -> None:
    limits, folder = warm.settings.limits, Path(message["scratch"])
    if warm.home is not None:
        namespaces.separate(folder, limits.scratch_bytes)
    if message["files"] is not None:
        scratch.fill(folder, Path(message["files"]), limits.scratch_bytes)
    os.chdir(folder)
    os.environ.clear()
    place = {name: str(folder) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR", "IPYTHONDIR")}
    os.environ.update(place, LANG="C.UTF-8", PATH="/usr/bin:/bin", COURSEKIT_SANDBOX="1", COURSEKIT_STATIC="1")
    if warm.settings.trust:
        resources.close_above(_FRAMES)
        resources.set_limits(limits, resources.mapped_bytes())
    else:
        sandbox.enter(warm.grants, folder, limits, keep=_FRAMES)


def _run(packed: bytes, warm: _Warm) -> None:
    import numpy as np
    import torch

    from coursekit.checks.codec import unpack
    from coursekit.grading.cells import RECORDER, Alarm, run

    limits = warm.settings.limits
    if limits.threads > 1:
        torch.set_num_threads(limits.threads)
    for seed in (random.seed, np.random.seed, torch.manual_seed):  # so that a regrade repeats unseeded notebooks
        seed(0)
    job = unpack(packed, max_bytes=len(packed))
    alarm = Alarm(limits.cell_seconds)
    RECORDER.left = limits.output_bytes
    probe_seconds = 0.0
    for index, source, question in job["cells"]:
        started = time.perf_counter()
        RECORDER.start()
        if question is None:
            error = run(warm.shell, source, alarm)
        else:
            before = time.process_time()
            error = _probe(warm.shell, question, job["draws"].get(question, []), alarm, limits)
            probe_seconds += time.process_time() - before
        outputs, seconds = RECORDER.finish(), time.perf_counter() - started
        _send({"kind": "cell", "index": index, "outputs": outputs, "error": error, "seconds": seconds})
    _send({"kind": "end", "probe_seconds": probe_seconds})


def _probe(shell: Shell, identifier: str, draws: list[Any], alarm: Any, limits: Limits) -> str | None:
    """Gather the evidence for a question and send it at once, so that no later end of the process loses it."""
    from coursekit.checks.codec import pack
    from coursekit.checks.engine import gather
    from coursekit.checks.isolate import quiet
    from coursekit.exercises import catalogue
    from coursekit.grading.cells import timed

    question = catalogue.question(identifier)
    missing = [name for name in question.answers if name not in shell.user_ns]
    if missing:
        _send({"kind": "missing", "question": identifier, "names": missing})
        return None
    found: list[bytes] = []

    def probe() -> None:
        answer = question.answer([shell.user_ns[name] for name in question.answers])
        with quiet():
            evidence = gather(question, answer, draws)
        found.append(pack({"kind": "evidence", "question": identifier, "evidence": evidence}))

    error = timed(probe, alarm)
    if error is None and len(found[0]) > limits.evidence_bytes:
        error = f"EvidenceError: {len(found[0])} bytes of evidence, expected at most {limits.evidence_bytes}"
    if error is None:
        write(_FRAMES, found[0])
    else:
        _send({"kind": "note", "text": f"{identifier}: no evidence: {error}"})
    return error


def _send(frame: dict[str, Any]) -> None:
    from coursekit.checks.codec import pack

    try:
        packed = pack(frame)
    except EvidenceError as error:  # an output that is no plain data
        packed = pack({**frame, "outputs": [], "error": str(error)})
    write(_FRAMES, packed)


if __name__ == "__main__":
    main()
