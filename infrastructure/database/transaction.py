"""A transaction on one connection of SQLAlchemy's pool, with its errors in the domain's terms."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from time import perf_counter
from typing import Any, TypeVar

from sqlalchemy import CursorResult, Executable, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import BylineError
from infrastructure.database.connections import DriverConnection, Record
from infrastructure.database.errors import REFUSALS, Refusals, in_domain_terms
from infrastructure.database.monitoring import Watch

Answer = TypeVar("Answer")


class Transaction:
    """Begins with its first statement. After a statement that failed, every further one and the commit are refused."""

    def __init__(self, connection: AsyncConnection, statements: Watch) -> None:
        self._connection = connection
        self._statements = statements
        self._failure: BaseException | None = None
        self._has_ended = False
        self._is_rehearsing = False
        self.is_committed = False

    async def execute(
        self, statement: Executable, values: Mapping[str, Any] | None = None, *, refusals: Refusals = REFUSALS
    ) -> CursorResult[Any]:
        with self._step(refusals):
            return await self._connection.execute(statement, values)

    async def fetch(self, statement: str, *args: object) -> list[Record]:
        """On the driver itself, which keeps the statement prepared: for thousands of values, where SQLAlchemy's part
        would take longer than PostgreSQL's."""
        return await self._drive(statement, lambda driver: driver.fetch(statement, *args))

    async def run(self, statements: str) -> None:
        """Without values or an answer; several are joined by `;`."""
        await self._drive(statements, lambda driver: driver.execute(statements))

    async def copy(self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """COPY, in binary."""
        await self._drive(
            f"COPY {table.name} FROM STDIN",
            lambda driver: driver.copy_records_to_table(table.name, columns=columns, records=rows),
        )

    async def copy_encoded(self, table: Table, columns: Sequence[str], pieces: AsyncIterable[bytes]) -> None:
        """COPY of what is in its binary format already."""
        await self._drive(
            f"COPY {table.name} FROM STDIN",
            lambda driver: driver.copy_to_table(table.name, columns=columns, source=pieces, format="binary"),
        )

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        """What is done within is undone at its end, and a refusal within is none of the transaction's."""
        await self.run("SAVEPOINT rehearsal")
        self._is_rehearsing = True
        try:
            yield
        except Exception:
            with suppress(BylineError, RuntimeError):
                await self._undo_rehearsal()
            raise
        else:
            await self._undo_rehearsal()

    async def _undo_rehearsal(self) -> None:
        self._is_rehearsing = False
        if isinstance(self._failure, Exception):
            self._failure = None
        await self.run("ROLLBACK TO rehearsal; RELEASE rehearsal")

    async def commit(self) -> None:
        if self._is_rehearsing:
            raise RuntimeError("A rehearsal is not committed.")
        with self._step():
            await self._connection.commit()
        self._has_ended = self.is_committed = True

    async def end(self) -> None:
        """Roll back what was not committed, and give the connection back; also when cancelled meanwhile."""
        self._has_ended = True
        await self._connection.__aexit__(None, None, None)

    async def _drive(self, statement: str, do: Callable[[DriverConnection], Awaitable[Answer]]) -> Answer:
        with self._step():
            driver: Any = (await self._connection.get_raw_connection()).driver_connection
            # SQLAlchemy begins with its own first statement: the driver's before that would be committed at once.
            if not driver.is_in_transaction():
                await self._connection.execute(text("SELECT 1"))
            began = perf_counter()
            try:
                return await do(driver)
            except BaseException as error:
                if driver.is_closed() or not isinstance(error, Exception):
                    await self._connection.invalidate(error)
                raise
            finally:
                self._statements(statement, perf_counter() - began)

    @contextmanager
    def _step(self, refusals: Refusals = REFUSALS) -> Iterator[None]:
        if self._has_ended:
            raise RuntimeError("The unit of work has ended.")
        if self._failure is not None:
            raise RuntimeError("The unit of work was refused a statement, and can only end.") from self._failure
        try:
            with in_domain_terms(refusals):
                yield
        except BaseException as error:
            self._failure = error
            raise
