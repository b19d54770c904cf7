"""What do the pictures of the docs show? Real runs of the bundled example: ``python -m tests.docs.figures``.

Writes ``docs/images``: the short report as a terminal shows it, the walk as a curve (whole, with two faults,
before and after a repair), and the masks. Pictures of a report come twice, for light pages and for dark ones.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME, TerminalTheme

import segdiff
from segdiff.core.answer import PairInfo, Report
from segdiff.report import forms
from segdiff.score.palette import paddleseg_colours
from tests.docs.cases import CASES
from tests.docs.plot import COLOURS, Chart, Curve

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"

THEMES: dict[str, TerminalTheme] = {"light": DEFAULT_TERMINAL_THEME, "dark": SVG_EXPORT_THEME}

FONTS = 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace'


@contextmanager
def located(name: str) -> Iterator[Report]:
    """A case, located in its own folder, so that names stay short."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)
        try:
            yield segdiff.locate(*CASES[name](Path(home)))
        finally:
            os.chdir(before)


def terminal(report: Report, theme: str) -> str:
    """The short report as SVG, which asks for no font from elsewhere."""
    made = Console(record=True, width=80, file=StringIO(), force_terminal=True)
    made.print(forms.shown(report, "terminal", "short"), crop=False)
    made.print()
    shape = re.sub(r"@font-face\s*\{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    shape = shape.replace("rgba(255,255,255,0.35)", "rgba(128,128,128,0.5)")
    shape = shape.replace("Fira Code, monospace", FONTS).replace("Fira Code", FONTS)
    title = "segdiff locate deploy model.onnx street.png"
    return made.export_svg(title=title, theme=THEMES[theme], code_format=shape, unique_id=f"segdiff-{theme}")


def errors(pairs: Sequence[PairInfo], which: str) -> tuple[float | None, ...]:
    """One error a pair, in walk order."""
    found = (getattr(pair, which) for pair in pairs)
    return tuple(each.metrics.rel_l2 if each else None for each in found)


def walk(report: Report, theme: str, words: str) -> str:
    """Both errors of every pair, and the segment's own rounding where it was measured."""
    curves = (
        Curve("from the picture (cumulative)", errors(report.pairs, "cumulative"), "line", "cumulative"),
        Curve("on the reference's tensors (isolated)", errors(report.pairs, "isolated"), "dots", "isolated"),
        Curve("24 times its own rounding", bounds(report.pairs), "dashes", "rounding"),
    )
    marks = {report.pairs.index(each.pair): each.pair.candidate_op for each in report.origins}
    return Chart(words, curves, marks).drawn(COLOURS[theme])


def bounds(pairs: Sequence[PairInfo]) -> tuple[float | None, ...]:
    """The most that a segment may err: the floor, or 24 times its own rounding where that was measured."""
    floor = 24 * 2.0**-24
    return tuple(
        max(floor, 24 * pair.noise.metrics.rel_l2) if pair.noise is not None else floor for pair in pairs
    )


def repaired(report: Report, theme: str) -> str:
    """The walk before and after."""
    report.repair("fixed.onnx")
    after = segdiff.locate("deploy", "fixed.onnx", "street.png")
    curves = (
        Curve("model.onnx", errors(report.pairs, "cumulative"), "line", "cumulative"),
        Curve("fixed.onnx", errors(after.pairs, "cumulative"), "line", "after"),
    )
    return Chart("the error from the picture, before and after the repair", curves, {}).drawn(COLOURS[theme])


def masks(report: Report) -> np.ndarray:
    """Picture, both masks, what differs, and what is left of that once mended; BGR."""
    seen = report.pictures
    assert seen is not None and {"reference", "candidate", "repaired"} <= set(seen.masks)
    colours = paddleseg_colours()[:, ::-1]
    truth, ours, mended = (seen.masks[name] for name in ("reference", "candidate", "repaired"))
    tiles = [seen.image[:, :, ::-1], colours[truth], colours[ours]]
    tiles += [np.where((mask != truth)[:, :, None], (60, 60, 230), 245) for mask in (ours, mended)]
    gap = np.full((truth.shape[0], 6, 3), 255)
    row = np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1).astype(np.uint8)
    return cv2.resize(row, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)


def main() -> int:
    """Make them all."""
    IMAGES.mkdir(exist_ok=True)
    with located("resize") as report:
        for theme in THEMES:
            save(f"report-{theme}.svg", terminal(report, theme))
            save(f"walk-{theme}.svg", walk(report, theme, "the error of every pair of values, in walk order"))
            save(f"repaired-{theme}.svg", repaired(report, theme))
            Path("fixed.onnx").unlink()
        cv2.imwrite(str(IMAGES / "masks.png"), masks(report), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    with located("two") as report:
        for theme in THEMES:
            save(f"two-{theme}.svg", walk(report, theme, "two faults in one file"))
    return 0


def save(name: str, text: str) -> None:
    """Write one picture."""
    (IMAGES / name).write_text(text, encoding="utf-8")
    print(name)


if __name__ == "__main__":
    sys.exit(main())
