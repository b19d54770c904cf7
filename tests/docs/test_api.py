"""Does the API page speak of every public name?"""

from __future__ import annotations

import re
from pathlib import Path

import segdiff

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_every_public_name_has_a_place() -> None:
    shown = re.findall(r"^::: ([\w.]+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    names = {name.rpartition(".")[2] for name in shown}
    errors = {name for name in segdiff.__all__ if name.endswith("Error")}
    assert "segdiff.core.errors" in shown
    assert set(segdiff.__all__) - errors <= names and "open_case" in names
