"""What does an answer look like in a notebook? One small piece of HTML that needs nothing from elsewhere.

Everything a model file can have chosen is cleaned, and escaped by markupsafe: nothing here joins bare text.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from segdiff.report import document as doc
from segdiff.report.text import filled, sparkline

COLOURS: dict[doc.Tone, tuple[str, str]] = {
    "good": ("#1a7f37", "#3fb950"),
    "bad": ("#cf222e", "#ff7b72"),
    "warning": ("#9a6700", "#d29922"),
    "unknown": ("#8250df", "#bc8cff"),
}
"""On a light and on a dark page, each at least 4.5 to 1 against it."""

STYLE = (
    ".segdiff{font-size:13px;line-height:1.45;max-width:60em}"
    ".segdiff table{border-collapse:collapse;margin:.4em 0}"
    ".segdiff td,.segdiff th{text-align:left;vertical-align:top;padding:.1em .8em .1em 0;"
    "overflow-wrap:anywhere}"
    ".segdiff th{font-weight:normal;opacity:.7}"
    ".segdiff th.label{min-width:5em}"
    ".segdiff .answer{font-weight:bold}"
    ".segdiff h4{margin:1em 0 .2em}"
    ".segdiff code{font-size:12px;background:none}"
    ".segdiff .bar{display:inline-block;height:.7em;margin-left:.5em;background:currentColor}"
)
JUPYTER = "body[data-jp-theme-light={}] "
"""JupyterLab's own theme, which need not be the system's."""


def coloured(place: str, dark: int) -> str:
    """The rules of the tones, behind what says where they hold."""
    return "".join(f"{place}.segdiff .{tone}{{color:{pair[dark]}}}" for tone, pair in COLOURS.items())


THEMES = (
    f"{coloured('', 0)}@media(prefers-color-scheme:dark){{{coloured('', 1)}}}"
    + coloured(JUPYTER.format('"true"'), 0)
    + coloured(JUPYTER.format('"false"'), 1)
)

BAR_WIDTH = 6.0
"""em of a bar that is full: an error of 1."""

PROFILE = 60
"""Most characters of a curve."""

NOTHING = Markup("")


def render(document: doc.Document) -> str:
    """A document as self-contained HTML: no script, no link, styles under a class of their own."""
    body = NOTHING.join(map(_drawn, document))
    return str(Markup('<div class="segdiff"><style>{}</style>{}</div>').format(Markup(STYLE + THEMES), body))


def _drawn(block: doc.Part) -> Markup:
    if isinstance(block, doc.Headline):
        return Markup('<p class="answer {}">{} {}</p>').format(block.tone, block.mark, block.sentence)
    if isinstance(block, doc.Hint):
        return NOTHING
    if isinstance(block, doc.Heading):
        return Markup("<h4>{}</h4>").format(block.text)
    if isinstance(block, doc.Note):
        return Markup("<p>{}</p>").format(block.text)
    if isinstance(block, doc.Lines):
        return _labelled(block.rows)
    if isinstance(block, doc.Sides):
        return _sides(block)
    if isinstance(block, doc.Grid):
        return _rows(map(_cells, block.rows))
    if isinstance(block, doc.Profile):
        line, _ = sparkline(block.values, PROFILE, block.marked)
        return _labelled([(block.label, f"{line} {block.words}")])
    if isinstance(block, doc.Action):
        return Markup("<pre>{}</pre>").format(block.command)
    return _table(block)


def _labelled(rows: Iterable[doc.Line]) -> Markup:
    return _rows(Markup('<th class="label">{}</th><td>{}</td>').format(*row) for row in rows)


def _rows(rows: Iterable[Markup], head: Markup = NOTHING) -> Markup:
    body = NOTHING.join(Markup("<tr>{}</tr>").format(row) for row in rows)
    return Markup("<table>{}{}</table>").format(head, body)


def _table(block: doc.Table) -> Markup:
    titles = NOTHING.join(Markup("<th>{}</th>").format(column.title) for column in block.columns)
    total = (block.total,) if block.total else ()
    return _rows(map(_cells, (*block.rows, *total)), Markup("<tr>{}</tr>").format(titles))


def _cells(cells: Iterable[doc.Cell]) -> Markup:
    return NOTHING.join(map(_cell, cells))


def _cell(cell: doc.Cell) -> Markup:
    words = cell.text if not cell.lead or cell.lead in cell.text else f"{cell.lead} {cell.text}"
    tone = cell.tone if cell.tone in COLOURS else ""
    if cell.bar is not None:
        return Markup("<td>{}{}</td>").format(words, _bar(cell.bar, tone))
    if not tone:
        return Markup("<td>{}</td>").format(words)
    return Markup('<td class="{}" title="{}">{}</td>').format(tone, cell.hint, words)


def _bar(error: float, tone: str) -> Markup:
    width = filled(error) * BAR_WIDTH
    if not width:
        return NOTHING
    return Markup('<span class="bar {}" style="width:{:.2f}em"></span>').format(tone, width)


def _sides(block: doc.Sides) -> Markup:
    sides = block.left, block.right
    head = NOTHING.join(Markup("<th>{}</th>").format(side.title) for side in sides)
    operators = NOTHING.join(Markup("<td>{}</td>").format(_operators(side)) for side in sides)
    values = NOTHING.join(Markup("<td>→ {}</td>").format(side.value) for side in sides)
    return _rows((operators, values), Markup("<tr>{}</tr>").format(head))


def _operators(side: doc.Side) -> Markup:
    lines = [Markup("… {} more before").format(side.before)] if side.before else []
    for operator in side.operators:
        lines.append(Markup("<b>{}</b>").format(operator.type))
        for key, value, differs in operator.attributes:
            mark = "≠" if differs else "\xa0"
            lines.append(Markup("<code>{}{} = {}</code>").format(mark, key, value))
        if operator.more:
            lines.append(Markup("… {} more").format(operator.more))
    return Markup("<br>").join(lines) if lines else Markup("no operator")
