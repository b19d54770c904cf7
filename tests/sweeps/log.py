"""The lines of JSON that a sweep writes, and reads again when it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Log:
    """Records by their ``key``, appended as they come. Without a file they are only kept in memory."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        if path is not None and path.is_file():
            for line in path.read_text().splitlines():
                self._keep(line)

    def _keep(self, line: str) -> None:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            return  # the run was stopped in the middle of this line
        self.records[record["key"]] = record

    def __contains__(self, key: str) -> bool:
        return key in self.records

    def add(self, record: Record) -> None:
        """Keep a record, on disk at once."""
        self.records[record["key"]] = record
        if self.path is not None:
            with self.path.open("a") as stream:
                stream.write(json.dumps(record, default=str) + "\n")

    def of(self, **wanted: Any) -> list[Record]:
        """The records with these values."""
        return [r for r in self.records.values() if all(r.get(k) == v for k, v in wanted.items())]


def percentile(values: Iterable[int], share: float) -> int:
    """The value below which that share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0
