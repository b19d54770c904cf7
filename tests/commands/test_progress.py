from __future__ import annotations

import io
import sys

import pytest

from segdiff.commands.progress import progress_bar
from segdiff.example import example_files
from segdiff.finding.locate import PHASES, locate
from segdiff.report.phases import WORDS


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


def test_a_phase_has_words_that_a_newcomer_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar() as progress:
        progress("weigh", 1, 3)
    assert "measuring what it costs" in terminal.getvalue() and "1/3" in terminal.getvalue()


@pytest.mark.real
def test_every_phase_of_locate_is_announced_with_words_and_the_weighing_counts() -> None:
    seen: list[tuple[str, int, int]] = []
    with example_files() as files:
        locate(*files, progress=lambda *told: seen.append(told))
    assert list(dict.fromkeys(phase for phase, _, _ in seen)) == list(PHASES)
    assert set(PHASES) <= WORDS.keys() and ("weigh", 0, 1) in seen
