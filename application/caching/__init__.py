"""Cached reads: the protocol by which no page that is shown is older than a write that was acknowledged."""
