"""Benchmarks of a bundle on this machine: every stage, latency, throughput, memory, and what limits it."""
