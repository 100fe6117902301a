"""System calls that Python has no word for."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
from typing import Any

MACHINE = platform.machine()


def call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | ctypes.Structure | None) -> int:
    """Call a function of the C library; an OSError that names it where it returns -1."""
    result = int(_function(name)(*(_argument(item) for item in arguments)))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


@functools.cache
def _function(name: str) -> Any:
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, TypeError):  # TypeError: Windows has no library without a name
        raise OSError(errno.ENOSYS, f"the C library has no {name}") from None
    function.restype = ctypes.c_long
    return function


def _argument(item: object) -> object:
    # A bare Python int would travel as a 32-bit int and leave the register's upper half to chance.
    if isinstance(item, int):
        return ctypes.c_ulong(item & 0xFFFF_FFFF_FFFF_FFFF)
    if isinstance(item, ctypes.Structure):
        return ctypes.byref(item)
    return item
