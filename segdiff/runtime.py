"""Does a framework's own optimiser change what a model computes? As deployed against as written.

Exposing a tensor keeps its operator from being fused, so a fault of the optimiser vanishes while it is
watched. Here nothing but the outputs is shown: the model runs whole, once as written and once optimised. A
difference counts when it is many times the *whole model's* own rounding, which is measured by disturbing the
last bit of its input. Then the weakest level that shows it is found, and the optimisers are halved until the
few are left without which it vanishes; the optimised graphs with and without them tell what was rewritten.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from segdiff.engines import Deployed, Engine, Tensor
from segdiff.errors import EngineError
from segdiff.graph import Array, Graph
from segdiff.metrics import Comparison, Metrics, compare_arrays
from segdiff.rewriting import Rewriting, rewritings
from segdiff.walk.judge import EPSILON, NOISE_FACTOR, Thresholds, disturbed, judge

LEVELS = ("basic", "extended", "layout", "all")
"""Of onnxruntime, each with the optimisers of those before it."""

OPTIMISERS = (
    *("ConstantFolding", "Pad_Fusion", "ConvBNFusion", "ConvMulFusion", "ConvAddFusion", "DivMulFusion"),
    *("FuseReluClip", "NoopElimination", "EliminateIdentity", "EliminateSlice", "EliminateDropout"),
    *("UnsqueezeElimination", "ExpandElimination", "CastElimination", "CastChainElimination"),
    *("CommonSubexpressionElimination", "ConstantSharing", "ReshapeFusion", "PreShapeNodeElimination"),
    *("GemmTransposeFusion", "GemmSumFusion", "MatMulAddFusion", "MatMul_BatchNormalization_Fusion"),
    *("NotWhereFusion", "LabelEncoderFusion", "ClipQuantRewrite", "ReluQuantRewrite", "WhereDummyDq"),
    *("GeluFusionL1", "LayerNormFusionL1", "GeluFusionL2", "LayerNormFusionL2", "SimplifiedLayerNormFusion"),
    *("GatherSliceToSplitFusion", "GatherToSliceFusion", "SliceConcatToSpaceToDepthFusion"),
    *("TransposeOptimizer", "DoubleQDQPairsRemover", "QDQPropagationTransformer", "QDQS8ToU8Transformer"),
    *("QDQSelectorActionTransformer", "QDQFinalCleanupTransformer", "EnsureUniqueDQForNodeUnit"),
    *("ConstantFoldingDQ", "IdenticalChildrenConsolidation", "FuseInitializersTransformer"),
    *("FuseFp16InitializerToFp32NodeTransformer", "ConvActivationFusion", "ConvAddActivationFusion"),
    *("GemmActivationFusion", "MatMulActivationFusion", "MatMulScaleFusion", "MatmulTransposeFusion"),
    *("MatMulIntegerToFloatFusion", "DynamicQuantizeMatMulFusion", "AttentionFusion"),
    *("EmbedLayerNormFusion", "SkipLayerNormFusion", "BiasSkipLayerNormFusion", "BiasGeluFusion"),
    *("FastGeluFusion", "QuickGeluFusion", "BiasSoftmaxFusion", "BiasDropoutFusion"),
    *("GroupQueryAttentionFusion", "GroupQueryAttentionPreNormFusion", "DQMatMulNBitsFusion"),
    *("MatMulNBitsMlpFusion", "MatMulNBitsQkvFusion", "Avx2WeightS8ToU8Transformer"),
    *("NchwcTransformer", "NhwcTransformer"),
)
"""As onnxruntime 1.31 calls them; a name that a version does not know is ignored by it."""

PASSES = (
    *("simplify_with_basic_ops_pass", "layer_norm_fuse_pass", "attention_lstm_fuse_pass", "is_test_pass"),
    *("seqconv_eltadd_relu_fuse_pass", "seqpool_cvm_concat_fuse_pass", "mul_lstm_fuse_pass"),
    *("fc_gru_fuse_pass", "mul_gru_fuse_pass", "seq_concat_fc_fuse_pass", "fc_fuse_pass"),
    *("gpu_cpu_squeeze2_matmul_fuse_pass", "gpu_cpu_reshape2_matmul_fuse_pass"),
    *("gpu_cpu_flatten2_matmul_fuse_pass", "gpu_cpu_map_matmul_v2_to_mul_pass"),
    *("gpu_cpu_map_matmul_v2_to_matmul_pass", "gpu_cpu_map_matmul_to_mul_pass", "matmul_scale_fuse_pass"),
    *("matmul_v2_scale_fuse_pass", "repeated_fc_relu_fuse_pass", "squared_mat_sub_fuse_pass"),
    *("conv_bn_fuse_pass", "conv_eltwiseadd_bn_fuse_pass", "conv_transpose_bn_fuse_pass"),
    *("conv_transpose_eltwiseadd_bn_fuse_pass", "constant_folding_pass", "self_attention_fuse_pass"),
    *("common_subexpression_elimination_pass", "identity_op_clean_pass", "map_op_to_another_pass"),
    *("reduce_as_sum_pass", "dead_code_elimination_pass", "conv2d_bn_fuse_pass", "matmul_weight_trans_pass"),
)
"""Paddle's passes for a CPU, of the old program (as a Config's pass builder lists them) and of PIR."""

HALF = 2.0**-11
STEP = 2.0**-8
"""The rounding of a model that computes in half precision, or in bytes."""

MOST_TRIALS = 40
"""Sessions started in the search for an optimiser."""


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


def optimisation(
    engine: Engine, graph: Graph, feeds: Mapping[str, Tensor], thresholds: Thresholds | None = None
) -> RuntimeFinding | None:
    """What onnxruntime's optimiser does to the outputs of an ONNX model; None where nothing that counts.

    Raises EngineError where the model does not run whole.
    """
    bench = Bench(engine, graph, feeds, thresholds or Thresholds())
    if not bench.differs(Deployed()):
        return None
    level = next((each for each in LEVELS if bench.differs(Deployed(each))), "all")
    culprits = bench.culprits(level, OPTIMISERS)
    changed = rewritten(bench, level, culprits)
    text = words(level, culprits, changed)
    outputs = bench.compared(Deployed(level))
    residual = bench.residual(Deployed(level, culprits)) if culprits else None
    return RuntimeFinding("runtime.optimisation", text, level, outputs, culprits, changed, residual)


def paddle_ir(
    engine: Engine, graph: Graph, feeds: Mapping[str, Tensor], thresholds: Thresholds | None = None
) -> RuntimeFinding | None:
    """The same of Paddle: IR optimisation on against off. Raises EngineError where the model does not run."""
    bench = Bench(engine, graph, feeds, thresholds or Thresholds())
    if not bench.differs(Deployed()):
        return None
    culprits = bench.culprits("all", PASSES)
    residual = bench.residual(Deployed("all", culprits)) if culprits else None
    said = f", by {' and '.join(culprits)}" if culprits else ""
    text = f"Paddle's IR optimisation changes the result{said}; config.switch_ir_optim(False) avoids it."
    return RuntimeFinding(
        "runtime.paddle_ir", text, "all", bench.compared(Deployed()), culprits, (), residual
    )


@dataclass(frozen=True)
class Bench:
    """One model and its input, run in several ways."""

    engine: Engine
    graph: Graph
    feeds: Mapping[str, Tensor]
    thresholds: Thresholds

    @cached_property
    def written(self) -> dict[str, Tensor]:
        """The outputs without any optimisation."""
        return self.engine.run_deployed(self.feeds, self.graph.outputs, Deployed("none"))

    @cached_property
    def noise(self) -> dict[str, Comparison] | None:
        """What the last bit of the input does to them; None for a model that does not repeat itself."""
        again = self.engine.run_deployed(self.feeds, self.graph.outputs, Deployed("none"))
        if any(different(self.written[name].array, again[name].array) for name in self.graph.outputs):
            return None
        blocks, unit = self.engine.blocks, rounding(self.graph)
        feeds = {
            name: blocks.tensor(shaken(tensor.array, unit, seed))
            for seed, (name, tensor) in enumerate(self.feeds.items())
        }
        got = self.engine.run_deployed(feeds, self.graph.outputs, Deployed("none"))
        return {
            name: compare_arrays(self.written[name].array, got[name].array) for name in self.graph.outputs
        }

    def compared(self, how: Deployed) -> dict[str, Comparison]:
        """The outputs of a way to run against those as written."""
        got = self.engine.run_deployed(self.feeds, self.graph.outputs, how)
        return {
            name: compare_arrays(self.written[name].array, got[name].array) for name in self.graph.outputs
        }

    def differs(self, how: Deployed) -> bool:
        """Whether an output differs by more than the model's own rounding."""
        return any(self._counts(name, comparison) for name, comparison in self.compared(how).items())

    def _counts(self, name: str, comparison: Comparison) -> bool:
        def noise() -> Comparison | None:
            return self.noise[name] if self.noise is not None else comparison

        roundings = NOISE_FACTOR * rounding(self.graph) / EPSILON
        return judge(comparison, self.thresholds, noise, bounded=False, roundings=roundings).fault

    def residual(self, how: Deployed) -> Metrics:
        """The metrics of the output that errs most."""
        return max(self.compared(how).values(), key=lambda c: c.metrics.rel_l2).metrics

    def culprits(self, level: str, names: Sequence[str]) -> tuple[str, ...]:
        """The fewest of these optimisers without which the difference vanishes; none where it stays."""
        left = MOST_TRIALS

        def vanishes(without: Sequence[str]) -> bool:
            nonlocal left
            left -= 1
            with suppress(EngineError):  # a model may need an optimiser: that is no proof
                return left >= 0 and not self.differs(Deployed(level, tuple(without)))
            return False

        return tuple(fewest(names, vanishes)) if vanishes(names) else ()


def fewest(names: Sequence[str], enough: Callable[[Sequence[str]], bool]) -> list[str]:
    """A part of ``names`` that is still enough and cannot be halved or thinned (Zeller's ddmin)."""
    found, parts = list(names), 2
    while len(found) > 1:
        pieces = list(cut(found, parts))
        smaller = next((piece for piece in pieces if enough(piece)), None)
        if smaller is not None:
            found, parts = smaller, 2
            continue
        rests = [[name for name in found if name not in piece] for piece in pieces] if parts > 2 else []
        rest = next((rest for rest in rests if enough(rest)), None)
        if rest is not None:
            found, parts = rest, max(2, parts - 1)
        elif parts >= len(found):
            break
        else:
            parts = min(len(found), 2 * parts)
    return found


def cut(names: Sequence[str], parts: int) -> Iterator[list[str]]:
    """In so many pieces of about one length."""
    bounds = np.linspace(0, len(names), parts + 1).astype(int)
    return (list(names[a:b]) for a, b in pairwise(bounds) if b > a)


def different(one: Array, other: Array) -> bool:
    """Whether two runs of the same model gave different numbers."""
    return not np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def rounding(graph: Graph) -> float:
    """The relative rounding of one operation in this model: of the coarsest type it computes in."""
    if any("QuantizeLinear" in op.type for op in graph.ops):
        return STEP
    types = {value.dtype for value in graph.values.values()}
    types |= {parameter.dtype for parameter in graph.parameters.values()}
    return HALF if types & {"float16", "bfloat16"} else EPSILON


def shaken(array: Array, unit: float, seed: int) -> Array:
    """A copy with every float disturbed by ``2 * unit`` of itself, up or down."""
    if array.dtype.kind != "f":
        return array
    wide = array.astype(np.float32) if array.dtype == np.float16 else array
    change = disturbed(wide, seed) - wide
    return np.asarray(wide + change * (unit / EPSILON), array.dtype)


def rewritten(bench: Bench, level: str, without: tuple[str, ...]) -> tuple[Rewriting, ...]:
    """What the optimisers do to the graph; nothing where it could not be saved."""
    if not without:
        return ()
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "with.onnx", Path(folder) / "without.onnx"
        try:
            for file, names in zip(files, ((), without), strict=True):
                how = Deployed(level, names, str(file))
                bench.engine.run_deployed(bench.feeds, bench.graph.outputs, how)
            return rewritings(files[1], files[0])
        except EngineError:
            return ()


def words(level: str, culprits: tuple[str, ...], changed: tuple[Rewriting, ...]) -> str:
    """The finding in a sentence."""
    who = f"onnxruntime's optimiser {' and '.join(culprits)}" if culprits else "onnxruntime's optimisation"
    what = f" turns {changed[0]}" if changed else ""
    where = f" (at {len(changed)} places)" if len(changed) > 1 else ""
    names = ", ".join(repr(name) for name in culprits)
    cure = f"disabled_optimizers=[{names}]" if culprits else "a lower graph_optimization_level"
    joint = ", and the result changes" if what else " changes the result"
    return f"{who} (level {level}){what}{where}{joint}; {cure} avoids it."
