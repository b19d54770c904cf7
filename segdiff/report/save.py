"""How is an answer kept as a file of its own? By the file's suffix: JSON, an HTML page, or Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from segdiff.core.errors import InputError
from segdiff.core.outputs import PAGE_HEAD, write_atomically
from segdiff.report.forms import shown

CONTENT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a page may load: nothing."""

STYLE = (
    ":root{color-scheme:light dark}"
    "body{font-family:system-ui,sans-serif;margin:2em auto;padding:0 1em;max-width:72em}"
    "details{margin-top:2em}summary{cursor:pointer}"
    "pre{overflow-x:auto;padding:.6em;border:1px solid #8888;border-radius:4px}"
    "@media print{body{margin:0;max-width:none}}"
)


def save(answer: Any, path: str | Path) -> Path:
    """Write an answer to a file and return its path; ``.html``, ``.md`` and ``.json`` say how.

    Raises InputError for any other suffix and where the file cannot be written.
    """
    path = Path(path)
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        raise InputError(f"{path}: a report is saved as {', '.join(sorted(WRITERS))}; name the file so")
    try:
        write_atomically(path, write(answer))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def html_page(answer: Any) -> str:
    """One self-contained page without a script: the answer in short, and below it all that was measured."""
    short, full = (Markup(shown(answer, "html", detail)) for detail in ("short", "all"))
    title = shown(answer, "title", "short")
    page = Markup(
        '<!DOCTYPE html>\n{}\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="{}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>{}</title><style>{}</style></head><body><main>{}"
        "<details open><summary>All that was measured</summary>{}</details></main></body></html>\n"
    )
    return str(page.format(Markup(PAGE_HEAD), CONTENT, title, Markup(STYLE), short, full))


def markdown_page(answer: Any) -> str:
    """A dozen lines for a pull request, and all that was measured folded up below."""
    short, full = (shown(answer, "markdown", detail) for detail in ("short", "full"))
    folded = f"<details><summary>All that was measured</summary>\n\n{full}\n</details>\n"
    return f"{PAGE_HEAD}\n\n{short}\n{folded}"


WRITERS: Mapping[str, Callable[[Any], str]] = {
    ".html": html_page,
    ".md": markdown_page,
    ".json": lambda answer: str(answer.to_json()) + "\n",
}
