"""The mesh's keys, in a folder: made once, read by whoever needs them. Says nothing of who enrols.

operator.nk   seed of the operator: signs `operator.jwt`, nothing else; may be kept offline
signing.nk    seed that the operator has named to sign accounts: revoking needs it
accounts.json public keys: of the accounts, and of each role's signing key
roles/*.nk    seeds that sign users of one role each
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from cloud_core.identity import claims
from cloud_core.identity.claims import Account, Signer, User
from cloud_core.identity.roles import MESH_ROLES, SYSTEM_ROLES, TENANT, Template
from cloud_core.issuer import write_secret
from edge_agent.config import Config
from edge_agent.identity import nkeys
from edge_agent.identity.credentials import Credentials
from protocol.errors import ConflictError, MeshError, UntrustedError
from protocol.names import check_name
from protocol.subjects import ROOT, CancelSubject, NativeSubject

MESH, SYSTEM = "MESH", "SYS"
QUERIES = f"{ROOT}.{NativeSubject.word}"
CANCELS = f"{ROOT}.{CancelSubject.word}"
"""Where tenants' own accounts ask: the next token is the account's key."""
EVERYBODY = "*"
"""In place of a key: all of an account."""
FOREVER = 4_102_444_800
"""A key revoked until 2100 is revoked whenever its JWT was issued."""


class Accounts(Config):
    """The public part: which keys there are."""

    made: int
    """When, in seconds since the epoch: what a server has been told since is newer."""
    mesh: str
    system: str
    roles: dict[str, str]
    """Public key of the signing key by role, of both accounts."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom credentials are for."""

    role: str
    name: str
    site: str
    tier: str = "edge"
    parent: str = "cloud"

    @property
    def tags(self) -> dict[str, str]:
        return {"site": self.site, "tier": self.tier, "parent": self.parent}


class Authority:
    """Mints. Holds no key for longer than a signature takes."""

    def __init__(self, folder: Path, accounts: Accounts) -> None:
        self.folder = folder
        self.accounts = accounts

    def __repr__(self) -> str:
        return f"<Authority {self.folder}>"

    @classmethod
    def kept(cls, folder: Path, now: float) -> "Authority":
        """Return the keys in `folder`, made there when there are none."""
        if not (folder / "accounts.json").exists():
            _make(folder, int(now))
        return cls.read(folder)

    @classmethod
    def read(cls, folder: Path) -> "Authority":
        """Return the keys in `folder`; raise `ConflictError` when they are not there."""
        path = folder / "accounts.json"
        try:
            return cls(folder, Accounts.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as error:
            raise ConflictError(
                f"{path} cannot be read", "give the folder that `tiermesh init` has made"
            ) from error

    @property
    def operator_jwt(self) -> str:
        return (self.folder / "operator.jwt").read_text().strip()

    def preload(self) -> dict[str, str]:
        """Return the accounts' JWTs by public key, for a server that starts for the first time.

        Dated when the keys were made: a server that has been told of revocations since keeps those.
        """
        signer, made = Signer(_seed(self.folder / "signing.nk", "O"), "O"), self.accounts.made
        system = Account(SYSTEM, self.accounts.system, self._scopes(SYSTEM_ROLES))
        return {
            self.accounts.mesh: claims.account(signer, self._mesh({}), now=made),
            self.accounts.system: claims.account(signer, system, now=made),
        }

    def mesh_jwt(self, revoked: Mapping[str, int], now: float) -> str:
        """Return the JWT of MESH: what servers are told when somebody is revoked."""
        signer = Signer(_seed(self.folder / "signing.nk", "O"), "O")
        return claims.account(signer, self._mesh(revoked), now=int(now))

    def tenant_jwt(
        self, tenant: str, public: str, signing: str, now: float, *, ended: bool = False
    ) -> str:
        """Return the JWT of a tenant's own account, whose keys it has: it asks, and no more.

        `public` is the account's key, `signing` the one that the tenant signs its users with.

        It publishes on `tiermesh.ask` and `.cancel`; what arrives in MESH is `QUERIES` (`CANCELS`)
        with the account's key as its last token, which the server puts there: who asks is not for
        the tenant to say.
        `ended`: it asks no more, and whoever is connected with it is cut off.
        """
        nkeys.public_key(public, "A")
        signer = Signer(_seed(self.folder / "signing.nk", "O"), "O")
        imports = tuple(
            {
                "name": verb, "account": self.accounts.mesh, "type": "service",
                "subject": f"{there}.{public}", "local_subject": f"tiermesh.{verb}",
            }
            for verb, there in (("ask", QUERIES), ("cancel", CANCELS))
        )  # fmt: skip
        name = check_name(tenant, "tenant")
        if ended:
            said = Account(name, public, revoked={EVERYBODY: FOREVER}, connections=0)
        else:
            said = Account(name, public, {signing: TENANT}, imports=imports)
        return claims.account(signer, said, now=int(now))

    def user_jwt(self, holder: Holder, public: str, *, now: float, lifetime_s: float | None) -> str:
        """Return the JWT of whoever has the key `public`; `lifetime_s` None: without an end."""
        nkeys.public_key(public, "U")
        for what, name in (("node", holder.name), *holder.tags.items()):
            check_name(name, what)
        account = self.accounts.system if holder.role in SYSTEM_ROLES else self.accounts.mesh
        expires = None if lifetime_s is None else int(now + lifetime_s)
        user = User(holder.name, public, account, holder.tags, expires)
        return claims.user(self._role(holder.role), user, now=int(now))

    def credentials(
        self, holder: Holder, path: Path, *, now: float, lifetime_s: float | None = None
    ) -> Credentials:
        """Return those in `path`, minted there where there are none that hold a while longer."""
        found = _usable(path, self.accounts.roles[holder.role], now)
        if found is not None:
            return found
        key = Ed25519PrivateKey.generate()
        public = nkeys.public_text(key, "U")
        jwt = self.user_jwt(holder, public, now=now, lifetime_s=lifetime_s)
        minted = Credentials(jwt, key)
        write_secret(path, minted.text)
        return minted

    def _mesh(self, revoked: Mapping[str, int]) -> Account:
        exports = tuple(
            {
                "name": name, "type": "service", "subject": f"{there}.*",
                "account_token_position": len(there.split(".")) + 1,
            }
            for name, there in (("queries", QUERIES), ("cancels", CANCELS))
        )  # fmt: skip
        return Account(
            MESH, self.accounts.mesh, self._scopes(MESH_ROLES), revoked,
            exports=exports, keeps_streams=True,
        )  # fmt: skip

    def _scopes(self, roles: Mapping[str, Template]) -> dict[str, Template]:
        return {self.accounts.roles[name]: template for name, template in roles.items()}

    def _role(self, role: str) -> Signer:
        return Signer(_seed(self.folder / "roles" / f"{role}.nk", "A"), "A")


def _make(folder: Path, now: int) -> None:
    """Write every key; `accounts.json` last, so that half of them is nothing."""
    operator, signing = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    mesh, system = (nkeys.public_text(Ed25519PrivateKey.generate(), "A") for _ in range(2))
    roles = {name: Ed25519PrivateKey.generate() for name in (*MESH_ROLES, *SYSTEM_ROLES)}
    write_secret(folder / "operator.nk", nkeys.seed_text(operator, "O") + "\n")
    write_secret(folder / "signing.nk", nkeys.seed_text(signing, "O") + "\n")
    for name, key in roles.items():
        write_secret(folder / "roles" / f"{name}.nk", nkeys.seed_text(key, "A") + "\n")
    jwt = claims.operator(
        Signer(operator, "O"), signing=[nkeys.public_text(signing, "O")], system=system, now=now
    )
    write_secret(folder / "operator.jwt", jwt + "\n")
    public = {name: nkeys.public_text(key, "A") for name, key in roles.items()}
    accounts = Accounts(made=now, mesh=mesh, system=system, roles=public)
    write_secret(folder / "accounts.json", accounts.model_dump_json(indent=2) + "\n")


def _seed(path: Path, role: nkeys.Role) -> Ed25519PrivateKey:
    try:
        return nkeys.private_key(path.read_text(), role)
    except OSError as error:
        raise MeshError(
            f"{path} cannot be read: {error.strerror}", "restore it, or run where it is kept"
        ) from error
    except UntrustedError as error:
        raise MeshError(f"{path}: {error.error}", "restore it from your backup") from error


def _usable(path: Path, signer: str, now: float) -> Credentials | None:
    """What `path` holds, if it is signed by `signer` and lasts for another half of its life."""
    try:
        found = Credentials.parse(path.read_text())
    except (OSError, UntrustedError):
        return None
    begins, ends = found.lifetime()
    lasts = ends is None or now < (begins + ends) / 2.0
    return found if lasts and found.issuer == signer else None
