"""Worth: from tokens, replicas, staleness and compression to quality-adjusted compute, with its evidence horizon."""
