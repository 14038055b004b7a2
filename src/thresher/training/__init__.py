"""Physics: from a plan (hardware and method) to step time, traffic, power and tokens; one module per phenomenon."""
