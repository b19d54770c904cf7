"""Do tasks come to their end, whoever does them and whatever happens to the workers?"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segdiff.core.crew import crew_of
from segdiff.core.crew.cluster import ended
from segdiff.core.crew.told import Crew
from segdiff.core.errors import EngineError, InputError
from tests.core import crews

WAYS = ("here", "local", "dask")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a Dask cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),  # to a worker that is dead
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True, silence_logs=50
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture(params=WAYS)
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    told: dict[str, Any] = {"here": {}, "local": {"workers": 2}}.get(request.param, {})
    if request.param == "dask":
        told = {"scheduler": request.getfixturevalue("scheduler")}
    with crew_of(**told) as made:
        yield made


def test_every_item_comes_back_once(crew: Crew) -> None:
    done = list(crew.run(crews.doubled, range(7)))
    assert {each.number: each.value for each in done} == {n: 2 * n for n in range(7)}
    assert len(done) == 7 and not any(each.failure for each in done)


def test_nothing_to_do_is_done(crew: Crew) -> None:
    assert list(crew.run(crews.doubled, ())) == []


def test_a_failure_is_told_and_ends_nothing(crew: Crew) -> None:
    done = {each.number: each for each in crew.run(crews.picky, range(4))}
    assert [done[n].value for n in (0, 3)] == [0, 3]
    one, two = done[1].failure, done[2].failure
    assert one and (one.kind, one.type, one.message) == ("refused", "InputError", "one is not taken")
    assert two and (two.kind, two.type) == ("failed", "ZeroDivisionError")


def test_what_is_held_is_let_go(crew: Crew, tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert len(list(crew.run(crews.holding, [folder] * 4, leave=crews.Leave(folder)))) == 4
    words = (tmp_path / "log").read_text().split()
    assert words.count("use") == 4 and 1 <= words.count("open") <= 2
    if type(crew).__name__ != "Local":  # there the processes end
        assert words.count("close") == words.count("open")


def test_a_task_whose_worker_dies_is_begun_again(tmp_path: Path) -> None:
    with crew_of(workers=2) as crew:
        done = list(crew.run(crews.deadly_once, [(n, str(tmp_path)) for n in range(3)]))
    assert sorted(each.value for each in done) == [0, 1, 2]


def test_a_task_that_kills_each_worker_is_told_as_lost() -> None:
    with crew_of(workers=2) as crew:
        done = {each.number: each for each in crew.run(crews.deadly, range(4))}
    assert [done[n].value for n in (0, 2, 3)] == [0, 2, 3]
    failure = done[1].failure
    assert failure and failure.kind == "lost"


def test_a_task_that_a_cluster_gives_up_is_told_as_lost() -> None:
    state = SimpleNamespace(address="tcp://a:1")  # of the last worker
    killed = pytest.importorskip("distributed").KilledWorker("task", state, 3)
    future: Future[Any] = Future()
    future.set_exception(killed)
    failure = ended(future, 5).failure
    assert failure and (failure.kind, failure.type) == ("lost", "KilledWorker")


def test_closing_stops_what_runs() -> None:
    begin = time.monotonic()
    with crew_of(workers=2) as crew:
        run = crew.run(crews.slow, range(4))
        assert next(iter(run)).value == 0
        run.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begin < 30


def test_the_cores_are_divided() -> None:
    with crew_of() as alone, crew_of(workers=200) as many:
        assert alone.threads >= 1 and many.threads == 1 and many.workers == 200


@pytest.mark.parametrize("workers", [0, -1, 1.5, 100_000])
def test_a_number_that_makes_no_sense_is_refused(workers: Any) -> None:
    with pytest.raises(InputError, match="workers"), crew_of(workers=workers):
        pass


def test_both_are_refused() -> None:
    with pytest.raises(InputError, match="not both"), crew_of(workers=2, scheduler="tcp://localhost:1"):
        pass


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("segdiff.core.crew.cluster.PATIENCE", 1.0)
    with pytest.raises(EngineError, match="no Dask scheduler"), crew_of(scheduler="tcp://127.0.0.1:9"):
        pass


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError, match=r"segdiff\[dask\]"), crew_of(scheduler="tcp://127.0.0.1:9"):
        pass


def test_a_script_that_starts_itself_over_and_over_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from segdiff.core.crew import crew_of\n"
        "from tests.core.crews import doubled\n"
        "with crew_of(workers=2) as crew:\n    print(list(crew.run(doubled, range(3))))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and "if __name__ == '__main__':" in done.stderr
