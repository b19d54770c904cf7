"""What does a report look like when it is drawn? The walk, an origin, the masks, the error over the image.

Figures of matplotlib, made without pyplot: nothing stays open, and nothing is drawn twice in a notebook.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from segdiff.core.answer import PairInfo, Report
from segdiff.core.errors import InputError
from segdiff.core.graph import Array
from segdiff.core.metrics import Comparison
from segdiff.core.pictured import Pictures
from segdiff.core.printable import clean
from segdiff.report.text import number, share, shorten
from segdiff.report.thumbnails import CHANNELS, channels_of, limits, telling
from segdiff.score.palette import paddleseg_colours

WEAKEST = 1e-9
"""Where an error of zero is drawn on a log axis."""

STRONGEST = 10.0
"""Where one is drawn that is infinite, or no number."""

ISOLATED, CUMULATIVE, ROUNDING, DIFFERS = "#d55e00", "#0072b2", "#999999", (230, 159, 0)
"""Of Okabe and Ito, whose colours colour-blind readers tell apart; the last as RGB."""

DPI = 110

FROM_IMAGE, EQUAL_INPUTS = "run from the image", "on equal inputs"


def new_figure(width: float, height: float) -> Any:
    """An empty figure, in inches, that shows itself as a PNG. Raises InputError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "a drawing needs matplotlib: pip install 'segdiff[notebook]', or pip install matplotlib"
        ) from error

    class Drawing(Figure):  # type: ignore[misc, unused-ignore]
        """A figure that needs no pyplot to show itself in a notebook."""

        def _repr_png_(self) -> bytes:
            file = BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    return Drawing(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def walk(report: Report) -> Any:
    """Both errors of every pair, and the rounding that was measured, on a log axis."""
    if not report.pairs:
        raise InputError("no pair of values was compared, so there is no walk to draw")
    figure = new_figure(8.0, 3.4)
    axes = figure.add_subplot()
    places = np.arange(1, len(report.pairs) + 1)
    noise = _sizes(pair.noise for pair in report.pairs)
    axes.bar(places, noise, width=1.0, bottom=WEAKEST, color=ROUNDING, alpha=0.35, label="its own rounding")
    together = _sizes(pair.cumulative for pair in report.pairs)
    alone = _sizes(pair.isolated for pair in report.pairs)
    axes.plot(places, together, color=CUMULATIVE, marker=".", markersize=4, linewidth=0.8, label=FROM_IMAGE)
    axes.plot(places, alone, color=ISOLATED, marker="x", markersize=4, linestyle="none", label=EQUAL_INPUTS)
    for place, pair in zip(places, report.pairs, strict=True):
        if pair.state == "origin":
            axes.axvline(place, color=ISOLATED, linewidth=0.8, linestyle=":")
    first = next((i for i, pair in enumerate(report.pairs) if pair.state == "origin"), None)
    if first is not None:
        name = shorten(clean(report.pairs[first].candidate), 40)
        axes.set_title(f"pair {first + 1}: {clean(report.pairs[first].candidate_op)} {name}", fontsize=9)
    axes.set_yscale("log")
    axes.set_ylim(WEAKEST, STRONGEST)
    axes.set_xlim(0, len(places) + 1)
    axes.set_xlabel("pair of values, in walk order")
    axes.set_ylabel("rel_l2")
    axes.legend(fontsize=8, loc="best")
    return figure


def _sizes(comparisons: Iterable[Comparison | None]) -> Array:
    """Errors to be drawn: at the edges what is zero or infinite, a gap for what was not measured."""
    found = [np.nan if c is None else STRONGEST if c.mismatch else c.metrics.rel_l2 for c in comparisons]
    values = np.array(found, np.float64)
    return np.where(np.isnan(values), np.nan, np.clip(values, WEAKEST, STRONGEST))


def origin(report: Report, which: int = 0) -> Any:
    """Channels of the tensor that an origin ends in: both sides on equal inputs, and the difference."""
    if not 0 <= which < len(report.origins):
        raise InputError(f"there is no origin {which}: the report has {len(report.origins)}")
    pair = report.origins[which].pair
    kept = report.evidence.segments.get(pair.candidate) if report.evidence else None
    if kept is None or pair.candidate not in kept.got or pair.candidate not in kept.expected:
        raise InputError(f"the tensors of {clean(pair.candidate)!r} were not kept; report.open() has them")
    ours, theirs = kept.expected[pair.candidate], kept.got[pair.candidate]
    if ours.shape != theirs.shape:
        raise InputError(f"the two tensors have other shapes, {list(ours.shape)} and {list(theirs.shape)}")
    planes, others = channels_of(ours), channels_of(theirs)
    shown = telling(planes, others)
    with np.errstate(all="ignore"):
        errors = np.abs(others.astype(np.float64) - planes)
    low, high = limits(np.concatenate([planes[shown], others[shown]]))
    rows = (
        ("reference", planes, {"cmap": "gray", "vmin": low, "vmax": high}),
        ("candidate", others, {"cmap": "gray", "vmin": low, "vmax": high}),
        ("|difference|", errors, {"cmap": "inferno", "vmin": 0.0, "vmax": limits(errors[shown])[1] or 1.0}),
    )
    columns = min(len(shown), CHANNELS)
    figure = new_figure(1.2 + 1.6 * columns, 5.0)
    figure.suptitle(_told(pair), fontsize=9)
    grid = figure.subplots(3, columns, squeeze=False)
    named = len(planes) > 1
    for line, (label, source, options) in zip(grid, rows, strict=True):
        for axes, channel in zip(line, shown, strict=True):
            drawn = axes.imshow(source[channel], interpolation="nearest", aspect="auto", **options)
            _bare(axes, f"channel {channel}" if named and source is planes else "")
        line[0].set_ylabel(label, fontsize=8)
        figure.colorbar(drawn, ax=list(line), fraction=0.03).ax.tick_params(labelsize=7)
    return figure


def _told(pair: PairInfo) -> str:
    error = number(pair.isolated.metrics.rel_l2) if pair.isolated else "unknown"
    return f"{clean(pair.candidate_op)} {shorten(clean(pair.candidate), 48)}: rel_l2 {error} on equal inputs"


def masks(report: Report) -> Any:
    """The image, both masks, where they differ, and the mask after repair; as far as there are any."""
    found = _pictures(report)
    if not found.masks:
        why = found.missing.get("masks") or found.missing.get("reference") or "no output is a map of classes"
        raise InputError(f"there is no mask to draw: {why}")
    colours = paddleseg_colours()
    tiles: list[tuple[str, Array]] = [("image", found.image)]
    for name, mask in found.masks.items():
        tiles.append((name, colours[np.asarray(mask, np.int64) % len(colours)]))
    truth = found.masks.get("reference")
    for name, mask in found.masks.items():
        if truth is not None and name != "reference":
            differs = truth != mask
            tiles.append((f"{name} differs: {share(float(np.mean(differs)))}", _over(found.image, differs)))
    return _tiled(tiles)


def heatmap(report: Report) -> Any:
    """The isolated error of the first origin's tensor over the image."""
    found = _pictures(report)
    if found.heat is None:
        raise InputError(f"there is no error to draw: {found.missing.get('heat') or 'no origin is a map'}")
    figure = new_figure(6.0, 5.2 * found.image.shape[0] / found.image.shape[1] + 0.4)
    axes = figure.add_subplot()
    grey = found.image.mean(axis=2)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    finite = np.where(np.isfinite(found.heat), found.heat, np.nan)
    largest = limits(found.heat)[1]
    strength = np.nan_to_num(finite / largest if largest else finite * 0, nan=1.0)
    drawn = axes.imshow(finite, cmap="inferno", vmin=0.0, vmax=largest or 1.0, alpha=0.15 + 0.85 * strength)
    _bare(axes, f"error of {shorten(clean(found.heat_value or ''), 48)} on equal inputs")
    figure.colorbar(drawn, ax=axes, fraction=0.03)
    return figure


def _pictures(report: Report) -> Pictures:
    if report.pictures is None:
        raise InputError("this report has no pictures: its input was no picture, or it was read from a file")
    return report.pictures


def _over(image: Array, differs: Array) -> Array:
    """The image, pale and grey, with the pixels that differ in one colour."""
    pale = np.repeat((160 + image.mean(axis=2, keepdims=True) * 95 / 255).astype(np.uint8), 3, axis=2)
    pale[differs] = DIFFERS
    return pale


def _tiled(tiles: Sequence[tuple[str, Array]]) -> Any:
    """Pictures of one size under their titles, three a row."""
    columns = min(3, len(tiles))
    rows = -(-len(tiles) // columns)
    height, width = tiles[0][1].shape[:2]
    figure = new_figure(3.0 * columns, rows * (3.0 * height / width + 0.35))
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if place < len(tiles):
            axes.imshow(tiles[place][1], interpolation="nearest")
            _bare(axes, tiles[place][0])
        else:
            axes.set_axis_off()
    return figure


def _bare(axes: Any, title: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=8)
