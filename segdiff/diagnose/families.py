"""Which operators are there hypotheses for? Importing a family registers it."""

from segdiff.diagnose import resize, softmax

__all__ = ["resize", "softmax"]
