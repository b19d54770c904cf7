"""What stands in the file? The answer's sections, under a policy that lets nothing else in.

The style and the script are named by their hashes, pictures stand in the text, and nothing may be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from segdiff.core.outputs import PAGE_HEAD
from segdiff.report.forms import found
from segdiff.report.page.content import Content
from segdiff.report.text import filled, sparkline

HERE = Path(__file__).parent

CONTENTS = {
    "Report": "segdiff.report.page.located:content",
    "ScoreReport": "segdiff.report.page.scored:content",
    "Repaired": "segdiff.report.page.scored:repaired_content",
    "ShapesReport": "segdiff.report.page.located_shapes:content",
    "SweepReport": "segdiff.report.page.swept:content",
    "ImagesReport": "segdiff.report.page.located_images:content",
    "HalfReport": "segdiff.report.page.halved:content",
}
"""By the answer's class: what makes its sections."""


def page(answer: Any) -> str:
    """An answer as one self-contained HTML file. Raises KeyError for what is no answer."""
    content: Content = found(CONTENTS[type(answer).__name__])(answer)
    style, script = asset("page.css"), asset("page.js")
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            head=Markup(PAGE_HEAD),
            policy=policy(style, script),
            style=Markup(style),
            script=Markup(script),
            content=content,
            data=data_block(content.data),
        )
    )


def policy(style: str, script: str) -> str:
    """What the page may do: its own style and its own script, pictures in its text, nothing else."""
    return (
        f"default-src 'none'; style-src '{digest(style)}'; script-src '{digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def digest(text: str) -> str:
    """The hash by which a policy knows a text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def data_block(data: Any) -> Markup:
    """JSON that can stand in a page: no character of it can end its element or begin another."""
    text = json.dumps(_finite(data), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _finite(data: Any) -> Any:
    """The same with None for what is no number: JSON has no word for that."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


@cache
def asset(name: str) -> str:
    """The text of a file of this room."""
    return (HERE / name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """The templates; every text is escaped, and a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["kind"] = lambda part: type(part).__name__.lower()
    made.filters["filled"] = filled
    made.filters["sparkline"] = lambda profile: sparkline(profile.values, 80, profile.marked)[0]
    return made
