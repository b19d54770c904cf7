"""What would half precision cost, where, and what keeps it right? On a CPU, of an ONNX file."""
