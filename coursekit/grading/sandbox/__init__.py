"""The sandbox: what a submission may see and do, enforced by the kernel and entered for good.

::

    trees        which paths may be read                         landlock    files, by tree
    limits       privileges given up, resource limits            seccomp     system calls
    namespaces   own processes, network, mounts (where allowed)  libc        the calls behind all of them

Landlock and seccomp are required: where the system lacks one, `enter` raises `SandboxUnavailable`.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from coursekit.errors import SandboxUnavailable
from coursekit.grading.results import Limits
from coursekit.grading.sandbox import landlock, namespaces, seccomp, trees
from coursekit.grading.sandbox.landlock import Grant
from coursekit.grading.sandbox.limits import close_above, give_up_privileges, mapped_bytes, set_limits

__all__ = ["Ability", "abilities", "enter", "prepare", "require"]


@dataclass(frozen=True)
class Ability:
    """A part of the sandbox: whether this system has it, whether grading needs it, and what to do without."""

    available: bool
    required: bool
    remedy: str


def abilities() -> dict[str, Ability]:
    """What this system offers."""
    return {**_required(), "namespaces": Ability(namespaces.available(), False, _NAMESPACES_REMEDY)}


def require() -> None:
    """Raise `SandboxUnavailable`, with a remedy, where this system cannot contain a stranger's code."""
    lacking = {name: ability for name, ability in _required().items() if not ability.available}
    if lacking:
        remedies = " ".join(f"{name}: {ability.remedy}" for name, ability in lacking.items())
        raise SandboxUnavailable(
            f"no sandbox on this system: got {platform.system()} {platform.release()} ({platform.machine()}) without "
            f"{' and '.join(lacking)}, expected both Landlock and seccomp. {remedies} To run submissions that you "
            "trust without a sandbox, pass --trust-submissions."
        )


def prepare(hidden: Iterable[Path] = (), extra: Iterable[Path] = ()) -> list[Grant]:
    """What can be done once, before the forks; opens every tree that a submission may read."""
    seccomp.prepare()
    grants = (Grant.on(path, rights) for path, rights in trees.visible(hidden, extra).items())
    return [grant for grant in grants if grant is not None]


def enter(grants: Iterable[Grant], scratch: Path, limits: Limits, *, keep: int, apart: bool) -> None:
    """Enter the sandbox, for good: files by `grants` and `scratch`, resources by `limits`, no descriptor above `keep`.
    `apart` says that the process is in a user namespace of its own.

    Call it in the process that will run a stranger's code, alone in it, with the scratch folder as working directory.
    """
    require()
    own = Grant.on(scratch, landlock.OWN)
    if own is None:
        raise SandboxUnavailable(f"scratch folder {scratch}: cannot be opened, expected a folder of the worker's own.")
    mapped = mapped_bytes()  # /proc is out of sight once Landlock holds
    give_up_privileges()
    landlock.restrict([*grants, own])
    close_above(keep)
    set_limits(limits, mapped, apart=apart)
    seccomp.restrict(os.getpid())


def _required() -> dict[str, Ability]:
    return {
        "Landlock": Ability(landlock.abi() > 0, True, _LANDLOCK_REMEDY),
        "seccomp": Ability(seccomp.available(), True, _SECCOMP_REMEDY),
    }


_LANDLOCK_REMEDY = "needs Linux 5.13 or later with landlock among the boot parameter lsm=... (or a virtual machine)."
_SECCOMP_REMEDY = "needs Linux on x86_64 or aarch64 with CONFIG_SECCOMP_FILTER."
_NAMESPACES_REMEDY = (
    "allow unprivileged user namespaces (sysctl user.max_user_namespaces, or the AppArmor profile on Ubuntu). Without "
    "them grading is still contained by Landlock and seccomp, but the scratch folder's total size is not limited."
)
