"""Programs on images: resize, pool, pad, convolution, norm, sampling."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .programs import Input, Program, given

F = "nn.functional."
IMAGE = Input((1, 4, 9, 11))
SMALL = Input((1, 3, 6, 7))
LINE = Input((1, 4, 13))
CUBE = Input((1, 2, 5, 6, 7))


def programs() -> Iterator[Program]:
    """All of this module."""
    yield from resizes()
    yield from pools()
    yield from pads()
    yield from convolutions()
    yield from norms()
    yield from sampling()


def resizes() -> Iterator[Program]:
    """Every mode, up and down, by size and by scale."""
    for size in ([11, 13], [12, 14], [4, 5]):
        yield given(F + "interpolate", SMALL, size=size, mode="nearest")
        for corners in (False, True):
            yield given(F + "interpolate", SMALL, size=size, mode="bicubic", align_corners=corners)
        for corners, mode in ((False, 0), (False, 1), (True, 0)):
            arguments = {"align_corners": corners, "align_mode": mode}
            yield given(F + "interpolate", SMALL, size=size, mode="bilinear", **arguments)
    for scale in (2, 1.7, 0.6, [2.0, 1.5]):
        for mode in ("nearest", "bilinear", "bicubic"):
            yield given(F + "interpolate", SMALL, scale_factor=scale, mode=mode)
    for corners, mode in ((False, 0), (False, 1), (True, 0)):
        arguments = {"align_corners": corners, "align_mode": mode}
        yield given(F + "interpolate", LINE, size=[20], mode="linear", data_format="NCW", **arguments)
        yield given(
            F + "interpolate", CUBE, size=[7, 9, 4], mode="trilinear", data_format="NCDHW", **arguments
        )
    for sides, size in (((14, 21), [2, 3]), ((26, 28), [2, 4])):  # 1 / float32(2 / 14) is less than 7
        yield given(F + "interpolate", Input((1, 3, *sides)), size=size, mode="nearest")
    yield given(F + "interpolate", SMALL, size=[4, 5], mode="area")
    yield given(F + "upsample", SMALL, scale_factor=2, mode="bilinear")


def pools() -> Iterator[Program]:
    """Windows that divide and that do not, padding counted or not, ceil and floor."""
    for ceil in (False, True):
        for exclusive in (False, True):
            arguments = {"stride": 2, "padding": 1, "ceil_mode": ceil, "exclusive": exclusive}
            yield given(F + "avg_pool2d", IMAGE, kernel_size=3, **arguments)
            yield given(F + "avg_pool2d", Input((1, 4, 10, 12)), kernel_size=3, **arguments)
        yield given(F + "max_pool2d", IMAGE, kernel_size=3, stride=2, padding=1, ceil_mode=ceil)
        yield given(
            F + "max_pool2d", Input((1, 4, 10, 12)), kernel_size=3, stride=2, padding=1, ceil_mode=ceil
        )
        yield given(F + "avg_pool1d", LINE, kernel_size=4, stride=3, padding=1, ceil_mode=ceil)
        yield given(F + "max_pool1d", LINE, kernel_size=4, stride=3, padding=1, ceil_mode=ceil)
        yield given(F + "avg_pool3d", CUBE, kernel_size=3, stride=2, padding=1, ceil_mode=ceil)
        yield given(F + "max_pool3d", CUBE, kernel_size=3, stride=2, padding=1, ceil_mode=ceil)
    for padding in ("SAME", "VALID", [0, 1, 1, 0], [1, 0]):
        yield given(F + "avg_pool2d", IMAGE, kernel_size=3, stride=2, padding=padding)
        yield given(F + "max_pool2d", IMAGE, kernel_size=3, stride=2, padding=padding)
    yield given(F + "avg_pool2d", IMAGE, kernel_size=3, stride=2, padding="SAME", exclusive=False)
    yield given(F + "avg_pool2d", IMAGE, kernel_size=[3, 2], stride=[2, 1], padding=0, divisor_override=5)
    for size in ([3, 4], [1, 1], [3, 11], [9, 1], [5, 6], [12, 15]):
        yield given(F + "adaptive_avg_pool2d", IMAGE, output_size=size)
        yield given(F + "adaptive_max_pool2d", IMAGE, output_size=size)
    yield given(F + "adaptive_avg_pool1d", LINE, output_size=5)
    yield given(F + "adaptive_max_pool1d", LINE, output_size=5)
    yield given(F + "adaptive_avg_pool3d", CUBE, output_size=[2, 3, 4])
    yield given(F + "adaptive_max_pool3d", CUBE, output_size=[2, 3, 4])


def pads() -> Iterator[Program]:
    """Every mode in every rank."""
    for mode in ("constant", "reflect", "replicate", "circular"):
        value = {"value": 0.7} if mode == "constant" else {}
        yield given(F + "pad", IMAGE, pad=[1, 2, 3, 0], mode=mode, **value)
        yield given(F + "pad", LINE, pad=[2, 1], mode=mode, data_format="NCL", **value)
        yield given(F + "pad", CUBE, pad=[1, 2, 3, 0, 2, 1], mode=mode, data_format="NCDHW", **value)
    yield given(F + "pad", IMAGE, pad=[0, 0, 1, 0, 2, 1, 0, 3], mode="constant", value=-0.5)
    yield given(F + "pad", Input((3, 4, 5)), pad=[0, 1, 1, 0, 2, 1], mode="constant", value=1.5)
    yield given(F + "zeropad2d", IMAGE, padding=[1, 2, 3, 0])


def convolutions() -> Iterator[Program]:
    """Padding by amount and by word, strides, dilation, groups, transposed."""
    weights = {"weight": Input((6, 4, 3, 3)), "bias": Input((6,))}
    for padding in (1, [1, 2], [0, 1, 2, 1], "SAME", "VALID"):
        for stride in (1, 2):
            arguments = {"stride": stride, "padding": padding}
            yield given(F + "conv2d", IMAGE, _weights=weights, **arguments)
    even = Input((1, 4, 10, 12))
    yield given(F + "conv2d", even, _weights=weights, stride=2, padding="SAME", dilation=1)
    yield given(F + "conv2d", IMAGE, _weights=weights, stride=1, padding="SAME", dilation=2)
    yield given(F + "conv2d", IMAGE, _weights=weights, stride=1, padding=2, dilation=[2, 1])
    grouped = {"weight": Input((6, 2, 3, 3)), "bias": Input((6,))}
    yield given(F + "conv2d", IMAGE, _weights=grouped, padding=1, groups=2)
    depthwise = {"weight": Input((8, 1, 3, 3))}
    yield given(F + "conv2d", IMAGE, _weights=depthwise, padding=1, groups=4)
    yield given(F + "conv1d", LINE, _weights={"weight": Input((6, 4, 3))}, stride=2, padding=1)
    yield given(F + "conv1d", LINE, _weights={"weight": Input((6, 4, 3))}, stride=2, padding="SAME")
    yield given(F + "conv3d", CUBE, _weights={"weight": Input((3, 2, 3, 3, 3))}, stride=2, padding=1)
    transposed = {"weight": Input((4, 6, 3, 3)), "bias": Input((6,))}
    for more in (
        {"stride": 1, "padding": 1},
        {"stride": 2, "padding": 1},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": 2, "padding": [0, 1, 1, 0]},
        {"stride": 2, "padding": 1, "dilation": 2},
        {"stride": 2, "padding": 1, "output_size": [18, 22]},
        {"stride": 2, "padding": "SAME"},
        {"stride": 2, "padding": "VALID"},
    ):
        yield given(F + "conv2d_transpose", IMAGE, _weights=transposed, **more)
    split = {"weight": Input((4, 3, 3, 3))}
    yield given(F + "conv2d_transpose", IMAGE, _weights=split, stride=2, padding=1, groups=2)
    line = {"weight": Input((4, 6, 3))}
    yield given(F + "conv1d_transpose", LINE, _weights=line, stride=2, padding=1, output_padding=1)
    cube = {"weight": Input((2, 3, 3, 3, 3))}
    yield given(F + "conv3d_transpose", CUBE, _weights=cube, stride=2, padding=1)
    deform = {"weight": Input((6, 4, 3, 3))}
    offset, mask = Input((1, 18, 9, 11)), Input((1, 9, 9, 11), "unit")
    yield given("vision.ops.deform_conv2d", IMAGE, offset, _weights=deform, padding=1)
    yield given("deform_conv2d_masked", IMAGE, offset, mask, _weights=deform, padding=1)
    yield given(F + "linear", Input((2, 5, 6)), _weights={"weight": Input((6, 7)), "bias": Input((7,))})
    bilinear = {"weight": Input((3, 5, 6)), "bias": Input((1, 3))}
    yield given(F + "bilinear", Input((2, 5)), Input((2, 6)), _weights=bilinear)


def norms() -> Iterator[Program]:
    """Statistics per group, instance, layer, batch; epsilons that can be seen (Paddle allows up to 0.001)."""
    channels = {"weight": Input((4,)), "bias": Input((4,))}
    for groups in (1, 2, 4):
        yield given("group_norm", IMAGE, _weights=channels, num_groups=groups, epsilon=0.01)
    yield given("group_norm", IMAGE, num_groups=2)
    yield given(F + "instance_norm", IMAGE, _weights=channels, eps=0.01)
    yield given(F + "instance_norm", IMAGE)
    yield given(F + "instance_norm", LINE, _weights=channels, eps=0.02)
    for shape in ([11], [9, 11], [4, 9, 11]):
        size = {"weight": Input((math.prod(shape),)), "bias": Input((math.prod(shape),))}
        yield given(F + "layer_norm", IMAGE, _weights=size, normalized_shape=shape, epsilon=0.001)
    yield given(F + "layer_norm", IMAGE, normalized_shape=[11])
    statistics = {"running_mean": Input((4,)), "running_var": Input((4,), "small"), **channels}
    for image in (IMAGE, LINE, CUBE, Input((3, 4))):
        size = image.shape[1]
        some = {name: Input((size,), each.kind) for name, each in statistics.items()}
        rank = len(image.shape)
        yield given("batch_norm", image, _weights=some, epsilon=0.0001 * rank)
    yield given(F + "local_response_norm", IMAGE, size=3, alpha=0.1, beta=0.75, k=1.0)
    for p, axis in ((2, 1), (1, 1), (2, -1), (3, 2)):
        yield given(F + "normalize", IMAGE, p=p, axis=axis)


def sampling() -> Iterator[Program]:
    """Grids, shuffles, patches."""
    grid = Input((1, 5, 8, 2), "grid")
    for mode in ("bilinear", "nearest"):
        for padding in ("zeros", "border", "reflection"):
            for corners in (True, False):
                arguments = {"mode": mode, "padding_mode": padding, "align_corners": corners}
                yield given(F + "grid_sample", SMALL, grid, **arguments)
    for corners in (True, False):
        theta = Input((1, 2, 3))
        yield given(F + "affine_grid", theta, out_shape=[1, 3, 5, 6], align_corners=corners)
    yield given(F + "pixel_shuffle", Input((1, 12, 4, 5)), upscale_factor=2)
    yield given(F + "pixel_unshuffle", Input((1, 3, 6, 8)), downscale_factor=2)
    yield given(F + "channel_shuffle", Input((1, 12, 4, 5)), groups=3)
    yield given(F + "unfold", IMAGE, kernel_sizes=3, strides=2, paddings=1, dilations=1)
    yield given(F + "unfold", IMAGE, kernel_sizes=[3, 2], strides=[1, 2], paddings=[1, 0, 2, 1], dilations=2)
    yield given(F + "fold", Input((1, 12, 20)), output_sizes=[5, 6], kernel_sizes=2, strides=1)
    yield given(F + "temporal_shift", Input((4, 8, 3, 3)), seg_num=2, shift_ratio=0.25)
