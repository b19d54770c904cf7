"""What do tools make of a tensor's name?"""

import re

TIME = "1700000000123456"
"""A time in microseconds, as Ascend's tools put it into names."""


def safe(name: str) -> str:
    """The name as tools leave it in a file's name."""
    return re.sub(r"[/:.\\ ]", "_", name)
