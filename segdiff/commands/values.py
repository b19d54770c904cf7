"""How are the values of options read? ``512M``, ``0.999``, ``12``: each with a clear word when it is none."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping


def bound(text: str) -> float:
    """A number from 0 up."""
    value = finite(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is below 0")
    return value


def cosine(text: str) -> float:
    """A number from -1 to 1."""
    value = finite(text)
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between -1 and 1")
    return value


def seconds(text: str) -> float:
    """A number above 0."""
    value = finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def finite(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def whole(text: str) -> int:
    """A whole number from 1 up."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def batches(text: str) -> tuple[int, ...]:
    """``1,4,8``."""
    return tuple(whole(word.strip()) for word in text.split(","))


def sizes(text: str) -> tuple[tuple[int, int], ...]:
    """``512x512,500x500``: height and width."""
    return tuple(plane(word.strip()) for word in text.split(","))


def plane(text: str) -> tuple[int, int]:
    """``512x512``: height and width."""
    try:
        height, width = map(whole, text.lower().split("x"))
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no HEIGHTxWIDTH in pixels, as 512x512") from error
    return height, width


_UNITS: Mapping[str, int] = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def size(text: str) -> int:
    """``512M``, ``2G``, ``1.5GiB``, or bytes."""
    words = text.strip().upper()
    digits = words.removesuffix("B").removesuffix("I").rstrip("KMGT")
    unit = words.removesuffix("B").removesuffix("I")[len(digits) :]
    try:
        value = float(digits) * _UNITS[unit]
    except (KeyError, ValueError):
        value = math.nan
    if not math.isfinite(value) or value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 512M or 2G")
    return int(value)
