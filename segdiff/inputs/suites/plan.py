"""From a suite's operators to steps: each operator says which steps it is for a picture of a given size."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segdiff.core.errors import InputError
from segdiff.inputs.config import DeployConfig
from segdiff.inputs.image import check_pixels, one_line
from segdiff.inputs.pipeline import Canvas, Crop, Normalize, Resize, Stage

Size = tuple[int, int]


@dataclass(frozen=True)
class At:
    """What an operator finds: the picture's (height, width), whether it is float32 by now, and the config."""

    size: Size
    is_float: bool
    config: DeployConfig

    @property
    def dtype(self) -> str:
        """The dtype that a resize works on."""
        return "float32" if self.is_float else "uint8"


Operator = Callable[..., tuple[Stage, ...]]
"""``operator(at, **parameters)``: its steps."""


@dataclass(frozen=True)
class Suite:
    """One suite: whether a config is its, how it is read, and what its operators do."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Path, Mapping[str, Any]], DeployConfig]
    operators: Mapping[str, Operator]


@dataclass(frozen=True)
class Plan:
    """The steps for one picture, and in words what they are.

    ``content`` is its (height, width) behind the last resize and before any padding, ``factors`` what height
    and width were multiplied with.
    """

    steps: tuple[Stage, ...]
    content: Size
    factors: tuple[float, float]
    how: tuple[str, ...]


def check_operators(config: DeployConfig, suite: Suite) -> DeployConfig:
    """The config; ``cannot`` says so where one of its operators is not among the suite's."""
    for name, given in config.operators or ():
        if name not in suite.operators:
            return replace(config, cannot=f"{name}, which segdiff does not apply")
        known = inspect.signature(suite.operators[name]).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in known):
            continue
        alien = sorted(set(given) - {each.name for each in known})
        if alien:
            return replace(config, cannot=f"{name} with {', '.join(alien)}, which segdiff does not know")
    return config


def planned(config: DeployConfig, suite: Suite, size: Size) -> Plan:
    """The steps of all operators, in order. Raises InputError where one does not fit the picture."""
    steps: list[Stage] = []
    how: list[str] = []
    at, content, factors = At(size, False, config), size, (1.0, 1.0)
    for name, given in config.operators or ():
        made = _steps(suite, name, given, at)
        steps += made
        for step in made:
            if isinstance(step, Resize):
                content = (step.height, step.width)
                factors = step.factors or (step.height / at.size[0], step.width / at.size[1])
            elif isinstance(step, Crop):
                content = (step.height, step.width)
            at = after(at, step)
        told = ", ".join(_told(step) for step in made)
        how += [f"Applied {name}({_arguments(given)}) as {suite.name} does: {told}."] if made else []
    return Plan(tuple(steps), content, factors, tuple(how))


def after(at: At, step: Stage) -> At:
    """What the next operator finds."""
    if isinstance(step, Resize | Crop | Canvas):
        at = replace(at, size=(step.height, step.width))
    broken = isinstance(step, Canvas) and any(value % 1 for value in step.fill)
    return replace(at, is_float=at.is_float or broken or isinstance(step, Normalize))


def _steps(suite: Suite, name: str, given: Mapping[str, Any], at: At) -> tuple[Stage, ...]:
    call = f"{name}({_arguments(given)})"
    try:
        made = suite.operators[name](at, **given)
        for step in made:
            if isinstance(step, Resize | Crop | Canvas):
                check_pixels(step.height, step.width, f"The picture after {call}")
        return made
    except InputError as error:
        raise InputError(f"{at.config.path}: {error}") from error
    except (ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise InputError(
            f"{at.config.path}: {call} cannot be applied to a picture of {at.size[0]}x{at.size[1]} pixels "
            f"(height x width): {one_line(error)}."
        ) from error


def _told(step: Stage) -> str:
    if isinstance(step, Resize):
        return f"resized to {step.height}x{step.width} (height x width) with {step.resample}"
    if isinstance(step, Canvas):
        return f"padded to {step.height}x{step.width} with {_numbers(step.fill)}"
    if isinstance(step, Crop):
        return f"cut out {step.height}x{step.width} at ({step.top}, {step.left})"
    if isinstance(step, Normalize):
        return f"divided by {step.divisor:g}, mean {_numbers(step.mean)}, std {_numbers(step.std)}"
    return step.name


def _numbers(values: tuple[float, ...]) -> str:
    shown = [f"{value:.6g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else f"[{', '.join(shown)}]"


def _arguments(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in given.items())
