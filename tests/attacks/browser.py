"""Pages as a browser sees them: headless Chromium loads one, and what it made of it is searched for what acts."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_ACTS = re.compile(
    r"<[a-z][^<>]*\s(?:href|src|action|formaction|xlink:href|data)\s*=\s*[\"']?\s*(?:javascript|vbscript|data:text/html):?",
    re.I,
)


def dom(page: str) -> str:
    """The page after loading: what its scripts have made of it included. Without network, and without its own policy:
    that the page forbids scripts is a second wall, and the first one is to hold without it."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(prefix="browser-") as folder:
        path = Path(folder, "page.html")
        path.write_text(_POLICY.sub("", page), encoding="utf-8")
        command = [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            f"--user-data-dir={folder}/profile", "--disable-extensions", "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=3000", "--dump-dom", path.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, timeout=90, env={**os.environ, "HOME": folder})
    text = done.stdout.decode("utf-8", "replace")
    if "<html" not in text:
        raise RuntimeError(f"Chromium showed nothing: {done.stderr.decode('utf-8', 'replace')[-500:]}")
    return text


@functools.cache
def acts(page: str) -> str:
    """What acted in a page, or could be clicked to act; "" where nothing does."""
    shown = dom(page)
    if hit := re.search(r"<html[^>]*\sdata-breach=|<title>BREACH", shown):
        return f"ran a script: {hit.group()}"
    hit = _ACTS.search(shown)
    return f"has something to click that runs a script: {hit.group()[:200]}" if hit else ""


@functools.cache
def _formgrader() -> object:
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers
    from traitlets.config import Config

    config = Config()
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    return HTMLExporter(config=config)


def formgraded(notebook: Path, student: str) -> str:
    """An autograded notebook as nbgrader's formgrader renders it (`SubmissionHandler` in its handlers.py)."""
    resources = {
        "assignment_id": notebook.stem, "notebook_id": notebook.stem, "submission_id": "0", "index": 0, "total": 1,
        "base_url": "", "student": student, "last_name": None, "first_name": None, "notebook_path": "",
    }  # fmt: skip
    html, _ = _formgrader().from_filename(str(notebook), resources=resources)  # type: ignore[attr-defined]
    return str(html)
