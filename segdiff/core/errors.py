"""What can go wrong, as one tree of exceptions.

    SegdiffError
    ├── ModelError        a model file is missing, damaged or not understood
    ├── InputError        an image, tensor or deploy.yaml cannot be used
    ├── AlignmentError    the two graphs have nothing in common to compare
    ├── EngineError       a framework failed, hung or died while running a model
    └── RepairError       a repaired file could not be written or does not hold

Every message says what is wrong, in which file or operator, and what to do about it.
"""


class SegdiffError(Exception):
    """Base of every error that segdiff raises on purpose."""


class ModelError(SegdiffError):
    """A model file is missing, truncated, malformed or of an unknown format."""


class InputError(SegdiffError):
    """An image, a tensor or a ``deploy.yaml`` is missing, unreadable or does not fit the model."""


class AlignmentError(SegdiffError):
    """The two graphs share nothing that could be compared, so no verdict is possible.

    Nothing raises it today: such a pair ends in the verdict ``inconclusive``. The name is public and stays.
    """


class EngineError(SegdiffError):
    """A framework raised, crashed, hung or ran out of memory while running a model.

    ``last_value`` is the last value the engine delivered before it failed, or None; ``died`` says that its
    process is gone, so that the same question may fare better in another one; ``silent`` that it was stopped
    because it gave no answer in time; ``killed`` that its end was not its own doing: it was killed from
    outside, or got no memory.
    """

    def __init__(
        self, message: str, *, last_value: str | None = None, died: bool = False, silent: bool = False
    ) -> None:
        super().__init__(message)
        self.last_value, self.died, self.silent, self.killed = last_value, died, silent, False


class RepairError(SegdiffError):
    """A repair could not be applied, checked or written."""
