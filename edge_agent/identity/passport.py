"""The credentials of this process in their file: read at start, replaced when renewed."""

from pathlib import Path

from edge_agent import kept
from edge_agent.identity.credentials import Credentials
from protocol.errors import BadRequestError, UntrustedError


class Passport:
    """The mutable state is the credentials: a connection takes them as they are when it is made."""

    def __init__(self, path: Path, credentials: Credentials) -> None:
        self.path = path
        self.credentials = credentials

    def __repr__(self) -> str:
        return f"<Passport {self.path} | {self.credentials!r}>"

    @classmethod
    def read(cls, path: Path) -> "Passport":
        """Return what the file says; raise `BadRequestError` when it says nothing of use."""
        try:
            return cls(path, Credentials.parse(path.read_text()))
        except OSError as error:
            raise BadRequestError(
                f"{path}: cannot be read: {error.strerror}", "enrol first: tiermesh-agent enrol"
            ) from error
        except UntrustedError as error:
            raise BadRequestError(f"{path}: {error.error}", error.hint) from error

    @property
    def jwt(self) -> str:
        return self.credentials.jwt

    @property
    def inbox(self) -> str:
        return self.credentials.inbox

    def sign(self, nonce: str) -> bytes:
        return self.credentials.sign(nonce)

    def replace(self, jwt: str) -> None:
        """Take a renewed JWT for the same key; raise `UntrustedError` for another key's."""
        renewed = Credentials.parse(Credentials(jwt, self.credentials.key).text)
        keep(self.path, renewed)
        self.credentials = renewed


def read(path: Path | None) -> Passport | None:
    """Return the passport in a file, where a configuration names one."""
    return None if path is None else Passport.read(path)


def keep(path: Path, credentials: Credentials) -> None:
    """Write a .creds file that only its owner may read, whole or not at all."""
    kept.write(path, credentials.text.encode())
