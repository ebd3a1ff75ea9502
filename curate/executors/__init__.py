"""Where work on shards runs: the same shards, the same results everywhere."""
