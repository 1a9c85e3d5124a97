"""A study whose simulated panel gives a paper's printed numbers: found, written, and estimated anew."""
