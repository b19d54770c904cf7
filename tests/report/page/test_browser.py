"""The page in a browser: opened, sorted, filtered, dragged, followed by keyboard, judged by axe, attacked.

``pytest -m browser`` runs it, where Chromium, node and npm are there; packages come once from npm.
Screenshots go to ``SEGDIFF_SCREENSHOTS`` where that is set.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import segdiff
from segdiff.example import example_files
from segdiff.report.page.page import page
from segdiff.report.save import save
from tests import models
from tests.devices import Device, Fault, saved
from tests.models import Net
from tests.report.page import made
from tests.score.streets import write_streets

HERE = Path(__file__).parent / "browser"
CACHE = Path(__file__).parents[3] / ".cache" / "browser"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

FAULTS = (20, 70, 110)
"""The blocks in which a slope is wrong."""

pytestmark = pytest.mark.browser


def tool(*names: str) -> str:
    """Where a program lies. Skips the test where there is none."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"needs {' or '.join(names)}")
    return found


@pytest.fixture(scope="module")
def modules() -> Path:
    """The folder with the packages of npm, got once."""
    npm = tool("npm")
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "package.json").read_text()
    kept = CACHE / "package.json"
    if not kept.is_file() or kept.read_text() != wanted or not (CACHE / "node_modules" / "axe-core").is_dir():
        kept.write_text(wanted)
        words = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(words, cwd=CACHE, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"npm has not got the packages: {done.stderr[-300:]}")
    return CACHE


def network(faults: tuple[int, ...] = ()) -> Any:
    """Some 1,640 nodes: residual blocks with a gate, and long skips to the end."""
    net = Net((1, 3, 128, 192))
    x = net.node("Relu", net.conv("x", (3, 8)))
    skips = []
    for block in range(136):
        y = net.node("Relu", net.batch_norm(net.conv(x, (8, 8)), 8))
        y = net.batch_norm(net.conv(y, (8, 8)), 8)
        y = net.node("LeakyRelu", y, alpha=0.4 if block in faults else 0.1)
        gate = net.conv(net.node("GlobalAveragePool", y), (8, 8), kernel=1)
        y = net.node("Mul", y, net.node("HardSigmoid", gate, alpha=1 / 6, beta=0.5))
        x = net.node("Mul", net.node("Add", x, y), net.constant(0.9))
        skips += [x] if block % 40 == 20 else []
    both = net.node("Concat", x, *skips, axis=1)
    return net.model(net.node("Softmax", net.conv(both, (8 * (1 + len(skips)), 5)), axis=1))


def others(folder: Path) -> list[Path]:
    """The pages of a score with the worst image located, of a repair, of a healthy model, of what half
    precision costs, of a device's dump, and of several shapes."""
    names = ("score", "repair", "healthy", "half", "device", "shapes")
    found = [folder / f"{name}.html" for name in names]
    with example_files() as files:
        (folder / "streets").mkdir()
        streets = write_streets(folder / "streets", 3)
        save(segdiff.evaluate(files[0], files[1], streets, locate_worst=True, worst=2), found[0])
        save(segdiff.locate(*files).repair(folder / "fixed.onnx"), found[1])
    with example_files("healthy.onnx") as files:
        save(segdiff.locate(*files), found[2])
        save(segdiff.precision(*files), found[3])
    net, x = models.segmenter(), models.image()
    tensors = Device(net, faults=(Fault(net.graph.node[1].output[0], output=lambda made: made * 1.5),))
    saved(tensors.run({"x": x}), folder / "dump")
    model = models.save(net, folder / "net.onnx")
    save(segdiff.locate(model, folder / "dump", x, candidate_model=model), found[4])
    save(segdiff.locate_shapes(model, model, x, batch=(1, 2)), found[5])
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, modules: Path) -> dict[str, Any]:
    """What happened when a browser opened the page of a real run, and one of hostile names."""
    folder = tmp_path_factory.mktemp("page")
    files = [models.save(network(f), folder / f"{n}.onnx") for n, f in (("ours", ()), ("theirs", FAULTS))]
    report = segdiff.locate(*files, models.image((1, 3, 128, 192)), timeout=120)
    assert report.verdict == "diverges" and len(report.origins) == 3 and len(report.pairs) > 1500
    report.save(folder / "report.html")
    (folder / "hostile.html").write_text(page(made.hostile()), encoding="utf-8")
    shots = os.environ.get("SEGDIFF_SCREENSHOTS", "")
    words = [tool("node"), str(HERE / "drive.mjs"), str(modules), tool(*BROWSERS)]
    words += [str(folder / "report.html"), str(folder / "hostile.html"), shots]
    words += map(str, others(folder))
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    print(json.dumps({key: found[key] for key in found if key.endswith(("conds", "opened"))}))
    found["size"] = (folder / "report.html").stat().st_size
    return found


def test_it_opens_at_once_without_a_complaint_or_a_request(seen: dict[str, Any]) -> None:
    assert 1_000_000 <= seen["size"] <= 3_000_000
    assert seen["opened"]["complaints"] == seen["opened"]["requests"] == []
    assert seen["opened"]["seconds"] < 1.5


def test_the_table_sorts_and_filters_without_lag(seen: dict[str, Any]) -> None:
    assert seen["pairs"] > 1500 and seen["sortSeconds"] < 0.3 and seen["filterSeconds"] < 0.3
    errors = [float(text.strip()) for text in seen["sorted"] if text.strip() not in ("-", "inf")]
    assert errors == sorted(errors, reverse=True) and errors[0] > 0.1 and seen["ariaSort"] == "descending"
    assert set(seen["filtered"]) == {"Relu", "LeakyRelu"}
    assert seen["states"] == ["✗ origin"] and seen["rowsAfterScroll"] > 100


def test_the_curve_is_hovered_and_clicked(seen: dict[str, Any]) -> None:
    assert seen["hint"].startswith("pair ") and "cumulative" in seen["hint"]
    number = seen["hint"].split(":")[0].removeprefix("pair ")
    assert seen["clicked"] == f"pair-{number}"


def test_the_line_over_the_picture_is_dragged_and_moved(seen: dict[str, Any]) -> None:
    assert abs(seen["dragged"] - 25) <= 1 and seen["moved"] == seen["dragged"] + 2
    assert [key for key, _ in seen["clips"]] == ["reference", "candidate"]
    assert seen["clips"][1][1] == f"inset(0px 0px 0px {seen['dragged']}%)"
    assert seen["alone"] == ["flips"]


def test_the_graph_is_searched_and_unfolded(seen: dict[str, Any]) -> None:
    assert seen["hits"].startswith("1 of ") and int(seen["hits"].split()[-1]) > 400
    assert seen["unfolded"] and seen["unfoldSeconds"] < 3


def test_by_keyboard_alone_from_the_origin_to_its_row_and_back(seen: dict[str, Any]) -> None:
    assert seen["reached"] and seen["row"].startswith("pair-") and seen["origin"] == "origin-1"
    assert seen["backAtRow"] == seen["row"]
    below = int(seen["row"].removeprefix("pair-")) + 1
    assert seen["below"] == seen["rowOfBox"] == f"pair-{below}"
    assert seen["box"].startswith("n") and seen["boxSeen"]


def test_axe_finds_nothing_in_either_theme_at_either_width(seen: dict[str, Any]) -> None:
    assert seen["axe"] == {f"{theme} {width}": [] for theme in ("light", "dark") for width in (400, 1400)}
    assert seen["hostileAxe"] == []
    assert set(seen["wider"].values()) == {0}


def test_of_200_hostile_names_nothing_runs(seen: dict[str, Any]) -> None:
    found = seen["hostile"]
    assert found["requests"] == found["complaints"] == [] and found["dialogs"] == 0
    assert found["scripts"] == 2 and not found["ran"] and found["at"]


def test_the_pages_of_other_answers_open_as_well(seen: dict[str, Any]) -> None:
    for found in seen["others"]:
        assert found["requests"] == found["complaints"] == found["axe"] == []
    score, repair, healthy, *rest = (found["stages"] for found in seen["others"])
    assert score == [5, 5, 6] and repair == [6] and healthy == [3]
    assert len(rest) == 3


def test_it_is_printed(seen: dict[str, Any]) -> None:
    assert seen["printed"] > 20_000
