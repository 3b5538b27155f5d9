"""The OpenVINO graph of a network: converted, quantized, and changed for what is asked of it; engines compile it."""
