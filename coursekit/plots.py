"""Figures that read well on screen, on GitHub and in print: one style, a colour-blind-safe palette, alt text.

Colour never carries a meaning alone: `lines` pairs each colour with its own dash pattern.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Image, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito (2008), "Color Universal Design"; black first, yellow last (too light for thin lines).
PALETTE = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (6, 2)), (0, (3, 1, 1, 1))]
DIVERGING, SEQUENTIAL = "RdBu_r", "cividis"

STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=PALETTE[1:7]),
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "image.cmap": SEQUENTIAL,
}


def use_style() -> None:
    """Apply the kit's style to every figure made from here on."""
    plt.rcParams.update(STYLE)


def figure(rows: int = 1, cols: int = 1, width: float = 6.4, height: float = 3.0, **options: Any) -> tuple[Figure, Any]:
    """A figure in the kit's style and its axes (one `Axes`, or an array of them); sizes in inches."""
    with plt.rc_context(STYLE):
        return plt.subplots(rows, cols, figsize=(width, height), **options)


def png(fig: Figure) -> bytes:
    """`fig` as a modest PNG; closes it."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=100)
    plt.close(fig)
    return buffer.getvalue()


def show(fig: Figure, alt: str) -> None:
    """Display `fig` as a modest PNG with `alt` as its text alternative, and close it."""
    image = Image(data=png(fig), format="png", alt=alt)
    display(image, metadata={"image/png": {"alt": alt}})


def lines(
    ax: Axes,
    xs: Sequence[float] | torch.Tensor,
    series: Mapping[str, Any],
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    legend: bool = True,
) -> None:
    """One line for each entry of `series` (label -> values over `xs`), told apart by colour and dash."""
    for (label, ys), colour, dash in zip(series.items(), itertools.cycle(PALETTE[1:7]), itertools.cycle(DASHES)):
        ax.plot(_numpy(xs), _numpy(ys), color=colour, linestyle=dash, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if legend and series:
        ax.legend()


def confidence(ax: Axes, xs: Any, runs: Any, label: str, k: int = 0) -> None:
    """The mean over runs with a band from the smallest to the largest; `runs` is (R, T), `k` picks the style."""
    values = _numpy(runs)
    colour, dash = PALETTE[1 + k % 6], DASHES[k % len(DASHES)]
    ax.plot(_numpy(xs), values.mean(0), color=colour, linestyle=dash, label=label)
    ax.fill_between(_numpy(xs), values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)


def heatmap(
    ax: Axes,
    matrix: Any,
    *,
    label: str,
    center: float | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    xticks: Sequence[str] | None = None,
    yticks: Sequence[str] | None = None,
) -> None:
    """A matrix (rows, columns) as colours with a colour bar; diverging around `center` where one is given."""
    values = _numpy(matrix)
    options: dict[str, Any] = {"cmap": SEQUENTIAL}
    if center is not None:
        reach = float(np.abs(values - center).max()) or 1.0
        options = {"cmap": DIVERGING, "vmin": center - reach, "vmax": center + reach}
    image = ax.imshow(values, aspect="auto", interpolation="nearest", **options)
    ax.grid(visible=False)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if xticks is not None:
        ax.set_xticks(range(len(xticks)), xticks)
    if yticks is not None:
        ax.set_yticks(range(len(yticks)), yticks)
    assert ax.figure is not None
    ax.figure.colorbar(image, ax=ax, label=label)


def _numpy(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    return np.asarray(values)
