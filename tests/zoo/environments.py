"""Which interpreters export and convert the models of the zoo, and how are they made?

No single environment can hold them: each Paddle release writes its own format, each paddle2onnx
release wants its own neighbours, and the one under test in segdiff must not be disturbed.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .layout import root

PADDLESEG = "paddleseg==2.8.0"
"""Installed without its dependencies: they ask for GUI builds of OpenCV and an old numpy."""

PADDLESEG_NEEDS = (
    "six==1.17.0",
    "easydict==1.13",
    "visualdl==2.5.3",
    "tqdm==4.67.1",
    "filelock==3.16.1",
    "scipy==1.14.1",
    "scikit-learn==1.5.2",
    "prettytable==3.12.0",
    "pyyaml==6.0.2",
    "opencv-python-headless==4.10.0.84",
    "pandas==2.2.3",
    "setuptools==75.6.0",
)

REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    # Writes model.pdmodel. libpaddle 2.6 is built against numpy 1.
    "p26": ("paddlepaddle==2.6.2", "numpy==1.26.4", *PADDLESEG_NEEDS),
    # Writes model.json and converts it; conversions from 3.3.1 are known to be sick. paddle2onnx
    # folds constants with onnxruntime to onnx-graphsurgeon, and installs by itself what it misses.
    "p32": (
        "paddlepaddle==3.2.2",
        "paddle2onnx==2.1.0",
        "numpy==2.2.6",
        "onnx==1.17.0",
        "onnxruntime==1.22.1",
        "sympy==1.13.3",
        "polygraphy==0.53.6",
        "onnx-graphsurgeon==0.6.1",
        *PADDLESEG_NEEDS,
    ),
    # Convert model.pdmodel. Both parse it themselves; 1.3.1 imports Paddle all the same.
    "c110": ("paddle2onnx==1.1.0", "onnx==1.16.2", "numpy==1.26.4", "six==1.17.0", "setuptools==75.6.0"),
    "c131": (
        "paddle2onnx==1.3.1",
        "onnx==1.16.2",
        "paddlepaddle==2.6.2",
        "numpy==1.26.4",
        "setuptools==75.6.0",
    ),
    # Converts model.json for the sweep of operators; no model of the zoo comes from it.
    "c201": (
        "paddle2onnx==2.0.1",
        "paddlepaddle==3.0.0",
        "numpy==2.2.6",
        "onnx==1.17.0",
        "onnxruntime==1.22.1",
        "sympy==1.14.0",
        "polygraphy==0.53.6",
        "onnx-graphsurgeon==0.6.1",
        "onnxoptimizer==0.3.13",
        "setuptools==65.5.0",
    ),
    # Runs ONNX models with an optimiser whose faults are known: those of later versions may be mended.
    "o131": (
        "onnxruntime==1.31.1",
        "onnx==1.17.0",
        "onnx-graphsurgeon==0.6.1",
        "numpy==2.4.6",
        "protobuf==7.36.2",
        "networkx==3.6.1",
    ),
}

HAVE_PADDLESEG = frozenset({"p26", "p32"})
PYTHON_VERSION = (3, 11)
"""The one for which the pins above were chosen and tried."""

READY = "segdiff-zoo-ready"
"""Marks an environment whose installation went through to its end."""

PACKAGES_PARENT = Path(__file__).resolve().parent.parent
"""What must be on the path of an environment's Python for ``-m zoo.…``."""


def python_of(environment: str) -> Path:
    """Return the interpreter of `environment`, which is made first if need be, by one process at a time.

    A folder or link that someone else put in its place is taken as it is.
    """
    folder = root() / "env" / environment
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{environment}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder.is_symlink() or (folder / READY).exists()):
            make(folder, REQUIREMENTS[environment], with_paddleseg=environment in HAVE_PADDLESEG)
    return folder / "bin" / "python"


def make(folder: Path, requirements: Sequence[str], *, with_paddleseg: bool) -> None:
    """Make an environment and mark it as ready. Raise CalledProcessError where something is not to be had."""
    python = folder / "bin" / "python"
    subprocess.run([base_python(), "-m", "venv", "--clear", folder], check=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *requirements], check=True)
    if with_paddleseg:
        subprocess.run([*pip, "--no-deps", PADDLESEG], check=True)
    (folder / READY).touch()


def base_python() -> str:
    """Return a Python of the version which the environments need; raise RuntimeError if there is none."""
    if sys.version_info[:2] == PYTHON_VERSION:
        return sys.executable
    name = "python{}.{}".format(*PYTHON_VERSION)
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"the zoo needs {name} for its environments, and there is none on the PATH")
    return found
