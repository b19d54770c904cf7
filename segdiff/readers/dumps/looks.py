"""Can this be a dump, and no model? By what lies there alone; nothing is read."""

from __future__ import annotations

import re
from pathlib import Path

RAW = re.compile(r"\.\d{10,}$|\.\d{10,}\.|^\d{10,}$")
"""How Ascend's raw files are called: with a time at the end or in the middle, or digits alone."""

ARCHIVES = frozenset({".npz"})
"""Files that hold a dump; any other file of one lies in a folder."""


def is_dump(side: object) -> bool:
    """Whether a side can only be a dump: an archive, or a folder with tensors and no model.

    >>> is_dump("dump.npz"), is_dump("model.onnx")
    (True, False)
    """
    if not isinstance(side, str | Path):
        return False
    path = Path(side)
    if not path.is_dir():
        return path.suffix.lower() in ARCHIVES
    models = (".onnx", ".pdmodel", ".pdiparams")
    if any(each.suffix in models for each in path.iterdir()):
        return False
    tensors = (".npy", ".npz", ".bin", ".raw", ".txt")
    named = (each.name for each in path.rglob("*"))
    return any(name.endswith(tensors) or name == "manifest.json" or RAW.search(name) for name in named)
