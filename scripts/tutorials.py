"""Executes the notebooks of the tutorials, from a fresh kernel each.

python scripts/tutorials.py            # as a test: nothing is written
python scripts/tutorials.py --write    # with the outputs, for the site
"""

import argparse
import os
import pathlib
import time

import nbclient
import nbformat

DIRECTORY = pathlib.Path(__file__).parents[1] / "docs" / "tutorials"


def executed(path):
    """Returns a notebook with the outputs of a run; raises where a cell does."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            # What changes from run to run, and warnings of the machine, are not kept.
            cell.execution_count = None
            cell.outputs = [
                output
                for output in cell.outputs
                if output.get("name") != "stderr"
                and "INFO:tensorflow" not in output.get("text", "")
            ]
            for output in cell.outputs:
                output.pop("execution_count", None)
                output.get("metadata", {}).clear()
                if output.output_type == "execute_result":
                    output["execution_count"] = None
                if "image/png" in output.get("data", {}):
                    output["data"] = {"image/png": output["data"]["image/png"]}
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return notebook


def main():
    """Executes all notebooks, and says how long each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep the outputs")
    parser.add_argument("names", nargs="*", help="names of notebooks; all without")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    paths = [DIRECTORY / f"{name}.ipynb" for name in options.names]
    for path in paths or sorted(DIRECTORY.glob("*.ipynb")):
        begin = time.monotonic()
        notebook = executed(path)
        if options.write:
            nbformat.write(notebook, path)
        print(f"{path.name}: {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
