"""A NaN of the input reaches outputs, losses, steps and exports."""

import os
import subprocess
import sys


def test_nan_stays_nan_through_fused_activations():
    """Also where oneDNN fuses ReLU into the product before it and gives 0 for NaN."""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.numerics.nan_process"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hidden: []" in ran.stdout, ran.stdout + ran.stderr[-3000:]
