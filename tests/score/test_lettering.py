"""Text in pictures: what a font has is drawn, what none has is replaced by something that can be read."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.score import lettering


def drawn(text: str, stand_in: str = "") -> np.ndarray:
    canvas = np.full((18, 200, 3), 255, np.uint8)
    lettering.write_text(canvas, text, 4, 2, stand_in)
    return canvas


def test_text_is_black_on_the_picture_and_differs_by_what_it_says() -> None:
    assert drawn("road").min() < 64
    assert not np.array_equal(drawn("road"), drawn("roof"))
    assert (drawn("") == 255).all()


def test_a_name_that_no_font_has_is_written_as_its_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = lettering.fonts()[-1:]
    monkeypatch.setattr(lettering, "fonts", lambda: plain)
    assert lettering.font_for("\u9053\u8def") is None
    assert np.array_equal(drawn("\u9053\u8def", "class 3"), drawn("class 3"))


def test_a_font_that_has_the_characters_is_taken() -> None:
    font = lettering.font_for("\u00e9t\u00e9")
    assert font is not None
    assert lettering.has(font, "\u00e9")
    assert not lettering.has(font, lettering.MISSING)
