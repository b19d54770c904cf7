"""Through which doors may a noun reach up? An answer shows, repairs and serialises itself by these alone.

Everything else imports downwards. A door is opened when it is used, so that what is not wanted costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

_DOORS = {
    "terminal": "segdiff.report.forms:terminal",
    "text": "segdiff.report.forms:text",
    "html": "segdiff.report.notebook:cell",
    "words.reason": "segdiff.report.words:reason",
    "report.save": "segdiff.report.save:save",
    "report.page": "segdiff.report.save:html_page",
    "sweep.to_dict": "segdiff.report.sweep_json:sweep_to_dict",
    "sweep.against": "segdiff.report.baseline:sweep_against",
    "report.against": "segdiff.report.baseline:against",
    "report.check": "segdiff.report.baseline:check",
    "report.annotate": "segdiff.report.annotate:annotate",
    "report.to_dict": "segdiff.report.json:report_to_dict",
    "half.to_dict": "segdiff.report.half_json:half_to_dict",
    "repaired.to_dict": "segdiff.report.json:repaired_to_dict",
    "progress.notebook": "segdiff.report.notebook:progress_bar",
    "words.device": "segdiff.report.elsewhere:device_text",
    "words.pair": "segdiff.report.words:pair",
    "words.origin": "segdiff.report.words:origin",
    "pairs.to_dataframe": "segdiff.report.frame:pairs_frame",
    "report.to_dataframe": "segdiff.report.frame:report_frame",
    "plot.walk": "segdiff.report.plots:walk",
    "plot.origin": "segdiff.report.plots:origin",
    "plot.masks": "segdiff.report.plots:masks",
    "plot.heatmap": "segdiff.report.plots:heatmap",
    "report.open": "segdiff.finding.case:reopened",
    "swept.to_dict": "segdiff.report.json:swept_to_dict",
    "located_images.to_dict": "segdiff.report.images_json:images_to_dict",
    "located_images.repair": "segdiff.score.locate_images:repaired",
    "swept.repair": "segdiff.finding.locate_shapes:repaired",
    "report.repair": "segdiff.finding.repair:repair",
    "pictures.named": "segdiff.report.kept_pictures:named_to_list",
    "report.issue": "segdiff.report.issue:issue",
    "report.repro": "segdiff.finding.repro:repro",
}


def door(name: str) -> Callable[..., Any]:
    """The function behind a door."""
    module, _, function = _DOORS[name].partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


class Shown:
    """What every answer can do: show itself in a terminal, a notebook and as text, and be saved."""

    def save(self, path: str | Path) -> Path:
        """Write the answer as ``.html`` (one page that needs nothing else), ``.md`` or ``.json``; return the
        path. Raises InputError for any other suffix and where the file cannot be written."""
        place: Path = door("report.save")(self, path)
        return place

    def __rich__(self) -> Any:
        return door("terminal")(self)

    def _repr_html_(self) -> str:
        return str(door("html")(self))

    def __str__(self) -> str:
        """The answer in short: where, why, how much, how sure, what to do."""
        return str(door("text")(self))
