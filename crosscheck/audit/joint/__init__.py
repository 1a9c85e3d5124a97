"""Joint feasibility of all printed numbers of a sample, with certificates."""
