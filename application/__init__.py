"""Use cases and the ports they depend on. Knows the domain and nothing else."""
