"""What does the user's image become before it enters the model? One function, every kind of input.

A picture (a file or a uint8 array) is preprocessed; anything else is a ready tensor and only checked.
Preprocessing is that of PaddleSeg 2.8.0's ``Compose``: read as BGR, to float32, BGR to RGB, the transforms,
HWC to CHW; or what the config of another suite says (:mod:`segdiff.inputs.suites`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import InputError
from segdiff.inputs.config import DeployConfig
from segdiff.inputs.decoded import reading_notes
from segdiff.inputs.image import COLOUR, GREY, Pixels, as_bgr, check_image, cut_off_note, one_line, read_image
from segdiff.inputs.pipeline import Pipeline
from segdiff.inputs.pipeline import pixels as pixels_of
from segdiff.inputs.spec import InputSpec, show_shape
from segdiff.inputs.suites import plan
from segdiff.inputs.tensors import (
    check_finite,
    check_named,
    check_tensor,
    read_npy,
    read_npz,
    wanted_dtype,
    wants,
)
from segdiff.inputs.transforms import Transform, apply_transforms

Array = NDArray[Any]
Shape = tuple[int | None, ...]
Image = str | PathLike[str] | Array | Mapping[str, Array]

# Inputs that PaddleDetection derives from the picture, both (1, 2) float32 with the height first.
DERIVED = ("im_shape", "scale_factor")
# A segmentation network halves the picture up to five times.
SIZE_MULTIPLE = 32
DEFAULT_NORMALIZE: Transform = ("Normalize", {"mean": [0.5], "std": [0.5]})


GIVE_ALL = "Give a dict {name: array} or an .npz file with exactly these names."


@dataclass(frozen=True)
class Prepared:
    """The tensors a model is fed.

    ``tensors`` has one C-contiguous array for each input, in the model's order; ``how`` plain sentences on
    what was read, applied and assumed; ``image`` the picture before any transform, (H, W, 3) uint8 BGR (a
    grey one repeated three times), or None where ready tensors were given; ``steps`` the transforms of
    PaddleSeg that were applied to the picture, its defaults where no config states any, or None like
    ``image``; ``pipeline`` what was done in their place where another suite's config says so. ``assumed``
    says what was taken for granted where nothing states how the picture is to be prepared. ``notes`` say
    what reading the picture changed; they stand in ``how``, too.
    """

    tensors: dict[str, Array]
    how: tuple[str, ...]
    image: Pixels | None
    steps: tuple[Transform, ...] | None = None
    pipeline: Pipeline | None = None
    assumed: str | None = None
    notes: tuple[str, ...] = ()


def is_ready(image: Image) -> bool:
    """Whether the user gives tensors, which enter the model as they are, and no picture."""
    if isinstance(image, Mapping):
        return True
    if isinstance(image, np.ndarray):
        return image.dtype != np.uint8
    if not isinstance(image, str | PathLike):
        return False  # prepare() says what is wrong with it
    suffix = Path(image).suffix.lower()
    if suffix == ".npy":
        try:
            return bool(np.load(image, mmap_mode="r").dtype != np.uint8)
        except Exception:  # np.load raises almost anything on a damaged file; prepare() says it
            return False
    return suffix == ".npz"


@dataclass(frozen=True)
class _Picture:
    pixels: Pixels
    how: tuple[str, ...]


def prepare(
    image: Image,
    specs: Sequence[InputSpec],
    config: DeployConfig | None = None,
    *,
    allow_nan: bool = False,
) -> Prepared:
    """Turn what the user gives into the model's input tensors.

    ``image`` is one of

    - a picture: the path of an image file, or a uint8 array (H, W, 3) in BGR order, (H, W, 1) or (H, W), also
      from ``.npy``. The config's transforms are applied; without them PaddleSeg's defaults: bilinear resize
      to the model's size where it is static, RGB, scale to -1..1. An array gives the very tensor that a file
      with the same pixels gives; PaddleSeg's ``Compose`` would leave a uint8 array uint8 and resize it with
      integer rounding;
    - a ready tensor for the only input: any other array, or the path of an ``.npy`` file;
    - a dict, or the path of an ``.npz`` file, of ready tensors with exactly the names of the inputs.

    With a picture, further inputs called ``im_shape`` and ``scale_factor`` are filled in as PaddleDetection
    does.

    Raises InputError where the image cannot be read, where a transform cannot be applied, and where names,
    shapes or dtypes are not the model's or a value is not finite (unless ``allow_nan``).
    Source: PaddleSeg 2.8.0 ``paddleseg/transforms``; PaddleDetection ``deploy/python/preprocess.py``.
    """
    specs = tuple(specs)
    if not specs:
        raise InputError("The model has no inputs, so there is nothing to feed it.")
    if isinstance(image, Mapping):
        return _named(image, specs, "The given dict", config, allow_nan)
    if isinstance(image, np.ndarray):
        return _array(image, specs, config, "the given array", allow_nan)
    if not isinstance(image, str | PathLike):
        raise InputError(
            f"Cannot use a {type(image).__name__} as the image: give a path, a numpy array or a dict."
        )
    path = Path(image)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _named(read_npz(path), specs, str(path), config, allow_nan)
    if suffix == ".npy":
        return _array(read_npy(path), specs, config, str(path), allow_nan)
    return _from_file(path, specs, config)


def _named(
    given: Mapping[str, Array],
    specs: tuple[InputSpec, ...],
    source: str,
    config: DeployConfig | None,
    allow_nan: bool,
) -> Prepared:
    tensors, how = check_named(given, specs, source, allow_nan=allow_nan)
    return Prepared(tensors, how + _unused(config), None)


def _array(
    array: Array,
    specs: tuple[InputSpec, ...],
    config: DeployConfig | None,
    source: str,
    allow_nan: bool,
) -> Prepared:
    is_picture = array.dtype == np.uint8 and array.ndim in (2, 3)
    if is_picture and not any(
        spec.dtype == "uint8" and spec.dims and spec.fits(array.shape) for spec in specs
    ):
        spec = _picture_spec(specs)
        pixels, how = check_image(array, _channels(spec, config))
        return _from_picture(_Picture(pixels, how), spec, specs, config)
    if len(specs) > 1:
        raise InputError(f"One tensor ({source}) cannot fill {len(specs)} inputs. {wants(specs)} {GIVE_ALL}")
    tensor, how = check_tensor(array, specs[0], source, allow_nan=allow_nan)
    return Prepared({specs[0].name: tensor}, how + _unused(config), None)


def _from_file(path: Path, specs: tuple[InputSpec, ...], config: DeployConfig | None) -> Prepared:
    spec = _picture_spec(specs)
    channels = _channels(spec, config)
    pixels = read_image(path, channels)
    colours = "as BGR" if channels == COLOUR else "as grey"
    size = f"{pixels.shape[0]}x{pixels.shape[1]} pixels (height x width)"
    read = f"Read {path} with OpenCV {cv2.__version__} {colours}, {size}."
    notes = reading_notes(path, pixels)
    picture = _Picture(pixels, (read, *cut_off_note(path), *notes))
    return replace(_from_picture(picture, spec, specs, config), notes=notes)


def _from_picture(
    picture: _Picture, spec: InputSpec, specs: tuple[InputSpec, ...], config: DeployConfig | None
) -> Prepared:
    if config is not None and config.is_planned:
        return _as_planned(picture, spec, specs, config)
    steps, source, assumed = _steps(picture.pixels, spec, config)
    image = picture.pixels.astype(np.float32)
    turned = "Turned it to float32."
    if image.ndim == 3:
        image, turned = cv2.cvtColor(image, cv2.COLOR_BGR2RGB), "Turned it to float32 and BGR into RGB."
    applied = apply_transforms(image, steps, source)
    tensor, cast = _to_tensor(applied.image, spec, config)
    before = picture.pixels.shape
    factors = applied.content[0] / before[0], applied.content[1] / before[1]
    others, told = _others(specs, spec, applied.content, factors)
    tensors = {spec.name: tensor, **others}
    return Prepared(
        {s.name: tensors[s.name] for s in specs},
        (*picture.how, *(assumed or (_as_stated(config),)), turned, *applied.how, *cast, *told),
        as_bgr(picture.pixels),
        steps,
        assumed=assumed[0] if assumed else None,
    )


def _as_stated(config: DeployConfig | None) -> str:
    return f"Applied the transforms of {config.path if config else None} as PaddleSeg 2.8.0 does."


def _as_planned(
    picture: _Picture, spec: InputSpec, specs: tuple[InputSpec, ...], config: DeployConfig
) -> Prepared:
    """The picture prepared by the operators of a suite other than PaddleSeg."""
    found = plan(config, (picture.pixels.shape[0], picture.pixels.shape[1]))
    pipeline = Pipeline(found.steps, channels=config.order)
    try:
        image = pixels_of(pipeline, picture.pixels)
    except (cv2.error, ArithmeticError, TypeError, ValueError, MemoryError) as error:
        raise InputError(
            f"{config.path}: its operators cannot be applied to this picture: {one_line(error)}."
        ) from error
    tensor, cast = _to_tensor(image.astype(np.float32, copy=False), spec, config)
    others, told = _others(specs, spec, found.content, found.factors)
    tensors = {spec.name: tensor, **others}
    said = f"Applied the operators of {config.path} as {config.suite} does, to a picture in {config.order}."
    return Prepared(
        {s.name: tensors[s.name] for s in specs},
        (*picture.how, said, *found.how, *cast, *told),
        as_bgr(picture.pixels),
        pipeline=replace(pipeline, dtype=tensor.dtype.name),
    )


def _others(
    specs: tuple[InputSpec, ...], picture: InputSpec, content: tuple[int, int], factors: tuple[float, float]
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The inputs that are derived from the picture: its size behind the resize, and what made it so."""
    tensors: dict[str, Array] = {}
    how: list[str] = []
    for spec in (other for other in specs if other is not picture):
        value = np.array([content if spec.name == "im_shape" else factors], dtype=np.float32)
        tensors[spec.name], _ = check_tensor(value, spec, "PaddleDetection's rule")
        how.append(f"Set '{spec.name}' to {value[0].tolist()} (height, width), as PaddleDetection does.")
    return tensors, tuple(how)


def _picture_spec(specs: tuple[InputSpec, ...]) -> InputSpec:
    """The input that takes the picture: the only one, but for those that are derived from it."""
    if len(specs) == 1:
        return specs[0]
    pictures = [spec for spec in specs if spec.name not in DERIVED]
    if len(pictures) == 1:
        return pictures[0]
    raise InputError(f"One image cannot fill the model's {len(specs)} inputs. {wants(specs)} {GIVE_ALL}")


def _channels(spec: InputSpec, config: DeployConfig | None) -> int:
    """How many channels to read: the config's, or else the model's, or else three."""
    dims = _nchw(spec)
    wanted = dims[1] or COLOUR
    channels = (config.img_channels if config else None) or wanted
    if config is not None and config.is_planned:
        return COLOUR  # what the other suites read, and what their constants are for
    if channels not in (GREY, COLOUR):
        hint = " (its channels seem to be last)" if dims[3] in (GREY, COLOUR) else ""
        raise InputError(
            f"Input {spec} wants {channels} channels{hint}, and a picture has 1 or 3. "
            "Give the tensor itself as an array or a .npy file."
        )
    return channels


def _nchw(spec: InputSpec) -> Shape:
    dims = spec.dims
    if dims is None:
        return (None, None, None, None)
    if len(dims) != 4:
        raise InputError(
            f"Input {spec} is not of the form (N, C, H, W), so a picture cannot be turned into it. "
            "Give the tensor itself as an array or a .npy file."
        )
    return dims


def _steps(
    pixels: Pixels, spec: InputSpec, config: DeployConfig | None
) -> tuple[tuple[Transform, ...], str, tuple[str, ...]]:
    """The transforms, where they come from, and sentences on what had to be assumed."""
    if config is not None and config.transforms is not None:
        return config.transforms, str(config.path), ()
    lacks = "No config that says how to prepare the picture lies beside the models"
    if config is not None:
        lacks = (
            f"{config.path} has {config.cannot}" if config.cannot else f"{config.path} lists no transforms"
        )
    height, width, size_note = _default_size(pixels, spec, config)
    resize: Transform = ("Resize", {"target_size": [width, height], "interp": "LINEAR"})
    assumed = (
        f"{lacks}, so PaddleSeg's defaults were assumed: {'RGB' if pixels.ndim == 3 else 'grey'}, resized to "
        f"{height}x{width} (height x width; {size_note}), divided by 255, mean 0.5, std 0.5."
    )
    return (resize, DEFAULT_NORMALIZE), "PaddleSeg's default transforms", (assumed,)


def _default_size(pixels: Pixels, spec: InputSpec, config: DeployConfig | None) -> tuple[int, int, str]:
    """The size to resize to: the model's, else the config's, else the picture's, rounded."""
    static = _nchw(spec)[2:]
    shape = config.input_shape if config is not None else None
    configured: Shape = shape[2:] if shape is not None and len(shape) == 4 else (None, None)
    own = [max(1, round(side / SIZE_MULTIPLE)) * SIZE_MULTIPLE for side in pixels.shape[:2]]
    height, width = (s or c or o for s, c, o in zip(static, configured, own, strict=True))
    if all(static):
        return height, width, "the size that was asked for" if spec.asked else "the model's own size"
    if all(s or c for s, c in zip(static, configured, strict=True)):
        return height, width, "the config's input_shape"
    return (
        height,
        width,
        f"nothing states the size, so the picture's own, rounded to a multiple of {SIZE_MULTIPLE}",
    )


def _to_tensor(picture: Array, spec: InputSpec, config: DeployConfig | None) -> tuple[Array, tuple[str, ...]]:
    """HWC to NCHW in the model's dtype; the shape, the values and the dtype must fit."""
    image = picture if picture.ndim == 3 else picture[..., np.newaxis]
    tensor = np.ascontiguousarray(image.transpose(2, 0, 1)[np.newaxis])
    check_finite(tensor, spec, "The preprocessed picture")
    if not spec.fits(tensor.shape):
        raise InputError(_misfit(tensor.shape, spec, config))
    wanted = wanted_dtype(spec)
    how = f"Laid it out as {show_shape(tensor.shape)} {wanted.name} for input '{spec.name}'."
    if tensor.dtype == wanted:
        return tensor, (how,)
    with np.errstate(all="ignore"):
        cast = tensor.astype(wanted)
    if wanted.kind != "f" and not np.array_equal(cast, tensor):
        raise InputError(
            f"Input {spec} wants {wanted.name}, but the preprocessed picture has values that it "
            f"cannot hold, such as {float(tensor[cast != tensor][0]):g}. "
            "Give the tensor itself as an array or a .npy file."
        )
    return cast, (f"{how[:-1]}, cast from {tensor.dtype.name}.",)


def _misfit(shape: tuple[int, ...], spec: InputSpec, config: DeployConfig | None) -> str:
    dims = _nchw(spec)
    said = (
        f"The preprocessed picture is {show_shape(shape)}, but input '{spec.name}' wants {show_shape(dims)}."
    )
    if dims[0] not in (None, 1):
        return f"{said} The model has a fixed batch of {dims[0]}: give a tensor of that shape as a .npy file."
    if dims[1] not in (None, shape[1]):
        return f"{said} The number of channels differs: give the tensor itself as a .npy file."
    where = config.path if config is not None else "the config"
    target = f"[{dims[3] or shape[3]}, {dims[2] or shape[2]}]"
    return (
        f"{said} Let the transforms of {where} end at that size (Resize with target_size: {target}, width "
        "first), or export the model with another input_shape."
    )


def _unused(config: DeployConfig | None) -> tuple[str, ...]:
    if config is None:
        return ()
    return (f"The transforms of {config.path} were not applied, because ready tensors were given.",)
