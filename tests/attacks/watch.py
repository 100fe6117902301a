"""Looks on while submissions are graded: what would change, arrive or stay behind if one of them got out."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import secrets
import selectors
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

_SET_CHILD_SUBREAPER = 36
_SENTINEL = """
import os, signal, sys
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, lambda n, f: os.write(1, signal.Signals(n).name.encode() + b" "))
os.write(1, b"ready ")
while True: signal.pause()
"""


class Watch:
    """A folder of canaries, listeners on every kind of local socket, a bystanding process."""

    def __init__(self, world: Path, names: Iterable[str], guarded: Iterable[Path] = ()) -> None:
        self.world, self.guarded = world, list(guarded)
        self.tokens = {name: "atk" + secrets.token_hex(6) for name in names}
        self.secrets = {name: secrets.token_hex(12) for name in (*self.tokens, "environment", "other")}
        for name in self.tokens:
            folder = self.folder(name)
            (folder / "open").mkdir(parents=True)
            (folder / "open").chmod(0o777)
            (folder / "secret.txt").write_text(f"only for the instructor: {self.secrets[name]}\n")
        (world / "home").mkdir()
        self.heard: list[str] = []
        self._ear = _Ear(self.heard)
        self.sentinel = subprocess.Popen(
            [sys.executable, "-S", "-c", _SENTINEL],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self.sentinel.stdout is not None
        assert os.read(self.sentinel.stdout.fileno(), 100) == b"ready "
        os.set_blocking(self.sentinel.stdout.fileno(), False)
        self._adopt(True)
        self._ours = set(_children())
        self._before: dict[str, str] = {}

    def folder(self, name: str) -> Path:
        return self.world / self.tokens[name]

    def marks(self, name: str) -> dict[str, str]:
        """What the marks in an attack's text stand for, the course's own apart."""
        folder = self.folder(name)
        return {
            "@TOKEN@": self.tokens[name],
            "@SECRET@": str(folder / "secret.txt"),
            "@OUTSIDE@": str(folder / "open"),
            "@SENTINEL@": str(self.sentinel.pid),
            "@TCP@": str(self._ear.tcp),
            "@UDP@": str(self._ear.udp),
            "@UNIX@": str(self._ear.path),
            "@ABSTRACT@": self._ear.abstract,
        }

    def start(self) -> None:
        """From here on nothing may change."""
        self._before = self._files()

    def breaches(self) -> dict[str, list[str]]:
        """What got out, by attack; under "" what nobody in particular can be blamed for. Ends what was left over."""
        found: dict[str, list[str]] = {}

        def blame(trace: str, what: str) -> None:
            by = next((name for name, token in self.tokens.items() if token in trace), "")
            found.setdefault(by, []).append(what)

        time.sleep(0.2)
        left = self._left_over()
        after = self._files()
        for path in sorted(self._before.keys() | after.keys()):
            if self._before.get(path) != after.get(path):
                verb = "changed" if path in self._before and path in after else "made" if path in after else "removed"
                blame(path, f"{verb} {path}")
        for folder in ("/tmp", "/var/tmp", "/dev/shm"):
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                if any(token in name for token in self.tokens.values()):
                    blame(name, f"made {folder}/{name}")
                    Path(folder, name).unlink()
        for words in self.heard:
            blame(words, f"reached a listener: {words}")
        for pid in left:
            blame(pid, f"left a process: {pid}")
        assert self.sentinel.stdout is not None
        with contextlib.suppress(BlockingIOError):
            blame("", f"signalled a bystander: {os.read(self.sentinel.stdout.fileno(), 1000).decode()}")
        state = Path(f"/proc/{self.sentinel.pid}/status")
        if self.sentinel.poll() is not None or (state.exists() and "State:\tT" in state.read_text()):
            blame("", "stopped a bystander")
        return found

    def close(self) -> None:
        self.sentinel.kill()
        self.sentinel.communicate()
        self._ear.close()
        self._adopt(False)

    def _adopt(self, orphans: bool) -> None:
        """Whether what is orphaned below this process becomes a child of it, and so can be counted."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0)

    def _left_over(self) -> list[str]:
        """Processes that were orphaned by the grader and live on."""
        found = []
        for pid in set(_children()) - self._ours:
            with contextlib.suppress(OSError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    found.append(f"{pid} {Path(f'/proc/{pid}/cmdline').read_text()[:60]!r}")
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        return found

    def _files(self) -> dict[str, str]:
        """Every guarded file as it is now."""
        paths = [self.world, *self.guarded]
        found = {}
        while paths:
            path = paths.pop()
            try:
                status = path.lstat()
            except OSError:
                continue
            if stat.S_ISSOCK(status.st_mode):
                continue
            found[str(path)] = f"{status.st_mode:o} {status.st_uid}"
            if stat.S_ISDIR(status.st_mode):
                if path != self.world / "home":
                    paths += path.iterdir()
                elif any(token in str(p) for p in path.rglob("*") for token in self.tokens.values()):
                    found |= {str(p): "made" for p in path.rglob("*") if any(t in str(p) for t in self.tokens.values())}
            elif stat.S_ISREG(status.st_mode):
                digest = hashlib.sha256(path.read_bytes()).hexdigest() if status.st_size < 1 << 20 else status.st_size
                found[str(path)] += (
                    f" {status.st_mtime_ns} {digest} {os.listxattr(path) if sys.platform == 'linux' else ''}"
                )
        return found


def _children() -> list[int]:
    lists = Path("/proc/self/task").glob("*/children") if sys.platform == "linux" else ()
    return [int(pid) for task in lists for pid in task.read_text().split()]


class _Ear:
    """Listens on TCP, UDP, a Unix socket in a folder and two abstract ones; writes down who comes."""

    def __init__(self, heard: list[str]) -> None:
        self.heard, self.abstract = heard, "attacks-" + secrets.token_hex(6)
        self._folder = tempfile.mkdtemp(prefix="attacks-ear-")  # a Unix socket's path is short
        os.chmod(self._folder, 0o755)
        self.path = Path(self._folder, "ear")
        self._selector = selectors.DefaultSelector()
        self.tcp = self._open(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)).getsockname()[1]
        self.udp = self._open(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)).getsockname()[1]
        self._open(socket.AF_UNIX, socket.SOCK_STREAM, str(self.path))
        self.path.chmod(0o777)
        if sys.platform == "linux":
            self._open(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.abstract)
            self._open(socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.abstract}-dgram")
        self._bell, self._ring = os.pipe()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _open(self, family: int, kind: int, address: object) -> socket.socket:
        ear = socket.socket(family, kind)
        ear.bind(address)
        if kind == socket.SOCK_STREAM:
            ear.listen()
        self._selector.register(ear, selectors.EVENT_READ)
        return ear

    def _listen(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == self._bell:
                    return
                ear = key.fileobj
                assert isinstance(ear, socket.socket)
                words = b""
                if ear.type == socket.SOCK_STREAM:
                    talk, _ = ear.accept()
                    talk.settimeout(1.0)
                    with talk, contextlib.suppress(OSError):
                        words = talk.recv(200)
                else:
                    words = ear.recv(200)
                self.heard.append(f"{ear.family.name} {words!r}")

    def close(self) -> None:
        os.write(self._ring, b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        os.close(self._bell)
        os.close(self._ring)
        self.path.unlink()
        os.rmdir(self._folder)
