"""Tokens, time and chance, which the explorer has taken over."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from unittest import mock

from application.caching import reading
from infrastructure.cache.doubt import Doubt

LOAD_S = 50.0
"""How long each load takes; an entry that took so long is loaded anew early wherever chance will have it."""
CLOCK: ContextVar[float] = ContextVar("CLOCK", default=0.0)
TOKEN = re.compile(r"<[th]\d{5}>")


def unnamed(text: str) -> str:
    """Without what its tokens are called."""
    return TOKEN.sub("", text)


_shapes: dict[str, int] = {}


@cache
def shaped(text: str) -> tuple[int, tuple[str, ...]]:
    """A number for all texts that differ in nothing but tokens' names, and those."""
    return _shapes.setdefault(unnamed(text), len(_shapes)), tuple(TOKEN.findall(text))


class HostToken(int):
    def __repr__(self) -> str:
        return f"<h{int(self):05}>"


Table = tuple[HostToken, ...]


class Slots:
    """HostTokens with one slot for each tag. What is forgotten is told to the explorer, which keeps the tables."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._slots = {tag: slot for slot, tag in enumerate(tags)}
        self.table: list[int] = []
        self.trusted_until = float("inf")
        self.epoch = 0
        self.fresh: Iterator[HostToken] = iter(())
        self.forgotten: list[tuple[int, HostToken]] = []

    def slots(self, tags: Collection[str]) -> tuple[int, ...]:
        return tuple(self._slots[tag] for tag in tags)

    def forget(self, tags: Collection[str]) -> None:
        self.forgotten += [(slot, next(self.fresh)) for slot in self.slots(sorted(tags))]


class GivenDoubt(Doubt):
    """It passes when the process that it arose in has caught up, and is there where the explorer says so. The real one
    passes with time: the explorer takes for granted that each attempt to connect renews it soon enough."""

    def __init__(self) -> None:
        self.has_arisen = False
        self.is_there = False

    def arise(self) -> None:
        self.has_arisen = True

    def __bool__(self) -> bool:
        return self.is_there


@dataclass(slots=True)
class Chance:
    """What the explorer has taken over from chance."""

    tokens: Iterator[int] = field(default_factory=lambda: iter(()))
    luck: float = 0.0

    def urandom(self, size: int) -> bytes:
        return b"".join(b"<t%05d>" % next(self.tokens) for _ in range(size // 8))

    def random(self) -> float:
        return self.luck


CHANCE = Chance()


@contextmanager
def no_time_or_chance() -> Iterator[None]:
    def perf_counter() -> float:
        # Each load is in a task, and so in a context, of its own.
        CLOCK.set(CLOCK.get() + LOAD_S)
        return CLOCK.get()

    with (
        mock.patch.object(reading, "time", SimpleNamespace(perf_counter=perf_counter)),
        mock.patch.object(reading, "random", CHANCE),
        mock.patch.object(os, "urandom", CHANCE.urandom),
    ):
        yield
