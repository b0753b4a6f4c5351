"""MiniLM-L6, as torch layers, from a packaged checkpoint. Only what an embedding needs.

Attention is written out in matrix products: every exporter knows those.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

_MASKED = -1e4
"""Added to the scores of padding: as good as minus infinity, and a number in every precision."""


class Embedding(nn.Module):  # type: ignore[misc]  # torch is not typed for us
    """Token, position and segment, added up."""

    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], width)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], width)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        places = self.position_embeddings.weight[: ids.shape[1]]
        segment = self.token_type_embeddings.weight[0]
        return self.LayerNorm(self.word_embeddings(ids) + places + segment)


class Layer(nn.Module):  # type: ignore[misc]  # torch is not typed for us
    """Attention, then two linear maps; each is added to what came in, and normalised."""

    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.heads = config["num_attention_heads"]
        self.size = width // self.heads
        self.query, self.key, self.value, self.attended = (
            nn.Linear(width, width) for _ in range(4)
        )
        self.widened, self.narrowed = nn.Linear(width, inner), nn.Linear(inner, width)
        self.attended_norm = nn.LayerNorm(width, eps=1e-12)
        self.narrowed_norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, rows: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        query, key, value = (self._split(part(rows)) for part in (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) * self.size**-0.5 + mask
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        rows = self.attended_norm(rows + self.attended(mixed))
        return self.narrowed_norm(rows + self.narrowed(nn.functional.gelu(self.widened(rows))))

    def _split(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.unflatten(-1, (self.heads, self.size)).transpose(1, 2)


class MiniLM(nn.Module):  # type: ignore[misc]  # torch is not typed for us
    """Sentences to unit vectors: the mean of the last layer's rows that are not padding."""

    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        self.embeddings = Embedding(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        present = attention_mask.to(torch.float32)
        rows = self.embeddings(input_ids)
        mask = (1.0 - present)[:, None, None, :] * _MASKED
        for layer in self.layers:
            rows = layer(rows, mask)
        total = (rows * present[:, :, None]).sum(1)
        mean = total / present.sum(1, keepdim=True).clamp(min=1e-9)
        return mean / (mean * mean).sum(1, keepdim=True).sqrt().clamp(min=1e-12)


_NAMES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attended",
    "attention.output.LayerNorm": "attended_norm",
    "intermediate.dense": "widened",
    "output.dense": "narrowed",
    "output.LayerNorm": "narrowed_norm",
}
"""What the checkpoint calls each part of a layer."""


def load(folder: Path) -> MiniLM:
    """Return the model with the weights in `folder`."""
    model = MiniLM(json.loads((folder / "config.json").read_text()))
    kept = load_file(folder / "model.safetensors")
    model.load_state_dict(
        {_named(key): value for key, value in kept.items() if _wanted(key)}, strict=True
    )
    model.eval()
    return model


def _wanted(key: str) -> bool:
    """The pooler is not used for embeddings, and the position ids are only 0, 1, 2, ..."""
    return not key.startswith("pooler.") and key != "embeddings.position_ids"


def _named(key: str) -> str:
    if not key.startswith("encoder.layer."):
        return key
    number, _, part = key.removeprefix("encoder.layer.").partition(".")
    owner, _, tensor = part.rpartition(".")
    return f"layers.{number}.{_NAMES[owner]}.{tensor}"
