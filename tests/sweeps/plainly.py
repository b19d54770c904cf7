"""Run one model file by its own framework: ``python -m tests.sweeps.plainly FILE IN.npz OUT.npz``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(file: Path, given: Path, got: Path) -> None:
    """Outputs go to ``output_0``, ``output_1``, … of OUT."""
    with np.load(given) as arrays:
        feeds = {name: arrays[name] for name in arrays.files}
    outputs = by_onnxruntime(file, feeds) if file.suffix == ".onnx" else by_paddle(file, feeds)
    np.savez(got, **{f"output_{place}": array for place, array in enumerate(outputs)})


def by_onnxruntime(file: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    import onnxruntime as ort

    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    given = feeds if set(names) <= set(feeds) else by_shape(session.get_inputs(), feeds)
    types = {each.name: each.type for each in session.get_inputs()}
    halves = {name: np.float16 for name in names if types[name] == "tensor(float16)"}
    return session.run(
        None, {name: given[name].astype(halves.get(name, given[name].dtype)) for name in names}
    )


def by_shape(inputs: list[Any], feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays for inputs of other names: each takes the first that it accepts."""
    left, found = dict(feeds), {}
    for each in inputs:
        fits = (
            name
            for name, array in left.items()
            if len(each.shape) == array.ndim
            and all(a == b or not isinstance(a, int) for a, b in zip(each.shape, array.shape, strict=True))
        )
        found[each.name] = left.pop(next(fits))
    return found


def by_paddle(folder: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    import paddle.inference as inference

    programs = [*folder.glob("*.pdmodel"), *folder.glob("inference.json")]
    config = inference.Config(str(programs[0]), str(programs[0].with_suffix(".pdiparams")))
    config.disable_gpu()
    config.disable_glog_info()
    config.disable_mkldnn()
    predictor = inference.create_predictor(config)
    for name in predictor.get_input_names():
        predictor.get_input_handle(name).copy_from_cpu(feeds[name])
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
