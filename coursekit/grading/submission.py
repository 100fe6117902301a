"""One submission's life: a fork of the warm process that closes the sandbox around itself and runs a notebook.

It reads its job from a descriptor that the warm process only handed on, so nothing of a submission is ever in the memory
that the next one inherits. For a check cell it does not run the source but probes the answers, and sends the evidence at
once.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import _exit  # a notebook may replace the attribute of the module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from coursekit.errors import EvidenceError
from coursekit.grading import sandbox, scratch
from coursekit.grading.frames import write
from coursekit.grading.results import Limits, ran_out_of_memory
from coursekit.grading.sandbox import limits as resources
from coursekit.grading.sandbox import namespaces
from coursekit.grading.sandbox.landlock import Grant

if TYPE_CHECKING:  # the warm process reads this module before it imports torch
    from coursekit.grading.cells import Alarm, Shell

FRAMES = 3
"""The one descriptor that a submission has, after the three standard ones, which lead nowhere."""


@dataclass(frozen=True)
class Settings:
    """What the parent tells the warm process on its command line."""

    units: tuple[str, ...]
    hidden: tuple[str, ...]
    readable: tuple[str, ...]
    trust: bool
    namespaces: bool
    limits: Limits
    jobs: int
    """How many submissions may run at a time."""

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Settings:
        values = json.loads(text)
        return cls(**{**values, "limits": Limits(**values["limits"])})


@dataclass(frozen=True)
class Warm:
    """What every fork inherits."""

    settings: Settings
    home: int | None
    """From `namespaces.enclose`."""
    shell: Shell
    grants: list[Grant]
    draws: dict[str, list[Any]]
    """The inputs by question, unpacked once for a batch."""


def live(message: Mapping[str, Any], payload: int, frames: int, warm: Warm) -> NoReturn:
    """All of a fork's life: it never returns to the warm process's code."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
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
        _exit(status)


def _only_frames(frames: int) -> None:
    """Move the pipe to its place; the standard descriptors lead nowhere. The others go when the sandbox closes."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    os.dup2(frames, FRAMES)
    os.close(frames)


def _enclose(message: Mapping[str, Any], warm: Warm) -> None:
    limits, folder = warm.settings.limits, Path(message["scratch"])
    apart = warm.home is not None and namespaces.separate(folder, limits.scratch_bytes)
    namespaces.die_with_parent()  # entering a user namespace would undo it
    if message["files"] is not None:
        scratch.fill(folder, Path(message["files"]), limits.scratch_bytes)
    os.chdir(folder)
    sys.path.append(str(folder))  # modules beside the notebook; behind all others, so that none hides Python's or ours
    os.environ.clear()
    place = {name: str(folder) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR", "IPYTHONDIR")}
    os.environ.update(place, LANG="C.UTF-8", PATH="/usr/bin:/bin", COURSEKIT_SANDBOX="1", COURSEKIT_STATIC="1")
    if warm.settings.trust:
        resources.close_above(FRAMES)
        resources.set_limits(limits, resources.mapped_bytes(), apart=False)
    else:
        sandbox.enter(warm.grants, folder, limits, keep=FRAMES, apart=apart)


def _run(packed: bytes, warm: Warm) -> None:
    """`packed` holds the cells."""
    import numpy as np
    import torch

    from coursekit.checks.codec import unpack
    from coursekit.grading.cells import RECORDER, Alarm, run

    limits = warm.settings.limits
    if limits.threads > 1:
        torch.set_num_threads(limits.threads)
    # So that a regrade repeats unseeded notebooks. (torch.manual_seed costs milliseconds in a cold process.)
    for seed in (random.seed, np.random.seed, torch.default_generator.manual_seed):
        seed(0)
    cells = unpack(packed, max_bytes=len(packed))
    alarm = Alarm(limits.cell_seconds)
    RECORDER.left = limits.output_bytes
    probe_seconds = 0.0
    for index, source, question in cells:
        started = time.process_time()
        RECORDER.start()
        if question is None:
            error = run(warm.shell, source, alarm)
            if error is not None and ran_out_of_memory(error):
                gc.collect()  # what hangs on the error's frames goes now: the answers that follow need memory, too
        else:
            before = time.process_time()
            error = _probe(warm.shell, question, warm.draws.get(question, []), alarm, limits)
            probe_seconds += time.process_time() - before
        outputs, seconds = RECORDER.finish(), time.process_time() - started
        _send({"kind": "cell", "index": index, "outputs": outputs, "error": error, "seconds": seconds})
    _send({"kind": "end", "probe_seconds": probe_seconds})


def _probe(shell: Shell, identifier: str, draws: list[Any], alarm: Alarm, limits: Limits) -> str | None:
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
        write(FRAMES, found[0])
    else:
        _send({"kind": "note", "text": f"{identifier}: no evidence: {error}"})
    return error


def _send(frame: dict[str, Any]) -> None:
    from coursekit.checks.codec import pack

    try:
        packed = pack(frame)
    except EvidenceError as error:  # an output that is no plain data
        packed = pack({**frame, "outputs": [], "error": str(error)})
    write(FRAMES, packed)
