"""Programs that reduce, order, cut, join and move elements."""

from __future__ import annotations

from collections.abc import Iterator

from .programs import Input, Program, given

F = "nn.functional."
SHAPE = (2, 4, 5, 6)
X = Input(SHAPE)
FLAT = Input((4, 6))
TIES = Input(SHAPE, "ties")
POSITIVE = Input(SHAPE, "unit")


def programs() -> Iterator[Program]:
    """All of this module."""
    yield from reductions()
    yield from orders()
    yield from pieces()
    yield from picks()
    yield from products()


def reductions() -> Iterator[Program]:
    """Along one axis, two, all; kept or not."""
    for name in ("mean", "sum", "max", "min", "prod", "logsumexp", "amax", "amin"):
        for arguments in ({"axis": 1}, {"axis": [2, 3], "keepdim": True}, {}, {"axis": -1}):
            yield given(name, POSITIVE if name == "prod" else X, **arguments)
    for name in ("var", "std"):
        for arguments in ({"axis": 1}, {"axis": [2, 3], "unbiased": False}, {}):
            yield given(name, X, **arguments)
    for arguments in (
        {"p": 2, "axis": 1},
        {"p": 1, "axis": -1},
        {"p": 3, "axis": 2},
        {"p": float("inf"), "axis": 1},
    ):
        yield given("norm", X, **arguments)
    for arguments in ({"p": "fro", "axis": [2, 3]}, {"p": 0, "axis": 1}, {"p": float("-inf"), "axis": 1}):
        yield given("norm", X, **arguments)
    yield given("all", Input(SHAPE, "bool"), axis=1)
    yield given("any", Input(SHAPE, "bool"), axis=[1, 2], keepdim=True)
    yield given("sum", Input(SHAPE, "int"), axis=1)
    yield given("mean", Input((2, 3)), axis=[0, 1])
    yield given("median", Input((2, 5)), axis=1)
    yield given("count_nonzero", TIES, axis=1)
    yield given("trace", Input((4, 5)))
    yield given("dist", FLAT, Input((4, 6)), p=2)
    yield given("kron", Input((2, 3)), Input((3, 2)))


def orders() -> Iterator[Program]:
    """Argmax, TopK, sort, running sums; ties where they matter."""
    for kind in ("normal", "ties"):
        x = Input(SHAPE, kind)
        yield given("argmax", x, axis=1, keepdim=True)
        yield given("argmax", x, axis=-1, dtype="int32")
        yield given("argmax", x)
        yield given("argmin", x, axis=2)
        yield given("argsort", x, axis=1)
        yield given("argsort", x, axis=-1, descending=True)
    for largest in (True, False):
        yield given("topk", X, k=3, axis=1, largest=largest)
        yield given("topk", X, k=2, largest=largest, sorted=False)
    yield given("sort", X, axis=1, descending=True)
    yield given("sort", X)
    yield given("kthvalue", X, k=2, axis=1)
    for arguments in ({"axis": 1}, {"axis": -1}, {}):
        yield given("cumsum", X, **arguments)
    yield given("cumprod", POSITIVE, dim=1)
    yield given("cummax", X, axis=1)
    yield given("logcumsumexp", X, axis=1)
    yield given("searchsorted", Input((5,), "sorted"), Input((3, 4)))
    yield given("unique", Input((9,), "ties"))
    yield given("nonzero", TIES)


def pieces() -> Iterator[Program]:
    """Cut, join, repeat, turn."""
    yield given("split", X, num_or_sections=2, axis=1)
    yield given("split", X, num_or_sections=[1, -1, 2], axis=-1)
    yield given("chunk", X, chunks=3, axis=-1)
    yield given("tensor_split", X, num_or_indices=3, axis=2)
    yield given("concat_twice", X, axis=1)
    yield given("concat_twice", X, axis=-1)
    yield given("stack_twice", X, axis=1)
    yield given("stack_twice", X, axis=-1)
    yield given("unbind", X, axis=1)
    yield given("unstack", X, axis=-1)
    yield given("slice", X, axes=[1, 3], starts=[1, -4], ends=[3, 100])
    for arguments in (
        {"axes": [2], "starts": [0], "ends": [5], "strides": [2]},
        {"axes": [3], "starts": [-1], "ends": [-100], "strides": [-1]},
        {"axes": [2, 3], "starts": [4, 5], "ends": [0, 1], "strides": [-2, -1]},
        {"axes": [3], "starts": [5], "ends": [-7], "strides": [-2]},
    ):
        yield given("strided_slice", X, **arguments)
    for how in ("reversed", "stepped", "ellipsis", "integer", "newaxis", "listed", "masked", "assigned"):
        yield given(f"index_{how}", X)
    yield given("expand", Input((1, 4, 1, 6)), shape=[3, -1, 5, 6])
    yield given("expand", FLAT, shape=[2, 4, 6])
    yield given("broadcast_to", Input((4, 1)), shape=[2, 4, 3])
    yield given("tile", X, repeat_times=[2, 1, 2])
    yield given("tile", FLAT, repeat_times=[2, 1, 2])
    yield given("repeat_interleave", X, repeats=2, axis=1)
    for shifts, axis in ((2, 1), (-3, -1), ([1, -2], [2, 3]), (7, None)):
        yield given("roll", X, shifts=shifts, axis=axis)
    yield given("flip", X, axis=[2, 3])
    yield given("flip", X, axis=-1)
    yield given("rot90", X, k=1, axes=[2, 3])
    yield given("transpose", X, perm=[0, 2, 3, 1])
    yield given("moveaxis", X, source=1, destination=-1)
    yield given("reshape", X, shape=[0, -1, 6])
    yield given("flatten", X, start_axis=1, stop_axis=2)
    yield given("squeeze", Input((1, 4, 1, 6)), axis=[0, -2])
    yield given("squeeze", Input((1, 4, 1, 6)))
    yield given("unsqueeze", FLAT, axis=[0, -1])
    yield given("unsqueeze", FLAT, axis=[-1, 1])
    for name in ("tril", "triu"):
        yield given(name, X, diagonal=1)
        yield given(name, X, diagonal=-1)
    yield given("diag", Input((4,)), offset=1)
    yield given("diagonal", X, axis1=2, axis2=3, offset=1)
    yield given("diag_embed", FLAT)
    yield given("full_like", X, fill_value=2.5)
    yield given("meshgrid_sum", Input((4,)), Input((5,)))
    yield given("as_complex_abs", Input((4, 2)))
    yield given("shard_index", Input((4, 1), "index:20"), index_num=20, nshards=2, shard_id=0)


def picks() -> Iterator[Program]:
    """Elements by index or by mask."""
    yield given("gather", X, Input((3,), "index:4"), axis=1)
    yield given("gather", FLAT, Input((3,), "index:4"))
    yield given("gather_nd", X, Input((3, 2), "index:2"))
    yield given("index_select", X, Input((3,), "index:4"), axis=1)
    yield given("index_sample", FLAT, Input((4, 3), "index:6"))
    yield given("take_along_axis", X, Input((2, 4, 5, 2), "index:6"), axis=3)
    yield given("put_along_axis", FLAT, Input((4, 1), "index:6"), values=1.5, axis=1)
    yield given("put_along_axis", FLAT, Input((4, 1), "index:6"), values=1.5, axis=1, reduce="add")
    yield given("scatter", FLAT, Input((4,), "index:4"), Input((4, 6)), overwrite=False)
    yield given("scatter_nd_add", FLAT, Input((5, 1), "index:4"), Input((5, 6)))
    yield given(F + "one_hot", Input((3, 4), "index:5"), num_classes=5)
    yield given("where", Input(SHAPE, "bool"), X, Input(SHAPE))
    yield given("masked_fill", X, Input(SHAPE, "bool"), value=0.3)
    yield given("masked_select", X, Input(SHAPE, "bool"))
    yield given(F + "embedding", Input((3, 4), "index:7"), _weights={"weight": Input((7, 5))})
    padded = {"weight": Input((7, 5))}
    yield given(F + "embedding", Input((3, 4), "index:7"), _weights=padded, padding_idx=2)
    yield given("multiplex_two", Input((4, 3)), Input((4, 3)), Input((4, 1), "index:2"))
    yield given(F + "label_smooth", POSITIVE, epsilon=0.2)


def products() -> Iterator[Program]:
    """Matrix products, transposed or not."""
    for left, right in ((False, False), (True, False), (False, True), (True, True)):
        a = Input((2, 5, 4) if left else (2, 4, 5))
        b = Input((2, 3, 5) if right else (2, 5, 3))
        yield given("matmul", a, b, transpose_x=left, transpose_y=right)
    yield given("matmul", Input((2, 4, 5)), Input((5,)))
    yield given("matmul", Input((5,)), Input((2, 5, 3)))
    yield given("bmm", Input((2, 4, 5)), Input((2, 5, 3)))
    yield given("dot", Input((3, 5)), Input((3, 5)))
    yield given("mv", Input((4, 5)), Input((5,)))
    yield given("addmm", Input((4, 3)), Input((4, 5)), Input((5, 3)), alpha=0.7, beta=1.3)
    for equation in ("nchw,ncvw->nhv", "nchw,nckw->nhwk"):
        yield given("einsum_of", Input((2, 3, 4, 5)), Input((2, 3, 6, 5)), equation=equation)
    yield given("einsum_of", Input((3, 4)), Input((4, 5)), equation="ij,jk")
    yield given("cross", Input((4, 3)), Input((4, 3)), axis=1)
    yield given("outer", Input((4,)), Input((5,)))
    yield given("inner", Input((3, 5)), Input((2, 5)))
    yield given(F + "cosine_similarity", X, Input(SHAPE), axis=1)
    yield given(F + "scaled_dot_product_attention", *[Input((1, 6, 2, 4))] * 3)
