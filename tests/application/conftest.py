from collections.abc import AsyncIterator

import pytest

from domain.actors import Actor, Role
from tests.application.house import House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.close()


@pytest.fixture
async def operator(house: House) -> Actor:
    return (await house.a_member("op", role=Role.OPERATOR)).actor
