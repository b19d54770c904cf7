"""What can be begun before segdiff itself is imported? The processes of the engines that will be asked.

Importing segdiff takes as long as a framework does; so this module imports hardly anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from segdiff.engines.workers import ONNXRUNTIME, PADDLE, Home, spares, started, template_process


@contextmanager
def begun(models: Iterable[str | Path]) -> Iterator[None]:
    """Spares for the engines that these files look like, or, of two for one framework, what both are forked
    from; what nobody has taken ends with the block."""
    homes = [home for home in map(likely, models) if home]
    with ExitStack() as stack:
        stack.callback(_close_spares)
        with suppress(OSError):  # whoever needs one tells why it cannot be
            if len(homes) == 2 and homes[0] == homes[1] and _forked_from_one(homes[0], stack):
                homes = []
            for home in homes:
                spares.append((home, started(home, None, *filter(None, [home.module, home.cutting]))))
        yield


def _close_spares() -> None:
    while spares:
        spares.pop()[1].close()


def _forked_from_one(home: Home, stack: ExitStack) -> bool:
    """Begin what two engines of one framework are forked from, which is imported once; whether it may be.

    What cuts is left out: the two files may be of one network, and then nothing is cut.
    """
    process = template_process(home, home.module)  # it imports while this process does
    from segdiff.engines.warm import adopted

    return stack.enter_context(adopted(home, *process))


def likely(model: str | Path) -> Home | None:
    """The framework that will run a file, by its name alone; None where that does not tell.

    >>> likely("no such file.onnx") is None
    True
    """
    path = Path(model)
    if path.suffix == ".onnx" and path.is_file():
        return ONNXRUNTIME
    if path.suffix in (".pdmodel", ".json") and path.is_file():
        return PADDLE
    folder = path.is_dir() and any(path.glob("*.pdiparams"))  # a .json may be anything, a dump's index too
    return PADDLE if folder else None
