"""Every client gets the same, correct classes; and the mesh is as accurate as its manifests say."""

import json
import subprocess

import numpy as np
import pytest
import tritonclient.http as triton

from tests.integration.conftest import tiermesh

pytestmark = pytest.mark.mesh

VARIANT = "cnn-small.onnx-fp32"
"""Named, so that every client asks the same thing: the wants are tested elsewhere."""


def classes(scores) -> list[int]:
    return np.argmax(np.asarray(scores).reshape(-1, 10), axis=1).tolist()


@pytest.fixture(scope="module")
def expected(running, images) -> list[int]:
    with running.mesh() as mesh:
        return classes(mesh.ask("digits", images[:32], variant=VARIANT).output)


@pytest.fixture
def inference_server(running):
    host = running.gate().removeprefix("http://")
    with triton.InferenceServerClient(host) as client:
        yield client


def test_they_are_the_right_ones(expected, labels):
    assert sum(a == b for a, b in zip(expected, labels, strict=False)) >= 30


@pytest.mark.parametrize("rows", [1, 3, 8, 32])
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_tritonclient(running, inference_server, images, expected, rows, binary):
    given = triton.InferInput("image", [rows, 8, 8], "FP32")
    given.set_data_from_numpy(images[:rows], binary_data=binary)
    answer = inference_server.infer(
        "digits",
        [given],
        model_version=VARIANT,
        outputs=[triton.InferRequestedOutput("scores", binary_data=binary)],
        headers={"Authorization": f"Bearer {running.document['token']}"},
    )
    assert classes(answer.as_numpy("scores")) == expected[:rows]


def test_curl(running, tmp_path, images, expected):
    body = {
        "inputs": [
            {
                "name": "image",
                "datatype": "FP32",
                "shape": [32, 8, 8],
                "data": images[:32].ravel().tolist(),
            }
        ]
    }
    path = tmp_path / "body.json"
    path.write_text(json.dumps(body))
    token = (running.dir / "tokens" / "demo").read_text().strip()
    url = f"{running.gate()}/v2/models/digits/versions/{VARIANT}/infer"
    command = ["curl", "-sS", "-d", f"@{path}", "-H", f"Authorization: Bearer {token}", url]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert classes(json.loads(run.stdout)["outputs"][0]["data"]) == expected


@pytest.mark.parametrize("suffix", ["npy", "json"])
def test_the_command(running, tmp_path, images, expected, suffix):
    path = tmp_path / f"images.{suffix}"
    if suffix == "npy":
        np.save(path, images[:32])
    else:
        path.write_text(json.dumps({"image": images[:32].tolist()}))
    where = ("--dir", running.dir, "--variant", VARIANT, "--json")
    run = tiermesh("ask", "digits", "--input", path, *where)
    assert run.returncode == 0, run.stderr
    assert classes(json.loads(run.stdout)["outputs"][0]["data"]) == expected


@pytest.mark.parametrize("kind", ["mlp-tiny.onnx-int8", "cnn-small.tflite-fp32"])
def test_accuracy_through_the_whole_mesh_is_the_manifests(running, images, labels, kind):
    with running.mesh() as mesh:
        task = next(t for t in mesh.tasks() if t["name"] == "digits")
        promised = next(v["accuracy"] for v in task["variants"] if v["variant"] == kind)
        found = []
        for start in range(0, len(images), 32):
            rows = images[start : start + 32]
            found += classes(mesh.ask("digits", rows, variant=kind, latency_ms=10_000).output)
    accuracy = float(np.mean(np.array(found) == labels))
    assert accuracy == pytest.approx(promised, abs=1e-4)


def test_the_three_levels_of_asking(running, images):
    with running.mesh("site-1") as mesh:
        assert mesh.ask("digits", images[0]).architecture == "mlp-tiny"
        assert mesh.ask("digits", images[0], architecture="cnn-small").architecture == "cnn-small"
        assert mesh.ask("digits", images[0], variant=VARIANT).variant == VARIANT
