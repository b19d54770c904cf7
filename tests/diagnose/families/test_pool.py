"""Pools: what is planted is named and proven; adaptive windows get another expression."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.diagnose.families.pool import averaging, windows
from tests.diagnose import paddle
from tests.diagnose.bench import asked
from tests.models import Net, copied, find_node, image

IMAGE = (1, 3, 15, 21)
KINDS = ("pool.ceil_mode", "pool.count_include_pad", "pool.pads", "pool.operator")
SEEDS = 3


def network(opset: int = 17):
    """Pools of every kind; what follows them adapts to any size."""
    net = Net(IMAGE, seed=4, opset=opset)
    x = net.conv("x", (3, 6))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.conv(x, (6, 6))
    x = net.node(
        "AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], count_include_pad=1
    )
    x = net.conv(x, (6, 6))
    x = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[1, 1], auto_pad="SAME_UPPER")
    x = net.conv(x, (6, 6))
    x = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    return net.model(net.conv(net.node("GlobalAveragePool", net.conv(x, (6, 6))), (6, 4), kernel=1))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with asked(network(), image(IMAGE), tmp_path_factory.mktemp("pool")) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_fault_is_named_and_proven(reference, kind) -> None:
    assert reference.names_planted(network(), image(IMAGE), kind, SEEDS)


@pytest.mark.parametrize(
    ("place", "attributes", "kind"),
    [
        (0, {"kernel_shape": [2, 2]}, "pool.kernel"),
        (0, {"strides": [3, 2]}, "pool.strides"),
        (0, {"dilations": [2, 2]}, "pool.dilations"),
    ],
)
def test_windows_that_differ(reference, place, attributes, kind) -> None:
    faulty = copied(network())
    node = find_node(faulty, "MaxPool", place)
    for name, value in attributes.items():
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.add(name=name, ints=value, type=7)
    cause = reference.cause(faulty)
    assert (cause.kind, cause.proven) == (kind, True), cause.text


def test_a_global_pool_with_a_window(reference) -> None:
    faulty = copied(network())
    node = find_node(faulty, "GlobalAveragePool")
    node.op_type = "AveragePool"
    node.attribute.add(name="kernel_shape", ints=[3, 5], type=7)
    cause = reference.cause(faulty)
    assert (cause.kind, cause.proven) == ("pool.global", True), cause.text


def test_no_pool_is_blamed_for_what_it_did_not_do(reference) -> None:
    """A factor behind the pool is no setting of it."""
    faulty = copied(network())
    node = find_node(faulty, "GlobalAveragePool")
    pooled = node.output[0]
    node.output[0] = "unscaled"
    index = list(faulty.graph.node).index(node)
    rest = list(faulty.graph.node)[index + 1 :]
    del faulty.graph.node[index + 1 :]
    faulty.graph.node.add(op_type="Mul", input=["unscaled", "unscaled"], output=[pooled])
    faulty.graph.node.extend(rest)
    causes = reference.causes(faulty)
    assert causes
    assert not any(cause.proven and cause.kind.startswith("pool.") for cause in causes)


# --- Paddle's


FEED = image((2, 3, 8, 12), seed=1)


def pool2d(**attributes):
    return (
        "pool2d",
        {"ksize": [2, 2], "strides": [2, 2], "paddings": [0, 0], "pooling_type": "avg"} | attributes,
    )


def adapted(x, counts, by):
    rows, columns = windows(x.shape[2], counts[0]), windows(x.shape[3], counts[1])
    return np.stack([np.stack([by(x[:, :, a:b, c:d], (2, 3)) for c, d in columns], -1) for a, b in rows], -2)


def fixed(op_type, counts):
    net = Net(FEED.shape)
    strides = [FEED.shape[2] // counts[0], FEED.shape[3] // counts[1]]
    kernel = [FEED.shape[a + 2] - (counts[a] - 1) * strides[a] for a in (0, 1)]
    return net.model(net.node(op_type, "x", kernel_shape=kernel, strides=strides))


@pytest.mark.parametrize("counts", [(3, 3), (6, 6), (3, 5), (1, 5), (7, 12)])
@pytest.mark.parametrize(
    ("op_type", "word", "by"), [("AveragePool", "avg", np.mean), ("MaxPool", "max", np.max)]
)
def test_adaptive_windows_that_do_not_divide(tmp_path, op_type, word, by, counts) -> None:
    ops = [pool2d(ksize=list(counts), adaptive=True, pooling_type=word)]
    case = paddle.asked(ops, adapted(FEED, counts, by), fixed(op_type, counts), FEED, tmp_path)
    (found, *_) = case.proven()
    assert (found.kind, found.expected) == ("pool.adaptive", True)


def test_adaptive_windows_of_a_volume(tmp_path) -> None:
    feed = image((1, 2, 5, 6, 7))
    spans = [windows(size, count) for size, count in zip((5, 6, 7), (2, 3, 4), strict=True)]
    truth = np.empty((1, 2, 2, 3, 4), np.float32)
    for place in np.ndindex(2, 3, 4):
        a, b, c = (slice(*spans[axis][at]) for axis, at in enumerate(place))
        truth[(..., *place)] = feed[:, :, a, b, c].max((2, 3, 4))
    net = Net(feed.shape)
    model = net.model(net.node("MaxPool", "x", kernel_shape=[3, 2, 4], strides=[2, 2, 1]))
    ops = [("max_pool3d_with_index", {"ksize": [2, 3, 4], "adaptive": True})]
    (found, *_) = paddle.asked(ops, truth, model, feed, tmp_path).proven()
    assert (found.kind, found.expected) == ("pool.adaptive", True)


def test_equal_windows_need_no_other_expression(tmp_path) -> None:
    ops = [pool2d(ksize=[4, 6], adaptive=True)]
    case = paddle.asked(ops, adapted(FEED, (4, 6), np.mean), fixed("AveragePool", (4, 7)), FEED, tmp_path)
    # the sizes of the outputs differ, so that only what is asked for can be right
    (found, *_) = case.proven()
    assert (found.kind, found.edits[0].nodes) == ("pool.adaptive", ())


def test_a_matrix_of_means() -> None:
    matrix = averaging(8, 3)
    assert np.allclose(matrix.sum(1), 1)
    assert (np.count_nonzero(matrix, axis=1) == [3, 4, 3]).all()


def test_same_padding_of_paddle_is_upper(tmp_path) -> None:
    net = Net((1, 2, 5, 6))
    pooled = net.node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER")
    feed = image((1, 2, 5, 6))
    wide = np.pad(feed, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=-np.inf)
    truth = wide.reshape(1, 2, 3, 2, 3, 2).max((3, 5))
    ops = [pool2d(padding_algorithm="SAME", pooling_type="max")]
    assert paddle.asked(ops, truth, net.model(pooled), feed, tmp_path).kind() == "pool.pads"
