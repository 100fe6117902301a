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
import PIL.Image
import torch
from IPython.display import Image, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from coursekit.errors import InputError

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


def png(fig: Figure, colours: int | None = None) -> bytes:
    """`fig` as a modest PNG; closes it. `colours` (2 to 256): a palette of so many, a third of the size for textures."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=100)
    plt.close(fig)
    if colours is not None:
        full = PIL.Image.open(buffer).convert("RGB")
        buffer = io.BytesIO()
        full.quantize(colours, dither=PIL.Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def show(fig: Figure, alt: str, colours: int | None = None) -> None:
    """Display `fig` as a modest PNG with `alt` as its text alternative, and close it; for `colours` see `png`."""
    image = Image(data=png(fig, colours), format="png", alt=alt)
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


def picture(ax: Axes, image: Any, title: str = "") -> None:
    """One image (C, H, W) or (H, W) in [-1, 1] on `ax`, pixel by pixel; what is outside the range is clipped.

    One channel is drawn in greys, three in colours. NaN and infinity are refused: they would look like black.
    """
    values = _numpy(image).astype(np.float32)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.shape[0] not in (1, 3):
        raise InputError.of(
            "an image", got=tuple(values.shape), expected="shape (C, H, W) with C = 1 or 3, or (H, W)",
            do="Pick one image of the batch; put the channels first.",
        )  # fmt: skip
    if not np.isfinite(values).all():
        raise InputError.of(
            "an image", got="NaN or infinity", expected="numbers in [-1, 1]", do="Look for where they come from."
        )
    shown = np.clip((values.transpose(1, 2, 0) + 1) / 2, 0, 1)
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1} if values.shape[0] == 1 else {}
    ax.imshow(shown[..., 0] if grey else shown, interpolation="nearest", **grey)
    ax.set_axis_off()
    ax.set_title(title, fontsize=9, fontweight="normal")


def pictures(x: Any, *, cols: int = 8, titles: Sequence[str] | None = None, width: float = 6.4) -> Figure:
    """A grid of images x (N, C, H, W) in [-1, 1], `cols` to a row, one of `titles` above each; `width` in inches."""
    images = _numpy(x)
    if images.ndim != 4 or not len(images):
        raise InputError.of(
            "x", got=tuple(images.shape), expected="at least one image, shape (N, C, H, W)", do="Stack the images."
        )
    if titles is not None and len(titles) != len(images):
        raise InputError.of(
            "titles", got=len(titles), expected=f"one for each of {len(images)} images", do="Add or drop some."
        )
    cols = min(cols, len(images))
    rows = -(-len(images) // cols)
    cell = width / cols
    lines = [
        max(title.count("\n") + 1 for title in (titles or [])[r * cols : (r + 1) * cols] or [""]) for r in range(rows)
    ]
    captions = sum(0.16 * n + 0.12 for n in lines) if titles else 0.0  # inches: lines of 9 points, and a gap
    height = rows * cell * images.shape[2] / images.shape[3] + captions
    fig, axes = figure(rows, cols, width, height, squeeze=False)
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)  # type: ignore[union-attr, call-arg]
    for ax in axes.flat[len(images) :]:
        ax.set_axis_off()
    for k, (ax, image) in enumerate(zip(axes.flat, images)):
        picture(ax, image, titles[k] if titles is not None else "")
    return fig


def _numpy(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    return np.asarray(values)
