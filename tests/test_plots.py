"""Figures keep their text alternative, tell lines apart without colour, and are closed."""

from __future__ import annotations

import io
import itertools
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from coursekit import plots
from coursekit.errors import InputError

matplotlib.use("Agg")


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What was displayed, with its metadata."""
    seen: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(plots, "display", lambda thing, **options: seen.append((thing, options)))
    return seen


def test_show_keeps_the_text_alternative_with_the_picture(displayed: list[Any]) -> None:
    fig, _ = plots.figure(width=4, height=2)
    plots.show(fig, alt="A falling curve.")
    [(image, options)] = displayed
    assert options["metadata"] == {"image/png": {"alt": "A falling curve."}}
    data, metadata = image._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "A falling curve."
    assert set(data) == {"image/png"}


def test_show_closes_the_figure(displayed: list[Any]) -> None:
    before = plt.get_fignums()
    fig, _ = plots.figure()
    assert plt.get_fignums() != before
    plots.show(fig, alt="x")
    assert plt.get_fignums() == before


def test_a_picture_is_modest_and_has_the_size_asked_for() -> None:
    fig, ax = plots.figure(width=4, height=2)
    plots.lines(ax, range(100), {"a": np.sin(np.arange(100))})
    picture = plots.png(fig)
    assert Image.open(io.BytesIO(picture)).size == (400, 200)  # 100 pixels to the inch
    assert len(picture) < 40_000


def test_figure_gives_one_pair_of_axes_or_an_array_and_leaves_the_global_style_alone() -> None:
    with matplotlib.rc_context():
        matplotlib.rcParams["axes.spines.top"] = True  # whatever an earlier test may have left
        one, ax = plots.figure()
        many, axes = plots.figure(2, 3)
        assert matplotlib.rcParams["axes.spines.top"] is True
    assert isinstance(ax, plt.Axes) and axes.shape == (2, 3)
    assert not ax.spines["top"].get_visible()
    plt.close(one), plt.close(many)


def test_use_style_applies_to_figures_made_afterwards() -> None:
    with matplotlib.rc_context():
        plots.use_style()
        assert matplotlib.rcParams["legend.frameon"] is False
        assert matplotlib.rcParams["figure.constrained_layout.use"] is True


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_palette_is_distinct() -> None:
    assert len({to_hex(colour) for colour in plots.PALETTE}) == len(plots.PALETTE) == 8
    for one, two in itertools.combinations(plots.PALETTE, 2):
        assert np.linalg.norm(np.subtract(to_rgb(one), to_rgb(two))) > 0.2, (one, two)


def test_the_first_colours_of_lines_stand_out_from_white() -> None:
    contrast = [1.05 / (luminance(colour) + 0.05) for colour in plots.PALETTE[1:4]]
    assert min(contrast) >= 3.0  # what WCAG 2.1 asks of graphics (1.4.11)


def test_lines_are_told_apart_by_their_dashes() -> None:
    fig, ax = plots.figure()
    names = [f"series {k}" for k in range(6)]
    plots.lines(
        ax, torch.arange(3), {name: torch.arange(3.0) * k for k, name in enumerate(names)}, ylabel="loss (nats)"
    )
    drawn = ax.get_lines()
    assert [line.get_label() for line in drawn] == names
    patterns = {str(line._unscaled_dash_pattern) for line in drawn}
    assert len(patterns) == 6 and len({line.get_color() for line in drawn}) == 6
    assert [text.get_text() for text in ax.get_legend().get_texts()] == names
    assert ax.get_ylabel() == "loss (nats)"
    plt.close(fig)


def test_more_lines_than_colours_still_differ_in_colour_or_dash() -> None:
    fig, ax = plots.figure()
    plots.lines(ax, range(2), {str(k): [k, k] for k in range(20)}, legend=False)
    looks = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in ax.get_lines()}
    assert len(looks) == 20 and ax.get_legend() is None
    plt.close(fig)


def test_confidence_is_the_mean_in_a_band_from_smallest_to_largest() -> None:
    fig, ax = plots.figure()
    runs = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 8.0]])
    plots.confidence(ax, torch.tensor([0, 1]), runs, "three runs", k=1)
    [line] = ax.get_lines()
    np.testing.assert_allclose(line.get_ydata(), [2.0, 4.0])
    [band] = ax.collections
    assert (band.get_datalim(ax.transData).ymin, band.get_datalim(ax.transData).ymax) == (0.0, 8.0)
    assert line.get_linestyle() == "--"
    plt.close(fig)


def test_a_heatmap_with_a_centre_is_symmetric_around_it() -> None:
    fig, ax = plots.figure()
    plots.heatmap(
        ax, torch.tensor([[0.0, 1.0], [1.5, 4.0]]), label="weight", center=1.0, xticks=["a", "b"], yticks=["c", "d"]
    )
    [image] = ax.get_images()
    assert image.get_clim() == (-2.0, 4.0)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    assert fig.axes[-1].get_ylabel() == "weight"
    plt.close(fig)


def test_a_constant_heatmap_and_tensors_with_gradients_are_no_error() -> None:
    fig, ax = plots.figure()
    plots.heatmap(ax, torch.zeros(2, 2, requires_grad=True), label="w", center=0.0)
    assert ax.get_images()[0].get_clim() == (-1.0, 1.0)
    plt.close(fig)


def test_a_picture_is_shown_pixel_by_pixel_with_its_range_kept() -> None:
    fig, ax = plots.figure()
    x = torch.tensor([-1.0, 0.0, 1.0, 3.0]).view(1, 2, 2).repeat(3, 1, 1)
    plots.picture(ax, x, "four greys")
    [image] = ax.get_images()
    np.testing.assert_allclose(image.get_array()[..., 0], [[0.0, 0.5], [1.0, 1.0]])  # 3 is clipped
    assert image.get_interpolation() == "nearest" and ax.get_title() == "four greys" and not ax.axison
    plt.close(fig)


@pytest.mark.parametrize("x", [torch.tensor([[-1.0, -0.5]]), torch.tensor([[[-1.0, -0.5]]])])
def test_a_grey_picture_keeps_its_own_scale(x: torch.Tensor) -> None:
    """Left to itself matplotlib would stretch the darkest to black and the lightest to white."""
    fig, ax = plots.figure()
    plots.picture(ax, x)
    [image] = ax.get_images()
    np.testing.assert_allclose(image.to_rgba(image.get_array())[0, :, 0], [0.0, 0.25], atol=0.01)
    plt.close(fig)


@pytest.mark.parametrize(("N", "cols", "expected"), [(10, 4, (3, 4)), (3, 8, (1, 3)), (1, 1, (1, 1))])
def test_pictures_fill_a_grid_row_by_row(N: int, cols: int, expected: tuple[int, int]) -> None:
    x = torch.linspace(-1, 1, N).view(N, 1, 1, 1).expand(N, 3, 6, 4)
    fig = plots.pictures(x, cols=cols, titles=[f"no. {k}" for k in range(N)], width=4.0)
    assert len(fig.axes) == expected[0] * expected[1] and fig.get_figwidth() == 4.0
    for k, ax in enumerate(fig.axes[:N]):
        assert ax.get_title() == f"no. {k}"
        assert float(ax.get_images()[0].get_array()[0, 0, 0]) == pytest.approx(k / max(1, N - 1), abs=1e-6)
    assert not any(ax.get_images() or ax.axison for ax in fig.axes[N:])
    plt.close(fig)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ax: plots.picture(ax, torch.zeros(4, 5, 6)), r"an image: got \(4, 5, 6\)"),
        (lambda ax: plots.picture(ax, torch.full((3, 2, 2), torch.nan)), "an image: got 'NaN or infinity'"),
        (lambda ax: plots.pictures(torch.zeros(3, 8, 8)), r"x: got \(3, 8, 8\)"),
        (lambda ax: plots.pictures(torch.zeros(0, 3, 8, 8)), r"x: got \(0, 3, 8, 8\)"),
        (
            lambda ax: plots.pictures(torch.zeros(2, 3, 8, 8), titles=["one"]),
            "titles: got 1, expected one for each of 2",
        ),
    ],
)
def test_what_is_no_picture_is_refused(call: Any, message: str) -> None:
    fig, ax = plots.figure()
    with pytest.raises(InputError, match=message):
        call(ax)
    plt.close("all")
