"""`python -m tfrec_models.interop.torchrec`: a TorchRec checkpoint becomes a `.keras` file."""

import argparse
import os
import pathlib
import sys
import tempfile

import keras

# This import registers every model with Keras, so that a config of any of them can be read.
from tfrec_models.interop.torchrec import load_torchrec_state_dict, read_checkpoint


def convert(checkpoint, config, out):
    """Writes the model of a config, with the weights of a checkpoint, to a `.keras` file.

    The file appears whole or not at all.

    Args:
        checkpoint: path of a TorchRec state dict, as `read_checkpoint` takes it.
        config: path of the model's `model.to_json()`.
        out: path of the `.keras` file.

    Returns:
        The model.

    Raises:
        ValueError: on a file of another kind, a config that is no model's, or weights that do not
            fit it.
    """
    out = pathlib.Path(out)
    if out.suffix != ".keras":
        raise ValueError(f"--out must end in .keras, received {out.name!r}.")
    try:
        model = keras.models.model_from_json(pathlib.Path(config).read_text())
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(
            f"{config} is not the config of a model: {error}. Write it with model.to_json()."
        ) from error
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"{config} is not the config of a model but of {type(model).__name__}. Write it with "
            "model.to_json()."
        )
    load_torchrec_state_dict(model, read_checkpoint(checkpoint))
    # In the folder of the result, so that the last step is a rename within one file system.
    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.stem}-") as scratch:
        path = pathlib.Path(scratch) / out.name
        model.save(path)
        os.replace(path, out)
    return model


def main(arguments=None):
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrec_models.interop.torchrec", description=__doc__.split(": ")[1]
    )
    parser.add_argument("checkpoint", help="state dict: .pt, .pth, .safetensors or .npz")
    parser.add_argument("--config", required=True, help="what model.to_json() returned, a file")
    parser.add_argument("--out", required=True, help="the .keras file to write")
    chosen = parser.parse_args(arguments)
    try:
        model = convert(chosen.checkpoint, chosen.config, chosen.out)
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{chosen.out}: {type(model).__name__} with {model.count_params():,} weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
