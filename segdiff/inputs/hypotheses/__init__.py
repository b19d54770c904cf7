"""What could the candidate's script have done otherwise? One family of hypotheses a module.

    layout      the order of the axes, the batch axis
    framing     which part of the picture lands where: size, height and width swapped, crop, padding, turned
    resizing    the library, mode and dtype of the resize
    constants   the order of the channels, 1/255, mean and std
    casts       the dtype of the tensor

A hypothesis is a changed :class:`~segdiff.inputs.pipeline.Pipeline` with the :class:`Change`\\ s that lead to
it; ``search`` combines them and puts them to the proof: the picture is taken through the changed pipeline,
and what comes out must be the candidate's tensor.
"""

from segdiff.inputs.hypotheses.change import KINDS, Change, Variant
from segdiff.inputs.hypotheses.search import Explanation, Source, explain_input

__all__ = ["KINDS", "Change", "Explanation", "Source", "Variant", "explain_input"]
