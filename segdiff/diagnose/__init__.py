"""Why does a segment err? Hypotheses are tested on the reference's tensors until the error vanishes."""

from segdiff.diagnose.explain import SECONDS, explain, proven_again

__all__ = ["SECONDS", "explain", "proven_again"]
