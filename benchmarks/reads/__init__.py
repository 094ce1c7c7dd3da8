"""Cached and uncached reads against rivals: one machine, one run, one server program, ratios with their spread.

python -m benchmarks reads --part hot --rounds 3 --seconds 3

Byline and its rivals in Python are each served by one worker of granian on a core of its own; the 64 keep-alive clients
(wrk), PostgreSQL and Valkey have the other cores, so that what is measured is what the server's one core can do. A
contestant's rounds are between its rivals' rounds, and a ratio is of neighbouring ones. Each contestant is asked before
it is timed whether it gives the same answer as the others, and each run says how many answers were none.
"""
