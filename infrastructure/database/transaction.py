"""A transaction on one connection of SQLAlchemy's pool, with its errors in the domain's terms."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from sqlalchemy import CursorResult, Executable, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from infrastructure.database.errors import REFUSALS, Refusals, in_domain_terms
from infrastructure.database.monitoring import Watch


class Transaction:
    """Begins with its first statement. After a statement that failed, every further one and the commit are refused."""

    def __init__(self, connection: AsyncConnection, statements: Watch) -> None:
        self._connection = connection
        self._statements = statements
        self._failure: BaseException | None = None
        self._has_ended = False
        self.is_committed = False

    async def execute(
        self, statement: Executable, values: Mapping[str, Any] | None = None, *, refusals: Refusals = REFUSALS
    ) -> CursorResult[Any]:
        with self._step(refusals):
            return await self._connection.execute(statement, values)

    async def copy(self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """COPY, in binary."""
        with self._step():
            driver: Any = (await self._connection.get_raw_connection()).driver_connection
            # SQLAlchemy begins with its own first statement: a COPY before that would be committed at once.
            if not driver.is_in_transaction():
                await self._connection.execute(text("SELECT 1"))
            began = perf_counter()
            try:
                await driver.copy_records_to_table(table.name, columns=columns, records=rows)
            except BaseException as error:
                if driver.is_closed() or not isinstance(error, Exception):
                    await self._connection.invalidate(error)
                raise
            finally:
                self._statements(f"COPY {table.name} FROM STDIN", perf_counter() - began)

    async def commit(self) -> None:
        with self._step():
            await self._connection.commit()
        self._has_ended = self.is_committed = True

    async def end(self) -> None:
        """Roll back what was not committed, and give the connection back; also when cancelled meanwhile."""
        self._has_ended = True
        await self._connection.__aexit__(None, None, None)

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
