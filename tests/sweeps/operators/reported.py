"""Programs after public reports: tiny constants, wide shifts, sums that overflow, sorts, joins, regions."""

from __future__ import annotations

from collections.abc import Iterator

from .programs import Input, Program, given

F = "nn.functional."
SHAPE = (2, 4, 5, 6)
X = Input(SHAPE)
FLAT = Input((4, 6))


def programs() -> Iterator[Program]:
    """All of this module."""
    for shifts, axis in ((9, 1), ([13, -11], [2, 3]), (-25, -1), (500, None)):
        yield given("roll", X, shifts=shifts, axis=axis)
    for bias in (1e-6, 1e-7, 1e-3):
        yield given("scale", Input(SHAPE, "small"), scale=1.0, bias=bias)
        yield given("guarded_norm", Input(SHAPE, "small"), axis=1, guard=bias)
        yield given("written_layer_norm", Input(SHAPE, "small"), guard=bias)
    for reduce in ("multiply", "amin", "amax", "mean"):
        yield given("put_along_axis", FLAT, Input((4, 3), "index:6"), values=1.5, axis=1, reduce=reduce)
        yield given("put_along_axis", FLAT, Input((2, 6), "index:4"), values=1.5, axis=0, reduce=reduce)
    for axis in (1, -1, 2):
        yield given(F + "log_softmax", Input(SHAPE, "wide"), axis=axis)
        yield given("log_of_softmax", Input(SHAPE, "wide"), axis=axis)
    yield given("int_sum", Input(SHAPE, "int32"), factor=100_000_000)
    yield given("sorted_ends", X, axis=1, descending=True)
    yield given("sorted_ends", X, axis=-1, descending=False)
    yield given("topk_ends", X, k=3, axis=1, largest=False)
    yield given("topk_ends", Input(SHAPE, "ties"), k=3, axis=2, largest=True)
    for order in ([0, 1, 2], [2, 0, 1]):
        yield given("joined_three", X, axis=1, order=order)
    yield given("sliced_twice", X, first=[1, 4], second=[1, 3], axis=2)
    yield given("transposed_twice", X, first=[0, 2, 3, 1], second=[0, 2, 1, 3])
    for size in ([1, 9], [9, 1], [1, 1]):
        for mode in ("bicubic", "bilinear"):
            yield given(F + "interpolate", Input((1, 3, 6, 7)), size=size, mode=mode)
    for aligned, ratio in ((True, 2), (False, 2), (True, -1)):
        yield given("roi_align", Input((1, 3, 12, 16)), output_size=3, aligned=aligned, sampling_ratio=ratio)
    yield given("unsqueeze", FLAT, axis=[2, 0])
    yield given("unsqueeze", FLAT, axis=[3, 1])
    for p in (1, 2, float("inf")):
        yield given("norm", X, p=p)
        yield given("norm", X, p=p, axis=[2, 3], keepdim=True)
