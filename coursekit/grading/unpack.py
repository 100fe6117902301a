"""Zip files from strangers: unpacked whole, or refused with the reason.

Python's zipfile cuts "..", drive letters and leading slashes off a name and goes on. A grader does better to refuse: such
a name was put there on purpose, and what is left of it may be another student's. What it does not do at all is to stop a
bomb. (zipfile, "Decompression pitfalls", https://docs.python.org/3/library/zipfile.html#decompression-pitfalls.)
"""

from __future__ import annotations

import lzma
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coursekit.errors import CourseError

MIB = 1 << 20
CHUNK = 1 << 18
LITTER = ("__MACOSX", ".ipynb_checkpoints", "__pycache__", ".git")
"""Folders that computers, not people, put into a zip; hidden files likewise are left out."""


@dataclass(frozen=True, kw_only=True)
class ZipLimits:
    """What a zip may hold."""

    entries: int
    bytes: int
    ratio: int = 200
    """Of unpacked to packed bytes. Notebooks with figures pack about 4 to 1, a notebook of one repeated line 100 to 1."""
    free_bytes: int = 16 * MIB
    """Below this size the ratio does not matter."""


CLASS_ZIP = ZipLimits(entries=50_000, bytes=16 << 30)
STUDENT_ZIP = ZipLimits(entries=1000, bytes=512 * MIB)


class ZipRefused(CourseError):
    """A zip that is damaged, or was made to do harm."""


def unpack(path: Path, into: Path, limits: ZipLimits) -> None:
    """Unpack `path` into the empty or absent folder `into`. Raises `ZipRefused`; then what was unpacked is to be thrown away.

    Hidden files and the litter of operating systems are left out. Every file is new, ordinary and readable by its owner;
    modes, owners and links in the zip mean nothing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive, limits)
            _unpack(path, archive, members, into, limits)
    except zipfile.BadZipFile as error:
        raise ZipRefused(f"{path.name}: not a sound zip file ({error}). Make it anew.") from error
    except (NotImplementedError, RuntimeError) as error:  # an unknown compression; a password
        raise ZipRefused(
            f"{path.name}: cannot be unpacked ({error}), expected an ordinary zip without password."
        ) from error
    except (EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.LargeZipFile) as error:
        raise ZipRefused(f"{path.name}: damaged ({error}). Make it anew.") from error


def _members(path: Path, archive: zipfile.ZipFile, limits: ZipLimits) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files to unpack. Everything that the table of contents tells is checked before a byte is written."""
    infos = archive.infolist()
    if len(infos) > limits.entries:
        raise ZipRefused(
            f"{path.name}: {len(infos)} entries, expected at most {limits.entries}. Zip the notebook alone."
        )
    total = sum(info.file_size for info in infos)
    if total > limits.bytes:
        raise ZipRefused(f"{path.name}: unpacks to {total / 1e6:.0f} MB, expected at most {limits.bytes / 1e6:.0f} MB.")
    packed = max(path.stat().st_size, 1)
    if total > limits.free_bytes and total > limits.ratio * packed:
        raise ZipRefused(
            f"{path.name}: {packed / 1e6:.1f} MB that unpack to {total / 1e6:.0f} MB; more than {limits.ratio} to 1 is a bomb."
        )
    members, seen = [], set()
    for info in infos:
        name = _name(path, info)
        if info.is_dir() or any(part in LITTER or part.startswith(".") for part in name.parts):
            continue
        if str(name).casefold() in seen:
            raise ZipRefused(f"{path.name}: holds {str(name)!r} twice, expected each name once. Make it anew.")
        seen.add(str(name).casefold())
        members.append((info, name))
    return members


def _name(path: Path, info: zipfile.ZipInfo) -> PurePosixPath:
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    parts = name.replace("\\", "/").split("/")
    what = ""
    if kind == stat.S_IFLNK:
        what = "is a link"
    elif kind and kind not in (stat.S_IFREG, stat.S_IFDIR):
        what = "is no ordinary file"
    elif parts[0] == "" or ":" in parts[0][1:2]:
        what = "is an absolute name"
    elif ".." in parts:
        what = "leads out of its folder"
    elif "\0" in name or not name.isprintable():
        what = "has a name with unprintable characters"
    elif len(name.encode("utf-8", "replace")) > 1000 or any(
        len(part.encode("utf-8", "replace")) > 240 for part in parts
    ):
        what = "has too long a name"
    if what:
        raise ZipRefused(
            f"{path.name}: {name[:80]!r} {what}, expected plain files with names inside the zip. It was not unpacked."
        )
    return PurePosixPath(*(part for part in parts if part not in ("", ".")))


def _unpack(
    path: Path,
    archive: zipfile.ZipFile,
    members: list[tuple[zipfile.ZipInfo, PurePosixPath]],
    into: Path,
    limits: ZipLimits,
) -> None:
    into.mkdir(parents=True, exist_ok=True)
    left = limits.bytes
    for info, name in members:
        target = into.joinpath(*name.parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, target.open("xb") as file:
                while chunk := source.read(CHUNK):
                    left -= len(chunk)
                    if left < 0:  # the table of contents lied
                        raise ZipRefused(
                            f"{path.name}: unpacks to more than the {limits.bytes / 1e6:.0f} MB that are allowed."
                        )
                    file.write(chunk)
        except (FileExistsError, NotADirectoryError) as error:
            raise ZipRefused(f"{path.name}: {str(name)!r} is a file and a folder at once. Make it anew.") from error
