import re

import pytest

from edge_agent import hardware
from protocol.names import NAME_PATTERN


@pytest.mark.parametrize(
    ("machine", "cores", "board", "card", "name"),
    [
        ("x86_64", 2, "", "", "x86-64-2c"),
        ("aarch64", 8, "", "", "aarch64-8c"),
        ("aarch64", 4, "Raspberry Pi 4 Model B Rev 1.4", "", "rpi4"),
        ("aarch64", 4, "Raspberry Pi 5 Model B Rev 1.0", "", "rpi5"),
        ("aarch64", 4, "Raspberry Pi Compute Module 4 Rev 1.1", "", "rpi-cm4"),
        ("aarch64", 4, "Raspberry Pi Zero 2 W Rev 1.0", "", "rpi-zero2"),
        ("aarch64", 12, "NVIDIA Jetson AGX Orin Developer Kit", "", "jetson-orin"),
        ("aarch64", 4, "NVIDIA Jetson Nano Developer Kit", "", "jetson-nano"),
        ("aarch64", 6, "NVIDIA Jetson Orin Nano Developer Kit", "", "jetson-orin"),
        ("aarch64", 8, "Radxa ROCK 5B", "", "rock-5b"),
        ("aarch64", 8, "Rockchip RK3588 EVB1", "", "aarch64-8c"),
        ("aarch64", 6, "NVIDIA Orin NX Developer Kit", "", "jetson-orin"),
        ("aarch64", 4, "Some Board nobody knows", "", "aarch64-4c"),
        ("x86_64", 16, "", "NVIDIA H100 80GB HBM3", "cuda-h100"),
        ("x86_64", 16, "", "Tesla T4", "cuda-t4"),
        ("x86_64", 16, "", "NVIDIA GeForce RTX 4090", "cuda-rtx-4090"),
        ("x86_64", 16, "", "NVIDIA A100-SXM4-80GB", "cuda-a100"),
        ("x86_64", 16, "", "NVIDIA Graphics Device", "cuda-gpu"),
    ],
)
def test_machines_of_a_kind_have_one_name(machine, cores, board, card, name):
    assert hardware.classify(machine=machine, cores=cores, board=board, card=card) == name


def test_this_machine_has_a_name_that_may_travel():
    assert re.fullmatch(NAME_PATTERN, hardware.hardware_class())


def test_a_board_says_what_it_is(tmp_path, monkeypatch):
    model = tmp_path / "model"
    model.write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    monkeypatch.setattr(hardware, "DEVICE_TREE_MODEL", model)
    assert hardware.board_model() == "Raspberry Pi 4 Model B Rev 1.4"
    monkeypatch.setattr(hardware, "DEVICE_TREE_MODEL", tmp_path / "absent")
    assert hardware.board_model() == ""


def test_a_card_is_seen_through_its_driver(tmp_path, monkeypatch):
    card = tmp_path / "0000:01:00.0"
    card.mkdir()
    (card / "information").write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 1\n")
    monkeypatch.setattr(hardware, "NVIDIA_GPUS", tmp_path)
    assert hardware.card_model() == "NVIDIA H100 80GB HBM3"


def test_memory_is_no_more_than_the_machine_has():
    assert 0 < hardware.memory_bytes() <= hardware.psutil.virtual_memory().total
