"""One loaded base for all renders that stand on it, whatever their adapters: the adapter is swapped, not the base.

An adapter whose layers and ranks are those of the one that is in takes its place in the very tensors, so compiled
blocks stay compiled; any other one is taken out and the new one put in. Either way the weights are those of a fresh
load, and so are the pictures. peft has a hot swap as well, which walks through all modules of the base several
times: where the tensors are is remembered here instead.
"""

import re
import threading
from collections.abc import Callable, Generator, Hashable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from peft.utils.hotswap import prepare_model_for_compiled_hotswap
from safetensors import safe_open
from safetensors.torch import load_file

from renderlift.model.bases.adapters import LOW_NOISE_FILE, fitting_facts, load_adapter, peft_name
from renderlift.model.bases.alphas import PEFT_CONFIG
from renderlift.model.bases.facts import BaseFacts
from renderlift.model.lora import AdapterFacts, adapter_file, plain_alpha, read_facts
from renderlift.model.offload import lying_whole

Layout = Mapping[str, tuple[int, ...]]  # names and shapes of an adapter's tensors
_FACTOR = re.compile(r"transformer\.(.+)\.lora_([AB])\.weight")  # names of tensors that go in as they are


@dataclass(frozen=True)
class Worn:
    """The adapter that is in a base."""

    file: Path
    changed_ns: tuple[int, ...]
    name: str  # that peft knows it by, from the task of the first one that was in its place
    scale: float
    facts: AdapterFacts
    layout: Layout
    seats: Mapping[str, Any]  # the peft layer that each tensor of its file is in; empty: it is not that simple


class SharedBase:
    """A pipeline and the adapter in it; one render at a time uses it."""

    def __init__(self, pipeline: object, facts: BaseFacts, *, compiles: bool = False) -> None:
        self.pipeline = pipeline
        self._compiles = compiles
        self.settled = False  # on its device, compiled if that is wanted
        self._opened: Any = pipeline
        self._facts = facts
        self._worn: Worn | None = None
        self._busy = threading.RLock()

    @contextmanager
    def wearing(self, adapter: Path | None, scale: float) -> Generator[AdapterFacts | None]:
        """The base with this adapter, for as long as the block lasts; gives what the adapter's file says of itself.

        Raises:
            SetupError: no adapter there, or one for another base.
        """
        with self._busy:
            yield self._wear(adapter, scale)

    def _wear(self, adapter: Path | None, scale: float) -> AdapterFacts | None:
        if adapter is None:
            if self._worn:
                self._take_off()
            return None
        file = adapter_file(adapter)
        written_ns = changed_ns(file)
        worn = self._worn
        if worn and (worn.file, worn.changed_ns) == (file, written_ns):
            if worn.scale != scale:
                self._opened.set_adapters(worn.name, scale)
                self._worn = replace(worn, scale=scale)
            return worn.facts
        layout = layout_of(file)
        facts = fitting_facts(self._facts, file)
        if worn and _swapped(worn, facts, file, layout, scale):
            self._worn = replace(worn, file=file, changed_ns=written_ns, scale=scale, facts=facts)
            return facts
        with lying_whole(self._opened):
            if worn:
                self._take_off()
            facts = load_adapter(self._opened, self._facts, file, scale)
        name = peft_name(facts.task)
        if self._compiles:
            # Its scales become tensors, whose values are no reason to compile anew. No rank is padded.
            denoiser = self._opened.transformer
            prepare_model_for_compiled_hotswap(denoiser, config=denoiser.peft_config, target_rank=None)
        seats = self._seats(layout, name) if plain_alpha(file) is not None else {}
        self._worn = Worn(file, written_ns, name, scale, facts, layout, seats)
        return facts

    def _take_off(self) -> None:
        self._worn = None
        self._opened.unload_lora_weights()

    def _seats(self, layout: Layout, name: str) -> Mapping[str, Any]:
        if getattr(self._opened, "transformer_2", None):  # whose factors are in another file
            return {}
        layers = dict(self._opened.transformer.named_modules())
        matches = {key: _FACTOR.fullmatch(key) for key in layout}
        # A file may have layers that the base lacks: they stay out, and so does the swap.
        seats = {key: layers.get(match[1]) if match else None for key, match in matches.items()}
        return seats if all(name in getattr(layer, "lora_A", ()) for layer in seats.values()) else {}


@torch.no_grad()
def _swapped(worn: Worn, facts: AdapterFacts, file: Path, layout: Layout, scale: float) -> bool:
    """Put an adapter in the place of the one that is in; False where it does not fit there."""
    alpha = plain_alpha(file)
    if facts.base != worn.facts.base or layout != worn.layout or not worn.seats or alpha is None:
        return False
    for key, values in load_file(file).items():
        layer, factor = worn.seats[key], key.removesuffix(".weight")[-1]
        getattr(layer, f"lora_{factor}")[worn.name].weight.copy_(values)
        if factor == "A":
            _set_scale(layer, worn.name, alpha or len(values), scale)
    return True


def changed_ns(file: Path) -> tuple[int, ...]:
    """When an adapter's file was written, and those beside it, for a second expert and of peft's."""
    files = (file, file.with_name(LOW_NOISE_FILE), file.with_name(PEFT_CONFIG))
    return tuple(path.stat().st_mtime_ns for path in files if path.is_file())


def _set_scale(layer: Any, name: str, alpha: float, scale: float) -> None:
    layer.lora_alpha[name] = alpha  # from which `set_adapters` computes
    value = scale * alpha / layer.r[name]
    if isinstance(layer.scaling[name], torch.Tensor):
        layer.scaling[name].fill_(value)
    else:
        layer.scaling[name] = value


_open: WeakValueDictionary[Hashable, SharedBase] = WeakValueDictionary()
_opening = threading.Lock()
_announce: ContextVar[Callable[[], None]] = ContextVar("_announce", default=lambda: None)


@contextmanager
def announced(opening: Callable[[], None]) -> Generator[None]:
    """Within the block, `opening` is called before a base is opened, and not where a render shares an open one."""
    token = _announce.set(opening)
    try:
        yield
    finally:
        _announce.reset(token)


def shared(
    key: Hashable,
    folder: Path,
    facts: BaseFacts,
    adapter: Path | None,
    open_it: Callable[[], object],
    *,
    compiles: bool,
) -> SharedBase:
    """The base that is open under this key for another render, or a newly opened one.

    Args:
        key: all that it depends on beside the files of `folder`.
        compiles: its blocks are compiled, so only adapters of one layout can share it.
    """
    if compiles:
        key = key, adapter and tuple(layout_of(adapter_file(adapter)).items())
    stamp = tuple((path.name, path.stat().st_mtime_ns) for path in sorted(folder.glob("*/*.safetensors")))
    with _opening:
        base = _open.get((key, folder, stamp))
        if base is None:
            _announce.get()()
            base = _open[(key, folder, stamp)] = SharedBase(open_it(), facts, compiles=compiles)
        return base


def layout_of(file: Path) -> Layout:
    """Raises:
    SetupError: it cannot be read.
    """
    read_facts(file)  # which says what is wrong with it
    with safe_open(file, "pt") as tensors:
        return {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
