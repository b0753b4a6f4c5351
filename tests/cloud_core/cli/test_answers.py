"""Answers and plans as people and programs read them."""

import json

import numpy as np

from cloud_core.cli.answers import could, document, outcome
from cloud_core.cli.live import picture
from cloud_core.cli.show import text
from middle_tier.http.wirecall import Result

RESULT = Result(
    outputs={"scores": np.eye(10, dtype=np.float32)[[7]]},
    variant="mlp-tiny.onnx-fp32", architecture="mlp-tiny", node="edge-1", site="site-1",
    tier="edge", predicted_ms=1.0, elapsed_ms=2.0, cost_usd=1e-9, met=True,
)  # fmt: skip


def test_scores_are_read_as_classes():
    assert outcome("scores", np.eye(10)[[7]]) == "class 7"
    assert outcome("scores", np.eye(10)[[7, 1]]) == "classes 7, 1"
    assert outcome("scores", np.zeros((100, 10))).endswith("and 80 more")


def test_other_outputs_are_shown_by_shape_and_first_values():
    assert outcome("embedding", np.zeros((1, 384))).startswith("embedding [1, 384]: 0, 0,")


def test_the_whole_answer_is_json_as_the_protocol_writes_it():
    said = json.loads(json.dumps(document("digits", RESULT)))
    assert said["outputs"][0] == {
        "name": "scores", "datatype": "FP32", "shape": [1, 10], "data": [0.0] * 7 + [1.0, 0.0, 0.0],
    }  # fmt: skip
    assert said["parameters"]["met"] is True
    assert said["model_name"] == "digits"


def test_values_are_written_for_people():
    assert text(None) == "-"
    assert text(value=True) == "yes"
    assert text({"edge": 2}) == "edge 2"
    assert text(0.98661) == "0.9866"


def test_an_image_is_drawn():
    assert picture(np.array([[0.0, 16.0]])) == "  @@"
    assert picture(np.zeros((1, 1))) == "  "


def test_a_plan_that_ranks_nothing_says_what_could_be_had():
    lines = [
        {"reason": "too dear", "cost_usd": 2e-9}, {"reason": "too dear", "cost_usd": 1e-9},
        {"reason": "too slow", "cost_usd": 1e-12},
    ]  # fmt: skip
    assert could({"rejected": lines, "fastest_ms": 10.0, "best_accuracy": 0.9}) == [
        "the fastest at that accuracy takes 10.00 ms",
        "the best accuracy in that time is 0.9",
        "the cheapest that would meet it costs 1e-09 USD",
    ]
    assert could({"rejected": [], "fastest_ms": None, "best_accuracy": None}) == []
