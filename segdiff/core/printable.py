"""Which characters of an untrusted text may reach a terminal or a page?

Names, attributes and paths come from files that anybody can have written. Nothing of them is shown before it
went through :func:`clean`; escaping for HTML comes on top. Light, so that an error on the command line is
told at once.
"""

from __future__ import annotations

import unicodedata

LONGEST = 400
"""Characters of one text that are shown; a longer one is cut in its middle."""

_REPLACED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
_SPACES = frozenset(("Zs", "Zl", "Zp"))


def clean(text: object, longest: int = LONGEST) -> str:
    """One line without control, formatting (bidirectional marks) or unassigned characters, or lone
    surrogates, all shown as ``�``; any run of white space becomes one space."""
    raw = str(text)
    if len(raw) > longest:
        raw = f"{raw[: longest // 2]}…{raw[-longest // 2 :]}"
    return " ".join("".join(map(_harmless, raw)).split())


def _harmless(character: str) -> str:
    if character.isprintable():
        return character
    category = unicodedata.category(character)
    if category in _SPACES or character in "\t\n\r":
        return " "
    return "�" if category in _REPLACED else character
