"""Real processes, killed in the middle of a capture: nothing is lost, nothing comes twice."""

import json
import subprocess
import sys
from pathlib import Path

KILL_BRIDGE = Path(__file__).parents[2] / "benchmarks/kill_bridge.py"


def outcome_of(*options: str) -> dict[str, float]:
    command = [sys.executable, str(KILL_BRIDGE), "--json", *options]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=180)
    return json.loads(finished.stdout)


def test_killing_the_bridge_and_the_engine_loses_and_doubles_nothing() -> None:
    outcome = outcome_of("--kills", "5", "--engine-kills", "2", "--seed", "20")
    assert (outcome["bridge_kills"], outcome["engine_kills"]) == (5, 2)
    assert outcome["frames"] > 100
    assert (outcome["lost"], outcome["doubled"], outcome["damaged"], outcome["out_of_order"]) == (0, 0, 0, 0)
