"""Which suite exported the model, and what does its config say of the picture? A file and a row a suite.

    deploy.yaml, inference.yml      PaddleSeg        Deploy: transforms
    infer_cfg.yml, inference.yml    PaddleDetection  Preprocess
    inference.yml                   PaddleOCR        PreProcess: transform_ops, with its own operators
    inference.yml, *.yaml           PaddleClas       PreProcess: transform_ops, with ResizeImage or CropImage
    inference.yml                   PaddleX          PreProcess: transform_ops, anything else

PaddleX writes ``inference.yml`` for the models of all of them, and then the keys of the suite stand in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdiff.core.errors import InputError
from segdiff.inputs.config import DeployConfig, load_yaml, paddleseg_config, says_transforms
from segdiff.inputs.image import check_file
from segdiff.inputs.suites import paddleclas, paddledetection, paddleocr, paddlex
from segdiff.inputs.suites.plan import Plan, Suite, check_operators, planned

PADDLESEG = Suite("PaddleSeg", says_transforms, paddleseg_config, {})

SUITES: tuple[Suite, ...] = (
    PADDLESEG,
    paddledetection.SUITE,
    paddleocr.SUITE,
    paddleclas.SUITE,
    paddlex.SUITE,
)
"""The first that recognises a config reads it."""


def read_deploy_yaml(path: str | Path) -> DeployConfig:
    """Read the config that a suite exported with a model, or the ``val_dataset`` of a training config.

    Raises InputError, with the file's name, where the file is missing, is not YAML (or JSON), is of no known
    suite, or a key has a value of the wrong kind. An operator that segdiff does not apply is no error:
    ``DeployConfig.cannot`` then says which.
    """
    path = check_file(path, "config")
    data = load_yaml(path)
    suite = next((each for each in SUITES if each.recognises(data)), None)
    if suite is None:
        raise InputError(
            f"{path} has no Deploy, val_dataset, Preprocess or PreProcess: it is no config that PaddleSeg, "
            "PaddleDetection, PaddleOCR, PaddleClas or PaddleX exports with a model."
        )
    return check_operators(suite.read(path, data), suite)


def config_beside(paths: Sequence[Path | None]) -> DeployConfig | None:
    """The first config that lies beside a model; None where there is none.

    A ``deploy.yaml`` must be one; a file with a name that others use, too, is passed over where it is of no
    suite. Raises InputError as :func:`read_deploy_yaml` does.
    """
    for path in paths:
        if path is not None and (path.name == "deploy.yaml" or is_of_a_suite(path)):
            return read_deploy_yaml(path)
    return None


def is_of_a_suite(path: Path) -> bool:
    """Whether a file is a config of a known suite. Raises InputError where it is no YAML at all."""
    data = load_yaml(check_file(path, "config"))
    return any(suite.recognises(data) for suite in SUITES)


def plan(config: DeployConfig, size: tuple[int, int]) -> Plan:
    """What a config's operators do to a picture of this (height, width).

    Raises InputError where one of them cannot be applied to it.
    """
    suite = next(each for each in SUITES if each.name == config.suite)
    return planned(config, suite, size)


__all__ = ["SUITES", "Plan", "Suite", "config_beside", "plan", "read_deploy_yaml"]
