"""Where real data lies, and what is said when it does not lie there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from coursekit import shipped
from coursekit.errors import DataAbsent

VARIABLE = "COURSEKIT_DATA"


@dataclass(frozen=True, kw_only=True)
class Place:
    """The folder of one set."""

    name: str
    folder: Path
    shown: str
    """The folder as messages name it: relative to the course, so that no notebook holds a path of its machine."""
    title: str
    files: str
    """The publishers' files that a split needs, for messages."""
    page: str
    standin: str

    def find(self, *options: str) -> Path:
        """The first of these files that is there; DataAbsent if none is."""
        for option in options:
            if (self.folder / option).exists():
                return self.folder / option
        raise self.absent(" or ".join(options))

    def absent(self, files: str, *, why: str = "") -> DataAbsent:
        """The error: what is missing, where, how to get it, what to use instead."""
        return DataAbsent(
            f"{self.title}: {why or 'not on this machine'}. Looked for {files} in {self.shown}/. "
            f"Put the publishers' files there ({self.files}; from {self.page}), or pass download=True on a machine with a "
            "network. "
            f'The kit\'s stand-in needs no file: worlds.world("{self.standin}").'
        )


def data_folder(root: str | Path | None = None) -> tuple[Path, str]:
    """The folder that holds one folder for each real data set, and its name in messages.

    It is `root`, else $COURSEKIT_DATA (a disk that a class shares), else data/real of the course.
    """
    if root is not None:
        return Path(root), str(root)
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen), f"${VARIABLE}"
    return shipped.folder() / "real", "data/real"


def place(
    name: str, root: str | Path | None = None, *, title: str, files: str, page: str, standin: str
) -> Place:  # fmt: skip
    """The place of the set `name`."""
    folder, shown = data_folder(root)
    return Place(
        name=name, folder=folder / name, shown=f"{shown}/{name}", title=title, files=files, page=page, standin=standin
    )
