"""Every refusal of the core, as a small tree. Statuses and wire formats belong to the interfaces."""

from uuid import UUID


class BylineError(Exception):
    """The root. `str(error)` is a sentence fit for the client: it names what was wrong and holds no secret."""


class InvalidValue(BylineError, ValueError):
    """A value breaks a rule of its field. Also a ValueError, so that a validation library can gather several."""

    def __init__(self, field: str, message: str, *, code: str = "invalid") -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.code = code


class NotFound(BylineError):
    """There is nothing of that name that this caller may see."""


class UserNotFound(NotFound):
    def __init__(self, ref: UUID | str) -> None:
        super().__init__(f"There is no user {ref}.")


class PostNotFound(NotFound):
    def __init__(self, ref: UUID | str) -> None:
        super().__init__(f"There is no post {ref}.")


class AccountNotFound(NotFound):
    def __init__(self, ref: UUID | str) -> None:
        super().__init__(f"There is no account {ref}.")


class ImportNotFound(NotFound):
    def __init__(self, ref: UUID | str) -> None:
        super().__init__(f"There is no import {ref}.")


class WarmingNotFound(NotFound):
    def __init__(self, ref: UUID | str) -> None:
        super().__init__(f"There is no warming {ref}.")


class BlobNotFound(NotFound):
    def __init__(self, key: str) -> None:
        super().__init__(f"There is no stored file {key}.")


class NotAuthenticated(BylineError):
    """The caller has not shown who they are."""

    def __init__(self, message: str = "This needs a valid access token.") -> None:
        super().__init__(message)


class BadCredentials(NotAuthenticated):
    """The same for an unknown user, a wrong password and a deactivated user."""

    def __init__(self) -> None:
        super().__init__("The username or the password is wrong.")


class InvalidToken(NotAuthenticated):
    """The token is malformed, forged, expired, revoked, or its user is gone or deactivated."""

    def __init__(self, message: str = "The token is invalid or has expired.") -> None:
        super().__init__(message)


class TokenReused(InvalidToken):
    """An old refresh token came back after its grace: the whole family of its session is revoked."""

    def __init__(self) -> None:
        super().__init__("This refresh token was used before; the session is revoked. Sign in again.")


class NotAllowed(BylineError):
    """The caller is known, and may not do this."""


class RegistrationClosed(NotAllowed):
    def __init__(self) -> None:
        super().__init__("Registration is closed; ask an administrator for an account.")


class Conflict(BylineError):
    """The request is sound and what is stored speaks against it."""


class UsernameTaken(Conflict):
    def __init__(self, username: str | None = None) -> None:
        super().__init__(f"The username {username} is taken." if username else "The username is taken.")


class EmailTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("The email address belongs to another user.")


class SlugTaken(Conflict):
    def __init__(self, slug: str | None = None) -> None:
        super().__init__(f"The slug {slug} belongs to another post." if slug else "The slug belongs to another post.")


class ExternalIdTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("A post of that source and external id exists.")


class UserHasPosts(Conflict):
    def __init__(self) -> None:
        super().__init__("The user has posts. Repeat with posts=delete to delete them too.")


class LastAdmin(Conflict):
    def __init__(self) -> None:
        super().__init__("This is the last active administrator; make another one first.")


class WrongState(Conflict):
    """The thing is not in a state in which this can be done."""


class IdempotencyKeyReused(BylineError):
    """The key came before, with another request."""

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for another file or other options; use a new one for this import."
        )


class VersionMismatch(BylineError):
    """The caller expected another version than the stored one, `current` (None where it is unknown)."""

    def __init__(self, current: int | None = None) -> None:
        told = "" if current is None else f" The current version is {current}."
        super().__init__(f"It was changed since you read it.{told} Read it again and repeat your change.")
        self.current = current


class StaleVersion(VersionMismatch):
    """A copy was saved that was read before another save: a lost update, prevented."""


class LeaseLost(BylineError):
    """The job belongs to another worker now; nothing of this transaction may be committed."""

    def __init__(self, import_id: UUID) -> None:
        super().__init__(f"The lease on import {import_id} was lost.")


class TooLarge(BylineError):
    """More bytes than the limit, which the message names."""

    def __init__(self, what: str, *, limit_bytes: int) -> None:
        super().__init__(f"{what} is larger than the limit of {limit_bytes} bytes.")
        self.limit_bytes = limit_bytes


class StorageFull(BylineError):
    """The disk took no more. Nothing half-made is left behind."""

    def __init__(self) -> None:
        super().__init__("There is no space left to store the upload.")


class Busy(BylineError):
    """Over capacity, or transactions in conflict: nothing was done, and the same request may be repeated."""

    def __init__(self, message: str = "The service is busy.", *, retry_after_s: int = 1) -> None:
        super().__init__(f"{message} Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class Unavailable(BylineError):
    """Something the request needs (the database, the queue) cannot be reached at present."""

    def __init__(self, what: str, *, retry_after_s: int = 5) -> None:
        super().__init__(f"{what} cannot be reached at present. Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s
