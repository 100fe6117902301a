"""The panel: it passes the run on unchanged, updates one display in place, and says in words what it shows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch

from coursekit import live, plots
from coursekit.errors import InputError
from coursekit.live import describe, draw, watch
from coursekit.training.classify import LearnerRecord
from coursekit.training.gan import GanRecord
from coursekit.training.loop import Record

matplotlib.use("Agg")


def gan_records(steps: int, measured: bool = True) -> Iterator[GanRecord]:
    for k in range(steps):
        yield GanRecord(
            k, 1.0 + k, 2.0, 0.75, 0.25, 3.0, 4.0, measure=float(k) if measured and k % 2 == 0 else None, seconds=k / 10
        )


class Handle:
    """A display that remembers what it showed."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, html: Any) -> None:
        self.shown.append(html.data)

    update = display


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    """A live notebook: the displays that were opened."""
    opened: list[Handle] = []

    def new() -> Handle:
        opened.append(Handle())
        return opened[-1]

    monkeypatch.setattr(live, "_live", lambda: True)
    monkeypatch.setattr(live, "DisplayHandle", new)
    return opened


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A notebook that nobody watches: the text alternatives of the figures that it keeps."""
    seen: list[str] = []
    monkeypatch.setattr(live, "_live", lambda: False)
    monkeypatch.setattr(live, "get_ipython", lambda: object())
    monkeypatch.setattr(live.plots, "show", lambda fig, alt: (seen.append(alt), plt.close(fig)))
    return seen


def test_records_pass_through_unchanged_and_one_by_one(shown: list[str]) -> None:
    source = gan_records(5)
    watched = watch(source)
    first = next(watched)
    assert first.step == 0 and next(source).step == 1  # it has not run ahead
    assert [r.step for r in watched] == [2, 3, 4]


def test_a_build_shows_the_last_figure_once(shown: list[str]) -> None:
    list(watch(gan_records(7), total=7, label="rings", measure="modes"))
    assert shown == [
        "rings: step 7 of 7. What D thinks: real 0.75, fake 0.25; Losses: D 7, G 2; "
        "Gradient norms: D 3, G 4; Measure: modes 6."
    ]


def test_the_last_figure_stays_after_an_error_or_an_early_end(shown: list[str]) -> None:
    def failing() -> Iterator[GanRecord]:
        yield from gan_records(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(watch(failing()))
    assert len(list(itertools.islice(watch(gan_records(9)), 4))) == 4
    assert [text.split(".")[0] for text in shown] == ["training: step 3", "training: step 4"]
    list(watch(gan_records(0)))
    assert len(shown) == 2  # nothing happened, nothing to show


def test_a_panel_is_live_in_a_kernel_that_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shell:
        kernel = object()

    for shell, static, expected in [
        (Shell(), "", True),
        (Shell(), "1", False),
        (object(), "", False),
        (None, "", False),
    ]:
        monkeypatch.setattr(live, "get_ipython", lambda shell=shell: shell)
        monkeypatch.setenv("COURSEKIT_STATIC", static)
        assert live._live() is expected


def test_outside_a_notebook_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "get_ipython", lambda: None)
    monkeypatch.setattr(live, "draw", lambda *_, **__: pytest.fail("drawn"))
    assert len(list(watch(gan_records(3)))) == 3


def test_a_live_notebook_updates_one_display_with_a_text_alternative(
    notebook: list[Handle], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = itertools.count()  # a second passes whenever somebody looks
    monkeypatch.setattr(live.time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(live, "BUSY", 0.9)
    before = plt.get_fignums()
    list(watch(gan_records(4), label='"quoted" <b>'))
    [handle] = notebook
    assert len(handle.shown) > 3 and plt.get_fignums() == before
    assert handle.shown[-1].startswith('<img alt="&quot;quoted&quot; &lt;b&gt;: step 4. What D thinks: real 0.75')
    assert 'src="data:image/png;base64,' in handle.shown[-1]


def test_drawing_is_rare_and_takes_a_tenth_of_the_time_at_most(
    notebook: list[Handle], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])

    def costly(self: Any) -> None:
        clock[0] += 2.0
        drawn.append(clock[0])

    drawn: list[float] = []
    monkeypatch.setattr(live._Panel, "update", costly)
    for _ in watch(gan_records(1000), every=1.0):
        clock[0] += 0.1  # 100 s of training
    assert len(drawn) == 1 + 5 + 1  # after 1 s, then 18 s apart, and at the end


@pytest.mark.parametrize(
    "sample",
    [None, torch.zeros(7, 3, 8, 8), torch.zeros(5, 1, 6, 4), torch.zeros(9, 2)],
    ids=["none", "rgb", "grey", "points"],
)
@pytest.mark.parametrize("measured", [True, False])
def test_every_curve_is_drawn_with_axes_that_say_what_they_are(sample: torch.Tensor | None, measured: bool) -> None:
    fig = draw(list(gan_records(20, measured)), sample=sample, measure="modes", title="t")
    by_title = {ax.get_title(): ax for ax in fig.axes}
    wanted = {"What D thinks", "Losses", "Gradient norms"} | ({"Measure"} if measured else set())
    assert wanted <= by_title.keys() and ("Measure" in by_title) == measured
    assert ("Fakes on fixed noise" in by_title) == (sample is not None)
    for name in wanted:
        assert by_title[name].get_xlabel() == "step" and by_title[name].get_ylabel()
        looks = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in by_title[name].get_lines()}
        assert len(looks) == len(by_title[name].get_lines()) == (1 if name == "Measure" else 2)
    losses = {line.get_label(): list(line.get_ydata()) for line in by_title["Losses"].get_lines()}
    assert losses == {"D": [1.0 + k for k in range(20)], "G": [2.0] * 20}
    if measured:
        [line] = by_title["Measure"].get_lines()
        assert list(line.get_xdata()) == list(range(0, 20, 2)) == list(line.get_ydata())
    plt.close(fig)


def test_long_histories_are_drawn_as_means_of_stretches() -> None:
    fig = draw([Record(k, float(k % 2), 1.0) for k in range(8 * live.POINTS)])
    [line] = fig.axes[0].get_lines()
    assert len(line.get_xdata()) == live.POINTS and set(line.get_ydata()) == {0.5}
    plt.close(fig)


def test_pictures_stand_in_the_order_of_their_noise() -> None:
    x = torch.stack([torch.full((3, 4, 6), value) for value in (-1.0, 0.0, 0.5)])
    fig = draw(list(gan_records(2)), sample=x)
    [ax] = [ax for ax in fig.axes if ax.get_title() == "Fakes on fixed noise"]
    sheet = ax.get_images()[0].get_array()
    assert sheet.shape == (2 * 5 - 1, 2 * 7 - 1, 3)
    assert [float(sheet[r, c, 0]) for r, c in ((0, 0), (0, 7), (5, 0), (5, 7), (4, 0))] == [0.0, 0.5, 0.75, 1.0, 1.0]
    plt.close(fig)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            LearnerRecord(3, 0.5, 0.9, 0.01, 2.0),
            "Loss: loss 0.5; Accuracy on the batch: accuracy 0.9; Learning rate: rate 0.01",
        ),
        (Record(3, 0.5, 2.0), "Loss: loss 0.5; Gradient norm: norm 2"),
    ],
)
def test_other_loops_have_panels_too(record: Any, expected: str) -> None:
    assert describe([record], headline="h").startswith(f"h. {expected}")
    plots.png(draw([record]))


def test_a_critic_s_score_is_not_drawn_as_a_probability() -> None:
    fig = draw(list(gan_records(3)), opinion="score")
    assert fig.axes[0].get_ylabel() == "score" and fig.axes[0].get_ylim()[1] < 0.9
    plt.close(fig)


def test_what_cannot_be_drawn_is_a_clear_error() -> None:
    with pytest.raises(InputError, match="a record to watch: got 'int'"):
        draw([3])
    with pytest.raises(InputError, match=r"samples to watch: got \(4, 3\)"):
        draw(list(gan_records(2)), sample=torch.zeros(4, 3))
    plt.close("all")
