"""Fetching a base: its licence first, one pinned revision, safetensors only.

A hub's branch can change under its name, so a base is named by the commit that was looked at.
"""

import json
import logging
import re
from pathlib import Path
from typing import Any

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.facts import BASES, COSMOS, UNUSED_FOLDERS, BaseFacts

SPECIFICATION = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")
# Weights in folders only: what lies at the top of a repository is the same again in one file, for other programs,
# often in several precisions. All but the LoRA that makes LTX-2's full weights distilled ones.
WANTED = (
    *("*.json", "*/*.safetensors", "*.model", "*.txt", "*.jinja", "LICENSE*"),
    "*distilled-lora*.safetensors",
)
PART = "diffusion_pytorch_model*.safetensors"  # of a part that is published alone: a control net of Cosmos
# What could run code when it is loaded, or hold some; and of LTX-2.5 what nothing here uses: full weights, the LoRA
# for them, parts of other pipelines.
UNWANTED = (
    *("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.py"),
    *(f"{folder}/*" for folder in UNUSED_FOLDERS),
    "ltx-2.5-*distilled-lora*",
)
SOURCE = "renderlift_source.json"
REACH_S = 10.0  # until a hub that does not answer is given up


def fetch(specification: str, output: Path, *, accepted: bool) -> Path:
    """Download a base to a folder; interrupted, it goes on where it stopped.

    Args:
        specification: "owner/name@COMMIT", with all 40 digits.
        accepted: the user has read the licence and agrees.

    Raises:
        SetupError: no such specification, the licence is not accepted (says where to read it), or the hub
            cannot be reached or does not give it.
    """
    match = SPECIFICATION.fullmatch(specification)
    if match is None:
        name = specification.partition("@")[0]
        raise SetupError(
            f"{specification!r} names no one version of a base",
            fix=f"Write OWNER/NAME@COMMIT, with a commit of https://huggingface.co/{name}/commits/main",
        )
    repository, revision = match["repository"], match["revision"]
    licence = licence_of(repository)
    if not accepted:
        raise SetupError(
            f"{repository} is under this licence: {licence}", fix="Read it, then add --accept-licence."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    refuse_no_hub()
    # It would tell each of its retries; that they were in vain is told below.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    found: dict[str, Any] = {"repository": repository, "revision": revision, "licence": licence}
    try:
        snapshot_download(
            repository,
            revision=revision,
            local_dir=output,
            allow_patterns=[*WANTED, PART] if facts_of_repository(repository) is COSMOS else list(WANTED),
            ignore_patterns=list(UNWANTED),
        )
    except (HfHubHTTPError, OSError) as problem:
        raise SetupError(
            f"{repository} cannot be fetched: {str(problem).strip().splitlines()[0]}",
            fix=f"Where it asks for it, accept its terms on https://huggingface.co/{repository} and log in "
            "(`hf auth login`). Else run the same again, which goes on where it stopped.",
        ) from problem
    if not any((output / name).is_file() for name in ("model_index.json", "config.json")):
        raise SetupError(
            f"{repository} holds nothing in the form of diffusers at {revision}",
            fix="Find a commit with a model_index.json; docs/bases.md says on which branch Cosmos has them.",
        )
    (output / SOURCE).write_text(json.dumps(found, indent=1))
    return output


def refuse_no_hub() -> None:
    """Ask the hub for a sign of life, once: a download asks for half a minute before it gives up.

    Raises:
        SetupError: it cannot be reached.
    """
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=REACH_S)
    except Exception as problem:  # what fails on the way has another class in each version of the hub's client
        raise SetupError(
            f"the hub at {constants.ENDPOINT} cannot be reached: {problem}",
            fix="Look at this machine's network, and at HTTPS_PROXY, HF_ENDPOINT and HF_HUB_OFFLINE where they are "
            "set. Or run the same where there is a network, and copy the folder.",
        ) from problem


def licence_of(repository: str) -> str:
    """The licence of a known base, or where that of another is to be read."""
    facts = facts_of_repository(repository)
    if facts is None:
        return f"not known here, read its page https://huggingface.co/{repository}"
    return f"{facts.licence}, {facts.licence_url}"


def facts_of_repository(repository: str) -> BaseFacts | None:
    return next((facts for facts in BASES if repository in facts.repositories), None)
