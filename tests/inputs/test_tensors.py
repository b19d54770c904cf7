from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from segdiff.core.errors import InputError
from segdiff.inputs import InputSpec
from segdiff.inputs import tensors as module
from segdiff.inputs.tensors import check_named, check_tensor, read_npy, read_npz

X = InputSpec("x", (1, 3, None, -1), "float32")
IDS = InputSpec("ids", (2,), "int64")


def ready(dtype: str = "float32", shape: tuple[int, ...] = (1, 3, 4, 5)) -> module.Array:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_a_fitting_tensor_is_taken_as_it_is() -> None:
    given = ready()
    tensor, how = check_tensor(given, X, "the array")
    assert tensor is given
    assert how == ("Took the array as input 'x': (1, 3, 4, 5) float32, no transform applied.",)


def test_layout_and_byte_order_are_brought_to_the_machine() -> None:
    swapped = np.asfortranarray(ready()).astype(">f4")
    tensor, _ = check_tensor(swapped, X, "the array")
    assert tensor.flags.c_contiguous
    assert tensor.dtype == np.float32
    assert np.array_equal(tensor, ready())


def test_a_scalar_keeps_its_rank() -> None:
    tensor, _ = check_tensor(np.float32(3), InputSpec("s", (), "float32"), "the array")
    assert tensor.shape == ()


def test_casts_that_lose_nothing() -> None:
    tensor, how = check_tensor(ready("float64"), X, "the array")
    assert tensor.dtype == np.float32
    assert how[-1] == "Cast input 'x' from float64 to float32."
    assert check_tensor(np.array([1, 2], np.int32), IDS, "the array")[0].dtype == np.int64
    small = InputSpec("ids", (2,), "int32")
    assert check_tensor(np.array([1, 2**31 - 1]), small, "the array")[0].dtype == np.int32
    with pytest.raises(InputError, match=r"'ids' is int64 with values that int32 cannot hold"):
        check_tensor(np.array([1, 2**31]), small, "the array")


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "complex64", "object", "str"])
def test_other_dtypes_are_errors(dtype: str) -> None:
    with pytest.raises(InputError, match=r"'x' is .*, but the model wants float32"):
        check_tensor(ready().astype(dtype), X, "the array")


def test_a_dtype_numpy_lacks() -> None:
    with pytest.raises(InputError, match=r"dtype that NumPy does not know"):
        check_tensor(ready(), InputSpec("x", None, "bfloat99"), "the array")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 4, 4, 5), r"shape \(1, 4, 4, 5\), but the model wants \(1, 3, \?, \?\)"),
        ((2, 3, 4, 5), "but the model wants"),
        ((3, 4, 5), "batch axis is missing"),
        ((1, 4, 5, 3), "looks like NHWC"),
        ((4, 5, 3), "looks like HWC"),
        ((), "but the model wants"),
        ((1, 3, 0, 5), "is empty"),
    ],
)
def test_shapes_that_do_not_fit(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_tensor(np.zeros(shape, np.float32), X, "the array")


def test_values_that_are_not_finite_are_counted() -> None:
    bad = ready()
    bad[0, 0, 0, :3] = [np.nan, np.inf, -np.inf]
    with pytest.raises(InputError, match=r"'x' has 3 values of 60 that are not finite \(1 NaN, 2 Inf\)"):
        check_tensor(bad, X, "the array")
    with pytest.raises(InputError, match=r"cast to float32: input 'x' has 1 values"):
        check_tensor(np.where(ready("float64") == 7, 1e300, 0), X, "the array")


def test_names_must_be_the_models_own() -> None:
    given = {"ids": np.array([1, 2]), "x": ready()}
    tensors, _ = check_named(given, (X, IDS), "the dict")
    assert list(tensors) == ["x", "ids"]
    with pytest.raises(InputError, match=r"missing: 'ids'; unexpected: 'image', 'y'. The model wants 'x'"):
        check_named({"image": ready(), "x": ready(), "y": ready()}, (X, IDS), "the dict")
    with pytest.raises(InputError, match=r"'x' is a list, not a numpy array"):
        check_named({"x": [[1.0]]}, (X,), "the dict")  # type: ignore[dict-item]


@pytest.mark.parametrize("array", [ready(), np.asfortranarray(ready()), np.float32(3), np.zeros((0, 3))])
def test_npy_round_trip(tmp_path: Path, array: module.Array) -> None:
    np.save(tmp_path / "x.npy", array)
    read = read_npy(tmp_path / "x.npy")
    assert type(read) is np.ndarray
    assert np.array_equal(read, array)
    assert read.shape == array.shape


def test_damaged_npy_files(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, ready())
    whole = path.read_bytes()
    damaged = [whole[:-1], whole[:50], whole[:6], b"garbage", b"\x93NUMPY", whole.replace(b"<f4", b"<z9")]
    damaged.append(whole.replace(b"(1, 3, 4, 5)", b"(1,3,10**99)"))
    damaged.append(whole.replace(b"(1, 3, 4, 5)", b"(9999999999)"))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"x.npy is not a usable .npy file"):
            read_npy(path)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"not a usable"):
        read_npy(path)
    with path.open("wb") as file:
        np.savez(file, x=ready())
    with pytest.raises(InputError, match=r"is an .npz archive"):
        read_npy(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"zero bytes"):
        read_npy(path)
    with pytest.raises(InputError, match=r"does not exist"):
        read_npy(tmp_path / "y.npy")


def test_npz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=ready(), ids=np.array([1, 2]))
    assert set(read_npz(path)) == {"x", "ids"}
    whole = path.read_bytes()
    for content in (whole[:-30], whole[:40], b"garbage", whole[:60] + b"\0\0\0\0" + whole[64:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"not a usable .npz file"):
            read_npz(path)
    np.savez(path, x=np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"not a usable .npz file"):
        read_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("note.txt", "no array")
    with pytest.raises(InputError, match=r"no arrays: 'note.txt'"):
        read_npz(path)
    path.write_bytes(whole)
    monkeypatch.setattr(module, "MAX_NPZ_BYTES", 100)
    with pytest.raises(InputError, match=r"unpacks to .* bytes, more than the 100"):
        read_npz(path)
