"""The test models as torch modules; needs torch."""

import torch

from tests.data.blend import BIAS, WEIGHTS


class Blend(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.from_numpy(WEIGHTS))
        self.bias = torch.nn.Parameter(torch.from_numpy(BIAS))

    def forward(self, a, b):
        return {"sum": a + b, "out": torch.relu(a @ self.weights + self.bias)}


class Wide(torch.nn.Module):
    """Large enough for the quantiser to touch its weights: what `blend` is too small for."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
        )

    def forward(self, x):
        return {"out": self.layers(x)}
