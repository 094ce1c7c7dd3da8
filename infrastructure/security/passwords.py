"""Password hashes, made and verified on threads of their own: argon2id, and those that users were imported with."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt
from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from domain.errors import Busy

Result = TypeVar("Result")

BCRYPT_BYTES = 72
"""What bcrypt looks at of a password. It was made with no more, and the library refuses to be given more."""


class Argon2Hasher:
    """The parameters are those of RFC 9106's low-memory profile, argon2-cffi's default (64 MiB, 3 passes).

    At most `threads` hashes are made at a time and `waiting` more wait; beyond that Busy is raised at once, so that a
    flood of sign-ins neither stalls the event loop nor fills the memory.

    Verifies whatever `checked_password_hash` accepts; all but argon2id under these parameters is outdated. A hash of
    other parameters takes the time of its own, until it is renewed.
    """

    def __init__(self, *, threads: int, waiting: int, argon2: Argon2 | None = None) -> None:
        self._argon2 = argon2 or Argon2()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._room = threads + waiting
        self._taken = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        return await self._off_the_loop(lambda: self._argon2.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        return await self._off_the_loop(lambda: self._verify(password, password_hash))

    def is_outdated(self, password_hash: str) -> bool:
        try:
            return self._argon2.check_needs_rehash(password_hash)
        except InvalidHashError:
            return True

    async def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)

    def _verify(self, password: str, password_hash: str | None) -> bool:
        # Made at the first call, whoever it is about, so that the time it takes tells nothing.
        nobody = self._hash_of_nobody()
        if password_hash is not None and password_hash.startswith("$2"):
            return _verify_bcrypt(password, password_hash)
        try:
            self._argon2.verify(password_hash or nobody, password)
        except (VerificationError, ValueError):
            return False
        return password_hash is not None

    def _hash_of_nobody(self) -> str:
        if self._nobody is None:
            self._nobody = self._argon2.hash("the password of nobody")
        return self._nobody

    async def _off_the_loop(self, work: Callable[[], Result]) -> Result:
        if self._taken >= self._room:
            raise Busy("Too many sign-ins are waiting.")
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._taken -= 1


def _verify_bcrypt(password: str, password_hash: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES], password_hash.encode())
    except ValueError:
        return False
