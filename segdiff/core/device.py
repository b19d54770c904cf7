"""What is told of a device whose tensors were compared? Its dump, and how much of the model it shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DeviceInfo:
    """The dump of a device that ran the candidate's file.

    ``path`` and ``form`` are the dump's; ``precision`` the type in which it stores most of its numbers;
    ``values`` how many of the file's values it holds. Of the file's compute ops ``isolated`` were run here on
    the device's own tensors and compared; ``seen`` are known by an error from above alone, ``missing`` not at
    all. ``remarks`` say what was undone or assumed, ``problems`` what could not be used, a line each.
    """

    path: Path
    form: str
    precision: str
    values: int
    isolated: int
    seen: int
    missing: int
    remarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
