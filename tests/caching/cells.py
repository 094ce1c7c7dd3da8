"""Processes in their states, and what each step makes of them: taken by real code once, and remembered."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.caching.chance import CHANCE, TOKEN, HostToken, shaped
from tests.caching.line import Command, Sent, Writer
from tests.caching.processes import Effects, Kind, Process

Step = tuple[Any, ...]
Given = tuple[Step, tuple[int, ...], tuple[int, ...]]
"""What happens to a process, and the tokens that are fresh then: shared ones, and its host's."""
Fresh = Callable[[int, int], tuple[tuple[int, ...], tuple[int, ...]]]
_UNNAMED = tuple(range(90_000, 90_020))


class Cell:
    """A process in some state. All cells of the same state are one, and what each step made of it is remembered.

    `shape` numbers the state without its tokens' names, which are `names`, as often as they occur, in order.
    """

    __slots__ = (
        "after",
        "came",
        "dry",
        "has_doubts",
        "is_away",
        "is_connected",
        "kept",
        "kind",
        "live",
        "loads",
        "names",
        "readers",
        "replies",
        "shape",
        "state",
        "undone",
        "used",
    )

    def __init__(self, process: Process, state: str, came: "tuple[Cell, Given] | None") -> None:
        self.kind = process.kind
        self.came = came
        self.live: Process | None = process
        self.state = state
        self.shape, self.names = shaped(state)
        self.used = frozenset(self.names)
        self.kept = process.kept()
        self.loads = tuple(load.version for load in process.loads)
        self.readers = len(process.readers)
        sent = process.line.sent
        self.replies = sum(1 for each in sent if each.said is not None)
        self.undone = None if self.replies == len(sent) else _versioned(sent[self.replies])
        self.is_connected = process.cache._link.wire is not None
        self.has_doubts = process.doubt.has_arisen
        self.is_away = not self.is_connected and not sent
        self.dry: dict[Step, tuple[str, Effects, tuple[int, int]]] = {}
        self.after: dict[Given, tuple[Cell, Effects]] = {}


class Cells:
    """`runs` counts how many times a step was taken by real code."""

    def __init__(self, greet: Callable[[bytes, int], bytes]) -> None:
        self.runs = 0
        self._greet = greet
        self._known: dict[tuple[Kind, str], Cell] = {}

    @property
    def count(self) -> int:
        return len(self._known)

    def first(self, kind: Kind) -> Cell:
        process = Process(kind, self._greet)
        return self._cell(process, process.state(), None)

    def step(self, cell: Cell, step: Step, fresh: Fresh) -> tuple[Cell, Effects]:
        dry = cell.dry.get(step)
        if dry is None:
            dry = cell.dry[step] = self._run(cell, (step, _UNNAMED, _UNNAMED))[1:]
        state, effects, drawn = dry
        given = step, *fresh(*drawn)
        after = cell.after.get(given)
        if after is None:
            after = cell.after[given] = self._after(cell, given, state, effects)
        return after

    def _after(self, cell: Cell, given: Given, state: str, effects: Effects) -> tuple[Cell, Effects]:
        """`state` and `effects` are under names that nothing else has."""
        _, tokens, host_tokens = given
        names = {f"<t{old:05}>": f"<t{new:05}>" for old, new in zip(_UNNAMED, tokens, strict=False)}
        names |= {f"<h{old:05}>": f"<h{new:05}>" for old, new in zip(_UNNAMED, host_tokens, strict=False)}
        state = TOKEN.sub(lambda match: names.get(match[0], match[0]), state)
        known = self._known.get((cell.kind, state))
        if known is not None:
            slots = [slot for slot, _ in effects.forgotten]
            return known, replace(effects, forgotten=list(zip(slots, map(HostToken, host_tokens), strict=True)))
        process, state, effects, _ = self._run(cell, given)
        return self._cell(process, state, (cell, given)), effects

    def _cell(self, process: Process, state: str, came: tuple[Cell, Given] | None) -> Cell:
        known = self._known.get((process.kind, state))
        if known is None:
            known = self._known[process.kind, state] = Cell(process, state, came)
        return known

    def _run(self, cell: Cell, given: Given) -> tuple[Process, str, Effects, tuple[int, int]]:
        """By the process that is in this state now, if there is one, else by one that is brought there."""
        past = [given]
        process, cell.live = cell.live, None
        if process is None:
            at = cell
            while at.came is not None:
                at, before = at.came
                past.append(before)
            process = Process(cell.kind, self._greet)
        drawn = 0, 0
        for step, tokens, host_tokens in reversed(past):
            self.runs += 1
            shared, own = iter(tokens), iter(map(HostToken, host_tokens))
            CHANCE.tokens, process.host.fresh, process.effects = shared, own, Effects()
            process.take(step)
            process.effects.forgotten, process.host.forgotten = process.host.forgotten, []
            drawn = len(tokens) - len(list(shared)), len(host_tokens) - len(list(own))
        # Its coroutines end when it is collected, and some forget even then.
        process.host.fresh = itertools.repeat(HostToken(0))
        return process, process.state(), process.effects, drawn


def _versioned(sent: Sent) -> Command:
    versions = [owner.version for owner in sent.owners if isinstance(owner, Writer)]
    return replace(sent.command, version=versions[0]) if versions else sent.command
