"""Bad files, bad images, dying workers: one plain line, exit code 2, no traceback, within seconds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

import segdiff
from segdiff.core.errors import InputError, ModelError, SegdiffError
from segdiff.engines.warm import may_be_forked
from segdiff.engines.workers import ONNXRUNTIME
from tests import models
from tests.models import IMAGE, Net
from tests.readers import models as paddle_models

ROOT = Path(__file__).parents[1]
SECONDS = 20.0
"""Long enough for a busy machine, far too short for anything that hangs."""


@dataclass(frozen=True)
class Given:
    """What a user may hand over, all of it in order."""

    folder: Path
    onnx: Path
    paddle: Path
    picture: Path


@pytest.fixture
def given(tmp_path: Path) -> Given:
    net = Net()
    onnx = models.save(net.model(net.node("Relu", net.conv("x", (3, 4)))), tmp_path / "model.onnx")
    paddle = tmp_path / "paddle"
    paddle.mkdir()
    paddle_models.write_pdmodel(paddle)
    picture = tmp_path / "street.png"
    cv2.imwrite(str(picture), np.full((16, 24, 3), 99, np.uint8))
    return Given(tmp_path, onnx, paddle, picture)


Arguments = tuple[Any, Any, Any]
Case = Callable[[Given], Arguments]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def halved(path: Path) -> Path:
    return written(path, path.read_bytes()[: path.stat().st_size // 2])


# --- model files


def missing_folder(given: Given) -> Arguments:
    return given.folder / "nowhere", given.onnx, given.picture


def empty_folder(given: Given) -> Arguments:
    (given.folder / "empty").mkdir()
    return given.folder / "empty", given.onnx, given.picture


def missing_candidate(given: Given) -> Arguments:
    return given.onnx, given.folder / "nowhere.onnx", given.picture


def missing_params(given: Given) -> Arguments:
    (given.paddle / "model.pdiparams").unlink()
    return given.paddle, given.onnx, given.picture


def truncated_params(given: Given) -> Arguments:
    halved(given.paddle / "model.pdiparams")
    return given.paddle, given.onnx, given.picture


def truncated_program(given: Given) -> Arguments:
    halved(given.paddle / "model.pdmodel")
    return given.paddle, given.onnx, given.picture


def text_called_onnx(given: Given) -> Arguments:
    return given.onnx, written(given.folder / "text.onnx", b"this is no model\n" * 20), given.picture


def onnx_cut_in_half(given: Given) -> Arguments:
    good = models.save(models.segmenter(), given.folder / "cut.onnx")
    return given.onnx, halved(good), given.picture


def empty_onnx(given: Given) -> Arguments:
    return written(given.folder / "empty.onnx", b""), given.onnx, given.picture


def weights_beside_the_file_are_gone(given: Given) -> Arguments:
    path = models.save(models.segmenter(), given.folder / "big.onnx", external=True)
    (given.folder / "big.data").unlink()
    return given.onnx, path, given.picture


def weights_beside_the_file_are_cut(given: Given) -> Arguments:
    path = models.save(models.segmenter(), given.folder / "big.onnx", external=True)
    halved(given.folder / "big.data")
    return path, given.onnx, given.picture


def a_picture_for_a_model(given: Given) -> Arguments:
    return given.onnx, given.picture, given.picture


def an_input_without_counterpart(given: Given) -> Arguments:
    net = Net()
    net.inputs.append(models.helper.make_tensor_value_info("more", models.TensorProto.FLOAT, list(IMAGE)))
    path = models.save(net.model(net.node("Add", "x", "more")), given.folder / "two.onnx")
    return given.onnx, path, given.picture


MODELS: tuple[Case, ...] = (
    missing_folder, empty_folder, missing_candidate, missing_params, truncated_params, truncated_program,
    text_called_onnx, onnx_cut_in_half, empty_onnx, weights_beside_the_file_are_gone,
    weights_beside_the_file_are_cut, a_picture_for_a_model,
)  # fmt: skip


# --- images


def no_image(given: Given) -> Arguments:
    return given.onnx, given.onnx, given.folder / "nowhere.png"


def unreadable_image(given: Given) -> Arguments:
    return given.onnx, given.onnx, written(given.folder / "text.png", b"no picture at all" * 9)


def zero_byte_image(given: Given) -> Arguments:
    return given.onnx, given.onnx, written(given.folder / "zero.png", b"")


def a_folder_for_an_image(given: Given) -> Arguments:
    return given.onnx, given.onnx, given.folder


def a_model_for_an_image(given: Given) -> Arguments:
    return given.onnx, given.onnx, given.onnx


def truncated_npy(given: Given) -> Arguments:
    np.save(given.folder / "half.npy", models.image())
    return given.onnx, given.onnx, halved(given.folder / "half.npy")


def saved(given: Given, array: Any) -> Arguments:
    np.save(given.folder / "given.npy", array)
    return given.onnx, given.onnx, given.folder / "given.npy"


def named(given: Given, **arrays: Any) -> Arguments:
    np.savez(given.folder / "given.npz", **arrays)
    return given.onnx, given.onnx, given.folder / "given.npz"


def wrong_shape(given: Given) -> Arguments:
    return saved(given, models.image((1, 3, 16, 25)))


def wrong_rank(given: Given) -> Arguments:
    return saved(given, models.image((3, 16, 24)))


def wrong_layout(given: Given) -> Arguments:
    return saved(given, models.image((1, 16, 24, 3)))


def wrong_dtype(given: Given) -> Arguments:
    return saved(given, models.image().astype(np.int32))


def nan_input(given: Given) -> Arguments:
    array = models.image()
    array[0, 1, 2, 3] = np.nan
    return saved(given, array)


def infinite_input(given: Given) -> Arguments:
    array = models.image()
    array[0, 0, 0, 0] = np.inf
    return saved(given, array)


def wrong_input_name(given: Given) -> Arguments:
    return named(given, image=models.image())


def one_input_too_many(given: Given) -> Arguments:
    return named(given, x=models.image(), y=models.image())


def no_inputs_at_all(given: Given) -> Arguments:
    return named(given)


IMAGES: tuple[Case, ...] = (
    no_image, unreadable_image, zero_byte_image, a_folder_for_an_image, a_model_for_an_image, truncated_npy,
    wrong_shape, wrong_rank, wrong_layout, wrong_dtype, nan_input, infinite_input, wrong_input_name,
    one_input_too_many, no_inputs_at_all, an_input_without_counterpart,
)  # fmt: skip


def plain_line(text: str) -> bool:
    """One printable line that says something and is no dump."""
    return text.isprintable() and 10 < len(text) < 700


@pytest.mark.parametrize("case", [*MODELS, *IMAGES], ids=lambda case: case.__name__)
def test_it_raises_an_error_of_its_own_with_one_line(case: Case, given: Given) -> None:
    began, before = time.monotonic(), set(psutil.Process().children())
    kind = ModelError if case in MODELS else InputError
    with pytest.raises(kind) as failure:
        segdiff.locate(*case(given), timeout=SECONDS)
    assert plain_line(str(failure.value)), str(failure.value)
    assert time.monotonic() - began < SECONDS
    assert set(psutil.Process().children()) <= before


NO_IMAGES = {
    "None": None,
    "a number": 7,
    "a list": [1, 2],
    "an empty dict": {},
    "a dict of lists": {"x": [1.0]},
    "a dict of None": {"x": None},
    "a dict with another name": {"y": np.zeros(IMAGE, np.float32)},
    "a picture without pixels": np.zeros((0, 0, 3), np.uint8),
}


@pytest.mark.parametrize("image", NO_IMAGES.values(), ids=NO_IMAGES)
def test_things_that_are_no_image(image: Any, given: Given) -> None:
    with pytest.raises(InputError) as failure:
        segdiff.locate(given.onnx, given.onnx, image, timeout=SECONDS)
    assert plain_line(str(failure.value)), str(failure.value)


def test_every_error_is_one_tree() -> None:
    words = ("ModelError", "InputError", "AlignmentError", "EngineError", "RepairError")
    assert all(issubclass(getattr(segdiff, word), SegdiffError) for word in words)


# --- the command


def command(*words: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "segdiff", "locate", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )


def ended_in_one_line(code: int, out: str, err: str) -> bool:
    assert code == 2, (code, err)
    assert "Traceback" not in out + err
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("segdiff: ")
    assert plain_line(lines[0]), err
    return True


@pytest.mark.parametrize(
    "case",
    [missing_folder, missing_params, truncated_params, text_called_onnx, onnx_cut_in_half,
     weights_beside_the_file_are_gone, wrong_shape, wrong_input_name, unreadable_image, zero_byte_image,
     nan_input],
    ids=lambda case: case.__name__,
)  # fmt: skip
def test_the_command_says_one_line_and_exits_with_two(case: Case, given: Given) -> None:
    done = command(*case(given))
    assert ended_in_one_line(done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""


def test_an_operator_that_no_runtime_knows_is_the_headline(given: Given) -> None:
    net = Net()
    model = net.model(net.node("NoSuchOperator", net.conv("x", (3, 4)), domain="made.up"))
    model.opset_import.append(models.helper.make_opsetid("made.up", 1))
    odd = models.save(model, given.folder / "odd.onnx")
    done = command(given.onnx, odd, given.picture)
    assert (done.returncode, done.stderr) == (1, "")
    headline = " ".join(done.stdout.split("\n\n")[0].split())
    assert "onnxruntime does not run odd.onnx: made.up.NoSuchOperator" in headline


# --- dying workers


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is walked for some seconds; beside it another one, which adds the other way round: where
    both hold the same operators they are not run."""
    folder = tmp_path_factory.mktemp("slow")
    for name in ("slow.onnx", "other.onnx"):
        net = Net((1, 8, 128, 128))
        x = "x"
        for _ in range(1600):
            terms = [x, net.constant(0.5)]
            x = net.node("Add", *(terms if name == "slow.onnx" else reversed(terms)))
        models.save(net.model(x), folder / name)
    return folder / "slow.onnx"


def workers(parent: int) -> dict[str, psutil.Process]:
    """The worker processes by the name of their engine, oldest first; those that are forked are named in the
    order in which they were."""
    found: dict[str, psutil.Process] = {}
    for child in sorted(psutil.Process(parent).children(recursive=True), key=lambda process: process.pid):
        try:
            words, forked = child.cmdline(), child.ppid() != parent
        except psutil.Error:
            continue
        if "segdiff.engines.worker" in words:
            found[words[-1]] = child
        elif "segdiff.engines.template" in words and forked:
            found[f"onnxruntime-{len(found)}"] = child
    return found


def has_delivered(worker: psutil.Process) -> bool:
    """Whether it has written a tensor into shared memory: then the walk is under way."""
    try:
        maps = Path(f"/proc/{worker.pid}/maps").read_text()
    except OSError:
        return False
    return re.search(r"memfd:segdiff-onnxruntime", maps) is not None


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it never got that far"
        time.sleep(0.005)


@contextmanager
def running(slow: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    array = slow.parent / "x.npy"
    np.save(array, np.zeros((1, 8, 128, 128), np.float32))
    words = [
        sys.executable,
        "-m",
        "segdiff",
        "locate",
        str(slow),
        str(slow.with_name("other.onnx")),
        str(array),
        "--no-progress",
        *options,
    ]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, stdin=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


REFERENCE, CANDIDATE = "onnxruntime-0", "onnxruntime-1"


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("which", [REFERENCE, CANDIDATE])
def test_an_engine_killed_in_mid_run_goes_on_where_it_stood(slow: Path, which: str) -> None:
    code, out, err, victims = killed_in_mid_run(which, slow)
    assert (code, err) == (0, "")
    assert "SIGKILL" in out  # the report says that it was started again
    assert all(gone(worker) for worker in victims.values())


def killed_in_mid_run(which: str, slow: Path) -> tuple[int, str, str, dict[str, psutil.Process]]:
    """Exit code, stdout and stderr of a run one of whose workers was killed, and its workers."""
    with running(slow) as process:
        until(lambda: {REFERENCE, CANDIDATE} <= set(workers(process.pid)), process)
        victims = workers(process.pid)
        until(lambda: has_delivered(victims[which]), process)
        os.kill(victims[which].pid, signal.SIGKILL)
        out, err = process.communicate(timeout=SECONDS)
        return process.returncode, out, err, victims


def test_killed_while_it_starts(slow: Path) -> None:
    """What both engines would be forked from is begun again; where nothing is forked, an engine is lost."""
    with running(slow) as process:
        until(lambda: bool(psutil.Process(process.pid).children()), process)
        psutil.Process(process.pid).children()[0].kill()
        out, err = process.communicate(timeout=SECONDS)
    if may_be_forked(ONNXRUNTIME):
        assert (process.returncode, err) == (0, "") and "agree" in out
    else:
        assert ended_in_one_line(process.returncode, out, err) and "SIGKILL" in err


def test_a_worker_that_hangs_in_mid_run(slow: Path) -> None:
    with running(slow, "--timeout", "3") as process:
        until(lambda: {REFERENCE, CANDIDATE} <= set(workers(process.pid)), process)
        victims = workers(process.pid)
        until(lambda: has_delivered(victims[REFERENCE]), process)
        os.kill(victims[REFERENCE].pid, signal.SIGSTOP)
        out, err = process.communicate(timeout=SECONDS)
        assert ended_in_one_line(process.returncode, out, err)
        assert "no answer for 3 s" in err
        assert all(gone(worker) for worker in victims.values())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_workers_end_with_the_command(how: signal.Signals, slow: Path) -> None:
    with running(slow) as process:
        until(lambda: {REFERENCE, CANDIDATE} <= set(workers(process.pid)), process)
        left = workers(process.pid)
        until(lambda: has_delivered(left[REFERENCE]), process)
        process.send_signal(how)
        out, err = process.communicate(timeout=SECONDS)
        if how == signal.SIGINT:
            assert (process.returncode, err) == (130, "segdiff: interrupted\n"), out
        end = time.monotonic() + SECONDS
        while not all(gone(worker) for worker in left.values()):
            assert time.monotonic() < end, "a worker outlived the command"
            time.sleep(0.05)
