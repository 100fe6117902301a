"""The parent's hold on the warm process: start it, talk to it, end it and all of its forks."""

from __future__ import annotations

import contextlib
import os
import site
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coursekit.errors import SandboxUnavailable
from coursekit.grading.frames import Channel
from coursekit.grading.sandbox.trees import PACKAGE
from coursekit.grading.submission import Settings

_START_SECONDS = 120.0
_STOP_SECONDS = 1.0


class WarmProcess:
    """A running `worker`. `folder` is private to the pool."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        self._log = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed in close)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "coursekit.grading.worker", settings.dumps(), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                pass_fds=(theirs.fileno(),),
                cwd=folder,
                env=_environment(folder),
                start_new_session=True,  # an interrupt at the terminal is for the parent alone
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def socket(self) -> socket.socket:
        """Readable when there is something to `receive`."""
        return self._channel.socket

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message; one that the warm process no longer hears is lost, and `receive` will tell."""
        with contextlib.suppress(ConnectionError):
            self._channel.send(message, descriptors)

    def receive(self) -> list[dict[str, Any]] | None:
        """Its messages; None when it has ended."""
        messages = self._channel.receive()
        return None if messages is None else [message for message, _ in messages]

    def close(self) -> None:
        """End it, and with it (by the closed channel, the namespaces or the death signal) all of its forks."""
        self._channel.socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _wait_until_ready(self) -> None:
        self.socket.settimeout(_START_SECONDS)
        try:
            ready = self.receive()
        except TimeoutError:
            ready = None
        if ready is None:
            raise SandboxUnavailable(
                f"the warm process did not start: got {self._said() or 'no word from it'}, expected a report within "
                f"{_START_SECONDS:g} s. Run `coursekit doctor`, or grade with --trust-submissions."
            )
        self.socket.settimeout(None)

    def _said(self) -> str:
        """The last lines of its standard error."""
        self._log.seek(0)
        return " / ".join(self._log.read()[-2000:].decode(errors="replace").strip().splitlines()[-3:])


def _environment(home: Path) -> dict[str, str]:
    """The environment of the warm process: no secret of the parent's, and nothing that changes results."""
    here = str(PACKAGE.parent)
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    installed = {*site.getsitepackages(), site.getusersitepackages()}
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return {
        **kept,
        **({} if here in installed else {"PYTHONPATH": here}),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "XDG_CACHE_HOME": cache,  # matplotlib's list of fonts takes a second to make
        "MPLBACKEND": "agg",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "COURSEKIT_SANDBOX": "1",
        "COURSEKIT_STATIC": "1",
    }
