"""Does a report survive whatever happens to a worker? Every phase, side and way to die; evaluate resumed.

    python -m tests.sweeps.killed [--seed N] [--times 20] [PHASE ...]

Each case is a run of its own: a network with two faults against itself, and the bundled Paddle model. What
was measured before the phase has to be in the report, within the timeout, with nothing left behind. At the
end ``evaluate --out`` is killed so many times at random moments and has to give the scores of a run in one
piece.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import segdiff
from segdiff.core.errors import EngineError
from tests.finding.test_killed import SHAPE, SLACK, check, network, words_of
from tests.killing import PHASES, SIDES, STRIKES, nothing_left, struck
from tests.models import image, save
from tests.score import test_killed as evaluated

TIMEOUT = 10.0
SAID = {"kill": ("SIGKILL",), "stop": ("gave no answer",), "starve": ("",)}
EXAMPLE = Path(segdiff.__file__).parent / "example"


def pairs(folder: Path) -> Iterator[tuple[str, tuple[Path, Path], object]]:
    """Name, files and input of the model pairs."""
    files = save(network(0.1, 1), folder / "ours.onnx"), save(network(0.2, 3), folder / "theirs.onnx")
    yield "onnx", files, image(SHAPE)
    yield "paddle", (EXAMPLE / "deploy", EXAMPLE / "model.onnx"), EXAMPLE / "street.png"


def tried(files: tuple[Path, Path], given: object, phase: str, side: str, how: str, paddle: bool) -> str:
    """What happened, in words; raises AssertionError where it should not have."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with nothing_left(Path(folder)), struck(phase, side, how) as progress:
                memory = 1 << 10 if phase == "walk" else None
                report = segdiff.locate(*files, given, timeout=TIMEOUT, memory=memory, progress=progress)  # type: ignore[arg-type]
        except EngineError as error:
            assert phase in ("start", "align"), f"nothing is left of the run: {error}"
            return f"EngineError: {error}"
        finally:
            took = time.monotonic() - began
    assert took < TIMEOUT + SLACK, f"it took {took:.0f} s"
    if not paddle and phase not in ("start", "align"):
        check(report, phase)
    told = any(word in words_of(report) for word in SAID[how])
    return (
        f"{report.verdict}, {len(report.origins)} origins, {took:.1f} s{'' if told else ', no reason told'}"
    )


def main(argv: list[str]) -> int:
    """Go through all cases; 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phases", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args(argv)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, files, given in pairs(Path(folder)):
            for phase in options.phases or ("start", "align", "walk", *list(PHASES)[2:]):
                for side in SIDES:
                    for how in STRIKES:
                        try:
                            found = tried(files, given, phase, side, how, name == "paddle")
                        except AssertionError as error:
                            failed, found = failed + 1, f"FAILED: {error}"
                        print(f"{name:7}{phase:9}{side:10}{how:7}{found[:150]}", flush=True)
        failed += not resumed(Path(folder), options.seed, options.times)
    print(f"{failed} failed")
    return 1 if failed else 0


def resumed(folder: Path, seed: int, times: int) -> bool:
    """Whether ``evaluate`` gives the same scores after it was killed so many times, over several runs."""
    import json
    import shutil

    from tests.score.streets import write_streets

    for name in ("healthy.onnx", "model.onnx", "deploy/deploy.yaml"):
        shutil.copy(EXAMPLE / name, folder)
    files = folder / "healthy.onnx", folder / "model.onnx", write_streets(folder, evaluated.IMAGES)
    whole = evaluated.scores_of(segdiff.evaluate(*files, timeout=60).to_dict())
    chance, done, same = random.Random(seed), 0, True
    while done < times:
        kills = min(chance.randint(1, evaluated.IMAGES - 1), times - done)
        out = folder / f"{done}.json"
        evaluated.killed_and_resumed(files, out, chance, kills)
        same &= evaluated.scores_of(json.loads(out.read_text())) == whole
        done += kills
    print(f"evaluate killed {done} times and resumed: {'the same' if same else 'OTHER'} scores")
    return same


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
