"""A plain loop over a list of images, the yardstick: ``run_loop.py PROGRAM PARAMS YAML LIST THREADS``.

Preprocessing is segdiff's own, the model runs by the frameworks' own defaults, and each output is fetched; no
label is read and nothing is scored. ``--unfused`` after THREADS runs the model as written, nothing optimised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segdiff.inputs import InputSpec, prepare, read_deploy_yaml

Run = Callable[[Any], Any]


def paddle(program: str, params: str, threads: int, fused: bool) -> Run:
    import paddle.inference as inference

    config = inference.Config(program, params)
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(threads)
    if not fused:
        config.switch_ir_optim(False)
        config.disable_mkldnn()
    if program.endswith(".pdmodel"):
        config.enable_memory_optim()
    elif not fused:
        config.set_optimization_level(0)
    predictor = inference.create_predictor(config)

    def run(tensor: Any) -> Any:
        predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(tensor)
        predictor.run()
        return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]

    return run


def onnxruntime(program: str, threads: int, fused: bool) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    if not fused:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(program, options, providers=["CPUExecutionProvider"])
    return lambda tensor: session.run(None, {session.get_inputs()[0].name: tensor})


def main() -> None:
    program, params, deploy, listed, threads, *unfused = sys.argv[1:]
    config = read_deploy_yaml(deploy)
    spec = InputSpec("x", None, "float32")
    is_onnx = program.endswith(".onnx")
    run = (
        onnxruntime(program, int(threads), not unfused)
        if is_onnx
        else paddle(program, params, int(threads), not unfused)
    )
    for line in Path(listed).read_text().splitlines():
        image = Path(listed).parent / line.split()[0]
        run(prepare(image, [spec], config).tensors["x"])


if __name__ == "__main__":
    main()
