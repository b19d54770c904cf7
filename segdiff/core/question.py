"""What was asked? The two models, the image and the options of a run, so that it can be opened again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, eq=False)
class Question:
    """The arguments of ``segdiff.locate`` that an answer came from; ``options`` are those of its keywords
    that ``segdiff.open`` takes, too."""

    reference: str | Path | Any
    candidate: str | Path | Any
    image: Any
    options: Mapping[str, Any]
