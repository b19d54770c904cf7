"""Is what was kept given back to the last bit, and nothing else, whatever has become of the folder?"""

from __future__ import annotations

import io
import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from segdiff.core.errors import InputError
from segdiff.core.graph import Array
from segdiff.engines.cache import HEAD, MAGIC, TENSOR, Cache, Values, clear, evict, held, opened

MODEL, INPUT = "a" * 32, "b" * 32

ARRAYS: tuple[Array, ...] = (
    np.array([np.nan, -0.0, np.inf, 1e-45], np.float32),
    np.array(3.0),
    np.zeros((0, 4), np.int64),
    np.arange(5, dtype=np.uint8),
    np.array([True, False]),
    np.arange(24, dtype=np.float16).reshape(2, 3, 4),
    np.arange(24.0).reshape(2, 3, 4)[:, ::2],
)


def values(folder: Path, number: int = 0, limit: int = 1 << 30) -> Values:
    return Values(opened(folder, limit), MODEL, f"{number:032x}")


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"*{TENSOR}"))


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_a_tensor_comes_back_to_the_last_bit(array: Array, tmp_path: Path) -> None:
    kept = values(tmp_path)
    kept.add("run", "conv/1:0", array)
    found = kept.load("run", "conv/1:0")
    assert found is not None and (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    assert kept.load("deployed", "conv/1:0") is None and kept.load("run", "conv/1") is None


def test_what_python_would_have_to_unpickle_is_not_kept(tmp_path: Path) -> None:
    kept = values(tmp_path)
    kept.add("run", "words", np.array(["a", None], object))
    assert kept.load("run", "words") is None and not files(tmp_path)


class Evil:
    """Would run code where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


def spoilt() -> dict[str, bytes]:
    """What may stand in a file that was a tensor's, by what it is."""
    stored = io.BytesIO()
    np.save(stored, np.array([Evil()], object), allow_pickle=True)
    odd = b'{"name":"v","kind":"run","dtype":"object","shape":[1],"sum":0}'
    huge = b'{"name":"v","kind":"run","dtype":"float32","shape":[99999999999,9999],"sum":0}'
    below = b'{"name":"v","kind":"run","dtype":"float32","shape":[-1],"sum":0}'
    heads = {"objects": odd, "huge": huge, "negative": below, "no JSON": b"\xff", "a list": b"[1]"}
    heads["deep"] = b"[" * 60000
    return {
        "empty": b"",
        "short": b"SEG",
        "a pickle": pickle.dumps(Evil()),
        "an npy of objects": stored.getvalue(),
        "a long head": HEAD.pack(MAGIC, 1 << 31),
        **{name: HEAD.pack(MAGIC, len(head)) + head for name, head in heads.items()},
    }


@pytest.mark.parametrize("what", spoilt())
def test_a_strange_file_is_thrown_away(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = values(tmp_path / "cache")
    kept.add("run", "v", np.ones(3, np.float32))
    files(tmp_path)[0].write_bytes(spoilt()[what])
    assert kept.load("run", "v") is None
    assert not files(tmp_path) and not (tmp_path / "ran").exists()


def test_a_changed_bit_and_a_lost_end_are_seen(tmp_path: Path) -> None:
    kept = values(tmp_path)
    array = np.random.default_rng(0).standard_normal((7, 1001)).astype(np.float32)
    kept.add("run", "v", array)
    whole = files(tmp_path)[0].read_bytes()
    begin = len(whole) - array.nbytes
    for place in (begin, begin + 8191, len(whole) // 2, len(whole) - 1):
        for bit in (0, 7):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            files_of = kept._place("run", "v")
            files_of.write_bytes(changed)
            assert kept.load("run", "v") is None and not files(tmp_path)
    for length in (begin - 1, begin, len(whole) - 1):
        kept._place("run", "v").write_bytes(whole[:length])
        assert kept.load("run", "v") is None
    kept._place("run", "v").write_bytes(whole + b"\0")
    assert kept.load("run", "v") is None
    kept._place("run", "v").write_bytes(whole)
    assert kept.load("run", "v") is not None


def test_a_list_of_names_may_be_anything(tmp_path: Path) -> None:
    kept = values(tmp_path)
    kept.note("run", order=["a", "c"], absent=[])
    kept.note("run", order=["a", "b", "c"], repeats=["a"])
    assert kept.listed()["order"] == {"run": ["a", "b", "c"]} and kept.listed()["repeats"] == {"run": ["a"]}
    for strange in (
        b"",
        b"[]",
        b'{"order": 3}',
        b'{"order": {"run": [1, "a"], "x": 2}}',
        b"\xff",
        b"[" * 99999,
    ):
        (kept.folder / "values.json").write_bytes(strange)
        assert kept.listed()["order"].get("run", []) in ([], ["a"])


def test_what_was_not_needed_for_longest_goes_first(tmp_path: Path) -> None:
    array = np.zeros(1000, np.float32)
    for number in range(4):
        each = values(tmp_path, number, limit=13_500)  # room for three
        each.add("run", "v", array)
        if number == 3:
            values(tmp_path, 0).used()
        time.sleep(0.02)
        each.note("run", order=["v"])
    found = [values(tmp_path, number).load("run", "v") is not None for number in range(4)]
    assert found == [True, False, True, True]
    assert held(tmp_path).inputs == 3 and held(tmp_path).bytes <= 13_500


def test_one_that_is_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    kept = values(tmp_path, limit=1000)
    kept.add("run", "v", np.zeros(1000, np.float32))
    assert not files(tmp_path)


def add_and_look(folder: str, seed: int) -> int:
    """Writes, reads and evicts, one process of several; how often a tensor was not what was written."""
    wrong = 0
    for turn in range(60):
        number = (seed * 7 + turn) % 5
        array = np.full(5000, number, np.float32)
        kept = Values(Cache(Path(folder), 65_000), MODEL, f"{number:032x}")  # room for three of five
        kept.add("run", "v", array)
        kept.note("run", order=["v"])
        found = kept.load("run", "v")
        wrong += found is not None and not np.array_equal(found, array)
    return wrong


def test_processes_that_write_read_and_evict_at_once_see_whole_tensors(tmp_path: Path) -> None:
    opened(tmp_path)
    with ProcessPoolExecutor(3) as pool:
        assert list(pool.map(add_and_look, [str(tmp_path)] * 3, range(3))) == [0, 0, 0]
    evict(Cache(tmp_path, 65_000))
    assert held(tmp_path).bytes <= 65_000
    clear(tmp_path)  # also of what was being written while its folder was removed
    assert [each.name for each in tmp_path.iterdir()] == ["segdiff-cache.json"]


def test_a_folder_of_something_else_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    for refused in (opened, held, clear):
        with pytest.raises(InputError, match="no cache of segdiff"):
            refused(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "all of it"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be a cache"):
        opened(tmp_path / "file")


def test_clearing_removes_what_is_the_caches_own(tmp_path: Path) -> None:
    values(tmp_path).add("run", "v", np.zeros(3, np.float32))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    (tmp_path / ".gone-x").mkdir()
    found = clear(tmp_path)
    assert (found.models, found.inputs, found.tensors) == (1, 1, 1)
    assert held(tmp_path).tensors == 0 and not (tmp_path / ".gone-x").exists()
    assert (tmp_path / "notes" / "mine.txt").exists()
