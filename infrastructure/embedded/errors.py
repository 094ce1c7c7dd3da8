"""What can keep the embedded servers from running. Each message is for the person at the terminal."""


class EmbeddedError(Exception):
    """`str(error)` says what is wrong and what to do about it; a traceback adds nothing."""
