"""A transaction over the tables, isolated as PostgreSQL isolates it (13.2, Transaction Isolation)."""

import asyncio
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from application.ports.work import Isolation
from domain.errors import Busy, BylineError, Unavailable
from infrastructure.memory.locks import RowLocks, Strength
from infrastructure.memory.tables import Key, Row, Table, Tables

Refusal = TypeVar("Refusal", bound=BylineError)

SERIALIZATION_FAILURE = "Another transaction changed what this one read."


class Rows(Generic[Key, Row]):
    """A table as one transaction sees it: what is committed, or was at its first statement, and its own writes."""

    def __init__(self, table: Table[Key, Row], owner: "Transaction") -> None:
        self._table = table
        self._owner = owner
        self._changes: dict[Key, Row | None] = {}
        self._snapshot: dict[Key, Row] | None = None
        self._commits_before = 0
        self._was_read = False

    @property
    def is_changed(self) -> bool:
        return bool(self._changes)

    @property
    def was_overtaken(self) -> bool:
        """Whether it was read, and another transaction has changed it since."""
        return self._was_read and self._table.commits != self._commits_before

    def freeze(self) -> None:
        self._snapshot = dict(self._table.rows)
        self._commits_before = self._table.commits

    def find(self, key: Key) -> Row | None:
        self._was_read = True
        if key in self._changes:
            return self._changes[key]
        return (self._table.rows if self._snapshot is None else self._snapshot).get(key)

    def items(self) -> Iterator[tuple[Key, Row]]:
        self._was_read = True
        return self._over(self._table.rows if self._snapshot is None else self._snapshot)

    def values(self) -> Iterator[Row]:
        return (row for _, row in self.items())

    def latest(self, key: Key) -> Row | None:
        """As unique indexes and foreign keys look: past the snapshot."""
        return self._changes[key] if key in self._changes else self._table.rows.get(key)

    def latest_values(self) -> Iterator[Row]:
        return (row for _, row in self._over(self._table.rows))

    async def lock(self, key: Key, strength: Strength = Strength.NO_KEY_UPDATE) -> Row | None:
        """The row, after those who hold it. Raises Busy."""
        await self._owner.acquire((self._table, key), strength)
        return self._locked(key)

    def try_lock(self, key: Key) -> bool:
        """Whether nobody else holds it; then it is this transaction's."""
        if not self._owner.try_acquire((self._table, key), Strength.NO_KEY_UPDATE):
            return False
        self._locked(key)
        return True

    def end_holders(self, key: Key) -> None:
        """Nothing of those other transactions that hold the row is committed any more."""
        self._owner.end_holders((self._table, key))

    async def claim(self, key: Key, row: Row) -> bool:
        """Of a unique index: whether the key was free, after those who hold it; then it is this transaction's."""
        await self._owner.acquire((self._table, key), Strength.UPDATE)
        if self.latest(key) is not None:
            return False
        self.put(key, row)
        return True

    async def refer(self, key: Key) -> bool:
        """Of a foreign key: whether the row is there, and stays until the transaction ends."""
        await self._owner.acquire((self._table, key), Strength.KEY_SHARE)
        return self.latest(key) is not None

    async def remove(self, key: Key) -> Row | None:
        row = await self.lock(key, Strength.UPDATE)
        if row is not None:
            self._changes[key] = None
        return row

    def put(self, key: Key, row: Row) -> None:
        self._changes[key] = row

    def changes(self) -> Mapping[Key, Row | None]:
        """By this transaction, up to now."""
        return dict(self._changes)

    def restore(self, changes: Mapping[Key, Row | None]) -> None:
        self._changes = dict(changes)

    def commit(self) -> None:
        if not self._changes:
            return
        for key, row in self._changes.items():
            if row is None:
                self._table.rows.pop(key, None)
            else:
                self._table.rows[key] = row
        self._table.commits += 1

    def _locked(self, key: Key) -> Row | None:
        latest = self.latest(key)
        if self._snapshot is not None and key not in self._changes and latest is not self._snapshot.get(key):
            raise self._owner.refused(Busy(SERIALIZATION_FAILURE))
        return latest

    def _over(self, rows: dict[Key, Row]) -> Iterator[tuple[Key, Row]]:
        for key, row in rows.items():
            if key not in self._changes:
                yield key, row
        for key, changed in self._changes.items():
            if changed is not None:
                yield key, changed


class Transaction:
    """One of its own for each unit of work.

    READ COMMITTED: each statement sees what is committed by then. REPEATABLE READ: all see what the first one saw, and
    a row that was changed since cannot be locked. SERIALIZABLE: nor can anything be committed where a table that was
    read was changed since, which is stricter than PostgreSQL. After a refused statement every further one is refused.
    """

    def __init__(self, tables: Tables, locks: RowLocks, isolation: Isolation) -> None:
        self._locks = locks
        self._isolation = isolation
        self._began = False
        self._ended = False
        self._lost = False
        self._refusal: BylineError | None = None
        self._is_rehearsing = False
        self.users = Rows(tables.users, self)
        self.usernames = Rows(tables.usernames, self)
        self.emails = Rows(tables.emails, self)
        self.posts = Rows(tables.posts, self)
        self.slugs = Rows(tables.slugs, self)
        self.external_ids = Rows(tables.external_ids, self)
        self.views = Rows(tables.views, self)
        self.view_batches = Rows(tables.view_batches, self)
        self.accounts = Rows(tables.accounts, self)
        self.account_owners = Rows(tables.account_owners, self)
        self.entries = Rows(tables.entries, self)
        self.sessions = Rows(tables.sessions, self)
        self.tokens = Rows(tables.tokens, self)
        self.imports = Rows(tables.imports, self)
        self.import_errors = Rows(tables.import_errors, self)
        self.import_marks = Rows(tables.import_marks, self)
        self.warmings = Rows(tables.warmings, self)
        self.outbox = Rows(tables.outbox, self)

    async def statement(self) -> None:
        """Before each: others get their turn, as they do while a server answers."""
        await asyncio.sleep(0)
        if self._ended:
            raise RuntimeError("The unit of work has ended.")
        if self._lost:
            raise self.refused(Unavailable("The database"))
        if self._refusal is not None:
            raise RuntimeError("The unit of work was refused a statement, and can only end.") from self._refusal
        if not self._began:
            self._began = True
            if self._isolation is not Isolation.READ_COMMITTED:
                for rows in self._all():
                    rows.freeze()

    def refused(self, error: Refusal) -> Refusal:
        """`error`, to be raised, as a violated constraint or a conflict that ends all but the rollback."""
        self._refusal = error
        return error

    async def acquire(self, row: Hashable, strength: Strength) -> None:
        try:
            await self._locks.acquire(self, row, strength)
        except Busy as busy:
            raise self.refused(busy) from None

    def try_acquire(self, row: Hashable, strength: Strength) -> bool:
        return self._locks.try_acquire(self, row, strength)

    def end_holders(self, row: Hashable) -> None:
        for holder in self._locks.holders(row):
            if isinstance(holder, Transaction) and holder is not self:
                holder._lost = True
                self._locks.release(holder)

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Undone at its end, a refusal too. Locks stay, where PostgreSQL gives those of the rehearsal back."""
        before = [(rows, rows.changes()) for rows in self._all()]
        self._is_rehearsing = True
        try:
            yield
        finally:
            self._is_rehearsing = False
            for rows, changes in before:
                rows.restore(changes)
            if not self._lost:
                self._refusal = None

    async def commit(self) -> None:
        if self._is_rehearsing:
            raise RuntimeError("A rehearsal is not committed.")
        await self.statement()
        writes = any(rows.is_changed for rows in self._all())
        if self._isolation is Isolation.SERIALIZABLE and writes and any(rows.was_overtaken for rows in self._all()):
            raise self.refused(Busy(SERIALIZATION_FAILURE))
        for rows in self._all():
            rows.commit()
        self.end()

    def end(self) -> None:
        self._ended = True
        self._locks.release(self)

    def _all(self) -> Iterator[Rows[Any, Any]]:
        return (rows for rows in vars(self).values() if isinstance(rows, Rows))
