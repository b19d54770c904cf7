"""Which commands are there? A word each; ``completion``, which reads this table, is added where all meet."""

from __future__ import annotations

from collections.abc import Mapping

from segdiff.commands import cache, demo, dump, evaluate, locate, precision, repair, score, show, sweep
from segdiff.commands.base import Command

COMMANDS: Mapping[str, Command] = {
    "locate": locate.COMMAND,
    "repair": repair.COMMAND,
    "score": score.COMMAND,
    "evaluate": evaluate.COMMAND,
    "sweep": sweep.COMMAND,
    "dump": dump.COMMAND,
    "precision": precision.COMMAND,
    "show": show.COMMAND,
    "cache": cache.COMMAND,
    "demo": demo.COMMAND,
}
