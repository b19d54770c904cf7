"""What the candidate was fed is read from arrays, files and the user's own code, whatever that code does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdiff.core.errors import InputError
from segdiff.inputs.fed import candidate_reader, read_candidate_input
from tests.inputs.pictures import noise, save, write

GOOD = """
import sys
import cv2
import numpy as np
from helper import FACTOR

print("chatter on stdout")
print("an Error on stderr", file=sys.stderr)

def preprocess(path):
    return cv2.imread(path).transpose(2, 0, 1)[None].astype(np.float32) * FACTOR

class Steps:
    @staticmethod
    def run(path):
        return {"x": preprocess(path)}

def touch(path):
    with open("called", "w") as file:
        file.write(path)
    return preprocess(path)

if __name__ == "__main__":
    raise SystemExit("run as a script")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "helper.py", "FACTOR = 2\n")
    write(tmp_path / "mine.py", GOOD)
    save(tmp_path / "a.png", noise(5, 7))
    return tmp_path


def wanted() -> Any:
    return noise(5, 7).transpose(2, 0, 1)[None].astype(np.float32) * 2


@pytest.mark.parametrize(
    "name", ["mine:preprocess", "mine.py:preprocess", "./mine.py:preprocess", "mine:Steps.run"]
)
def test_named_function(folder: Path, name: str) -> None:
    fed = read_candidate_input(name, "a.png")
    np.testing.assert_array_equal(fed.tensor, wanted())
    assert "(1, 3, 5, 7) float32" in fed.how[0] and name in fed.how[0]


def test_script_elsewhere_finds_its_neighbours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = folder / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    fed = read_candidate_input(f"{folder / 'mine.py'}:touch", folder / "a.png")
    np.testing.assert_array_equal(fed.tensor, wanted())
    assert (other / "called").read_text() == str(folder / "a.png")  # it ran in the user's folder


def test_a_module_in_the_folder_does_not_replace_a_library(folder: Path) -> None:
    write(folder / "yaml.py", "raise RuntimeError('the wrong yaml')\n")
    np.testing.assert_array_equal(read_candidate_input("mine:preprocess", "a.png").tensor, wanted())


def test_the_script_prints_nothing_of_ours(folder: Path) -> None:
    """What the script prints must not get between the lines of a report or of --json -."""
    code = "from segdiff.inputs.fed import read_candidate_input as r; r('mine:preprocess', 'a.png')"
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONPATH": root}, check=True
    )
    assert done.stdout == b"" and done.stderr == b""


def test_array_npy_and_callable(folder: Path) -> None:
    array = np.arange(12, dtype=np.float64).reshape(1, 3, 2, 2)[:, ::-1]
    np.save("t.npy", array)
    np.testing.assert_array_equal(read_candidate_input(array).tensor, array)
    np.testing.assert_array_equal(read_candidate_input("t.npy").tensor, array)
    np.testing.assert_array_equal(read_candidate_input(Path("t.npy")).tensor, array)
    seen: list[str] = []

    def mine(path: str) -> Any:
        seen.append(path)
        return array

    np.testing.assert_array_equal(read_candidate_input(mine, Path("a.png")).tensor, array)
    assert seen == ["a.png"]


def test_a_framework_tensor_counts() -> None:
    class Tensor:
        def detach(self) -> Tensor:
            return self

        def numpy(self) -> Any:
            return np.ones((1, 3, 2, 2), np.float32)

    given = Path(__file__)
    assert read_candidate_input(lambda path: Tensor(), given).tensor.shape == (1, 3, 2, 2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "def f(path):\n    return 1 / 0",
            r"'bad:f' failed on a\.png: ZeroDivisionError: division by zero \(bad\.py, line 2\)",
        ),
        ("def f(path):\n    raise KeyError", r"failed on a\.png: KeyError \(bad\.py, line 2\)"),
        (
            "import numpy\ndef f(path):\n    return numpy.zeros(3).reshape(2)",
            r"cannot reshape.*\(bad\.py, line 3\)",
        ),
        ("import sys\ndef f(path):\n    sys.exit(3)", r"it exits with 3 \(bad\.py, line 3\)"),
        ("def f():\n    return 1", r"takes 0 positional arguments"),
        ("def f(path):\n    pass", r"returned nothing \(None\), not a tensor; return one tensor"),
        ("def f(path):\n    return 'x'", "returned a str, not a tensor"),
        ("def f(path):\n    return (1, 2)", "returned a tuple, not a tensor"),
        ("import numpy\ndef f(path):\n    return numpy.zeros((0, 3))", "empty tensor"),
        ("import numpy\ndef f(path):\n    return numpy.array(['a'])", "not of real numbers"),
        ("import numpy\ndef f(path):\n    return numpy.array([{}])", "not a tensor"),
        ("import os\ndef f(path):\n    os._exit(4)", r"ended with exit code 4 and no tensor"),
        ("import os\ndef f(path):\n    os.abort()", "was killed by SIGABRT"),
        ("def f(path):\n  return 1 +", r"cannot be imported: SyntaxError.*\(bad\.py, line 2\)"),
        ("import no_such_thing", r"No module named 'no_such_thing' \(bad\.py, line 1\)"),
        ("raise SystemExit(2)", r"it exits with 2.*belongs under `if __name__ == \"__main__\":`"),
        ("def g(path): ...\ndef h(path): ...", r"bad has no function 'f'; it has g, h"),
        ("f = 3", r"no function 'f'; it has no functions"),
        (
            "import atexit\ndef f(path):\n    return print",
            "returned a builtin_function_or_method, not a tensor",
        ),
    ],
)
def test_bad_functions_end_in_one_line(folder: Path, body: str, message: str) -> None:
    write(folder / "bad.py", body + "\n")
    with pytest.raises(InputError, match=message) as caught:
        read_candidate_input("bad:f", "a.png", timeout=60)
    assert "\n" not in str(caught.value)


def test_a_function_that_never_returns(folder: Path) -> None:
    write(
        folder / "slow.py",
        "import subprocess, time\ndef f(path):\n    child = subprocess.Popen(['sleep', '60'])\n"
        "    open('child', 'w').write(str(child.pid))\n    time.sleep(60)\n",
    )
    start = time.monotonic()
    with pytest.raises(InputError, match=r"'slow:f' did not return within 3 s for a\.png"):
        read_candidate_input("slow:f", "a.png", timeout=3)
    assert time.monotonic() - start < 20
    child = Path("/proc", (folder / "child").read_text(), "stat")
    for _ in range(100):
        if not child.exists() or ") Z " in child.read_text():
            return
        time.sleep(0.05)
    pytest.fail("what the script started still runs")


def test_bad_callables(folder: Path) -> None:
    def fails(path: str) -> Any:
        raise ValueError("no good")

    with pytest.raises(
        InputError, match=r"fails' failed on a\.png: ValueError: no good \(test_fed\.py, line"
    ):
        read_candidate_input(fails, "a.png")
    with pytest.raises(InputError, match="it exits with None"):
        read_candidate_input(lambda path: sys.exit(), "a.png")
    with pytest.raises(InputError, match=r"did not return within 0\.1 s"):
        read_candidate_input(lambda path: time.sleep(5), "a.png", timeout=0.1)
    with pytest.raises(InputError, match="no path was given"):
        read_candidate_input(fails, np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none:f", r"No module named 'none'.*Modules are looked for in .* first; a file goes as"),
        ("none.py:f", "script none.py does not exist"),
        ("none.npy", "none.npy does not exist"),
        ("mine", r"neither a \.npy file nor a function, written module:function"),
        ("mine.py", "neither"),
        (":f", "neither"),
        ("mine:", "neither"),
        ("", "neither"),
        (3, "is a int; give an array"),
        (np.array(["a"]), "not of real numbers"),
        (np.zeros((3, 0)), "is an empty tensor"),
        (np.zeros(3, complex), "not of real numbers"),
        (np.array([None]), "not a tensor"),
    ],
)
def test_unusable(folder: Path, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_candidate_input(given, "a.png")


def test_missing_image(folder: Path) -> None:
    with pytest.raises(InputError, match=r"image none\.png does not exist"):
        read_candidate_input("mine:preprocess", "none.png")


# --- image after image

COUNTING = """
import os, sys, time
import numpy as np

calls = 0

def f(path):
    global calls
    calls += 1
    if "crash" in path:
        os.abort()
    if "slow" in path:
        time.sleep(60)
    if "bad" in path:
        raise ValueError("no good")
    return np.full((1, 3, 2, 2), calls, np.float32) + 1000 * os.getpid()

def start(path):
    import subprocess
    open("child", "w").write(str(subprocess.Popen(["sleep", "60"]).pid))
    return f(path)
"""


def answers(read: Any, *images: str) -> list[tuple[int, int] | str]:
    """For each image the process and the call that answered, or the error."""
    found: list[tuple[int, int] | str] = []
    for image in images:
        try:
            found.append(divmod(int(read(image).tensor.max()), 1000))
        except InputError as error:
            found.append(str(error))
    return found


@pytest.fixture
def counting(folder: Path) -> Path:
    write(folder / "counting.py", COUNTING.replace("np.float32", "np.float64"))
    for name in ("b", "bad", "crash", "slow"):
        save(folder / f"{name}.png", noise(5, 7))
    return folder


def test_one_process_answers_for_all_images(counting: Path) -> None:
    with candidate_reader("counting.py:f", timeout=60) as read:
        first, bad, second, third = answers(read, "a.png", "bad.png", "b.png", "a.png")
    assert isinstance(first, tuple) and "ValueError: no good (counting.py, line" in str(bad)
    process = first[0]
    assert (first, second, third) == ((process, 1), (process, 3), (process, 4))
    assert not Path(f"/proc/{process}").exists()


def test_after_a_crash_another_process_answers(counting: Path) -> None:
    with candidate_reader("counting:f", timeout=60) as read:
        first, crash, second = answers(read, "a.png", "crash.png", "b.png")
    assert "'counting:f' was killed by SIGABRT" in str(crash)
    assert isinstance(first, tuple) and isinstance(second, tuple)
    assert first[0] != second[0] and second[1] == 1


def test_the_time_is_that_of_one_image(counting: Path) -> None:
    with candidate_reader("counting:f", timeout=8) as read:  # a busy machine takes seconds to import numpy
        first, slow, second = answers(read, "a.png", "slow.png", "b.png")
    assert "did not return within 8 s for slow.png" in str(slow)
    assert isinstance(first, tuple) and isinstance(second, tuple) and first[0] != second[0]


def test_what_the_script_has_started_ends_with_it(counting: Path) -> None:
    with candidate_reader("counting:start", timeout=60) as read:
        read("a.png")
        child = (counting / "child").read_text()
    assert not_running(child)


PARENT = """
import os, signal, sys, threading, time
from segdiff.inputs.fed import candidate_reader

with candidate_reader("counting:start", timeout=60) as read:
    print(int(read("a.png").tensor.max()) // 1000, open("child").read(), flush=True)
    threading.Thread(target=read, args=("slow.png",), daemon=True).start()
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_script_ends_with_a_parent_that_is_killed(counting: Path) -> None:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    script, child = done.stdout.split()
    assert not_running(script) and not_running(child)


def not_running(pid: str) -> bool:
    state = Path("/proc", pid, "stat")
    for _ in range(100):
        try:
            if ") Z " in state.read_text():
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False
