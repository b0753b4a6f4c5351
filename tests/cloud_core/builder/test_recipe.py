"""Finding a recipe, and saying what is wrong with one."""

import numpy as np
import pytest

from cloud_core.builder import recipe
from protocol.errors import BadRequestError, UnknownError

GOOD = """
from protocol.bundles import Task
from protocol.types import Axes

SIDES = (Axes(name="side", datatype="FP32", shape=(-1, 1)),)
TASK = Task(name="squares", inputs=SIDES, outputs=SIDES)


def architectures():
    return ()


def validation():
    return None
"""


def test_a_file_with_the_three_names_is_a_recipe(tmp_path):
    path = tmp_path / "squares.py"
    path.write_text(GOOD)
    assert recipe.read(str(path)).task.name == "squares"


@pytest.mark.parametrize("name", ["TASK", "architectures", "validation"])
def test_a_file_without_one_of_them_is_not(tmp_path, name):
    path = tmp_path / "partial.py"
    path.write_text(GOOD.replace(name, f"{name}_of_old"))
    with pytest.raises(BadRequestError, match="not a recipe") as caught:
        recipe.read(str(path))
    assert name in caught.value.hint


def test_an_unknown_name_is_answered_with_those_that_exist():
    with pytest.raises(UnknownError) as caught:
        recipe.read("digit")
    assert "digits, sentence-embedding" in caught.value.hint


def test_top1_is_the_share_of_rows_whose_best_class_is_the_label():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert recipe.top1("scores", np.array([1, 0, 0, 0]))({"scores": scores}) == 0.75
