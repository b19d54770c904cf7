"""Are the pairs of a folder and of a list those that are meant, and is none guessed?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from segdiff.core.errors import InputError
from segdiff.score.fleet.pairs import Found, Pair, pairs_of


def folder(root: Path, *files: str) -> Path:
    """A folder with files of these names, a PIR program in each ``.json``."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"base_code": {"magic": "pir"}}' if name.endswith(".json") else "")
    return root


def told(found: Found, root: Path) -> dict[str, tuple[str, str]]:
    """Program and candidate of each pair that is compared, from the folder."""
    return {
        pair.name: (str(Path(pair.reference).relative_to(root)), str(Path(pair.candidate).relative_to(root)))
        for pair in found.pairs
        if not pair.problem
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("a/model.pdmodel", "a/x.onnx", "a/s.png"), {"a": ("a/model.pdmodel", "a/x.onnx")}),
        (
            ("a/one.pdmodel", "a/one.onnx", "a/two.json", "a/two.onnx", "a/s.png"),
            {"a/one": ("a/one.pdmodel", "a/one.onnx"), "a/two": ("a/two.json", "a/two.onnx")},
        ),
        (
            ("a/m.pdmodel", "a.onnx", "b/m.pdmodel", "b.onnx", "s.png"),
            {"a": ("a/m.pdmodel", "a.onnx"), "b": ("b/m.pdmodel", "b.onnx")},
        ),
        (
            ("net/deploy/m.pdmodel", "net/x.onnx", "net/s.png"),
            {"net/x": ("net/deploy/m.pdmodel", "net/x.onnx")},
        ),
        (("a/m.pdmodel", "a/m.onnx", "a/m_slim.onnx", "a/s.png"), {"a": ("a/m.pdmodel", "a/m.onnx")}),
    ],
)
def test_what_belongs_together_is_found(
    files: tuple[str, ...], expected: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    found = pairs_of(folder(tmp_path, *files))
    assert told(found, tmp_path) == expected
    assert all(pair.images for pair in found.pairs)


@pytest.mark.parametrize(
    "files",
    [
        ("a/m.pdmodel", "a/x.onnx", "a/y.onnx"),
        ("a/m.pdmodel", "a/n.pdmodel", "a/x.onnx"),
    ],
)
def test_what_is_not_clear_is_told_and_not_guessed(files: tuple[str, ...], tmp_path: Path) -> None:
    found = pairs_of(folder(tmp_path, *files, "good/m.pdmodel", "good/m.onnx", "good/s.png"))
    assert set(told(found, tmp_path)) == {"good"}
    problem = next(pair.problem for pair in found.pairs if pair.name == "a")
    assert problem and all(Path(name).name in problem for name in files)
    assert found.left_over == ()


def test_what_belongs_to_nothing_is_left_over(tmp_path: Path) -> None:
    found = pairs_of(folder(tmp_path, "a/m.pdmodel", "a/m.onnx", "a/s.png", "b/n.pdmodel", "c/x.onnx"))
    assert found.left_over == ("b/n.pdmodel", "c/x.onnx")


def test_a_pair_without_an_image_takes_the_given_ones_or_says_so(tmp_path: Path) -> None:
    folder(tmp_path, "a/m.pdmodel", "a/m.onnx", "pictures/1.png", "pictures/2.png")
    assert "--images" in str(pairs_of(tmp_path / "a").pairs[0].problem)
    given = pairs_of(tmp_path / "a", [tmp_path / "pictures"]).pairs[0].images
    assert [Path(each).name for each in given] == ["1.png", "2.png"]


def test_a_list_says_it_all(tmp_path: Path) -> None:
    folder(tmp_path, "a/m.pdmodel", "a/m.onnx", "s.png", "infer.py")
    listed = tmp_path / "pairs.yaml"
    listed.write_text(
        "images: [s.png]\noptions: {cosine: 0.9}\npairs:\n"
        "- {reference: a, candidate: a/m.onnx}\n"
        "- {name: fed, reference: a, candidate: a/m.onnx, image: 2.png,"
        " options: {candidate-input: 'infer.py:run', cosine: 0.8}}\n"
        "- {name: far, reference: s3://bucket/a, candidate: s3://bucket/a.onnx}\n"
    )
    found = pairs_of(listed).pairs
    assert [pair.name for pair in found] == ["a", "far", "fed"]
    plain, far, fed = found
    assert plain.images == (str(tmp_path / "s.png"),) and plain.options == {"cosine": 0.9}
    assert fed.images == (str(tmp_path / "2.png"),)
    assert fed.options == {"cosine": 0.8, "candidate_input": f"{tmp_path / 'infer.py'}:run"}
    assert far.reference == "s3://bucket/a"


def test_pairs_of_one_reference_are_told_apart_by_the_candidate(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"reference": "a", "candidate": f"{n}.onnx", "images": "s"} for n in "12"]
    assert [pair.name for pair in pairs_of(rows).pairs] == ["a", "a 2.onnx"]
    with pytest.raises(InputError, match="give each a name"):
        pairs_of([*rows, rows[1]])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "no list of pairs"),
        ({"pairs": "a"}, "no list of pairs"),
        ([1], "pair 1: is no mapping"),
        ([{"reference": "a"}], "'candidate'"),
        ([{"reference": "a", "candidate": "b", "imges": "c"}], "'imges'"),
        ([{"reference": "a", "candidate": "b", "images": 3}], "images are paths"),
        ([{"reference": "a", "candidate": "b", "options": {"cosin": 1}}], "'cosin'"),
        ([{"reference": "a", "candidate": "b", "options": [1]}], "mapping"),
        ({"pears": []}, "no list of pairs"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(data: Any, said: str, tmp_path: Path) -> None:
    listed = tmp_path / "pairs.json"
    listed.write_text(json.dumps(data))
    with pytest.raises(InputError, match=said):
        pairs_of(listed)


def test_neither_a_folder_nor_a_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("[")
    for source in (tmp_path / "nowhere", tmp_path / "nowhere.yaml", tmp_path / "broken.yaml", tmp_path):
        with pytest.raises(InputError):
            pairs_of(source)


def test_a_pair_is_plain_data() -> None:
    assert Pair("a", "b", "c").images == () and Pair("a", "b", "c").problem is None


def test_a_list_at_a_url_says_where_its_paths_start(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "pairs.yaml").write_text("[{reference: a, candidate: a/m.onnx, images: x.png}]")
    (pair,) = pairs_of(f"file://{tmp_path}/pairs.yaml").pairs
    assert pair.reference == f"file://{tmp_path}/a" and pair.images == (f"file://{tmp_path}/x.png",)
