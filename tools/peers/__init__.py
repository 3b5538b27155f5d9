"""Parts of ``tools/bench_peers.py``: the peers, each run in a process of its own, and the page."""
