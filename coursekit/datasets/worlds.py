"""Every world of the kit by its name. Nothing is imported before it is asked for, not even torch.

    birds = worlds.world("birds")
    for name, world in worlds.WORLDS.items(): ...

A module of one world holds it as WORLD, a module of several as a dictionary WORLDS.
"""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from coursekit.errors import InputError

if TYPE_CHECKING:
    from coursekit.datasets.world import World

_ALONE = ("birds", "flowers", "digits", "faces", "rooms", "seasons", "facades", "things", "sprites", "scenes")
_POINTS = ("ring", "grid", "moons", "spiral", "pinwheel")
_TASKS = (
    "parity", "recall", "adding", "reversal", "counting", "arithmetic", "xml",
    "chords", "formants", "strokes", "reviews", "translation",
)  # fmt: skip
_HOMES: dict[str, tuple[str, str]] = {
    **{name: (name, "WORLD") for name in _ALONE},
    "real_digits": ("digits", "REAL"),
    **dict.fromkeys(_POINTS, ("toy2d", "WORLDS")),
    **dict.fromkeys(_TASKS, ("tasks", "WORLDS")),
}
"""World -> its module, and what holds it there: the world itself, or a dictionary of worlds."""


@functools.cache
def _load(name: str) -> World:
    module, holder = _HOMES[name]
    found = getattr(importlib.import_module(f"coursekit.datasets.{module}"), holder)
    world: World = found[name] if isinstance(found, dict) else found
    return world


class _Worlds(Mapping[str, "World"]):
    """Name -> World. Iterating gives names and imports nothing."""

    def __getitem__(self, name: str) -> World:
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)

    def __contains__(self, name: object) -> bool:  # Mapping's own would import the module
        return name in _HOMES


WORLDS: Mapping[str, World] = _Worlds()


def world(name: str) -> World:
    """The world of that name; InputError names the closest ones if there is none."""
    if name not in WORLDS:
        near = difflib.get_close_matches(str(name), WORLDS, n=3)
        raise InputError.of(
            "`name` of a world", got=name, expected=f"one of {', '.join(WORLDS)}",
            do=f"Did you mean {' or '.join(map(repr, near))}?"
            if near
            else "Pass one of these names. Real data is in coursekit.datasets.real.",
        )  # fmt: skip
    return WORLDS[name]
