"""Formats that are read as text: CSV, NDJSON, JSON arrays, and the files of rows that failed."""
