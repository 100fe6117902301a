"""Checks of arguments and draws of plain Python values, shared by the worlds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch

from coursekit.errors import InputError

T = TypeVar("T")


def require_at_least(low: int, **named: object) -> None:
    """Raise InputError unless each named value is a whole number of at least `low`."""
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise InputError.of(
                f"`{name}`",
                got=value,
                expected=f"a whole number of at least {low}",
                do=f"Pass {name}={low} or more.",
            )


def require_generator(generator: object) -> None:
    """Raise InputError unless `generator` is a torch.Generator on the CPU, where the worlds are drawn."""
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise InputError.of(
            "`generator`",
            got=generator,
            expected="a torch.Generator on the CPU",
            do="Pass coursekit.runtime.generator(seed), and move the data to your device afterwards.",
        )


def pick(options: Sequence[T], generator: torch.Generator) -> T:
    """One of the options, all equally likely."""
    return options[integer(0, len(options), generator)]


def integer(low: int, high: int, generator: torch.Generator) -> int:
    """A whole number from low to high - 1."""
    return int(torch.randint(low, high, (), generator=generator))
