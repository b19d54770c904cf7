"""Does a report survive whatever happens to a worker? Every phase, side and way to die; evaluate resumed.

    python -m tests.sweeps.killed [--seed N] [--times 20] [PHASE ...]

Each case is a run of its own: a network with two faults against itself, and the bundled Paddle model. What
was measured before the phase has to be in the report, within the timeout, with nothing left behind; repair
and evaluate as well. At the end the whole command ``evaluate --out`` is killed at so many random moments of
its run, on ONNX files and on the Paddle pair in turn: nothing of it may run on, and the run that follows has
to give the scores of a run in one piece. A phase ``resumed`` does this alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import segdiff
from segdiff.core.errors import EngineError
from segdiff.score.evaluate import journal_of
from tests.finding.test_killed import SHAPE, SLACK, network, words_of
from tests.killing import PHASES, SIDES, STRIKES, nothing_left, struck, struck_as_it_starts
from tests.models import image, save
from tests.score.streets import write_streets
from tests.score.test_killed import IMAGES, lines, scores_of
from tests.sweeps.damage import MARK, left_running

TIMEOUT = 10.0
"""Seconds an engine may be silent; on a busy machine Paddle takes longer to start: ``--timeout``."""
SAID = {"kill": ("SIGKILL",), "stop": ("gave no answer",), "starve": ("",)}
EXAMPLE = Path(segdiff.__file__).parent / "example"


@dataclass(frozen=True)
class Pair:
    """Two models and an input, with what a run gives that nothing happens to."""

    name: str
    files: tuple[Path, Path]
    given: Any
    whole: segdiff.Report
    timeout: float

    @property
    def longest(self) -> float:
        """Seconds that a run may take."""
        return self.timeout + max(SLACK, self.timeout)


def tried(pair: Pair, phase: str, side: str, how: str) -> str:
    """What happened, in words; raises AssertionError where it should not have."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with nothing_left(Path(folder)), struck(phase, side, how) as progress:
                memory = 1 << 10 if phase == "walk" else None
                options = {"timeout": pair.timeout, "memory": memory, "progress": progress}
                report = segdiff.locate(*pair.files, pair.given, **options)
        except EngineError as error:
            assert phase == "start", f"nothing is left of the run: {error}"
            return f"EngineError: {error}"
        finally:
            took = time.monotonic() - began
    assert took < pair.longest, f"it took {took:.0f} s"
    assert phase != "start", "a model that does not start is an error"
    kept(report, pair.whole, phase, spared=side == "reference" and how == "kill")
    told = any(word in words_of(report) for word in SAID[how])
    assert told or how != "kill", "no reason is told"
    return (
        f"{report.verdict}, {len(report.origins)} origins, {took:.1f} s{'' if told else ', no reason told'}"
    )


def kept(report: segdiff.Report, whole: segdiff.Report, phase: str, spared: bool) -> None:
    """All that was measured before the phase is there; all of it, where another engine could go on."""
    after = list(PHASES).index(phase) if phase in PHASES else list(PHASES).index("align")
    if spared:
        after = len(PHASES)
    reached = set(list(PHASES)[:after])
    if "settle" in reached:
        assert places(report) == places(whole), "origins are lost"
        assert all(pair.isolated and pair.cumulative for pair in report.pairs), "errors are lost"
    if "explain" in reached:
        assert [o.cause for o in report.origins] == [o.cause for o in whole.origins], "causes are lost"
    if "weigh" in reached:
        assert [o.effect for o in report.origins] == [o.effect for o in whole.origins], "effects are lost"
    if "keep" in reached:
        assert report.evidence and whole.evidence, "tensors are lost"
        assert report.evidence.segments.keys() == whole.evidence.segments.keys(), "tensors are lost"
    if "deployed" in reached:
        assert (report.verdict, report.outputs) == (whole.verdict, whole.outputs), "the verdict is lost"


def places(report: segdiff.Report) -> list[str]:
    """The candidate's values at the origins."""
    return [origin.pair.candidate for origin in report.origins]


def repaired(pair: Pair, how: str) -> str:
    """A repair whose worker dies writes nothing and leaves nothing behind."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
        try:
            with nothing_left(Path(folder)), struck_as_it_starts(how):
                pair.whole.repair(Path(out) / "fixed.onnx", timeout=pair.timeout)
            return "repaired before it was struck"
        except EngineError as error:
            assert not list(Path(out).iterdir()), "something was written"
            assert time.monotonic() - began < pair.longest, "it took too long"
            return f"EngineError: {error}"


def evaluated(pair: Pair, files: tuple[Path, Path, Path], side: str, how: str) -> str:
    """An evaluation whose worker dies loses an image at most."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        nothing_left(Path(folder)),
        struck("evaluate", side, how) as progress,
    ):
        report = segdiff.evaluate(*files, timeout=pair.timeout, progress=progress)
    assert time.monotonic() - began < pair.longest + SLACK, "it took too long"
    assert report.images + report.skipped == IMAGES and report.skipped <= 1, "images are lost"
    return f"{report.images} of {IMAGES} images"


def main(argv: list[str]) -> int:
    """Go through all cases; 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phases", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    parser.add_argument("--pairs", nargs="*", default=["onnx", "paddle"], help="onnx, paddle (both)")
    options = parser.parse_args(argv)
    failed = 0

    def tell(pair: str, phase: str, side: str, how: str, ask: Callable[[], str]) -> None:
        nonlocal failed
        try:
            found = ask()
        except AssertionError as error:
            failed, found = failed + 1, f"FAILED: {error}"
        except Exception as error:
            failed, found = failed + 1, f"FAILED: {type(error).__name__}: {error}"
        print(f"{pair:7}{phase:9}{side:10}{how:7}{found[:150]}", flush=True)

    phases = options.phases or ("start", "align", "walk", *list(PHASES)[2:], "repair", "evaluate", "resumed")
    with tempfile.TemporaryDirectory() as folder:
        pairs = [pair for pair in pairs_in(Path(folder), options.timeout) if pair.name in options.pairs]
        lists = lists_in(Path(folder))
        for pair, phase, side, how in product(pairs, phases, SIDES, STRIKES):
            if phase == "evaluate":
                tell(pair.name, phase, side, how, partial(evaluated, pair, lists[pair.name], side, how))
            elif phase == "repair":
                if side == "candidate":
                    tell(pair.name, phase, side, how, partial(repaired, pair, how))
            elif phase != "resumed":
                tell(pair.name, phase, side, how, partial(tried, pair, phase, side, how))
        if "resumed" in phases:
            failed += resumed(list(lists.values()), options.seed, options.times)
    print(f"{failed} failed")
    return 1 if failed else 0


def pairs_in(folder: Path, timeout: float) -> list[Pair]:
    """The model pairs."""
    ours = save(network(0.1, 1), folder / "ours.onnx"), save(network(0.2, 3), folder / "theirs.onnx")
    theirs = EXAMPLE / "deploy", EXAMPLE / "model.onnx"
    given = {"onnx": (ours, image(SHAPE)), "paddle": (theirs, EXAMPLE / "street.png")}
    return [
        Pair(name, files, fed, segdiff.locate(*files, fed, timeout=120), timeout)
        for name, (files, fed) in given.items()
    ]


def lists_in(folder: Path) -> dict[str, tuple[Path, Path, Path]]:
    """Both models and the file list of an evaluation, by pair."""
    for name in ("healthy.onnx", "model.onnx", "deploy/deploy.yaml"):
        shutil.copy(EXAMPLE / name, folder)
    listed = write_streets(folder, IMAGES)
    theirs = folder / "model.onnx"
    return {
        "onnx": (folder / "healthy.onnx", theirs, listed),
        "paddle": (EXAMPLE / "deploy", theirs, listed),
    }


def resumed(lists: list[tuple[Path, Path, Path]], seed: int, times: int) -> int:
    """How often ``evaluate --out``, killed at a random moment and run again, gave other scores."""
    chance, wrong = random.Random(seed), 0
    whole, seconds = [], []
    for place, files in enumerate(lists):
        began = time.monotonic()
        whole.append(scores_of(command(files, files[2].with_name(f"whole{place}.json"), None)))
        seconds.append(time.monotonic() - began)
    for number in range(times):
        side = number % len(lists)
        files, out = lists[side], lists[side][2].with_name(f"{number}.json")
        moment = chance.uniform(0, seconds[side])
        command(files, out, moment)
        done = lines(journal_of(out))
        again = scores_of(command(files, out, None))
        wrong += again != whole[side]
        same = "the same" if again == whole[side] else "OTHER"
        print(f"evaluate killed after {moment:.1f} s, {done} lines kept, resumed: {same} scores", flush=True)
    return wrong


def command(files: tuple[Path, Path, Path], out: Path, moment: float | None) -> dict[str, Any]:
    """Run ``evaluate --out``, or kill all of it at a moment; the report that is there then.

    Raises AssertionError where something of it runs on, or lies in /dev/shm or the temporary folder.
    """
    words = [sys.executable, "-m", "segdiff", "evaluate", *map(str, files), "--out", str(out)]
    shared = set(Path("/dev/shm").iterdir())
    temporary = out.with_suffix(".tmp")
    temporary.mkdir(exist_ok=True)
    more = {"PYTHONPATH": str(Path(segdiff.__file__).parents[1]), "TMPDIR": str(temporary), MARK: str(out)}
    environment = {**os.environ, **more}
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=out.parent
    )
    try:
        process.wait(moment or 300)
        assert process.returncode in (0, 1), f"exit code {process.returncode}"
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        assert moment is not None, "it took longer than 300 s"
    assert not left_running(str(out)), "a process runs on"
    left = [each for each in set(Path("/dev/shm").iterdir()) - shared if "segdiff" in each.name]
    left += list(temporary.rglob("*"))
    assert not left, f"left behind: {left}"
    return dict(json.loads(out.read_text())) if moment is None else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
