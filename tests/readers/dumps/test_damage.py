"""Damaged dumps: a few of each form; ``python -m tests.sweeps.dump_damage`` does hundreds."""

from pathlib import Path

import pytest

from tests.sweeps.dump_damage import HURTS, KINDS, attempt, wounded_case


@pytest.mark.parametrize("place", range(len(KINDS)), ids=list(KINDS))
def test_a_damaged_dump_is_read_or_refused_in_one_line(tmp_path: Path, place: int) -> None:
    kind = list(KINDS)[place]
    for number in (place % len(HURTS), 50 + place % len(HURTS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        wounded_case(kind, number, folder)
        assert attempt(kind, folder) in ("read", "refused")
