"""What might a device read otherwise than onnxruntime? A remark, never a finding: it says what to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from segdiff.core.late import door


@dataclass(frozen=True)
class DeviceRemark:
    """One thing that a file relies on and that runtimes are known to read differently.

    ``kind`` is a stable dotted word, ``nodes`` are those that rely on it (or the inputs and outputs that it
    is about), ``facts`` what the words for it need: settings, axes, shapes.
    """

    kind: str
    nodes: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The remark in words."""
        return str(door("words.device")(self))
