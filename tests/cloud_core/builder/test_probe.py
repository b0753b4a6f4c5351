import json
import sys
from pathlib import Path

import numpy as np

from cloud_core.builder import probe
from tests.build import a_task, a_variant


def test_a_load_is_timed_with_the_golden_run_that_a_node_ends_it_with(tmp_path):
    file = tmp_path / "slow.json"
    file.write_text(
        json.dumps({"runs": {"1": [40] * 5}, "load_ms": 20, "outputs": {"scores": [10]}})
    )
    question = probe.Question(
        task=a_task(), variant=a_variant(data=file.read_bytes(), max_batch=1), file=file,
        sets=("golden",), budget_s=0.01,
    )  # fmt: skip
    golden = {"image": np.zeros((1, 8, 8), np.float32)}
    probed = probe.ask(question, {"golden": golden}, Path(sys.executable))
    assert probed.profile is not None
    assert probed.profile.load_ms >= 60  # what is waited for, at the least
