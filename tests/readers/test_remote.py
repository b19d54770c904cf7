"""Is a model at a URL the model it is beside us, with all that belongs to it, and nothing that does not?"""

from __future__ import annotations

import builtins
import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import InputError, ModelError
from segdiff.example import example_files
from segdiff.readers import remote
from segdiff.readers.remote import Fetched, inner_path, is_url, own_name
from segdiff.readers.urls import UrlPath, fetched_once
from tests.models import image, save, segmenter
from tests.score.streets import write_streets

Memory = Any


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """fsspec's own file system in memory, empty, and a folder for temporary files of this test's own."""
    system = fsspec.filesystem("memory")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def put(system: Memory, folder: Path, url: str) -> None:
    """A folder with all below it."""
    for file in folder.rglob("*"):
        if file.is_file():
            system.pipe(f"/{url}/{file.relative_to(folder)}", file.read_bytes())


@pytest.fixture
def example(memory: Memory) -> Memory:
    """The bundled pair in memory://m."""
    with example_files() as (reference, candidate, picture):
        put(memory, Path(reference) if Path(reference).is_dir() else Path(reference).parent, "m/deploy")
        memory.pipe("/m/model.onnx", Path(candidate).read_bytes())
        memory.pipe("/m/street.png", Path(picture).read_bytes())
    return memory


URLS = ("memory://m/deploy", "memory://m/model.onnx", "memory://m/street.png")


def test_the_answer_is_that_of_files_here_and_names_the_urls(example: Memory, tmp_path: Path) -> None:
    with example_files() as files:
        here = segdiff.locate(*files)
    there = segdiff.locate(*URLS)
    assert (there.verdict, there.first.cause.kind) == (here.verdict, here.first.cause.kind)
    assert [pair.cumulative for pair in there.pairs] == [pair.cumulative for pair in here.pairs]
    assert str(there.reference.path).startswith("memory://m/deploy/")
    assert str(there.candidate.path) == "memory://m/model.onnx" and there.image == URLS[2]
    text = there.to_json() + str(there)
    assert str(tmp_path / "tmp") not in text
    assert there.asked.reference == URLS[0] and there.asked.image == URLS[2]


def test_a_repair_finds_the_file_and_then_nothing_is_left(example: Memory, tmp_path: Path) -> None:
    report = segdiff.locate(*URLS)
    assert report.repair(tmp_path / "fixed.onnx").agrees
    report.repro(tmp_path / "repro")
    report.annotate(tmp_path / "told.onnx")
    del report
    gc.collect()
    assert not list((tmp_path / "tmp").iterdir())


def test_an_agreeing_pair_leaves_nothing_behind(memory: Memory, tmp_path: Path) -> None:
    save(segmenter(), tmp_path / "a.onnx")
    memory.pipe("/a.onnx", (tmp_path / "a.onnx").read_bytes())
    report = segdiff.locate("memory://a.onnx", "memory://a.onnx", image())
    assert report.verdict == "agrees"
    gc.collect()
    assert not list((tmp_path / "tmp").iterdir())


def test_external_data_comes_too(memory: Memory, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    save(segmenter(), tmp_path / "x" / "a.onnx", external=True)
    assert len(list((tmp_path / "x").iterdir())) > 1
    put(memory, tmp_path / "x", "x")
    memory.pipe("/x/unrelated.bin", b"0" * 100)
    assert segdiff.locate("memory://x/a.onnx", tmp_path / "x" / "a.onnx", image()).verdict == "agrees"


def test_a_model_by_its_file_brings_parameters_and_config(example: Memory, tmp_path: Path) -> None:
    program = next(name for name in example.ls("/m/deploy", detail=False) if name.endswith(".pdmodel"))
    (tmp_path / "f").mkdir()
    found = Fetched(tmp_path / "f").model(f"memory:/{program}")
    names = {each.name for each in found.parent.iterdir()}
    assert found.name in names and "deploy.yaml" in names
    assert any(name.endswith(".pdiparams") for name in names)


def test_a_data_set_at_a_url(example: Memory, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    listed = write_streets(tmp_path / "s", 3)
    put(example, tmp_path / "s", "s")
    here = segdiff.evaluate(*URLS[:2], listed)
    there = segdiff.evaluate(*URLS[:2], f"memory://s/{Path(listed).name}")
    assert there.images == here.images == 3 and there.labelled == here.labelled
    assert there.agreement == here.agreement
    assert [side.scores for side in there.sides] == [side.scores for side in here.sides]
    assert str(tmp_path) not in there.to_json().replace(str(listed), "")


def test_by_command(example: Memory, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locate", *URLS, "--json", str(tmp_path / "r.json")]) == 1
    shown = capsys.readouterr().out
    assert "memory://m/model.onnx" in shown and str(tmp_path / "tmp") not in shown
    assert main(["locate", "memory://m/deploy", "memory://m/none.onnx", URLS[2]]) == 2
    assert "memory://m/none.onnx: there is no none.onnx" in capsys.readouterr().err
    assert main(["repair", *URLS, "-o", str(tmp_path / "fixed.onnx")]) == 0


def test_an_error_names_the_url(memory: Memory, tmp_path: Path) -> None:
    memory.pipe("/bad/model.onnx", b"no model at all")
    with pytest.raises(ModelError, match=r"memory://bad/model\.onnx") as told:
        segdiff.locate("memory://bad/model.onnx", "memory://bad/model.onnx", image())
    assert str(tmp_path) not in str(told.value)


@pytest.mark.parametrize("place", ["../up.bin", "/etc/passwd", "a/../../up.bin"])
def test_external_data_that_leads_elsewhere_is_not_fetched(
    place: str, memory: Memory, tmp_path: Path
) -> None:
    model = segmenter()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value=place)
    memory.pipe("/x/y/a.onnx", model.SerializeToString())
    memory.pipe("/x/up.bin", b"secret" * 1000)
    with pytest.raises(ModelError, match="outside of the model's folder"):
        segdiff.locate("memory://x/y/a.onnx", "memory://x/y/a.onnx", image())
    assert not list(tmp_path.rglob("up.bin"))


class Lying:
    """A file system whose list has names that lead out of the folder."""

    def __init__(self, real: Memory) -> None:
        self.real = real

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        bad = ("m/..", "m/../../evil.yml", "m/a\\b.yml", "m/\0.yml", "")
        return [{"name": name, "type": "file"} for name in bad] + self.real.ls(path, detail=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def test_names_of_a_list_do_not_lead_out(
    example: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = remote.place_of
    monkeypatch.setattr(
        remote,
        "place_of",
        lambda url: remote.Place(url, Lying(place(url).system), place(url).path),
    )
    (tmp_path / "f").mkdir()
    found = Fetched(tmp_path / "f").model("memory://m/deploy")
    assert found.is_dir() and not list(tmp_path.rglob("evil.yml"))
    assert all(each.is_relative_to(found) for each in found.rglob("*"))


def test_no_more_comes_than_is_allowed(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/big.png", b"0" * 5000)
    monkeypatch.setattr(remote, "FILE_LIMIT", 4000)
    with pytest.raises(InputError, match=r"big\.png is larger than what is fetched at most"):
        Fetched(tmp_path).file("memory://big.png")
    monkeypatch.setattr(type(memory), "size", lambda self, path: None)  # one that does not say
    (tmp_path / "f").mkdir()
    with pytest.raises(InputError, match="larger than what is fetched"):
        Fetched(tmp_path / "f").file("memory://big.png")


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"knows no protocol nowhere://"):
        segdiff.locate("nowhere://a/b.onnx", "c.onnx", image())
    with pytest.raises(InputError, match="no URL of one file or folder"):
        segdiff.locate("zip://a.onnx::memory://b.zip", "c.onnx", image())
    load = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "fsspec":
            raise ImportError("No module named fsspec")
        return load(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r'pip install "segdiff\[remote\]"'):
        segdiff.locate("s3://a/b.onnx", "c.onnx", image())


def test_the_package_of_a_protocol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(url: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", lacking)
    with pytest.raises(InputError, match="pip install s3fs"):
        segdiff.locate("s3://a/b.onnx", "c.onnx", image())


def test_calls_together_fetch_once(example: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    copy = remote.Copying.copy

    def spied(self: Any, path: str, name: str) -> Path:
        copied.append(name)
        return copy(self, path, name)

    monkeypatch.setattr(remote.Copying, "copy", spied)
    with fetched_once():
        for _ in range(2):
            segdiff.dump(URLS[1], URLS[2], out=Path(tempfile.mkdtemp()) / "d.npz")
    assert len(copied) == len(set(copied))


def test_words_about_names() -> None:
    assert is_url("s3://b/x") and not is_url("/a/b") and not is_url("a://") and not is_url(Path("s3://b"))
    assert own_name("a/b/") == "b" and own_name("..") == ""
    assert inner_path("a/b") is not None and inner_path("a/../b") is None and inner_path("a\\b") is None
    path = UrlPath("gs://b/deploy") / "model.onnx"
    assert str(path) == "gs://b/deploy/model.onnx" and path.name == "model.onnx" and not path.exists()


def test_pictures_of_another_folder(example: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        ok, data = cv2.imencode(".png", np.full((96, 128, 3), 90 + number, np.uint8))
        assert ok
        example.pipe(f"/pics/deep/{number}.png", data.tobytes())
    example.pipe("/pics/notes.md", b"no picture")
    found = segdiff.evaluate(*URLS[:2], "memory://pics")
    assert found.images == 2
    assert main(["locate", *URLS[:2], "memory://pics", "--worst", "1"]) == 1
    assert "2 run whole by both models" in " ".join(capsys.readouterr().out.split())
