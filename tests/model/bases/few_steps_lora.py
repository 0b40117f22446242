"""A LoRA in the form in which few-step LoRAs for Wan are published."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from renderlift.model.bases.comfyui import original_name
from renderlift.model.render import load_base

# What such LoRAs change beside factors, and the parameter of diffusers that it is.
CHANGES = {
    "blocks.0.self_attn.norm_q.diff": "blocks.0.attn1.norm_q.weight",
    "blocks.1.cross_attn.norm_k.diff": "blocks.1.attn2.norm_k.weight",
    "blocks.0.norm3.diff": "blocks.0.norm2.weight",
    "blocks.0.norm3.diff_b": "blocks.0.norm2.bias",
    "blocks.1.modulation.diff": "blocks.1.scale_shift_table",
    "head.modulation.diff": "scale_shift_table",
    "patch_embedding.diff": "patch_embedding.weight",
    "patch_embedding.diff_b": "patch_embedding.bias",
    "time_embedding.0.diff_b": "condition_embedder.time_embedder.linear_1.bias",
    "time_projection.1.diff": "condition_embedder.time_proj.weight",
    "time_projection.1.diff_b": "condition_embedder.time_proj.bias",
    "text_embedding.2.diff_b": "condition_embedder.text_embedder.linear_2.bias",
    "head.head.diff": "proj_out.weight",
    "head.head.diff_b": "proj_out.bias",
}


def few_steps_lora(folder: Path, path: Path, seed: int = 0, *, biases: bool = True, changes: bool = True) -> Path:
    """Random, as lightx2v writes them: original names, biases, and changes of norms and the like.

    Args:
        biases: and changes; without them it is as others write it.
    """
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    transformer = load_base(str(folder), torch.float32).transformer
    for name, module in transformer.named_modules():
        if isinstance(module, torch.nn.Linear) and "blocks." in name and ("attn" in name or "ffn" in name):
            layer = f"diffusion_model.{original_name(name)}"
            weights[f"{layer}.lora_down.weight"] = torch.randn(4, module.in_features, generator=generator) / 2
            weights[f"{layer}.lora_up.weight"] = torch.randn(module.out_features, 4, generator=generator) / 2
            weights[f"{layer}.alpha"] = torch.tensor(8.0)
            if biases:
                weights[f"{layer}.diff_b"] = torch.randn(module.out_features, generator=generator)
    if biases and changes:
        for theirs, ours in CHANGES.items():
            shape = transformer.get_parameter(ours).shape
            weights[f"diffusion_model.{theirs}"] = torch.randn(shape, generator=generator) / 4
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)
    return path
