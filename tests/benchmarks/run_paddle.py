"""A plain run of a Paddle model, the yardstick: ``run_paddle.py PROGRAM PARAMS INPUT.npy``.

As segdiff runs it (IR optimisation and oneDNN off, memory optimisation where the format takes it, one math
thread), without a hook.
"""

from __future__ import annotations

import sys

import numpy as np
import paddle.inference as inference


def main() -> None:
    program, params, image = sys.argv[1:]
    config = inference.Config(program, params)
    config.disable_gpu()
    config.disable_glog_info()
    config.switch_ir_optim(False)
    config.disable_mkldnn()
    config.set_cpu_math_library_num_threads(1)
    if program.endswith(".pdmodel"):
        config.enable_memory_optim()  # a PIR program frees as it goes, and refuses this
    predictor = inference.create_predictor(config)
    predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(np.load(image))
    predictor.run()
    for name in predictor.get_output_names():
        predictor.get_output_handle(name).copy_to_cpu()


if __name__ == "__main__":
    main()
