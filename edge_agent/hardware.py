"""What kind of machine this is: the class under which measured profiles are kept and shared."""

import os
import platform
import re
import subprocess
from pathlib import Path

import psutil

DEVICE_TREE_MODEL = Path("/proc/device-tree/model")
NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")

# a pattern in what the board's maker wrote -> the class
BOARDS = (
    (r"raspberry pi (\d+)", "rpi{}"),
    (r"raspberry pi compute module (\d+)", "rpi-cm{}"),
    (r"raspberry pi zero 2", "rpi-zero2"),
    (r"(?:jetson|nvidia).*?(thor|orin|xavier|nano)", "jetson-{}"),
    (r"coral|phanbell", "coral"),
    (r"\brock(?: pi)? (\w+)", "rock-{}"),
)


def hardware_class() -> str:
    """A name such as ``rpi4``, ``jetson-orin``, ``cuda-h100`` or ``x86-64-2c``."""
    return classify(
        machine=platform.machine(), cores=usable_cores(), board=board_model(), card=card_model()
    )


def classify(*, machine: str, cores: int, board: str = "", card: str = "") -> str:
    """Pure: the board when it is a known one, else the card, else architecture and cores."""
    for pattern, name in BOARDS:
        if found := re.search(pattern, board.lower()):
            return _name(name.format(*found.groups()))
    if card:
        return _name(f"cuda-{card_word(card)}")
    return _name(f"{machine}-{cores}c")


def card_word(card: str) -> str:
    """``NVIDIA H100 80GB HBM3`` -> ``h100``; ``NVIDIA GeForce RTX 4090`` -> ``rtx-4090``."""
    words = [word for word in re.split(r"[\s-]+", card.lower()) if word not in _MAKERS]
    for place, word in enumerate(words):
        if re.search(r"\d", word):
            return "-".join([*words[:place], word])
    return "-".join(words) or "gpu"


_MAKERS = frozenset({"nvidia", "tesla", "geforce", "quadro", "graphics", "device"})


def memory_bytes() -> int:
    """Memory of the machine, or less where the process is confined to less."""
    return min([int(psutil.virtual_memory().total), *_confined()])


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def board_model() -> str:
    """What the board calls itself; empty on a machine that does not say."""
    try:
        return DEVICE_TREE_MODEL.read_text().rstrip("\0\n")
    except OSError:
        return ""


def card_model() -> str:
    """The first CUDA card's name, from its driver; empty where there is none. Imports no torch."""
    for information in sorted(NVIDIA_GPUS.glob("*/information")):
        if found := re.search(r"^Model:\s*(.+)$", information.read_text(), re.MULTILINE):
            return found[1].strip()
    return _asked_tool() if Path("/dev/nvidiactl").exists() else ""


def _asked_tool() -> str:
    """Inside containers /proc may not show the card; its own tool does."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603  fixed words
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.partition("\n")[0].strip()


def _confined() -> list[int]:
    """The memory limits of the control group, if any (version 2, then version 1)."""
    found = []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # absent, or "max"
            continue
    return found


def _name(text: str) -> str:
    """Make it a name of the wire: a-z, 0-9 and hyphens, at most 63."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63]
