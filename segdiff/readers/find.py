"""Which files make up the model a user means by a path?

A path is a folder, a program file, or the stem that program and parameters share. In a folder Paddle
programs win over ONNX files, because a converted model usually lies beside the model it came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segdiff.core.errors import ModelError
from segdiff.core.files import ModelFiles
from segdiff.readers import registry
from segdiff.readers.guard import guard
from segdiff.readers.in_memory import on_disk
from segdiff.readers.registry import is_program, reader_for, row_of

if TYPE_CHECKING:
    import onnx

_OLD_PROGRAM = "__model__"
_OLD_PARAMS = ("__params__", "params")
_DEPLOY_YAML = "deploy.yaml"
CONFIGS = (
    _DEPLOY_YAML,
    "inference.yml",
    "inference.yaml",
    "infer_cfg.yml",
    "infer_cfg.yaml",
    "inference.json",
)
"""How the suites call the config that they export beside a program. PaddleX calls a program of Paddle 3 by
the last of these names."""
_DEPLOY_LIMIT = 1 << 20  # bytes; a deploy.yaml has some hundred


def find(model: str | Path | onnx.ModelProto) -> ModelFiles:
    """Find program and parameters of a model: a folder, a program file, a stem, or an ONNX model in memory.

    A ``deploy.yaml`` in the folder decides between several programs; otherwise the one that has its
    parameters beside it. Raises ModelError where there is no model, or more than one.
    """
    path = on_disk(model)
    with guard(path, "the path"):
        if path.is_dir():
            return _in_folder(path)
        if path.is_file():
            return _from_program(path)
        return _from_stem(path)


def _in_folder(folder: Path) -> ModelFiles:
    named = _deploy_entry(folder, "model")
    if named is not None:
        for program in (named, named.with_suffix(".json"), named.with_suffix(".pdmodel")):
            if program.is_file() and row_of(program) is not None:
                return _from_program(program)
    programs = _programs(folder)
    if len(programs) > 1:
        programs = [program for program in programs if _params_of(program) is not None] or programs
    if len(programs) > 1:
        names = ", ".join(program.name for program in programs)
        raise ModelError(f"{folder}: several models ({names}); give the file you mean")
    if not programs:
        raise ModelError(f"{folder}: no model in this folder ({_known()})")
    return _from_program(programs[0])


def _programs(folder: Path) -> list[Path]:
    """The models of a folder, without those that were made of another one in it."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    old = [file for file in files if file.name == _OLD_PROGRAM]
    rows = {row.suffix: row for row in registry.READERS}
    programs = [file for file in files if file.suffix in rows and is_program(file, rows[file.suffix])]
    return _originals(old + programs)


def _originals(programs: list[Path]) -> list[Path]:
    """Those of a framework that keeps parameters apart, if there are any: the others were made of them."""
    carrying = {row.suffix for row in registry.READERS if row.carries_parameters}
    return [program for program in programs if program.suffix not in carrying] or programs


def is_pir(file: Path) -> bool:
    """Whether a file is a program of Paddle 3, judged by its name and its first bytes. Raises OSError."""
    return is_program(file, reader_for("pir"))


def _from_program(program: Path) -> ModelFiles:
    row = reader_for("pdmodel") if program.name == _OLD_PROGRAM else row_of(program)
    if row is None:
        raise ModelError(f"{program}: {_advice(program)}")
    params = None if row.carries_parameters else _params_of(program)
    return ModelFiles(row.name, program, params, _config_beside(program))


def _config_beside(program: Path) -> Path | None:
    """The config that a suite exported beside a program."""
    files = (program.parent / name for name in CONFIGS)
    return next((f for f in files if f.is_file() and f != program and not is_pir(f)), None)


def _advice(file: Path) -> str:
    if file.suffix in (".pdparams", ".pdopt"):
        return "this is a training checkpoint; export the model first and give its .pdmodel or .json"
    if file.suffix == ".pdiparams":
        return "these are only the parameters; give the program beside it (.pdmodel or .json)"
    return f"not a model file segdiff knows ({_known()})"


def _known() -> str:
    """The formats, as a user sees them."""
    shown = [f"{row.name.upper()} {row.suffix}" if row.mark else row.suffix for row in registry.READERS]
    return f"{', '.join(shown[:-1])} or {shown[-1]}"


def _from_stem(stem: Path) -> ModelFiles:
    files = [stem.with_name(stem.name + row.suffix) for row in registry.READERS] if stem.name else []
    programs = _originals([file for file in files if file.is_file()])
    if len(programs) > 1:
        names = ", ".join(program.name for program in programs)
        raise ModelError(f"{stem}: several models ({names}); give the file you mean")
    if not programs:
        raise ModelError(f"{stem}: no such file or folder")
    return _from_program(programs[0])


def _params_of(program: Path) -> Path | None:
    """The parameters of a Paddle program: of its stem, by deploy.yaml, by an old name, or the only ones."""
    folder = program.parent
    if program.name == _OLD_PROGRAM:
        combined = [folder / name for name in _OLD_PARAMS if (folder / name).is_file()]
        separate = any(file.is_file() and file != program for file in folder.iterdir())
        return combined[0] if combined else folder if separate else None
    same_stem = program.with_suffix(".pdiparams")
    if same_stem.is_file():
        return same_stem
    model, params = _deploy_entry(folder, "model"), _deploy_entry(folder, "params")
    if model is not None and model.stem == program.stem and params is not None and params.is_file():
        return params
    lonely = list(folder.glob("*.pdiparams"))
    return lonely[0] if len(lonely) == 1 and _programs(folder) == [program] else None


def _deploy_entry(folder: Path, key: str) -> Path | None:
    """The file that ``Deploy: {key: name}`` of the folder's deploy.yaml means, None without such an entry."""
    file = folder / _DEPLOY_YAML
    if not file.is_file():
        return None
    with guard(file, "deploy.yaml"):
        if file.stat().st_size > _DEPLOY_LIMIT:
            raise ModelError(f"{file}: too large for a deploy.yaml")
        import yaml  # here: a worker in a user's environment reads no deploy.yaml, and may not have it

        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        deploy = content.get("Deploy") if isinstance(content, dict) else None
        name = deploy.get(key) if isinstance(deploy, dict) else None
        if not isinstance(name, str) or not name:
            return None
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ModelError(f"{file}: {key} {name!r} lies outside of the model's folder")
        return target
