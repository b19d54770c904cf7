"""Pictures on which nearly everything is equal: does what is right agree on them, and are faults found?

``python -m tests.sweeps.plain_pages --out FILE [--faults N] [--makers MAKER ...] [PATTERN ...]``; a pattern
fits names of pairs. Nearly equal terms round in one direction, a norm divides by a variance of nothing, all
elements of an argmax are ties: what textured pictures never show. The pictures span what the pair's own one
does, channel by channel. ``--makers`` are those of :mod:`tests.sweeps.precision`, calibrated on the pair's
own picture; ``--faults`` plants as many in the float32 file, and asks on each of the pictures. With
``--data`` the models of :mod:`tests.sweeps.trained_models` are asked, too, against the files in ``--made``.
"""

from __future__ import annotations

import argparse
import fnmatch
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import segdiff
from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Array
from tests.sweeps import faults
from tests.sweeps.bench import Bench, short
from tests.sweeps.log import Log, Record
from tests.sweeps.outcome import origin_facts
from tests.sweeps.pairs import Pair, pairs
from tests.sweeps.precision import MAKERS
from tests.sweeps.trained_models import MODELS, Model


def spans(like: Array) -> tuple[Array, Array]:
    """The darkest and the brightest pixel of a picture, channel by channel, in a shape that broadcasts."""
    axes = (0, *range(2, like.ndim))
    return like.min(axis=axes, keepdims=True), like.max(axis=axes, keepdims=True)


def flat(share: float) -> Callable[[Array], Array]:
    """One brightness all over: 0 is black, 1 white."""

    def made(like: Array) -> Array:
        dark, bright = spans(like)
        return np.broadcast_to(dark + share * (bright - dark), like.shape)

    return made


def colour(like: Array) -> Array:
    """One colour: each channel has another brightness."""
    dark, bright = spans(like)
    share = np.resize([0.31, 0.72, 0.53], dark.shape[1]).reshape(dark.shape[1:2] + (1,) * (like.ndim - 2))
    return np.broadcast_to(dark + share * (bright - dark), like.shape)


def halves(like: Array) -> Array:
    """White on the left, black on the right."""
    dark, bright = spans(like)
    return np.where(np.arange(like.shape[-1]) < like.shape[-1] // 2, bright, dark)


def specks(like: Array) -> Array:
    """White, with a single dark pixel in two hundred."""
    dark, bright = spans(like)
    return np.where(np.random.default_rng(6).random(like.shape[2:]) < 0.005, dark, bright)


def zeros(like: Array) -> Array:
    """Nothing but zeros, as of a grey that is the mean."""
    return np.zeros_like(like)


PICTURES: Mapping[str, Callable[[Array], Array]] = {
    "white": flat(1.0),
    "black": flat(0.0),
    "zeros": zeros,
    "halves": halves,
    "colour": colour,
    "specks": specks,
}
"""Name -> the picture, made like another one."""


def drawn(name: str, like: Array) -> Array:
    """One of the pictures, of the shape and range of another."""
    return np.ascontiguousarray(np.broadcast_to(PICTURES[name](like), like.shape), like.dtype)


def repainted(pair: Pair, picture: str, folder: Path) -> Pair:
    """The pair on another picture."""
    io = folder / f"{pair.name}-{picture}.npz"
    np.savez(io, x=drawn(picture, pair.image))  # float32 (1, C, H, W)
    return Pair(f"{pair.name}@{picture}", pair.reference, pair.candidate, io)


def facts(report: segdiff.Report) -> Record:
    """A verdict on what is right, as far as one needs to know it."""
    return {
        "outcome": report.verdict,
        "said": report.sentence,
        "extra": [origin_facts(origin) for origin in report.origins],
        "remarks": list(report.remarks),
    }


def answered(ask: Callable[[], segdiff.Report]) -> Record:
    """The facts, or what the question ended in; with the seconds that it took."""
    start = time.perf_counter()
    try:
        found = facts(ask())
    except SegdiffError as error:
        found = {"outcome": "error", "said": short(error), "extra": []}
    return {**found, "seconds": round(time.perf_counter() - start, 1)}


def asked(ours: Path, theirs: Path, given: Any) -> Record:
    """The same of two files as they are."""
    return answered(lambda: segdiff.locate(ours, theirs, given, deployed=False))


def line(record: Record) -> str:
    """A record in one line."""
    good = record["outcome"] in ("agrees", "not made") and not record.get("extra")
    blamed = [
        f"{o['candidate'][:4]} {o['value']} {o['rel_l2'] or 0:.2g} {o['reason'][:90]} [{o['cause']}]"
        for o in record.get("extra", [])[:3]
    ]
    mark = f"{'ok  ' if good else 'LOOK'} {record['outcome']} {record['key']}"
    said = "" if good else f"{record['said'][:200]} {blamed}"
    return f"{mark} ({record.get('seconds', 0)} s) {said}"


def told(log: Log, record: Record) -> None:
    """Keep and print."""
    log.add(record)
    print(line(record), flush=True)


def float32(pair: Pair, pictures: list[Pair], log: Log) -> None:
    """The conversion as it is."""
    left = [each for each in pictures if f"{each.name} healthy" not in log]
    if not left:
        return
    with Bench(pair) as bench:
        for each in left:
            bench.pair = each
            found = answered(lambda: bench.diagnose(pair.candidate))
            told(log, {"key": f"{each.name} healthy", "sweep": "healthy", "pair": each.name, **found})


def coarser(pair: Pair, pictures: list[Pair], makers: list[str], log: Log, folder: Path) -> None:
    """The conversion made coarser, calibrated on the pair's own picture."""
    for maker in makers:
        keys = {each: f"{each.name} {maker}" for each in pictures}
        if all(key in log for key in keys.values()):
            continue
        file = folder / f"{pair.name}-{maker}.onnx"
        try:
            made = MAKERS[maker][1](
                onnx.load(pair.candidate), pair.image, folder, folder / f"{pair.name}.json"
            )
            onnx.save(made, file)
        except Exception as error:  # whatever a tool says
            told(log, {"key": f"{pair.name} {maker}", "outcome": "not made", "said": short(error)})
            continue
        for each, key in keys.items():
            if key not in log:
                found = asked(pair.reference, file, each.image)
                told(log, {"key": key, "sweep": "coarse", "pair": each.name, "maker": maker, **found})


def trained(model: Model, data: Path, made: Path, wanted: Callable[[str], bool], log: Log) -> None:
    """A trained model against each file that the sweep over them has made, on each picture."""
    reference, feeds = data / model.reference, model.feeds()
    files = {file.stem: file for file in sorted((made / model.name).glob("*.onnx"))}
    if model.candidate:
        files["published"] = data / model.candidate
    name = max((n for n, a in feeds.items() if a.ndim == 4), key=lambda n: feeds[n].size, default="")
    for variant, file in files.items():
        for picture in PICTURES:
            key = f"{model.name}/{variant}@{picture}"
            if not name or key in log or not wanted(key):
                continue
            given = {**feeds, name: drawn(picture, feeds[name])}
            told(log, {"key": key, "sweep": "trained", **asked(reference, file, given)})


def summary(log: Log) -> str:
    """What came of it."""
    lines = []
    for sweep in ("healthy", "coarse", "trained"):
        found = log.of(sweep=sweep)
        lines.append(f"{sweep}: {len(found)} {dict(Counter(r['outcome'] for r in found))}")
    bad = [r for sweep in ("healthy", "coarse", "trained") for r in log.of(sweep=sweep)]
    return "\n".join([*lines, *(line(r) for r in bad if r["outcome"] != "agrees")])


def main(argv: list[str] | None = None) -> int:
    """Run, print, go on where an earlier run stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.plain_pages", description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*-64x96-p*", "rapidocr-*"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", nargs="+", default=["*"], help="only these, by pattern")
    parser.add_argument("--makers", nargs="+", default=[], help="ask about coarser files as well")
    parser.add_argument("--faults", type=int, default=0, help="faults in each pair, on each picture")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no pair after that time")
    parser.add_argument("--times", type=int, default=1, help="how much wider pictures of real models are")
    parser.add_argument("--data", type=Path, help="the packages of trained models")
    parser.add_argument("--made", type=Path, help="what tests.sweeps.trained has made")
    args = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    log, end = Log(args.out), time.monotonic() + 60 * args.minutes
    names = [name for name in PICTURES if any(fnmatch.fnmatch(name, wanted) for wanted in args.pictures)]
    makers = [maker for maker in MAKERS if any(fnmatch.fnmatch(maker, wanted) for wanted in args.makers)]
    with tempfile.TemporaryDirectory() as scratch:
        for pair in pairs(args.patterns):
            if time.monotonic() > end:
                break
            if pair.shape and args.times > 1:
                wide = (*pair.shape[:2], *pair.shape[2:-1], args.times * pair.shape[-1])
                pair = replace(pair, name=f"{pair.name}x{args.times}", shape=wide)
            pictures = [repainted(pair, name, Path(scratch)) for name in names]
            float32(pair, pictures, log)
            coarser(pair, pictures, makers, log, Path(scratch))
            for each in pictures if args.faults else ():
                faults.sweep(each, log, args.faults)
    if args.data and args.made:
        for model in MODELS:
            if time.monotonic() < end:
                trained(model, args.data, args.made, lambda key: fits(key, args.patterns), log)
    print(summary(log))
    if args.faults:
        print(faults.summary(log))
    return 0


def fits(key: Any, patterns: list[str]) -> bool:
    """Whether a name fits one of the patterns."""
    return any(fnmatch.fnmatch(key, each) for each in patterns)


if __name__ == "__main__":
    sys.exit(main())
