"""Denoising steps that change little take the blocks after the first from the step before: diffusers' own cache."""

from typing import Any

from diffusers import FirstBlockCacheConfig
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformerBlock


class _PictureAndSound(TransformerBlockMetadata):  # type: ignore[misc]
    """Of LTX-2's blocks: sound goes through them beside the picture, where in other models words do.

    The cache asks for what goes beside by the name of words. LTX-2 has such an argument too, but words only go in.
    """

    def _get_parameter_from_args_kwargs(self, identifier: str, args: Any = (), kwargs: Any = None) -> Any:
        name = "audio_hidden_states" if identifier == "encoder_hidden_states" else identifier
        return super()._get_parameter_from_args_kwargs(name, args, kwargs)


def cache_blocks(denoiser: Any, threshold: float) -> None:
    """Skip the blocks after the first one in steps where that changes little.

    Args:
        threshold: over all tokens. Clean references hardly change from step to step, and thin the mean out.
    """
    if not hasattr(denoiser, "enable_cache"):  # Cosmos
        return
    # The one of these bases' blocks that diffusers does not know.
    TransformerBlockRegistry.register(LTX2VideoTransformerBlock, _PictureAndSound(0, 1))
    denoiser.enable_cache(FirstBlockCacheConfig(threshold=threshold))
