"""The other sides of ``tools/bench_peers.py``: what each contestant does, and how it is run, compared and told."""
