"""Who asks. A viewer is an Actor or None, the stranger."""

from dataclasses import dataclass
from enum import StrEnum

from domain.errors import NotAllowed
from domain.ids import UserId


class Role(StrEnum):
    AUTHOR = "author"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Actor:
    """An active user who has shown who they are. An administrator may do all that an operator may."""

    id: UserId
    role: Role

    @property
    def is_operator(self) -> bool:
        return self.role in (Role.OPERATOR, Role.ADMIN)

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def require_operator(self) -> None:
        """Raises NotAllowed for authors."""
        if not self.is_operator:
            raise NotAllowed("This is for operators.")


def sees_everything(viewer: Actor | None) -> bool:
    """Whether drafts, deactivated users and email addresses of others are shown."""
    return viewer is not None and viewer.is_operator
