"""What `doctor` says of certificates: those of `init`, and those that configurations name."""

import json
import time

import pytest

from cloud_core.cli import credentials
from cloud_core.identity import ca
from cloud_core.identity.founding import Plan, founded
from cloud_core.up.layout import Layout

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mesh")
    founded(Plan(folder, "hub.example.org", {}), time.time())
    return folder


def found(folder, days=0.0):
    findings = credentials.findings(Layout(folder), time.time() + days * DAY_S)
    return [(one.level, one.said) for one in findings if one.level != "OK"]


def test_certificates_of_gate_and_server_are_good_at_first(mesh):
    assert not found(mesh / "hub")


@pytest.mark.parametrize("name", ["server", "gate"])
def test_one_that_ends_soon_is_said_and_one_that_ended_is_wrong(mesh, name):
    certificate = f"tls/{name}.crt ends in"
    assert any(level == "WARN" and certificate in said for level, said in found(mesh / "hub", 700))
    assert any(level == "FAIL" and "ended" in said for level, said in found(mesh / "hub", 740))


def test_the_authority_ends_too(mesh):
    assert any("ca.crt ended" in said for _, said in found(mesh / "device", 3700))


def test_a_gate_s_own_certificate_is_looked_at_where_it_lies(tmp_path):
    elsewhere = tmp_path / "letsencrypt" / "fullchain.pem"
    authority = ca.Authority.kept(tmp_path / "a.crt", tmp_path / "a.key", time.time())
    authority.server("gate.example.org", elsewhere, tmp_path / "key.pem", time.time())
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "cloud.json").write_text(json.dumps({"tls_certificate": str(elsewhere)}))
    assert not found(etc)
    assert [level for level, said in found(etc, 800) if str(elsewhere) in said] == ["FAIL"]
    elsewhere.write_text("spoilt")
    assert [level for level, _ in found(etc)] == ["FAIL"]


def test_credentials_that_never_end_are_counted(mesh):
    (last,) = [
        one for one in credentials.findings(Layout(mesh / "hub"), time.time()) if one.level == "OK"
    ]
    assert "2 credentials, of servers, sites and the cloud, have no end" in last.said
