"""Hostile notebooks, as text. Each tries one thing and says how it went: ``REFUSED`` by an error, or ``BREACH``.

In the sources ``@SECRET@`` stands for a file of the instructor's, ``@OUTSIDE@`` for a folder outside the sandbox,
``@KIT@`` for the installed coursekit, ``@REPOSITORY@`` for the course, ``@PARENT@`` for the grader's process id.
"""

from __future__ import annotations

from dataclasses import dataclass

PRELUDE = """
import ctypes, os, socket, subprocess, sys, threading
from pathlib import Path

def attempt(action):
    try:
        value = action()
    except BaseException as error:
        print("REFUSED", type(error).__name__, error)
    else:
        print("BREACH", repr(value)[:200])

def raw(x86_64, aarch64, *arguments):
    "A system call without the C library's wrapper."
    libc = ctypes.CDLL(None, use_errno=True)
    number = aarch64 if os.uname().machine == "aarch64" else x86_64
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def checked(status):
    if status != 0:
        raise OSError(status, "failed")
    return status
"""


@dataclass(frozen=True)
class Attack:
    name: str
    source: str
    bare: bool = True
    """Whether it succeeds, and does no harm, where there is no sandbox: the proof that it is an attack at all."""
    owner: bool = False
    """Whether it can only succeed for the owner of the installation."""


READING = [
    Attack("read a system file", "attempt(lambda: open('/etc/passwd').read())"),
    Attack("read a file of the instructor", "attempt(lambda: open('@SECRET@').read())"),
    Attack("list a folder of the instructor", "attempt(lambda: os.listdir(os.path.dirname('@SECRET@')))"),
    Attack("list the root", "attempt(lambda: os.listdir('/'))"),
    Attack("list other submissions", "attempt(lambda: os.listdir('..'))"),
    Attack("read through a symbolic link", "os.symlink('@SECRET@', 'link'); attempt(lambda: open('link').read())"),
    Attack("read through a hard link", "attempt(lambda: os.link('@SECRET@', 'hard') or open('hard').read())"),
    Attack("read through dot dot", "attempt(lambda: open(os.path.relpath('@SECRET@')).read())"),
    Attack("import an answer key", "import importlib; attempt(lambda: importlib.import_module('@KNOWN@'))"),
    Attack(
        "ask for an answer key", "from coursekit.exercises import catalogue as c\nattempt(lambda: c.keys(c.unit('01')))"
    ),
    Attack(
        "read an answer key",
        "attempt(lambda: [p.read_text() for p in Path('@KIT@').glob('exercises/*/known/*.py')][0])",
    ),
    Attack(
        "list then read an answer key",
        "attempt(lambda: open(next(Path('@KIT@').glob('exercises/*/known/s*.py'))).read())",
    ),
    Attack("read the grader", "attempt(lambda: open('@KIT@/grading/pool.py').read())"),
    Attack("read the course", "attempt(lambda: open('@REPOSITORY@/pyproject.toml').read())"),
    Attack("read the parent's environment", "attempt(lambda: open('/proc/@PARENT@/environ').read())"),
    Attack("read the warm process's environment", "attempt(lambda: open(f'/proc/{os.getppid()}/environ').read())"),
    Attack("read the parent's memory", "attempt(lambda: open('/proc/@PARENT@/mem', 'rb').read(0))"),
    Attack("read own memory map", "attempt(lambda: open('/proc/self/maps').read())"),
    Attack("list processes", "attempt(lambda: os.listdir('/proc'))"),
    Attack("read the parent's memory by a call", "attempt(lambda: raw(310, 270, @PARENT@, None, 0, None, 0, 0))"),
    Attack("watch a file", "attempt(lambda: raw(294, 26, 0))"),
]

WRITING = [
    Attack("write outside", "attempt(lambda: open('@OUTSIDE@/new', 'w').write('x'))"),
    Attack("write to /tmp", "import tempfile; attempt(lambda: tempfile.TemporaryFile(dir='/tmp').write(b'x'))"),
    Attack(
        "write to shared memory", "shm = '/dev/shm/attack'; attempt(lambda: open(shm, 'w').close() or os.unlink(shm))"
    ),
    Attack("append to a file of the instructor", "attempt(lambda: open('@SECRET@', 'a').write('x'))"),
    Attack("truncate by opening", "attempt(lambda: os.open('@SECRET@', os.O_RDONLY | os.O_TRUNC))"),
    Attack("truncate by path", "attempt(lambda: os.truncate('@SECRET@', 0))"),
    Attack("delete", "attempt(lambda: os.unlink('@SECRET@'))"),
    Attack("rename", "attempt(lambda: os.rename('@SECRET@', '@SECRET@.moved'))"),
    Attack("move into the scratch folder", "attempt(lambda: os.rename('@SECRET@', 'mine'))"),
    Attack("make a folder", "attempt(lambda: os.mkdir('@OUTSIDE@/folder'))"),
    Attack("make a link", "attempt(lambda: os.symlink('/etc', '@OUTSIDE@/link'))"),
    Attack("make a pipe", "attempt(lambda: os.mkfifo('fifo'))"),
    Attack("change a mode", "attempt(lambda: os.chmod('@SECRET@', 0o777))"),
    Attack(
        "change a mode by descriptor",
        "attempt(lambda: os.fchmod(os.open(os.__file__, os.O_RDONLY), 0o644))",
        owner=True,
    ),
    Attack("make a program that keeps rights", "open('p', 'w').close(); attempt(lambda: os.chmod('p', 0o4755))"),
    Attack("change an owner", "attempt(lambda: os.chown('@SECRET@', os.getuid(), os.getgid()))"),
    Attack("change times", "attempt(lambda: os.utime('@SECRET@'))"),
    Attack("set an attribute", "attempt(lambda: os.setxattr('@SECRET@', 'user.x', b'1'))"),
    Attack("change the kit", "attempt(lambda: open('@KIT@/errors.py', 'a').close())", owner=True),
]

REACHING_OUT = [
    Attack("TCP", "attempt(lambda: socket.socket(socket.AF_INET).close())"),
    Attack("UDP", "attempt(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close())"),
    Attack("Unix socket", "attempt(lambda: socket.socket(socket.AF_UNIX).bind('\\0coursekit-attack'))"),
    Attack("netlink", "attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close())"),
    Attack("socket pair", "attempt(lambda: [s.close() for s in socket.socketpair()])"),
    Attack("socket by a raw call", "attempt(lambda: os.close(raw(41, 198, 2, 1, 0)))"),
    Attack(
        "download",
        "import urllib.request as u\nattempt(lambda: u.urlopen('http://127.0.0.1:9/', timeout=1))",
        bare=False,
    ),
]

PROCESSES = [
    Attack("fork", "attempt(lambda: os.fork() or os._exit(0))"),
    Attack("fork by a raw call", "attempt(lambda: raw(56, 220, 17, 0, 0, 0, 0) or os._exit(0))"),
    Attack("clone3", "attempt(lambda: raw(435, 435, ctypes.create_string_buffer(64), 64))", bare=False),
    Attack("subprocess", "attempt(lambda: subprocess.run(['/bin/true'], check=True))"),
    Attack("os.system", "attempt(lambda: checked(os.system('true')))"),
    Attack("spawn", "attempt(lambda: os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0))"),
    Attack("exec", "attempt(lambda: os.execv('/bin/true', ['true']))", bare=False),
    Attack(
        "shell escape", "get_ipython().run_cell('!true')\nattempt(lambda: checked(get_ipython().user_ns['_exit_code']))"
    ),
    Attack(
        "multiprocessing", "import multiprocessing as m\nattempt(m.get_context('fork').Process(target=print).start)"
    ),
    Attack(
        "data loader workers",
        "import torch.utils.data as d\nattempt(lambda: next(iter(d.DataLoader([1], num_workers=1))))",
    ),
    Attack("signal the parent", "attempt(lambda: os.kill(@PARENT@, 0))"),
    Attack("signal the warm process", "attempt(lambda: os.kill(os.getppid(), 0))"),
    Attack("signal everybody", "attempt(lambda: os.kill(-1, 0))"),
    Attack("signal by thread id", "attempt(lambda: raw(200, 130, @PARENT@, 0))"),
    Attack("signal by a descriptor", "attempt(lambda: os.pidfd_open(@PARENT@))"),
    Attack("signal by input", "attempt(lambda: __import__('fcntl').fcntl(0, 8, @PARENT@))"),
    Attack("trace the parent", "attempt(lambda: raw(101, 117, 16, @PARENT@, 0, 0))", bare=False),
    Attack("slow the others down", "attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, 0))"),
    Attack(
        "raise own limits",
        "import resource\nattempt(lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))",
        bare=False,
    ),
    Attack(
        "change the parent's limits",
        "import resource\nattempt(lambda: resource.prlimit(@PARENT@, resource.RLIMIT_CORE))",
    ),
]

KERNEL = [
    Attack("a file in memory", "attempt(lambda: os.close(os.memfd_create('x')))"),
    Attack("io_uring", "attempt(lambda: raw(425, 425, 1, ctypes.create_string_buffer(120)))", bare=False),
    Attack("userfaultfd", "attempt(lambda: os.close(raw(323, 282, 1)))", bare=False),
    Attack("bpf", "attempt(lambda: raw(321, 280, 0, ctypes.create_string_buffer(64), 64))", bare=False),
    Attack(
        "performance events",
        "attempt(lambda: raw(298, 241, ctypes.create_string_buffer(112), 0, -1, -1, 0))",
        bare=False,
    ),
    Attack("keyring", "attempt(lambda: raw(250, 219, 0, -3, 0))", bare=False),
    Attack("new user namespace", "attempt(lambda: raw(272, 97, 0x10000000))", bare=False),
    Attack("mount", "attempt(lambda: raw(165, 40, b'none', b'/', None, 0, None))", bare=False),
    Attack("shared memory segment", "attempt(lambda: raw(29, 194, 0, 4096, 0o600))", bare=False),
    Attack("message queue", "attempt(lambda: raw(68, 186, 0, 0o600))", bare=False),
    Attack("become somebody else", "attempt(lambda: os.setuid(os.getuid()))"),
    Attack("personality", "attempt(lambda: raw(135, 92, 0xFFFFFFFF))"),
    Attack("undo the filter", "attempt(lambda: raw(157, 167, 22, 2, 0, 0, 0))", bare=False),
    Attack("a call that is newer than the filter", "attempt(lambda: raw(462, 462, 0, 0, 0))", bare=False),
]

REFUSED = [*READING, *WRITING, *REACHING_OUT, *PROCESSES, *KERNEL]
