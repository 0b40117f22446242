"""Runs pytest on a simulated CUDA device: `run` builds the library and calls this, README.md says what for.

device.cpp gives torch the device; here `torch.cuda` is made to tell of it, since that asks C functions that a torch
for the CPU does not have.
"""

import ctypes
import importlib.util
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MADE_FOR = "2.13."
MEMORY_BYTES = 139 * 10**9
FREE_BYTES = 130 * 10**9


@dataclass(frozen=True)
class Properties:
    """Of a large GPU, so that every preset is taken to fit."""

    name: str = "stand-in for a GPU"
    major: int = 9
    minor: int = 0
    total_memory: int = MEMORY_BYTES
    multi_processor_count: int = 132


def torch_folder() -> Path:
    """The folder of the torch that would be imported; ends the program where that is none for the stand-in."""
    if "torch" in sys.modules:
        sys.exit("torch was imported before the stand-in for CUDA, which must come first: start it by its `run`.")
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        sys.exit("There is no torch here: install it as CONTRIBUTING.md says, or name another Python in $PYTHON.")
    folder = Path(found.origin).parent
    version = runpy.run_path(str(folder / "version.py"))
    if version["cuda"] or version["hip"] or Path("/dev/nvidiactl").exists():
        sys.exit("There is a GPU here, or a torch made for one: no stand-in is needed, run pytest itself.")
    if not version["__version__"].startswith(MADE_FOR):
        sys.exit(
            f"The stand-in for CUDA is written for torch {MADE_FOR}x and this is {version['__version__']}: "
            "install that, or see that device.cpp still fits and change MADE_FOR."
        )
    return folder


def take_the_place_of_cuda(library: Path) -> None:
    """Registers the device of a built device.cpp, and makes torch.cuda tell of it."""
    torch_folder()
    # Before torch, which asks for CUDA's hooks once, early, and never again.
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    import torch
    import torch._dynamo

    # Dynamo finds functions of torch by their names and looks them up once: it must see the real ones.
    torch._dynamo.trace_rules.get_torch_obj_rule_map()
    cuda: Any = torch.cuda
    answer_questions(cuda, torch._C)
    keep_order(cuda, torch)
    make_random_numbers(cuda, torch)
    copy_storages(torch)
    compile_without_triton(torch)


def always(answer: Any) -> Callable[..., Any]:
    return lambda *_, **__: answer


def answer_questions(cuda: Any, functions_in_c: Any) -> None:
    """What there is, and what there is to do: one device, which is ready and needs nothing."""
    properties = Properties()
    cuda._initialized = True
    cuda._lazy_call = lambda call, **_: call()
    answers = {
        "is_available": True,
        "is_initialized": True,
        "_is_compiled": True,
        "_is_in_bad_fork": False,
        "is_current_stream_capturing": False,
        "is_bf16_supported": True,
        "device_count": 1,
        "current_device": 0,
        "get_device_properties": properties,
        "get_device_name": properties.name,
        "get_device_capability": (properties.major, properties.minor),
        "mem_get_info": (FREE_BYTES, MEMORY_BYTES),
        "memory_allocated": 0,
        "max_memory_allocated": 0,
        "memory_reserved": 0,
        "max_memory_reserved": 0,
    }
    for name, answer in answers.items():
        setattr(cuda, name, always(answer))
    for name in ("init", "_lazy_init", "set_device", "empty_cache", "ipc_collect", "reset_peak_memory_stats"):
        setattr(cuda, name, always(None))
    # What torch itself asks past torch.cuda.
    for name in ("getCurrentRawStream", "getDevice", "maybeExchangeDevice", "exchangeDevice"):
        setattr(functions_in_c, f"_cuda_{name}", always(0))
    functions_in_c._cuda_isCurrentStreamCapturing = always(False)
    for name in ("setDevice", "emptyCache", "clearCublasWorkspaces"):
        setattr(functions_in_c, f"_cuda_{name}", always(None))


def keep_order(cuda: Any, torch: Any) -> None:
    """Streams and events, of torch's classes for any device."""

    class Stream(torch.Stream):  # type: ignore[misc]  # a module passed as Any has no classes to mypy
        def __new__(cls, device: Any = None, priority: int = 0, **_: Any) -> Any:
            return super().__new__(cls, device="cuda", priority=priority)

    class Event(torch.Event):  # type: ignore[misc]
        def __new__(cls, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> Any:
            return super().__new__(cls, device="cuda", enable_timing=enable_timing)

    @contextmanager
    def stream(entered: Any) -> Iterator[None]:
        if entered is None:
            yield
            return
        with entered:
            yield

    @contextmanager
    def device(_: Any) -> Iterator[None]:
        yield

    cuda.Stream, cuda.Event, cuda.stream, cuda.device = Stream, Event, stream, device
    cuda.current_stream = lambda device=None: torch.accelerator.current_stream()
    cuda.synchronize = lambda device=None: torch.accelerator.synchronize()


def make_random_numbers(cuda: Any, torch: Any) -> None:
    """The first generator that is made for the device is its default one, see device.cpp."""
    generator = torch.Generator(device="cuda")
    cuda.default_generators = (generator,)
    cuda.manual_seed = cuda.manual_seed_all = generator.manual_seed
    for module in (cuda, cuda.random):
        module._lazy_call = cuda._lazy_call
        module.get_rng_state = lambda device="cuda": generator.get_state()
        module.set_rng_state = lambda state, device="cuda": generator.set_state(state)
        module.get_rng_state_all = lambda: [generator.get_state()]
        module.set_rng_state_all = lambda states: generator.set_state(states[0])


def copy_storages(torch: Any) -> None:
    """By tensors, for copy.deepcopy: the constructor of storages knows no CUDA in a torch for the CPU."""

    def clone(self: Any) -> Any:
        seen = torch.empty(0, dtype=torch.uint8, device=self.device).set_(self)
        return seen.clone().untyped_storage()

    torch.UntypedStorage.clone = clone
    torch.storage._StorageBase.clone = clone


def compile_without_triton(torch: Any) -> None:
    """torch.compile traces and takes gradients as it would, and runs plain operations in the end."""
    compile_by = torch.compile
    torch.compile = lambda *given, **options: compile_by(*given, **options | {"backend": "aot_eager"})


def main() -> int:
    library, *arguments = sys.argv[1:]
    take_the_place_of_cuda(Path(library))
    import pytest

    return pytest.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
