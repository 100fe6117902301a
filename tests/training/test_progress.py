"""The bar: never on standard error, and the text that stays is the same in every run."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from coursekit.training import progress
from coursekit.training.progress import track


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes whenever somebody looks."""
    ticks = iter(range(10_000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(ticks)))


class Handle:
    """A display that remembers what it showed."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, bundle: dict[str, Any], raw: bool) -> None:
        self.shown.append(bundle["text/plain"])

    update = display


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    """A live notebook: the displays that were opened."""
    opened: list[Handle] = []

    def new() -> Handle:
        opened.append(Handle())
        return opened[-1]

    monkeypatch.delenv("COURSEKIT_STATIC", raising=False)
    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    monkeypatch.setattr(progress, "DisplayHandle", new)
    return opened


def test_items_pass_through_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(track("abc", "letters")) == ["a", "b", "c"]


def test_a_file_gets_one_line_and_standard_error_none(clock: None, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in track(range(5), "training"):
        pass
    assert capfd.readouterr() == ("training: 5 of 5 done\n", "")


def test_the_text_that_stays_holds_no_time(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for pace in (0.01, 100.0):
        ticks = (pace * k for k in range(1000))
        monkeypatch.setattr(progress.time, "monotonic", lambda ticks=ticks: next(ticks))
        list(track(range(3), "x"))
        texts.append(capfd.readouterr().out)
    assert texts == ["x: 3 of 3 done\n"] * 2


def test_an_unknown_total_is_counted(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(track((k for k in range(4)), "stream")) == [0, 1, 2, 3]
    assert capfd.readouterr().out == "stream: 4 of 4 done\n"


def test_a_given_total_goes_before_the_length(capfd: pytest.CaptureFixture[str]) -> None:
    list(track(iter("ab"), "x", total=2))
    assert capfd.readouterr().out == "x: 2 of 2 done\n"


def test_an_error_inside_the_loop_leaves_an_honest_count(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        for k in track(range(5), "x"):
            1 / (k - 2)
    out, err = capfd.readouterr()
    assert out == "x: 2 of 5 done\n" and err == ""


def test_a_terminal_sees_the_bar_on_one_line(
    clock: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    list(track(range(4), "x"))
    out, err = capfd.readouterr()
    assert err == "" and out.count("\n") == 1
    assert f"{'█' * 12}{'░' * 12} 2/4" in out
    assert out.endswith("\r\x1b[Kx: 4 of 4 done\n")


def test_a_notebook_sees_one_display_updated_in_place(
    clock: None, notebook: list[Handle], capfd: pytest.CaptureFixture[str]
) -> None:
    list(track(range(4), "x"))
    [handle] = notebook
    assert handle.shown[0] == "x ..." and handle.shown[-1] == "x: 4 of 4 done"
    assert handle.shown[2].endswith(" 2/4, 2 s left")  # two took two seconds, so will the other two
    assert capfd.readouterr() == ("", "")


def test_a_build_prints_the_last_line_alone(
    clock: None, notebook: list[Handle], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSEKIT_STATIC", "1")
    list(track(range(4), "x"))
    assert notebook == [] and capfd.readouterr() == ("x: 4 of 4 done\n", "")


def test_redraws_are_rare(notebook: list[Handle], monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = (0.01 * k for k in range(10_000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))
    list(track(range(100), "x"))
    assert len(notebook[0].shown) <= 2 + 1.0 / 0.25
