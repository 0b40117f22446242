"""An adapter that changes every layer it may, as no training of a few steps would."""

from pathlib import Path
from typing import Any

import torch

from renderlift.model import lora


def random_adapter(pipeline: Any, folder: Path, seed: int = 0, rank: int = 2) -> Path:
    """Written to `folder`, for the transformer of an opened base, which keeps it."""
    lora.attach(pipeline.transformer, rank=rank)
    torch.manual_seed(seed)
    for name, parameter in pipeline.transformer.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    lora.save(pipeline.transformer, folder, lora.AdapterFacts(task="lift", base=""))
    return folder
