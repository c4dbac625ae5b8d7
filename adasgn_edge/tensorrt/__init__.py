"""Models on NVIDIA's TensorRT (docs/tensorrt.md): ``adasgn_edge.load(path, device="tensorrt")``, and what is below it.

What needs NumPy comes only when it is asked for, as doctor looks at TensorRT with Python alone.
"""
