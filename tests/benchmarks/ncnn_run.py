"""Run by a Python that has ncnn: a net in float32 and in half precision, whole and from each of its blobs on.

python ncnn_run.py NET.param NET.bin INPUT.npy OUT.npz fp16|bf16

Writes ``whole`` (the output in half precision), ``blob.NAME`` (every blob in float32), and ``curve`` (the
relative error of the output when what stands behind each layer is in half precision and what reaches it is
exact). float16 is stored by ncnn's Vulkan layers (its x86 layers compute in float32 whatever is asked);
bfloat16 by its x86 layers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

OPTIONS = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")


def net(param: str, weights: str, precision: str) -> Any:
    """A loaded net in float32, or in half precision."""
    import ncnn  # type: ignore[import-not-found]

    made = ncnn.Net()
    for name in OPTIONS:
        setattr(made.opt, name, False)
    made.opt.num_threads = 1
    if precision == "bf16":
        made.opt.use_bf16_storage = True
    if precision == "fp16":
        if ncnn.get_gpu_count() < 1:
            sys.exit("no Vulkan device (mesa-vulkan-drivers has one that is software)")
        made.opt.use_vulkan_compute = True
        made.opt.use_fp16_packed = made.opt.use_fp16_storage = True
        made.set_vulkan_device(0)
    made.load_param(param)
    made.load_model(weights)
    return made


def layers(param: str) -> list[tuple[list[str], list[str]]]:
    """The blobs that each layer reads and writes, in order."""
    found = []
    for line in Path(param).read_text().splitlines()[2:]:
        words = line.split()
        if words:
            ins, outs = int(words[2]), int(words[3])
            found.append((words[4 : 4 + ins], words[4 + ins : 4 + ins + outs]))
    return found


def extract(made: Any, feeds: dict[str, Any], name: str) -> Any:
    """One blob of a run that is fed with others."""
    run = made.create_extractor()
    run.set_light_mode(False)
    for blob, value in feeds.items():
        run.input(blob, value)
    return run.extract(name)[1]


def main(param: str, weights: str, data: str, out: str, precision: str) -> None:
    """Everything of one net."""
    import ncnn

    plain, half, order = net(param, weights, ""), net(param, weights, precision), layers(param)
    first, last = order[0][1][0], order[-1][1][0]
    run = plain.create_extractor()
    run.set_light_mode(False)
    image = np.ascontiguousarray(np.load(data)[0])  # a Mat does not own what it is made of
    run.input(first, ncnn.Mat(image).clone())
    blobs = {}
    for _, outs in order:
        for name in outs:
            code, value = run.extract(name)
            if code == 0:
                blobs[name] = value.clone()
    truth = np.array(blobs[last])
    whole = np.array(extract(half, {first: blobs[first]}, last))
    curve = np.full(len(order), np.nan)
    for place in range(len(order) - 1):
        made = {name for _, outs in order[: place + 1] for name in outs}
        live = made & {name for ins, _ in order[place + 1 :] for name in ins}
        if last not in made and live <= blobs.keys():
            got = np.array(extract(half, {name: blobs[name] for name in live}, last))
            curve[place] = np.linalg.norm(got - truth) / np.linalg.norm(truth)
    arrays = {f"blob.{name}": np.array(value) for name, value in blobs.items()}
    np.savez(out, whole=whole, curve=curve, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
