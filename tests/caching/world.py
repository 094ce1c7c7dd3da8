"""The whole of what is explored: the record, what Valkey and the hosts hold, and each process in its state."""

import itertools
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

from application.caching.reading import packed
from infrastructure.cache.redis import RedisCache
from tests.caching.cells import Cell, Cells, Step
from tests.caching.chance import HostToken, Table, shaped, unnamed
from tests.caching.line import Command
from tests.caching.processes import KEY, Code, Effects, Kind, Stale
from tests.caching.stepping import Contents, RememberedValkey

Move = tuple[Any, ...]
_HEAD_BYTES = len(packed((), 0.0, 0.0, b""))
LUCK = 0.999
"""By which each entry is loaded anew early."""


@dataclass(frozen=True)
class Plan:
    """Who takes part, and what may befall them. `hosts`: of each process, its host's number; `readers` and `writers`:
    of each, its process's."""

    hosts: tuple[int, ...]
    readers: tuple[int, ...]
    writers: tuple[int, ...]
    tags: tuple[str, ...] = ("post:1",)
    forgotten: tuple[str, ...] = ("post:1",)
    with_l1: bool = True
    is_warm: bool = False
    """The record was read in each process with readers before."""
    flushes: int = 0
    evictions: int = 0
    losses: int = 0
    """Of a process's connection to Valkey; what was on its way is done at any later moment, or never."""
    surrenders: int = 0
    """Of readers, who give up waiting."""
    at_once: bool = False
    """Reads, replies, and a reply and the end of a load may also come in the same turn of a process's loop."""
    with_refresh: bool = False
    """Chance may have it that an entry is loaded anew early."""
    can_rename: bool = True
    """Whether tokens are compared with each other, and nothing else is done with them."""
    code: Code = field(default_factory=Code)


class State(NamedTuple):
    """Of each host: `known` is the newest version that it has forgotten or acknowledged, `tables` its tokens, `told`
    what it has yet to hear. Of each process: how many readers and writers have not begun, and the versions whose
    forgetting failed. `left`: of lost connections, what may yet be done."""

    cells: tuple[Cell, ...]
    contents: Contents
    version: int
    acknowledged: int
    known: tuple[int, ...]
    tables: tuple[Table, ...]
    told: tuple[tuple[tuple[int, tuple[str, ...]], ...], ...]
    unread: tuple[int, ...]
    unwritten: tuple[int, ...]
    unforgotten: tuple[tuple[int, ...], ...]
    left: tuple[tuple[Command, ...], ...]
    flushes: int
    evictions: int
    losses: int
    surrenders: int
    is_at_rest: bool = False


class World:
    def __init__(self, plan: Plan, valkey: RememberedValkey) -> None:
        self.plan = plan
        self.cells = Cells(lambda packed, count: valkey.run((), packed, count)[0])
        self._valkey = valkey
        names = RedisCache("redis://valkey", host_id="")._link.names
        self._names = names
        self._kinds = [Kind(host, plan.tags, plan.forgotten, plan.with_l1, plan.code) for host in plan.hosts]
        self._found: dict[Contents, tuple[frozenset[str], int | None, tuple[int, tuple[str, ...]]]] = {}

    def first(self) -> State:
        plan, count = self.plan, max(self.plan.hosts) + 1
        size = len(plan.tags)
        state = State(
            cells=tuple(map(self.cells.first, self._kinds)),
            contents=(),
            version=0,
            acknowledged=0,
            known=(0,) * count,
            tables=tuple(tuple(HostToken(host * size + slot) for slot in range(size)) for host in range(count)),
            told=((),) * count,
            unread=tuple(int(plan.is_warm and number in plan.readers) for number in range(len(plan.hosts))),
            unwritten=(0,) * len(plan.hosts),
            unforgotten=((),) * len(plan.hosts),
            left=(),
            flushes=plan.flushes,
            evictions=plan.evictions,
            losses=plan.losses,
            surrenders=plan.surrenders,
        )
        while moves := self._own_moves(state):
            state = self.after(state, moves[0])
        return state._replace(
            unread=tuple(map(plan.readers.count, range(len(plan.hosts)))),
            unwritten=tuple(map(plan.writers.count, range(len(plan.hosts)))),
        )

    def moves(self, state: State) -> list[Move]:
        """All that may happen next. When nothing is left to do, each process is read from once more."""
        moves = self._own_moves(state)
        if not moves and not state.is_at_rest:
            return [("rest",)]
        if not state.is_at_rest:
            if state.flushes and state.contents:
                moves.append(("flush",))
            if state.evictions:
                moves += [("evict", key) for key, _ in state.contents]
            if state.losses:
                moves += [("lose", number) for number, cell in enumerate(state.cells) if not cell.is_away]
            if state.surrenders:
                moves += self._surrenders(state)
            moves += [("late", which) for which in range(len(state.left))]
        return moves

    def _surrenders(self, state: State) -> list[Move]:
        moves: list[Move] = []
        for number, cell in enumerate(state.cells):
            names = ["give up"]
            if self.plan.at_once and cell.replies:
                names += ["give up and reply", "reply and give up"]
            moves += [(name, number, which) for name in names for which in range(cell.readers)]
        return moves

    def _own_moves(self, state: State) -> list[Move]:  # noqa: C901 -- a table of moves
        moves: list[Move] = []
        plan = self.plan
        for number, cell in enumerate(state.cells):
            if state.unread[number]:
                counts = range(1, state.unread[number] + 1) if plan.at_once else (1,)
                moves += [("read", number, count) for count in counts]
            if state.unwritten[number]:
                moves.append(("write", number))
            if state.unforgotten[number] and cell.is_connected:
                moves.append(("relay", number))
            if cell.undone is not None:
                moves.append(("serve", number))
            if cell.is_away:
                moves.append(("connect", number))
            if cell.replies:
                counts = range(1, cell.replies + 1) if plan.at_once else (1,)
                lucks = (0.0, LUCK) if plan.with_refresh else (0.0,)
                moves += [("reply", number, count, luck) for count in counts for luck in lucks]
            for which, version in enumerate(cell.loads):
                if version is None:
                    moves.append(("load", number, which))
                    continue
                moves.append(("return", number, which))
                if plan.at_once and cell.replies:
                    moves += [(name, number, which) for name in ("reply and return", "return and reply")]
        moves += [("tell", host) for host, told in enumerate(state.told) if told]
        return moves

    def after(self, state: State, move: Move) -> State:  # noqa: C901 -- a table of moves
        """Raises Stale."""
        match move:
            case ("read", number, count):
                host = self.plan.hosts[number]
                unread = _changed(state.unread, number, state.unread[number] - count)
                known = state.known[host]
                required = max(state.acknowledged, known)
                step = ("read", count, required, known, state.tables[host], self._is_in_doubt(state, host))
                return self._step(state._replace(unread=unread), number, step)
            case ("write", number):
                unwritten = _changed(state.unwritten, number, state.unwritten[number] - 1)
                version = state.version + 1
                return self._step(state._replace(unwritten=unwritten, version=version), number, ("write", version))
            case ("relay", number):
                version, *others = state.unforgotten[number]
                unforgotten = _changed(state.unforgotten, number, tuple(others))
                return self._step(state._replace(unforgotten=unforgotten), number, ("relay", version))
            case ("serve", number):
                command = state.cells[number].undone
                assert command is not None
                said, state = self._serve(state, command)
                return self._step(state, number, ("serve", said))
            case ("load", number, which):
                return self._step(state, number, ("load", which, state.version))
            case ("lose", number):
                return self._step(state._replace(losses=state.losses - 1), number, ("lose",))
            case ("late", which):
                first, *rest = state.left[which]
                left = (*state.left[:which], *((tuple(rest),) if rest else ()), *state.left[which + 1 :])
                return self._serve(state, first)[1]._replace(left=left)
            case ("tell", host):
                (version, tags), *later = state.told[host]
                return self._tell(state._replace(told=_changed(state.told, host, tuple(later))), host, version, tags)
            case ("flush",):
                return state._replace(contents=(), flushes=state.flushes - 1)
            case ("evict", key):
                contents = tuple(pair for pair in state.contents if pair[0] != key)
                return state._replace(contents=contents, evictions=state.evictions - 1)
            case ("rest",):
                unread = tuple(int(number in self.plan.readers) for number in range(len(state.cells)))
                return state._replace(is_at_rest=True, unread=unread)
            case (name, number, *arguments):
                if "give up" in name:
                    state = state._replace(surrenders=state.surrenders - 1)
                return self._step(state, number, (name, *arguments))
        raise ValueError(move)

    def _is_in_doubt(self, state: State, host: int) -> bool:
        return any(cell.has_doubts for cell, of in zip(state.cells, self.plan.hosts, strict=True) if of == host)

    def _step(self, state: State, number: int, step: Step) -> State:
        cell, effects = self.cells.step(state.cells[number], step, lambda *counts: self._fresh(state, *counts))
        return self._with(state._replace(cells=_changed(state.cells, number, cell)), number, effects)

    def _with(self, state: State, number: int, effects: Effects) -> State:
        host = self.plan.hosts[number]
        if effects.forgotten:
            table = list(state.tables[host])
            for slot, token in effects.forgotten:
                table[slot] = token
            state = state._replace(tables=_changed(state.tables, host, tuple(table)))
        if effects.left:
            state = state._replace(left=(*state.left, effects.left))
        for version in effects.unforgotten:
            unforgotten = (*state.unforgotten[number], version)
            known = _changed(state.known, host, max(version, state.known[host]))
            unforgotten_now = _changed(state.unforgotten, number, unforgotten)
            state = state._replace(unforgotten=unforgotten_now, known=known)
        for version in effects.acknowledged:
            known = _changed(state.known, host, max(version, state.known[host]))
            state = state._replace(acknowledged=max(version, state.acknowledged), known=known)
        return state

    def _serve(self, state: State, command: Command) -> tuple[bytes, State]:
        said, contents = self._valkey.run(state.contents, command.packed, command.count)
        state = state._replace(contents=contents)
        if command.announces is not None:
            sender, tags = command.announces
            for host, told in enumerate(state.told):
                if sender != str(host):
                    state = state._replace(told=_changed(state.told, host, (*told, (command.version, tags))))
        return said, state

    def _tell(self, state: State, host: int, version: int, tags: tuple[str, ...]) -> State:
        slots = [self.plan.tags.index(tag) for tag in tags]
        table = list(state.tables[host])
        for slot, token in zip(slots, self._fresh(state, 0, len(slots))[1], strict=True):
            table[slot] = HostToken(token)
        known = _changed(state.known, host, max(version, state.known[host]))
        return state._replace(tables=_changed(state.tables, host, tuple(table)), known=known)

    def _fresh(self, state: State, count: int, host_count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Tokens that nobody has; whether somebody had them before can be seen nowhere."""
        if count:
            held = self._of(state.contents)[0]
            left = (name for commands in state.left for command in commands for name in shaped(repr(command))[1])
            used = held.union(left, *(cell.used for cell in state.cells))
        else:
            used = frozenset()
        tokens = _least("<t{:05}>", used, count)
        if host_count:
            used = frozenset(map(repr, itertools.chain(*state.tables))).union(*(cell.used for cell in state.cells))
        return tokens, _least("<h{:05}>", used, host_count)

    def _of(self, contents: Contents) -> tuple[frozenset[str], int | None, tuple[int, tuple[str, ...]]]:
        """Its tokens; the version of the page that is valid, if one is; and how it is `shaped`."""
        known = self._found.get(contents)
        if known is None:
            shape, tokens = shaped(repr(contents))
            held = {key.partition(b":")[2].partition(b":")[2]: value for key, value in contents}
            entry = held.get(b"p:" + KEY.encode())
            valid_under = [held.get(b"t:" + tag.encode()) for tag in self.plan.tags]
            version = None
            if entry is not None and None not in valid_under:
                joined = b"".join(filter(None, valid_under))
                version = int(entry[len(joined) + _HEAD_BYTES :]) if entry.startswith(joined) else None
            known = self._found[contents] = frozenset(tokens), version, (shape, tokens)
        return known

    def check(self, state: State) -> None:
        """Nothing that would be answered now is older than what was acknowledged. Raises Stale."""
        valid = self._of(state.contents)[1]
        if valid is not None and valid < state.acknowledged:
            raise Stale(f"version {valid} is valid in Valkey when {state.acknowledged} was acknowledged")
        for host, cell in zip(self.plan.hosts, state.cells, strict=True):
            table = state.tables[host]
            for stamp, version in cell.kept:
                if version < state.known[host] and all(table[slot] == token for slot, token in stamp):
                    raise Stale(f"version {version} is valid in L1 when {state.known[host]} is known to be forgotten")

    def digest(self, state: State) -> bytes:
        """The same for states that differ in nothing but tokens' names, and in which of like processes is which."""
        cells: list[tuple[Any, ...]] = sorted(
            (cell.shape, *rest, cell.names)
            for cell, *rest in zip(state.cells, state.unread, state.unwritten, state.unforgotten, strict=True)
        )
        contents, of_contents = self._of(state.contents)[2]
        left, of_left = shaped(repr(sorted(state.left, key=lambda commands: unnamed(repr(commands)))))
        shape = contents, left, state[2:5], state.told, state[11:], [each[:-1] for each in cells]
        of_tables = tuple(map(repr, itertools.chain(*state.tables)))
        names: list[tuple[str, ...]] = [of_contents, of_left, of_tables, *(cell[-1] for cell in cells)]
        if self.plan.can_rename:
            known: dict[str, int] = {}
            text = repr((shape, [known.setdefault(name, len(known)) for each in names for name in each]))
        else:
            text = repr((shape, names))
        return blake2b(text.encode(), digest_size=12).digest()


def _changed(values: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at + 1 :])


def _least(name: str, used: frozenset[str], count: int) -> tuple[int, ...]:
    return tuple(itertools.islice((number for number in itertools.count() if name.format(number) not in used), count))
