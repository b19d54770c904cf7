"""Which operators are there hypotheses for? Importing a family registers it."""

from segdiff.diagnose.families import (
    activation,
    conv,
    elementwise,
    grid_sample,
    integers,
    matmul,
    nan,
    norm,
    other_node,
    other_setting,
    p_norm,
    pad,
    parameters,
    pool,
    resize,
    softmax,
)
from segdiff.diagnose.families import indexing as places
from segdiff.diagnose.families import logic as discrete
from segdiff.diagnose.families import missing_op as lost
from segdiff.diagnose.families import reduce as axes
from segdiff.diagnose.families import slicing as window
from segdiff.diagnose.families import transpose_reshape as layout
from segdiff.diagnose.families import unary as functions

__all__ = [
    "activation",
    "axes",
    "conv",
    "discrete",
    "elementwise",
    "functions",
    "grid_sample",
    "integers",
    "layout",
    "lost",
    "matmul",
    "nan",
    "norm",
    "other_node",
    "other_setting",
    "p_norm",
    "pad",
    "parameters",
    "places",
    "pool",
    "resize",
    "softmax",
    "window",
]
