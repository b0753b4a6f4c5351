"""Publishing: versions, channels, keys and their rotation, as an operator sees them."""

from pathlib import Path

import pytest

from cloud_core.registry.keys import Keyring
from cloud_core.registry.repository import Repository, spoiled
from cloud_core.registry.store import RegistryStore
from protocol.errors import ConflictError, ForbiddenError, UnknownError, UntrustedError
from tests.signed import DAY, EPOCH, Time, a_folder, a_repository, table

TOP = {"root", "targets", "snapshot", "timestamp"}


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def repository(tmp_path, time):
    return a_repository(tmp_path, time)


def publish(repository, tmp_path, number, **options):
    folder = a_folder(tmp_path / f"built-{number}", data=lambda _: table(number))
    return repository.publish(folder, publisher="acme", **options)


def channels(repository):
    return {t.version: t.channel for t in repository.targets()}


def test_a_first_version_is_current_and_the_next_a_candidate(repository, tmp_path):
    assert publish(repository, tmp_path, 1).target.channel == "current"
    assert publish(repository, tmp_path, 2).target.version == 2
    assert channels(repository) == {1: "current", 2: "candidate"}
    assert repository.promote("digits", publisher=None, version=None).version == 2
    assert repository.rollback("digits", publisher=None, version=None).version == 1
    assert channels(repository) == {1: "current", 2: "withdrawn"}


def test_the_same_content_is_published_once(repository, tmp_path):
    first = publish(repository, tmp_path, 1)
    again = publish(repository, tmp_path, 1)
    assert (first.new, again.new) == (True, False)
    assert again.target == first.target
    publish(repository, tmp_path, 2)
    assert not publish(repository, tmp_path, 2, promote=True).new
    assert channels(repository) == {1: "current", 2: "current"}


def test_there_is_nothing_before_the_first_version(repository, tmp_path):
    publish(repository, tmp_path, 1)
    with pytest.raises(ConflictError, match="the only one"):
        repository.rollback("digits", publisher=None, version=None)


def test_an_older_version_is_gone_back_to_and_not_promoted(repository, tmp_path):
    for number in (1, 2, 3):
        publish(repository, tmp_path, number, promote=True)
    with pytest.raises(ConflictError, match="version 3 is current"):
        repository.promote("digits", publisher=None, version=1)
    assert repository.rollback("digits", publisher="acme", version=1).version == 1
    assert channels(repository) == {1: "current", 2: "withdrawn", 3: "withdrawn"}


def test_a_bundle_and_a_publisher_that_are_unknown_are_named(repository, tmp_path):
    with pytest.raises(UnknownError, match="no bundle faces"):
        repository.promote("faces", publisher=None, version=None)
    with pytest.raises(UnknownError, match="no publisher nobody"):
        repository.publish(a_folder(tmp_path / "b"), publisher="nobody")


def test_publishing_needs_no_root_and_no_targets_keys(repository, tmp_path):
    for path in (tmp_path / "keys").glob("*.pem"):
        if path.name.startswith(("root", "targets")):
            path.unlink()
    assert publish(repository, tmp_path, 1).new


@pytest.mark.parametrize("role", ["publisher-acme", "snapshot", "timestamp"])
def test_publishing_without_a_key_says_which(repository, tmp_path, role):
    next((tmp_path / "keys").glob(f"{role}-*.pem")).unlink()
    with pytest.raises(ForbiddenError, match=f"0 of 1 keys for {role}"):
        publish(repository, tmp_path, 1)
    assert repository.targets() == []


def test_root_keys_lie_apart_under_a_passphrase(tmp_path, time):
    def repository(passphrase):
        keys = Keyring(tmp_path / "keys", offline=tmp_path / "stick", passphrase=passphrase)
        return Repository(RegistryStore(tmp_path / "repository"), keys, time)

    repository(b"open").create(roots=3, threshold=2, encrypt_roots=True)
    kept = {path.name.partition("-")[0] for path in (tmp_path / "keys").iterdir()}
    assert kept == TOP - {"root"}
    assert all(b"ENCRYPTED" in path.read_bytes() for path in (tmp_path / "stick").iterdir())
    with pytest.raises(ForbiddenError, match="has a passphrase"):
        repository(None).rotate("timestamp")
    with pytest.raises(ForbiddenError, match="cannot be opened"):
        repository(b"wrong").rotate("timestamp")
    repository(b"open").rotate("timestamp")
    assert repository(None).believed().root.version == 2


def test_keys_are_their_owners_alone(tmp_path):
    a_repository(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


@pytest.mark.parametrize("role", [*sorted(TOP), "acme"])
def test_a_rotated_key_is_replaced_and_removed(repository, tmp_path, role):
    publish(repository, tmp_path, 1)
    before = {path.name for path in (tmp_path / "keys").iterdir()}
    repository.rotate(role)
    after = {path.name for path in (tmp_path / "keys").iterdir()}
    assert len(before - after) == len(after - before) == 1
    assert publish(repository, tmp_path, 2).new
    assert repository.believed().root.version == (1 if role == "acme" else 2)


def test_what_expires_before_long_is_renewed(repository, time):
    assert repository.renew() == ()
    time.now = EPOCH + 5 * DAY
    assert repository.renew() == ("timestamp",)
    time.now = EPOCH + 20 * DAY
    assert set(repository.renew()) == {"snapshot", "timestamp"}
    time.now = EPOCH + 300 * DAY
    assert set(repository.renew()) == TOP | {"acme"}
    assert min(repository.left(repository.believed()).values()) > 0.9


def test_two_repositories_are_not_made_in_one_place(repository):
    with pytest.raises(ConflictError, match="already"):
        repository.create()


@pytest.mark.parametrize("name", ["root", "timestamp", "targets", "snapshot"])
def test_no_publisher_is_called_as_a_role(repository, name):
    with pytest.raises(ConflictError):
        repository.add_publisher(name, repository.believed().rights("acme"))


def test_a_file_that_is_not_the_manifests_is_not_signed_for(repository, tmp_path):
    folder = a_folder(tmp_path / "b")
    (folder / "mlp-table.json").write_bytes(b"other")
    with pytest.raises(UntrustedError, match="not what the manifest says"):
        repository.publish(folder, publisher="acme")
    assert repository.targets() == []


def test_spoiled_bytes_are_found(repository, tmp_path):
    digest = publish(repository, tmp_path, 1).manifest.variants[0].digest
    assert spoiled(repository, repository.targets()) == {}
    Path(repository.store.folder / "blobs" / digest).write_bytes(b"other")
    assert set(spoiled(repository, repository.targets())) == {"acme/digits/1.tar"}


def test_everything_is_written_down(repository, tmp_path):
    publish(repository, tmp_path, 1)
    repository.rotate("acme")
    repository.revoke_publisher("acme")
    kinds = [kind for kind, _ in repository._audit.entries]  # noqa: SLF001  # the test's own
    assert kinds == [
        "keys-created", "publisher-added", "bundle-published", "keys-rotated", "publisher-revoked",
    ]  # fmt: skip


def test_a_publisher_that_comes_back_begins_after_what_it_was(repository, tmp_path):
    rights = repository.believed().rights("acme")
    publish(repository, tmp_path, 1)
    before = repository.believed().meta("acme").version
    repository.revoke_publisher("acme")
    assert repository.targets() == []
    repository.add_publisher("acme", rights)
    assert repository.believed().meta("acme").version > before
