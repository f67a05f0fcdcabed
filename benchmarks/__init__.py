"""Benchmarks: each measures beside a baseline, in the same run, and writes `benchmarks/results/NAME.json`."""
