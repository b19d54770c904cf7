"""Dumps as devices write them, made without a device: a run of an ONNX file, then one writer a form.

    values = recorded(model, feeds)             # every tensor, by ONNX name; device.py
    write_npy(folder, graph, values, "trtexec") # arrays.py

A fault "of the device" is a fault in ``model`` (or in ``values``) that the ONNX file read beside it has not.
"""
