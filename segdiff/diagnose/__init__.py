"""Why does a segment err? Hypotheses are tested on the reference's tensors until the error vanishes."""

from segdiff.diagnose.explain import SECONDS, explain, tensors_of

__all__ = ["SECONDS", "explain", "tensors_of"]
