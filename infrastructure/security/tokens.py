"""Access tokens as JWTs (RFC 7519, HS256), refresh tokens as random secrets kept by their SHA-256."""

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

import jwt

from application.ports.services import AccessClaims
from domain.errors import InvalidToken
from domain.ids import SessionId, UserId

_ALGORITHM = "HS256"
_ISSUER = "byline"


class JwtTokens:
    def __init__(self, secret_key: str) -> None:
        self._key = secret_key

    def issue(self, claims: AccessClaims, *, at: datetime, expires_at: datetime) -> str:
        payload = {
            "iss": _ISSUER,
            "sub": str(claims.user_id),
            "sid": str(claims.session_id),
            "iat": int(at.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
        return jwt.encode(payload, self._key, _ALGORITHM)

    def read(self, token: str, *, at: datetime) -> AccessClaims:
        try:
            payload = jwt.decode(
                token,
                self._key,
                [_ALGORITHM],
                issuer=_ISSUER,
                # Judged below, by the clock of the port.
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "sub", "sid", "iss"]},
            )
            claims = AccessClaims(UserId(UUID(payload["sub"])), SessionId(UUID(payload["sid"])))
            expires_at = int(payload["exp"])
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
            raise InvalidToken from None
        if at.timestamp() >= expires_at:
            raise InvalidToken
        return claims

    def new_secret(self) -> str:
        return secrets.token_urlsafe(32)

    def digest(self, secret: str) -> bytes:
        return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
