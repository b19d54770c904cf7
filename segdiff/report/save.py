"""How is an answer kept as a file of its own? By the file's suffix: JSON, an HTML page, or Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segdiff.core.errors import InputError
from segdiff.core.outputs import PAGE_HEAD, write_atomically
from segdiff.report.exports import exports_of
from segdiff.report.forms import shown


def save(answer: Any, path: str | Path) -> Path:
    """Write an answer to a file and return its path; its suffix says how: ``.html``, ``.md``, ``.json``, and
    those of ``segdiff.report.exports``.

    Raises InputError for any other suffix and where the file cannot be written.
    """
    path = Path(path)
    writers = {each.suffix: each.text for each in exports_of(type(answer).__name__) if each.suffix}
    write = {".json": as_json, **writers}.get(path.suffix.lower())
    if write is None:
        told = ", ".join(sorted({".json", *writers}))
        raise InputError(f"{path}: a report is saved as {told}; name the file so")
    try:
        write_atomically(path, write(answer))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def html_page(answer: Any) -> str:
    """One self-contained page: the answer first, then all that was measured (``segdiff.report.page``)."""
    from segdiff.report.page.page import page  # the templates and the pictures cost a moment to import

    return page(answer)


def markdown_page(answer: Any) -> str:
    """A dozen lines for a pull request, and all that was measured folded up below."""
    short, full = (shown(answer, "markdown", detail) for detail in ("short", "full"))
    folded = f"<details><summary>All that was measured</summary>\n\n{full}\n</details>\n"
    return f"{PAGE_HEAD}\n\n{short}\n{folded}"


def as_json(answer: Any) -> str:
    """The text of a JSON file."""
    return str(answer.to_json()) + "\n"
