"""Identities: UUIDv7 values, one type for each thing, so that a post's id cannot be passed for a user's."""

from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
PostId = NewType("PostId", UUID)
AccountId = NewType("AccountId", UUID)
SessionId = NewType("SessionId", UUID)
ImportId = NewType("ImportId", UUID)
MessageId = NewType("MessageId", UUID)
WarmingId = NewType("WarmingId", UUID)
