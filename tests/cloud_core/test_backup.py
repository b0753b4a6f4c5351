"""Keys put away and brought back: all of them, and only by who knows the passphrase."""

import io
import stat
import tarfile

import pytest

from cloud_core import backup
from cloud_core.backup import MAGIC, opened, restore, seal
from protocol.errors import BadRequestError, ConflictError, UnknownError

PASSPHRASE = "correct horse battery"
FILES = {
    "keys/signing.pem": b"private",
    "keys/bundles/root.pem": b"more private",
    "tokens/operator": b"token",
    "identity/operator.seed": b"seed",
    "nodes/cloud-1/desired/tenants.json": b"revocations",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What a passphrase costs is scrypt's business; its work factor is not under test."""
    monkeypatch.setattr(backup, "SCRYPT_N", 1 << 4)


def a_mesh(root, files=FILES):
    for name, data in {**files, "logs/cloud.log": b"said", "state.json": b"{}"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_every_key_comes_back_and_nothing_else_goes_along(tmp_path):
    data, names = seal(a_mesh(tmp_path / "old"), PASSPHRASE)
    assert names == sorted(FILES)
    restore(tmp_path / "new", opened(data, PASSPHRASE), over=False)
    for name, content in FILES.items():
        assert (tmp_path / "new" / name).read_bytes() == content
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600
    assert not (tmp_path / "new" / "logs").exists()


def test_the_file_shows_no_key_and_no_name(tmp_path):
    data, _ = seal(a_mesh(tmp_path), PASSPHRASE)
    assert not any(part in data for part in (*FILES.values(), b"signing", b"operator"))


def test_two_backups_of_the_same_keys_differ(tmp_path):
    assert seal(a_mesh(tmp_path), PASSPHRASE)[0] != seal(tmp_path, PASSPHRASE)[0]


@pytest.mark.parametrize("passphrase", ["", "wrong", PASSPHRASE + " ", PASSPHRASE.upper()])
def test_another_passphrase_opens_nothing(tmp_path, passphrase):
    data, _ = seal(a_mesh(tmp_path), PASSPHRASE)
    with pytest.raises(BadRequestError, match="passphrase is wrong"):
        opened(data, passphrase)


def test_no_byte_can_be_changed(tmp_path):
    data, _ = seal(a_mesh(tmp_path), PASSPHRASE)
    for place in (0, len(MAGIC), len(MAGIC) + 20, len(MAGIC) + 40, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(BadRequestError):
            opened(bytes(changed), PASSPHRASE)
    for end in (0, 10, 40, len(data) - 1):
        with pytest.raises(BadRequestError):
            opened(data[:end], PASSPHRASE)


def test_a_short_passphrase_is_refused(tmp_path):
    with pytest.raises(BadRequestError, match="too short"):
        seal(a_mesh(tmp_path), "short")


def test_a_folder_without_keys_makes_no_backup(tmp_path):
    with pytest.raises(UnknownError):
        seal(tmp_path, PASSPHRASE)


def test_other_keys_are_not_overwritten_unasked(tmp_path):
    data, _ = seal(a_mesh(tmp_path / "old"), PASSPHRASE)
    other = a_mesh(tmp_path / "other", {"keys/signing.pem": b"another"})
    with pytest.raises(ConflictError, match="holds other keys"):
        restore(other, opened(data, PASSPHRASE), over=False)
    assert (other / "keys/signing.pem").read_bytes() == b"another"
    assert not (other / "tokens").exists()
    restore(other, opened(data, PASSPHRASE), over=True)
    assert (other / "keys/signing.pem").read_bytes() == b"private"


@pytest.mark.parametrize("name", ["../keys/x", "keys/../../x", "/etc/passwd", "state.json", "x"])
def test_nothing_is_written_outside_the_folders_of_keys(name):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    head = MAGIC + bytes(28)
    sealed = backup._cipher(PASSPHRASE, head).encrypt(head[-12:], packed.getvalue(), head)  # noqa: SLF001  # what another program might seal
    with pytest.raises(BadRequestError, match="no place"):
        opened(head + sealed, PASSPHRASE)
