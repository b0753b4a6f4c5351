"""Manifests: parsed when they hold together, and refused by `DecodeError` when not."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.bundles import Manifest, digest_key, estimate
from protocol.errors import DecodeError
from tests.protocol.strategies import manifests


def a_manifest(**changed):
    axes = {"name": "image", "datatype": "FP32", "shape": [-1, 8, 8]}
    scores = {"name": "scores", "datatype": "FP32", "shape": [-1, 10]}
    task = {"name": "digits", "inputs": [axes], "outputs": [scores]}
    return {"bundle": "digits", "version": 1, "task": task, "variants": [a_variant()],
            "golden": "golden.in", "golden_outputs": "golden.out"} | changed  # fmt: skip


def a_variant(**changed):
    return {
        "id": "cnn-small-onnx-fp32", "architecture": "cnn-small",
        "format": "onnx", "precision": "fp32",
        "file": "cnn-small.onnx", "digest": digest_key("0" * 64), "size_bytes": 10, "accuracy": 0.9,
        "inputs": {"image": {"name": "x", "datatype": "FP32"}},
        "outputs": {"scores": {"name": "y", "datatype": "FP32"}},
        "runtimes": [{"name": "onnxruntime", "version": "1.32.0"}],
        "profile": {"load_ms": 1, "memory_bytes": 1, "runs": {"1": {"ms": [1, 1, 1, 1, 1]}}},
    } | changed  # fmt: skip


def parsed(manifest):
    return Manifest.parse(json.dumps(manifest).encode())


def refused(manifest, match):
    with pytest.raises(DecodeError, match=match):
        parsed(manifest)


@settings(max_examples=50)
@given(manifests())
def test_a_manifest_survives_its_file(manifest):
    assert Manifest.parse(manifest.model_dump_json().encode()) == manifest


@given(st.binary(max_size=200))
def test_noise_is_no_manifest(noise):
    with pytest.raises(DecodeError):
        Manifest.parse(noise)


@settings(max_examples=50)
@given(manifests(), st.data())
def test_a_mangled_manifest_raises_nothing_but_decode_error(manifest, data):
    mangled = bytearray(manifest.model_dump_json().encode())
    mangled[data.draw(st.integers(0, len(mangled) - 1))] = data.draw(st.integers(0, 255))
    try:
        Manifest.parse(bytes(mangled))
    except DecodeError as error:
        assert len(error.error) < 400  # noqa: PT017  # it may also parse: then all is well


def test_the_plain_manifest_is_good():
    assert parsed(a_manifest()).variants[0].max_batch == 32


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "a/b", "a\\b", "..", ".hidden", "", "a" * 129, "a\n", "a\0", "é", "a:b"],
    ids=ascii,
)
def test_a_file_outside_the_bundle_is_refused(name):
    refused(a_manifest(variants=[a_variant(file=name)]), "file")
    refused(a_manifest(golden=name), "golden")
    refused(a_manifest(golden_outputs=name), "golden_outputs")


@pytest.mark.parametrize(
    "digest",
    ["", "0" * 64, "sha256:" + "0" * 64, "sha256-" + "0" * 63, "sha256-" + "A" * 64, "md5-0"],
)
def test_a_digest_of_another_form_is_refused(digest):
    refused(a_manifest(variants=[a_variant(digest=digest)]), "digest")


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"accuracy": 1.1}, "accuracy"),
        ({"accuracy": None}, "accuracy"),
        ({"size_bytes": -1}, "size_bytes"),
        ({"format": "pickle"}, "format"),
        ({"runtimes": []}, "runtimes"),
        ({"max_batch": 0}, "max_batch"),
        ({"batches": [0]}, "batches"),
        ({"batches": [8, 1]}, "ascend"),
        ({"batches": [1, 1]}, "ascend"),
        ({"id": "a/b"}, "id"),
        ({"tolerance": -1}, "tolerance"),
        ({"inputs": {}}, "exactly"),
        ({"outputs": {"logits": {"name": "y", "datatype": "FP32"}}}, "exactly"),
        ({"inputs": {"image": {"name": "x", "datatype": "STRING"}}}, "datatype"),
        (
            {"profile": {"load_ms": 1, "memory_bytes": 1, "runs": {"0": {"ms": [1, 1, 1, 1, 1]}}}},
            "runs",
        ),
        ({"profile": {"load_ms": 1, "memory_bytes": 1, "runs": {}}}, "runs"),
    ],
    ids=str,
)
def test_a_malformed_variant_is_refused(wrong, match):
    refused(a_manifest(variants=[a_variant(**wrong)]), match)


def test_a_manifest_of_another_format_or_version_is_refused():
    refused(a_manifest(format=2), "format")
    refused(a_manifest(version=0), "version")
    refused(a_manifest(bundle="Digits"), "bundle")


def test_two_variants_of_one_id_are_refused():
    refused(a_manifest(variants=[a_variant(), a_variant()]), "one id")
    refused(a_manifest(variants=[]), "variants")


def test_two_tensors_of_one_name_are_refused():
    task = a_manifest()["task"]
    refused(a_manifest(task=task | {"inputs": task["inputs"] * 2}), "one name")


def test_an_estimate_has_no_spread_and_no_samples():
    guess = estimate(2.5)
    assert (guess.at(50), guess.at(99.9), guess.count) == (2.5, 2.5, 0)
