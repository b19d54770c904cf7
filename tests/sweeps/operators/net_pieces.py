"""What do the programs of ``nets`` call that is no single function of Paddle? Written as nets write it."""

from __future__ import annotations

from typing import Any

import paddle
from paddle.nn import functional

Tensor = paddle.Tensor

# --- sampling


def resized_like(x: Tensor, y: Tensor, mode: str) -> Tensor:
    """To the size of another tensor, which is asked at run time."""
    return functional.interpolate(x, size=paddle.shape(y)[2:], mode=mode) * 2.0


def resized_twice(x: Tensor, mode: str) -> Tensor:
    """Down by a size, up by a factor."""
    return functional.interpolate(
        functional.interpolate(x, size=[3, 4], mode=mode), scale_factor=3, mode=mode
    )


def turned(x: Tensor, align_corners: bool) -> Tensor:
    """An image turned by a fixed map."""
    theta = paddle.to_tensor([[[0.8, -0.3, 0.1], [0.2, 0.9, -0.2]]] * 2)
    grid = functional.affine_grid(theta, [2, 3, 5, 8], align_corners=align_corners)
    return functional.grid_sample(x, grid, align_corners=align_corners)


def warped(x: Tensor, flow: Tensor, align_corners: bool) -> Tensor:
    """An image moved by a flow in pixels."""
    height, width = x.shape[2:]
    rows, columns = paddle.meshgrid(paddle.arange(height), paddle.arange(width))
    place = paddle.stack([columns, rows], axis=0).astype("float32").unsqueeze(0) + flow
    across = 2.0 * place[:, 0] / (width - 1) - 1.0
    down = 2.0 * place[:, 1] / (height - 1) - 1.0
    grid = paddle.stack([across, down], axis=-1)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=align_corners)


def focus(x: Tensor) -> Tensor:
    """Every second pixel, four times."""
    parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
    return paddle.concat(parts, axis=1)


# --- windows and norms


def unpooled(x: Tensor) -> Tensor:
    """A pool and back."""
    pooled, mask = functional.max_pool2d(x, kernel_size=2, stride=2, return_mask=True)
    return functional.max_unpool2d(pooled, mask, kernel_size=2, stride=2)


def padded_conv(x: Tensor, weight: Tensor, bias: Tensor, mode: str) -> Tensor:
    """A convolution with another padding than zeros."""
    return functional.conv2d(functional.pad(x, [1, 1, 1, 1], mode=mode), weight, bias)


def folded_back(x: Tensor) -> Tensor:
    """Patches that overlap, and their sum."""
    return functional.fold(
        functional.unfold(x, 3, strides=2, paddings=1), x.shape[2:], 3, strides=2, paddings=1
    )


def batch_norm_last(
    x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor, bias: Tensor, epsilon: float
) -> Tensor:
    """A batch norm with the channels last."""
    layout = "NHWC" if x.ndim == 4 else "NLC"
    return functional.batch_norm(
        x, running_mean, running_var, weight, bias, training=False, epsilon=epsilon, data_format=layout
    )


def group_norm_last(x: Tensor, groups: int) -> Tensor:
    """A group norm with the channels last, written out."""
    shape = x.shape
    parts = x.reshape([shape[0], -1, groups, shape[-1] // groups])
    mean = parts.mean(axis=[1, 3], keepdim=True)
    var = parts.var(axis=[1, 3], unbiased=False, keepdim=True)
    return ((parts - mean) / paddle.sqrt(var + 1e-5)).reshape(shape)


def root_mean_square(x: Tensor, guard: float) -> Tensor:
    """An RMS norm."""
    return x * paddle.rsqrt(x.pow(2).mean(axis=-1, keepdim=True) + guard)


def global_response(x: Tensor, guard: float) -> Tensor:
    """The norm of ConvNeXt V2."""
    size = paddle.norm(x, p=2, axis=[1, 2], keepdim=True)
    return x + 0.5 * x * (size / (size.mean(axis=-1, keepdim=True) + guard))


def standardised(x: Tensor, guard: float) -> Tensor:
    """Mean away, divided by the unbiased deviation."""
    return (x - x.mean(axis=[2, 3], keepdim=True)) / (x.std(axis=[2, 3], keepdim=True) + guard)


def adaptive_instance(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """An instance norm whose scale and shift are computed."""
    return functional.instance_norm(x) * scale.unsqueeze([2, 3]) + shift.unsqueeze([2, 3])


# --- attention


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, tokens, width) as (batch, heads, tokens, part)."""
    return x.reshape([0, 0, heads, x.shape[-1] // heads]).transpose([0, 2, 1, 3])


def self_attention(x: Tensor, qkv: Tensor, out: Tensor, heads: int) -> Tensor:
    """Queries, keys and values in one product."""
    three = paddle.matmul(x, qkv).reshape([0, 0, 3, heads, x.shape[-1] // heads]).transpose([2, 0, 3, 1, 4])
    q, k, v = three[0], three[1], three[2]
    weights = functional.softmax(paddle.matmul(q * q.shape[-1] ** -0.5, k, transpose_y=True), axis=-1)
    return paddle.matmul(paddle.matmul(weights, v).transpose([0, 2, 1, 3]).flatten(2), out)


def masked_attention(x: Tensor, mask: Tensor, heads: int) -> Tensor:
    """Attention that does not look at some tokens."""
    q = split_heads(x, heads)
    scores = paddle.matmul(q, q, transpose_y=True) / 2.0
    minus = paddle.where(mask, paddle.full([1], -1e9), paddle.zeros([1])).unsqueeze([1, 2])
    return paddle.matmul(functional.softmax(scores + minus, axis=-1), q)


def window_attention(x: Tensor, size: int, shift: int) -> Tensor:
    """Attention in windows that were moved, as in Swin."""
    batch, height, width, depth = x.shape
    moved = paddle.roll(x, shifts=[-shift, -shift], axis=[1, 2])
    parts = moved.reshape([batch, height // size, size, width // size, size, depth])
    tokens = parts.transpose([0, 1, 3, 2, 4, 5]).reshape([-1, size * size, depth])
    mixed = paddle.matmul(
        functional.softmax(paddle.matmul(tokens, tokens, transpose_y=True), axis=-1), tokens
    )
    back = mixed.reshape([batch, height // size, width // size, size, size, depth])
    whole = back.transpose([0, 1, 3, 2, 4, 5]).reshape([batch, height, width, depth])
    return paddle.roll(whole, shifts=[shift, shift], axis=[1, 2])


def channel_attention(x: Tensor) -> Tensor:
    """Attention between channels, by the distance to the largest, as in DANet."""
    flat = x.flatten(2)
    energy = paddle.bmm(flat, flat.transpose([0, 2, 1]))
    far = paddle.max(energy, axis=-1, keepdim=True).expand_as(energy) - energy
    return paddle.bmm(functional.softmax(far, axis=-1), flat).reshape(x.shape) + x


def object_context(x: Tensor, maps: Tensor) -> Tensor:
    """Pixels described by the regions of a soft mask, as in OCRNet."""
    regions = paddle.bmm(functional.softmax(maps.flatten(2), axis=2), x.flatten(2).transpose([0, 2, 1]))
    pixels = x.flatten(2).transpose([0, 2, 1])
    weights = functional.softmax(paddle.bmm(pixels, regions.transpose([0, 2, 1])) * 8**-0.5, axis=-1)
    return paddle.bmm(weights, regions).transpose([0, 2, 1]).reshape(x.shape)


def linear_attention(x: Tensor) -> Tensor:
    """Attention whose keys are summed first."""
    q, k = functional.softmax(x, axis=-1), functional.softmax(x, axis=1)
    return paddle.matmul(q, paddle.matmul(k, x, transpose_x=True))


# --- picks


def best_of(x: Tensor) -> list[Tensor]:
    """The largest and where it is."""
    value, place = paddle.topk(x, k=1, axis=1)
    return [value, place.astype("float32"), paddle.max(x, axis=1), paddle.argmax(x, axis=1)]


def one_hot_of_best(x: Tensor) -> Tensor:
    """A hard choice."""
    return functional.one_hot(paddle.argmax(x, axis=1), num_classes=x.shape[1]).transpose([0, 3, 1, 2]) * x


def top_scores(x: Tensor, k: int) -> list[Tensor]:
    """Scores and classes of the best of a flat list, as DETR decodes."""
    scores, places = paddle.topk(functional.sigmoid(x), k=k, axis=1)
    return [scores, places % 3, places // 3]


def set_window(x: Tensor) -> Tensor:
    """A window written to."""
    y = x + 0.0
    y[:, 1:3, 2:] = -1.5
    return y


def set_stepped(x: Tensor) -> Tensor:
    """Every second row written to."""
    y = x + 0.0
    y[:, :, ::2] = x[:, :, ::2] * 3.0
    return y


def set_backwards(x: Tensor) -> Tensor:
    """Written to from the end."""
    y = x + 0.0
    y[:, ::-1, 3:0:-2] = x[:, :, 1:3]
    return y


def set_masked(x: Tensor) -> Tensor:
    """Where it is negative."""
    y = x + 0.0
    y[x < -0.5] = 0.25
    return y


def set_rows(x: Tensor, rows: Tensor) -> Tensor:
    """One row of each channel."""
    y = x + 0.0
    y[:, :, -2] = rows
    return y


def positions(mask: Tensor) -> Tensor:
    """The sine embedding of DETR."""
    down = paddle.cumsum(mask.astype("float32"), axis=1)
    across = paddle.cumsum(mask.astype("float32"), axis=2)
    down = down / (down[:, -1:, :] + 1e-6) * 6.2831853
    across = across / (across[:, :, -1:] + 1e-6) * 6.2831853
    periods = 10000.0 ** (2 * paddle.floor(paddle.arange(4, dtype="float32") / 2) / 4)
    parts = [each.unsqueeze(-1) / periods for each in (down, across)]
    waves = [
        paddle.stack([each[..., 0::2].sin(), each[..., 1::2].cos()], axis=4).flatten(3) for each in parts
    ]
    return paddle.concat(waves, axis=3)


def anchors(x: Tensor, stride: int) -> Tensor:
    """The centres of the cells, in pixels."""
    across = (paddle.arange(x.shape[3], dtype="float32") + 0.5) * stride
    down = (paddle.arange(x.shape[2], dtype="float32") + 0.5) * stride
    rows, columns = paddle.meshgrid(down, across)
    return paddle.stack([columns, rows], axis=-1).reshape([-1, 2]) + x.mean()


# --- numbers


def log_of_sum(x: Tensor, guard: float) -> Tensor:
    """The logarithm of a softmax that is kept from zero."""
    return paddle.log(functional.softmax(x, axis=1) + guard)


def counted(x: Tensor) -> list[Tensor]:
    """How many are above, as numbers and as a share."""
    above = x > 0.2
    return [above.astype("int64").sum(axis=1), above.astype("float32").mean(axis=[2, 3])]


def soft_argmax(x: Tensor) -> Tensor:
    """The mean place."""
    weights = functional.softmax(x.flatten(2) * 3.0, axis=-1).reshape(x.shape)
    return (weights.sum(axis=2) * paddle.arange(x.shape[3], dtype="float32")).sum(axis=-1)


# --- pieces of nets


def squeeze_excite(x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """Channels weighed by their means."""
    means = functional.adaptive_avg_pool2d(x, 1).flatten(1)
    return x * functional.hardsigmoid(functional.relu(means @ down) @ up).unsqueeze([2, 3])


def pyramid(x: Tensor) -> Tensor:
    """Means of regions, resized and joined."""
    size = x.shape[2:]
    parts = [
        functional.interpolate(functional.adaptive_avg_pool2d(x, n), size, mode="bilinear") for n in (1, 2, 4)
    ]
    return paddle.concat([x, *parts], axis=1)


def sobel(x: Tensor) -> Tensor:
    """Edges by a fixed kernel, channel by channel."""
    kernel = paddle.to_tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
    across = functional.conv2d(x, kernel.expand([3, 1, 3, 3]), padding=1, groups=3)
    down = functional.conv2d(x, kernel.t().expand([3, 1, 3, 3]), padding=1, groups=3)
    return paddle.sqrt(across * across + down * down + 1e-6)


def box_filter(x: Tensor, radius: int) -> Tensor:
    """A mean filter by sums, as in a guided filter."""
    total = paddle.cumsum(x, axis=2)
    left = total[:, :, radius : 2 * radius + 1]
    middle = total[:, :, 2 * radius + 1 :] - total[:, :, : -2 * radius - 1]
    right = total[:, :, -1:] - total[:, :, -2 * radius - 1 : -radius - 1]
    return paddle.concat([left, middle, right], axis=2) / (2 * radius + 1)


def trimap(alpha: Tensor, guess: Tensor) -> Tensor:
    """Known parts kept, the others guessed."""
    known = paddle.logical_or(alpha < -0.5, alpha > 0.5)
    return paddle.clip(paddle.where(known, (alpha > 0).astype("float32"), guess), 0.0, 1.0)


def upscaled(x: Tensor, weight: Tensor) -> Tensor:
    """A super-resolution tail: shuffled pixels and the picture itself."""
    fine = functional.pixel_shuffle(functional.conv2d(x, weight, padding=1), 2)
    return paddle.clip(fine + functional.interpolate(x, scale_factor=2, mode="bicubic"), -1.0, 1.0)


def reassembled(x: Tensor, kernels: Tensor) -> Tensor:
    """Every pixel from its neighbours by a kernel of its own, as in CARAFE."""
    patches = functional.unfold(x, 3, paddings=1).reshape([1, 4 * 9, 5, 6])
    patches = functional.interpolate(patches, scale_factor=2, mode="nearest").reshape([1, 4, 9, 10, 12])
    weights = functional.softmax(kernels.reshape([1, 4, 9, 10, 12]), axis=2)
    return (patches * weights).sum(axis=2)


def read_out(x: Tensor) -> list[Tensor]:
    """A text recogniser's end."""
    scores = functional.softmax(x.squeeze(2).transpose([0, 2, 1]), axis=2)
    return [scores, paddle.argmax(scores, axis=2), paddle.max(scores, axis=2)]


def distances(x: Tensor) -> Tensor:
    """Expected distances of a distribution over bins, as in GFL."""
    weights = functional.softmax(x.reshape([0, -1, 4, 8]), axis=-1)
    return paddle.matmul(weights, paddle.arange(8, dtype="float32").unsqueeze(-1)).squeeze(-1)


def boxes(deltas: Tensor, priors: Tensor) -> Tensor:
    """Boxes from their offsets."""
    centre = priors[..., :2] + deltas[..., :2] * 0.1 * paddle.abs(priors[..., 2:])
    size = paddle.exp(paddle.clip(deltas[..., 2:] * 0.2, max=4.135)) * paddle.abs(priors[..., 2:])
    return paddle.concat([centre - size / 2, centre + size / 2], axis=-1)


def regions() -> tuple[Tensor, Tensor]:
    """Two boxes of one image."""
    found = paddle.to_tensor([[0.6, 1.2, 9.3, 10.7], [2.5, 0.4, 15.1, 8.8]])
    return found, paddle.to_tensor([2], dtype="int32")


def yolo_box(x: Tensor, image: list[int]) -> list[Tensor]:
    """Boxes and scores of a YOLO head."""
    size = paddle.to_tensor([image], dtype="int32")
    settings = {"anchors": [10, 13, 16, 30], "class_num": 2, "conf_thresh": 0.01, "downsample_ratio": 16}
    return list(paddle.vision.ops.yolo_box(x, size, **settings))


def prior_box(x: Tensor, image: Tensor) -> list[Tensor]:
    """The anchors of SSD, and their variances."""
    found = paddle.vision.ops.prior_box(x, image, [8.0], [16.0], [2.0], flip=True, clip=True)
    return [each + x.sum() * 0.0 for each in found]


def kept_boxes(scores: Tensor) -> Tensor:
    """Which boxes are left."""
    found = [[0, 0, 4, 4], [1, 0, 5, 4], [6, 6, 9, 9], [6, 5, 9, 9], [0, 6, 2, 9], [3, 3, 7, 7]]
    found += [[3, 4, 7, 7], [8, 0, 10, 2]]
    return paddle.vision.ops.nms(paddle.to_tensor(found, dtype="float32"), 0.4, scores)


def coordinates_added(x: Tensor) -> Tensor:
    """Where each pixel is, as two more channels."""
    rows = paddle.linspace(-1, 1, x.shape[2]).reshape([1, 1, -1, 1]).expand([2, 1, 5, 6])
    columns = paddle.linspace(-1, 1, x.shape[3]).reshape([1, 1, 1, -1]).expand([2, 1, 5, 6])
    return paddle.concat([x, columns, rows], axis=1)


def split_mixed(x: Tensor) -> Tensor:
    """Two halves of the channels, shuffled."""
    first, second = paddle.split(x, 2, axis=1)
    both = paddle.stack([functional.relu(first), functional.tanh(second)], axis=2)
    return both.reshape([0, -1, 5, 6])


def residual_groups(x: Tensor, weight: Tensor) -> Tensor:
    """Groups of channels, each fed the one before, as in Res2Net."""
    parts = paddle.split(x, [2, 2, 4], axis=1)
    first = functional.conv2d(parts[0], weight, padding=1)
    second = functional.conv2d(parts[1] + first[:, :2], weight, padding=1)
    return paddle.concat([first, second, parts[2]], axis=1)


OWN: dict[str, Any] = {
    **{
        made.__name__: made
        for made in (
            *(resized_like, resized_twice, turned, warped, focus, unpooled, padded_conv, folded_back),
            *(batch_norm_last, group_norm_last, root_mean_square, global_response, standardised),
            *(adaptive_instance, self_attention, masked_attention, window_attention, channel_attention),
            *(object_context, linear_attention, best_of, one_hot_of_best, top_scores, set_window),
            *(set_stepped, set_backwards, set_masked, set_rows, positions, anchors, log_of_sum, counted),
            *(soft_argmax, squeeze_excite, pyramid, sobel, box_filter, trimap, upscaled, reassembled),
            *(read_out, distances, boxes, yolo_box, prior_box, kept_boxes, coordinates_added),
            *(split_mixed, residual_groups),
        )
    },
    "roi_pool": lambda x, **arguments: paddle.vision.ops.roi_pool(x, *regions(), **arguments),
    "psroi_pool": lambda x, **arguments: paddle.vision.ops.psroi_pool(x, *regions(), **arguments),
    "stepped_back": lambda x: x[:, 3:0:-1, ::-2, -2::-3],
    "rows_by_list": lambda x: x[:, :, [4, 0, 2]] * x[:, :, [1, 1, 3]],
    "where_numbers": lambda x: paddle.where(x > 0.1, paddle.full([1], 2.0), paddle.full([1], -3.0)) * x,
    "where_places": lambda x: paddle.concat(paddle.where(x), axis=-1),
    "clipped_by": lambda x, low, high: paddle.clip(x, low - 2.0, high),
    "unique_all": lambda x: list(
        paddle.unique(x, return_index=True, return_inverse=True, return_counts=True)
    ),
    "summed_from_the_end": lambda x, axis: paddle.flip(paddle.cumsum(paddle.flip(x, [axis]), axis), [axis]),
    "step_function": lambda x, y, k: paddle.reciprocal(1 + paddle.exp(-k * (x - y))),
    "power": lambda x, exponent: x**exponent,
    "by_a_power": lambda x, base: base**x,
    "from_whole": lambda x: (x / 2) * 1.5 - (x // 2).astype("float32"),
    "floored": lambda x, step: paddle.floor(x / step) * step,
    "sum_as": lambda x, dtype: paddle.sum(x, axis=1, dtype=dtype),
    "mean_of_mask": lambda x: paddle.mean(x.astype("float32"), axis=1) + paddle.sum(x, axis=1),
    "gated": lambda x: paddle.nn.functional.gelu(x[:, :2]) * functional.sigmoid(x[:, 2:]),
    "std_kept": lambda x, axis: paddle.std(x, axis=axis, keepdim=True) + paddle.var(x, axis=axis),
    "median_kept": lambda x, axis: paddle.median(x, axis=axis, keepdim=True),
    "linspaced": lambda x, steps: x * paddle.linspace(0.0, 3.0, steps),
    "nested_scale": lambda x: ((x * 2.0 + 1.0) * 0.5 - 3e-7) / 127.5 - 1.0,
}
