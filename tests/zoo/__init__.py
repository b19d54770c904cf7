"""Pairs of a PaddleSeg model and its ONNX conversion, made on the spot with random weights.

Nothing here runs in the interpreter that tests segdiff, except the orchestration: each model is
exported by the Paddle release that its format belongs to, and converted by the paddle2onnx release
under test, each in a virtual environment of its own (see :mod:`.environments`). Those are made at
the first use, and kept with the models in ``$SEGDIFF_ZOO`` (see :mod:`.layout`), which a CI may
cache::

    python -m tests.zoo environments
    python -m tests.zoo build --arch BiSeNetV2 DeepLabV3P --size 64x96 --kind pdmodel --converter 1.1.0
    python -m tests.zoo build --arch BiSeNetV2 DeepLabV3P --size 64x96 --kind pir
    python -m tests.zoo seaformer path/to/seaformer_case/model/deploy/model.pdmodel
    python -m tests.zoo list

The same name and size give the same weights in both kinds.
"""
