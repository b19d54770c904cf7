"""Pairs of a PaddleSeg model and its ONNX conversion, made on the spot with random weights.

Nothing here runs in the interpreter that tests segdiff, except the orchestration: each model is
exported by the Paddle release that its format belongs to, and converted by the paddle2onnx release
under test, each in a virtual environment of its own (see :mod:`.environments`).
"""
