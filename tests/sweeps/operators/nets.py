"""Programs of operators that segmentation, detection, OCR, matting and super-resolution nets are made of."""

from __future__ import annotations

from collections.abc import Iterator

from .programs import Input, Program, given

F = "nn.functional."
IMAGE = Input((1, 4, 9, 11))
LAST = Input((1, 9, 11, 4))
PAIR = Input((2, 3, 6, 7))
CUBE = Input((1, 2, 5, 6, 7))
LINE = Input((1, 4, 13))
X = Input((2, 4, 5, 6))
FLAT = Input((4, 6))
TOKENS = Input((2, 6, 8))


def programs() -> Iterator[Program]:
    """All of this module."""
    yield from sampling()
    yield from windows()
    yield from norms()
    yield from attention()
    yield from picks()
    yield from numbers()
    yield from heads()


def sampling() -> Iterator[Program]:
    """Resizes by every way to say the size, grids, shuffles with the channels last."""
    for arguments in (
        {"scale_factor": 2.0, "mode": "bilinear", "align_corners": True},
        {"scale_factor": 2.0, "mode": "bilinear", "align_mode": 1},
        {"scale_factor": [0.5, 1.5], "mode": "bicubic", "align_corners": True},
        {"scale_factor": 2.5, "mode": "nearest"},
        {"scale_factor": 0.4, "mode": "bilinear"},
    ):
        yield given(F + "interpolate", PAIR, **arguments)
    for mode in ("nearest", "bilinear", "bicubic"):
        yield given(F + "interpolate", LAST, size=[12, 15], mode=mode, data_format="NHWC")
        yield given("resized_like", PAIR, Input((2, 3, 9, 5)), mode=mode)
        yield given("resized_twice", PAIR, mode=mode)
    yield given(F + "interpolate", CUBE, scale_factor=2, mode="trilinear", data_format="NCDHW")
    yield given(F + "interpolate", CUBE, size=[3, 9, 14], mode="nearest", data_format="NCDHW")
    yield given(F + "interpolate", LINE, scale_factor=1.5, mode="linear", data_format="NCW")
    for corners in (True, False):
        yield given("turned", PAIR, align_corners=corners)
        yield given("warped", PAIR, Input((2, 2, 6, 7)), align_corners=corners)
    cubes = Input((1, 3, 4, 5, 3), "grid")
    yield given(F + "grid_sample", CUBE, cubes, mode="bilinear", align_corners=False)
    yield given(F + "grid_sample", CUBE, cubes, mode="nearest", align_corners=True)
    yield given(F + "pixel_shuffle", Input((2, 4, 5, 12)), upscale_factor=2, data_format="NHWC")
    yield given(F + "pixel_unshuffle", Input((2, 6, 8, 3)), downscale_factor=2, data_format="NHWC")
    yield given(F + "channel_shuffle", Input((2, 4, 5, 12)), groups=3, data_format="NHWC")
    yield given(F + "temporal_shift", Input((4, 3, 3, 8)), seg_num=2, shift_ratio=0.25, data_format="NHWC")
    yield given("focus", Input((2, 3, 6, 8)))


def windows() -> Iterator[Program]:
    """Convolutions, pools and pads where they are seldom looked at."""
    weights = {"weight": Input((6, 4, 3, 3)), "bias": Input((6,))}
    wide = {"weight": Input((6, 4, 4, 4))}
    for padding, stride in (("SAME", 3), ("VALID", 3), ([1, 2, 0, 3], 2), ("SAME", 1)):
        yield given(F + "conv2d", IMAGE, _weights=wide, padding=padding, stride=stride, dilation=1)
    yield given(F + "conv2d", IMAGE, _weights=weights, padding=[[0, 0], [0, 0], [1, 2], [0, 1]])
    for padding, stride in ((1, 1), ("SAME", 2), ([0, 1, 2, 1], 2)):
        yield given(F + "conv2d", LAST, _weights=weights, padding=padding, stride=stride, data_format="NHWC")
    yield given(F + "conv1d", Input((1, 13, 4)), _weights={"weight": Input((6, 4, 3))}, data_format="NLC")
    transposed = {"weight": Input((4, 3, 3, 3)), "bias": Input((6,))}
    more = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    yield given(F + "conv2d_transpose", IMAGE, _weights=transposed, **more)
    yield given(F + "conv2d_transpose", IMAGE, _weights=transposed, **more, dilation=2)
    yield given(F + "conv2d_transpose", IMAGE, _weights=transposed, stride=3, padding=[0, 1, 2, 0], groups=2)
    full = {"weight": Input((4, 6, 3, 3))}
    yield given(F + "conv2d_transpose", LAST, _weights=full, stride=2, padding=1, data_format="NHWC")
    cubes = {"weight": Input((2, 2, 3, 3, 3))}
    yield given(F + "conv3d_transpose", CUBE, _weights=cubes, stride=2, padding=1, output_padding=1, groups=2)
    yield given(F + "conv3d", CUBE, _weights={"weight": Input((4, 1, 3, 3, 3))}, padding="SAME", groups=2)
    deform = {"weight": Input((6, 2, 3, 3)), "bias": Input((6,))}
    settings = {"stride": 2, "padding": 2, "dilation": 2, "deformable_groups": 2, "groups": 2}
    yield given("vision.ops.deform_conv2d", IMAGE, Input((1, 36, 5, 6)), _weights=deform, **settings)
    for arguments in (
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "data_format": "NHWC"},
        {"kernel_size": [2, 3], "padding": [1, 0, 0, 1], "data_format": "NHWC"},
    ):
        yield given(F + "avg_pool2d", LAST, **arguments)
        yield given(F + "max_pool2d", LAST, **arguments)
    yield given(F + "avg_pool2d", IMAGE, kernel_size=4, stride=3, padding=[1, 2, 0, 1], ceil_mode=True)
    yield given(F + "avg_pool3d", CUBE, kernel_size=3, stride=2, padding=1, exclusive=False, ceil_mode=True)
    yield given("unpooled", Input((1, 4, 8, 10)))
    yield given(F + "max_pool2d", Input((1, 4, 8, 10)), kernel_size=3, stride=2, return_mask=True)
    yield given(F + "adaptive_max_pool2d", Input((1, 4, 8, 10)), output_size=[4, 5], return_mask=True)
    yield given(F + "adaptive_avg_pool2d", LAST, output_size=[3, 4], data_format="NHWC")
    yield given(F + "adaptive_avg_pool2d", IMAGE, output_size=[None, 1])
    for mode in ("reflect", "replicate", "circular"):
        yield given(F + "pad", LAST, pad=[1, 2, 3, 0], mode=mode, data_format="NHWC")
        yield given("padded_conv", IMAGE, _weights=weights, mode=mode)
    yield given(F + "pad", Input((1, 13, 4)), pad=[2, 1], mode="reflect", data_format="NLC")
    yield given(
        F + "fold", Input((2, 12, 6)), output_sizes=[5, 6], kernel_sizes=2, strides=2, paddings=[0, 0]
    )
    yield given(F + "fold", Input((1, 18, 20)), output_sizes=[7, 9], kernel_sizes=3, strides=2, paddings=1)
    yield given("folded_back", IMAGE)


def norms() -> Iterator[Program]:
    """Norms of every rank and layout, also written out as nets do."""
    channels = {"weight": Input((4,)), "bias": Input((4,))}
    statistics = {"running_mean": Input((4,)), "running_var": Input((4,), "positive"), **channels}
    yield given("batch_norm_last", LAST, _weights=statistics, epsilon=1e-3)
    yield given("batch_norm_last", Input((2, 13, 4)), _weights=statistics, epsilon=1e-3)
    yield given("group_norm_last", LAST, groups=2)
    yield given(F + "local_response_norm", LINE, size=4, alpha=0.2, beta=0.5, k=2.0)
    yield given(F + "local_response_norm", CUBE, size=3, alpha=0.1)
    yield given(F + "local_response_norm", LAST, size=3, alpha=0.1, data_format="NHWC")
    yield given("root_mean_square", TOKENS, guard=1e-6)
    yield given("global_response", Input((2, 5, 6, 4)), guard=1e-6)
    yield given("standardised", X, guard=1e-5)
    yield given("adaptive_instance", X, Input((2, 4)), Input((2, 4)))
    yield given(F + "prelu", LAST, _weights={"weight": Input((4,))}, data_format="NHWC")
    yield given(F + "prelu", LINE, _weights={"weight": Input((4,))})
    for p in (0.5, 4, -1):
        yield given("norm", Input((2, 4, 5, 6), "positive"), p=p, axis=1)
    for p in (0, 1, 3, float("inf")):
        yield given("dist", FLAT, Input((4, 6)), p=p)
    yield given(F + "pairwise_distance", FLAT, Input((4, 6)), p=2.0, epsilon=1e-3, keepdim=True)
    yield given("cdist", FLAT, Input((5, 6)), p=2.0)
    yield given(F + "normalize", FLAT, p=2, axis=-1, epsilon=0.5)
    yield given(F + "cosine_similarity", FLAT, Input((4, 6)), axis=-1, eps=0.5)


def attention() -> Iterator[Program]:
    """Products and softmaxes as transformers and decoders write them."""
    three = {"qkv": Input((8, 24)), "out": Input((8, 8))}
    yield given("self_attention", TOKENS, _weights=three, heads=2)
    yield given("masked_attention", TOKENS, Input((2, 6), "bool"), heads=2)
    yield given("window_attention", Input((1, 4, 6, 8)), size=2, shift=1)
    yield given("channel_attention", X)
    yield given("object_context", Input((2, 8, 4, 5)), Input((2, 3, 4, 5)))
    yield given("linear_attention", TOKENS)
    for equation, shapes in (
        ("bhqd,bhkd->bhqk", ((2, 2, 5, 4), (2, 2, 6, 4))),
        ("bqhd,bkhd->bhqk", ((2, 5, 2, 4), (2, 6, 2, 4))),
        ("nchw,nc->nhw", ((2, 4, 5, 6), (2, 4))),
        ("bij,bij->b", ((2, 3, 4), (2, 3, 4))),
        ("bqnc,bnchw->bqnhw", ((2, 5, 2, 4), (2, 2, 4, 3, 3))),
        ("i,j->ij", ((4,), (5,))),
    ):
        yield given("einsum_of", *map(Input, shapes), equation=equation)
    yield given("kron", Input((2, 3, 2)), Input((1, 2, 3)))
    yield given("trace", X, offset=1, axis1=2, axis2=3)
    yield given("tril", Input((5, 6)), diagonal=-2)
    yield given("triu", Input((5, 6)), diagonal=2)
    yield given("cross", Input((4, 3)), Input((4, 3)))
    yield given("tensordot", Input((2, 3, 4)), Input((4, 3, 5)), axes=[[1, 2], [1, 0]])
    yield given("t", FLAT)


def picks() -> Iterator[Program]:
    """Elements by place, written and read."""
    yield given("scatter", FLAT, Input((4,), "index:4"), Input((4, 6)), overwrite=True)
    yield given("scatter_nd", Input((5, 1), "index:4"), Input((5, 6)), shape=[4, 6])
    yield given("index_add", FLAT, Input((3,), "index:4"), Input((3, 6)), axis=0)
    yield given("index_sample", FLAT, Input((4, 9), "index:6"))
    yield given("best_of", X)
    yield given("one_hot_of_best", X)
    yield given("top_scores", Input((2, 30)), k=5)
    yield given("set_window", X)
    yield given("set_stepped", X)
    yield given("set_backwards", X)
    yield given("set_masked", X)
    yield given("set_rows", X, Input((2, 4, 6)))
    yield given("stepped_back", X)
    yield given("rows_by_list", X)
    yield given("where_numbers", X)
    yield given("where_places", Input((4, 6), "bool"))
    yield given("clipped_by", X, Input((1,)), Input((1,), "positive"))
    yield given("unique_all", Input((12,), "index:5"))
    yield given("bincount", Input((12,), "index:5"), minlength=7)
    yield given("histogram", Input((30,)), bins=6, min=-2, max=2)
    yield given("nonzero", Input((4, 6), "bool"))
    yield given("argsort", Input((4, 9), "ties"), axis=1, descending=True)
    yield given("cumsum", Input((2, 4, 5), "int"), axis=1)
    yield given("summed_from_the_end", X, axis=2)
    yield given("positions", Input((2, 5, 6), "bool"))
    yield given("anchors", X, stride=8)
    yield given("expand_as", Input((1, 4, 1, 6)), X)
    yield given("tile", Input((2, 3)), repeat_times=[3, 1])
    yield given("crop", X, shape=[2, 2, 3, 4], offsets=[0, 1, 2, 1])
    yield given("take", X, Input((3, 4), "index:60"))
    yield given("repeat_interleave", X, repeats=3)
    yield given("searchsorted", Input((5,), "sorted"), Input((3, 4)), right=True)


def numbers() -> Iterator[Program]:
    """Arithmetic with the numbers that nets write down."""
    wide = Input((2, 4, 5, 6), "wide")
    positive = Input((2, 4, 5, 6), "positive")
    yield given("step_function", Input((2, 1, 5, 6)), Input((2, 1, 5, 6)), k=50)
    yield given("log_of_sum", wide, guard=1e-8)
    yield given("power", positive, exponent=-0.5)
    yield given("power", positive, exponent=0.25)
    yield given("by_a_power", X, base=2.0)
    yield given("from_whole", Input((2, 4, 5), "int"))
    yield given("floored", wide, step=4)
    yield given("counted", X)
    yield given("soft_argmax", X)
    yield given("logsumexp", wide, axis=[1, 2], keepdim=True)
    yield given("logaddexp", X, Input((2, 4, 5, 6)))
    yield given("sum_as", Input((2, 4, 5), "int32"), dtype="float32")
    yield given("mean_of_mask", Input((2, 4, 5), "bool"))
    yield given(F + "softmax", Input((2, 6), "int"), axis=1, dtype="float32")
    yield given(F + "hardsigmoid", wide, slope=0.5, offset=0.25)
    yield given(F + "softplus", wide, beta=1.0, threshold=2.0)
    yield given("gated", X)
    yield given("std_kept", X, axis=1)
    yield given("median_kept", Input((3, 5)), axis=1)
    yield given("quantile", Input((3, 5)), q=0.3, axis=1)
    yield given("linspaced", X, steps=6)
    yield given("nested_scale", X)
    yield given("clip", wide, min=0.0, max=6.0)
    yield given("diff", X, axis=2)


def heads() -> Iterator[Program]:
    """Small pieces of whole nets."""
    yield given("squeeze_excite", Input((2, 4, 5, 6)), _weights={"down": Input((4, 2)), "up": Input((2, 4))})
    yield given("pyramid", Input((1, 4, 12, 16)))
    yield given("sobel", Input((1, 3, 8, 9)))
    yield given("box_filter", Input((1, 1, 8, 9)), radius=1)
    yield given("trimap", Input((1, 1, 8, 9)), Input((1, 1, 8, 9)))
    yield given("upscaled", Input((1, 3, 6, 7)), _weights={"weight": Input((12, 3, 3, 3))})
    yield given("reassembled", Input((1, 4, 5, 6)), Input((1, 36, 10, 12)))
    yield given("read_out", Input((2, 8, 1, 10)))
    yield given("distances", Input((2, 12, 32)))
    yield given("boxes", Input((2, 6, 4)), Input((1, 6, 4)))
    yield given("yolo_box", Input((1, 14, 4, 5)), image=[64, 96])
    yield given("prior_box", Input((1, 4, 3, 4)), Input((1, 3, 24, 32)))
    yield given("roi_pool", Input((1, 3, 12, 16)), output_size=2)
    yield given("psroi_pool", Input((1, 8, 12, 16)), output_size=2)
    yield given("kept_boxes", Input((8,), "unit"))
    yield given("coordinates_added", Input((2, 3, 5, 6)))
    yield given("split_mixed", Input((2, 8, 5, 6)))
    yield given("residual_groups", Input((2, 8, 5, 6)), _weights={"weight": Input((4, 2, 3, 3))})
