"""Do damaged files ever bring segdiff down? ``python -m tests.sweeps.damage [--files N] [--commands N]``

Files of every format that the readers take are wounded and read, in child processes: a reader that raises
anything but a SegdiffError of one line, that dies or takes longer than ``SECONDS`` is a finding. The same
wounds then go through the whole command: exit code 0, 1 or 2, at most one line on stderr, of the form
``segdiff: why`` and at exit code 2 always, no traceback, within ``SECONDS``, nothing left running. Every case
has a number; ``--case KIND NUMBER`` writes its files into a folder and reads them in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import yaml
from PIL import Image

import segdiff
from segdiff import readers
from segdiff.core.errors import SegdiffError
from segdiff.inputs import InputSpec, prepare, read_candidate_input, read_deploy_yaml, read_image
from segdiff.readers.onnx import load_light
from segdiff.score.dataset import read_dataset
from segdiff.score.files import read_raw
from segdiff.score.folder import open_masks
from segdiff.score.journal import Journal
from segdiff.score.names import class_names
from tests.models import IMAGE, if_network, image, segmenter
from tests.readers.fuzz.parsers import light
from tests.readers.models import save_external, write_pdmodel, write_pir

SECONDS = 30.0
MEMORY = 6 << 30
"""Bytes of address space of a child: what wants more than that for a file of some kilobytes is a finding."""

EXAMPLE = Path(segdiff.__file__).parent / "example"


# --- wounds


def cut(data: bytes, rng: random.Random) -> bytes:
    """The rest is missing, as after a broken download."""
    return data[: rng.randrange(len(data))]


def bits(data: bytes, rng: random.Random) -> bytes:
    """Up to eight bits are flipped."""
    wounded = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        wounded[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(wounded)


def zeros(data: bytes, rng: random.Random) -> bytes:
    """A stretch is zero, as on a disk that lost a block."""
    start, length = rng.randrange(len(data)), rng.choice((1, 4, 16, 256, 4096))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def inserted(data: bytes, rng: random.Random) -> bytes:
    """Something stands between."""
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.randbytes(rng.choice((1, 2, 4, 8, 100))) + data[start:]


def deleted(data: bytes, rng: random.Random) -> bytes:
    """A stretch has gone."""
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 2, 4, 8, 100)) :]


def copied(data: bytes, rng: random.Random) -> bytes:
    """A stretch stands a second time, in place of another or between."""
    source, target = rng.randrange(len(data)), rng.randrange(len(data))
    piece = data[source : source + rng.choice((4, 16, 64, 512))]
    return data[:target] + piece + data[target + (len(piece) if rng.randrange(2) else 0) :]


HUGE = (
    b"\xff" * 4,
    b"\xff" * 8,
    b"\xff\xff\xff\x7f",
    b"\xff" * 9 + b"\x01",
    b"\xff" * 7 + b"\x7f",
    b"\x80" * 9 + b"\x01",
)
DIGITS = re.compile(rb"-?\d+")


def huge(data: bytes, rng: random.Random) -> bytes:
    """A number becomes a huge one: one in digits where there are any, or the bytes of one."""
    found = [match.span() for match in DIGITS.finditer(data[: 1 << 16])]
    if found and rng.randrange(2):
        start, end = rng.choice(found)
        return (
            data[:start]
            + rng.choice((b"9" * 19, b"9" * 5000, b"-" + b"9" * 12, b"1e999", b"2147483648"))
            + data[end:]
        )
    number, start = rng.choice(HUGE), rng.randrange(len(data))
    return data[:start] + number + data[start + len(number) :]


WOUNDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    cut,
    bits,
    zeros,
    inserted,
    deleted,
    copied,
    huge,
)


# --- what is wounded


@dataclass(frozen=True)
class Kind:
    """One format: how to write a sound file, which file of it is wounded, who reads it.

    ``words`` are a command line for the folder; None where only a program reads such a file.
    """

    write: Callable[[Path], object]
    victim: str
    read: Callable[[Path], object]
    words: Callable[[Path], list[str]] | None = None


def network(folder: Path, model: onnx.ModelProto) -> None:
    """An ONNX file and its input."""
    onnx.save(model, folder / "model.onnx")
    np.save(folder / "x.npy", image(IMAGE))


def constants(folder: Path) -> None:
    """An ONNX file whose weights are nodes, typed fields and all."""
    from tests.models import constants_as_nodes

    network(folder, constants_as_nodes(segmenter()))


def old_folder(folder: Path) -> None:
    """``__model__`` and one file of all parameters."""
    write_pdmodel(folder)
    (folder / "model.pdmodel").rename(folder / "__model__")
    (folder / "model.pdiparams").rename(folder / "__params__")


def example(folder: Path) -> None:
    """The bundled pair."""
    shutil.copytree(EXAMPLE / "deploy", folder / "deploy")
    shutil.copy(EXAMPLE / "healthy.onnx", folder / "model.onnx")
    shutil.copy(EXAMPLE / "street.png", folder / "street.png")


def picture(name: str) -> Callable[[Path], None]:
    """A writer of a picture, 16 bits deep where the name says so."""

    def write(folder: Path) -> None:
        pixels = np.random.default_rng(1).integers(0, 255, (24, 32, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / name), pixels.astype(np.uint16) * 257 if "deep" in name else pixels)

    return write


def masks(suffix: str, mode: str) -> Callable[[Path], None]:
    """A writer of two folders with a mask each."""

    def write(folder: Path) -> None:
        for side in ("labels", "ours", "theirs"):
            (folder / side).mkdir()
            mask = Image.fromarray((np.arange(24 * 32).reshape(24, 32) // 200).astype(np.uint8))
            if mode == "P":
                mask.putpalette([10 * n % 256 for n in range(768)])
            else:
                mask = mask.convert(mode)
            mask.save(folder / side / f"one{suffix}")

    return write


def external(folder: Path) -> None:
    """An ONNX file that runs, whose weights lie in a file beside it."""
    model = segmenter()
    onnx.save_model(
        model,
        folder / "model.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=64,
    )
    onnx.save(segmenter(), folder / "sound.onnx")
    np.save(folder / "x.npy", image(IMAGE))


PIR_PAIR = """
import sys
from pathlib import Path
import paddle
from paddle import nn
import segdiff
folder = Path(sys.argv[1])
paddle.seed(1)
net = nn.Sequential(
    nn.Conv2D(3, 8, 3, padding=1), nn.BatchNorm2D(8), nn.ReLU(), nn.Conv2D(8, 4, 3, stride=2, padding=1),
    nn.Upsample(size=(24, 32), mode="bilinear"), nn.Softmax(1),
)
net.eval()
spec = [paddle.static.InputSpec([1, 3, 24, 32], "float32", "x")]
paddle.jit.save(paddle.jit.to_static(net, input_spec=spec), str(folder / "model"))
segdiff.convert(folder, folder / "model.onnx")
"""


def pir_pair(folder: Path) -> None:
    """A network as Paddle 3 writes it, its conversion, and an input."""
    subprocess.run(
        [sys.executable, "-c", PIR_PAIR, folder],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    np.save(folder / "x.npy", image((1, 3, 24, 32)))


def suite(name: str, content: object) -> Callable[[Path], None]:
    """A writer of the bundled pair whose config is that of another suite."""

    def write(folder: Path) -> None:
        example(folder)
        (folder / "deploy/deploy.yaml").unlink()
        (folder / "deploy" / name).write_text(yaml.safe_dump(content, sort_keys=False))

    return write


IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
NORMALIZE = {"NormalizeImage": {**IMAGENET, "scale": "1./255.", "order": "hwc"}}
DETECTION = {
    "mode": "paddle",
    "arch": "PicoDet",
    "Preprocess": [
        {"type": "Resize", "target_size": [96, 128], "keep_ratio": False, "interp": 2},
        {"type": "NormalizeImage", "is_scale": True, "norm_type": "mean_std", **IMAGENET},
        {"type": "Permute"},
    ],
    "label_list": ["a", "b"],
}
CLASSIFICATION = {
    "PreProcess": {
        "transform_ops": [
            {"ResizeImage": {"resize_short": 128}},
            {"CropImage": {"size": 96}},
            NORMALIZE,
            {"ToCHWImage": None},
        ]
    },
    "PostProcess": {"name": "Topk"},
}
TEXT = {
    "Global": {"model_name": "PP-OCRv4_mobile_det"},
    "PreProcess": {
        "transform_ops": [
            {"DecodeImage": {"img_mode": "BGR", "channel_first": False}},
            {"DetResizeForTest": {"resize_long": 128}},
            NORMALIZE,
            {"ToCHWImage": None},
            {"KeepKeys": {"keep_keys": ["image", "shape"]}},
        ]
    },
    "PostProcess": {"name": "DBPostProcess"},
}
SUITES = {
    "paddledetection": ("infer_cfg.yml", DETECTION),
    "paddleclas": ("inference.yml", CLASSIFICATION),
    "paddleocr": ("inference.yml", TEXT),
}


def listed(folder: Path) -> None:
    """A file list with pictures and labels."""
    for name in ("a", "b"):
        picture(f"{name}.png")(folder)
        Image.fromarray(np.zeros((24, 32), np.uint8)).save(folder / f"{name}_label.png")
    (folder / "val.txt").write_text("a.png a_label.png\nb.png b_label.png\n" * 3)


RUN = {"models": ["a", "b"], "images": 6}


def named(folder: Path) -> None:
    """A file of class names, and masks."""
    masks(".png", "L")(folder)
    (folder / "names.txt").write_text("road\nBürgersteig\n人行道\n", encoding="utf-8")


def journal(folder: Path) -> None:
    """The results of a run that was interrupted."""
    from segdiff.score.compare import Agreement, ImageResult, OutputError

    with Journal(folder / "results.jsonl", RUN) as kept:
        for number in range(6):
            result = ImageResult(f"{number}.png", {}, Agreement(100, number, 0), OutputError(0.5, 1e-5))
            kept.add(number, result)


def program(name: str) -> Callable[[Path], object]:
    """A reader of a model: all of its graph and all of its parameters."""

    def read(folder: Path) -> object:
        files = readers.find(folder / name)
        graph = readers.read(files)
        for parameter in graph.parameters.values():
            assert parameter.load().shape == parameter.shape
        if files.format == "onnx":
            load_light(files.program)
        assert list(graph.producer) is not None and graph.flow is not None
        return graph

    return read


def repacked(folder: Path) -> object:
    """An archive around the wounded array, whose checksums are right."""
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        archive.write(folder / "x.npy", "x.npy")
    return prepare(folder / "x.npz", SPEC)


def rechecked(folder: Path) -> object:
    """A picture of wounded chunks, whose checksums are right."""
    file = folder / "a.png"
    data = file.read_bytes()
    found, place = [data[:8]], 8
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        body = data[place + 4 : place + 8 + length]
        found += [data[place : place + 4], body, zlib.crc32(body).to_bytes(4, "big")]
        place += 12 + length
    file.write_bytes(b"".join(found))
    return [read_image(file, 1), read_image(file, 3), read_raw(file)]


def mask_folders(folder: Path) -> object:
    """All masks of all folders."""
    found = [open_masks(folder / side) for side in ("labels", "ours")]
    return [masks.read(name) for masks in found for name in masks.files]


def resumed(folder: Path) -> object:
    """What a journal still knows."""
    with Journal(folder / "results.jsonl", RUN) as kept:
        return list(kept.done())


SPEC = (InputSpec("x", IMAGE, "float32"),)


def locate(reference: str, candidate: str, picture: str) -> Callable[[Path], list[str]]:
    """The words of ``segdiff locate``."""
    return lambda folder: ["locate", *(str(folder / name) for name in (reference, candidate, picture))]


def scored(folder: Path) -> list[str]:
    """The words of ``segdiff score``."""
    options = {"--labels": "labels", "--reference-masks": "ours", "--candidate-masks": "theirs"}
    return ["score", *(word for option, name in options.items() for word in (option, str(folder / name)))]


def fed(folder: Path) -> list[str]:
    """The words of ``segdiff locate`` with a tensor that the candidate is really fed."""
    words = locate("model.onnx", "model.onnx", "sound.npy")(folder)
    return [*words, "--candidate-input", str(folder / "x.npy")]


def fed_tensor(folder: Path) -> None:
    """A model, its input, and what it is really fed."""
    network(folder, segmenter())
    shutil.copy(folder / "x.npy", folder / "sound.npy")


def evaluated(folder: Path) -> list[str]:
    """The words of ``segdiff evaluate`` on the bundled pair."""
    return ["evaluate", str(EXAMPLE / "deploy"), str(EXAMPLE / "healthy.onnx"), str(folder / "val.txt")]


def bundled(deploy: str = "deploy", street: str = "street.png") -> Callable[[Path], list[str]]:
    """The words of ``segdiff locate`` on the copy of the bundled pair."""
    return lambda folder: ["locate", str(folder / deploy), str(folder / "model.onnx"), str(folder / street)]


PICTURES = ("a.png", "a.jpg", "a.bmp", "a.tif", "a.webp", "deep.png", "deep.tif")

MASKS = (
    *((".png", mode) for mode in ("P", "L", "I;16", "RGB", "1")),
    *((".bmp", "L"), (".tif", "L"), (".tif", "RGB"), (".gif", "P")),
)

KINDS: Mapping[str, Kind] = {
    "pdmodel": Kind(write_pdmodel, "model.pdmodel", program("model.pdmodel")),
    "pdiparams": Kind(write_pdmodel, "model.pdiparams", program("model.pdmodel")),
    "old": Kind(old_folder, "__model__", program("")),
    "pir": Kind(write_pir, "model.json", program("model.json")),
    "pir-params": Kind(write_pir, "model.pdiparams", program("model.json")),
    "trained-pdmodel": Kind(example, "deploy/model.pdmodel", program("deploy"), bundled()),
    "trained-pdiparams": Kind(example, "deploy/model.pdiparams", program("deploy"), bundled()),
    "trained-onnx": Kind(example, "model.onnx", program("model.onnx"), bundled()),
    "onnx": Kind(
        lambda folder: network(folder, segmenter()),
        "model.onnx",
        program("model.onnx"),
        locate("model.onnx", "model.onnx", "x.npy"),
    ),
    "onnx-light": Kind(lambda folder: network(folder, segmenter()), "model.onnx", light),
    "onnx-if": Kind(
        lambda folder: network(folder, if_network()),
        "model.onnx",
        program("model.onnx"),
        locate("model.onnx", "model.onnx", "x.npy"),
    ),
    "onnx-constants": Kind(constants, "model.onnx", program("model.onnx")),
    "onnx-external": Kind(save_external, "model.onnx", program("model.onnx")),
    "onnx-weights": Kind(save_external, "w.bin", program("model.onnx")),
    "running-external": Kind(
        external, "model.onnx", program("model.onnx"), locate("sound.onnx", "model.onnx", "x.npy")
    ),
    "running-weights": Kind(
        external, "w.bin", program("model.onnx"), locate("sound.onnx", "model.onnx", "x.npy")
    ),
    "running-pir": Kind(
        pir_pair, "model.json", program("model.json"), locate("model.json", "model.onnx", "x.npy")
    ),
    "running-pir-params": Kind(
        pir_pair, "model.pdiparams", program("model.json"), locate("model.json", "model.onnx", "x.npy")
    ),
    "converted-onnx": Kind(
        pir_pair, "model.onnx", program("model.onnx"), locate("model.json", "model.onnx", "x.npy")
    ),
    "yaml": Kind(
        example,
        "deploy/deploy.yaml",
        lambda folder: read_deploy_yaml(folder / "deploy/deploy.yaml"),
        bundled(),
    ),
    "yaml-of-folder": Kind(example, "deploy/deploy.yaml", lambda folder: readers.find(folder / "deploy")),
    **{
        f"yaml-{name}": Kind(
            suite(file, content),
            f"deploy/{file}",
            lambda folder, file=file: prepare(
                folder / "street.png",
                (InputSpec("x", (1, 3, 96, 128), "float32"),),
                read_deploy_yaml(folder / "deploy" / file),
            ),
            bundled(),
        )
        for name, (file, content) in SUITES.items()
    },
    "npy": Kind(
        lambda folder: network(folder, segmenter()),
        "x.npy",
        lambda folder: prepare(folder / "x.npy", SPEC),
        locate("model.onnx", "model.onnx", "x.npy"),
    ),
    "npy-fed": Kind(
        fed_tensor,
        "x.npy",
        lambda folder: read_candidate_input(folder / "x.npy", folder / "sound.npy"),
        fed,
    ),
    "npz": Kind(
        lambda folder: (network(folder, segmenter()), np.savez(folder / "x.npz", x=image(IMAGE))),
        "x.npz",
        lambda folder: prepare(folder / "x.npz", SPEC),
        locate("model.onnx", "model.onnx", "x.npz"),
    ),
    "npz-packed": Kind(
        lambda folder: np.savez_compressed(folder / "x.npz", x=image(IMAGE)),
        "x.npz",
        lambda folder: prepare(folder / "x.npz", SPEC),
    ),
    "npy-in-npz": Kind(lambda folder: np.save(folder / "x.npy", image(IMAGE)), "x.npy", repacked),
    "picture-in-chunks": Kind(picture("a.png"), "a.png", rechecked),
    **{
        f"picture-{name}": Kind(
            picture(name),
            name,
            lambda folder, name=name: [read_image(folder / name, channels) for channels in (1, 3)],
        )
        for name in PICTURES
    },
    "picture": Kind(
        example,
        "street.png",
        lambda folder: prepare(folder / "street.png", (InputSpec("x", (1, 3, 96, 128), "float32"),)),
        bundled(),
    ),
    **{
        f"mask{suffix}-{mode}": Kind(masks(suffix, mode), f"ours/one{suffix}", mask_folders, scored)
        for suffix, mode in MASKS
    },
    "names": Kind(
        named,
        "names.txt",
        lambda folder: class_names(folder / "names.txt", 1000),
        lambda folder: [*scored(folder), "--names", str(folder / "names.txt")],
    ),
    "list": Kind(listed, "val.txt", lambda folder: read_dataset(folder / "val.txt"), evaluated),
    "journal": Kind(journal, "results.jsonl", resumed),
}


def wounded(kind: str, number: int, data: bytes) -> tuple[str, bytes]:
    """The wound of a case, and what is left."""
    rng = random.Random(f"{kind} {number}")
    wound = WOUNDS[number % len(WOUNDS)]
    return wound.__name__, wound(data, rng) if data else data


# --- through the readers


def attempt(kind: str, folder: Path) -> str:
    """``read``, ``refused``, or what went wrong."""
    try:
        KINDS[kind].read(folder)
    except SegdiffError as error:
        words = str(error)
        return "refused" if words and "\n" not in words and words.isprintable() else f"words: {words!r}"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"traceback: {type(error).__name__}: {str(error)[:200]} ({where.filename}:{where.lineno})"
    return "read"


def child(kind: str, start: int, count: int) -> None:
    """Read the cases one after the other, telling each before and after."""
    with tempfile.TemporaryDirectory() as folder:
        KINDS[kind].write(Path(folder))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        victim = Path(folder) / KINDS[kind].victim
        data = victim.read_bytes()
        print("ready", flush=True)
        for number in range(start, start + count):
            print(f"begin {number}", flush=True)
            victim.unlink(missing_ok=True)
            victim.write_bytes(wounded(kind, number, data)[1])
            print(f"end {number} {attempt(kind, Path(folder))}".replace("\n", " "), flush=True)


def told(kind: str, start: int, count: int, sweep: str = "tests.sweeps.damage") -> Iterator[tuple[int, str]]:
    """The outcome of each case, by a child of a sweep; a child that dies or hangs is one, too."""
    while count > 0:
        words = [sys.executable, "-m", sweep, "--child", kind, str(start), str(count)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            last = start
            for line in lines(process):
                word, _, rest = line.partition(" ")
                if word == "end":
                    number, _, outcome = rest.partition(" ")
                    last = int(number) + 1
                    yield int(number), outcome
            hung = process.poll() is None
            process.kill()
            code = process.wait()
        if last == start + count:
            return
        yield last, f"hang: longer than {SECONDS:g} s" if hung else f"crash: exit code {code}"
        start, count = last + 1, start + count - last - 1


def lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """What it prints, until it ends or is silent for longer than a case may take."""
    assert process.stdout is not None
    rest, patience = b"", 10 * SECONDS  # the first line comes when everything is imported
    while select.select([process.stdout], [], [], patience)[0]:
        got = os.read(process.stdout.fileno(), 1 << 16)
        if not got:
            process.wait()
            return
        *whole, rest = (rest + got).split(b"\n")
        for line in whole:
            patience = SECONDS
            yield line.decode(errors="replace")


# --- through the command


LINE = re.compile(r"segdiff: \S[^\n]*\n")
"""What stderr may hold: one line, as README's table of exit codes promises it."""


class Sound:
    """The sound files of each kind, written once and copied for every case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()

    def copied(self, kind: str, target: Path) -> None:
        """A copy of all of a kind's files."""
        with self.lock:
            if not (self.folder / kind).exists():
                (self.folder / kind).mkdir()
                KINDS[kind].write(self.folder / kind)
        shutil.copytree(self.folder / kind, target, dirs_exist_ok=True)


def command(kind: str, number: int, sound: Sound) -> str:
    """The outcome of one case through ``python -m segdiff``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound.copied(kind, folder)
        victim = folder / KINDS[kind].victim
        victim.write_bytes(wounded(kind, number, victim.read_bytes())[1])
        words = KINDS[kind].words
        assert words is not None
        start = time.monotonic()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "segdiff", *words(folder)],
                stdout=out,
                stderr=told,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), MARK: name},
            )
            timer = threading.Timer(4 * SECONDS, process.kill)
            timer.start()
            _, status, used = os.wait4(process.pid, 0)
            timer.cancel()
            code = process.returncode = os.waitstatus_to_exitcode(status)
            seconds, busy = time.monotonic() - start, used.ru_utime + used.ru_stime
            if seconds > SECONDS:
                load = os.getloadavg()[0]
                return f"slow: {seconds:.0f} s, of which the processor worked {busy:.0f}, load {load:.0f}"
            out.seek(0)
            told.seek(0)
            answer, said = out.read().decode(errors="replace"), told.read().decode(errors="replace")
        return judged(code, answer, said) or left_running(name) or f"exit {code}|{seconds:.1f}"


def judged(code: int, answer: str, said: str) -> str | None:
    """What is wrong with how a command ended, and with what it said; None where nothing is."""
    if "Traceback" in said + answer or "unexpected " in said:
        return f"traceback: {said[-300:]!r}"
    if code not in (0, 1, 2):
        return f"exit code {code}: {said[-300:]!r}"
    if not said and code == 2:
        return "lines: exit code 2 and not a word on stderr"
    if said and not LINE.fullmatch(said):
        return f"lines: {said[-500:]!r}"
    return None


MARK = "SEGDIFF_DAMAGE_CASE"
"""A variable by which the processes of a case are known."""


def left_running(name: str) -> str | None:
    """A process of the case that has outlived its command."""
    mark = f"{MARK}={name}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in entry.read_bytes().split(b"\0"):
                time.sleep(0.5)  # the kernel may be ending it just now
                if entry.exists() and mark in entry.read_bytes():
                    return f"left running: {entry.parent.name}"
    return None


# --- all of them


GOOD = re.compile(r"read|refused|exit [012]\|[\d.]+")


def shares(kinds: list[str], total: int) -> Iterator[tuple[str, int]]:
    """How many cases each kind has."""
    for place, kind in enumerate(kinds):
        yield kind, total // len(kinds) + (place < total % len(kinds))


def report(outcomes: Iterable[tuple[str, int, str]]) -> int:
    """Print a table and what went wrong; the number of findings."""
    counts: dict[str, Counter[str]] = {}
    wrong, longest = 0, 0.0
    for kind, number, outcome in outcomes:
        short, _, seconds = outcome.split(":")[0].partition("|")
        longest = max(longest, float(seconds or 0))
        counts.setdefault(kind, Counter())[short] += 1
        if not GOOD.fullmatch(outcome):
            wrong += 1
            print(f"{kind} {number}: {outcome}", flush=True)
    for kind, counter in counts.items():
        print(f"{kind:20} " + "  ".join(f"{word} {count}" for word, count in sorted(counter.items())))
    total = sum(map(Counter.total, counts.values()))
    print(
        f"{total} files, {wrong} findings" + (f", the longest {longest:.1f} s" if longest else ""), flush=True
    )
    return wrong


def main(argv: list[str] | None = None) -> int:
    """Run the sweep; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.damage", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--commands", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--case", nargs=2, metavar=("KIND", "NUMBER"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.child:
        child(given.child[0], int(given.child[1]), int(given.child[2]))
        return 0
    if given.case:
        return again(given.case[0], int(given.case[1]))
    kinds = given.kinds or list(KINDS)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        sound = Sound(Path(folder))

        def read(share: tuple[str, int]) -> list[tuple[str, int, str]]:
            return [(share[0], number, outcome) for number, outcome in told(share[0], 0, share[1])]

        found = report(case for part in pool.map(read, shares(kinds, given.files)) for case in part)
        cases = [
            (kind, number)
            for kind, count in shares([kind for kind in kinds if KINDS[kind].words], given.commands)
            for number in range(count)
        ]
        found += report(
            (*case, outcome)
            for case, outcome in zip(cases, pool.map(lambda case: command(*case, sound), cases), strict=True)
        )
    return int(found > 0)


def again(kind: str, number: int) -> int:
    """One case, its files kept, its traceback shown."""
    folder = Path(tempfile.mkdtemp(prefix="segdiff-damage-"))
    KINDS[kind].write(folder)
    victim = folder / KINDS[kind].victim
    wound, data = wounded(kind, number, victim.read_bytes())
    victim.write_bytes(data)
    words = KINDS[kind].words
    print(json.dumps({"folder": str(folder), "wound": wound, "words": words(folder) if words else None}))
    KINDS[kind].read(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
