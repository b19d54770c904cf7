"""How does a docstring become Markdown? An extension of griffe: examples fenced, columns listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

NAMED = re.compile(r"([a-z_]\w*(?:, [a-z_]\w*)*) {2,}(\S.*)")
"""A line that begins a row: one or several names, two spaces at least, and what is said of them."""


ROLE = re.compile(r":(?:class|func|meth|mod|data|exc):`~?")
"""A word for Sphinx before a name."""


class Readable(griffe.Extension):
    """Rewrites the docstring of whatever is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Examples (``>>>``) become blocks of code, rows of names and words a list."""
        if obj.docstring:
            text = ROLE.sub("`", obj.docstring.value)
            obj.docstring.value = "\n".join(listed(list(fenced(text.splitlines()))))


def fenced(lines: list[str]) -> Iterator[str]:
    """The lines with a fence around every run of them from a prompt to the next empty line."""
    inside = False
    for line in lines:
        if not inside and line.lstrip().startswith(">>> "):
            inside = True
            yield "```pycon"
        if inside and not line.strip():
            inside = False
            yield "```"
        yield line
    if inside:
        yield "```"


def listed(lines: list[str]) -> Iterator[str]:
    """The lines with rows of names as the points of a list, what is indented below them joined to them."""
    rows, code = False, False
    for line in lines:
        code ^= line.startswith("```")
        found = None if code else NAMED.fullmatch(line)
        if found:
            if not rows:
                yield ""
            rows = True
            names = ", ".join(f"`{name}`" for name in found[1].split(", "))
            yield f"- {names}: {found[2]}"
        elif rows and line.startswith("    "):
            yield f"  {line.strip()}"
        else:
            rows = False
            yield line
