"""The mesh's keys, and what is minted with them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_core.identity.authority import Authority, Holder
from cloud_core.identity.roles import MESH_ROLES, SYSTEM_ROLES
from edge_agent.identity import nkeys
from edge_agent.identity.credentials import Credentials, claims_of, tags_of
from edge_agent.identity.passport import Passport
from protocol.errors import BadNameError, BadRequestError, ConflictError, MeshError, UntrustedError

NOW = 1.8e9
CAM = Holder("agent", "cam-1", "site-1")


def test_keys_are_made_once_and_only_their_owner_may_read_them(tmp_path):
    first = Authority.kept(tmp_path, NOW)
    assert Authority.kept(tmp_path, NOW + 9).accounts == first.accounts
    for path in tmp_path.rglob("*.nk"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_credentials_say_who_where_and_until_when(tmp_path):
    authority = Authority.kept(tmp_path, NOW)
    minted = authority.credentials(CAM, tmp_path / "cam.creds", now=NOW, lifetime_s=60)
    claims = claims_of(minted.jwt)
    assert (claims["name"], claims["sub"], claims["exp"]) == ("cam-1", minted.public, NOW + 60)
    assert tags_of(minted.jwt) == {"site": "site-1", "tier": "edge", "parent": "cloud"}
    assert minted.issuer == authority.accounts.roles["agent"]
    assert minted.inbox == f"_INBOX.site-1.{minted.public}"
    assert repr(minted) == "<Credentials cam-1 of site-1>"


def test_a_jwt_carries_no_permissions_and_fits_in_a_connect_line(tmp_path):
    authority = Authority.kept(tmp_path, NOW)
    for role in (*MESH_ROLES, *SYSTEM_ROLES):
        holder = Holder(role, "n" * 63, "s" * 63)
        jwt = authority.credentials(holder, tmp_path / f"{role}.creds", now=NOW).jwt
        assert set(claims_of(jwt)["nats"]) == {"issuer_account", "tags", "type", "version"}
        assert len(jwt) < 1500


def test_credentials_are_kept_until_half_of_their_life_is_over(tmp_path):
    authority, path = Authority.kept(tmp_path, NOW), tmp_path / "cam.creds"
    first = authority.credentials(CAM, path, now=NOW, lifetime_s=100)
    assert authority.credentials(CAM, path, now=NOW + 49, lifetime_s=100).jwt == first.jwt
    assert authority.credentials(CAM, path, now=NOW + 51, lifetime_s=100).jwt != first.jwt


def test_credentials_of_another_mesh_are_minted_anew(tmp_path):
    path = tmp_path / "cam.creds"
    theirs = Authority.kept(tmp_path / "theirs", NOW).credentials(CAM, path, now=NOW)
    ours = Authority.kept(tmp_path / "ours", NOW).credentials(CAM, path, now=NOW)
    assert theirs.public != ours.public


@pytest.mark.parametrize("name", ["cam.1", "*", ">", "", "Cam", "x" * 64])
def test_a_name_that_would_be_more_than_one_token_is_refused(tmp_path, name):
    holder = Holder("agent", name, "site-1")
    with pytest.raises(BadNameError):
        Authority.kept(tmp_path, NOW).credentials(holder, tmp_path / "x", now=NOW)


def test_missing_keys_are_an_error_that_says_where(tmp_path):
    with pytest.raises(ConflictError, match=r"accounts\.json cannot be read"):
        Authority.read(tmp_path)
    authority = Authority.kept(tmp_path, NOW)
    (tmp_path / "roles" / "agent.nk").unlink()
    with pytest.raises(MeshError, match=r"agent\.nk cannot be read"):
        authority.credentials(CAM, tmp_path / "x", now=NOW)


def test_a_credentials_file_comes_back_and_a_mixed_one_does_not(tmp_path):
    authority = Authority.kept(tmp_path, NOW)
    mine = authority.credentials(CAM, tmp_path / "cam.creds", now=NOW)
    assert Credentials.parse((tmp_path / "cam.creds").read_text()).jwt == mine.jwt
    mixed = Credentials(mine.jwt, Ed25519PrivateKey.generate())
    with pytest.raises(UntrustedError, match="another key"):
        Credentials.parse(mixed.text)
    with pytest.raises(UntrustedError, match="not a NATS credentials file"):
        Credentials.parse("nothing")


def test_a_renewed_jwt_takes_the_old_one_s_place_for_the_same_key_only(tmp_path):
    authority, path = Authority.kept(tmp_path, NOW), tmp_path / "cam.creds"
    mine = authority.credentials(CAM, path, now=NOW, lifetime_s=100)
    passport = Passport.read(path)
    renewed = authority.user_jwt(CAM, mine.public, now=NOW + 50, lifetime_s=100)
    passport.replace(renewed)
    assert Passport.read(path).jwt == renewed == passport.jwt
    other = nkeys.public_text(Ed25519PrivateKey.generate(), "U")
    with pytest.raises(UntrustedError):
        passport.replace(authority.user_jwt(CAM, other, now=NOW, lifetime_s=100))
    assert passport.jwt == renewed


def test_a_passport_that_is_not_there_says_how_to_get_one(tmp_path):
    with pytest.raises(BadRequestError) as refused:
        Passport.read(tmp_path / "none.creds")
    assert "enrol" in refused.value.hint
