"""What `benchmarks/simulator.py` measures; apart from it, because a worker imports the file that was started first."""
