"""What does segdiff answer? The report as plain data: every other form of it is made from these.

``Report.to_dict()`` is the JSON contract, schema version 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segdiff.core.baseline import Baseline
from segdiff.core.device import DeviceInfo
from segdiff.core.edit import Edit
from segdiff.core.elsewhere import DeviceRemark
from segdiff.core.environment import Environment
from segdiff.core.fed import InputComparison
from segdiff.core.files import HashedFile
from segdiff.core.further import Further
from segdiff.core.graph import Array
from segdiff.core.inside import InsideOf
from segdiff.core.kept import KeptTensors
from segdiff.core.late import Shown, door
from segdiff.core.measured import Measured
from segdiff.core.metrics import Comparison, Metrics
from segdiff.core.outlets import Ends
from segdiff.core.outline import Outline
from segdiff.core.pictured import Pictures
from segdiff.core.precision import EPSILON, Precision
from segdiff.core.question import Question
from segdiff.core.thresholds import crossing

Verdict = Literal["agrees", "diverges", "inconclusive"]
State = Literal["clean", "origin", "inherited", "unknown"]

OPTIMISERS = frozenset({"runtime.optimisation", "runtime.paddle_ir"})
"""The kinds of cause that compare one model with itself, as written and as deployed."""

SPEAKING = ("output.", "rows.", "runtime.refused")
"""How the kinds of cause begin that are no operator's: their text is the sentence of the report."""

EXIT_CODES: Mapping[str, int] = {"agrees": 0, "diverges": 1, "inconclusive": 2}


@dataclass(frozen=True)
class ModelInfo:
    """One side: where it lies, its format, how many compute ops it has, ONNX's opset (None in another
    format), and the files that it was read from."""

    path: Path
    format: str
    ops: int
    opset: int | None = None
    files: tuple[HashedFile, ...] = ()


@dataclass(frozen=True)
class OpInfo:
    """An operator as its framework calls it, with the attributes it was written with."""

    type: str
    name: str
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Reason:
    """Why a pair has its state, by kind (``segdiff.walk.judge.Kind``, or ``unmeasured``, ``random``,
    ``inherited``, ``deployed``); ``segdiff.report.words`` has the words for it.

    ``times`` says how many times its rounding a fault is; ``detail`` what a mismatch, or an unmeasured pair's
    problem, consists of.
    """

    kind: str
    times: float | None = None
    detail: str | None = None


@dataclass(frozen=True)
class PairInfo:
    """Two aligned values and their errors; ``state`` is the verdict on the segment that makes them.

    ``shape`` is the reference tensor's; ``why`` says why the state is what it is; ``noise`` is
    the segment's own rounding where it was measured (see ``segdiff.walk.judge``).
    """

    reference: str
    candidate: str
    reference_op: str
    candidate_op: str
    shape: tuple[int, ...]
    evidence: tuple[str, ...]
    state: State
    cumulative: Comparison | None
    isolated: Comparison | None
    noise: Comparison | None = None
    why: Reason = Reason("equal")

    @property
    def reason(self) -> str:
        """``why`` in words."""
        return str(door("words.reason")(self.why))

    def __repr__(self) -> str:
        return f"<segdiff.PairInfo {door('words.pair')(self)}>"


@dataclass(frozen=True)
class Cause:
    """Why an origin errs; ``proven`` when the change it stands for makes the isolated error vanish.

    ``residual`` is the isolated error after the change and ``before`` the one without it; ``edits`` are the
    change itself, for the repair, and ``ends`` what the file shall give out.
    """

    kind: str
    text: str
    proven: bool
    residual: Metrics | None = None
    before: Metrics | None = None
    edits: tuple[Edit, ...] = field(default=(), repr=False, compare=False)
    ends: Ends | None = field(default=None, repr=False, compare=False)

    @property
    def mends(self) -> bool:
        """Whether a repair can make use of it."""
        return self.proven and (bool(self.edits) or self.ends is not None)


@dataclass(frozen=True)
class Effect:
    """What repairing an origin gives back: the share of the final error, and of the changed mask pixels.

    Negative where it makes things worse; ``mask_pixels_restored`` is None where no output is a map of classes
    or none of its pixels changes.
    """

    final_error_removed: float
    mask_pixels_restored: float | None


@dataclass(frozen=True)
class Origin:
    """A segment that errs on equal inputs: the operators of both sides and the pair they end in.

    ``inputs`` are the pairs (reference, candidate) the segment starts from. ``confirmed`` says that what
    reads the value agrees once the reference's tensor is put in its place, so that the fault lies in this
    segment and nowhere else. ``inside`` leads to the block of an If or a Loop in which the fault was found;
    the last of both sides' operators are then those of the block. By its ``fingerprint`` it is known again
    (``segdiff.finding.fingerprint``); empty where none was taken.
    """

    pair: PairInfo
    reference_ops: tuple[OpInfo, ...]
    candidate_nodes: tuple[OpInfo, ...]
    inputs: tuple[tuple[str, str], ...]
    confirmed: bool
    cause: Cause | None = None
    effect: Effect | None = None
    inside: tuple[InsideOf, ...] = ()
    fingerprint: str = ""

    @property
    def speaks(self) -> bool:
        """Whether the cause is a finding by itself, of the outputs or the file, and not of an operator."""
        return self.cause is not None and self.cause.kind.startswith(SPEAKING)

    @property
    def device(self) -> bool:
        """Whether a device errs, and not the file that it runs: both sides' ops are then the file's."""
        return self.cause is not None and self.cause.kind.startswith("device.")

    @property
    def runtime(self) -> bool:
        """Whether the model errs only as deployed: ``reference_ops`` are then the graph as written,
        ``candidate_nodes`` the same place as the framework's optimiser has made it."""
        return self.cause is not None and self.cause.kind in OPTIMISERS

    def __repr__(self) -> str:
        return f"<segdiff.Origin {door('words.origin')(self)}>"


@dataclass(frozen=True)
class TensorForm:
    """Shape and dtype (numpy's name) of a tensor."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class OutputInfo:
    """One output of the model; ``mask_changed`` is the share of pixels whose class changes, None where the
    output is not a map of classes.

    ``reference`` or ``candidate`` is empty where that side has no such output. ``forms`` are those of both
    sides and ``places`` where the output stands on either, from 0; None where there is none.
    """

    reference: str
    candidate: str
    cumulative: Comparison | None
    mask_changed: float | None
    forms: tuple[TensorForm | None, TensorForm | None] = (None, None)
    places: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True)
class AsFed:
    """The candidate with the input that its user feeds it.

    ``outputs`` compare the candidate on that input with the reference on its own, empty where the inputs are
    the same or the candidate does not take it (``problem`` says why); ``masks`` are its maps of classes.
    """

    comparison: InputComparison
    outputs: tuple[OutputInfo, ...]
    problem: str | None = None
    masks: Mapping[str, Array] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class RepairedOutput:
    """One output before and after; ``mask_changed`` as in OutputInfo."""

    before: OutputInfo
    after: Comparison
    mask_changed: float | None


@dataclass(frozen=True)
class Repaired(Shown):
    """A repaired file at ``path``, what was changed in it, and the origins for which there was no proof.

    ``remarks`` say what else happened to the file; ``unit`` is one rounding of the coarsest type in use;
    ``pictures`` are those of the run, with the mask that the repaired file makes.
    """

    path: Path
    changes: tuple[Cause, ...]
    left: tuple[str, ...]
    outputs: tuple[RepairedOutput, ...]
    remarks: tuple[str, ...] = ()
    unit: float = EPSILON
    pictures: Pictures | None = field(default=None, repr=False, compare=False)

    @property
    def agrees(self) -> bool:
        """Whether every origin was repaired and no output shows a difference any more."""
        seen, bounds = [output.after for output in self.outputs], crossing(self.unit)
        return not self.left and not any(after.mismatch or bounds.crossed(after) for after in seen)

    @property
    def exit_code(self) -> int:
        """0 when the models agree now, 1 when they still differ."""
        return 0 if self.agrees else 1

    def to_dict(self) -> dict[str, Any]:
        """The repair as JSON has it (docs/json.md); plain types only."""
        found: dict[str, Any] = door("repaired.to_dict")(self)
        return found

    def to_json(self) -> str:
        """``to_dict()`` as text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __repr__(self) -> str:
        return f"<segdiff.Repaired {self.path}: {len(self.changes)} changes, {len(self.left)} origins left>"


@dataclass(frozen=True)
class Report(Further, Shown):
    """The answer to "where do the two models part?".

    Shapes are those of the run (no axis is left open), errors have no unit but ``max_abs`` and ``mean_abs``,
    which have the tensor's own; shares run from 0 to 1; ``timing_s`` is in seconds, by phase,
    ``peak_memory_mb`` in MiB, of all processes; ``coverage`` is the share of a side's ops that were compared.

    ``sentence`` says the verdict for a person; ``remarks`` what else one should know; ``input_findings``
    what was fed and how. ``pairs`` stand in walk order, ``origins`` too, those of an optimiser last.
    ``together`` is the effect of repairing all origins at once. ``as_fed`` is what the candidate's own
    input does, where it was given. ``assumed`` says what was taken for granted of the picture's
    preparation, where nothing states it. ``precision`` is what half precision or quantisation costs.
    ``image`` is the image's path, where it was given as one, and ``image_file`` that file; ``environment``
    the versions of all that has computed; ``command`` the words of the command line, where it was one;
    ``at`` the options that name the shape of the input, where it is not the image's own; ``baseline`` what
    is known of its origins; ``device`` the dump that a device left; ``device_remarks`` say what of the
    candidate's file a device may read otherwise; ``evidence`` keeps the tensors that a repair and a repro
    need; ``pictures`` what can be seen of the run, None where no input is a picture; ``outlines`` both
    graphs, to be drawn; ``asked`` what was asked, so that it can be opened again, None for one read from a
    file.
    """

    verdict: Verdict
    sentence: str
    coverage: tuple[float, float]
    reference: ModelInfo
    candidate: ModelInfo
    thresholds: Mapping[str, float | None]
    outputs: tuple[OutputInfo, ...]
    origins: tuple[Origin, ...]
    first_crossing: PairInfo | None
    pairs: tuple[PairInfo, ...]
    unmatched: tuple[tuple[str, ...], tuple[str, ...]]
    input_findings: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    together: Effect | None = None
    as_fed: AsFed | None = None
    precision: Precision | None = None
    measured: Measured | None = None
    timing_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    image: str | None = None
    image_file: HashedFile | None = None
    assumed: str | None = None
    environment: Environment | None = None
    command: tuple[str, ...] | None = None
    at: tuple[str, ...] = ()
    baseline: Baseline | None = None
    device: DeviceInfo | None = None
    device_remarks: tuple[DeviceRemark, ...] = ()
    evidence: KeptTensors | None = field(default=None, repr=False, compare=False)
    pictures: Pictures | None = field(default=None, repr=False, compare=False)
    outlines: tuple[Outline, Outline] | None = field(default=None, repr=False, compare=False)
    asked: Question | None = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> Origin | None:
        """The first origin in walk order."""
        return self.origins[0] if self.origins else None

    @property
    def homes(self) -> tuple[str, ...]:
        """Where the error lives: ``input``, ``network``, ``runtime``, ``device``; several, or nowhere."""
        found = {
            "input": self.as_fed is not None and self.as_fed.comparison.accused,
            "network": any(not origin.runtime and not origin.device for origin in self.origins),
            "runtime": any(origin.runtime for origin in self.origins),
            "device": any(origin.device for origin in self.origins),
        }
        return tuple(home for home, here in found.items() if here)

    @property
    def exit_code(self) -> int:
        """0 agrees (or diverges in nothing that a baseline does not know), 1 diverges, 2 could not tell."""
        passes = self.verdict == "diverges" and self.baseline is not None and self.baseline.passes
        return 0 if passes else EXIT_CODES[self.verdict]

    def repair(
        self,
        path: str | Path,
        *,
        timeout: float = 300.0,
        threads: int | None = None,
        candidate_python: str | None = None,
    ) -> Repaired:
        """Write a copy of the candidate with every proven cause mended, and run it; see segdiff.repair."""
        own = {"timeout": timeout, "threads": threads, "candidate_python": candidate_python}
        repaired: Repaired = door("report.repair")(self, path, **own)
        return repaired

    def repro(self, folder: str | Path, *, origin: int = 0) -> Path:
        """Write one origin down for a bug report: its nodes, its tensors, a script;"""
        place: Path = door("report.repro")(self, folder, origin=origin)
        return place

    def against(self, baseline: str | Path | Iterable[str]) -> Report:
        """The report held against what is known: a saved report, or fingerprints; see docs/machines.md."""
        held: Report = door("report.against")(self, baseline)
        return held

    def check(self, baseline: str | Path | Iterable[str] | None = None) -> Report:
        """For a test: AssertionError, with the report in short, where the models do not agree."""
        __tracebackhide__ = True
        held: Report = door("report.check")(self, baseline)
        return held

    def annotate(self, path: str | Path) -> Path:
        """Write a copy of the candidate whose nodes say what is wrong with them, as Netron shows it."""
        place: Path = door("report.annotate")(self, path)
        return place

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract, schema version 1; plain types only (docs/json.md)."""
        found: dict[str, Any] = door("report.to_dict")(self)
        return found

    def to_json(self) -> str:
        """``to_dict()`` as text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __repr__(self) -> str:
        return f"<segdiff.Report {self.verdict}: {self.sentence}>"
