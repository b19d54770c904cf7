"""What does a model file say? Any supported format -> :class:`segdiff.graph.Graph`.

    files = find("deploy/")        # which program, which parameters
    graph = read(files)            # ops, values, parameters (their data is read on demand)

Every failure, from a missing file to random bytes, is a :class:`segdiff.errors.ModelError` of one line.
"""

from segdiff.graph import Graph
from segdiff.readers.find import ModelFiles, find

__all__ = ["ModelFiles", "find", "read", "read_program"]


def read(files: ModelFiles) -> Graph:
    """Read a model with its parameters.

    Raises ModelError where a file is missing, damaged, or parameters and program are of different models.
    """
    if files.format == "onnx":
        from segdiff.readers import onnx

        return onnx.read(files.program)
    if files.format == "pir":
        from segdiff.readers import pir

        return pir.read(files.program, files.params)
    from segdiff.readers import pdmodel

    return pdmodel.read(files.program, files.params)


def read_program(files: ModelFiles) -> Graph:
    """Read a model whose parameter file is missing: the whole graph, but ``Parameter.load`` raises.

    An ONNX model carries its parameters, so there this is the same as :func:`read`.
    """
    if files.format == "onnx":
        return read(files)
    if files.format == "pir":
        from segdiff.readers import pir

        return pir.read_program(files.program)
    from segdiff.readers import pdmodel

    return pdmodel.read_program(files.program)
