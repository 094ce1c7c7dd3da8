"""The inside of a unit of work, for statements that no use case sends."""

from application.ports.work import UnitOfWork
from infrastructure.database.transaction import Transaction
from infrastructure.database.work import SqlWork


def transaction_of(work: UnitOfWork) -> Transaction:
    assert isinstance(work, SqlWork)
    return work._transaction
