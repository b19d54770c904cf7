"""Is the cause named and proven, whatever the operator and whichever of its settings differs?

For every operator of ONNX with a setting that onnxruntime's CPU runs, a small model with that operator is the
reference; for each attribute and constant operand, changed so that the result changes, the changed model is
the candidate. ``python -m tests.sweeps.onnx_attributes [PATTERN] [--opset 18] [--out FILE] [--table]`` prints
what is not right, the confusion table, and the figures; with ``--out`` it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import fnmatch
import itertools
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, defs, helper, numpy_helper

from segdiff.core.metrics import compare_arrays
from tests.diagnose.in_process import outputs_of
from tests.models import Array, save
from tests.sweeps.bench import Bench, short
from tests.sweeps.log import Log, Record
from tests.sweeps.onnx_programs import Fed, Part, Program, programs
from tests.sweeps.pairs import Pair

VISIBLE = 1e-3
"""A change that moves the result by less than this share is none."""

WORDS: dict[str, tuple[str, ...]] = {
    "auto_pad": ("SAME_UPPER", "SAME_LOWER", "VALID"),
    "mode": (
        *("linear", "nearest", "cubic", "bilinear", "bicubic", "CRD", "DCR", "reflect", "edge"),
        *("avg", "max", "IDF", "TFIDF"),
    ),
    "coordinate_transformation_mode": (
        *("align_corners", "asymmetric", "half_pixel", "output_half_pixel", "pytorch_half_pixel"),
    ),
    "nearest_mode": ("floor", "ceil", "round_prefer_ceil", "round_prefer_floor"),
    "keep_aspect_ratio_policy": ("not_larger", "not_smaller"),
    "padding_mode": ("border", "reflection", "zeros"),
    "reduction": ("add", "mul", "max", "sum", "mean", "none"),
    "direction": ("reverse", "RIGHT", "LEFT"),
    "equation": ("ij,kj->ik", "ij,jk->ki", "ji,jk->ik"),
}
"""What words an attribute may have."""

ACTIVATIONS = {"RNN": ["Sigmoid"], "GRU": ["Tanh", "Sigmoid"], "LSTM": ["Tanh", "Sigmoid", "Sigmoid"]}
TYPES = (1, 6, 7, 3, 2, 9)
"""Element types that a Cast may make, as ONNX numbers them: float, int32, int64, int8, uint8, bool."""


@dataclass(frozen=True, eq=False)
class Fault:
    """A setting of a program and the changed program."""

    setting: str
    reference: Program
    program: Program
    resized: bool


def model_of(program: Program) -> ModelProto:
    """A model with the program's node between a product and another."""
    nodes, inputs, constants, names = [], [], [], []
    for place, part in enumerate(program.parts):
        if isinstance(part, Fed):
            kind = helper.np_dtype_to_tensor_dtype(part.array.dtype)
            inputs.append(helper.make_tensor_value_info(f"x{place}", kind, part.array.shape))
            names.append(f"x{place}")
            if part.array.dtype == np.float32:
                constants.append(numpy_helper.from_array(np.float32(1.25), f"gain{place}"))
                nodes.append(helper.make_node("Mul", [f"x{place}", f"gain{place}"], [f"m{place}"]))
                names[-1] = f"m{place}"
        elif part is None:
            names.append("")
        else:
            constants.append(numpy_helper.from_array(part, f"c{place}"))
            names.append(f"c{place}")
    made = [f"made{number}" for number in range(program.outputs)]
    nodes.append(helper.make_node(program.op_type, names, made, **_attributes(program)))
    constants.append(numpy_helper.from_array(np.float32(0.75), "factor"))
    ends = []
    for number, name in enumerate(made):
        nodes.append(helper.make_node("Cast", [name], [f"float{number}"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"float{number}", "factor"], [f"y{number}"]))
        ends.append(helper.make_tensor_value_info(f"y{number}", TensorProto.FLOAT, None))
    graph = helper.make_graph(nodes, program.op_type, inputs, ends, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", program.opset)], ir_version=8)


def _attributes(program: Program) -> dict[str, Any]:
    return {
        name: numpy_helper.from_array(value, name) if isinstance(value, np.ndarray) else value
        for name, value in program.attributes.items()
    }


def feeds_of(program: Program) -> dict[str, Array]:
    """What the model is fed."""
    fed = enumerate(program.parts)
    return {f"x{place}": part.array for place, part in fed if isinstance(part, Fed)}


def faults(program: Program) -> Iterator[Fault]:
    """For each setting the first change that shows, and the first that changes the shape of the result."""
    truth = _outputs(program)
    if truth is None:
        return
    settings: dict[str, list[Program]] = defaultdict(list)
    for name, changed in itertools.chain(_changed_attributes(program), _changed_operands(program)):
        settings[name].append(changed)
    for name, options in settings.items():
        seen: set[bool] = set()
        for changed in options:
            got = _outputs(changed)
            effect = None if got is None else _effect(truth, got)
            if effect is not None and effect not in seen:
                seen.add(effect)
                yield Fault(name, program, changed, effect)


def _outputs(program: Program) -> dict[str, Array] | None:
    try:
        defs.get_schema(program.op_type, program.opset)
        found = outputs_of(model_of(program), feeds_of(program))
    except Exception:  # onnxruntime refuses in half a dozen ways
        return None
    ok = all(array.size and np.isfinite(array).all() for array in found.values())
    return found if ok else None


def _effect(truth: Mapping[str, Array], got: Mapping[str, Array]) -> bool | None:
    """Whether a change alters a shape; None where it alters nothing."""
    found = [compare_arrays(truth[name], got[name]) for name in truth]
    if any(c.mismatch for c in found):
        return True
    return False if max(c.metrics.rel_l2 for c in found) > VISIBLE else None


def _changed_attributes(program: Program) -> Iterator[tuple[str, Program]]:
    schema = defs.get_schema(program.op_type, program.opset)
    for name, attribute in schema.attributes.items():
        default = attribute.default_value
        now = program.attributes.get(name)
        if now is None and default.name:
            now = helper.get_attribute_value(default)
            now = now.decode() if isinstance(now, bytes) else now
        kind = str(attribute.type).rpartition(".")[2]
        for value in _other_values(program, name, kind, now):
            if isinstance(value, np.ndarray) or value != now:
                attributes = {**program.attributes, name: value}
                yield (
                    name,
                    Program(program.op_type, program.parts, attributes, program.outputs, program.opset),
                )


def _other_values(program: Program, name: str, kind: str, now: Any) -> Iterator[Any]:
    if name in ("to", "dtype", "output_datatype"):
        yield from TYPES
    elif name == "hidden_size" or name == "stash_type":
        return
    elif name == "activations":
        yield ACTIVATIONS[program.op_type]
    elif kind == "INT":
        start = int(now or 0)
        yield from dict.fromkeys((1 - start, start + 1, start - 1, start + 2, 0, 2, 3, -1, -2))
    elif kind == "FLOAT":
        yield from ((now or 0.0) * 2 + 0.3, (now or 1.0) * 0.5, 0.01)
    elif kind == "STRING":
        yield from WORDS.get(name, ())
    elif kind == "INTS":
        values = list(now or ())
        yield from (values[::-1], *_one_more(values), *([], [2, 2], [0, 1], [1, 1, 1, 1]) * (not values))
    elif kind == "FLOATS":
        yield [value * 1.5 for value in now or (0.5,)]
    elif kind == "TENSOR" and now is not None:
        yield now * 2


def _one_more(values: list[int]) -> Iterator[list[int]]:
    for place, step in itertools.product(range(len(values)), (1, -1)):
        yield [value + step * (n == place) for n, value in enumerate(values)]
    yield [value + 1 for value in values]
    for one, other in itertools.combinations(range(len(values)), 2):
        swapped = list(values)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        yield swapped


def _changed_operands(program: Program) -> Iterator[tuple[str, Program]]:
    schema = defs.get_schema(program.op_type, program.opset)
    for place, part in enumerate(program.parts):
        if isinstance(part, np.ndarray):
            name = schema.inputs[min(place, len(schema.inputs) - 1)].name
            for array in _other_arrays(part):
                parts: list[Part] = list(program.parts)
                parts[place] = array
                yield (
                    name,
                    Program(
                        program.op_type, tuple(parts), program.attributes, program.outputs, program.opset
                    ),
                )


def _other_arrays(array: Array) -> Iterator[Array]:
    kind = array.dtype.kind
    if kind == "f":
        yield from (array * np.float32(1.5), array + np.float32(0.3))
    elif kind == "b":
        yield ~array
    else:
        flat = array.reshape(-1)
        yield from (array[::-1] if array.ndim else array + 1, array + 1, array - 1, array * 0)
        for values in itertools.islice(_one_more([int(v) for v in flat]), 12):
            if min(values, default=0) >= 0 or kind == "i":
                yield np.array(values, array.dtype).reshape(array.shape)


# --- what segdiff says


class _Given(Pair):
    """A pair with ready tensors."""

    feeds: Mapping[str, Array]

    @property
    def image(self) -> Any:
        return self.feeds


class Judge:
    """Asks segdiff about one reference after another; the engines live as long as it does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench: Bench | None = None

    def reference(self, program: Program) -> None:
        """Take a program as the reference."""
        file = save(model_of(program), self.folder / "reference.onnx")
        pair = _Given("program", file, file)
        object.__setattr__(pair, "feeds", feeds_of(program))
        if self.bench is None:
            self.bench = Bench(pair)
        else:
            self.bench.take(pair)

    def answer(self, fault: Fault) -> Record:
        """Whether the operator is named and its cause proven."""
        assert self.bench is not None
        file = save(model_of(fault.program), self.folder / "candidate.onnx")
        try:
            report = self.bench.diagnose(file)
        except Exception as error:  # a crash is a result
            return {"verdict": "error", "named": False, "proven": False, "kind": short(error)}
        first = report.origins[0] if report.origins else None
        nodes = [op.type for op in first.candidate_nodes] if first else []
        cause = first.cause if first else None
        return {
            "verdict": report.verdict,
            "named": fault.program.op_type in nodes or bool(cause and fault.program.op_type in cause.text),
            "alone": len(report.origins) == 1,
            "kind": cause.kind if cause else None,
            "proven": bool(cause and cause.proven),
            "text": cause.text if cause else None,
        }

    def close(self) -> None:
        """Stop the engines."""
        if self.bench is not None:
            self.bench.__exit__(None, None, None)


def sweep(pattern: str, opset: int, log: Log) -> None:
    """Every fault of every program whose operator fits the pattern."""
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(Path(folder))
        try:
            for number, program in enumerate(programs(opset)):
                if fnmatch.fnmatch(program.op_type, pattern):
                    _ask(judge, number, program, log)
        finally:
            judge.close()


def _ask(judge: Judge, number: int, program: Program, log: Log) -> None:
    if _outputs(program) is None:
        _keep(
            log, {"key": f"{program.opset}:{program.op_type}:{number}", "op": program.op_type, "runs": False}
        )
        return
    fresh = True
    for fault in faults(program):
        key = f"{program.opset}:{program.op_type}:{number}:{fault.setting}:{fault.resized}"
        if key in log:
            continue
        if fresh:
            judge.reference(program)
            fresh = False
        known = {"key": key, "op": program.op_type, "setting": fault.setting, "resized": fault.resized}
        _keep(log, {**known, "runs": True, **judge.answer(fault)})


def _keep(log: Log, record: Record) -> None:
    log.add(record)
    if not record["runs"] or not (record["named"] and record["proven"]):
        print(line(record), flush=True)


def line(record: Record) -> str:
    """One answer."""
    if not record["runs"]:
        return f"---  {record['op']}: onnxruntime does not run it"
    mark = "ok " if record["named"] and record["proven"] else "BAD"
    shape = " (another shape)" if record["resized"] else ""
    said = f"{record['verdict']}, {record['kind']}: {record.get('text')}"
    return f"{mark}  {record['op']}.{record['setting']}{shape}: {said}"


def table(log: Log) -> str:
    """The confusion table: what was changed, and what the causes were called."""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in log.of(runs=True):
        groups[record["op"], record["setting"]].append(record)
    rows = ["| changed | faults | named | proven | called |", "|---|---|---|---|---|"]
    for (op, setting), records in sorted(groups.items()):
        called = Counter(record["kind"] for record in records)
        words = ", ".join(f"`{kind}`" + (f" {count}" if count > 1 else "") for kind, count in called.items())
        named, proven = (sum(record[key] for record in records) for key in ("named", "proven"))
        rows.append(f"| {op} {setting} | {len(records)} | {named} | {proven} | {words} |")
    return "\n".join(rows)


def summary(log: Log) -> str:
    """The figures in a line."""
    asked = log.of(runs=True)
    named, proven = (sum(record[key] for record in asked) for key in ("named", "proven"))
    operators = len({record["op"] for record in asked})
    return f"{operators} operators, {len(asked)} faults: {named} named, {proven} proven"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--opset", type=int, default=18)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", action="store_true", help="print the confusion table too")
    given = parser.parse_args()
    log = Log(given.out)
    sweep(given.pattern, given.opset, log)
    if given.table:
        print(table(log))
    print(summary(log))


if __name__ == "__main__":
    main()
