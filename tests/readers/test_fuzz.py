"""What coverage found: every file of the fuzzer's corpus ends in a Graph or a ModelError of one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.readers.fuzz.parsers import PARSERS, attempt, sound

CORPUS = Path(__file__).parent / "fuzz" / "corpus"

LARGEST = 200_000
"""Bytes of the whole corpus: it is kept small."""


@pytest.mark.parametrize("parser", PARSERS)
def test_the_corpus(tmp_path: Path, parser: str) -> None:
    PARSERS[parser].write(tmp_path)
    files = sorted((CORPUS / parser).iterdir())
    assert len(files) > 5
    for data in (sound(parser), *(file.read_bytes() for file in files)):
        attempt(parser, tmp_path, data)


def test_the_corpus_is_small() -> None:
    assert sum(file.stat().st_size for file in CORPUS.rglob("*") if file.is_file()) < LARGEST
