"""onnxruntime with a thread that lives from its import on."""

from __future__ import annotations

import threading

from segdiff.engines.onnxruntime import OnnxRuntime as OnnxRuntime

threading.Thread(target=threading.Event().wait, daemon=True).start()
