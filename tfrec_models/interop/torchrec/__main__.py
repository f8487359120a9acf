"""`python -m tfrec_models.interop.torchrec`: a TorchRec checkpoint becomes a `.keras` file."""

import argparse
import pathlib
import sys

import keras

from tfrec_models._files import atomic_path

# This import registers every model with Keras, so that a config of any of them can be read.
from tfrec_models.interop.torchrec import load_torchrec_state_dict, read_checkpoint
from tfrec_models.interop.torchrec.state_dict import one_line


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
        OSError: if a file cannot be read or written.
    """
    out = pathlib.Path(out)
    if out.suffix != ".keras":
        raise ValueError(f"--out must end in .keras, received {out.name!r}.")
    with atomic_path(out) as path:
        model = _model_of(config)
        load_torchrec_state_dict(model, read_checkpoint(checkpoint))
        model.save(path)
    return model


def _model_of(config):
    text = pathlib.Path(config).read_bytes()
    try:
        model = keras.models.model_from_json(text.decode())
    # What is in the file decides what Keras raises on the way to a model.
    except Exception as error:
        raise ValueError(
            f"{config} is not the config of a model: {one_line(error)} Write it with "
            "model.to_json()."
        ) from error
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"{config} is not the config of a model but of {type(model).__name__}. Write it with "
            "model.to_json()."
        )
    return model


def main(arguments=None):
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrec_models.interop.torchrec",
        description="Makes a .keras file of a TorchRec checkpoint.",
    )
    parser.add_argument(
        "checkpoint", help="state dict: a file of torch.save, a .safetensors or a .npz file"
    )
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
