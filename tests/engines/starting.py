"""onnxruntime that starts a process of its own with each model."""

from __future__ import annotations

import subprocess

from segdiff.engines.onnxruntime import OnnxRuntime as Plain
from segdiff.engines.protocol import Load


class OnnxRuntime(Plain):
    """As onnxruntime."""

    def __init__(self, message: Load) -> None:
        super().__init__(message)
        self.started = subprocess.Popen(["sleep", "60"])
