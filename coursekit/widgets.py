"""Interactive demonstrations with a static fallback.

A demonstration is a function from settings to a figure. With a live kernel `explore` shows sliders and
redraws; where nobody can move a slider (GitHub, print, CI) it shows the figure at chosen settings. Builds say
which by the environment variable ``COURSEKIT_STATIC``.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets
from IPython.display import HTML, display
from matplotlib.figure import Figure

from coursekit.errors import InputError
from coursekit.plots import png, show


@dataclass(frozen=True)
class Slider:
    """A number between `low` and `high`; whole where all four numbers are."""

    low: float
    high: float
    step: float
    value: float
    label: str = ""

    def widget(self, name: str) -> ipywidgets.Widget:
        whole = all(isinstance(v, int) for v in (self.low, self.high, self.step, self.value))
        kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        return kind(
            value=self.value,
            min=self.low,
            max=self.high,
            step=self.step,
            description=self.label or name,
            continuous_update=False,  # a figure for every pixel on the way would lag behind the hand
            **_LOOK,
        )


@dataclass(frozen=True)
class Choice:
    """One of `options`."""

    options: Sequence[Any]
    value: Any
    label: str = ""

    def widget(self, name: str) -> ipywidgets.Widget:
        return ipywidgets.Dropdown(
            options=list(self.options), value=self.value, description=self.label or name, **_LOOK
        )


@dataclass(frozen=True)
class Text:
    """A line of text; it counts when Enter is pressed or the box is left, not at each key."""

    value: str
    label: str = ""

    def widget(self, name: str) -> ipywidgets.Widget:
        return ipywidgets.Text(
            value=self.value, description=self.label or name, continuous_update=False, placeholder="type here", **_LOOK
        )


Control = Slider | Choice | Text

_LOOK: dict[str, Any] = {
    "style": {"description_width": "12em"},
    "layout": {"width": "38em", "max_width": "98%"},
}


def explore(draw: Callable[..., Figure], *, alt: str, static: Sequence[Mapping[str, Any]], **controls: Control) -> None:
    """Show `draw(**values)` under one control for each of its arguments.

    `static` lists the settings shown where no kernel is live; `alt` describes what the figure shows and may use the
    controls' names in braces.
    """
    for setting in static:
        if set(setting) != set(controls):
            raise InputError.of(
                "a static setting of explore", got=sorted(setting), expected=f"exactly the controls {sorted(controls)}",
                do="Give every control a value in each static setting.",
            )  # fmt: skip
    if os.environ.get("COURSEKIT_STATIC"):
        for setting in static:
            show(draw(**setting), alt=alt.format(**setting))
    else:
        display(panel(draw, alt, controls))


def panel(draw: Callable[..., Figure], alt: str, controls: Mapping[str, Control]) -> ipywidgets.VBox:
    """The controls above the figure; moving a control redraws."""
    widgets = {name: control.widget(name) for name, control in controls.items()}

    def redraw(**values: Any) -> None:
        values = {name: _short(value) for name, value in values.items()}
        # As HTML: JupyterLab gives no text alternative to an image output, whatever its metadata say.
        picture = base64.b64encode(png(draw(**values))).decode()
        display(HTML(f'<img alt="{escape(alt.format(**values))}" src="data:image/png;base64,{picture}">'))

    return ipywidgets.VBox([ipywidgets.VBox(list(widgets.values())), ipywidgets.interactive_output(redraw, widgets)])


def _short(value: Any) -> Any:
    """A slider at 1.4 reports 1.4000000000000001."""
    return round(value, 9) if isinstance(value, float) else value
