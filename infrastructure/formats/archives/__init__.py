"""Exports of other systems: WordPress, Ghost, Stack Exchange."""
