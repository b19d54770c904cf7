"""What did a device write while it ran this ONNX file? A folder or a file -> a Dump (core/dumped.py).

    dump = read_dump(Path("dump/"), graph)      # graph: the ONNX file's
    dump.tensors["conv1"].load()                # in the layout that the ONNX file has

Nothing here was seen on a device; the formats are those of the vendors' documents (docs/dumps.md), so the
readers are tolerant, report what they cannot place, and never guess between two readings.
"""

from segdiff.readers.dumps.registry import read_dump

__all__ = ["read_dump"]
