"""What several tests share: fakes, strategies, servers, planted faults."""
