from __future__ import annotations

import io
import sys

import pytest

from segdiff.commands.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_shown_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as progress:
        progress("walk", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_phase_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar() as progress:
        progress("convert", 0, 0)
        progress("[red]walk", 3, 7)
    assert "[red]walk" in terminal.getvalue()
    assert "3/7" in terminal.getvalue()


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(False) as progress:
        progress("walk", 1, 2)
    assert terminal.getvalue() == ""


def test_an_exception_passes_through() -> None:
    with pytest.raises(KeyError), progress_bar(True):
        raise KeyError
