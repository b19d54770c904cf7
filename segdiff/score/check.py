"""Do a mask and its label fit together? Every refusal names the image and what to do."""

from __future__ import annotations

from segdiff.core.errors import InputError
from segdiff.score.files import Values
from segdiff.score.folder import unknown_classes


def check_classes(values: Values, classes: int, ignore_index: int | None, what: str) -> None:
    """Raise InputError where a mask has numbers that stand for no class."""
    unknown = unknown_classes(values, classes, ignore_index)
    if unknown:
        shown = ", ".join(map(str, unknown[:5])) + (", …" if len(unknown) > 5 else "")
        raise InputError(
            f"{what} has the unknown class{'es' if len(unknown) > 1 else ''} {shown}; "
            f"there are {classes} classes, 0 to {classes - 1}."
        )


def check_size(label: Values, image: tuple[int, ...], what: str) -> None:
    """Raise InputError where a label has another size than its picture (height, width)."""
    if label.shape != image[:2]:
        raise InputError(
            f"{what} has {label.shape[0]}x{label.shape[1]} pixels (height x width), but its picture "
            f"{image[0]}x{image[1]}; one of the two is not of this image."
        )
