from collections.abc import AsyncIterator

import pytest

from tests.application.house import House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.close()
