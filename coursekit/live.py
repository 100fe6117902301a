"""Watch a training run: fakes on fixed noise, what D thinks of both sides, losses, gradients, the world's measure.

::

    for record in watch(train_gan(gan, batches, measure=modes), total=2000, sample=lambda: gan.sample(64), measure="modes"):
        pass

In a live notebook one figure is updated in place; where nobody watches (``COURSEKIT_STATIC``) the last one is shown, once.
`watch` only passes records on: a run that is watched is the run that nobody watches.
"""

from __future__ import annotations

import base64
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

import numpy as np
from IPython.core.getipython import get_ipython
from IPython.display import HTML, DisplayHandle
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from coursekit import plots
from coursekit.errors import InputError
from coursekit.training.classify import LearnerRecord
from coursekit.training.gan import GanRecord
from coursekit.training.loop import Record as LoopRecord

Record = TypeVar("Record", GanRecord, LearnerRecord, LoopRecord)

POINTS = 400
"""Most points of a drawn curve; longer histories are drawn as means of equal stretches."""
BUSY = 0.1
"""Share of the run's time that drawing may take."""


@dataclass(frozen=True)
class Curve:
    """One plot of a panel: legend -> field of the record."""

    title: str
    ylabel: str
    series: dict[str, str]
    span: tuple[float, float] | None = None


def curves(record: object, measure: str, opinion: str = "P(real)") -> list[Curve]:
    """What is worth drawing of records of this kind."""
    if isinstance(record, GanRecord):
        return [
            Curve(
                "What D thinks", opinion, {"real": "d_real", "fake": "d_fake"}, (0, 1) if opinion == "P(real)" else None
            ),
            Curve("Losses", "loss", {"D": "d_loss", "G": "g_loss"}),
            Curve("Gradient norms", "norm", {"D": "d_grad_norm", "G": "g_grad_norm"}),
            Curve("Measure", measure, {measure: "measure"}),
        ]
    if isinstance(record, LearnerRecord):
        return [
            Curve("Loss", "loss (nats)", {"loss": "loss"}),
            Curve("Accuracy on the batch", "share right", {"accuracy": "accuracy"}, (0, 1)),
            Curve("Learning rate", "rate", {"rate": "lr"}),
            Curve("Gradient norm", "norm", {"norm": "grad_norm"}),
        ]
    if isinstance(record, LoopRecord):
        return [Curve("Loss", "loss", {"loss": "loss"}), Curve("Gradient norm", "norm", {"norm": "grad_norm"})]
    raise InputError.of(
        "a record to watch", got=type(record).__name__, expected="a GanRecord, LearnerRecord or loop Record",
        do="Pass what train_gan, train_classifier or descend yields.",
    )  # fmt: skip


def watch(
    records: Iterable[Record],
    *,
    total: int | None = None,
    sample: Callable[[], Tensor] | None = None,
    real: Tensor | None = None,
    measure: str = "measure",
    opinion: str = "P(real)",
    label: str = "training",
    every: float = 1.0,
) -> Iterator[Record]:
    """Pass `records` on and draw them, at most once in `every` seconds, and never for more than a tenth of the time.

    `sample()` gives fakes on noise that stays the same: pictures (N, C, H, W) in [-1, 1] or points (N, 2), over points
    `real` (M, 2) if given. `measure` names what the run measures, `opinion` what D's scores are; `total` is the number of steps.
    The last figure stays, also after an error or an interrupt.
    """
    panel = _Panel(total, sample, real, measure, opinion, label)
    drawn, pause = time.monotonic(), every
    try:
        for record in records:
            panel.history.append(record)
            yield record
            if panel.handle and time.monotonic() - drawn >= pause:
                began = time.monotonic()
                panel.update()
                drawn = time.monotonic()
                pause = max(every, (drawn - began) * (1 - BUSY) / BUSY)
    finally:
        panel.close()


class _Panel:
    def __init__(
        self,
        total: int | None,
        sample: Callable[[], Tensor] | None,
        real: Tensor | None,
        measure: str,
        opinion: str,
        label: str,
    ) -> None:
        self.total, self.sample, self.real = total, sample, real
        self.measure, self.opinion, self.label = measure, opinion, label
        self.history: list[Any] = []
        self.handle = DisplayHandle() if _live() else None
        if self.handle:
            self.handle.display(HTML(f"<p>{escape(label)} ...</p>"))

    def update(self) -> None:
        assert self.handle is not None
        # As HTML: JupyterLab gives no text alternative to an image output, whatever its metadata say.
        picture = base64.b64encode(plots.png(self.figure())).decode()
        self.handle.update(HTML(f'<img alt="{escape(self.text())}" src="data:image/png;base64,{picture}">'))

    def close(self) -> None:
        if not self.history:
            return
        if self.handle:
            self.update()
        elif get_ipython() is not None:
            plots.show(self.figure(), alt=self.text())

    def figure(self) -> Figure:
        return draw(
            self.history, sample=self.sample() if self.sample else None, real=self.real, measure=self.measure,
            opinion=self.opinion, title=self.headline(),
        )  # fmt: skip

    def headline(self) -> str:
        done = self.history[-1].step + 1
        return f"{self.label}: step {done}" + (f" of {self.total}" if self.total else "")

    def text(self) -> str:
        return describe(self.history, headline=self.headline(), measure=self.measure, opinion=self.opinion)


def draw(
    history: Sequence[Any],
    *,
    sample: Tensor | None = None,
    real: Tensor | None = None,
    measure: str = "measure",
    opinion: str = "P(real)",
    title: str = "",
) -> Figure:
    """The panel of a history of records: the samples on the left, if any, and the curves beside them."""
    shown = [c for c in curves(history[-1], measure, opinion) if any(_values(history, f) for f in c.series.values())]
    rows = -(-len(shown) // 2)
    with plots.plt.rc_context(plots.STYLE):
        fig = plots.plt.figure(figsize=(9.6 if sample is not None else 6.4, 1.0 + 1.9 * rows))
        left, right = fig.subfigures(1, 2, width_ratios=[1, 1.7]) if sample is not None else (None, fig)
        if left is not None and sample is not None:
            _draw_sample(left, sample, real)
        axes = right.subplots(rows, 2, squeeze=False)
        for ax in axes.flat[len(shown) :]:
            ax.set_axis_off()
        for ax, curve in zip(axes.flat, shown):
            _draw_curve(ax, history, curve)
        fig.suptitle(title, fontsize=11)
    return fig


def describe(history: Sequence[Any], *, headline: str, measure: str = "measure", opinion: str = "P(real)") -> str:
    """The panel in words: where each curve ends."""
    parts = []
    for curve in curves(history[-1], measure, opinion):
        ends = [(name, _values(history, field)) for name, field in curve.series.items()]
        said = ", ".join(f"{name} {values[-1][1]:.3g}" for name, values in ends if values)
        if said:
            parts.append(f"{curve.title}: {said}")
    return f"{headline}. {'; '.join(parts)}."


def _draw_sample(place: Any, x: Tensor, real: Tensor | None) -> None:
    if x.ndim == 2 and x.shape[1] == 2:
        ax = place.subplots()
        if real is not None:
            ax.scatter(*real.T, s=6, marker="o", color=plots.PALETTE[1], alpha=0.35, label="real")
        ax.scatter(*x.detach().cpu().T, s=9, marker="x", linewidths=0.8, color=plots.PALETTE[2], label="fake")
        ax.set(aspect="equal", xlabel="first coordinate", ylabel="second coordinate", title="Fakes on fixed noise")
        place.legend(loc="outside lower center", ncols=2)
        return
    if x.ndim != 4:
        raise InputError.of(
            "samples to watch", got=tuple(x.shape), expected="pictures (N, C, H, W) or points (N, 2)",
            do="Return one of these from `sample`.",
        )  # fmt: skip
    cols = math.ceil(math.sqrt(len(x)))
    # One picture of all of them: an axis for each would take longer to draw than a step takes to train.
    N, C, H, W = x.shape
    rows = -(-N // cols)
    sheet = x.new_full((C, rows * (H + 1) - 1, cols * (W + 1) - 1), 1.0)
    for k, image in enumerate(x):
        top, left = k // cols * (H + 1), k % cols * (W + 1)
        sheet[:, top : top + H, left : left + W] = image
    plots.picture(place.subplots(), sheet, "Fakes on fixed noise")


def _draw_curve(ax: Axes, history: Sequence[Any], curve: Curve) -> None:
    series = {name: _thinned(_values(history, field)) for name, field in curve.series.items()}
    for k, (name, (steps, values)) in enumerate(series.items()):
        plots.lines(ax, steps, {name: values}, legend=False)
        ax.get_lines()[-1].set(color=plots.PALETTE[1 + k], linestyle=plots.DASHES[k])
        if len(steps) < 2:
            ax.get_lines()[-1].set_marker("o")
    ax.set(xlabel="step", ylabel=curve.ylabel, title=curve.title)
    if curve.span:
        low, high = curve.span
        ax.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    if len(series) > 1:
        ax.legend(loc="best", frameon=True, framealpha=0.8, edgecolor="none")


def _values(history: Sequence[Any], field: str) -> list[tuple[int, float]]:
    return [(r.step, value) for r in history if (value := getattr(r, field)) is not None]


def _thinned(values: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """At most `POINTS` points: the mean step and value of equal stretches."""
    array = np.asarray(values, dtype=float)
    if len(array) > POINTS:
        array = np.stack([part.mean(0) for part in np.array_split(array, POINTS)])
    return array[:, 0], array[:, 1]


def _live() -> bool:
    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel") and not os.environ.get("COURSEKIT_STATIC")
