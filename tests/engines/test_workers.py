"""Workers that are started before segdiff is imported are taken by the engines that need one, or ended."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from segdiff.core.process import run_module
from segdiff.engines import Blocks, Engine, warm, workers
from segdiff.engines.early import begun, likely
from segdiff.engines.warm import may_be_forked
from segdiff.engines.workers import ONNXRUNTIME, PADDLE, WHOLE_ONNXRUNTIME, worker_of
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
        (home, spare) = workers.spares[0]
        assert home == ONNXRUNTIME and len(workers.spares) == 1
        with Engine(find(model), Blocks(), timeout=60, threads=1) as engine:
            assert (engine.owner, engine.process) == (spare.owner, spare.child.process)
            engine.wait_until_ready()
            assert not workers.spares
        with Engine(find(model), Blocks(), timeout=60, threads=1) as another:
            another.wait_until_ready()
            assert another.process is not engine.process


def test_one_for_another_framework_or_python_is_not_taken(model: Path) -> None:
    with begun([model]):
        (_, spare) = workers.spares[0]
        for other in (worker_of(WHOLE_ONNXRUNTIME), worker_of(ONNXRUNTIME, sys.executable)):
            assert other.owner != spare.owner
            other.close()
        assert spare.child.is_alive


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """What looks like a Paddle model."""
    folder = tmp_path / "deploy"
    folder.mkdir()
    (folder / "model.pdiparams").write_bytes(b"")
    return folder


def test_what_nobody_takes_ends(model: Path, deploy: Path) -> None:
    with pytest.raises(ZeroDivisionError), begun([deploy, model]):
        started = [spare.child for _, spare in workers.spares]
        assert len({child.process.pid for child in started}) == 2
        raise ZeroDivisionError
    assert not workers.spares and all(child.process.returncode is not None for child in started)


@pytest.mark.skipif(not may_be_forked(ONNXRUNTIME), reason="what is installed may not be forked")
def test_two_for_one_framework_are_forked_from_one(model: Path) -> None:
    children = psutil.Process().children()
    with begun([model, model]):
        assert not workers.spares
        (template,) = set(psutil.Process().children()) - set(children)
        ours = [Engine(find(model), Blocks(), timeout=60, threads=1) for _ in range(2)]
        for engine in ours:
            engine.wait_until_ready()
            assert psutil.Process(engine.process.pid).ppid() == template.pid
            engine.close()
    assert workers.forks is None and not template.is_running()
    with pytest.raises(ZeroDivisionError), begun([model, model]):
        raise ZeroDivisionError
    assert workers.forks is None and set(psutil.Process().children()) == set(children)


def test_where_it_may_not_be_forked_both_are_begun(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "may_be_forked", lambda home: False)
    with begun([model, model]):
        assert [home for home, _ in workers.spares] == [ONNXRUNTIME, ONNXRUNTIME]
        assert workers.forks is None
    assert not workers.spares


def test_where_none_can_be_started_the_engine_tells(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "run_module", lambda *_: ["/no/such/python"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    with begun([model]):
        assert not workers.spares
        monkeypatch.setattr(workers, "run_module", run_module)
        worker_of(ONNXRUNTIME).close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
