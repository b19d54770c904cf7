"""Do damaged dumps ever bring the readers down? ``python -m tests.sweeps.dump_damage [--count N]``

Dumps of every form are written, wounded (cut off, bits turned, renamed, doubled, emptied, headers that claim
too much, names that lead elsewhere) and read with everything in them, in child processes: what raises
anything but a ModelError of one line, tells a problem in more than one line, dies, takes longer than
``SECONDS`` or more than ``MEMORY`` is a finding. ``--commands N`` sends N of the same cases through
``segdiff locate … --candidate-model``. ``--case KIND NUMBER`` writes one case into a folder and reads it in
this process.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from segdiff.core.dumped import Dump
from segdiff.core.errors import ModelError, SegdiffError
from segdiff.core.graph import Graph
from segdiff.readers.dumps import read_dump
from segdiff.readers.onnx import read
from tests.dumps.arrays import NAMINGS, write_npy, write_npz
from tests.dumps.ascend import compiled, inner_values, write_om, write_om2, write_raw
from tests.dumps.device import Values, recorded_half
from tests.dumps.results import write_ais_bench, write_polygraphy, write_qnn, write_trtexec
from tests.models import image, segmenter
from tests.sweeps.damage import SECONDS, WOUNDS, judged, report, told

SWEEP = "tests.sweeps.dump_damage"
"""Whose children read the cases."""

MEMORY = 2 << 30
"""Bytes of address space of a child: the dumps have some hundred kilobytes."""

FEEDS = {"x": image()}


# --- sound dumps


@dataclass(frozen=True)
class Kind:
    """One form: what writes it into a folder with a ``model.onnx``; where the dump lies, and its map."""

    write: Callable[[Path, Graph, Values], object]
    dump: str = "dump"
    map_file: str | None = None


@cache
def net() -> tuple[onnx.ModelProto, Values]:
    """The network and its tensors in half precision."""
    model = segmenter()
    for output in model.graph.output:
        shape = (1, 4, 16, 24)
        output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, onnx.TensorProto.FLOAT, shape))
    return model, recorded_half(model, FEEDS)


def npy(naming: str) -> Kind:
    """A folder of arrays."""
    return Kind(lambda folder, graph, values: write_npy(folder / "dump", graph, values, naming))


def raw(version: int, layout: str, long_names: bool = False) -> Kind:
    """Operators of an Ascend NPU, none of them fused."""

    def write(folder: Path, graph: Graph, values: Values) -> None:
        write_raw(
            folder / "dump",
            graph,
            compiled(graph, fuse=False),
            values,
            version=version,
            layout=layout,
            long_names=long_names,
        )

    return Kind(write)


def fused(map_name: str) -> Kind:
    """Fused operators and their map."""

    def write(folder: Path, graph: Graph, values: Values) -> None:
        ops = compiled(graph)
        kept = {name: array for name, array in values.items() if name not in inner_values(ops)}
        write_raw(folder / "dump", graph, ops, kept, layout="NC1HWC0", origins=False)
        if map_name.endswith("json"):
            write_om(folder / map_name, graph, ops)
        else:
            write_om2(folder / map_name, ops)

    return Kind(write, map_file=map_name)


def results(form: str) -> Kind:
    """Outputs of one input as ais_bench leaves them."""
    return Kind(
        lambda folder, graph, values: write_ais_bench(folder / "dump", graph, {"street": values}, form=form)
    )


KINDS: Mapping[str, Kind] = {
    **{f"npy-{naming}": npy(naming) for naming in NAMINGS},
    "npz": Kind(lambda folder, graph, values: write_npz(folder / "dump.npz", values), "dump.npz"),
    "npz-packed": Kind(
        lambda folder, graph, values: write_npz(folder / "dump.npz", values, True), "dump.npz"
    ),
    **{
        f"ascend-{version}-{layout}": raw(version, layout)
        for version in (1, 2)
        for layout in ("NCHW", "NC1HWC0", "FRACTAL_NZ")
    },
    "ascend-long-names": raw(2, "NC1HWC0", long_names=True),
    "ascend-json": fused("om.json"),
    "ascend-om2": fused("om.om2"),
    **{f"ais_bench-{form}": results(form) for form in ("bin", "npy", "txt")},
    "qnn": Kind(lambda folder, graph, values: write_qnn(folder / "dump", values)),
    "polygraphy": Kind(
        lambda folder, graph, values: write_polygraphy(folder / "dump.json", values), "dump.json"
    ),
    "trtexec": Kind(lambda folder, graph, values: write_trtexec(folder / "dump.json", values), "dump.json"),
}


# --- wounds: to one file of the dump, or to the dump


def on_bytes(wound: Callable[[bytes, random.Random], bytes]) -> Callable[[Path, random.Random], None]:
    """A wound of the bytes of any file of the case, the map and the summary among them."""

    def wounded(folder: Path, rng: random.Random) -> None:
        for _ in range(rng.choice((1, 1, 3))):
            victim = rng.choice(files_of(folder))
            data = victim.read_bytes()
            if data:
                victim.write_bytes(wound(data, rng))

    wounded.__name__ = wound.__name__
    return wounded


def files_of(folder: Path) -> list[Path]:
    """The files of a case but for its model."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink() and file.name not in ("model.onnx", "x.npy")
    )


def one_of(folder: Path, rng: random.Random) -> Path:
    """Any file inside of the dump."""
    inside = [file for file in files_of(folder) if file.parent != folder] or files_of(folder)
    return rng.choice(inside)


def renamed(folder: Path, rng: random.Random) -> None:
    """A file has another name: a stranger's, another tensor's, one of strange signs."""
    victim = one_of(folder, rng)
    names = [
        "..npy",
        "x" * 200 + victim.suffix,
        f"ä\n{victim.suffix}",
        f"0001_{victim.name}",
        "1.npy",
        "a.b.c.d",
    ]
    names += [f"{victim.stem[: rng.randrange(len(victim.stem) + 1)]}{victim.suffix}", "%s\x1b[31m.bin"]
    with_others = files_of(folder)
    names.append(rng.choice(with_others).name)
    name = rng.choice(names)
    if victim.parent != folder:
        victim.rename(victim.parent / name)


def doubled(folder: Path, rng: random.Random) -> None:
    """A file lies there twice, once changed: under another number, in another folder."""
    for _ in range(rng.choice((1, 3))):
        victim = one_of(folder, rng)
        if victim.parent == folder:
            return
        place = rng.choice([victim.parent, victim.parent / "again"])
        place.mkdir(exist_ok=True)
        copy = place / rng.choice([f"0007_{victim.name}", f"9{victim.name}", victim.name])
        data = bytearray(victim.read_bytes())
        if data:
            data[-1] ^= rng.randrange(256)
        copy.write_bytes(bytes(data))


def emptied(folder: Path, rng: random.Random) -> None:
    """Files are empty, or are folders, or lead nowhere or elsewhere, or are no files."""
    for _ in range(rng.choice((1, 4))):
        victim = one_of(folder, rng)
        name, kind = victim, rng.randrange(6)
        victim.unlink()
        if kind == 0:
            name.touch()
        elif kind == 1:
            name.mkdir()
        elif kind == 2:
            name.symlink_to("/etc/hostname")
        elif kind == 3:
            name.symlink_to(name)
        elif kind == 4:
            os.mkfifo(name)
        if not any(file != name for file in files_of(folder)):
            return


def claiming(folder: Path, rng: random.Random) -> None:
    """A header that claims what is not there: shapes, lengths, types, of numpy's and of Ascend's files."""
    victim = one_of(folder, rng)
    data = victim.read_bytes()
    if data[:6] == b"\x93NUMPY" or victim.suffix == ".npy":
        victim.write_bytes(npy_header(rng) + data[-64:])
    elif victim.suffix in (".npz", ".json"):
        hostile_archive(victim, rng)
    elif len(data) > 8:
        length = rng.choice([2**63, 2**64 - 1, len(data), len(data) - 8, 1, 0, 2**40])
        victim.write_bytes(
            rng.choice([struct.pack("<Q", length) + data[8:], ascend_header(rng) + data[:4096]])
        )


SHAPES = (
    "(10**9, 10**9)",
    "(99999999999, 99999999999)",
    "(-1, 4)",
    "(0, 9223372036854775807, 4)",
    "1" * 6000,
    "(" * 3000 + ")" * 3000,
    "(1, 3, 16, 24)",
    "(True, 2)",
    "('a',)",
    "()",
    "(1,)*99",
    f"({'1,' * 60})",
)
"""What a header may call a shape."""


def npy_header(rng: random.Random) -> bytes:
    """The head of an .npy file that nobody should write."""
    shape = rng.choice(SHAPES)
    descr = rng.choice(
        ["'<f4'", "'|O'", "'<M8[s]'", "[('a', '<f4'), ('b', '|O')]", "'<f2'", "'|V2'", "'<U99999999'"]
    )
    text = (
        f"{{'descr': {descr}, 'fortran_order': {rng.choice(['False', 'True', '1'])}, 'shape': {shape}, }}\n"
    )
    version = rng.choice([(1, 0), (2, 0), (3, 0), (9, 9)])
    form = "<H" if version == (1, 0) else "<I"
    length = rng.choice([len(text), len(text), 65535])
    return b"\x93NUMPY" + bytes(version) + struct.pack(form, length & 0xFFFF) + text.encode()


def ascend_header(rng: random.Random) -> bytes:
    """The head of an operator's file that claims anything."""
    from segdiff.readers.dumps.ascend_proto import _messages

    data = _messages()["DumpData"](version=b"2.0")
    for role in ("input", "output"):
        one = getattr(data, role).add(
            data_type=rng.choice([0, 1, 2, 8, 99]), format=rng.choice([0, 3, 29, 32, 4, -7])
        )
        one.shape.dim.extend(
            rng.choice([[2**63, 2], [1, 2**40, 16, 24, 16], [0, 2**63], [1] * 50, [], [1, 1, 16, 24, 16]])
        )
        one.original_shape.dim.extend(rng.choice([[2**63], [], [1, 8, 16, 24], [0, 0, 0, 0], [1] * 40]))
        one.size = rng.choice([2**64 - 1, 0, 2**40, 12288])
        if role == "output":
            one.original_op.name = rng.choice(["", "x" * 10**5, "Relu:relu_8"])
            one.original_op.output_index = rng.choice([0, 2**32 - 1])
    head = data.SerializeToString()
    return struct.pack("<Q", len(head)) + head


def hostile_archive(victim: Path, rng: random.Random) -> None:
    """An archive that unpacks to much, whose names lead elsewhere; JSON that is deep, or not of objects."""
    if victim.suffix == ".npz":
        held = io.BytesIO()
        np.save(held, np.zeros((1, 8, 16, 24), np.float32))
        with zipfile.ZipFile(victim, "w", zipfile.ZIP_DEFLATED) as archive:
            kind = rng.randrange(3)
            if kind == 0:
                with archive.open("conv_2.npy", "w") as stream:
                    for _ in range(200):
                        stream.write(bytes(1 << 20))
            elif kind == 1:
                head = npy_header(rng)
                archive.writestr("conv_2.npy", head + bytes(1000))
            archive.writestr(
                rng.choice(["../../conv_2.npy", "/etc/conv_2.npy", "C:\\conv_2", "."]), held.getvalue()
            )
        return
    victim.write_bytes(
        rng.choice(
            [
                b"[" * 100_000,
                b'{"lst":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
                b'{"lst": [["r", [{"outputs": {"x": {"values": {"array": "segdiff:0"}}}}]]]}',
                b'[{"name": "x", "dimensions": "999999999999x999999999999", "values": [1, 2]}]',
                b'[{"name": "x", "dimensions": "1x3x16x24", "values": [' + b"1," * 1151 + b"1e999]}]",
                b'[{"name": "x", "dimensions": "1x3x16x24", "values": [' + b"1," * 1151 + b"x]}]",
                b'{"lst": {"a": 1}}',
                b"null",
                b'{"polygraphy_class": "RunResults", "lst": [[1, [1]], [[], [[]]], [["r"]], "x"]}',
                b'{"graph": [{"op": [{"name": 1}, [], {"name": "a", "input": ["a:0"], "attr": [{}]}]}]}',
            ]
        )
    )


def led_astray(folder: Path, rng: random.Random) -> None:
    """Tables whose names lead out of the dump, or are none."""
    name = rng.choice(["../x.npy", "/etc/passwd", "x\0.npy", "", "a" * 5000, "..", "dump/../../x.npy"])
    inside = folder / "dump" if (folder / "dump").is_dir() else folder
    where = rng.randrange(3)
    if where == 0:
        said: Any = rng.choice(
            [
                {"tensor": "x"},
                {"tensor": 3},
                "x",
                None,
                {"tensor": "x", "shape": [2**70]},
                {"dtype": "|O"},
                [],
            ]
        )
        known = rng.choice(files_of(folder)).name
        entries = {name: said, known: said, "y.npy": {"tensor": "x", "layout": "A" * 1000, "shape": [-1]}}
        (inside / "manifest.json").write_text(json.dumps(rng.choice([entries, [entries], 7])))
    elif where == 1:
        rows = [f"{number},{name}" for number in range(10**5, 10**5 + 5)] + ['"', "," * 3000, "1" * 140_000]
        (inside / "mapping.csv").write_text("\n".join(rows))
    else:
        content = {
            "filesinfo": {"0": {"infiles": name, "outfiles": [name, 3, None, [name]]}, "1": [], "2": name}
        }
        (folder / "dump_summary.json").write_text(json.dumps(rng.choice([content, {"filesinfo": 3}, []])))


HURTS: tuple[Callable[[Path, random.Random], None], ...] = (
    *(on_bytes(wound) for wound in WOUNDS),
    renamed,
    doubled,
    emptied,
    claiming,
    led_astray,
)


def wounded_case(kind: str, number: int, folder: Path) -> str:
    """Write a case; the name of its wound."""
    model, values = net()
    onnx.save(model, folder / "model.onnx")
    np.save(folder / "x.npy", FEEDS["x"])
    KINDS[kind].write(folder, read(folder / "model.onnx"), values)
    rng = random.Random(f"{kind} {number}")
    hurt = HURTS[number % len(HURTS)]
    hurt(folder, rng)
    return hurt.__name__


# --- through the readers


def everything(kind: str, folder: Path) -> tuple[Dump, int]:
    """The dump of a case, and how many of its tensors refuse to be read."""
    graph = read(folder / "model.onnx")
    given = KINDS[kind].map_file
    dump = read_dump(folder / KINDS[kind].dump, graph, map_file=folder / given if given else None)
    refused = 0
    tensors = [*dump.tensors.values()]
    tensors += [tensor for op in dump.ops for tensor in (*op.inputs.values(), *op.outputs.values())]
    for tensor in tensors:
        try:
            assert tensor.load().shape == tensor.shape, f"{tensor.value}: another shape than was told"
        except ModelError as error:
            refused += 1
            assert fit(str(error)), f"words: {error}"
    for line in (*dump.problems, *dump.remarks):
        assert fit(line), f"words: {line!r}"
    return dump, refused


def fit(line: str) -> bool:
    """Whether it can be shown to a user: one line, of a length."""
    return bool(line) and line.isprintable() and len(line) < 2000


def attempt(kind: str, folder: Path) -> str:
    """``read``, ``refused``, or what went wrong."""
    try:
        everything(kind, folder)
    except SegdiffError as error:
        return "refused" if fit(str(error)) else f"words: {str(error)!r}"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"traceback: {type(error).__name__}: {str(error)[:200]} ({where.filename}:{where.lineno})"
    return "read"


def child(kind: str, start: int, count: int) -> None:
    """Read the cases one after the other, telling each before and after."""
    net()
    print("ready", flush=True)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(start, start + count):
        print(f"begin {number}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            wounded_case(kind, number, Path(folder))
            outcome = attempt(kind, Path(folder))
        print(f"end {number} {outcome}".replace("\n", " "), flush=True)


# --- through the command


def command(kind: str, number: int) -> str:
    """The outcome of one case through ``segdiff locate``, the model against its dump."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wounded_case(kind, number, folder)
        words = ["locate", "model.onnx", KINDS[kind].dump, "x.npy", "--candidate-model", "model.onnx"]
        words += ["--map", KINDS[kind].map_file or ""] if KINDS[kind].map_file else []
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "segdiff", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        timer = threading.Timer(4 * SECONDS, process.kill)
        timer.start()
        answer, said = (stream.decode(errors="replace") for stream in process.communicate())
        timer.cancel()
        seconds = time.monotonic() - start
        if seconds > 2 * SECONDS:
            return f"slow: {seconds:.0f} s"
        return judged(process.returncode, answer, said) or f"exit {process.returncode}|{seconds:.1f}"


# --- all of them


def cases(count: int) -> Iterator[tuple[str, int]]:
    """Kind and number of every case: the wounds go round, and so do the kinds."""
    shares = {kind: len(range(place, count, len(KINDS))) for place, kind in enumerate(KINDS)}
    for kind, share in shares.items():
        yield from ((kind, number) for number in range(share))


def main(argv: list[str] | None = None) -> int:
    """Run the sweep; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.dump_damage", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--commands", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--case", nargs=2, metavar=("KIND", "NUMBER"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.child:
        child(given.child[0], int(given.child[1]), int(given.child[2]))
        return 0
    if given.case:
        return again(given.case[0], int(given.case[1]))
    counts: dict[str, int] = {}
    for kind, _ in cases(given.count):
        if not given.kinds or kind in given.kinds:
            counts[kind] = counts.get(kind, 0) + 1
    with ThreadPoolExecutor(given.jobs) as pool:

        def through(kind: str) -> list[tuple[str, int, str]]:
            return [(kind, number, outcome) for number, outcome in told(kind, 0, counts[kind], SWEEP)]

        found = report(case for part in pool.map(through, counts) for case in part)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"the largest child had {peak:.0f} MB", flush=True)
        some = [case for case in cases(given.commands) if not given.kinds or case[0] in given.kinds]
        if some:
            outcomes = pool.map(lambda case: command(*case), some)
            found += report((*case, outcome) for case, outcome in zip(some, outcomes, strict=True))
    return int(found > 0)


def again(kind: str, number: int) -> int:
    """One case, its files kept, its traceback shown."""
    folder = Path(tempfile.mkdtemp(prefix="segdiff-dump-"))
    wound = wounded_case(kind, number, folder)
    print(json.dumps({"folder": str(folder), "wound": wound}))
    dump, refused = everything(kind, folder)
    print(f"{len(dump.tensors)} tensors, {len(dump.ops)} operators, {refused} refused")
    print(*dump.problems, *dump.remarks, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
