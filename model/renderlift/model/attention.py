"""Attention kernels that are installed beside torch's own; none is ever downloaded.

They refuse a mask and float32. LTX-2 masks its words, and Cosmos' processors take no kernel but that of the whole
process, so of the bases only Wan and VACE use one: each processor for itself, since what a denoiser's
`set_attention_backend` sets holds for all others in the process, too.
"""

from typing import Any, cast

import torch
from diffusers.models import attention_dispatch
from diffusers.models.attention_dispatch import AttentionBackendName
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import nn

HALF = (torch.bfloat16, torch.float16)


def use_fast_kernel(denoiser: nn.Module) -> None:
    """The fastest kernel that is installed, where it takes what this denoiser computes."""
    if cast(Any, denoiser).dtype in HALF:
        _set_kernel(denoiser, _installed())


def use_plain_kernel(module: nn.Module) -> None:
    """The kernel that takes everything, torch's own unless the user names another for the whole process."""
    _set_kernel(module, None)


def _installed() -> AttentionBackendName | None:
    """By diffusers' own look, which minds versions."""
    if attention_dispatch._CAN_USE_FLASH_ATTN_3:
        return AttentionBackendName._FLASH_3
    return AttentionBackendName.FLASH if attention_dispatch._CAN_USE_FLASH_ATTN else None


def _set_kernel(module: nn.Module, kernel: AttentionBackendName | None) -> None:
    for part in module.modules():
        processor = getattr(part, "processor", None)
        if isinstance(processor, WanAttnProcessor):
            cast(Any, processor)._attention_backend = kernel  # declared as None
