"""Tokens that are minted here pass the mesh's own check, and the key stays private."""

import json
import stat

import pytest

from cloud_core.issuer import OPERATOR, TENANT, Grant, SigningKey
from middle_tier.gate import read_keys
from protocol.errors import BadNameError, ConflictError, UnauthenticatedError
from protocol.tokens import check

NOW = 1_800_000_000.0


def test_a_minted_token_passes_the_check(tmp_path):
    key = SigningKey.kept(tmp_path / "signing.pem")
    token = key.mint(Grant("demo", TENANT, 60, tasks=["digits"]), now=NOW, token_id="t-1")
    claims = check(token, read_keys(key.gate_keys().encode()), now=NOW, revoked=frozenset())
    assert (claims.sub, claims.scopes, claims.tasks, claims.jti) == (
        "demo", ("ask", "plan", "read"), ("digits",), "t-1",
    )  # fmt: skip


def test_it_ends_when_it_was_to_end(tmp_path):
    key = SigningKey.kept(tmp_path / "signing.pem")
    token = key.mint(Grant("demo", OPERATOR, 60), now=NOW, token_id="t-1")
    keys = read_keys(key.gate_keys().encode())
    with pytest.raises(UnauthenticatedError, match="expired"):
        check(token, keys, now=NOW + 66, revoked=frozenset())


def test_another_meshes_token_is_refused(tmp_path):
    ours, theirs = (SigningKey.kept(tmp_path / name / "signing.pem") for name in ("a", "b"))
    token = theirs.mint(Grant("demo", TENANT, 60), now=NOW, token_id="t-1")
    with pytest.raises(UnauthenticatedError, match="not signed by this mesh"):
        check(token, read_keys(ours.gate_keys().encode()), now=NOW, revoked=frozenset())


def test_the_key_is_kept_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "keys" / "signing.pem"
    first, again = SigningKey.kept(path), SigningKey.kept(path)
    assert first.id == again.id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(json.loads(first.gate_keys())) == [first.id]
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_no_key_is_not_overwritten(tmp_path):
    path = tmp_path / "signing.pem"
    path.write_text("something dear")
    with pytest.raises(ConflictError, match="not an Ed25519 private key"):
        SigningKey.kept(path)
    assert path.read_text() == "something dear"


def test_a_tenant_that_could_not_be_a_name_gets_no_token(tmp_path):
    key = SigningKey.kept(tmp_path / "signing.pem")
    with pytest.raises(BadNameError):
        key.mint(Grant("Ten Ant", TENANT, 60), now=NOW, token_id="t-1")
