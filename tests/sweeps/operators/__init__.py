"""Small Paddle programs of an operator or a few, and the converters that make ONNX of them."""
