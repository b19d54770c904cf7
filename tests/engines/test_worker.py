"""A model in a process of its own: what it streams, and what is left when it fails."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import ModelProto, TensorProto, helper

from segdiff.core.errors import EngineError
from segdiff.core.memory import status
from segdiff.core.metrics import compare_arrays
from segdiff.engines import Blocks, Deployed, Engine, Tensor, registry
from segdiff.engines.blocks import ArrayRef
from segdiff.engines.protocol import Part
from segdiff.readers import find
from segdiff.readers.onnx import read
from tests import models
from tests.killing import starve
from tests.models import Net

Start = Callable[..., Engine]

SHAPE = (1, 4, 64, 64)
"""64 KiB of float32: more than travels inside a message."""

LENGTH = 30
SECONDS = 20.0
"""No test waits longer for anything that ought to happen at once."""


def long_chain() -> ModelProto:
    """Value number n is x + n + 1."""
    net = Net(SHAPE)
    x = "x"
    for _ in range(LENGTH):
        x = net.node("Add", x, net.constant(1.0))
    return net.model(x)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def chain(folder: Path) -> Path:
    return models.save(long_chain(), folder / "chain.onnx")


@pytest.fixture(scope="module")
def blocks() -> Blocks:
    return Blocks()


@pytest.fixture
def start(blocks: Blocks) -> Iterator[Start]:
    started: list[Engine] = []

    def begin(path: Path, timeout: float = SECONDS, **options: int) -> Engine:
        started.append(Engine(find(path), blocks, timeout=timeout, threads=1, **options))
        return started[-1]

    yield begin
    for engine in started:
        engine.close()


@pytest.fixture(scope="module")
def engine(chain: Path, blocks: Blocks) -> Iterator[Engine]:
    """One worker for the tests that leave it in order."""
    with Engine(find(chain), blocks, timeout=SECONDS, threads=1) as running:
        yield running


def values_of(path: Path) -> list[str]:
    return [name for op in read(path).ops for name in op.outputs]


def feed(blocks: Blocks, value: float = 0.0) -> dict[str, Tensor]:
    return {"x": blocks.tensor(np.full(SHAPE, value, np.float32))}


def blocks_of(pid: int) -> set[str]:
    """The shared blocks that a process maps."""
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split()[4] for line in maps if "memfd:segdiff" in line}


# --- what is compared where it lies


@pytest.mark.parametrize("shape", [SHAPE, (1, 1, 2, 2)])
def test_what_is_compared_in_the_worker_is_as_far_as_what_it_delivers(
    shape: tuple[int, ...], start: Start, blocks: Blocks, folder: Path
) -> None:
    net = Net(shape)
    double = net.node("Mul", "x", net.constant(2.0))
    whole = net.node("Cast", net.node("Add", double, net.constant(1.0)), to=TensorProto.INT32)
    path = models.save(net.model(double, whole), folder / f"twice{shape[-1]}.onnx")
    running, drawn = start(path), np.random.default_rng(0)
    feeds = {"x": blocks.tensor(drawn.standard_normal(shape).astype(np.float32))}
    ops = tuple(op.index for op in read(path).ops)
    truths = {
        double: blocks.tensor(drawn.standard_normal(shape).astype(np.float32)),
        whole: blocks.tensor(np.ones((1, *shape), np.int64)),
    }
    [found] = running.compared([Part(ops, feeds, truths)])
    made = running.run(feeds, [double, whole], ops)
    assert found.keys() == made.keys()
    for name, tensor in made.items():
        assert found[name].comparison == compare_arrays(truths[name].array, tensor.array)
        assert (found[name].type, found[name].shape) == (tensor.array.dtype, tensor.array.shape)
    assert found[double].comparison.metrics.rel_l2 > 0.1


def test_several_parts_are_compared_in_one_go_each_on_what_it_is_fed(
    start: Start, blocks: Blocks, folder: Path
) -> None:
    """The second reads under its name what the first makes, and what both read is not the same."""
    net = Net(SHAPE)
    double = net.node("Mul", "x", net.constant(2.0))
    more = net.node("Add", double, "x")
    negative = net.node("Neg", more)
    running = start(models.save(net.model(more, negative), folder / "parts.onnx"))
    drawn = np.random.default_rng(0)
    a, b, c, d = (blocks.tensor(drawn.standard_normal(SHAPE).astype(np.float32)) for _ in range(4))
    makers = {name: op.index for op in read(folder / "parts.onnx").ops for name in op.outputs}
    parts = [
        Part((makers[double],), {"x": a}, {double: b}),
        Part((makers[more],), {double: c, "x": d}, {more: a}),
        Part((makers[negative],), {more: b}, {negative: c}),
    ]
    expected = [{double: a.array * 2}, {more: c.array + d.array}, {negative: -b.array}]
    found = running.compared(parts)
    for part, made, got in zip(parts, expected, found, strict=True):
        for name, array in made.items():
            assert got[name].comparison == compare_arrays(part.truths[name].array, array)
    by_itself = running.compared(parts[1:2])[0][more]
    assert by_itself.comparison == found[1][more].comparison
    with pytest.raises(EngineError):
        running.compared([*parts, Part((makers[more],), {"x": a}, {more: a})])
    assert len(running.compared(parts)) == 3


def test_what_has_another_shape_than_it_should_is_told_and_nothing_is_kept(
    start: Start, blocks: Blocks, chain: Path
) -> None:
    running, (name, *_) = start(chain), values_of(chain)[-1:]
    truths = {name: blocks.tensor(np.zeros((1, 5, 64, 64), np.float32))}
    ops = tuple(op.index for op in read(chain).ops)
    [found] = running.compared([Part(ops, feed(blocks), truths)])
    found = found[name]
    assert found.comparison.other_shape and found.shape == SHAPE
    with pytest.raises(EngineError):
        running.compared([Part(ops, {}, truths)])
    np.testing.assert_array_equal(running.run(feed(blocks), [name])[name].array[0, 0, 0, 0], LENGTH)


# --- what is streamed


def test_values_come_in_order_and_hold_what_the_model_computes(
    engine: Engine, blocks: Blocks, chain: Path
) -> None:
    wanted = values_of(chain)
    seen = []
    for name, tensor in engine.stream(feed(blocks), reversed(wanted)):
        seen.append(name)
        np.testing.assert_array_equal(tensor.array, np.full(SHAPE, len(seen), np.float32))
        assert tensor.ref is not None  # through shared memory
    assert seen == wanted


def test_only_what_is_wanted_comes(engine: Engine, blocks: Blocks, chain: Path) -> None:
    wanted = values_of(chain)[4::7]
    assert list(engine.run(feed(blocks), wanted)) == wanted
    assert engine.run(feed(blocks), []) == {}


def test_a_model_input_can_be_asked_for(engine: Engine, blocks: Blocks) -> None:
    np.testing.assert_array_equal(engine.run(feed(blocks, 7), ["x"])["x"].array, np.full(SHAPE, 7))


def test_arrays_survive_later_runs_until_they_are_let_go(engine: Engine, blocks: Blocks, chain: Path) -> None:
    wanted = values_of(chain)
    held = engine.run(feed(blocks, 100), wanted)
    taken = {tensor.ref.block for tensor in held.values() if tensor.ref}
    for number in range(3):
        later = engine.run(feed(blocks, number), wanted[:8])
        assert not taken & {tensor.ref.block for tensor in later.values() if tensor.ref}
    for number, name in enumerate(wanted):
        assert held[name].array.min() == held[name].array.max() == 101 + number
    del held, later
    gc.collect()
    engine.run(feed(blocks), wanted[:1])  # carries the news to the worker
    after = engine.run(feed(blocks), wanted)
    assert taken & {tensor.ref.block for tensor in after.values() if tensor.ref}


def test_fifty_runs_need_no_more_memory_than_five(start: Start, blocks: Blocks, chain: Path) -> None:
    engine = start(chain)
    wanted = values_of(chain)

    def runs(count: int) -> tuple[int, int]:
        for number in range(count):
            for _, tensor in engine.stream(feed(blocks, number), wanted):
                assert tensor.ref is not None
                used.add(tensor.ref.block)
            del tensor
        return len(blocks_of(engine.process.pid)), status(engine.process.pid)["RssAnon"]

    used: set[int] = set()
    few, many = runs(5), runs(45)
    assert len(used) <= LENGTH + 2  # as far as the worker may run ahead, whatever the number of runs
    assert many[0] <= LENGTH + 4
    assert many[1] < few[1] + (30 << 20)


@pytest.mark.parametrize("allowance", [1, 100_000])
def test_a_tiny_allowance_slows_but_does_not_stop(
    allowance: int, start: Start, blocks: Blocks, chain: Path
) -> None:
    engine = start(chain, allowance=allowance)
    wanted = values_of(chain)
    for _ in range(2):
        got = engine.run(feed(blocks), wanted)  # all held at once
        assert [float(tensor.array.max()) for tensor in got.values()] == list(range(1, LENGTH + 1))


def test_the_worker_does_not_run_ahead_of_its_allowance(start: Start, blocks: Blocks, chain: Path) -> None:
    engine = start(chain, allowance=4 * int(np.prod(SHAPE)) * 3)
    stream = engine.stream(feed(blocks), values_of(chain))
    held = [next(stream)[1] for _ in range(3)]
    time.sleep(0.5)
    assert len(blocks_of(engine.process.pid)) <= 3 + 3 + 1  # held, delivered ahead, and the input
    held += [tensor for _, tensor in stream]
    assert [float(tensor.array.max()) for tensor in held] == list(range(1, LENGTH + 1))


def test_it_runs_further_ahead_where_little_else_is_alive(start: Start, blocks: Blocks, chain: Path) -> None:
    one = 4 * int(np.prod(SHAPE))
    engine = start(chain, allowance=one, room=6 * one)
    stream = engine.stream(feed(blocks), values_of(chain))
    first = next(stream)[1]
    time.sleep(0.5)
    ahead = len(blocks_of(engine.process.pid))
    held = [first, *(next(stream)[1] for _ in range(9))]
    time.sleep(0.5)
    assert 5 <= ahead <= 6 + 1  # the input is one more
    assert len(blocks_of(engine.process.pid)) <= 10 + 1 + 1  # what is held fills the room: one at a time
    held += [tensor for _, tensor in stream]
    assert [float(tensor.array.max()) for tensor in held] == list(range(1, LENGTH + 1))


def test_a_tensor_of_one_worker_feeds_another(
    engine: Engine, start: Start, blocks: Blocks, chain: Path
) -> None:
    wanted = values_of(chain)
    middle = engine.run(feed(blocks), [wanted[9]])[wanted[9]]
    other = start(chain)
    for _ in range(2):
        got = other.run({"x": middle}, [wanted[4]])[wanted[4]]
        np.testing.assert_array_equal(got.array, np.full(SHAPE, 15))
        again = engine.run({"x": got}, [wanted[0]])[wanted[0]]
        np.testing.assert_array_equal(again.array, np.full(SHAPE, 16))


def test_a_stream_given_up_half_way_leaves_no_values_behind(
    start: Start, blocks: Blocks, chain: Path
) -> None:
    engine = start(chain)
    wanted = values_of(chain)
    stream = engine.stream(feed(blocks), wanted)
    next(stream)
    stream.close()
    got = engine.run(feed(blocks, 1000), wanted[:2])
    assert {name: float(t.array.max()) for name, t in got.items()} == {wanted[0]: 1001.0, wanted[1]: 1002.0}


@pytest.mark.parametrize(
    ("dtype", "onnx_type"),
    [("float16", TensorProto.FLOAT16), ("float64", TensorProto.DOUBLE), ("int64", TensorProto.INT64)],
)
@pytest.mark.parametrize("shape", [(), (5,), (200, 100)])
def test_types_and_shapes_arrive_as_they_are(
    dtype: str, onnx_type: int, shape: tuple[int, ...], start: Start, blocks: Blocks, folder: Path
) -> None:
    net = Net(shape)
    path = models.save(net.model(net.node("Cast", "x", to=onnx_type), types={}), folder / f"{dtype}.onnx")
    name = values_of(path)[0]
    given = np.full(shape, 3, np.float32)
    array = start(path).run({"x": blocks.tensor(given)}, [name])[name].array
    assert (array.dtype, array.shape) == (np.dtype(dtype), shape)
    assert np.all(array == 3)


# --- parts of a model


def check_every_node_alone(engine: Engine, path: Path, model: ModelProto, blocks: Blocks) -> int:
    """Each op on the tensors that the whole run gives its inputs; how many ops there were."""
    graph = read(path)
    values = models.tensors_of(model, {"x": models.image()})
    for op in graph.ops:
        feeds = {name: blocks.tensor(values[name]) for name in op.inputs if name not in graph.parameters}
        got = engine.run(feeds, op.outputs, (op.index,))
        for name in op.outputs:
            np.testing.assert_array_equal(got[name].array, values[name], err_msg=name)
    return len(graph.ops)


@pytest.mark.parametrize("form", ["initializers", "constants", "external"])
def test_every_node_runs_alone(form: str, start: Start, blocks: Blocks, folder: Path) -> None:
    model = models.segmenter()
    if form == "constants":
        model = models.constants_as_nodes(model)
    path = models.save(model, folder / f"{form}.onnx", external=form == "external")
    assert check_every_node_alone(start(path), path, model, blocks) > 30


@pytest.mark.parametrize("constants", [False, True])
def test_an_if_runs_alone_with_what_its_branches_capture(
    constants: bool, start: Start, blocks: Blocks, folder: Path
) -> None:
    model = models.if_network()
    model = models.constants_as_nodes(model) if constants else model
    path = models.save(model, folder / f"if_{constants}.onnx")
    engine = start(path)
    assert check_every_node_alone(engine, path, model, blocks) == 5
    whole = engine.run({"x": blocks.tensor(models.image())}, values_of(path))
    truth = models.tensors_of(model, {"x": models.image()})
    assert "chosen" in whole
    for name, tensor in whole.items():
        np.testing.assert_array_equal(tensor.array, truth[name], err_msg=name)


def test_an_if_takes_the_branch_of_the_condition_it_is_fed(
    start: Start, blocks: Blocks, folder: Path
) -> None:
    path = models.save(models.if_network(), folder / "if.onnx")
    engine = start(path)
    op = next(op for op in read(path).ops if op.type == "If")
    condition, hidden = op.inputs[0], next(name for name in op.inputs[1:] if name.startswith("conv"))
    data = np.zeros((1, 4, 16, 24), np.float32)
    for flag, expected in ((True, 0.25), (False, -0.25)):
        feeds = {condition: blocks.tensor(np.array(flag)), hidden: blocks.tensor(data)}
        got = engine.run(feeds, ["chosen"], (op.index,))["chosen"].array
        np.testing.assert_array_equal(got, np.full_like(data, expected))


def test_a_part_runs_at_another_size_than_the_file_declares(
    start: Start, blocks: Blocks, folder: Path
) -> None:
    net = Net((1, 3, 16, 24))
    path = models.save(net.model(net.node("Relu", net.conv("x", (3, 4)))), folder / "static.onnx")
    op = read(path).ops[1]
    got = start(path).run({op.inputs[0]: blocks.tensor(-np.ones((2, 4, 5, 5)))}, op.outputs, (op.index,))
    np.testing.assert_array_equal(got[op.outputs[0]].array, np.zeros((2, 4, 5, 5)))


# --- failures


def broken(folder: Path) -> tuple[Path, list[str]]:
    """Ten good values, a node that no runtime knows, and one behind it."""
    net = Net(SHAPE)
    x = "x"
    for _ in range(10):
        x = net.node("Add", x, net.constant(1.0))
    odd = net.node("NoSuchOperator", x, domain="made.up")
    model = net.model(net.node("Relu", odd))
    model.opset_import.append(helper.make_opsetid("made.up", 1))
    path = models.save(model, folder / "odd.onnx")
    return path, values_of(path)


def one_line(error: EngineError) -> str:
    text = str(error)
    assert text.isprintable() and len(text) < 1000, text
    return text


def test_an_unsupported_operator_is_one_line_and_the_engine_lives_on(
    start: Start, blocks: Blocks, folder: Path
) -> None:
    path, values = broken(folder)
    engine = start(path)
    seen = []
    with pytest.raises(EngineError) as failure:
        for name, _ in engine.stream(feed(blocks), values):
            seen.append(name)
    assert "NoSuchOperator" in one_line(failure.value)
    assert seen == values[: len(seen)]
    assert failure.value.last_value == (seen[-1] if seen else None)
    ops = tuple(op.index for op in read(path).ops[:10])
    got = engine.run(feed(blocks), [values[9]], ops)
    assert float(got[values[9]].array.max()) == 10.0
    assert engine.process.poll() is None


def test_inputs_that_do_not_fit_are_one_line_and_the_engine_lives_on(engine: Engine, chain: Path) -> None:
    wanted = values_of(chain)
    for feeds in ({}, {"x": Tensor(np.zeros(3, np.int64))}, {"y": Tensor(np.zeros(3, np.float32))}):
        with pytest.raises(EngineError) as failure:
            engine.run(feeds, wanted[-1:])
        one_line(failure.value)
    got = engine.run({"x": Tensor(np.zeros(3, np.float32))}, wanted[:1])
    assert list(got[wanted[0]].array) == [1, 1, 1]


def test_a_killed_worker_is_an_error_that_names_the_last_value(
    start: Start, blocks: Blocks, chain: Path
) -> None:
    engine = start(chain, allowance=1)
    wanted = values_of(chain)
    began = time.monotonic()
    seen = []
    with pytest.raises(EngineError) as failure:
        for name, _ in engine.stream(feed(blocks), wanted):
            seen.append(name)
            if len(seen) == 3:
                os.kill(engine.process.pid, signal.SIGKILL)
    assert time.monotonic() - began < SECONDS
    assert 3 <= len(seen) < LENGTH
    assert failure.value.last_value == seen[-1]
    assert repr(seen[-1]) in one_line(failure.value)
    assert "SIGKILL" in str(failure.value)
    assert str(chain) in str(failure.value)
    with pytest.raises(EngineError):  # and never hangs afterwards
        engine.run(feed(blocks), wanted)


def test_a_worker_that_hangs_is_stopped_after_its_timeout(start: Start, blocks: Blocks, chain: Path) -> None:
    engine = start(chain, timeout=1.0, allowance=1)
    engine.timeout = SECONDS
    engine.wait_until_ready()
    engine.timeout = 1.0
    wanted = values_of(chain)
    began = time.monotonic()
    seen = []
    with pytest.raises(EngineError, match="no answer for 1 s") as failure:
        for name, _ in engine.stream(feed(blocks), wanted):
            seen.append(name)
            if len(seen) == 2:
                os.kill(engine.process.pid, signal.SIGSTOP)
    assert time.monotonic() - began < SECONDS
    assert failure.value.last_value == seen[-1]
    one_line(failure.value)
    assert engine.process.wait(SECONDS) == -signal.SIGKILL


def test_tensors_outlive_the_worker_that_made_them(start: Start, blocks: Blocks, chain: Path) -> None:
    engine = start(chain)
    wanted = values_of(chain)
    held = engine.run(feed(blocks), wanted)
    engine.close()
    assert [float(tensor.array.max()) for tensor in held.values()] == list(range(1, LENGTH + 1))


def test_a_file_that_is_gone_by_the_time_it_is_loaded(start: Start, folder: Path) -> None:
    path = models.save(long_chain(), folder / "gone.onnx")
    files = find(path)
    path.unlink()
    with (
        Engine(files, Blocks(), timeout=SECONDS, threads=1) as engine,
        pytest.raises(EngineError, match=r"gone\.onnx") as failure,
    ):
        engine.wait_until_ready()
    one_line(failure.value)


# --- nothing is left behind


def gone(pid: int, seconds: float = SECONDS) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_close_ends_the_process_and_closes_what_was_open(chain: Path) -> None:
    def once() -> int:
        blocks = Blocks()
        with Engine(find(chain), blocks, timeout=SECONDS, threads=1) as engine:
            engine.run(feed(blocks), values_of(chain))
        assert engine.process.returncode is not None
        return engine.process.pid

    once()
    gc.collect()
    before = open_files()
    assert all(gone(once()) for _ in range(2))
    gc.collect()
    assert open_files() == before


PARENT = """
import os, signal, sys
import numpy as np
from segdiff.engines import Blocks, Engine
from segdiff.engines.protocol import Part
from segdiff.readers import find

blocks = Blocks()
engine = Engine(find(sys.argv[1]), blocks, timeout=20, threads=1, allowance=1)
stream = engine.stream({"x": blocks.tensor(np.zeros((1, 4, 64, 64), np.float32))}, sys.argv[3:])
next(stream)
print(engine.process.pid, flush=True)
how = sys.argv[2]
if how == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "hard exit":
    os._exit(3)
if how == "exception":
    raise RuntimeError
"""


@pytest.mark.parametrize("how", ["return", "exception", "hard exit", "kill"])
def test_no_worker_outlives_its_parent(how: str, chain: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(chain), how, *values_of(chain)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert gone(int(done.stdout)), f"the worker still runs after {how}"


def test_what_runs_as_deployed_stays_ready_until_another_run(engine: Engine, chain: Path) -> None:
    feeds = {"x": engine.blocks.tensor(np.zeros(SHAPE, np.float32))}
    output = read(chain).outputs[0]

    def opened() -> int:
        """How often the worker has read the model: each session reads the file anew."""
        return int(Path(f"/proc/{engine.process.pid}/io").read_text().split()[1])

    first = engine.run_deployed(feeds, [output], Deployed())
    before = opened()
    again = engine.run_deployed(feeds, [output], Deployed())
    kept = opened() - before
    other = engine.run_deployed(feeds, [output], Deployed("basic"))
    assert kept < chain.stat().st_size <= opened() - before
    for found in (first, again, other):
        assert np.array_equal(found[output].array, np.full(SHAPE, LENGTH, np.float32))
    values = engine.run(feeds, [output])  # an ordinary run between two deployed ones
    assert np.array_equal(values[output].array, first[output].array)
    assert np.array_equal(engine.run_deployed(feeds, [output], Deployed())[output].array, first[output].array)


# --- no answer is lost


def test_a_run_may_be_fed_any_number_of_new_tensors(start: Start, blocks: Blocks, folder: Path) -> None:
    """Each is a block that the worker has not seen: as in a run in which every weight is another."""
    net = Net(SHAPE)
    names = [net.node("Add", "x", net.constant(float(number))) for number in range(300)]
    path = models.save(net.model(net.node("Sum", *names)), folder / "wide.onnx")
    engine = start(path)
    held = engine.run(feed(blocks), names)
    total = read(path).outputs[0]
    last = read(path).producer[total].index
    other = start(path)
    began = time.monotonic()
    got = other.run(held, [total], (last,))
    assert float(got[total].array.max()) == sum(range(300))
    assert time.monotonic() - began < SECONDS / 2


def test_a_run_that_fails_before_it_begins_is_told_at_once(engine: Engine, chain: Path) -> None:
    """Its failure must not look like that of an earlier run, which nobody waits for."""
    strange = Tensor(np.zeros(SHAPE, np.float32), ArrayRef(engine.owner, 10_000, "<f4", SHAPE))
    began = time.monotonic()
    with pytest.raises(EngineError, match="failed"):
        engine.run({"x": strange}, values_of(chain)[:1])
    assert time.monotonic() - began < SECONDS / 2


def test_an_engine_that_could_not_load_says_so_every_time(start: Start, folder: Path) -> None:
    path = folder / "text.onnx"
    path.write_text("this is no model")
    engine, blocks = start(path), Blocks()
    began, told = time.monotonic(), set()
    for _ in range(3):
        with pytest.raises(EngineError) as failure:
            engine.run(feed(blocks), ["y"])
        told.add(one_line(failure.value))
    assert len(told) == 1 and not engine.is_alive
    assert time.monotonic() - began < SECONDS / 2


def test_a_stopped_worker_is_not_waited_for_while_it_is_fed(
    start: Start, blocks: Blocks, chain: Path
) -> None:
    """Changes of parameters travel in the message: megabytes that nobody reads."""
    engine = start(chain)
    engine.wait_until_ready()
    engine.timeout = 1.0
    os.kill(engine.process.pid, signal.SIGSTOP)
    large = Tensor(np.zeros(1 << 20, np.float32))
    began = time.monotonic()
    with pytest.raises(EngineError, match="no answer for 1 s"):
        engine.run({"x": large}, values_of(chain)[:1])
    with pytest.raises(EngineError, match="no answer for 1 s"):
        engine.run(feed(blocks), values_of(chain)[:1])
    assert time.monotonic() - began < SECONDS / 2 and not engine.is_alive


def test_a_python_that_is_not_there(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(replace(row, interpreter="/no/such/python") for row in registry.ENGINES)
    monkeypatch.setattr(registry, "ENGINES", rows)
    before = open_files()
    with pytest.raises(EngineError, match="/no/such/python cannot be started: No such file") as failure:
        Engine(find(chain), Blocks(), timeout=SECONDS, threads=1)
    one_line(failure.value)
    assert open_files() == before


def test_a_worker_without_memory_is_no_engine_any_more(start: Start, blocks: Blocks, folder: Path) -> None:
    """What a framework has left behind that got no memory is not asked again."""
    net = Net((1, 8))
    path = models.save(
        net.model(net.node("Expand", "x", net.constant([4096, 4096, 8], np.int64))), folder / "wide.onnx"
    )
    engine = start(path)
    engine.wait_until_ready()
    starve(psutil.Process(engine.process.pid))
    feeds = {"x": blocks.tensor(np.zeros((1, 8), np.float32))}
    with pytest.raises(EngineError) as failure:
        engine.run(feeds, read(path).outputs)
    one_line(failure.value)
    assert failure.value.died and not engine.is_alive


def test_a_kill_that_a_word_in_advance_has_met_is_told_to_who_asks_next(chain: Path, start: Start) -> None:
    engine = start(chain)
    engine.wait_until_ready()
    engine.process.kill()
    engine.process.wait()
    engine.prepare(None)
    feeds = {"x": engine.blocks.tensor(np.zeros(SHAPE, np.float32))}
    for killed in (True, False):  # whoever comes later is told what has become of it
        with pytest.raises(EngineError, match="SIGKILL") as caught:
            engine.run(feeds, read(chain).outputs)
        assert caught.value.died and caught.value.killed is killed
