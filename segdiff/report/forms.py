"""Which answers have a document, and which forms draw one? A row each; everything is imported when used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from segdiff.report.document import Document

DOCUMENTS = {
    "Report": "segdiff.report.located:document",
    "ScoreReport": "segdiff.report.scored:document",
    "Repaired": "segdiff.report.repaired:document",
}
"""By the answer's class: ``document(answer, everything=False)``; ``everything`` leaves no row out."""

FORMS = {
    "terminal": "segdiff.report.terminal:render",
    "html": "segdiff.report.html:render",
}
"""By the form's name: a function of a document."""


def shown(answer: Any, form: str, *, everything: bool = False) -> Any:
    """An answer in a form: a rich renderable for ``terminal``, text for the others.

    Raises KeyError for an answer or a form that has no row.
    """
    return found(FORMS[form])(document_of(answer, everything=everything))


def document_of(answer: Any, *, everything: bool = False) -> Document:
    """The document of an answer."""
    made: Document = found(DOCUMENTS[type(answer).__name__])(answer, everything=everything)
    return made


def terminal(answer: Any) -> Any:
    """An answer for a terminal (``__rich__``)."""
    return shown(answer, "terminal")


def html(answer: Any) -> str:
    """An answer for a notebook (``_repr_html_``)."""
    return str(shown(answer, "html"))


def found(home: str) -> Any:
    """The function of ``module:function``."""
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)
