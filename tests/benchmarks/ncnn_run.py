"""Run by a Python that has ncnn: a net in float32 and in half precision, whole and one layer after the other.

python ncnn_run.py NET.param NET.bin INPUT.npy OUT.npz fp16|bf16

Writes ``blob.NAME`` (every blob in float32), ``half.NAME`` (every blob of a run in half precision), and
``alone.NAME`` (the relative error at the end, when this one layer is in half precision and all others in
float32). The end is the output; of a net that ends in a Sigmoid or a Softmax what goes into it, for where
those saturate a relative error of the output is that of a few pixels. float16 is stored by ncnn's Vulkan
layers (its x86 layers compute in float32 whatever is asked); bfloat16 by its x86 layers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

OPTIONS = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")

SQUASH = ("Sigmoid", "Softmax")


def net(param: str, weights: str, precision: str) -> Any:
    """A loaded net in float32, or in half precision."""
    import ncnn  # type: ignore[import-not-found]

    made = ncnn.Net()
    for name in OPTIONS:
        setattr(made.opt, name, False)
    made.opt.num_threads = 1
    made.opt.use_winograd_convolution = False  # it stores what it transforms, in half precision as well
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


Layer = tuple[str, list[str], list[str]]
"""A layer's type, the blobs that it reads and those that it writes."""


def layers(text: str) -> list[Layer]:
    """The layers of a ``.param`` file, in order."""
    found = []
    for line in text.splitlines()[2:]:
        words = line.split()
        if words:
            ins, outs = int(words[2]), int(words[3])
            found.append((words[0], words[4 : 4 + ins], words[4 + ins : 4 + ins + outs]))
    return found


def end_of(order: list[Layer]) -> str:
    """The blob at which errors are measured."""
    kind, ins, outs = order[-1]
    return ins[0] if kind in SQUASH else outs[0]


def run_of(made: Any, feeds: dict[str, Any]) -> Any:
    """A run that keeps every blob, fed with some of them."""
    run = made.create_extractor()
    run.set_light_mode(False)
    for blob, value in feeds.items():
        run.input(blob, value)
    return run


def as_mat(array: Any) -> Any:
    """An array as ncnn has it; it is held until it is copied, for a Mat does not own what it is made of."""
    import ncnn

    held = np.ascontiguousarray(array, np.float32)
    return ncnn.Mat(held).clone()


def every(made: Any, feeds: dict[str, Any], order: list[Layer]) -> dict[str, Any]:
    """All blobs of a run."""
    run, blobs = run_of(made, feeds), {}
    for _, _, outs in order:
        for name in outs:
            code, value = run.extract(name)
            if code == 0:
                blobs[name] = value.clone()
    return blobs


def alone(
    plain: Any, half: Any, order: list[Layer], blobs: dict[str, Any], precision: str
) -> dict[str, float]:
    """The error at the end of each layer that alone is in half precision. What it reads is rounded before,
    for both: that belongs to what wrote it."""
    end, found = end_of(order), {}
    truth = np.array(blobs[end])
    for place, (kind, ins, outs) in enumerate(order):
        if kind in ("Input", "Split") or len(outs) > 1 or not {*ins, *outs} <= blobs.keys():
            continue
        feeds = {name: as_mat(rounded(np.array(blobs[name]), precision)) for name in ins}
        right, got = (np.array(run_of(net_, feeds).extract(outs[0])[1]) for net_ in (plain, half))
        moved = np.array(blobs[outs[0]]) + (got - right)
        if outs[0] == end:
            at_end = moved
        else:
            made = {name for _, _, each in order[: place + 1] for name in each}
            live = made & {name for _, each, _ in order[place + 1 :] for name in each}
            if not live <= blobs.keys():
                continue
            feeds = {name: blobs[name] for name in live} | {outs[0]: as_mat(moved)}
            at_end = np.array(run_of(plain, feeds).extract(end)[1])
        found[outs[0]] = float(np.linalg.norm(at_end - truth) / np.linalg.norm(truth))
        if outs[0] == end:
            break
    return found


def rounded(array: Any, precision: str) -> Any:
    """Numbers of half precision, in float32 and in one piece."""
    if precision == "fp16":
        return np.ascontiguousarray(array.astype(np.float16).astype(np.float32))
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    kept = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return kept.astype(np.uint32).view(np.float32)


def main(param: str, weights: str, data: str, out: str, precision: str) -> None:
    """Everything of one net."""
    order = layers(Path(param).read_text())
    plain, half = net(param, weights, ""), net(param, weights, precision)
    feeds = {order[0][2][0]: as_mat(np.load(data)[0])}
    blobs = every(plain, feeds, order)
    arrays = {f"blob.{name}": np.array(value) for name, value in blobs.items()}
    arrays |= {f"half.{name}": np.array(value) for name, value in every(half, feeds, order).items()}
    each = alone(plain, half, order, blobs, precision)
    arrays |= {f"alone.{name}": np.array(value) for name, value in each.items()}
    np.savez(out, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
