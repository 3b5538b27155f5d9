"""The OpenVINO graph of a network: converting, quantizing, compiling."""
