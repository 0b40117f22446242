"""A LoRA in the form in which few-step LoRAs for Wan are published."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from renderlift.model.bases.comfyui import original_name
from renderlift.model.render import load_base


def few_steps_lora(folder: Path, path: Path, seed: int = 0, *, biases: bool = True) -> Path:
    """Random, as lightx2v writes them: original names, biases, and changes of norms, which diffusers drops."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for name, module in load_base(str(folder), torch.float32).transformer.named_modules():
        if isinstance(module, torch.nn.Linear) and "blocks." in name and ("attn" in name or "ffn" in name):
            layer = f"diffusion_model.{original_name(name)}"
            weights[f"{layer}.lora_down.weight"] = torch.randn(4, module.in_features, generator=generator) / 2
            weights[f"{layer}.lora_up.weight"] = torch.randn(module.out_features, 4, generator=generator) / 2
            weights[f"{layer}.alpha"] = torch.tensor(8.0)
            if biases:
                weights[f"{layer}.diff_b"] = torch.randn(module.out_features, generator=generator)
    if biases:
        weights["diffusion_model.blocks.0.self_attn.norm_q.diff"] = torch.zeros(24)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)
    return path
