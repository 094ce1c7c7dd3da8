"""Entities, value objects, rules and errors. Knows the standard library and nothing else."""
