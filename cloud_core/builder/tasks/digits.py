"""Handwritten digits: 1,797 real 8 x 8 scans, from scikit-learn; the first 1,200 train."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from cloud_core.builder.recipe import Architecture, Validation, top1
from protocol.bundles import Task
from protocol.types import Axes

TASK = Task(
    name="digits",
    inputs=(Axes(name="image", datatype="FP32", shape=(-1, 8, 8)),),
    outputs=(Axes(name="scores", datatype="FP32", shape=(-1, 10)),),
    metric="accuracy",
    description="Which digit, 0 to 9, an 8 x 8 scan shows; pixels from 0 (blank) to 16.",
)

_TRAINED = 1200
_BRIGHTEST = 16.0
_BATCH = 64


class Perceptron(nn.Module):  # type: ignore[misc]  # torch is not typed for us
    """Sixteen hidden units: about 1,200 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 16)
        self.scores = nn.Linear(16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.scores(torch.relu(self.hidden((image / _BRIGHTEST).flatten(1))))


class Convolutions(nn.Module):  # type: ignore[misc]  # torch is not typed for us
    """Three convolutions, about 15,000 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, 10),
        )  # fmt: skip

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers((image / _BRIGHTEST).unsqueeze(1))


def architectures() -> Iterator[Architecture]:
    """Train each from the same seed, on one thread: a rebuild gives the same model."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield Architecture(name="mlp-tiny", module=_trained(Perceptron(), epochs=40, shift=0))
    torch.manual_seed(0)
    yield Architecture(name="cnn-small", module=_trained(Convolutions(), epochs=80, shift=1))


def validation() -> Validation:
    """The 597 scans that no training saw."""
    images, labels = _scans()
    return Validation(
        inputs={"image": images[_TRAINED:].numpy()},
        quality=top1("scores", labels[_TRAINED:].numpy()),
        calibration={"image": images[: _TRAINED // 2].numpy()},
    )


@cache
def _scans() -> tuple[torch.Tensor, torch.Tensor]:
    scans = load_digits()
    return torch.from_numpy(scans.images.astype(np.float32)), torch.from_numpy(scans.target)


def _trained(model: nn.Module, *, epochs: int, shift: int) -> nn.Module:
    """Adam with a cosine rate; every batch is shifted by up to `shift` pixels each way."""
    images, labels = (part[:_TRAINED] for part in _scans())
    chance = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(_TRAINED, generator=chance).split(_BATCH):
            optimizer.zero_grad()
            scores = model(_shifted(images[rows], shift, chance))
            nn.functional.cross_entropy(scores, labels[rows]).backward()
            optimizer.step()
        rate.step()
    return model.eval()


def _shifted(images: torch.Tensor, shift: int, chance: torch.Generator) -> torch.Tensor:
    down, right = torch.randint(0, 2 * shift + 1, (2,), generator=chance).tolist()
    padded = nn.functional.pad(images, (shift, shift, shift, shift))
    return padded[:, down : down + 8, right : right + 8]
