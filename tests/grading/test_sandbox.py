"""The walls one by one: the filter's decisions on both architectures, the readable trees, the scratch folder."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from coursekit.errors import InputError, SandboxUnavailable
from coursekit.grading import sandbox, scratch
from coursekit.grading.sandbox import landlock, seccomp, trees
from coursekit.grading.sandbox.landlock import NAMES, READ, Grant

ARCHITECTURES = list(seccomp.ARCHITECTURES)
EPERM, ENOSYS, ENOTTY = (0x0005_0000 | code for code in (errno.EPERM, errno.ENOSYS, errno.ENOTTY))
PID = 17


def decide(machine: str, call: str | int, *arguments: int, audit: int | None = None) -> int:
    """Interpret the filter, as the kernel would: the action for a call."""
    arch = seccomp.ARCHITECTURES[machine]
    number = arch.number[call] if isinstance(call, str) else call
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, arch.audit if audit is None else audit, 0, *padded)
    program = seccomp.program(PID, machine)
    value, place = 0, 0
    while True:
        code, true, false, constant = program[place]
        place += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("<I", data, constant)
            case 0x54:
                value &= constant
            case 0x15:
                place += true if value == constant else false
            case 0x25:
                place += true if value > constant else false
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_every_refused_call_is_refused(machine: str) -> None:
    arch = seccomp.ARCHITECTURES[machine]
    for name in seccomp.names(seccomp.REFUSED):
        if name in arch.number:
            assert decide(machine, name) == EPERM, name
    for name in seccomp.ABSENT.split():
        assert decide(machine, name) == ENOSYS, name


def test_every_name_has_a_number() -> None:
    named = {*seccomp.names(seccomp.REFUSED), *seccomp.ABSENT.split()}
    assert named <= seccomp.ARCHITECTURES["x86_64"].number.keys()
    legacy = named - seccomp.ARCHITECTURES["aarch64"].number.keys()
    assert legacy == {
        "fork", "vfork", "chmod", "chown", "lchown", "utime", "utimes", "futimesat", "mknod", "inotify_init", "ustat",
        "create_module", "iopl", "ioperm", "modify_ldt", "sysfs", "uselib",
    }  # fmt: skip


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_what_python_and_torch_need_is_allowed(machine: str) -> None:
    threads = 0x0001_0000 | 0x0000_0F00
    assert decide(machine, "clone", threads) == seccomp.ALLOW
    assert decide(machine, "tgkill", PID, PID, 6) == seccomp.ALLOW
    assert decide(machine, "prlimit64", 0) == seccomp.ALLOW
    assert decide(machine, "openat", 0, 0, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) == seccomp.ALLOW
    assert decide(machine, "fcntl", 3, 3) == seccomp.ALLOW
    for number in {"x86_64": (0, 1, 9, 11, 202, 228, 262), "aarch64": (63, 64, 222, 215, 98, 113, 79)}[machine]:
        assert decide(machine, number) == seccomp.ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_arguments_decide(machine: str) -> None:
    assert decide(machine, "clone", 17) == EPERM  # a fork
    assert decide(machine, "clone", 0x0001_0000 | 0x1000_0000) == EPERM  # a thread in a new user namespace
    assert decide(machine, "kill", PID + 1) == decide(machine, "kill", 0) == decide(machine, "kill", 2**64 - 1) == EPERM
    assert decide(machine, "kill", PID) == seccomp.ALLOW
    assert decide(machine, "prlimit64", 1) == EPERM
    assert decide(machine, "openat", 0, 0, os.O_RDONLY | os.O_TRUNC) == EPERM
    assert decide(machine, "openat", 0, 0, 3 | os.O_TRUNC) == EPERM
    assert decide(machine, "fcntl", 3, 8) == EPERM  # F_SETOWN
    assert decide(machine, "prctl", 22) == EPERM  # PR_SET_SECCOMP
    assert decide(machine, "ioctl", 0, 0x5412) == ENOTTY  # TIOCSTI: type into a terminal
    assert decide(machine, "ioctl", 0, 0x5401) == seccomp.ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_unknown_calls_and_foreign_interfaces(machine: str) -> None:
    assert decide(machine, 463) == decide(machine, 10_000) == ENOSYS
    assert decide(machine, 1, audit=0x4000_0003) == seccomp.KILL  # 32-bit x86
    assert decide(machine, 0x4000_0001) == seccomp.KILL  # x32


def test_trees_hold_no_answer_key_and_no_grader() -> None:
    rights = trees.visible()
    readable = [path for path, granted in rights.items() if granted & landlock.READ_FILE]
    for secret in [*trees.known_sides(), trees.PACKAGE.parent / "solutions", trees.PACKAGE.parent / "tests"]:
        assert not any(secret.is_relative_to(path) or path.is_relative_to(secret) for path in readable), secret
    assert trees.known_sides()
    assert any((trees.PACKAGE / "checks").is_relative_to(path) for path in readable)
    assert rights[trees.PACKAGE] == NAMES


def test_a_tree_around_a_secret_is_granted_child_by_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lib/course/solutions", "lib/other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lib" / "module.py").touch()
    (tmp_path / "lib" / "door").symlink_to(tmp_path / "lib" / "course")
    monkeypatch.setattr(trees, "SYSTEM", (str(tmp_path / "lib"),))
    rights = trees.visible(hidden=[tmp_path / "lib" / "course"])
    mine = {path.relative_to(tmp_path).as_posix(): r for path, r in rights.items() if path.is_relative_to(tmp_path)}
    assert mine == {"lib": NAMES, "lib/module.py": READ, "lib/other": READ}


def test_an_installation_inside_the_course_stays_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".venv" / "lib").mkdir(parents=True)
    monkeypatch.setattr(trees, "SYSTEM", (str(tmp_path / ".venv" / "lib"),))
    rights = trees.visible(hidden=[tmp_path])
    assert [path for path in rights if path.is_relative_to(tmp_path)] == [tmp_path / ".venv" / "lib"]


def test_a_file_is_granted_no_right_of_folders(tmp_path: Path) -> None:
    grant = Grant.on(Path(__file__), READ)
    assert grant is not None and grant.rights == landlock.READ_FILE
    os.close(grant.descriptor)
    assert Grant.on(tmp_path / "absent", READ) is None


@pytest.mark.parametrize("lacking", ["Landlock", "seccomp"])
def test_without_a_wall_it_refuses_and_says_what_to_do(
    lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0 if lacking == "Landlock" else 7)
    monkeypatch.setattr(seccomp, "available", lambda: lacking != "seccomp")
    abilities = sandbox.abilities()
    assert [name for name, a in abilities.items() if a.required and not a.available] == [lacking]
    assert all(ability.remedy for ability in abilities.values())
    with pytest.raises(SandboxUnavailable, match=rf"without {lacking}, .*--trust-submissions"):
        sandbox.require()


def test_scratch_copies_regular_files_within_a_budget(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep" / "er").mkdir(parents=True)
    target.mkdir()
    (source / "deep" / "er" / "a.csv").write_text("1,2")
    (source / "n.ipynb").write_text("{}")
    (source / ".hidden").write_text("x")
    (source / "link").symlink_to("/etc/passwd")
    scratch.fill(target, source, 3)
    assert sorted(p.relative_to(target).as_posix() for p in target.rglob("*")) == ["deep", "deep/er", "deep/er/a.csv"]
    with pytest.raises(InputError, match="more than 2 bytes"):
        scratch.fill(target, source, 2)


def test_scratch_is_removed_whatever_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    (folder / "sealed" / "inner").mkdir(parents=True)
    (folder / "sealed" / "file").touch()
    (folder / "link").symlink_to(tmp_path)
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1500):  # deeper than Python recurses, with a path longer than the system takes
        os.mkdir("deep", dir_fd=here)
        inner = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    (folder / "sealed").chmod(0)
    scratch.remove(folder)
    assert list(tmp_path.iterdir()) == []
