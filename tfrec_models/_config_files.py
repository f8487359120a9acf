"""Plain data as YAML and JSON files."""

import json
import os

import yaml

from tfrec_models._files import atomic_path


def save_config(config, path):
    """Writes plain data, as YAML or JSON by the ending of the path; whole or not at all."""
    if _is_json(path):
        text = json.dumps(config, indent=1)
    else:
        text = yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def load_config(path):
    """The plain data of a YAML or JSON file.

    Raises:
        ValueError: on a file that is neither; names it and the place.
    """
    is_json = _is_json(path)
    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file) if is_json else yaml.load(file, Loader=yaml.CSafeLoader)
        except (ValueError, yaml.YAMLError) as error:
            kind = "JSON" if is_json else "YAML"
            raise ValueError(f"{os.fspath(path)} is no {kind}: {error}") from error


def _is_json(path):
    path = os.fspath(path)
    if path.endswith(".json"):
        return True
    if path.endswith((".yaml", ".yml")):
        return False
    raise ValueError(
        f"The path of a YAML or JSON file must end in .json, .yaml or .yml, received {path!r}."
    )
