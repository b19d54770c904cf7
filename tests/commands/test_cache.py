"""``segdiff cache``: what it says of no cache, of one, and of what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdiff.commands.cli import main


def test_no_cache_yet_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["cache"]) == 0
    assert "nothing there yet" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0


def test_a_folder_that_is_none_of_ours_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photo.png").write_bytes(b"mine")
    assert main(["cache", "clear", str(tmp_path)]) == 2
    assert "is no cache" in capsys.readouterr().err
    assert (tmp_path / "photo.png").read_bytes() == b"mine"
