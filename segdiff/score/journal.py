"""Which images were done before the run was interrupted? A journal whose results are those of images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdiff.core.journal import Kept, digest, fingerprint
from segdiff.score.compare import ImageResult

__all__ = ["Journal", "digest", "fingerprint"]


class Journal(Kept[int, ImageResult]):
    """Results of images, by their number in the data set."""

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        super().__init__(path, run, int, ImageResult.to_dict, ImageResult.from_dict)

    def __enter__(self) -> Journal:
        super().__enter__()
        return self
