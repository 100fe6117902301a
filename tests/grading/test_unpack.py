"""Zips of strangers: what is plain is unpacked, everything else is refused with the reason, and nothing lands outside."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from coursekit.grading.unpack import MIB, STUDENT_ZIP, ZipLimits, ZipRefused, unpack

SMALL = ZipLimits(entries=20, bytes=4 * MIB, ratio=50, free_bytes=MIB)


def made(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def special(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


def names(place: Path) -> set[str]:
    return {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()}


def test_plain_files_come_out_whole_and_litter_stays_in(tmp_path: Path) -> None:
    path = made(
        tmp_path / "al.zip",
        ("code/a.ipynb", b"{}"),
        ("code/data/w.bin", bytes(range(256))),
        ("__MACOSX/code/._a.ipynb", b"x"),
        ("code/.ipynb_checkpoints/a.ipynb", b"old"),
        (".hidden", b"x"),
        (special("code/run.sh", stat.S_IFREG | stat.S_ISUID), b"#!"),
    )
    unpack(path, tmp_path / "out", STUDENT_ZIP)
    assert names(tmp_path / "out") == {"code/a.ipynb", "code/data/w.bin", "code/run.sh"}
    assert (tmp_path / "out/code/data/w.bin").read_bytes() == bytes(range(256))
    assert not os.stat(tmp_path / "out/code/run.sh").st_mode & (stat.S_ISUID | 0o111)


HOSTILE = {
    "../out.txt": "leads out of its folder",
    "a/../../out.txt": "leads out of its folder",
    "..\\out.txt": "leads out of its folder",
    "/etc/out.txt": "is an absolute name",
    "C:\\out.txt": "is an absolute name",
    "\\\\server\\out.txt": "is an absolute name",
    "a\nb.txt": "unprintable",
    "n" * 241: "too long a name",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    path = made(tmp_path / "mallory.zip", ("a.ipynb", b"{}"), (name, b"mine"))
    with pytest.raises(ZipRefused, match=HOSTILE[name]) as raised:
        unpack(path, tmp_path / "room" / "out", SMALL)
    assert "mallory.zip" in str(raised.value) and "\n" not in str(raised.value)
    assert names(tmp_path) == {"mallory.zip"}


@pytest.mark.parametrize(
    ("kind", "why"), [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "no ordinary file"), (stat.S_IFBLK, "no ordinary")]
)
def test_what_is_no_file_is_refused(tmp_path: Path, kind: int, why: str) -> None:
    path = made(tmp_path / "m.zip", (special("a.ipynb", kind), b"/etc/passwd"))
    with pytest.raises(ZipRefused, match=why):
        unpack(path, tmp_path / "out", SMALL)


def test_bombs_are_refused_before_and_while_they_go_off(tmp_path: Path) -> None:
    zeros = made(tmp_path / "bomb.zip", *((f"{k}", bytes(MIB)) for k in range(3)))
    with pytest.raises(ZipRefused, match="50 to 1 is a bomb"):
        unpack(zeros, tmp_path / "a", SMALL)
    with pytest.raises(ZipRefused, match="unpacks to 5 MB"):
        unpack(made(tmp_path / "big.zip", *((f"{k}", os.urandom(MIB)) for k in range(5))), tmp_path / "b", SMALL)
    with pytest.raises(ZipRefused, match="21 entries"):
        unpack(made(tmp_path / "many.zip", *((f"{k}", b"") for k in range(21))), tmp_path / "c", SMALL)
    # The table of contents says ten bytes. What is behind it must not be more.
    lying = tmp_path / "liar.zip"
    data = bytearray(made(lying, ("a", bytes(3 * MIB))).read_bytes())
    central = data.rfind(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 10)
    lying.write_bytes(data)
    with pytest.raises(ZipRefused):
        unpack(lying, tmp_path / "d", SMALL)
    assert sum(p.stat().st_size for p in (tmp_path / "d").rglob("*") if p.is_file()) <= SMALL.bytes


def test_what_is_damaged_is_refused(tmp_path: Path) -> None:
    good = made(tmp_path / "good.zip", ("a.ipynb", os.urandom(5000))).read_bytes()
    (tmp_path / "cut.zip").write_bytes(good[:-30])
    (tmp_path / "text.zip").write_text("not a zip")
    (tmp_path / "empty.zip").write_bytes(b"")
    flipped = bytearray(good)
    flipped[200] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(flipped)
    locked = bytearray(good)
    locked[6] |= 1
    locked[good.rfind(b"PK\x01\x02") + 8] |= 1  # encrypted, says the table of contents
    (tmp_path / "locked.zip").write_bytes(locked)
    strange = bytearray(good)
    strange[8] = strange[good.rfind(b"PK\x01\x02") + 10] = 99
    (tmp_path / "strange.zip").write_bytes(strange)
    for name in ("cut", "text", "empty", "flipped", "locked", "strange"):
        with pytest.raises(ZipRefused, match=rf"{name}\.zip: "):
            unpack(tmp_path / f"{name}.zip", tmp_path / "out" / name, SMALL)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_fight_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ZipRefused, match="twice"):
        unpack(made(tmp_path / "t.zip", ("A.ipynb", b"1"), ("a.ipynb", b"2")), tmp_path / "a", SMALL)
    with pytest.raises(ZipRefused, match="a file and a folder at once"):
        unpack(made(tmp_path / "f.zip", ("a", b"1"), ("a/b", b"2")), tmp_path / "b", SMALL)
