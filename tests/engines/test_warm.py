"""Engines that are forked from what has imported their framework: as good as started ones, as surely gone."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from segdiff.core.errors import EngineError
from segdiff.engines import Blocks, Engine, registry, warm, workers
from segdiff.engines.forked import Forked, Template
from segdiff.engines.warm import is_for_cpus, keep_warm, let_go, may_be_forked
from segdiff.engines.workers import HOMES, ONNXRUNTIME, PADDLE, Home
from segdiff.readers import find
from segdiff.readers.onnx import read
from tests.models import save, segmenter

SECONDS = 30.0

pytestmark = pytest.mark.skipif(
    not may_be_forked(ONNXRUNTIME), reason="what is installed for onnxruntime may not be forked"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(segmenter(), tmp_path_factory.mktemp("warm") / "model.onnx")


@pytest.fixture
def kept() -> Iterator[warm.Warm]:
    keep_warm()
    assert warm._kept is not None
    yield warm._kept
    let_go()


def started(model: Path, timeout: float = SECONDS) -> Engine:
    return Engine(find(model), Blocks(), timeout=timeout, threads=1)


def outputs(engine: Engine, model: Path) -> dict[str, bytes]:
    graph = read(model)
    shapes = {name: graph.values[name].shape for name in graph.inputs}
    rng = np.random.default_rng(0)
    feeds = {
        name: engine.blocks.tensor(rng.random([int(size or 1) for size in shape or ()]).astype(np.float32))
        for name, shape in shapes.items()
    }
    return {name: tensor.array.tobytes() for name, tensor in engine.run(feeds, graph.outputs).items()}


def parent_of(engine: Engine) -> int:
    return psutil.Process(engine.process.pid).ppid()


def gone(pid: int) -> bool:
    return waited(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def waited(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_forks_of_one_template_give_what_a_started_engine_gives(model: Path) -> None:
    keep_warm()
    with started(model) as first, started(model) as second:
        assert isinstance(first.child, Forked) and isinstance(second.child, Forked)
        told = outputs(first, model)
        assert outputs(second, model) == told
        assert first.process.pid != second.process.pid
        template = parent_of(first)
        assert parent_of(second) == template
    keep_warm()  # the next task
    with started(model) as third:
        assert parent_of(third) == template
    let_go()
    with started(model) as plain:
        assert not isinstance(plain.child, Forked) and parent_of(plain) == os.getpid()
        assert outputs(plain, model) == told


def test_they_have_their_frameworks_environment(model: Path, kept: warm.Warm) -> None:
    with started(model) as engine:
        engine.wait_until_ready()
        variables = Path(f"/proc/{engine.process.pid}/environ").read_bytes().decode().split("\0")
    assert {f"{name}={value}" for name, value in ONNXRUNTIME.environment.items()} <= set(variables)


def test_a_closed_one_has_ended_and_nothing_stays_open(model: Path, kept: warm.Warm) -> None:
    def once() -> int:
        with started(model) as engine:
            outputs(engine, model)
        assert engine.process.returncode is not None
        return engine.process.pid

    once()
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    pids = [once() for _ in range(3)]
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not any(map(psutil.pid_exists, pids))  # reaped, too


def test_one_that_is_killed_tells_how_and_the_next_one_works(model: Path, kept: warm.Warm) -> None:
    with started(model) as engine, started(model) as other:
        engine.wait_until_ready()
        os.kill(engine.process.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match="was killed by SIGKILL") as failure:
            outputs(engine, model)
        assert failure.value.killed and failure.value.died and not engine.is_alive
        assert engine.process.poll() == -signal.SIGKILL
        assert other.is_alive and outputs(other, model)
        with started(model) as next_one:
            assert parent_of(next_one) == parent_of(other)


def test_one_that_is_stopped_is_ended_when_it_stays_silent(model: Path, kept: warm.Warm) -> None:
    with started(model) as ready:
        ready.wait_until_ready()
    with started(model, timeout=1.0) as engine:
        engine.wait_until_ready()
        os.kill(engine.process.pid, signal.SIGSTOP)
        with pytest.raises(EngineError, match="gave no answer for 1 s"):
            outputs(engine, model)
        assert engine.process.wait(SECONDS) == -signal.SIGKILL


def test_one_can_be_waited_for_no_longer_than_is_said(model: Path, kept: warm.Warm) -> None:
    with started(model) as engine:
        assert engine.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            engine.process.wait(0.05)
        engine.process.kill()
        assert engine.process.wait(SECONDS) == -signal.SIGKILL


@pytest.mark.parametrize("how", ["close", "kill", "kill the template"])
def test_what_an_engine_has_started_ends_with_it(
    how: str, model: Path, kept: warm.Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place(monkeypatch, Home("onnxruntime", "tests.engines.starting:OnnxRuntime", forks=ONNXRUNTIME.forks))
    with started(model) as engine:
        engine.wait_until_ready()
        (child,) = psutil.Process(engine.process.pid).children()
        if how != "close":
            os.kill(engine.process.pid if how == "kill" else parent_of(engine), signal.SIGKILL)
            with pytest.raises(EngineError, match="was killed by SIGKILL"):
                outputs(engine, model)
    assert gone(child.pid)


def test_where_the_template_is_killed_its_engines_end_and_others_are_started(
    model: Path, kept: warm.Warm
) -> None:
    for _ in range(warm.TRIES + 1):
        with started(model) as engine:
            engine.wait_until_ready()
            pid = engine.process.pid
            os.kill(parent_of(engine), signal.SIGKILL)
            assert gone(pid)
            with pytest.raises(EngineError, match="was killed by SIGKILL") as failure:
                outputs(engine, model)
            assert failure.value.killed
        with started(model) as another:
            assert isinstance(another.child, Forked) and outputs(another, model)
    assert not kept.failed["onnxruntime"]


def test_what_never_comes_to_a_fork_is_not_tried_for_ever(
    model: Path, kept: warm.Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Home("onnxruntime", "tests.engines.abort:Any", forks=ONNXRUNTIME.forks)
    in_place(monkeypatch, broken)
    for _ in range(warm.TRIES + 1):
        with started(model) as engine, pytest.raises(EngineError, match="exit code 7: Error: no such"):
            engine.wait_until_ready()
        assert waited(lambda: all(not each.child.is_alive for each in kept.templates.values()))
    assert kept.failed["onnxruntime"] == warm.TRIES and not isinstance(engine.child, Forked)


def in_place(patch: pytest.MonkeyPatch, home: Home) -> None:
    """Let this be the home of what runs ONNX files."""
    patch.setattr(
        registry, "ENGINES", (replace(registry.engine_for("onnx"), home=home), *registry.ENGINES[1:])
    )
    patch.setattr(warm, "HOMES", (home,))


def test_a_framework_that_cannot_be_imported_is_told_of(
    model: Path, kept: warm.Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place(monkeypatch, Home("onnxruntime", "no_such_framework:Any", forks=ONNXRUNTIME.forks))
    with (
        started(model) as engine,
        pytest.raises(EngineError, match="ModuleNotFoundError: No module named 'no_such_framework'"),
    ):
        engine.wait_until_ready()
    assert isinstance(engine.child, Forked)


def test_last_words_are_those_of_a_started_engine(
    model: Path, kept: warm.Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, told in (
        ("Leaving", "ended with exit code 3"),
        ("Complaining", "ended with exit code 1: Error: not on this processor"),
        ("Raising", "exit code 1: .*RuntimeError: of a kind"),
    ):
        in_place(monkeypatch, Home("onnxruntime", f"tests.engines.unlucky:{name}", forks=ONNXRUNTIME.forks))
        for _ in range(2):
            with started(model) as engine, pytest.raises(EngineError, match=told):
                engine.wait_until_ready()
            monkeypatch.setattr(warm, "may_be_forked", lambda home: False)
        monkeypatch.undo()


def test_one_that_has_threads_goes_on_anew(
    model: Path, kept: warm.Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place(monkeypatch, Home("onnxruntime", "tests.engines.threaded:OnnxRuntime", forks=ONNXRUNTIME.forks))
    with started(model) as engine:
        assert isinstance(engine.child, Forked) and outputs(engine, model)
        assert "segdiff.engines.worker" in psutil.Process(engine.process.pid).cmdline()
        assert parent_of(engine) == kept.templates["onnxruntime"].child.process.pid
        os.kill(engine.process.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match="was killed by SIGKILL"):
            outputs(engine, model)


def test_a_fork_that_fails_costs_its_engine_alone(
    model: Path, kept: warm.Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place(monkeypatch, Home("onnxruntime", "tests.engines.forkless:OnnxRuntime", forks=ONNXRUNTIME.forks))
    with started(model) as engine:
        assert outputs(engine, model)
        with started(model) as other:
            with pytest.raises(EngineError, match="exit code 1: OSError: cannot fork: Resource temp"):
                other.wait_until_ready()
            assert isinstance(other.child, Forked) and not other.is_alive
        assert outputs(engine, model)


def test_nobody_waits_for_an_import_but_those_who_need_it(
    model: Path, kept: warm.Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place(monkeypatch, Home("onnxruntime", "tests.engines.hanging:OnnxRuntime", forks=ONNXRUNTIME.forks))
    begin = time.monotonic()
    with started(model, timeout=1.0) as engine:
        assert engine.is_alive
        with pytest.raises(EngineError, match="gave no answer for 1 s"):
            engine.wait_until_ready()
    assert time.monotonic() - begin < SECONDS
    monkeypatch.undo()
    let_go()


def test_several_threads_may_ask(model: Path, kept: warm.Warm) -> None:
    told = []

    def once() -> None:
        for _ in range(3):
            with started(model) as engine:
                told.append(outputs(engine, model))

    threads = [threading.Thread(target=once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * SECONDS)
    assert len(told) == 12 and all(each == told[0] for each in told)
    assert len(kept.templates) == 1


def test_an_interrupted_close_leaves_nothing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_warm()
    assert warm._kept is not None
    engine = started(model)
    pid = engine.process.pid
    template = warm._kept.templates["onnxruntime"]

    def interrupted(self: Template, message: type[object], fork: int) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Template, "ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.close()
    let_go()
    assert gone(pid) and not template.living and not template.child.is_alive


def test_letting_go_ends_the_templates(model: Path) -> None:
    keep_warm()
    with started(model) as engine:
        engine.wait_until_ready()
        template = parent_of(engine)
    assert psutil.pid_exists(template)  # for the next task
    let_go()
    assert gone(template) and workers.forks is None
    let_go()  # twice does no harm


@pytest.mark.parametrize("known", [True, False])
def test_letting_go_waits_for_whoever_still_runs(known: bool, model: Path) -> None:
    """The workers of a cluster may work for two sweeps, of which one ends; nor has everybody who starts an
    engine asked for templates. ``known``: whether the number of its process is."""
    keep_warm()
    with started(model) as engine:
        engine.wait_until_ready()
        assert warm._kept is not None
        template = warm._kept.templates["onnxruntime"].child
        if known:
            assert parent_of(engine) == template.process.pid
        let_go()
        assert outputs(engine, model)
        with started(model) as another:
            assert not isinstance(another.child, Forked)
        assert template.is_alive
    assert waited(lambda: not template.is_alive)


def test_two_threads_may_end_one_engine(model: Path, kept: warm.Warm) -> None:
    """Who is interrupted stops an engine that another thread waits for."""

    def once() -> None:
        told: list[int | None] = []
        with started(model) as engine:
            engine.wait_until_ready()
            looks = [threading.Thread(target=lambda: told.append(engine.child.wait(SECONDS))) for _ in "ab"]
            for look in looks:
                look.start()
            engine.child.stop()
            for look in looks:
                look.join(SECONDS)
            assert told == [-signal.SIGKILL] * 2
            assert engine.child.stop() == -signal.SIGKILL

    with started(model) as other:
        for _ in range(5):
            once()
        assert outputs(other, model) and parent_of(other) == kept.templates["onnxruntime"].child.process.pid


def test_a_template_that_was_not_asked_for_long_is_not_asked_again(model: Path, kept: warm.Warm) -> None:
    with started(model) as engine:
        engine.wait_until_ready()
        first = kept.templates["onnxruntime"]
        first.used -= 2 * warm.IDLE
        with started(model) as second:
            assert parent_of(second) == first.child.process.pid  # it has a fork, and does not end
    first.used -= 2 * warm.IDLE
    with started(model) as third:
        assert parent_of(third) != first.child.process.pid and outputs(third, model)
    assert not kept.failed["onnxruntime"]


PARENT = """
import os, signal, sys, psutil
from segdiff.engines import Blocks, Engine, warm
from segdiff.readers import find

warm.keep_warm()
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
engine = Engine(find(sys.argv[1]), Blocks(), timeout=30, threads=1)
engine.wait_until_ready()
print(engine.process.pid, psutil.Process(engine.process.pid).ppid(), flush=True)
if sys.argv[2] == "a fork is left":
    ready, told = os.pipe()
    if os.fork() == 0:
        os.close(1)
        os.write(told, b"!")
        signal.pause()
    os.read(ready, 1)
    os._exit(3)
if sys.argv[2] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "exception":
    raise RuntimeError
"""


@pytest.mark.parametrize("how", ["return", "exception", "kill", "a fork is left", "deaf"])
def test_none_outlives_its_parent(how: str, model: Path) -> None:
    """Also where another process still holds its end of the socket, or it does not ask for its children."""
    script = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(model), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    told, _ = script.communicate(timeout=SECONDS)
    try:
        assert len(told.split()) == 2
        assert all(gone(int(pid)) for pid in told.split()), f"something still runs after {how}"
    finally:
        try:
            os.killpg(script.pid, signal.SIGKILL)
        except ProcessLookupError:
            assert how != "a fork is left"


def test_what_may_be_forked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def installed(*names: str) -> list[bool]:
        for folder in tmp_path.iterdir():
            folder.rmdir()
        for name in names:
            (tmp_path / f"{name}-1.0.dist-info").mkdir()
        is_for_cpus.cache_clear()
        return [may_be_forked(home) for home in (ONNXRUNTIME, PADDLE)]

    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [b"no text", "", "\0", str(tmp_path / "missing"), str(tmp_path)])
        assert installed("onnxruntime", "numpy", "paddlepaddle") == [True, True]
        assert installed("onnxruntime", "onnxruntime_gpu", "paddle_custom_npu", "paddlepaddle") == [
            False,
            False,
        ]
        assert installed("onnxruntime_gpu", "paddlepaddle", "paddle2onnx") == [False, True]
        assert installed("onnxruntime", "paddlepaddle_gpu") == [True, False]
        assert installed("onnxruntime", "paddlepaddle") == [True, True]
        assert not may_be_forked(replace(ONNXRUNTIME, forks=None))
        patch.setenv("ORT_DISABLE_TELEMETRY", "0")  # then it has a thread
        assert installed("onnxruntime", "paddlepaddle") == [False, True]
        patch.setattr(sys, "platform", "darwin")
        assert installed("onnxruntime", "paddlepaddle") == [False, False]
    is_for_cpus.cache_clear()


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.framework)
def test_what_is_forked_has_no_thread_but_those_of_blas(home: Home) -> None:
    """A thread is not forked, and what it holds would never be let go. Those of numpy's BLAS are told of a
    fork; with one core it has none."""
    modules = ", ".join(filter(None, [home.module, home.cutting]))
    variables = {**os.environ, **home.environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    count = f"import os, {modules}; print(len(os.listdir('/proc/self/task')))"
    done = subprocess.run([sys.executable, "-c", count], env=variables, capture_output=True, text=True)
    assert done.stdout.split()[-1:] == ["1"], done.stderr
