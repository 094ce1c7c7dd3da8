"""What a look at one part of the set-up says."""

from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True, slots=True)
class Finding:
    """`warning` works for now; `wrong` does not. Neither message nor remedy holds a secret."""

    check: str
    state: Literal["ok", "warning", "wrong"]
    message: str
    remedy: str | None = None

    @classmethod
    def ok(cls, check: str, message: str) -> Self:
        return cls(check, "ok", message)

    @classmethod
    def warning(cls, check: str, message: str, remedy: str) -> Self:
        return cls(check, "warning", message, remedy)

    @classmethod
    def wrong(cls, check: str, message: str, remedy: str) -> Self:
        return cls(check, "wrong", message, remedy)
