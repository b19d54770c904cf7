"""Does the house stand? Imports go down only, no circle, few rooms, no long module, one door up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

import segdiff

ROOT = Path(segdiff.__file__).parent

FLOORS = (
    ("core", "example"),
    ("inputs", "align", "readers"),
    ("engines",),
    ("walk",),
    ("deployed", "diagnose"),
    ("finding",),
    ("score",),
    ("half",),
    ("report",),
    ("commands",),
)
"""From the ground up. A room reads what is below it; rooms of one floor do not read each other."""

FACE = {"segdiff", "segdiff.__main__"}
"""Stands before the house, and opens every door when it is knocked at; the commands knock, as users do."""

MOST_ROOMS, MOST_LINES = 14, 400

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    files = {}
    for file in ROOT.rglob("*.py"):
        parts = ("segdiff", *file.relative_to(ROOT).with_suffix("").parts)
        files[".".join(parts).removesuffix(".__init__")] = file
    return files


MODULES = modules()
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in MODULES.items()}


def imports(name: str) -> Iterator[str]:
    """The modules of segdiff that a module imports anywhere in it, those for type checkers included."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in MODULES:
                    yield inner
                elif node.module in MODULES:
                    yield str(node.module)


ARROWS = [(name, target) for name in MODULES for target in imports(name) if target != name]


def room_of(module: str) -> str:
    """The room in which a module is."""
    return module.partition(".")[2].partition(".")[0]


def test_no_arrow_goes_up() -> None:
    wrong = [
        f"{source} -> {target}"
        for source, target in ARROWS
        if source not in FACE
        and room_of(source) != room_of(target)
        and (
            room_of(source) != "commands"
            if target in FACE
            else FLOOR[room_of(target)] >= FLOOR[room_of(source)]
        )
    ]
    assert not wrong


def test_no_circle() -> None:
    graph = nx.DiGraph((source, target) for source, target in ARROWS if source not in FACE)
    circles = [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    assert not circles


def test_every_room_has_its_floor() -> None:
    rooms = {room_of(name) for name in MODULES if name not in FACE}
    assert rooms == set(FLOOR)
    assert len(rooms) <= MOST_ROOMS


def test_no_module_is_long() -> None:
    long = {name: lines for name, file in MODULES.items() if (lines := line_count(file)) > MOST_LINES}
    assert not long


def line_count(file: Path) -> int:
    """Lines of a file."""
    return len(file.read_text(encoding="utf-8").splitlines())


def test_one_late_door() -> None:
    """A module that is named in a string is imported all the same: only one module may so reach up."""
    up = {
        source
        for source in set(MODULES) - FACE
        for target in named_in_strings(source)
        if room_of(source) != room_of(target) and FLOOR[room_of(target)] >= FLOOR[room_of(source)]
    }
    assert up == {"segdiff.core.late"}


def named_in_strings(name: str) -> Iterator[str]:
    """The modules of segdiff that a string of this module names, as a registry's row does."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = node.value.partition(":")[0]
            if named in MODULES and named not in FACE:
                yield named


def test_every_family_has_its_row() -> None:
    from segdiff.diagnose import families

    files = {file.stem for file in (ROOT / "diagnose" / "families").glob("*.py")} - {"__init__"}
    assert set(families.__all__) == files


def test_every_late_door_opens() -> None:
    from segdiff.core import late

    for name in late._DOORS:
        assert callable(late.door(name))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_opens_with_its_question(module: str) -> None:
    assert ast.get_docstring(TREES[module])


def loaded(*words: str) -> set[str]:
    """Top-level packages that a Python has imported after running these words."""
    code = (
        "import runpy, sys\n"
        "sys.argv[1:] = sys.argv[2:]\n"
        "try:\n    runpy.run_module('segdiff', run_name='__main__')\nexcept SystemExit:\n    pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "segdiff", *words], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("engine", "framework"), [("onnxruntime", "onnxruntime"), ("paddle", "paddle.inference")]
)
def test_an_engine_loads_nothing_that_it_does_not_need(engine: str, framework: str) -> None:
    """Each process pays for what it imports: networkx alone takes 10 to 14 MB. What cuts ONNX files is
    imported by who cuts one."""
    code = (
        f"import sys, {framework}; theirs = set(sys.modules)\n"
        f"import segdiff.engines.worker, segdiff.engines.{engine}; print(*set(sys.modules) - theirs)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = done.stdout.split()
    assert "segdiff.engines.worker" in ours
    assert not set(ours) & {"networkx", "rich", "cv2", "yaml", "segdiff.align", "segdiff.engines.parts"}


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("locate", "--help"), ("score", "--help")])
def test_help_costs_nothing(words: tuple[str, ...]) -> None:
    assert not loaded(*words) & {"numpy", "onnx", "paddle", "onnxruntime", "cv2", "networkx", "PIL"}
