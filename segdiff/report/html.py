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

OURS = ".segdiff.segdiff.segdiff"
"""Three times the class: a notebook's own rules for tables (right-aligned, fixed, striped) come later and are
as strong as two."""

RULES = (
    ("table", "border-collapse:collapse;table-layout:auto;width:auto;margin:.4em 0;font-size:13px;border:0"),
    ("table", "display:block;overflow-x:auto;max-width:100%;color:inherit"),
    ("tr", "background:none;border:0;text-align:left"),
    ("td", "text-align:left;vertical-align:top;padding:.1em .8em .1em 0;border:0;background:none"),
    ("th", "text-align:left;vertical-align:top;padding:.1em .8em .1em 0;border:0;background:none"),
    ("td", "white-space:normal;overflow-wrap:break-word;word-break:normal;max-width:42em"),
    ("th", "white-space:normal;font-weight:normal;color:inherit;opacity:.75"),
    ("td.whole", "white-space:nowrap"),
    ("th.label", "min-width:5em;white-space:nowrap"),
    ("p", "margin:.4em 0"),
    ("p.answer", "font-weight:bold;font-size:14px"),
    ("p.dim", "opacity:.75"),
    ("h4", "margin:1em 0 .2em;font-size:13px;font-weight:bold"),
    ("code", "font-size:12px;background:none;padding:0;color:inherit;white-space:pre-wrap"),
    ("pre", "overflow-x:auto;white-space:pre;font-size:12px;padding:.4em .6em;margin:.4em 0"),
    ("pre", "border:1px solid #8886;border-radius:4px;background:none;color:inherit"),
    (".bar", "display:inline-block;height:.7em;margin-left:.5em;background:currentColor"),
    (".pictures", "display:flex;flex-wrap:wrap;gap:.4em .8em;margin:.5em 0"),
    ("figure", "margin:0;max-width:100%"),
    ("img", "image-rendering:pixelated;background:none;display:block;margin:0;max-width:100%;height:auto"),
    (".layers", "position:relative;line-height:0"),
    (".layers .over", "position:absolute;left:0;top:0;width:100%;height:100%"),
    ("figcaption", "font-size:12px;opacity:.75;text-align:left"),
    ("summary", "cursor:pointer;opacity:.75"),
)
"""What each part looks like. A word is never split but where it alone is wider than its column."""

STYLE = (
    ".segdiff{font-size:13px;line-height:1.45;text-align:left}"
    ".segdiff>p,.segdiff>pre,.segdiff>table{max-width:60em}"
) + "".join(f"{OURS} {place}{{{rules}}}" for place, rules in RULES)

DARK = (
    "body[data-jp-theme-light=false] ",  # JupyterLab and Notebook 7: their own theme, not the system's
    "body.vscode-dark ",
    "body.vscode-high-contrast ",
    "html[theme=dark] ",  # Colab
)
LIGHT = (
    "body[data-jp-theme-light=true] ",
    "body.vscode-light ",
    "body.vscode-high-contrast-light ",
    "html[theme=light] ",
)
"""What says that a page is dark, or light, whatever the system is."""


def coloured(place: str, dark: int) -> str:
    """The rules of the tones, behind what says where they hold."""
    return "".join(f"{place}.segdiff .{tone}{{color:{pair[dark]}}}" for tone, pair in COLOURS.items())


THEMES = (
    f"{coloured('', 0)}@media(prefers-color-scheme:dark){{{coloured('', 1)}}}"
    + "".join(coloured(place, 0) for place in LIGHT)
    + "".join(coloured(place, 1) for place in DARK)
)

BAR_WIDTH = 6.0
"""em of a bar that is full: an error of 1."""

NUMBER = 10
"""Characters of a cell that is never broken: a number has a hyphen (``2.0e-01``)."""

PROFILE = 60
"""Most characters of a curve."""

NOTHING = Markup("")


def render(document: doc.Document) -> str:
    """A document as self-contained HTML: no script, no link, styles under a class of their own."""
    return str(_framed(NOTHING.join(map(_drawn, document))))


def render_folded(short: doc.Document, full: doc.Document, words: str) -> str:
    """A document, and below it another one that is folded up behind some words."""
    folded = Markup("<details><summary>{}</summary>{}</details>")
    body = NOTHING.join(map(_drawn, short))
    rest = (block for block in full if not isinstance(block, doc.Headline))  # it stands above
    return str(_framed(body + folded.format(words, NOTHING.join(map(_drawn, rest)))))


KEPT = (
    ("<td", '<td style="text-align:left"'),
    ("<th", '<th style="text-align:left;font-weight:normal"'),
    ("<figure>", '<figure style="display:inline-block;margin:0 8px 4px 0">'),
)
"""What stands in the tags: a notebook that is not trusted loses the style element, but not these."""


def _framed(body: Markup) -> Markup:
    text = str(body)
    for tag, styled in KEPT:  # texts are escaped by now: what looks like a tag is one of ours
        text = text.replace(tag, styled)
    body = Markup(text)
    return Markup('<div class="segdiff"><style>{}</style>{}</div>').format(Markup(STYLE + THEMES), body)


def _drawn(block: doc.Part) -> Markup:
    if isinstance(block, doc.Headline):
        return Markup('<p class="answer {}">{} {}</p>').format(block.tone, block.mark, block.sentence)
    if isinstance(block, doc.Hint):
        return NOTHING
    if isinstance(block, doc.Heading):
        return Markup("<h4>{}</h4>").format(block.text)
    if isinstance(block, doc.Note):
        return Markup('<p class="{}">{}</p>').format(block.tone, block.text)
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
    if isinstance(block, doc.Pictures):
        return _pictures(block)
    return _table(block)


def _pictures(block: doc.Pictures) -> Markup:
    drawn = NOTHING.join(map(_picture, block.pictures))
    shown = Markup('<div class="pictures">{}</div>').format(drawn)
    return shown + (Markup('<p class="dim">{}</p>').format(block.legend) if block.legend else NOTHING)


def _picture(each: doc.Picture) -> Markup:
    wide = Markup(' style="width:{}px"').format(each.wide) if each.wide else NOTHING
    first = Markup('<img alt="{}" src="{}"{}>')
    more = Markup('<img class="over" alt="" src="{}">')
    layers = [first.format(each.alt, each.layers[0], wide), *map(more.format, each.layers[1:])]
    figure = Markup('<figure><div class="layers">{}</div><figcaption>{}</figcaption></figure>')
    return figure.format(NOTHING.join(layers), each.caption)


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
    whole = len(words) <= NUMBER
    if cell.bar is not None:
        return Markup('<td class="whole">{}{}</td>').format(words, _bar(cell.bar, tone))
    if not tone:
        return Markup('<td class="whole">{}</td>' if whole else "<td>{}</td>").format(words)
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
