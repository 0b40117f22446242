"""Weights that wait in main memory, and come to the device in groups when needed: diffusers' group offload."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from diffusers.hooks import apply_group_offloading
from diffusers.hooks.group_offloading import (
    _GROUP_OFFLOADING,
    _LAYER_EXECUTION_TRACKER,
    _LAZY_PREFETCH_GROUP_OFFLOADING,
    _is_torchao_tensor,
)
from torch import nn

HOOKS = (_LAZY_PREFETCH_GROUP_OFFLOADING, _LAYER_EXECUTION_TRACKER, _GROUP_OFFLOADING)
LAYERS, BLOCKS = "leaf_level", "block_level"


def bring_in_groups(pipeline: object, device: torch.device, *, blocks: Sequence[object] = ()) -> None:
    """Bring weights in layer by layer; those of the parts `blocks`, a few blocks at a time.

    An autoencoder cannot go by blocks: it is called by `encode` and `decode`, which bring in no layer that stands
    outside its blocks.
    """
    how: dict[str, Any] = {"onload_device": device, "use_stream": device.type == "cuda"}
    for part in modules_of(pipeline):
        by_blocks = any(part is block for block in blocks)
        level: dict[str, Any] = (
            {"offload_type": BLOCKS, "num_blocks_per_group": 2} if by_blocks else {"offload_type": LAYERS}
        )
        if hasattr(part, "enable_group_offload"):
            cast(Any, part).enable_group_offload(**how, **level)
        else:
            apply_group_offloading(part, **how, **level)


def bring_by_layers(pipeline: object, device: torch.device) -> None:
    """Bring weights in layer by layer, however they came until now."""
    opened = cast(Any, pipeline)
    for part in _parts(pipeline):
        part._compiled_call_impl = None  # hooks do not compile in one graph
    opened.remove_all_hooks()  # of offload by whole parts, beside which it may not be
    take_back(pipeline, device)
    bring_in_groups(pipeline, device)


def take_back(pipeline: object, device: torch.device) -> None:
    """Undo `bring_in_groups`: all weights wait in main memory, and nothing brings them in.

    Where memory ended in the middle of a step some are on the device. They go back from there, which is only right
    when their way to it is done.
    """
    if not group_levels(pipeline):
        return
    for part in _parts(pipeline):
        for hook in HOOKS if hasattr(part, "_diffusers_hook") else ():
            cast(Any, part)._diffusers_hook.remove_hook(hook, recurse=False)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    for module in modules_of(pipeline):
        module.to("cpu")
        _unpin(module)


def _unpin(module: nn.Module) -> None:
    """Lay int8 weights into common memory: of pinned ones, hooks would keep no copy for the way back."""
    for weight in module.parameters():
        if _is_torchao_tensor(weight) and weight.is_pinned():
            torch.utils.swap_tensors(weight, weight.detach().clone())


@contextmanager
def lying_whole(pipeline: object) -> Generator[None]:
    """Weights that come in groups all lie in main memory for as long as the block lasts, and then come as before.

    diffusers takes its hooks off and on by itself where adapters go and come, but leaves int8 weights that say they
    are on the device, and are not: no adapter goes into those.
    """
    came = {part: configs for part in modules_of(pipeline) if (configs := _configs(part))}
    if not came:
        yield
        return
    device = next(iter(came.values()))[0].onload_device
    blocks = [part for part, configs in came.items() if any(config.offload_type == BLOCKS for config in configs)]
    take_back(pipeline, device)
    try:
        yield
    finally:
        bring_in_groups(pipeline, device, blocks=blocks)


def group_levels(pipeline: object) -> set[str]:
    """Whether weights come in groups (`BLOCKS`, `LAYERS` or both); empty: they do not."""
    return {config.offload_type.value for part in modules_of(pipeline) for config in _configs(part)}


def _configs(part: nn.Module) -> list[Any]:
    """Of the groups in which its weights come."""
    registries = [getattr(module, "_diffusers_hook", None) for module in part.modules()]
    hooks = [registry.get_hook(_GROUP_OFFLOADING) for registry in registries if registry is not None]
    return [hook.config for hook in hooks if hook is not None]


def modules_of(pipeline: object) -> list[nn.Module]:
    return [part for part in cast(Any, pipeline).components.values() if isinstance(part, nn.Module)]


def _parts(pipeline: object) -> list[nn.Module]:
    return [part for whole in modules_of(pipeline) for part in whole.modules()]
