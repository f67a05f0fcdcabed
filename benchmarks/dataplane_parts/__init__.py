"""What `benchmarks.dataplane` is made of: the loops, the calls, the edge, and how results are written."""
