"""Manual grading in nbgrader's formgrader, in a real browser, after `coursekit grade`.

Scores are shown, a person's score is entered, a regrade keeps it, and the export counts it. Skipped where there is no Chromium.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from room import KIT, NAME, SANDBOX, UNIT, cell, filled, first, gradebook, hand_in, keys, solution

from coursekit.cli import main
from coursekit.course import Course
from coursekit.grading.assess import answer_cell, check_cell

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (the dev extra has it)")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and chromedriver"),
    # selenium's and trio's own, closed with the browser
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TRUST = [] if SANDBOX else ["--trust-submissions"]
EVIL = "<script>document.title = 'taken over'</script><img src=x onerror=\"document.title = 'taken over'\">"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def formgrader(course: Course, tmp_path: Path) -> Iterator[str]:
    """Jupyter's server with formgrader on the course, with a home of its own; yields formgrader's address."""
    port = free_port()
    home = {
        name: str(tmp_path / "home")
        for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    options = [
        "--ServerApp.jpserver_extensions={'nbgrader.server_extensions.formgrader': True}",
        f"--ServerApp.port={port}",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.open_browser=False",
        "--ServerApp.allow_root=True",
        "--IdentityProvider.token=",
        "--PasswordIdentityProvider.hashed_password=",
    ]
    log = (tmp_path / "server.log").open("w+")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", *options],
        cwd=course.root,
        env={**os.environ, **home, "PATH": scripts, "PYTHONPATH": str(KIT)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}/formgrader"
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError, urllib.error.URLError):
                if urllib.request.urlopen(f"{address}/api/status", timeout=20).status == 200:
                    break
            assert server.poll() is None and time.monotonic() < deadline, Path(log.name).read_text()[-3000:]
            time.sleep(0.3)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=60)
        log.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size=1300,1000",
    ):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    chromium.set_page_load_timeout(120)
    yield chromium
    chromium.quit()


def waiting(browser: Any, script: str, what: str) -> Any:
    """What `script` returns once it is true."""
    deadline = time.monotonic() + 60
    while not (value := browser.execute_script(f"return {script}")):
        assert time.monotonic() < deadline, f"{what}: {browser.execute_script('return document.body.innerText')[:2000]}"
        time.sleep(0.2)
    return value


def grade(course: Course) -> None:
    assert main(["--course", str(course.root), "grade", *TRUST]) == 0


def exported(course: Course, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    capsys.readouterr()
    assert main(["--course", str(course.root), "export"]) == 0
    return {row["student_id"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}


def test_a_person_grades_in_formgrader(
    course: Course, release: NotebookNode, capsys: pytest.CaptureFixture[str], formgrader: str, browser: Any
) -> None:
    worth = {name: key.question.points for name, key in keys().items()}
    wrong = {**{name: solution(name) for name in keys()}, first(): "def nothing(): ..."}
    notebook = filled(release, wrong)
    cell(notebook, "why").source = f"Since gradients vanish. {EVIL}"
    hand_in(course, "bea", notebook)
    hand_in(course, "al", filled(release))
    grade(course)

    # The list: both students, with the machine's scores, waiting for a person.
    browser.get(f"{formgrader}/gradebook/{UNIT.name}/{UNIT.name}/")
    waiting(
        browser, "document.querySelectorAll('tbody tr a[href*=submissions]').length >= 2", "the list of submissions"
    )
    rows = browser.execute_script("return [...document.querySelectorAll('tbody tr')].map(r => r.innerText)")
    possible = sum(worth.values()) + 2
    assert any(f"{sum(worth.values()):g} / {possible:g}" in row for row in rows), rows
    assert any(f"{sum(worth.values()) - worth[first()]:g} / {possible:g}" in row for row in rows), rows

    # Bea's notebook, from the list: her scores, and nothing of what she wrote acts.
    with contextlib.closing(_gradebook(course)) as book:
        submission = book.find_submission_notebook(UNIT.name, UNIT.name, "bea").id
    assert browser.execute_script(f"return document.querySelector('a[href*=\"{submission}\"]') !== null")
    browser.get(f"{formgrader}/submissions/{submission}/?index=0")
    field = "document.getElementById('{}')".format
    waiting(browser, f"{field('why')} && {field(check_cell(first()))}.placeholder !== ''", "the scores")
    for name in keys():
        shown = browser.execute_script(f"return {field(check_cell(name))}.placeholder")
        assert float(shown) == (0.0 if name == first() else worth[name])
    assert "taken over" not in browser.title
    assert "gradients vanish" in browser.execute_script("return document.body.innerText")
    if pictures := os.environ.get("COURSEKIT_PICTURES"):
        browser.execute_script(f"{field('why')}.scrollIntoView({{block: 'center'}})")
        browser.save_screenshot(str(Path(pictures) / "formgrader.png"))

    # A person's points, typed as a person does.
    box = browser.find_element("id", "why")
    box.click()
    box.send_keys("1.5")
    browser.execute_script("arguments[0].blur()", box)
    waiting(browser, f"{field('why')}.value == '1.5'", "the score")
    _until(lambda: _manual(course, "bea") == 1.5, "the score in the gradebook")

    total = sum(worth.values()) - worth[first()] + 1.5
    row = exported(course, capsys)["bea"]
    assert (float(row["score"]), row["why"], row["needs_manual_grade"]) == (total, "1.5", "no")

    # She mends her answer, and the class is graded once more: her points from a person stay.
    better = filled(release)
    cell(better, "why").source = cell(notebook, "why").source
    hand_in(course, "bea", better)
    grade(course)
    assert gradebook(course)["bea"][check_cell(first())] == worth[first()]
    rows_now = exported(course, capsys)
    assert float(rows_now["bea"]["score"]) == sum(worth.values()) + 1.5 and rows_now["bea"]["why"] == "1.5"
    assert float(rows_now["al"]["score"]) == sum(worth.values())
    browser.get(f"{formgrader}/submissions/{submission}/?index=0")
    waiting(browser, f"{field('why')} && {field('why')}.value === '1.5'", "the kept score")
    assert float(browser.execute_script(f"return {field(check_cell(first()))}.placeholder")) == worth[first()]
    assert (course.autograded / "bea" / UNIT.name / NAME).is_file() and answer_cell(first()) != check_cell(first())


def _gradebook(course: Course) -> Any:
    from nbgrader.api import Gradebook

    return Gradebook(f"sqlite:///{course.gradebook}")


def _manual(course: Course, student: str) -> float | None:
    with contextlib.closing(_gradebook(course)) as book:
        score: float | None = book.find_grade("why", UNIT.name, UNIT.name, student).manual_score
        return score


def _until(holds: Any, what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)
