"""Which pieces of HTML do all reports in a notebook share? Each needs nothing from elsewhere.

Every text that a file or a user can have chosen goes through :func:`text`: cleaned, then escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from segdiff.core.printable import clean

COLOURS = {"agrees": "#1a7f37", "diverges": "#cf222e", "inconclusive": "#9a6700"}
STYLE = (
    ".segdiff{font-size:13px;line-height:1.45;max-width:60em}"
    ".segdiff table{border-collapse:collapse;margin:.4em 0}"
    ".segdiff td,.segdiff th{text-align:left;vertical-align:top;padding:.1em .8em .1em 0;"
    "overflow-wrap:anywhere}"
    ".segdiff th{font-weight:normal;opacity:.65}"
    ".segdiff h4{margin:1em 0 .2em}"
    ".segdiff code{font-size:12px;background:none}"
    ".segdiff .bar{display:inline-block;height:.7em;margin-left:.5em}"
)


def page(sections: Iterable[str]) -> str:
    """Self-contained HTML: no script, no link, styles under a class of their own."""
    return f'<div class="segdiff"><style>{STYLE}</style>{"".join(sections)}</div>'


def headline(mark: str, verdict: str, sentence: str) -> str:
    """The answer, in the colour of its verdict."""
    words = escape(clean(sentence, 1000), quote=True)
    return f'<p style="color:{COLOURS[verdict]};font-weight:bold">{mark} {words}</p>'


def heading(words: object) -> str:
    """What stands over a table."""
    return f"<h4>{text(words)}</h4>"


def text(value: object) -> str:
    """One line of any text, harmless in HTML."""
    return escape(clean(value), quote=True)


def lines(rows: Iterable[tuple[str, str]]) -> str:
    """Labels and what they say."""
    return table([], ([f"<th>{text(label)}</th>", f"<td>{text(words)}</td>"] for label, words in rows))


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already, under titles that are text."""
    head = "".join(f"<th>{text(title)}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def cells(*values: object) -> list[str]:
    """A cell for each value."""
    return [f"<td>{text(value)}</td>" for value in values]
