"""Where and in which precision to run."""

import time

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


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """Turn "auto", "float32", "bfloat16" into a dtype; "auto" takes the faster by a short timing.

    Raises:
        SetupError: another name.
    """
    named = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name in named:
        return named[name]
    if name != "auto":
        raise SetupError(f"unknown dtype {name!r}", fix="Use auto, float32 or bfloat16.")
    if device.type != "cpu":
        return torch.bfloat16
    # CPUs differ by an order of magnitude here: those with AMX or AVX512-BF16 are faster in
    # bfloat16, the others emulate it.
    return min(named.values(), key=_product_seconds)


def _product_seconds(dtype: torch.dtype) -> float:
    matrix = torch.ones(512, 512, dtype=dtype)
    seconds: list[float] = []
    for _ in range(4):  # the first one pays for the set-up
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])
