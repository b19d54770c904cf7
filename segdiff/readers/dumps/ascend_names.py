"""What were the files of an Ascend dump called before their names grew too long? ``mapping.csv`` says it."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from segdiff.core.errors import ModelError
from segdiff.readers.dumps.listing import Listing
from segdiff.readers.dumps.manifest import MAX_BYTES
from segdiff.readers.guard import guard, read_bytes

NAME = "mapping.csv"
DIGITS = re.compile(r"\d{5,}")
"""A file of such a name alone is one that had too long a name."""


def long_names(listing: Listing, problems: list[str]) -> Mapping[Path, Mapping[str, str]]:
    """Folder -> digits -> the name that was too long; a damaged table costs a line."""
    found: dict[Path, dict[str, str]] = {}
    for file in listing.files:
        if file.name != NAME:
            continue
        try:
            data = read_bytes(file, MAX_BYTES)
            with guard(file, "the table of names"):
                for row in csv.reader(StringIO(data.decode("utf-8", "replace"), newline="")):
                    if len(row) >= 2 and DIGITS.fullmatch(row[0].strip()):
                        found.setdefault(file.parent, {})[row[0].strip()] = row[1].strip()
        except ModelError as error:
            problems.append(str(error))
    return found
