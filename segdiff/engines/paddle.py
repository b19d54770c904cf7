"""How does a Paddle model run with every variable in sight? The inference Predictor and its output hook.

Lives in a worker process. IR optimisation and oneDNN are off: the program runs as it was written. As its user
runs it, it runs with a predictor of its own; one of the two is alive at a time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("GLOG_minloglevel", "3")

import numpy as np
import paddle
import paddle.inference as inference

from segdiff.core.edit import Edit
from segdiff.core.graph import Array
from segdiff.core.memory import give_back
from segdiff.engines.channel import ChannelClosedError
from segdiff.engines.framework import Deliver, Nodes
from segdiff.engines.lists import splits
from segdiff.engines.names import Namer, has_blocks, namer_for, outer_scope
from segdiff.engines.protocol import Deployed, Load
from segdiff.readers import read

NUMPY_NAMES = {
    paddle.float32: "float32", paddle.float64: "float64", paddle.float16: "float16",
    paddle.int64: "int64", paddle.int32: "int32", paddle.int16: "int16", paddle.int8: "int8",
    paddle.uint8: "uint8", paddle.bool: "bool",
}  # fmt: skip
"""The element types that numpy has; a tensor of another type is not delivered."""


class Paddle:
    """A loaded Paddle program."""

    def __init__(self, message: Load) -> None:
        self.files, self.threads = message.files, message.threads
        self.graph = read(message.files)
        self.predictor: inference.Predictor | None = self._start()
        self.deployed: tuple[Deployed, inference.Predictor] | None = None
        self.splits = splits(self.graph) if message.files.format == "pir" else ()
        made = self.graph.producer
        self.handed = {n for n in self.graph.outputs if n in made and made[n].type != "conditional_block"}
        self.shown: set[str] = set()
        self.scope: str | None = None
        self.heard: list[tuple[str, str]] | None = None
        self.namer: Namer = namer_for(self.graph)
        self.asked: frozenset[str] = frozenset()
        self.deliver: Deliver | None = None
        self.failure: BaseException | None = None

    def versions(self) -> dict[str, str]:
        """The package that computes, and its version."""
        return {"paddlepaddle": str(paddle.__version__)}

    def run(
        self,
        feeds: dict[str, Array],
        wanted: tuple[str, ...],
        ops: tuple[int, ...] | None,
        edits: tuple[Edit, ...],
        deliver: Deliver,
    ) -> None:
        """Run the program on ``feeds`` and deliver ``wanted``. A program runs whole, and as it is."""
        assert ops is None and not edits
        if self.predictor is None:
            self._drop()
            self.predictor = self._start()
        feed(self.predictor, feeds)
        if has_blocks(self.graph) and self.scope is None:
            self.scope = self._listen(self.predictor)
        self.namer, self.asked = namer_for(self.graph, self.scope), frozenset(wanted)
        self.deliver, self.failure, self.shown = deliver, None, set()
        for name, array in feeds.items():
            self._deliver_parts(name, array)
        self.predictor.run()
        if self.failure is not None:
            raise self.failure
        self._hand_out_the_rest(self.predictor)

    def run_together(self, parts: Sequence[Nodes], deliver: Deliver) -> None:
        """Refuse: a program runs whole. Raises NotImplementedError."""
        raise NotImplementedError("a Paddle program is only run whole")

    def run_deployed(
        self, feeds: dict[str, Array], wanted: tuple[str, ...], how: Deployed, deliver: Deliver
    ) -> None:
        """Run with IR optimisation on (level ``all``) or off, and no hook.

        The predictor is kept until anything else is run.
        """
        predictor = self._as_deployed(how)
        feed(predictor, feeds)
        try:
            predictor.run()
        except Exception:
            self._drop()  # nobody knows what it left behind
            raise
        for name, source in zip(self.graph.outputs, predictor.get_output_names(), strict=True):
            if name in wanted:
                hand_out(name, predictor, source, deliver)

    def prepare(self, how: Deployed | None) -> None:
        """Make the predictor."""
        if how is not None:
            self._as_deployed(how)

    def _as_deployed(self, how: Deployed) -> inference.Predictor:
        if self.deployed is None or self.deployed[0] != how:
            self._drop()
            self.deployed = how, inference.create_predictor(self._config(how))
        return self.deployed[1]

    def _start(self) -> inference.Predictor:
        predictor = inference.create_predictor(self._config(Deployed("none")))
        predictor.register_output_hook(self._hook)
        return predictor

    def _listen(self, predictor: inference.Predictor) -> str | None:
        """The scope of the program itself, told from those of its blocks by one run that shows nothing.

        While it runs it could not be told: a program may begin with what lies inside a block.
        """
        self.heard = []
        predictor.run()
        heard, self.heard = self.heard, None
        return outer_scope(self.graph, heard)

    def _config(self, how: Deployed) -> inference.Config:
        config = inference.Config(str(self.files.program), str(self.files.params or ""))
        config.disable_gpu()
        config.disable_glog_info()
        config.switch_ir_optim(how.level != "none")
        if not how.onednn:
            config.disable_mkldnn()
        if self.files.format == "pdmodel":
            config.enable_memory_optim()  # a PIR program frees as it goes, and refuses this
        elif how.level == "none":
            # Level 1 still folds constants and turns pools to NHWC, whatever switch_ir_optim says.
            config.set_optimization_level(0)
        for name in how.without:
            config.delete_pass(name)
        config.set_cpu_math_library_num_threads(self.threads)
        return config

    def _drop(self) -> None:
        self.predictor, self.deployed, self.scope = None, None, None
        give_back()

    def _hook(self, op: str, variable: str, tensor: paddle.Tensor) -> None:
        if self.heard is not None:
            self.heard.append((op, variable))
            return
        if self.failure is not None or self.deliver is None:
            return
        try:
            name = self.namer(op, variable)
            if name in self.asked and deliver_tensor(name, tensor, self.deliver):
                self.shown.add(name)
            if any(split.whole == name and self.asked.intersection(split.parts) for split in self.splits):
                self._deliver_parts(name, tensor.numpy())
        except (ChannelClosedError, KeyboardInterrupt):
            os._exit(0)
        except BaseException as error:  # an exception must not cross Paddle's C++ frames
            self.failure = error

    def _deliver_parts(self, name: str | None, array: Array) -> None:
        """Paddle shows no part of a tensor list; each is cut from the tensor that was split."""
        assert self.deliver is not None
        for split in self.splits:
            if split.whole == name and self.asked.intersection(split.parts):
                for part, piece in zip(split.parts, split.cut(array), strict=False):
                    if part in self.asked:
                        self.shown.add(part)
                        self.deliver(part, piece.ctypes.data, piece.nbytes, piece.dtype.str, piece.shape)

    def _hand_out_the_rest(self, predictor: inference.Predictor) -> None:
        """Outputs that the hook was silent of: parts of a list, and tensors without elements."""
        assert self.deliver is not None
        if not (left := (self.asked & self.handed) - self.shown):
            return
        for name, source in zip(self.graph.outputs, predictor.get_output_names(), strict=True):
            if name in left:
                hand_out(name, predictor, source, self.deliver)


def hand_out(name: str, predictor: inference.Predictor, source: str, deliver: Deliver) -> None:
    """Deliver an output by its handle."""
    array = np.asarray(predictor.get_output_handle(source).copy_to_cpu(), order="C")
    deliver(name, array.ctypes.data, array.nbytes, array.dtype.str, array.shape)


def feed(predictor: inference.Predictor, feeds: dict[str, Array]) -> None:
    """Copy the inputs to where the predictor reads them."""
    for name, array in feeds.items():
        handle = predictor.get_input_handle(name)
        handle.reshape(list(array.shape))
        handle.copy_from_cpu(np.ascontiguousarray(array))


def deliver_tensor(name: str, tensor: paddle.Tensor, deliver: Deliver) -> bool:
    """Hand over a tensor from its own memory: ``tensor.numpy()`` would be one copy more.

    False for one that cannot be had: an unwanted one may be uninitialised, and reading it would crash.
    """
    dtype, shape = NUMPY_NAMES.get(tensor.dtype), tuple(tensor.shape)
    without_elements = (
        len(shape) > 1 and 0 in shape
    )  # has no memory; nor has one of shape (0,) that never ran
    if dtype is None or not (tensor._is_initialized() or without_elements):
        return False
    if without_elements:
        deliver(name, 0, 0, dtype, shape)
        return True
    if not tensor.is_contiguous():
        array = np.asarray(tensor.numpy(), order="C")
        deliver(name, array.ctypes.data, array.nbytes, dtype, shape)
        return True
    nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    deliver(name, tensor.data_ptr() if nbytes else 0, nbytes, dtype, shape)
    return True
