"""The shape of every list."""

from typing import Any

from pydantic import BaseModel, create_model


class _Envelope(BaseModel):
    """What was not asked for is null: `page` in a walk by cursor, the totals where nothing was counted."""

    page: int | None
    page_size: int
    total: int | None
    total_pages: int | None
    next_cursor: str | None


def listing(name: str, item: Any) -> type[BaseModel]:
    return create_model(name, __base__=_Envelope, __doc__=_Envelope.__doc__, items=(list[item], ...))
