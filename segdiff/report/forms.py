"""Which answers have a document, and which forms draw one? A row each; everything is imported when used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from segdiff.report.document import Detail, Document

DOCUMENTS = {
    "Report": "segdiff.report.located:document",
    "ScoreReport": "segdiff.report.scored:document",
    "Repaired": "segdiff.report.repaired:document",
    "ShapesReport": "segdiff.report.located_shapes:document",
    "SweepReport": "segdiff.report.swept:document",
    "ImagesReport": "segdiff.report.located_images:document",
    "HalfReport": "segdiff.report.halved:document",
    "OpenCase": "segdiff.report.investigated:case_document",
    "Pairs": "segdiff.report.investigated:pairs_document",
    "Tensors": "segdiff.report.investigated:tensors_document",
    "Arrays": "segdiff.report.investigated:arrays_document",
    "Compared": "segdiff.report.investigated:compared_document",
    "Attempted": "segdiff.report.investigated:attempt_document",
}
"""By the answer's class: ``document(answer, detail="full")``."""

FORMS = {
    "terminal": "segdiff.report.terminal:render",
    "rich": "segdiff.report.terminal:render_within",
    "text": "segdiff.report.terminal:plain",
    "html": "segdiff.report.html:render",
    "markdown": "segdiff.report.markdown:render",
    "title": "segdiff.report.document:title",
}
"""By the form's name: a function of a document."""


def shown(answer: Any, form: str, detail: Detail = "full") -> Any:
    """An answer in a form: a rich renderable for ``terminal`` and ``rich``, text for the others.

    Raises KeyError for an answer or a form that has no row.
    """
    return found(FORMS[form])(document_of(answer, detail))


def document_of(answer: Any, detail: Detail = "full") -> Document:
    """The document of an answer, with so much detail."""
    made: Document = found(DOCUMENTS[type(answer).__name__])(answer, detail)
    return made


def terminal(answer: Any) -> Any:
    """An answer in short, for a console of the user's own (``__rich__``)."""
    return shown(answer, "rich", "short")


def text(answer: Any) -> str:
    """An answer in short, as text (``__str__``)."""
    return str(shown(answer, "text", "short"))


def found(home: str) -> Any:
    """The function of ``module:function``."""
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)
