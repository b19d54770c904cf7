"""What does a config beside a model say, as data? And which transforms did PaddleSeg export with it?

``tools/export.py`` of PaddleSeg writes ``deploy.yaml`` (``inference.yml`` for FastDeploy and PaddleX) with
one mapping ``Deploy``, whose ``transforms`` are those of the training config's ``val_dataset``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from segdiff.core.errors import InputError
from segdiff.inputs.image import check_file, one_line
from segdiff.inputs.transforms import Transform

DEPLOY_KEYS = frozenset({"transforms", "input_shape", "output_op", "output_dtype", "params"})


@dataclass(frozen=True)
class DeployConfig:
    """What a config beside a model says; a key that is absent there is None here.

    ``transforms`` are pairs of a name and its parameters, in order; an empty tuple means that the file lists
    none and pixels go in unscaled, None that it does not speak of transforms at all. ``input_shape`` has None
    for a dynamic dimension. ``model`` and ``params`` are file names as written, relative to ``path``'s
    folder. ``img_channels`` (1 or 3) stands in training configs only.

    ``suite`` is who wrote it. All but PaddleSeg have ``operators`` in place of ``transforms``: pairs of a
    name and its parameters as written, for a picture whose channels stand in ``order``. ``cannot`` names the
    operator that segdiff does not apply, if there is one: then the transforms are assumed. ``model_name`` is
    the one that PaddleX reads.
    """

    path: Path
    transforms: tuple[Transform, ...] | None = None
    input_shape: tuple[int | None, ...] | None = None
    output_op: str | None = None
    output_dtype: str | None = None
    model: str | None = None
    params: str | None = None
    img_channels: int | None = None
    suite: str = "PaddleSeg"
    operators: tuple[Transform, ...] | None = None
    order: Literal["RGB", "BGR"] = "RGB"
    model_name: str | None = None
    cannot: str | None = None

    @property
    def is_planned(self) -> bool:
        """Whether the picture is prepared by operators that segdiff applies."""
        return self.operators is not None and self.cannot is None


def says_transforms(data: Mapping[str, Any]) -> bool:
    """Whether a config is PaddleSeg's: exported with a model, or for training."""
    return "Deploy" in data or "val_dataset" in data or bool(DEPLOY_KEYS & data.keys())


def paddleseg_config(path: Path, data: Mapping[str, Any]) -> DeployConfig:
    """``deploy.yaml`` or ``inference.yml``, or the ``val_dataset`` of a PaddleSeg training config.

    The deploy keys may stand under ``Deploy`` or at the top level; a training config is read together with
    the files its ``_base_`` names. Raises InputError where a key has a value of the wrong kind.
    Source: ``tools/export.py``, ``paddleseg/deploy/infer.py`` and ``paddleseg/cvlibs/config.py`` of
    PaddleSeg.
    """
    if "Deploy" in data:
        return _deploy(path, _mapping(path, "Deploy", data["Deploy"]))
    if "val_dataset" in data:
        return _training(path, _mapping(path, "val_dataset", data["val_dataset"]))
    return _deploy(path, data)


def _deploy(path: Path, section: Mapping[str, Any]) -> DeployConfig:
    return DeployConfig(
        path=path,
        transforms=_transforms(path, section.get("transforms")),
        input_shape=_input_shape(path, section.get("input_shape")),
        output_op=_text(path, section, "output_op"),
        output_dtype=_text(path, section, "output_dtype"),
        model=_text(path, section, "model"),
        params=_text(path, section, "params"),
    )


def _training(path: Path, section: Mapping[str, Any]) -> DeployConfig:
    channels = section.get("img_channels")
    if channels not in (None, 1, 3):
        raise InputError(
            f"{path}: img_channels is {channels!r}; PaddleSeg reads pictures of 1 or 3 channels."
        )
    return DeployConfig(
        path=path, transforms=_transforms(path, section.get("transforms")), img_channels=channels
    )


def _transforms(path: Path, given: object) -> tuple[Transform, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list):
        raise InputError(f"{path}: transforms is {_kind(given)}, not a list.")
    return tuple(_transform(path, position, entry) for position, entry in enumerate(given, start=1))


def _transform(path: Path, position: int, entry: object) -> Transform:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise InputError(
            f"{path}: transform {position} has no type; write it as `- type: Resize` and parameters."
        )
    return entry["type"], {str(key): value for key, value in entry.items() if key != "type"}


def _input_shape(path: Path, given: object) -> tuple[int | None, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(dim is None or type(dim) is int for dim in given):
        raise InputError(f"{path}: input_shape is {given!r}, not a list of whole numbers.")
    return tuple(None if dim is None or dim < 0 else dim for dim in given)


def _text(path: Path, section: Mapping[str, Any], key: str) -> str | None:
    value = section.get(key)
    if value is None or isinstance(value, str):
        return value
    raise InputError(f"{path}: {key} is {_kind(value)}, not a word.")


def _mapping(path: Path, key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{path}: {key} is {_kind(value)}, not a mapping.")
    return value


def _kind(value: object) -> str:
    return "empty" if value is None else f"a {type(value).__name__}"


def load_yaml(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A YAML file as a dict, merged over the files that its ``_base_`` names."""
    if path.resolve() in above:
        raise InputError(f"{path}: _base_ leads back to the same file.")
    try:
        data = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid YAML: {one_line(error)}.") from error
    if not isinstance(data, dict):
        raise InputError(
            f"{path} holds {'nothing' if data is None else _kind(data)}, not the keys of a config."
        )
    bases = data.pop("_base_", None) or []
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise InputError(f"{path}: _base_ is {bases!r}, not a file name.")
    for base in bases:
        base_path = check_file(path.parent / base, f"config ({path} builds on it)")
        data = _merge(data, load_yaml(base_path, (*above, path.resolve())))
    merged: dict[str, Any] = data
    return merged


def _merge(data: dict[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` over ``base``: mappings key by key, anything else whole; ``_inherited_: false`` stops it."""
    own = {key: value for key, value in data.items() if key != "_inherited_"}
    if not data.get("_inherited_", True):
        return own
    merged = dict(base)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = _merge(value, below) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged
