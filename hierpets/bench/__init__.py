"""Speed and memory of a bundle on this machine: every stage, latency, throughput, and what limits it."""
