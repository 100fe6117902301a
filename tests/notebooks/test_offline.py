"""No test and no notebook reaches another machine: whoever tries gets an error at once."""

from __future__ import annotations

import os
import re
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import nbclient
import nbformat
import pytest

ELSEWHERE = "192.0.2.1"  # set aside for documentation (RFC 5737): nobody is there


def udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", (ELSEWHERE, 53))


def quietly() -> None:
    with socket.socket() as s:
        s.connect_ex((ELSEWHERE, 80))


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.create_connection((ELSEWHERE, 80), timeout=1),
        lambda: socket.getaddrinfo("example.org", 443),
        lambda: socket.gethostbyname("example.org"),
        lambda: urllib.request.urlopen(f"http://{ELSEWHERE}/", timeout=1),
        udp,
        quietly,
    ],
    ids=["connect", "resolve", "resolve, the old way", "urlopen", "udp", "connect_ex"],
)
def test_a_test_that_reaches_out_fails_at_once(attempt: Callable[[], object]) -> None:
    with pytest.raises(OSError, match="offline: something tried to reach"):
        attempt()


def test_the_loopback_stays_open() -> None:
    """Kernels talk to Jupyter there, and processes that train together meet there."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"hello")
        near, _ = server.accept()
        with near:
            assert near.recv(5) == b"hello"


def run(*cells: str) -> nbformat.NotebookNode:
    """A notebook of these cells, executed as `make notebooks` does."""
    offline = str(Path(__file__).resolve().parents[1] / "offline")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute(
        env={**os.environ, "PYTHONPATH": offline}
    )
    return notebook


REACH = f"import urllib.request; urllib.request.urlopen('http://{ELSEWHERE}/', timeout=5)"
CHILD = (
    f'import subprocess, sys; subprocess.run([sys.executable, "-c", "{REACH}"], check=True, stderr=subprocess.STDOUT)'
)


def test_a_cell_that_reaches_out_fails() -> None:
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=f"offline: something tried to reach {ELSEWHERE}"):
        run("fine = 1", REACH)


def test_a_program_that_a_cell_starts_fails_too_and_other_cells_run() -> None:
    notebook = run(f"try:\n    {CHILD}\nexcept subprocess.CalledProcessError:\n    print('refused')", "print(6 * 7)")
    texts = ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]
    assert "refused" in texts[0] and texts[1] == "42\n"


def test_the_notebooks_are_run_that_way(root: Path) -> None:
    [target] = re.findall(r"^notebooks:.*?\n\n", (root / "Makefile").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert "PYTHONPATH=$(CURDIR)/tests/offline $(BIN)/python -m pytest" in re.sub(r"\\\n\s*", "", target)
