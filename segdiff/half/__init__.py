"""What would half precision cost, where, and what helps? On a CPU, of an ONNX file."""
