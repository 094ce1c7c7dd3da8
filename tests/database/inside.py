"""The inside of units of work and readings: for statements that no use case sends, and for what connections know."""

from application.ports.work import UnitOfWork
from infrastructure.database.connections import DriverConnection
from infrastructure.database.pool import Reading
from infrastructure.database.transaction import Transaction
from infrastructure.database.work import SqlWork


def transaction_of(work: UnitOfWork) -> Transaction:
    assert isinstance(work, SqlWork)
    return work._transaction


async def driver_of(work: UnitOfWork) -> DriverConnection:
    raw = await transaction_of(work)._connection.get_raw_connection()
    driver: DriverConnection | None = raw.driver_connection
    assert driver is not None
    return driver


def driver_of_reading(reading: Reading) -> DriverConnection:
    return reading._connection
