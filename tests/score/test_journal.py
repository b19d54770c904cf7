"""Results of a run that was interrupted, in a file that was damaged since."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdiff.score.journal import Journal
from tests.sweeps.damage import RUN, journal


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", '"one"', "[1]", "{}", "null"])
def test_an_entry_that_is_no_number_is_dropped_with_all_that_follow(tmp_path: Path, number: str) -> None:
    journal(tmp_path)
    file = tmp_path / "results.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace('"entry":2', f'"entry":{number}')
    file.write_text("".join(lines))
    with Journal(file, RUN) as kept:
        assert [entry for entry, _ in kept.done()] == [0, 1]
    assert file.read_text() == "".join(lines[:3])
