"""What ``tools/bench_peers.py`` runs: the peers, each in a process of its own, and the page about them."""
