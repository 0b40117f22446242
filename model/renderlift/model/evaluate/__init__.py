"""Faithfulness, measured: distance to a path-traced truth, edges and labels, steadiness under motion.

docs/evaluation.md says what each measure means and how to read it.
"""

from renderlift.model.evaluate.distance import psnr_db
from renderlift.model.evaluate.edges import edge_f1, engine_edges, picture_edges
from renderlift.model.evaluate.faithfulness import Faithfulness, measure, truth_edge_f1
from renderlift.model.evaluate.motion import warp_error

__all__ = [
    "Faithfulness",
    "edge_f1",
    "engine_edges",
    "measure",
    "picture_edges",
    "psnr_db",
    "truth_edge_f1",
    "warp_error",
]
