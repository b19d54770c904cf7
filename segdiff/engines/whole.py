"""How does an ONNX file run whole, as it is? Only that: the graph is not read, so no memory goes into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from segdiff.core.edit import Edit
from segdiff.core.graph import Array
from segdiff.core.memory import give_back
from segdiff.core.sequences import packed
from segdiff.engines.framework import Deliver, Nodes
from segdiff.engines.protocol import Deployed, Load

LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "layout": getattr(  # since 1.22; before, "all" was the next one
        ort.GraphOptimizationLevel, "ORT_ENABLE_LAYOUT", ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    ),
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


class WholeFile:
    """An ONNX file as its user runs it, and the session that is kept for the next run of the same kind."""

    def __init__(self, program: Path, threads: int) -> None:
        self.program, self.threads = program, threads
        self.kept: tuple[Deployed, ort.InferenceSession] | None = None

    def holds(self, how: Deployed) -> bool:
        """Whether the session for this is there."""
        return self.kept is not None and self.kept[0] == how

    def session(self, how: Deployed) -> ort.InferenceSession:
        """The session for this, started where it is not there. One that saves its graph is not kept."""
        if self.kept is not None and self.kept[0] == how:
            return self.kept[1]
        self.drop()
        session = whole(self.program, how, self.threads)
        if not how.save:
            self.kept = how, session
        return session

    def run(self, feeds: dict[str, Array], wanted: tuple[str, ...], how: Deployed, deliver: Deliver) -> None:
        """Run the file, optimised as is said."""
        session = self.session(how)
        given = {each.name: feeds[each.name] for each in session.get_inputs() if each.name in feeds}
        given_to(ran(session, given, wanted), deliver)

    def drop(self) -> None:
        """Let the session go, and its memory."""
        if self.kept is not None:
            self.kept = None
            give_back()


class WholeOnnxRuntime:
    """An ONNX file that is only run whole."""

    def __init__(self, message: Load) -> None:
        ort.set_default_logger_severity(4)
        self.file = WholeFile(message.files.program, message.threads)

    def versions(self) -> dict[str, str]:
        """The package that computes, and its version."""
        return {"onnxruntime": ort.__version__}

    def run(
        self,
        feeds: dict[str, Array],
        wanted: tuple[str, ...],
        ops: tuple[int, ...] | None,
        edits: tuple[Edit, ...],
        deliver: Deliver,
    ) -> None:
        """Refuse: a file that is run whole is not cut. Raises NotImplementedError."""
        raise NotImplementedError("this file is only run whole")

    def run_together(self, parts: Sequence[Nodes], deliver: Deliver) -> None:
        """Refuse, too. Raises NotImplementedError."""
        raise NotImplementedError("this file is only run whole")

    def run_deployed(
        self, feeds: dict[str, Array], wanted: tuple[str, ...], how: Deployed, deliver: Deliver
    ) -> None:
        """Run the file, optimised as is said."""
        self.file.run(feeds, wanted, how, deliver)

    def prepare(self, how: Deployed | None) -> None:
        """Start the session."""
        if how is not None:
            self.file.session(how)


def whole(program: Path, how: Deployed, threads: int) -> ort.InferenceSession:
    """A session of a file itself, optimised as is said."""
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[how.level]
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = how.arena
    options.enable_mem_pattern = False  # the first two runs pay for it, and none gains by it
    if how.save:
        options.optimized_model_filepath = how.save
    return ort.InferenceSession(
        str(program),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=list(how.without) or None,
    )


def ran(
    session: ort.InferenceSession, feeds: dict[str, Array], wanted: tuple[str, ...]
) -> dict[str, ort.OrtValue]:
    """What a session makes; a list of tensors, which only ``run`` hands out, as one array."""
    kinds = {each.name: each.type for each in session.get_outputs()}
    if all(kinds[name].startswith("tensor") for name in wanted):
        values = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in feeds.items()}
        return dict(zip(wanted, session.run_with_ort_values(list(wanted), values), strict=True))
    arrays = [np.ascontiguousarray(packed(each)) for each in session.run(list(wanted), feeds)]
    made = [ort.OrtValue.ortvalue_from_numpy(array) for array in arrays]
    return dict(zip(wanted, made, strict=True))


def given_to(outputs: dict[str, ort.OrtValue], deliver: Deliver) -> None:
    """Hand every output over."""
    for name, value in outputs.items():
        array = np.asarray(value.numpy(), order="C")
        deliver(name, array.ctypes.data, array.nbytes, array.dtype.str, array.shape)
