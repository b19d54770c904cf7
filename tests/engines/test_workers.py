"""Workers that are started before segdiff is imported are taken by the engines that need one, or ended."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from segdiff.core.process import run_module
from segdiff.engines import Blocks, Engine, workers
from segdiff.engines.workers import ONNXRUNTIME, PADDLE, WHOLE_ONNXRUNTIME, begun, likely, worker_of
from segdiff.readers import find
from tests.models import save, segmenter


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(segmenter(), tmp_path / "model.onnx")


def test_what_runs_a_file_is_told_by_its_name(tmp_path: Path, model: Path) -> None:
    assert likely(model) == likely(str(model)) == ONNXRUNTIME
    assert likely(tmp_path) is None and likely(tmp_path / "missing.onnx") is None
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "model.json").write_text("{}")
    assert likely(tmp_path / "deploy") is None  # a dump has an index, too
    (tmp_path / "deploy" / "model.pdiparams").write_bytes(b"")
    assert likely(tmp_path / "deploy") == likely(tmp_path / "deploy" / "model.json") == PADDLE


def test_an_engine_takes_the_worker_that_was_begun(model: Path) -> None:
    with begun([model, "missing.onnx"]):
        (home, spare) = workers._spares[0]
        assert home == ONNXRUNTIME and len(workers._spares) == 1
        with Engine(find(model), Blocks(), timeout=60, threads=1) as engine:
            assert (engine.owner, engine.process) == (spare.owner, spare.child.process)
            engine.wait_until_ready()
            assert not workers._spares
        with Engine(find(model), Blocks(), timeout=60, threads=1) as another:
            another.wait_until_ready()
            assert another.process is not engine.process


def test_one_for_another_framework_or_python_is_not_taken(model: Path) -> None:
    with begun([model]):
        (_, spare) = workers._spares[0]
        for other in (worker_of(WHOLE_ONNXRUNTIME), worker_of(ONNXRUNTIME, sys.executable)):
            assert other.owner != spare.owner
            other.close()
        assert spare.child.is_alive


def test_what_nobody_takes_ends(model: Path) -> None:
    with pytest.raises(ZeroDivisionError), begun([model, model]):
        started = [spare.child for _, spare in workers._spares]
        assert len({child.process.pid for child in started}) == 2
        raise ZeroDivisionError
    assert not workers._spares and all(child.process.returncode is not None for child in started)


def test_where_none_can_be_started_the_engine_tells(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "run_module", lambda *_: ["/no/such/python"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    with begun([model]):
        assert not workers._spares
        monkeypatch.setattr(workers, "run_module", run_module)
        worker_of(ONNXRUNTIME).close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
