"""The example that crosses from tensorflow-recommenders to an export runs."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_recommenders") is None,
    reason="needs tensorflow-recommenders: pip install '.[tfrs]'",
)
def test_ranking_candidates_of_tensorflow_recommenders():
    """Retrieval and ranking give items that are clicked more than any items are."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples/rank_tfrs_candidates.py", "--rows", "20000"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    shown = dict(re.findall(r"  (.+?)  +(0\.\d+)", done.stdout))
    assert float(shown["retrieval, then ranking"]) > float(shown["any items"])
