"""The committed bundles: right bytes, right answers, and the quality that their manifests say."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from edge_agent.bundles import smoke
from edge_agent.bundles.store import Store
from edge_agent.runtimes import registry

DEMO = Path(__file__).parents[3] / "deploy" / "demo"
STORE = Store.open([DEMO])
VARIANTS = sorted(STORE.held)
FORMS = {"onnx-fp32", "onnx-int8", "tflite-fp32", "tflite-int8", "pt2-fp32"}


@pytest.fixture(scope="module")
def held_out():
    scans = load_digits()
    return scans.images[1200:].astype(np.float32), scans.target[1200:]


@pytest.fixture
def runtime(request):
    held = STORE.held[request.param]
    loaded = registry.load(held.variant, STORE.read(request.param), 1, held.task)
    yield held.variant, loaded
    loaded.close()


def test_every_architecture_has_every_form():
    architectures = {STORE.held[name].variant.architecture for name in VARIANTS}
    assert len(architectures) >= 2
    assert set(VARIANTS) == {f"{model}.{form}" for model in architectures for form in FORMS}


def test_one_architecture_is_tiny_and_another_markedly_more_accurate():
    best: dict[str, float] = {}
    for held in STORE.held.values():
        name = held.variant.architecture
        best[name] = max(held.variant.accuracy, best.get(name, 0.0))
    assert min(best.values()) <= 0.93
    assert max(best.values()) >= 0.97


def test_all_of_them_are_small():
    assert sum(path.stat().st_size for path in DEMO.rglob("*")) < 1_500_000


def test_no_file_names_the_machine_that_built_it():
    for path in DEMO.rglob("*.*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [word for word in (b"/home/", b"/root/", b"site-packages") if word in data]


def test_litert_variants_take_batches_of_1_8_and_32():
    files = [h.variant for h in STORE.held.values() if h.variant.format == "tflite"]
    assert {variant.batches for variant in files} == {(1, 8, 32)}


def test_this_machine_can_run_them_all():
    assert STORE.unable(registry.available()) == {}


@pytest.mark.parametrize("runtime", VARIANTS, indirect=True)
def test_golden_outputs_pass(runtime):
    variant, loaded = runtime
    smoke.check(loaded, *STORE.golden(variant.id), variant.tolerance)


@pytest.mark.parametrize("runtime", VARIANTS, indirect=True)
def test_accuracy_on_the_held_out_images_is_the_manifests(runtime, held_out):
    variant, loaded = runtime
    images, labels = held_out
    scores = loaded.infer({"image": images})["scores"]
    assert np.mean(scores.argmax(1) == labels) == pytest.approx(variant.accuracy, abs=1e-3)


@pytest.mark.parametrize("runtime", VARIANTS, indirect=True)
def test_an_image_gets_the_same_class_in_whatever_batch_it_comes(runtime, held_out):
    _, loaded = runtime
    images, _ = held_out
    together = loaded.infer({"image": images})["scores"].argmax(1)
    for size in (1, 7, 32):
        batches = (images[start : start + size] for start in range(0, len(images), size))
        classes = [loaded.infer({"image": batch})["scores"].argmax(1) for batch in batches]
        np.testing.assert_array_equal(np.concatenate(classes), together)
