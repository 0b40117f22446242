"""Where and in which precision to run."""

import torch

from renderlift.bridge.errors import SetupError


def pick_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1", "mps" into a device that is there.

    Raises:
        SetupError: a device was asked for that this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).splitlines()[0]
        raise SetupError(
            f"the device {name!r} cannot be used: {reason}",
            fix="Leave --device out to use what is there, or run `renderlift doctor` to see why it is not.",
        ) from None
    return device


def leaves_processor_free(device: torch.device) -> bool:
    """Whether the processor can do other work while a base paints there, without being in its way."""
    return device.type != "cpu"


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """Turn "auto", "float32", "bfloat16" into a dtype.

    "auto" asks what the processor can do and times nothing: a timing that fell out otherwise on a
    busy machine would let a resumed job change its pictures midway.

    Raises:
        SetupError: another name.
    """
    named = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name in named:
        return named[name]
    if name != "auto":
        raise SetupError(f"unknown dtype {name!r}", fix="Use auto, float32 or bfloat16.")
    return torch.bfloat16 if device.type != "cpu" or _cpu_computes_bfloat16() else torch.float32


def _cpu_computes_bfloat16() -> bool:
    """Whether the processor has bfloat16 products; the others emulate them, slower than float32."""
    # Older torch does not tell.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(feature) for feature in ("amx_bf16", "avx512_bf16", "bf16"))
