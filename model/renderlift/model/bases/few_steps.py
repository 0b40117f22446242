"""Wan with a LoRA merged into it that was distilled for few steps: its publisher's solver and noise levels.

They stand in github.com/ModelTC/Wan2.2-Lightning (wan/configs, wan/utils/fm_solvers_euler.py), and for 2.1 as for
2.2 in github.com/ModelTC/LightX2V (configs/distill). Wan's own folders bring another solver and other levels.
"""

from typing import Any, cast

from diffusers import FlowMatchEulerDiscreteScheduler

SHIFT = 5.0


class FewSteps(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """Euler's steps over noise levels that are equally spaced down to none, before their shift.

    `WanVACEPipeline` tells its scheduler how many steps to take, but no levels.
    """

    def set_timesteps(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, num_inference_steps: int, device: Any = None, **how: Any
    ) -> None:
        """As diffusers' own, at the levels of few-step LoRAs."""
        levels = [1 - n / num_inference_steps for n in range(num_inference_steps)]
        super().set_timesteps(sigmas=levels, device=device)


def take_published_levels(pipeline: object) -> None:
    """Give a Wan pipeline the solver that few-step LoRAs are meant for."""
    cast(Any, pipeline).scheduler = FewSteps(shift=SHIFT)
