"""What does a model file say? Any supported format -> :class:`segdiff.core.graph.Graph`.

    files = find("deploy/")        # which program, which parameters
    graph = read(files)            # ops, values, parameters (their data is read on demand)

Every failure, from a missing file to random bytes, is a :class:`segdiff.core.errors.ModelError` of one line.
"""

from segdiff.core.files import ModelFiles
from segdiff.readers.find import find
from segdiff.readers.registry import read, read_program

__all__ = ["ModelFiles", "find", "read", "read_program"]
