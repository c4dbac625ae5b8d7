"""From trained weights to what runs: the folded network, the model file that holds it, and ONNX graphs."""
