"""Which system calls a submission may make: a filter in classic BPF, assembled here (seccomp(2)).

Refused calls fail with an error that Python shows ("Operation not permitted"), so an honest notebook that tries
``!ls`` reads why. Calls newer than those known here look as if the kernel lacked them, which programs are used to. Only
a call through a foreign ABI, which nothing honest makes, kills.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import struct
from collections.abc import Iterator
from typing import NamedTuple

from coursekit.grading.sandbox.libc import MACHINE, call

REFUSED = """
processes       fork vfork execve execveat
signals         tkill rt_sigqueueinfo pidfd_send_signal pidfd_open pidfd_getfd
others' memory  ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp
                migrate_pages move_pages
sockets         socket socketpair connect bind listen accept accept4 sendto recvfrom sendmsg recvmsg sendmmsg
                recvmmsg shutdown setsockopt getsockopt getsockname getpeername
shared objects  shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl
                mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr memfd_create memfd_secret
namespaces      unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick
                mount_setattr
file metadata   chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat
                setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
file back doors name_to_handle_at open_by_handle_at truncate mknod mknodat splice tee vmsplice
                inotify_init inotify_init1 inotify_add_watch fanotify_init fanotify_mark quotactl quotactl_fd
identity        setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset personality
priority        setpriority sched_setscheduler sched_setparam sched_setattr sched_setaffinity ioprio_set
the kernel      bpf perf_event_open userfaultfd keyctl add_key request_key seccomp init_module finit_module
                delete_module create_module kexec_load kexec_file_load reboot swapon swapoff sethostname setdomainname
                iopl ioperm acct settimeofday clock_settime adjtimex clock_adjtime syslog vhangup modify_ldt
                nfsservctl lookup_dcookie sysfs uselib ustat sync syncfs
"""
"""Fail with EPERM. File metadata is here because Landlock does not watch it; `truncate` because its first two ABIs
do not (a descriptor can still be truncated)."""

ABSENT = "clone3 openat2 io_uring_setup io_uring_enter io_uring_register io_setup io_submit"
"""Fail with ENOSYS: their arguments lie in memory that a filter cannot read; the C library then takes the older call."""

NEWEST = 456
"""Calls with a higher number fail with ENOSYS."""

# name, number on x86_64, number on aarch64 (- where there is none). From 424 on all architectures agree.
_TABLE = """
accept 43 202, accept4 288 242, acct 163 89, add_key 248 217, adjtimex 159 171, bind 49 200, bpf 321 280, capset 126 91,
chmod 90 -, chown 92 -, chroot 161 51, clock_adjtime 305 266, clock_settime 227 112, clone 56 220, connect 42 203,
create_module 174 -, delete_module 176 106, execve 59 221, execveat 322 281, fanotify_init 300 262, fanotify_mark 301 263,
fchmod 91 52, fchmodat 268 53, fchown 93 55, fchownat 260 54, fcntl 72 25, finit_module 313 273, fork 57 -, fremovexattr 199 16,
fsetxattr 190 7, futimesat 261 -, getpeername 52 205, getsockname 51 204, getsockopt 55 209, init_module 175 105,
inotify_add_watch 254 27, inotify_init 253 -, inotify_init1 294 26, io_setup 206 0, io_submit 209 2, ioctl 16 29,
ioperm 173 -, iopl 172 -, ioprio_set 251 30, kcmp 312 272, kexec_file_load 320 294, kexec_load 246 104, keyctl 250 219,
kill 62 129, lchown 94 -, listen 50 201, lookup_dcookie 212 18, lremovexattr 198 15, lsetxattr 189 6, memfd_create 319 279,
migrate_pages 256 238, mknod 133 -, mknodat 259 33, modify_ldt 154 -, mount 165 40, move_pages 279 239,
mq_getsetattr 245 185, mq_notify 244 184, mq_open 240 180, mq_timedreceive 243 183, mq_timedsend 242 182,
mq_unlink 241 181, msgctl 71 187, msgget 68 186, msgrcv 70 188, msgsnd 69 189, name_to_handle_at 303 264,
nfsservctl 180 42, open 2 -, open_by_handle_at 304 265, openat 257 56, perf_event_open 298 241, personality 135 92,
pivot_root 155 41, prctl 157 167, prlimit64 302 261, process_vm_readv 310 270, process_vm_writev 311 271, ptrace 101 117,
quotactl 179 60, reboot 169 142, recvfrom 45 207, recvmmsg 299 243, recvmsg 47 212, removexattr 197 14,
request_key 249 218, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, sched_setaffinity 203 122, sched_setattr 314 274,
sched_setparam 142 118, sched_setscheduler 144 119, seccomp 317 277, semctl 66 191, semget 64 190, semop 65 193,
semtimedop 220 192, sendmmsg 307 269, sendmsg 46 211, sendto 44 206, setdomainname 171 162, setfsgid 123 152,
setfsuid 122 151, setgid 106 144, setgroups 116 159, sethostname 170 161, setns 308 268, setpriority 141 140,
setregid 114 143, setresgid 119 149, setresuid 117 147, setreuid 113 145, setsockopt 54 208, settimeofday 164 170,
setuid 105 146, setxattr 188 5, shmat 30 196, shmctl 31 195, shmdt 67 197, shmget 29 194, shutdown 48 210, socket 41 198,
socketpair 53 199, splice 275 76, swapoff 168 225, swapon 167 224, sync 162 81, syncfs 306 267, sysfs 139 -, syslog 103 116,
tee 276 77, tgkill 234 131, tkill 200 130, truncate 76 45, umount2 166 39, unshare 272 97, uselib 134 -, userfaultfd 323 282,
ustat 136 -, utime 132 -, utimensat 280 88, utimes 235 -, vfork 58 -, vhangup 153 58, vmsplice 278 75,
pidfd_send_signal 424 424, io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427, open_tree 428 428,
move_mount 429 429, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433, pidfd_open 434 434, clone3 435 435,
openat2 437 437, pidfd_getfd 438 438, process_madvise 440 440, mount_setattr 442 442, quotactl_fd 443 443,
memfd_secret 447 447, process_mrelease 448 448, fchmodat2 452 452
"""


class Architecture(NamedTuple):
    audit: int
    """How the kernel's audit code names it."""
    number: dict[str, int]


def _architecture(audit: int, column: int) -> Architecture:
    rows = (row.split() for row in _TABLE.split(","))
    return Architecture(audit, {row[0]: int(row[column]) for row in rows if row[column] != "-"})


ARCHITECTURES = {"x86_64": _architecture(0xC000_003E, 1), "aarch64": _architecture(0xC000_00B7, 2)}

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant."""

_LOAD, _AND, _EQUAL, _ABOVE, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x06
ALLOW, KILL, _ERROR = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_X32 = 0x4000_0000  # added to the number by a second ABI of x86_64

_CLONE_THREAD = 0x0001_0000
_CLONE_NEW = 0x7E02_0080  # every namespace flag
_TRUNC, _MODE = 0o1000, 0o3
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
_FCNTLS = (8, 10, 15, 1024, 1026)  # F_SETOWN F_SETSIG F_SETOWN_EX F_SETLEASE F_NOTIFY: ways to have a signal sent
_PRCTLS = (15, 16, 0x5356_4D41)  # PR_SET_NAME PR_GET_NAME PR_SET_VMA: what libraries do to their own threads


def program(pid: int, machine: str = MACHINE) -> list[Instruction]:
    """The filter for a process with this id, as its own PID namespace knows it."""
    arch = ARCHITECTURES[machine]
    eperm = _ERROR | errno.EPERM

    def lines() -> Iterator[Instruction]:
        yield _load(4)  # offset of seccomp_data.arch
        yield _EQUAL, 1, 0, arch.audit
        yield _RETURN, 0, 0, KILL
        yield _load(0)  # the call's number
        yield from _above(_X32 - 1, KILL)
        yield from _above(NEWEST, _ERROR | errno.ENOSYS)
        for name in names(REFUSED):
            if name in arch.number:
                yield from _refuse(arch.number[name], eperm)
        for name in ABSENT.split():
            yield from _refuse(arch.number[name], _ERROR | errno.ENOSYS)
        yield from _only(arch, "clone", 0, (_CLONE_THREAD,), eperm, mask=_CLONE_THREAD | _CLONE_NEW)
        yield from _only(arch, "kill", 0, (pid,), eperm)
        yield from _only(arch, "tgkill", 0, (pid,), eperm)
        yield from _only(arch, "rt_tgsigqueueinfo", 0, (pid,), eperm)
        yield from _only(arch, "prlimit64", 0, (0, pid), eperm)
        yield from _only(arch, "ioctl", 1, _IOCTLS, _ERROR | errno.ENOTTY)
        yield from _only(arch, "prctl", 0, _PRCTLS, eperm)
        yield from _never(arch, "fcntl", 1, _FCNTLS, eperm)
        # O_TRUNC on a descriptor that is not for writing cuts the file all the same.
        cutting = (_TRUNC, _TRUNC | _MODE)
        yield from _never(arch, "open", 1, cutting, eperm, mask=_TRUNC | _MODE)
        yield from _never(arch, "openat", 2, cutting, eperm, mask=_TRUNC | _MODE)
        yield _RETURN, 0, 0, ALLOW

    return list(lines())


def names(listing: str) -> list[str]:
    """The calls in a listing whose first sixteen columns are headings."""
    return [name for line in listing.splitlines() for name in line[16:].split()]


def _load(offset: int) -> Instruction:
    return _LOAD, 0, 0, offset


def _refuse(number: int, action: int) -> Iterator[Instruction]:
    yield _EQUAL, 0, 1, number
    yield _RETURN, 0, 0, action


def _above(number: int, action: int) -> Iterator[Instruction]:
    yield _ABOVE, 0, 1, number
    yield _RETURN, 0, 0, action


def _choose(values: tuple[int, ...], inside: int, outside: int) -> Iterator[Instruction]:
    """Return `inside` if what is loaded is one of `values`, else `outside`."""
    for k, value in enumerate(values):
        yield _EQUAL, len(values) - k, 0, value
    yield _RETURN, 0, 0, outside
    yield _RETURN, 0, 0, inside


def _argument(
    arch: Architecture, name: str, argument: int, choice: Iterator[Instruction], mask: int | None
) -> Iterator[Instruction]:
    """Decide a call by the lower half of an argument, masked: every argument decided by is an int."""
    if name not in arch.number:
        return
    body = [_load(16 + 8 * argument)]  # offset of seccomp_data.args; both architectures are little endian
    if mask is not None:
        body.append((_AND, 0, 0, mask))
    body.extend(choice)
    yield _EQUAL, 0, len(body), arch.number[name]
    yield from body


def _only(
    arch: Architecture, name: str, argument: int, values: tuple[int, ...], action: int, mask: int | None = None
) -> Iterator[Instruction]:
    return _argument(arch, name, argument, _choose(values, inside=ALLOW, outside=action), mask)


def _never(
    arch: Architecture, name: str, argument: int, values: tuple[int, ...], action: int, mask: int | None = None
) -> Iterator[Instruction]:
    return _argument(arch, name, argument, _choose(values, inside=action, outside=ALLOW), mask)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


_INSTRUCTION = struct.Struct("=HBBI")
_PR_SET_SECCOMP, _PR_GET_SECCOMP, _MODE_FILTER = 22, 21, 2


def available() -> bool:
    """Whether the kernel filters system calls, and this module knows the machine's numbers."""
    try:
        return MACHINE in ARCHITECTURES and call("prctl", _PR_GET_SECCOMP, 0, 0, 0, 0) >= 0
    except OSError:
        return False


def restrict(pid: int) -> None:
    """From here on only allowed calls. Needs no_new_privs; cannot be undone."""
    code = _assembled(pid)
    length = len(code) // _INSTRUCTION.size
    buffer = ctypes.create_string_buffer(code, len(code))
    call("prctl", _PR_SET_SECCOMP, _MODE_FILTER, _Program(length, ctypes.addressof(buffer)), 0, 0)


@functools.cache
def _assembled(pid: int) -> bytes:
    return b"".join(_INSTRUCTION.pack(*line) for line in program(pid))


def prepare() -> None:
    """Assemble the filter for process 1, which every submission with a PID namespace of its own is."""
    _assembled(1)
