"""Is a sweep's table the same whoever does the work, and whatever happens on the way?"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import InputError
from segdiff.core.sweep_report import SweepReport
from segdiff.engines import warm, workers
from segdiff.engines.forked import Template
from segdiff.engines.workers import Home
from tests.models import classified, image
from tests.schema import check

SIDE = (1, 3, 8, 12)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs in a list: one that agrees, two with the same fault, and a broken one in the middle."""
    folder = tmp_path_factory.mktemp("desk")
    onnx.save(classified(rewritten=False), folder / "before.onnx")
    onnx.save(classified(rewritten=True), folder / "after.onnx")
    (folder / "broken.onnx").write_bytes(b"no model")
    for seed in range(2):
        np.save(folder / f"{seed}.npy", image(SIDE, seed))
    rows = [
        {"name": "1 agrees", "reference": "before.onnx", "candidate": "before.onnx"},
        {"name": "2 differs", "reference": "before.onnx", "candidate": "after.onnx"},
        {"name": "3 broken", "reference": "before.onnx", "candidate": "broken.onnx"},
        {"name": "4 differs, too", "reference": "before.onnx", "candidate": "after.onnx"},
    ]
    rows[3]["images"] = ["0.npy", "1.npy"]  # type: ignore[assignment]
    (folder / "pairs.json").write_text(json.dumps({"images": "0.npy", "pairs": rows}))
    return folder


@pytest.fixture(scope="module")
def alone(desk: Path) -> SweepReport:
    return segdiff.sweep(desk / "pairs.json")


def table(swept: SweepReport) -> str:
    """All that a sweep says but times, and which files it kept."""
    return json.dumps(without(swept.to_dict(), {"seconds", "timing_s", "report", "page", "remarks"}))


def without(data: Any, names: set[str]) -> Any:
    if isinstance(data, Mapping):
        return {name: without(each, names) for name, each in data.items() if name not in names}
    return [without(each, names) for each in data] if isinstance(data, list) else data


def test_the_table(alone: SweepReport) -> None:
    check(json.loads(alone.to_json()))
    assert [pair.verdict for pair in alone.pairs] == ["agrees", "diverges", "inconclusive", "diverges"]
    failure = alone.pair("3 broken").images[0].failure
    assert failure and failure.type == "ModelError" and failure.kind == "refused"
    assert len(alone.faults) == 1
    fault = alone.faults[0]
    assert (fault.kind, fault.pairs) == ("softmax.axis", ("2 differs", "4 differs, too"))
    assert fault.alone == fault.pairs and len(alone.pair("4 differs, too").images) == 2
    assert "1 fault explains 2 of the 2: softmax.axis" in alone.sentence
    assert "1 pair could not be told" in alone.sentence
    assert alone.verdict == "diverges" and alone.exit_code == 1


def test_each_framework_is_imported_once(
    desk: Path, alone: SweepReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Template] = []
    make = warm.template_of

    def counted(home: Home) -> Template:
        made.append(make(home))
        return made[-1]

    monkeypatch.setattr(warm, "template_of", counted)
    assert table(segdiff.sweep(desk / "pairs.json")) == table(alone)
    assert len(made) == warm.may_be_forked(workers.ONNXRUNTIME) and workers.forks is None
    assert all(template.child.process.returncode is not None for template in made)


def test_without_templates_the_table_is_the_same(
    desk: Path, alone: SweepReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "may_be_forked", lambda home: False)
    assert table(segdiff.sweep(desk / "pairs.json")) == table(alone)


def test_two_workers_give_the_same(desk: Path, alone: SweepReport) -> None:
    assert table(segdiff.sweep(desk / "pairs.json", workers=2)) == table(alone)


def test_a_cluster_gives_the_same(desk: Path, alone: SweepReport) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True, silence_logs=50
    ) as cluster:
        assert table(segdiff.sweep(desk / "pairs.json", scheduler=cluster.scheduler_address)) == table(alone)


def test_a_worker_that_is_killed_changes_nothing(desk: Path, alone: SweepReport) -> None:
    stop = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while not stop.wait(0.5) and len(killed) < 2:
            for pid in workers_of(os.getpid()):
                time.sleep(0.7)  # into its task
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                break

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        swept = segdiff.sweep(desk / "pairs.json", workers=2)
    finally:
        stop.set()
        killer.join()
    assert killed and table(swept) == table(alone)


def workers_of(parent: int) -> Iterator[int]:
    """The workers among a process's children."""
    for child in psutil.Process(parent).children():
        try:
            if any("spawn_main" in word for word in child.cmdline()):
                yield child.pid
        except psutil.Error:
            continue


def test_a_second_start_does_what_is_missing_alone(desk: Path, alone: SweepReport, tmp_path: Path) -> None:
    out = tmp_path / "swept"
    first = segdiff.sweep(desk / "pairs.json", out=out)
    assert table(first) == table(alone)
    check(json.loads((out / "sweep.json").read_text()))
    index = (out / "index.html").read_text()
    for pair in first.pairs:
        for each in pair.images:
            assert (each.page is None) == (each.failure is not None)
            assert each.page is None or (f'href="{each.page}"' in index and (out / each.page).is_file())
            assert each.report is None or segdiff.load(out / each.report).verdict == each.verdict

    lines = (out / "results.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 4  # what failed is tried again
    (out / "results.jsonl").write_text("".join(lines[:3]) + lines[3][:20])  # interrupted while writing
    second = segdiff.sweep(desk / "pairs.json", out=out)
    assert table(second) == table(alone) and "2 results were already there" in second.remarks[0]
    assert len((out / "results.jsonl").read_text().splitlines()) == 1 + 4
    third = segdiff.sweep(desk / "pairs.json", out=out, workers=2)
    assert "4 results were already there" in third.remarks[0]


def test_results_of_changed_files_are_not_taken(desk: Path, tmp_path: Path) -> None:
    for name in ("before.onnx", "after.onnx", "0.npy"):
        (tmp_path / name).write_bytes((desk / name).read_bytes())
    rows = [{"name": "a", "reference": tmp_path / "before.onnx", "candidate": tmp_path / "after.onnx"}]
    out = tmp_path / "swept"

    def again() -> SweepReport:
        return segdiff.sweep(rows, images=tmp_path / "0.npy", out=out)

    assert again().verdict == "diverges"
    (tmp_path / "after.onnx").write_bytes((desk / "before.onnx").read_bytes())
    changed = again()
    assert changed.verdict == "agrees" and not changed.remarks and changed.exit_code == 0


def test_the_command(desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, report = tmp_path / "swept", tmp_path / "swept.json"
    words = ["sweep", str(desk / "pairs.json"), "--out", str(out)]
    assert main([*words, "--json", str(report), "--workers", "2"]) == 1
    shown = capsys.readouterr()
    assert "1 fault explains 2 of the 2" in shown.out and "3 broken" in shown.out and not shown.err
    saved = json.loads(report.read_text())
    check(saved)
    assert saved["command"][:2] == ["segdiff", "sweep"] and saved["exit_code"] == 1
    # the rest comes from what was kept
    assert main([*words, "--json", "-"]) == 1
    assert json.loads(capsys.readouterr().out)["remarks"]
    # all that diverges is known; one pair could not be told
    assert main([*words, "--baseline", str(report)]) == 2
    shown = capsys.readouterr()
    assert "3 known, 0 new" in " ".join(shown.out.split()) and "could not tell" in shown.err


def test_the_folder_of_the_results_is_nobodys(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["sweep", str(desk / "pairs.json"), "--out", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
    with pytest.raises(InputError, match="lies in"):
        segdiff.sweep(desk, images=desk / "0.npy", out=desk / "swept")


def test_no_pair_at_all_could_not_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(tmp_path), "--json", str(tmp_path / "r.json")]) == 2
    assert "no pair" in capsys.readouterr().err
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "error"
