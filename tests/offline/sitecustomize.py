"""No connection leaves this machine: put this folder on PYTHONPATH, and every Python that starts refuses to make one.

`make notebooks` does so for the kernels and whatever they start; `tests/conftest.py` imports it. Python asks an audit hook
before its own sockets connect, send or resolve a name, and a hook cannot be removed. Who does not ask is ZeroMQ, through
which a kernel talks to Jupyter on the loopback.
"""

import os
import sys

LOCAL = ("127.", "::1", "localhost", "0.0.0.0")
OWN_NAME = os.uname().nodename if hasattr(os, "uname") else ""


def refuse(event, args):
    """Audit hook: raise for a connection, a datagram or a look-up that goes beyond the loopback."""
    if not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        target = args[1]
        host = target[0] if isinstance(target, tuple) else None  # else a Unix socket's path, or none
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host and not host.startswith(LOCAL) and host != OWN_NAME:
        raise OSError(f"offline: something tried to reach {host} ({event}); notebooks and tests need no network")


sys.addaudithook(refuse)
