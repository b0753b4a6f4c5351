import numpy as np
import pytest

from edge_agent.bundles.store import Held, Store
from protocol.bundles import MANIFEST, Manifest, RuntimePin
from protocol.codec import Frame, encode
from protocol.errors import ConflictError, DecodeError, UnknownError, UntrustedError
from protocol.messages import Answer, Ask, Asks, Refusal, Replies
from protocol.types import Tensor
from tests.build import a_task, a_variant

GOLDEN_IN = np.arange(128, dtype=np.float32).reshape(2, 8, 8)


def scores(seed):
    return np.full((2, 10), seed, np.float32)


def answer(variant):
    tensor = Tensor(name="scores", datatype="FP32", shape=(2, 10))
    return Answer(
        id="golden", variant=variant, architecture="mlp", node="n", site="s", tier="cloud",
        outputs=(tensor,), run_ms=0, held_ms=0,
    )  # fmt: skip


def a_bundle(folder, *names, task=None, **manifest):
    """A bundle's folder, whose variants' files are their own names."""
    task = task or a_task()
    variants = tuple(a_variant(name, data=name.encode()) for name in names)
    folder.mkdir(parents=True)
    for variant in variants:
        (folder / variant.file).write_bytes(variant.id.encode())
    image = Tensor(name="image", datatype="FP32", shape=(2, 8, 8))
    ask = Ask(id="golden", variant=names[0], inputs=(image,), budget_ms=1, deadline_ms=1)
    (folder / "golden.frame").write_bytes(encode(Frame(Asks(items=(ask,)), (GOLDEN_IN.tobytes(),))))
    replies = Replies(items=tuple(answer(name) for name in names))
    buffers = tuple(scores(n).tobytes() for n in range(len(names)))
    (folder / "outputs.frame").write_bytes(encode(Frame(replies, buffers)))
    made = Manifest(
        bundle="b", version=1, task=task, variants=variants,
        golden="golden.frame", golden_outputs="outputs.frame", **manifest,
    )  # fmt: skip
    (folder / MANIFEST).write_text(made.model_dump_json())
    return folder


def test_every_bundle_below_the_roots_is_held(tmp_path):
    a_bundle(tmp_path / "one" / "deep", "v1", "v2")
    a_bundle(tmp_path / "two", "v3", task=a_task("other"))
    store = Store.open([tmp_path / "one", tmp_path / "two"])
    assert set(store.held) == {"v1", "v2", "v3"}
    assert set(store.tasks) == {"digits", "other"}
    assert repr(store) == "<Store 2 tasks | 3 variants>"
    assert store.read("v3") == b"v3"


def test_a_bundle_that_is_found_twice_is_held_once(tmp_path):
    a_bundle(tmp_path / "one", "v1")
    assert set(Store.open([tmp_path, tmp_path / "one"]).held) == {"v1"}


def test_golden_tensors_come_under_the_tasks_names(tmp_path):
    a_bundle(tmp_path / "b", "v1", "v2", "v3")
    store = Store.open([tmp_path])
    for number, name in enumerate(("v1", "v2", "v3")):
        inputs, outputs = store.golden(name)
        np.testing.assert_array_equal(inputs["image"], GOLDEN_IN)
        np.testing.assert_array_equal(outputs["scores"], scores(number))


@pytest.mark.parametrize("spoiled", [b"v2", b"", b"v1 and more"], ids=["swapped", "empty", "long"])
def test_bytes_that_are_not_the_manifests_are_never_given_out(tmp_path, spoiled):
    folder = a_bundle(tmp_path / "b", "v1")
    store = Store.open([tmp_path])
    (folder / "v1.json").write_bytes(spoiled)
    with pytest.raises(UntrustedError):
        store.read("v1")


@pytest.mark.parametrize("lost", ["v1.json", "golden.frame", "outputs.frame"])
def test_a_lost_file_is_not_trusted(tmp_path, lost):
    folder = a_bundle(tmp_path / "b", "v1")
    (folder / lost).unlink()
    store = Store.open([tmp_path])
    with pytest.raises(UntrustedError, match=lost):
        (store.read if lost == "v1.json" else store.golden)("v1")


@pytest.mark.parametrize(
    "replies",
    [
        Frame(Asks(items=())),
        Frame(Replies(items=())),
        Frame(Replies(items=(Refusal(id="golden", reason="memory"),))),
    ],
    ids=["no replies", "nobody's", "a refusal"],
)
def test_golden_files_that_say_nothing_of_a_variant_are_not_trusted(tmp_path, replies):
    folder = a_bundle(tmp_path / "b", "v1")
    (folder / "outputs.frame").write_bytes(encode(replies))
    with pytest.raises(UntrustedError):
        Store.open([tmp_path]).golden("v1")


def test_golden_bytes_that_are_no_frame_are_not_trusted(tmp_path):
    folder = a_bundle(tmp_path / "b", "v1")
    (folder / "golden.frame").write_bytes(b"nothing")
    with pytest.raises(UntrustedError, match="golden"):
        Store.open([tmp_path]).golden("v1")


def test_a_bad_manifest_is_named(tmp_path):
    (tmp_path / MANIFEST).write_text("{}")
    with pytest.raises(DecodeError, match=MANIFEST):
        Store.open([tmp_path])


def test_a_root_that_is_no_folder_is_named(tmp_path):
    with pytest.raises(UnknownError, match="nowhere"):
        Store.open([tmp_path / "nowhere"])


def test_two_different_variants_of_one_id_are_a_conflict(tmp_path):
    store = Store()
    store.add(Held(a_variant("v", data=b"one"), a_task(), tmp_path), b"one")
    with pytest.raises(ConflictError):
        store.add(Held(a_variant("v", data=b"two"), a_task(), tmp_path), b"two")
    assert store.read("v") == b"one"


def test_one_task_of_two_signatures_is_a_conflict(tmp_path):
    store = Store()
    store.add(Held(a_variant("v1"), a_task(), tmp_path), b"")
    other = a_task(outputs=a_task().inputs)
    with pytest.raises(ConflictError):
        store.add(Held(a_variant("v2"), other, tmp_path), b"")
    assert set(store.held) == {"v1"}


def test_a_variant_from_memory_is_verified_as_well(tmp_path):
    store = Store()
    store.add(Held(a_variant("v", data=b"one"), a_task(), tmp_path), b"two")
    with pytest.raises(UntrustedError):
        store.read("v")


def test_a_variant_that_is_not_held_is_unknown():
    with pytest.raises(UnknownError):
        Store().read("v")


@pytest.mark.parametrize(
    ("available", "reason"),
    [
        ({"table": RuntimePin(name="table", version="1")}, None),
        ({"table": RuntimePin(name="table", version="2")}, "unlisted runtime table 2"),
        ({}, "runtime missing for table"),
    ],
)
def test_what_cannot_run_here_has_its_reason(tmp_path, available, reason):
    store = Store()
    store.add(Held(a_variant("v"), a_task(), tmp_path), b"")
    assert store.unable(available).get("v") == reason
