"""The same model written differently. Each rewriter runs in a process of its own: they can crash or hang.

``python -m tests.sweeps.rewriters NAME IN.onnx OUT.onnx``
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx

Rewriter = Callable[[Path, Path], None]


def scramble(source: Path, target: Path) -> None:
    """Every tensor and every node gets a name that says nothing, the model's inputs and outputs too."""
    model = onnx.load(source)
    names: dict[str, str] = {}

    def new(name: str) -> str:
        return names.setdefault(name, f"t{len(names) * 7919 % 1_000_003}") if name else ""

    for graph in graphs(model.graph):
        for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            item.name = new(item.name)
        for sparse in graph.sparse_initializer:
            sparse.values.name = new(sparse.values.name)
        for number, node in enumerate(graph.node):
            node.name, node.doc_string = f"n{number * 31 % 10_007}", ""
            node.input[:] = [new(name) for name in node.input]
            node.output[:] = [new(name) for name in node.output]
    onnx.save(model, target)


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all that are nested in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from graphs(inner)


def slim(source: Path, target: Path) -> None:
    """onnxslim: folds and fuses."""
    import onnxslim

    onnxslim.slim(str(source), str(target))


def sim(source: Path, target: Path) -> None:
    """onnxsim: folds and fuses with onnx-optimizer."""
    import onnxsim

    model, _ = onnxsim.simplify(onnx.load(source))
    onnx.save(model, target)


def optimised(level: str) -> Rewriter:
    """What onnxruntime's optimiser makes of the graph."""

    def rewrite(source: Path, target: Path) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 4
        ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])

    return rewrite


REWRITERS: dict[str, Rewriter] = {
    "scrambled": scramble,
    "onnxslim": slim,
    "onnxsim": sim,
    "ort-basic": optimised("ORT_ENABLE_BASIC"),
    "ort-extended": optimised("ORT_ENABLE_EXTENDED"),
}


def rewritten(name: str, source: Path, target: Path, timeout: float = 120.0) -> str | None:
    """Rewrite in a child process; None when it worked, else what went wrong."""
    command = [sys.executable, "-m", "tests.sweeps.rewriters", name, str(source), str(target)]
    target.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=dict(os.environ)
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {timeout:g} s"
    if done.returncode == 0 and target.is_file():
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return f"exit code {done.returncode}: {lines[-1][:200] if lines else ''}"


if __name__ == "__main__":
    REWRITERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
