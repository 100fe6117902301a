"""Demonstrations: sliders where a kernel is live, pictures at chosen settings where none is."""

from __future__ import annotations

from typing import Any

import ipywidgets
import matplotlib
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from coursekit import plots, widgets
from coursekit.errors import InputError
from coursekit.widgets import Choice, Slider, Text, explore, panel

matplotlib.use("Agg")


class Draw:
    """A demonstration that remembers the settings it was asked for."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **values: Any) -> Figure:
        self.calls.append(values)
        return plots.figure(width=1, height=1)[0]


CONTROLS = {"rho": Slider(0.1, 3.0, 0.1, 1.2, label="spectral radius"), "kind": Choice(["one", "two"], "one")}
ALT = "A {kind} matrix of radius {rho}."


@pytest.fixture
def draw() -> Draw:
    return Draw()


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What explore displayed: (thing, metadata) in the static form, widgets and pages in the live one."""
    seen: list[Any] = []
    monkeypatch.setattr(plots, "display", lambda thing, metadata: seen.append((thing, metadata)))
    monkeypatch.setattr(widgets, "display", seen.append)
    return seen


def controls_of(box: ipywidgets.VBox) -> list[Any]:
    return list(box.children[0].children)


def test_the_static_form_shows_every_setting_with_its_text(
    draw: Draw, displayed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSEKIT_STATIC", "1")
    settings = [{"rho": 0.5, "kind": "one"}, {"rho": 2.0, "kind": "two"}]
    assert explore(draw, alt=ALT, static=settings, **CONTROLS) is None
    assert draw.calls == settings
    texts = [metadata["image/png"]["alt"] for _, metadata in displayed]
    assert texts == ["A one matrix of radius 0.5.", "A two matrix of radius 2.0."]


def test_the_live_form_shows_one_panel_and_returns_nothing(
    draw: Draw, displayed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A returned widget at the end of a cell would be shown a second time.
    monkeypatch.delenv("COURSEKIT_STATIC", raising=False)
    assert explore(draw, alt=ALT, static=[], **CONTROLS) is None
    assert [type(thing) for thing in displayed if isinstance(thing, ipywidgets.Widget)] == [ipywidgets.VBox]


def test_moving_a_control_redraws_with_the_new_value(draw: Draw, displayed: list[Any]) -> None:
    rho, kind = controls_of(panel(draw, ALT, CONTROLS))
    assert draw.calls == [{"rho": 1.2, "kind": "one"}]
    rho.value = 2.5
    kind.value = "two"
    assert draw.calls[1:] == [{"rho": 2.5, "kind": "one"}, {"rho": 2.5, "kind": "two"}]
    assert 'alt="A two matrix of radius 2.5."' in displayed[-1].data
    assert 'src="data:image/png;base64,iVBOR' in displayed[-1].data


def test_every_redraw_closes_its_figure(draw: Draw, displayed: list[Any]) -> None:
    before = plt.get_fignums()
    rho, _ = controls_of(panel(draw, ALT, CONTROLS))
    rho.value = 0.3
    assert plt.get_fignums() == before


def test_steps_of_a_slider_are_short_numbers(draw: Draw, displayed: list[Any]) -> None:
    rho, _ = controls_of(panel(draw, ALT, CONTROLS))
    rho.value = 0.1 + 13 * 0.1
    assert rho.value != 1.4 and draw.calls[-1]["rho"] == 1.4


def test_text_alternatives_are_escaped(draw: Draw, displayed: list[Any]) -> None:
    panel(draw, 'Left "<b>" right', {})
    assert 'alt="Left &quot;&lt;b&gt;&quot; right"' in displayed[-1].data


def test_whole_numbers_stay_whole() -> None:
    slider = Slider(1, 8, 1, 2).widget("layers")
    assert isinstance(slider, ipywidgets.IntSlider) and type(slider.value) is int
    assert isinstance(Slider(1, 8, 1, 2.0).widget("x"), ipywidgets.FloatSlider)


def test_controls_carry_their_label_and_wait_for_the_hand_to_let_go() -> None:
    slider = CONTROLS["rho"].widget("rho")
    assert slider.description == "spectral radius" and slider.continuous_update is False
    assert (slider.min, slider.max, slider.step, slider.value) == (0.1, 3.0, 0.1, 1.2)
    choice = CONTROLS["kind"].widget("kind")
    assert choice.description == "kind" and choice.options == ("one", "two")


@pytest.mark.parametrize("static", [{"rho": 1.0}, {"rho": 1.0, "kind": "one", "size": 2}, {}])
@pytest.mark.parametrize("live", [True, False])
def test_static_settings_that_do_not_fit_the_controls_are_refused(
    draw: Draw, displayed: list[Any], monkeypatch: pytest.MonkeyPatch, static: dict[str, Any], live: bool
) -> None:
    # Also where they are not used: whoever writes a demonstration sees it with sliders.
    monkeypatch.setenv("COURSEKIT_STATIC", "" if live else "1")
    with pytest.raises(InputError, match=r"exactly the controls \['kind', 'rho'\]"):
        explore(draw, alt=ALT, static=[static], **CONTROLS)
    assert draw.calls == [] and displayed == []


def test_a_typed_sentence_redraws_when_it_is_finished(draw: Draw) -> None:
    box = panel(draw, "Birds of: {sentence}.", {"sentence": Text("a red bird", label="say")})
    (field,) = controls_of(box)
    assert isinstance(field, ipywidgets.Text) and not field.continuous_update and field.description == "say"
    field.value = "a <b>blue</b> bird"
    assert [call["sentence"] for call in draw.calls] == ["a red bird", "a <b>blue</b> bird"]
