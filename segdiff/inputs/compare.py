"""Was the candidate fed the same tensor as the reference, and if not, what does its script do otherwise?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import InputError
from segdiff.core.fed import InputComparison, InputFinding
from segdiff.core.metrics import Metrics, compare_arrays, squeezed
from segdiff.inputs.config import DeployConfig
from segdiff.inputs.hypotheses import Explanation, Source, explain_input
from segdiff.inputs.hypotheses.proof import agrees, rounding
from segdiff.inputs.image import COLOUR, GREY
from segdiff.inputs.pipeline import Normalize, Pipeline, Stage, canvas_first, lower, render
from segdiff.inputs.prepare import DERIVED, Prepared
from segdiff.inputs.spec import show_shape
from segdiff.inputs.suites import plan

Array = NDArray[Any]

MOST_CHANNELS_SHOWN = 4
ANY_SIZE = (1024, 1024)
"""A picture that no operator finds too small; only its constants are asked for."""


def compare_inputs(
    reference: Prepared, candidate: Array, config: DeployConfig | None = None, *, name: str | None = None
) -> InputComparison:
    """Judge the tensor that the candidate was fed against the one that the reference is fed.

    ``candidate`` has any shape and any dtype of real numbers; float64 counts as float32. ``name`` is the
    input it belongs to, by default the one that takes the picture. Where ``reference`` was made from a
    picture, every hypothesis is tried on that picture; where it is a ready tensor, those on layout, channels,
    constants and dtype are, with ``config``'s normalisation taken as the one that made it.

    Raises InputError where ``name`` is no input of the model.
    """
    wanted = reference.tensors[picture_input(reference) if name is None else _known(reference, name)]
    metrics = compare_arrays(wanted, candidate).metrics
    assumed = reference.assumed is not None
    wanted, candidate = _without_common_nan(wanted, candidate)
    if _is_same(wanted, candidate):
        return InputComparison(True, metrics, assumed=assumed)
    unusable = int(np.count_nonzero(~np.isfinite(candidate)))
    if unusable:
        text = f"{unusable} of the candidate's {candidate.size} values are NaN or infinite."
        return InputComparison(False, metrics, (_unexplained(text, metrics),), assumed)
    source = _source(reference, wanted, config)
    found = explain_input(source, candidate) if source is not None else None
    return InputComparison(False, metrics, _findings(found, wanted, candidate, metrics), assumed)


def _without_common_nan(wanted: Array, candidate: Array) -> tuple[Array, Array]:
    """Both with 0 in the places where they have the same NaN or infinity, which is no difference."""
    if wanted.shape != candidate.shape or wanted.dtype.kind != "f" or candidate.dtype.kind != "f":
        return wanted, candidate
    odd = ~np.isfinite(wanted)
    if not odd.any() or not np.array_equal(wanted[odd], candidate[odd], equal_nan=True):
        return wanted, candidate
    return np.where(odd, 0, wanted).astype(wanted.dtype), np.where(odd, 0, candidate).astype(candidate.dtype)


def picture_input(reference: Prepared) -> str:
    """The name of the input that takes the picture: the first that is not derived from it."""
    return next((name for name in reference.tensors if name not in DERIVED), next(iter(reference.tensors)))


def _known(reference: Prepared, name: str) -> str:
    if name not in reference.tensors:
        names = ", ".join(f"'{each}'" for each in reference.tensors)
        raise InputError(f"The model has no input '{name}'; its inputs are {names}.")
    return name


def _is_same(wanted: Array, candidate: Array) -> bool:
    plain = candidate.dtype.name in (wanted.dtype.name, "float32", "float64")
    return plain and candidate.shape == wanted.shape and candidate.size > 0 and agrees(wanted, candidate)


def _source(reference: Prepared, wanted: Array, config: DeployConfig | None) -> Source | None:
    """What the reference's tensor is made of; None for a tensor that is no single picture."""
    if wanted.ndim != 4 or wanted.shape[0] != 1 or wanted.shape[1] not in (GREY, COLOUR):
        return None
    channels = int(wanted.shape[1])
    if reference.image is not None and reference.pipeline is not None:
        steps = canvas_first(reference.pipeline.steps, channels)
        return Source(reference.image[..., :channels], replace(reference.pipeline, steps=steps))
    if reference.image is not None and reference.steps is not None:
        picture = reference.image[..., :channels]
        steps = lower(reference.steps, (picture.shape[0], picture.shape[1]), channels)
        source = Source(picture, Pipeline(steps, dtype=wanted.dtype.name))
        if source.pipeline.normalize is not None or not any(isinstance(step, Normalize) for step in steps):
            return source
    return _tensor_source(wanted, config)


def _tensor_source(wanted: Array, config: DeployConfig | None) -> Source:
    """A ready tensor as the picture itself, its normalisation undone where the config states one."""
    channels = int(wanted.shape[1])
    pixels = wanted[0].transpose(1, 2, 0)
    order = config.order if config is not None else "RGB"
    pipeline = Pipeline(_normalisation(config, channels), channels=order, dtype=wanted.dtype.name)
    turn = -1 if order == "RGB" else 1  # a picture's channels are BGR
    normalize = pipeline.normalize
    if normalize is None:
        return Source(pixels[..., ::turn].astype(np.float32), replace(pipeline, steps=()))
    levels = (pixels * np.array(normalize.std) + np.array(normalize.mean)) * normalize.divisor
    source = Source(levels[..., ::turn].astype(np.float32), pipeline)
    return source if agrees(render(pipeline, source.picture), wanted) else _tensor_source(wanted, None)


def _normalisation(config: DeployConfig | None, channels: int) -> tuple[Stage, ...]:
    """The normalisation that a config states, for a picture of any size."""
    if config is None:
        return ()
    if config.is_planned:
        with suppress(InputError):  # an operator that does not fit a picture of this size
            steps = plan(config, ANY_SIZE).steps
            return tuple(step for step in steps if isinstance(step, Normalize))
    named = [each for each in config.transforms or () if each[0] == "Normalize"]
    return lower(named, (1, 1), channels)


def _findings(
    found: Explanation | None, wanted: Array, candidate: Array, metrics: Metrics
) -> tuple[InputFinding, ...]:
    if found is not None and found.proven:
        return _changes(found)
    if found is None:
        return (_unexplained(f"{_known_facts(wanted, candidate)} {_where(wanted, candidate)}", metrics),)
    helped = "With the changes named, " if found.variant.changes else ""
    text = f"{helped}{found.share:.1%} of the values agree. {_where(found.rendered, candidate)}"
    return (*_changes(found), _unexplained(f"{text} {_known_facts(wanted, candidate)}", found.residual))


def _changes(found: Explanation) -> tuple[InputFinding, ...]:
    return tuple(
        InputFinding(change.kind, change.text, found.proven, found.residual)
        for change in found.variant.changes
    )


def _unexplained(facts: str, residual: Metrics) -> InputFinding:
    text = f"The candidate is fed another tensor, and no hypothesis explains it all. {facts}".strip()
    return InputFinding("input.unexplained", text, False, residual)


def _known_facts(wanted: Array, candidate: Array) -> str:
    return f"Reference: {_statistics(wanted)}. Candidate: {_statistics(candidate)}."


def _statistics(tensor: Array) -> str:
    """Shape, dtype, range, and mean and standard deviation of the whole or of every channel."""
    text = f"{show_shape(tensor.shape)} {tensor.dtype.name}, {tensor.min():.4g} to {tensor.max():.4g}"
    axis = next((i for i in (-3, -1) if tensor.ndim >= 3 and tensor.shape[i] <= MOST_CHANNELS_SHOWN), None)
    parts = [tensor] if axis is None else list(np.moveaxis(tensor, axis, 0))
    values = ", ".join(
        f"{np.mean(part, dtype=float):.4g} ± {np.std(part, dtype=float):.4g}" for part in parts
    )
    return f"{text}, mean ± std {values}"


def _where(reference: Array, candidate: Array) -> str:
    """In which rows, columns and channels two tensors (..., C, H, W) differ; empty where shapes do."""
    if squeezed(reference.shape) != squeezed(candidate.shape) or candidate.ndim < 3:
        return ""
    wanted = candidate.reshape(reference.shape)
    beyond: Array = np.abs(reference.astype(np.float64) - wanted) > rounding(wanted)
    differs: Array = np.any(beyond.reshape(-1, *beyond.shape[-3:]), axis=0)
    lines: Array = np.any(differs, axis=0)
    rows, columns = np.flatnonzero(np.any(lines, axis=1)), np.flatnonzero(np.any(lines, axis=0))
    if not len(rows):
        return ""
    channels = ", ".join(str(channel) for channel in np.flatnonzero(np.any(differs, axis=(1, 2))))
    return (
        f"The difference sits in {np.mean(differs):.1%} of the values, in rows {rows[0]} to {rows[-1]}, "
        f"columns {columns[0]} to {columns[-1]}, channels {channels}."
    )
