"""Faults in weights: the graph is right, a number in it is not."""

from collections.abc import Iterator

import numpy as np

from .graph import Array, Site
from .registry import Patch, edited, kind, set_const

_Rng = np.random.Generator

# Which operands are weights. Elementwise operators count when the constant has a value per channel.
_WEIGHTS: dict[str, tuple[int, ...]] = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (0, 1),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "PRelu": (1,),
    "Gather": (0,),
    "Add": (0, 1),
    "Mul": (0, 1),
    "Sub": (0, 1),
    "Div": (0, 1),
}
_OPS = tuple(_WEIGHTS)


def _weights(site: Site, rng: _Rng, smallest: int = 2) -> Iterator[tuple[int, Array]]:
    """Floating point weights of a node by input position, in random order."""
    for position in rng.permutation(_WEIGHTS[site.node.op_type]):
        value = site.const(int(position))
        if value is not None and value.size >= smallest and np.issubdtype(value.dtype, np.floating):
            yield int(position), value


def _label(site: Site, position: int) -> str:
    return f"parameter {site.node.input[position]}"


def _whole(
    site: Site, position: int, now: Array, after: Array, words: tuple[object, object]
) -> Iterator[Patch]:
    """The weight replaced, if that makes a difference."""
    after = np.ascontiguousarray(after, now.dtype)
    if not np.array_equal(now, after):
        yield set_const(site, position, after, _label(site, position), *words)


def _channel_axis(site: Site, position: int, value: Array) -> int:
    """The axis of output channels; the longest one where the operator does not say."""
    op_type = site.node.op_type
    if position == 1 and op_type == "Gemm" and value.ndim == 2:
        return 0 if site.attr("transB", 0) else 1
    if op_type == "MatMul":
        return value.ndim - 1 if position == 1 else max(value.ndim - 2, 0)
    if op_type == "Conv" or value.ndim == 1:
        return 0
    if op_type == "ConvTranspose":
        return 1
    return int(np.argmax(value.shape))


@kind("parameter.channels", *_OPS)
def _channels(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Two output channels of one weight swapped."""
    for position, now in _weights(site, rng):
        axis = _channel_axis(site, position, now)
        if now.shape[axis] < 2:
            continue
        first, second = sorted(int(c) for c in rng.choice(now.shape[axis], 2, replace=False))
        order = np.arange(now.shape[axis])
        order[[first, second]] = second, first
        words = ((first, second), (second, first))
        yield from _whole(site, position, now, np.take(now, order, axis), words)


@kind("parameter.channel_zeroed", *_OPS)
def _channel_zeroed(site: Site, rng: _Rng) -> Iterator[Patch]:
    """One output channel of one weight lost."""
    for position, now in _weights(site, rng):
        axis = _channel_axis(site, position, now)
        channel = int(rng.integers(now.shape[axis]))
        after = now.copy()
        after[(slice(None),) * axis + (channel,)] = 0
        yield from _whole(site, position, now, after, (f"channel {channel}", "zeros"))


def _bfloat16(value: Array) -> Array:
    """Round to nearest even at 16 bits, by integer arithmetic on the float32 pattern."""
    bits = value.astype(np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.asarray(rounded.view(np.float32))


@kind("parameter.fp16", *_OPS)
def _fp16(site: Site, rng: _Rng) -> Iterator[Patch]:
    for position, now in _weights(site, rng):
        with np.errstate(over="ignore"):
            rounded = now.astype(np.float16)
        if np.isfinite(rounded).all():
            yield from _whole(site, position, now, rounded, (str(now.dtype), "through float16"))


@kind("parameter.bf16", *_OPS)
def _bf16(site: Site, rng: _Rng) -> Iterator[Patch]:
    for position, now in _weights(site, rng):
        if now.dtype == np.float32:
            yield from _whole(site, position, now, _bfloat16(now), (str(now.dtype), "through bfloat16"))


@kind("parameter.int8", "Conv", "ConvTranspose", "Gemm", "MatMul")
def _int8(site: Site, rng: _Rng) -> Iterator[Patch]:
    """One weight through symmetric 8 bit integers, one scale for the tensor."""
    for position, now in _weights(site, rng):
        step = float(np.abs(now).max()) / 127
        if step > 0:
            yield from _whole(
                site, position, now, np.round(now / step) * step, (str(now.dtype), "through int8")
            )


@kind("parameter.element", *_OPS)
def _element(site: Site, rng: _Rng) -> Iterator[Patch]:
    """One element moved by half of the largest one, towards the other sign."""
    for position, now in _weights(site, rng):
        place = np.unravel_index(int(rng.integers(now.size)), now.shape)
        after = now.copy()
        after[place] -= np.copysign(np.abs(now).max() / 2, now[place])
        if after[place] != now[place] and _positive(site, position, after):
            label = f"{_label(site, position)}[{', '.join(str(int(i)) for i in place)}]"
            yield set_const(site, position, after, label, float(now[place]), float(after[place]))


def _positive(site: Site, position: int, value: Array) -> bool:
    """A variance must stay one, or the model answers with NaN and the fault is no fault but a crash."""
    return site.node.op_type != "BatchNormalization" or position != 4 or bool((value >= 0).all())


@kind("parameter.scale", *_OPS)
def _scale(site: Site, rng: _Rng) -> Iterator[Patch]:
    for position, now in _weights(site, rng, smallest=1):
        yield from _whole(site, position, now, now * now.dtype.type(1.01), ("x 1", "x 1.01"))


@kind("parameter.sign", *_OPS)
def _sign(site: Site, rng: _Rng) -> Iterator[Patch]:
    for position, now in _weights(site, rng, smallest=1):
        if _positive(site, position, -now):
            yield from _whole(site, position, now, -now, ("w", "-w"))


@kind("conv.bias", "Conv", "ConvTranspose", "Gemm")
def _bias(site: Site, rng: _Rng) -> Iterator[Patch]:
    """The bias forgotten."""
    if not site.has_input(2) or (site.node.op_type == "Gemm" and site.opset < 11):
        return
    node = edited(site.node)
    del node.input[2:]
    yield Patch(node, "bias", site.node.input[2], None)


@kind("conv.kernel_flip", "Conv", "ConvTranspose")
def _kernel_flip(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Convolution for correlation: the kernel turned by half a turn."""
    now = site.const(1)
    if now is not None and now.ndim > 2:
        flipped = np.flip(now, tuple(range(2, now.ndim)))
        yield from _whole(site, 1, now, flipped, ("kernel", "flipped kernel"))


@kind("conv.kernel_transpose", "Conv", "ConvTranspose")
def _kernel_transpose(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Height and width of a square kernel exchanged."""
    now = site.const(1)
    if now is not None and now.ndim == 4 and now.shape[2] == now.shape[3]:
        yield from _whole(site, 1, now, now.swapaxes(2, 3), ("kernel[h, w]", "kernel[w, h]"))


@kind("conv.weight_layout", "Conv", "ConvTranspose")
def _weight_layout(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Input and output channels exchanged where there are as many."""
    now = site.const(1)
    if now is not None and now.ndim > 2 and now.shape[0] == now.shape[1]:
        yield from _whole(site, 1, now, now.swapaxes(0, 1), ("weight[o, i]", "weight[i, o]"))


@kind("matmul.transpose", "MatMul", "Gemm")
def _matmul_transpose(site: Site, rng: _Rng) -> Iterator[Patch]:
    """A square operand transposed: by the flag for Gemm, in the weight for MatMul."""
    for position, flag in ((0, "transA"), (1, "transB")):
        shape = site.shape(position)
        if shape is None or len(shape) < 2 or shape[-1] != shape[-2]:
            continue
        if site.node.op_type == "Gemm":
            now = site.attr(flag, 0)
            yield Patch(edited(site.node, **{flag: 1 - now}), flag, now, 1 - now)
        elif (value := site.const(position)) is not None:
            yield from _whole(site, position, value, value.swapaxes(-1, -2), ("w", "w transposed"))


@kind("pow.exponent", "Pow")
def _pow_exponent(site: Site, rng: _Rng) -> Iterator[Patch]:
    now = site.const(1)
    if now is not None and now.size == 1:
        yield set_const(site, 1, now + now.dtype.type(1), "exponent", now.item(), now.item() + 1)


@kind("elementwise.broadcast", "Add", "Mul", "Sub", "Div", "PRelu")
def _broadcast(site: Site, rng: _Rng) -> Iterator[Patch]:
    """A value per channel laid along another axis that happens to have the same length."""
    for position in (0, 1):
        now, other = site.const(position), site.shape(1 - position)
        if now is None or other is None or not np.issubdtype(now.dtype, np.floating):
            continue
        if now.size < 2 or now.size != max(now.shape) or now.ndim > len(other):
            continue
        full = (1,) * (len(other) - now.ndim) + now.shape
        home = full.index(now.size)
        for axis, size in enumerate(other):
            if axis != home and size == now.size:
                laid = [size if a == axis else 1 for a in range(len(other))]
                yield from _whole(site, position, now, now.reshape(laid), (now.shape, tuple(laid)))
