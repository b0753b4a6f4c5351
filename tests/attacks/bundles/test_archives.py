"""Archives that hold something else than plain files: refused before anything is written."""

import gzip
import io
import tarfile

import pytest

from edge_agent.bundles.unpack import Caps, head, packed, unpacked
from protocol.bundles import MANIFEST
from protocol.errors import UntrustedError
from tests.signed import a_folder

PLAIN = {"a.bin": b"one", "b.bin": b"two"}
KINDS = {
    "link": (tarfile.SYMTYPE, "a link"), "hard link": (tarfile.LNKTYPE, "a link"),
    "character device": (tarfile.CHRTYPE, "a device"),
    "block device": (tarfile.BLKTYPE, "a device"), "pipe": (tarfile.FIFOTYPE, "a device"),
    "folder": (tarfile.DIRTYPE, "something else than files"),
    "contiguous file": (tarfile.CONTTYPE, "something else than files"),
}  # fmt: skip


def an_archive(*entries, form=tarfile.USTAR_FORMAT) -> bytes:
    """A tar of (name, bytes, changes of its entry)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=form) as archive:
        for name, data, changes in entries:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o444
            for field, value in changes.items():
                setattr(entry, field, value)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def refused(data: bytes, says: str, caps: Caps | None = None) -> None:
    with pytest.raises(UntrustedError, match=says):
        unpacked(data, caps or Caps())


def test_what_was_packed_is_unpacked():
    assert unpacked(packed(PLAIN)) == PLAIN
    assert packed(dict(reversed(PLAIN.items()))) == packed(PLAIN)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_no_plain_file_is_refused(kind):
    form, says = KINDS[kind]
    refused(an_archive(("a.bin", b"", {"type": form, "linkname": "/etc/passwd"})), says)


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a/b", "..", ".hidden", "a\\b", "C:a", "a\nb", "a b"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(name):
    refused(an_archive((name, b"x", {})), "a path")


def test_a_long_name_of_a_newer_form_is_refused():
    refused(an_archive(("a" * 200, b"x", {}), form=tarfile.PAX_FORMAT), "something else than files")
    refused(an_archive(("a" * 200, b"x", {}), form=tarfile.GNU_FORMAT), "a path")


def test_two_files_of_one_name_are_refused():
    refused(an_archive(("a.bin", b"x", {}), ("a.bin", b"y", {})), "twice")


def test_two_names_that_a_disk_may_take_for_one_are_refused():
    refused(an_archive(("A.bin", b"x", {}), ("a.bin", b"y", {})), "differ in case")


def test_too_many_files_are_refused():
    files = {f"f{number}": b"" for number in range(5)}
    assert unpacked(packed(files), Caps(files=5)) == files
    refused(packed(files), "more than 4 files", Caps(files=4))


@pytest.mark.parametrize("caps", [Caps(file_bytes=2), Caps(total_bytes=5)], ids=["one", "all"])
def test_too_many_bytes_are_refused(caps):
    refused(packed(PLAIN), "too large", caps)


def test_an_archive_bomb_is_not_even_opened():
    refused(gzip.compress(packed({"a": bytes(50_000_000)})), "malformed")


def test_a_header_that_promises_more_than_there_is_is_refused():
    data = bytearray(packed({"a": b"x"}))
    data[124:136] = b"77777777777\0"
    data[148:156] = b"        "
    data[148:156] = b"%06o\0 " % sum(data[:512])
    refused(bytes(data), "too large")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\0" * 512,
        lambda data: data + packed({"c": b"hidden"}),
        lambda data: data[:10] + b"\1" + data[11:],
        lambda _: b"",
        lambda data: data[:-512],
    ],
    ids=["padded", "one behind the other", "changed header", "empty", "cut"],
)
def test_anything_but_the_packers_own_bytes_is_refused(change):
    refused(change(packed(PLAIN)), "malformed|not as it would be packed")


@pytest.mark.parametrize("field", ["mtime", "uid", "mode"])
def test_an_archive_of_another_packer_is_refused(field):
    refused(an_archive(("a.bin", b"one", {field: 7})), "not as it would be packed")


def a_head(tmp_path, **changes):
    folder = a_folder(tmp_path / "built")
    names = (MANIFEST, "golden.frame", "golden-outputs.frame")
    files = {name: (folder / name).read_bytes() for name in names} | changes
    return packed({name: data for name, data in files.items() if data is not None})


def test_a_head_holds_its_manifest_and_what_that_names(tmp_path):
    assert set(head(a_head(tmp_path))) == {MANIFEST, "golden.frame", "golden-outputs.frame"}


def test_an_extra_file_is_refused(tmp_path):
    with pytest.raises(UntrustedError, match=r"differ: more\.bin"):
        head(a_head(tmp_path, **{"more.bin": b"x"}))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UntrustedError, match=r"differ: golden\.frame"):
        head(a_head(tmp_path, **{"golden.frame": None}))


def test_a_head_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(UntrustedError, match=r"no manifest.json"):
        head(a_head(tmp_path, **{MANIFEST: None}))
