"""Submissions that reach out of their folder: to files, processes, sockets and the kernel."""

from __future__ import annotations

from typing import Any

from attack import CRASHED, HOW, PIPE, UNREADABLE, Attack
from hostile import PRELUDE

RAW = PRELUDE.partition("def raw")[1] + PRELUDE.partition("def raw")[2]
IMPORTS = "import ctypes, os, socket, subprocess, sys, threading, time\nfrom pathlib import Path\n"


def _attack(name: str, tries: str, *lines: str, **more: Any) -> Attack:
    cell = IMPORTS + RAW + HOW + "\n".join(lines)
    return Attack(name=name, kind="escape", tries=tries, cells=(cell,), **more)


def _try(action: str) -> str:
    return f"attempt(lambda: {action})"


def _handed_in(name: str, tries: str, line: str, **more: Any) -> Attack:
    """Without cells of its own where `line` is empty."""
    return Attack(name=name, kind="escape", tries=tries, cells=(IMPORTS + HOW + line,) if line else (), **more)


READING = [
    _attack(
        "read the instructor's file", "a secret",
        _try("open('@SECRET@').read()"),
        _try("os.read(os.open('@SECRET@', os.O_RDONLY), 100)"),
        _try("__import__('numpy').fromfile('@SECRET@', dtype='uint8').tobytes()"),
        _try("__import__('linecache').getlines('@SECRET@')[0]"),
        proof="secret",
    ),
    _attack("read through dot dot", "a secret", _try("open(os.path.relpath('@SECRET@')).read()"),
            _try("open('/proc/self/cwd/' + os.path.relpath('@SECRET@')).read()"),
            _try("open('/proc/self/root@SECRET@').read()"), proof="secret"),
    _attack("walk up to the course", "everything that lies around", _try("[os.listdir('../' * k) for k in range(1, 8)]"),
            _try("sorted(os.listdir('@COURSE@'))")),
    _attack("read another submission", "somebody's answers", _try("open('@OTHER@').read()"), proof="secret"),
    _attack("read the solution", "the answers", _try("next(Path('@COURSE@/solutions').glob('*/*.ipynb')).read_text()[-3000:]")),
    _attack("read the answer keys", "the answers", _try("[p.read_text() for p in Path('@KIT@').glob('exercises/*/known/*.py')][0]"),
            _try("__import__('coursekit.exercises.u01_recurrent_networks.known.s1_cells')")),
    _attack("read the gradebook", "everybody's grades",
            _try("__import__('sqlite3').connect('@COURSE@/gradebook.db').execute('select * from student').fetchall()")),
    _attack("read the environment", "a secret that the grader was started with", _try("dict(os.environ)['ATTACKS_SECRET']"),
            _try("open('/proc/@PARENT@/environ').read()"), _try("open(f'/proc/{os.getppid()}/environ').read()"),
            "import gc\ngc.unfreeze()\nprint([o for o in gc.get_objects() if isinstance(o, dict) and 'ATTACKS_SECRET' in o and o is not globals()])",
            proof="secret"),
    _attack("read the parent's processes", "/proc", _try("open('/proc/@PARENT@/maps').read()"), _try("open('/proc/@PARENT@/mem', 'rb').read(0)"),
            _try("os.listdir('/proc/@PARENT@/fd')"), _try("os.readlink('/proc/@PARENT@/cwd')"),
            _try("open('/proc/@PARENT@/root@SECRET@').read()"), proof="secret"),
    _attack("read the parent's memory by a call", "a secret", _try("raw(310, 270, @PARENT@, None, 0, None, 0, 0)"),
            _try("raw(310, 270, os.getppid(), None, 0, None, 0, 0)")),
    _attack("read the system's files", "user names", _try("open('/etc/passwd').read()"), _try("os.listdir('/')"), _try("os.listdir('/home')")),
    _attack("a symbolic link", "a secret", "os.symlink('@SECRET@', 'link')", _try("open('link').read()"),
            "os.symlink(os.path.dirname('@SECRET@'), 'folder')", _try("open('folder/secret.txt').read()"), proof="secret"),
    _attack("a hard link", "a secret", _try("os.link('@SECRET@', 'hard') or open('hard').read()"), proof="secret"),
    _handed_in("a link beside the notebook", "a secret, copied by the grader", _try("open('data.txt').read()") + "\n" + _try("open('all/secret.txt').read()"),
               links={"data.txt": "@SECRET@", "all": "@OUTSIDE@/.."}, proof="secret"),
    _handed_in("a notebook that is a link", "somebody's points", "", links={"": "@OTHER@"}, answers="none", ends=(UNREADABLE,), proof="score"),
    _handed_in("a folder that is a link", "somebody's points", "", links={".": "@OTHER@/.."}, answers="none", ends=(UNREADABLE,), proof="score"),
    _handed_in("a device beside the notebook", "a copy without end", _try("open('zero').read(10)"), links={"zero": "/dev/zero", "core": "/proc/kcore"}),
    _handed_in("a pipe beside the notebook", "a copy that waits for ever", "", links={"pipe.txt": PIPE, "timestamp.txt": PIPE}, proof="batch"),
    _handed_in("a notebook that is a pipe", "a reader that waits for ever", "", links={"": PIPE}, answers="none", ends=(UNREADABLE,), proof="batch"),
    _attack("inherited descriptors", "what the grader left open", """
def look():
    found = []
    for fd in range(3, 4096):
        for action in (lambda: os.listdir(fd), lambda: os.pread(fd, 100, 0), lambda: os.open('.', os.O_RDONLY, dir_fd=fd)):
            try: found.append((fd, action()))
            except OSError: pass
    if not found: raise OSError('nothing')
    return found
attempt(look)"""),
]  # fmt: skip

WRITING = [
    _attack("write outside", "a file", _try("open('@OUTSIDE@/@TOKEN@', 'w').write('x')"), _try("os.mkdir('@OUTSIDE@/@TOKEN@-d')"), proof="files"),
    _attack("write to shared places", "a file for others to find",
            _try("open('/tmp/@TOKEN@', 'w').write('x')"), _try("open('/var/tmp/@TOKEN@', 'w').write('x')"),
            _try("open('/dev/shm/@TOKEN@', 'w').write('x')"), proof="files"),
    _attack("change the instructor's file", "a file", _try("open('@SECRET@', 'a').write('x')"), _try("os.open('@SECRET@', os.O_RDONLY | os.O_TRUNC)"),
            _try("os.truncate('@SECRET@', 0)"), proof="files"),
    _attack("remove the instructor's file", "a file", _try("os.unlink('@SECRET@')"), _try("os.rename('@SECRET@', '@OUTSIDE@/moved')"),
            _try("__import__('shutil').rmtree(os.path.dirname('@SECRET@'))"), proof="files"),
    _attack("change modes and times", "metadata", _try("os.chmod('@SECRET@', 0o777)"), _try("os.utime('@SECRET@', (0, 0))"),
            _try("os.setxattr('@SECRET@', 'user.x', b'1')"), _try("os.chown('@SECRET@', os.getuid(), os.getgid())"), proof="files"),
    _attack("overwrite another submission", "somebody's points", _try("open('@OTHER@', 'w').write('{}')"), proof="score"),
    _attack("write into the gradebook", "points", """
def write():
    book = __import__('sqlite3').connect('@COURSE@/gradebook.db')
    book.execute('update grade set manual_score = 1000')
    book.execute("update base_cell set name = name || 'x'")
    book.commit()
attempt(write)""", proof="score"),
    _attack("change the kit", "the next grading", _try("open('@KIT@/errors.py', 'a').close()"), _try("open(os.__file__, 'a').close()"), _try("os.fchmod(os.open(os.__file__, os.O_RDONLY), 0o644)"), proof="files",
            unguarded="it would change the installation"),
    _attack("lie in wait in the home folder", "the next start of Python", """
home = Path(os.environ.get('HOME', '.'))
import pwd
homes = {home, home.parent, Path('@OUTSIDE@').parent / 'home'}
for home in homes:
    for name in ('.ipython/profile_default/startup/00-@TOKEN@.py', '.bashrc-@TOKEN@', '.local/lib/python3.11/site-packages/@TOKEN@.pth'):
        try:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text('print(1)')
        except OSError as error: print('REFUSED', error)""", proof="files"),
    _attack("a program that keeps rights", "the next user", "open('p', 'w').write('x')", _try("os.chmod('p', 0o4755)"), _try("os.mkfifo('@OUTSIDE@/@TOKEN@')"), proof="files"),
    _attack("write at exit", "a file, after the grading", """
import atexit, signal
def late(*_): open('@OUTSIDE@/@TOKEN@', 'w').write('late')
atexit.register(late)
signal.signal(signal.SIGTERM, late)
class Late:
    def __del__(self): late()
sys.late = Late()""", proof="files"),
    _handed_in("modules that hide Python's own", "the grader's imports", "", files=dict.fromkeys(("sitecustomize.py", "usercustomize.py", "nbgrader_config.py", "ipython_config.py", "jupyter_config.py"), b"open('@OUTSIDE@/@TOKEN@', 'w').write('x')\n"), proof="files"),
]  # fmt: skip

REACHING = [
    _attack("TCP", "whoever listens on this machine", _try("socket.create_connection(('127.0.0.1', @TCP@), 2).sendall(b'@TOKEN@')"), proof="listener"),
    _attack("UDP", "whoever listens on this machine", _try("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'@TOKEN@', ('127.0.0.1', @UDP@))"), proof="listener"),
    _attack("a Unix socket", "whoever listens on this machine", """
def send(address):
    s = socket.socket(socket.AF_UNIX); s.connect(address); s.sendall(b'@TOKEN@')
attempt(lambda: send('@UNIX@'))""", proof="listener"),
    _attack("an abstract Unix socket", "whoever listens on this machine", """
def send(address, kind):
    s = socket.socket(socket.AF_UNIX, kind); s.connect(address); s.sendall(b'@TOKEN@')
attempt(lambda: send('\\0@ABSTRACT@', socket.SOCK_STREAM))
attempt(lambda: send('\\0@ABSTRACT@-dgram', socket.SOCK_DGRAM))""", proof="listener"),
    _attack("sockets of every family", "the kernel's many networks", """
def every():
    made = []
    for family in range(1, 46):
        for kind in (1, 2, 3, 5):
            try: made.append(family); socket.socket(family, kind).close()
            except OSError: made.pop()
    if not made: raise OSError('none')
    return sorted(set(made))
attempt(every)""", _try("[s.close() for s in socket.socketpair()]"), _try("os.close(raw(41, 198, 2, 1, 0))")),
    _attack("a web server", "a port for others to come to", """
def serve():
    s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); return s.getsockname()
attempt(serve)"""),
    _attack("download", "the network", "import urllib.request as u", _try("u.urlopen('http://127.0.0.1:@TCP@/@TOKEN@', timeout=2)"), proof="listener"),
    _attack("shared memory", "a segment for others to read", _try("__import__('multiprocessing.shared_memory').shared_memory.SharedMemory(name='@TOKEN@', create=True, size=64)"),
            _try("raw(29, 194, 0, 4096, 0o1600)"), _try("raw(68, 186, 0, 0o1600)"), proof="files"),
]  # fmt: skip

PROCESSES = [
    _attack("kill the grader", "the batch", """
import signal
for pid in (os.getppid(), @PARENT@):
    attempt(lambda: os.kill(pid, signal.SIGKILL))""", proof="batch"),
    _attack("stop the grader", "the batch", """
import signal
for pid in (os.getppid(), @PARENT@):
    attempt(lambda: os.kill(pid, signal.SIGSTOP))""", proof="batch"),
    _attack("signal a bystander", "a process of the same user", """
import signal
attempt(lambda: os.kill(@SENTINEL@, signal.SIGUSR1))
attempt(lambda: raw(200, 130, @SENTINEL@, 10))
attempt(lambda: raw(234, 131, @SENTINEL@, @SENTINEL@, 10))
attempt(lambda: signal.pidfd_send_signal(os.pidfd_open(@SENTINEL@), signal.SIGUSR1))
attempt(lambda: __import__('fcntl').fcntl(0, 8, @SENTINEL@))""", proof="sentinel"),
    _attack("signal everybody", "all processes of the same user", _try("os.kill(-1, 12)"), _try("os.killpg(os.getpgid(os.getppid()), 12)"), proof="sentinel"),
    _attack("trace the grader", "its registers and memory", _try("raw(101, 117, 16, @PARENT@, 0, 0)"), _try("raw(101, 117, 16, os.getppid(), 0, 0)"),
            _try("raw(101, 117, 0x4206, @SENTINEL@, 0, 0)")),
    _attack("a descriptor of the grader's", "its pipes", _try("raw(438, 438, os.pidfd_open(@PARENT@), 3, 0)")),
    _attack("limits and priority of others", "the batch's speed", "import resource",
            _try("resource.prlimit(@PARENT@, resource.RLIMIT_CORE)"), _try("os.sched_setaffinity(@PARENT@, {0})"), _try("os.setpriority(os.PRIO_USER, 0, 19)")),
    _attack("a shell", "programs", _try("subprocess.run('echo ran', shell=True, check=True, capture_output=True).stdout"),
            _try("os.posix_spawn('/bin/true', ['true'], {})"), "get_ipython().run_cell('!echo x > @OUTSIDE@/@TOKEN@')", proof="files"),
    _attack("become another program", "a process without filters", _try("os.execv('/bin/sh', ['sh', '-c', 'echo x > @OUTSIDE@/@TOKEN@'])"), proof="files"),
    _attack("a program in memory", "a process without a file", """
def run():
    fd = os.memfd_create('x')
    os.write(fd, open('/bin/true', 'rb').read())
    pid = os.fork()
    if pid == 0: os.execve(fd, ['true'], {})
    return os.waitpid(pid, 0)
attempt(run)"""),
    _attack("a daemon", "a process that outlives the grading", """
def leave():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in range(3): os.close(fd)
            time.sleep(20)
            open('@OUTSIDE@/@TOKEN@', 'w').write('still here')
            time.sleep(300)
        os._exit(0)
attempt(leave)""", proof="process"),
    _attack("a left-over thread", "a thread that outlives its cell", """
def later():
    time.sleep(20)
    open('@OUTSIDE@/@TOKEN@', 'w').write('still here')
threading.Thread(target=later).start()""", proof="files"),
]  # fmt: skip

KERNEL = [
    _attack("io_uring", "a second way to every call", _try("raw(425, 425, 1, ctypes.create_string_buffer(120))")),
    _attack("namespaces", "rights of a root of its own", _try("raw(272, 97, 0x10000000)"), _try("raw(165, 40, b'none', b'/', None, 0, None)"), _try("os.chroot('.')")),
    _attack("raw system calls", "a secret, past Python's wrappers", """
def read(fd):
    buffer = ctypes.create_string_buffer(100)
    raw(0, 63, fd, buffer, 100)
    return buffer.value
attempt(lambda: read(raw(257, 56, -100, b'@SECRET@', 0, 0)))
attempt(lambda: read(raw(437, 437, -100, b'@SECRET@', ctypes.create_string_buffer(24), 24)))
attempt(lambda: raw(304, 265, -100, ctypes.create_string_buffer(128), 0))""", proof="secret"),
    _attack("a shared object of its own", "a secret, by its own C library", """
import shutil
def load():
    shutil.copyfile(next(p for p in map(Path, ('/lib/x86_64-linux-gnu/libc.so.6', '/lib/aarch64-linux-gnu/libc.so.6', '/lib64/libc.so.6')) if p.exists()), './own.so')
    own = ctypes.CDLL('./own.so', use_errno=True)
    fd = own.open(b'@SECRET@', 0)
    if fd < 0: raise OSError(ctypes.get_errno(), 'refused')
    buffer = ctypes.create_string_buffer(100)
    own.read(fd, buffer, 100)
    return buffer.value
attempt(load)""", proof="secret"),
    _attack("machine code through the 32-bit door", "calls that a filter for 64 bits does not know", """
import mmap
if os.uname().machine != 'x86_64': raise SystemExit('x86_64 only')
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex('53 b8 14 00 00 00 cd 80 5b c3'))  # push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
attempt(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page))))""",
            where="middle", earns="first", ends=(CRASHED,)),
    _attack("undo the filter", "its own limits", _try("raw(157, 167, 22, 2, 0, 0, 0)"), _try("raw(157, 167, 38, 0, 0, 0, 0)"),
            "import resource", _try("resource.setrlimit(resource.RLIMIT_AS, (-1, -1))"),
            _try("resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))"), proof="report"),
    _attack("back doors of the kernel", "anything", _try("raw(323, 282, 1)"), _try("raw(321, 280, 0, ctypes.create_string_buffer(64), 64)"),
            _try("raw(298, 241, ctypes.create_string_buffer(112), 0, -1, -1, 0)"), _try("raw(250, 219, 0, -3, 0)"),
            _try("raw(462, 462, 0, 0, 0)"), _try("os.setuid(0) or os.setgid(0)"), _try("raw(135, 92, 0x0040000)")),
    _attack("type into the terminal", "the instructor's shell", _try("__import__('fcntl').ioctl(os.open('/dev/tty', os.O_RDWR), 0x5412, b'x')"),
            _try("open('/dev/kmsg', 'w').write('@TOKEN@')"), _try("open('/dev/mem', 'rb')")),
]  # fmt: skip

ATTACKS = [*READING, *WRITING, *REACHING, *PROCESSES, *KERNEL]
