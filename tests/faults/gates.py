"""Gates in the transactions of a job, at which the workers of one database wait while they are closed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own

BOUND_S = 30.0
POLL_S = 0.002
_LOCKS = 77

# ENABLE ALWAYS: an import may write posts with triggers off.
_INSTALL = f"""
CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({_LOCKS}, TG_ARGV[0]::int);
    RETURN NULL;
END $$;
CREATE TRIGGER gate_1 BEFORE INSERT ON posts FOR EACH STATEMENT EXECUTE FUNCTION pass_gate(1);
CREATE TRIGGER gate_1 BEFORE INSERT ON users FOR EACH STATEMENT EXECUTE FUNCTION pass_gate(1);
CREATE TRIGGER gate_2 AFTER INSERT ON posts FOR EACH STATEMENT EXECUTE FUNCTION pass_gate(2);
CREATE TRIGGER gate_2 AFTER INSERT ON users FOR EACH STATEMENT EXECUTE FUNCTION pass_gate(2);
CREATE TRIGGER gate_3 BEFORE UPDATE OF next_offset ON imports FOR EACH STATEMENT EXECUTE FUNCTION pass_gate(3);
CREATE TRIGGER gate_4 AFTER UPDATE ON imports FOR EACH ROW
    WHEN (NEW.caution_began AND NOT OLD.caution_began) EXECUTE FUNCTION pass_gate(4);
CREATE TRIGGER gate_5 AFTER UPDATE ON imports FOR EACH ROW
    WHEN (OLD.caution_began AND NOT NEW.caution_began AND (OLD.fence, OLD.next_offset) = (NEW.fence, NEW.next_offset))
    EXECUTE FUNCTION pass_gate(5);
ALTER TABLE posts ENABLE ALWAYS TRIGGER gate_1;
ALTER TABLE posts ENABLE ALWAYS TRIGGER gate_2;
"""
_WAITING = f"""
SELECT EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = {_LOCKS} AND objid = $1 AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND NOT granted
)
"""


class Gate(IntEnum):
    """Before a chunk's new rows, in the middle of the COPY; once they are copied; and before the checkpoint, when all
    else of the chunk is written. And before the marks of an attempt are committed, that of judging and that of writing,
    and before its pause between them is: each has a transaction of its own."""

    BEFORE_ROWS = 1
    AFTER_ROWS = 2
    BEFORE_CHECKPOINT = 3
    BEFORE_MARK = 4
    BEFORE_PAUSE = 5


IN_CHUNKS = (Gate.BEFORE_ROWS, Gate.AFTER_ROWS, Gate.BEFORE_CHECKPOINT)


class Gates:
    def __init__(self, holder: Any, watcher: Any) -> None:
        self._holder = holder
        self._watcher = watcher

    async def close(self, gate: Gate) -> None:
        """As soon as nobody is past it in a transaction that goes on."""
        await self._holder.execute(f"SELECT pg_advisory_lock({_LOCKS}, {gate.value})")

    async def open(self, gate: Gate) -> None:
        await self._holder.execute(f"SELECT pg_advisory_unlock({_LOCKS}, {gate.value})")

    async def is_waited_at(self, gate: Gate) -> bool:
        return bool(await self._watcher.fetchval(_WAITING, gate.value))

    async def reached(self, gate: Gate) -> None:
        """Once somebody waits there."""
        async with asyncio.timeout(BOUND_S):
            while not await self.is_waited_at(gate):  # noqa: ASYNC110 -- another process comes there
                await asyncio.sleep(POLL_S)

    async def let_one_pass(self, gate: Gate) -> None:
        """Whoever waits there goes to the end of their transaction, and the gate is closed behind them."""
        await self.open(gate)
        await self.close(gate)


@asynccontextmanager
async def gates_in(database_url: str) -> AsyncIterator[Gates]:
    """All open at first, and gone afterwards."""
    holder, watcher = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        await holder.execute(_INSTALL)
        try:
            yield Gates(holder, watcher)
        finally:
            await holder.execute("SELECT pg_advisory_unlock_all()")
            await holder.execute("DROP FUNCTION pass_gate() CASCADE")
    finally:
        await holder.close()
        await watcher.close()
