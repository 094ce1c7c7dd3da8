"""Imports: how fast they are against rivals, how much memory they take, how soon they begin, what reads feel of them.

python -m benchmarks imports --part ndjson --rows 100000 --rounds 3
"""
