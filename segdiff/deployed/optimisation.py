"""Does a framework's own optimiser change what a model computes? As deployed against as written.

Exposing a tensor keeps its operator from being fused, so a fault of the optimiser vanishes while it is
watched. Here nothing but the outputs is shown: the model runs whole, once as written and once optimised. A
difference counts when it is many times the *whole model's* own rounding, which is measured by disturbing the
last bit of its input. Then the weakest level that shows it is found, and the optimisers are halved until the
few are left without which it vanishes; the optimised graphs with and without them tell what was rewritten.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array, Graph
from segdiff.core.metrics import Comparison, Metrics, compare_arrays
from segdiff.core.precision import EPSILON, disturbed, unit_of_model
from segdiff.core.thresholds import Thresholds
from segdiff.deployed.optimisers import LEVELS, OPTIMISERS, PASSES
from segdiff.deployed.rewriting import Rewriting, rewritings
from segdiff.engines import Deployed, Engine, Tensor
from segdiff.walk.judge import NOISE_FACTOR, TIE_FACTOR, judge

MOST_TRIALS, MOST_SECONDS = 40, 30.0
"""Sessions started in the search for an optimiser, and how long it may take."""

CHOOSING = frozenset({"arg_max", "arg_min", "top_k", "sort"})
"""Kinds that pick between floats."""

LEAST_CHANGED = 1e-3
"""Share of a mask that may change because two classes are equal within rounding."""


@dataclass(frozen=True)
class RuntimeFinding:
    """An optimiser that changes the result.

    ``kind`` is ``runtime.optimisation`` or ``runtime.paddle_ir``; ``level`` the weakest that shows it;
    ``optimisers`` those without which it vanishes (empty where no named one is to blame), and then
    ``residual`` is what is left without them; ``rewritings`` what they do to the graph. ``outputs`` compares
    as deployed with as written, by output.
    """

    kind: str
    text: str
    level: str
    outputs: Mapping[str, Comparison]
    optimisers: tuple[str, ...] = ()
    rewritings: tuple[Rewriting, ...] = ()
    residual: Metrics | None = None

    @property
    def proven(self) -> bool:
        """Whether leaving the optimisers out makes the difference vanish."""
        return bool(self.optimisers)

    @property
    def worst(self) -> tuple[str, Comparison]:
        """The output that errs most, and by how much."""
        return max(self.outputs.items(), key=lambda item: (item[1].mismatch is not None, error_of(item[1])))


@dataclass(frozen=True)
class Known:
    """What the walk has found out already, so that a healthy model runs only once more.

    ``written`` are outputs of the run as written, ``deployed`` of one as deployed; ``errors`` how far they
    are from the other model's, where the two agree: rounding, that is, and an optimiser that changes no more
    than that does no harm.
    """

    written: Mapping[str, Array] = field(default_factory=dict)
    errors: Mapping[str, Comparison] = field(default_factory=dict)
    deployed: Mapping[str, Array] = field(default_factory=dict)


def optimisation(
    engine: Engine,
    graph: Graph,
    feeds: Mapping[str, Tensor],
    thresholds: Thresholds | None = None,
    known: Known | None = None,
) -> RuntimeFinding | None:
    """What onnxruntime's optimiser does to the outputs of an ONNX model; None where nothing that counts.

    Raises EngineError where the model does not run whole.
    """
    model = suspicious(engine, graph, feeds, thresholds, known)
    if model is None:
        return None
    try:
        level = next((each for each in LEVELS if model.differs(Deployed(each))), "all")
        outputs = model.compared(Deployed(level))
        culprits = model.culprits(level, OPTIMISERS)
        residual = model.residual(Deployed(level, culprits)) if culprits else None
    except EngineError as error:  # that it changes the result is known all the same
        text = f"{sentence_of('all', (), ())}; which of its parts does so could not be found: {error}"
        return RuntimeFinding("runtime.optimisation", text, "all", model.optimised)
    changed = rewritten(model, level, culprits)
    text = sentence_of(level, culprits, changed)
    return RuntimeFinding("runtime.optimisation", text, level, outputs, culprits, changed, residual)


def paddle_ir(
    engine: Engine,
    graph: Graph,
    feeds: Mapping[str, Tensor],
    thresholds: Thresholds | None = None,
    known: Known | None = None,
) -> RuntimeFinding | None:
    """The same of Paddle: IR optimisation on against off. Raises EngineError where the model does not run."""
    model = suspicious(engine, graph, feeds, thresholds, known)
    if model is None:
        return None
    culprits: tuple[str, ...] = ()
    residual, rest = None, ""
    try:
        culprits = model.culprits("all", PASSES)
        residual = model.residual(Deployed("all", culprits)) if culprits else None
    except EngineError as error:
        culprits, rest = (), f"; which of its passes does so could not be found: {error}"
    said = f", by {' and '.join(culprits)}" if culprits else ""
    text = f"Paddle's IR optimisation changes the result{said}; config.switch_ir_optim(False) avoids it{rest}"
    return RuntimeFinding("runtime.paddle_ir", text, "all", model.optimised, culprits, (), residual)


def suspicious(
    engine: Engine,
    graph: Graph,
    feeds: Mapping[str, Tensor],
    thresholds: Thresholds | None,
    known: Known | None,
) -> DeployedModel | None:
    """A model that its optimiser changes, to run in several ways; None for one that it does not, or that
    never repeats itself. What the walk knows can acquit, but not convict."""
    model = DeployedModel(engine, graph, feeds, thresholds or Thresholds(), known or Known())
    if known and not model.differs(Deployed()):
        return None
    model = replace(model, known=Known())
    return model if model.counts(model.optimised) and model.repeats() else None


@dataclass(frozen=True, eq=False)
class DeployedModel:
    """One model and its input, run in several ways."""

    engine: Engine
    graph: Graph
    feeds: Mapping[str, Tensor]
    thresholds: Thresholds
    known: Known

    def run(self, how: Deployed, feeds: Mapping[str, Tensor] | None = None) -> dict[str, Array]:
        """The outputs of one way to run."""
        if how == Deployed() and feeds is None and set(self.graph.outputs) <= self.known.deployed.keys():
            return dict(self.known.deployed)
        got = self.engine.run_deployed(feeds or self.feeds, self.graph.outputs, how)
        return {name: got[name].array for name in self.graph.outputs}

    @cached_property
    def written(self) -> Mapping[str, Array]:
        """The outputs without any optimisation."""
        if set(self.graph.outputs) <= self.known.written.keys():
            return self.known.written
        return self.run(Deployed("none"))

    def shaken(self, roundings: float) -> dict[str, Comparison]:
        """What so many roundings of the input do to the outputs."""
        unit, blocks = roundings * unit_of_model(self.graph), self.engine.blocks
        feeds = {
            name: blocks.tensor(disturbed(tensor.array, seed, unit))
            for seed, (name, tensor) in enumerate(self.feeds.items())
        }
        return self._against_written(self.run(Deployed("none"), feeds))

    @cached_property
    def noise(self) -> dict[str, Comparison]:
        """What the last bit of the input does to the outputs."""
        return self.shaken(1.0)

    @cached_property
    def ties(self) -> dict[str, Comparison]:
        """What as many roundings as an error may have do to outputs that choose: a mask, an index."""
        return self.shaken(NOISE_FACTOR)

    def _against_written(self, got: Mapping[str, Array]) -> dict[str, Comparison]:
        return {name: compare_arrays(self.written[name], got[name]) for name in self.graph.outputs}

    def compared(self, how: Deployed) -> dict[str, Comparison]:
        """The outputs of a way to run against those as written."""
        return self._against_written(self.run(how))

    @cached_property
    def optimised(self) -> dict[str, Comparison]:
        """The outputs as deployed against those as written."""
        return self.compared(Deployed())

    def counts(self, found: Mapping[str, Comparison]) -> bool:
        """Whether an output differs by more than the model's own rounding."""
        return any(self._counts(name, comparison) for name, comparison in found.items())

    def differs(self, how: Deployed) -> bool:
        """Whether an output of a way to run does."""
        return self.counts(self.compared(how))

    def repeats(self) -> bool:
        """Whether the model as written gives the same twice; what draws random numbers does not."""
        again = self.run(Deployed("none"))
        return all(
            np.array_equal(self.written[n], again[n], equal_nan=again[n].dtype.kind == "f") for n in again
        )

    def _counts(self, name: str, comparison: Comparison) -> bool:
        """More than rounding; where the user has bounds, beyond those, too."""
        tolerated = self.thresholds.given and not self.thresholds.crossed(comparison)
        return not tolerated and self._more_than_rounding(name, comparison)

    def _more_than_rounding(self, name: str, comparison: Comparison) -> bool:
        usual = self.known.errors.get(name)
        if usual is not None and within(comparison, usual):
            return False
        if comparison.discrete and not comparison.mismatch:
            fewest = LEAST_CHANGED if self.choices else 0.0
            return comparison.changed > max(fewest, TIE_FACTOR * self.ties[name].changed)
        roundings = NOISE_FACTOR * unit_of_model(self.graph) / EPSILON
        return judge(
            comparison, Thresholds(), lambda: self.noise[name], bounded=False, roundings=roundings
        ).fault

    @cached_property
    def choices(self) -> bool:
        """Whether integers of this model may be choices between tensors of floats."""
        return chooses(self.graph)

    def residual(self, how: Deployed) -> Metrics:
        """The metrics of the output that errs most."""
        return max(self.compared(how).values(), key=error_of).metrics

    def culprits(self, level: str, names: Sequence[str]) -> tuple[str, ...]:
        """The fewest of these optimisers without which the difference vanishes; none where it stays."""
        left, end = MOST_TRIALS, time.monotonic() + MOST_SECONDS

        def vanishes(without: Sequence[str]) -> bool:
            nonlocal left
            left -= 1
            try:
                in_time = left >= 0 and time.monotonic() < end
                return in_time and not self.differs(Deployed(level, tuple(without)))
            except EngineError as error:
                if error.died:
                    raise
                return False  # a model may need an optimiser: that is no proof

        return tuple(fewest(names, vanishes)) if vanishes(names) else ()


def chooses(graph: Graph) -> bool:
    """Whether a model picks between floats."""
    return any(kind_of(op) in CHOOSING for op in graph.ops)


def error_of(comparison: Comparison) -> float:
    """Relative error, for picking the worst of several outputs; NaN is the worst."""
    error = comparison.metrics.rel_l2
    return error if error == error else float("inf")


def within(comparison: Comparison, usual: Comparison) -> bool:
    """Whether a difference is no more than a few times the usual one."""
    if comparison.mismatch or usual.mismatch:
        return False
    if comparison.discrete:
        return comparison.changed <= TIE_FACTOR * usual.changed
    ours, theirs = comparison.metrics, usual.metrics
    return ours.rel_l2 <= TIE_FACTOR * theirs.rel_l2 and ours.max_abs <= TIE_FACTOR * theirs.max_abs


def fewest(names: Sequence[str], enough: Callable[[Sequence[str]], bool]) -> list[str]:
    """A part of ``names`` that is still enough and cannot be halved or thinned (Zeller's ddmin)."""
    found, parts = list(names), 2
    while len(found) > 1:
        shares = list(pieces(found, parts))
        smaller = next((piece for piece in shares if enough(piece)), None)
        if smaller is not None:
            found, parts = smaller, 2
            continue
        rests = [[name for name in found if name not in piece] for piece in shares] if parts > 2 else []
        rest = next((rest for rest in rests if enough(rest)), None)
        if rest is not None:
            found, parts = rest, max(2, parts - 1)
        elif parts >= len(found):
            break
        else:
            parts = min(len(found), 2 * parts)
    return found


def pieces(names: Sequence[str], parts: int) -> Iterator[list[str]]:
    """In so many pieces of about one length."""
    bounds = np.linspace(0, len(names), parts + 1).astype(int)
    return (list(names[a:b]) for a, b in pairwise(bounds) if b > a)


def rewritten(model: DeployedModel, level: str, without: tuple[str, ...]) -> tuple[Rewriting, ...]:
    """What the optimisers do to the graph; nothing where it could not be saved."""
    if not without:
        return ()
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "with.onnx", Path(folder) / "without.onnx"
        try:
            for file, names in zip(files, ((), without), strict=True):
                how = Deployed(level, names, str(file))
                model.engine.run_deployed(model.feeds, model.graph.outputs, how)
            return rewritings(files[1], files[0])
        except EngineError:
            return ()


def sentence_of(level: str, culprits: tuple[str, ...], changed: tuple[Rewriting, ...]) -> str:
    """The finding in a sentence."""
    who = f"onnxruntime's optimiser {' and '.join(culprits)}" if culprits else "onnxruntime's optimisation"
    what = f" turns {changed[0]}" if changed else ""
    where = f" (at {len(changed)} places)" if len(changed) > 1 else ""
    names = ", ".join(repr(name) for name in culprits)
    cure = f"disabled_optimizers=[{names}]" if culprits else "a lower graph_optimization_level"
    joint = ", and the result changes" if what else " changes the result"
    return f"{who} (level {level}){what}{where}{joint}; {cure} avoids it"
