"""Exports a DLRM for TensorFlow Serving and writes a request for each of its signatures.

    python examples/serve.py --directory models/ranker
    python examples/serve.py --directory models/ranker --server localhost:8501

The first line trains a small DLRM on a generated click log, exports it to models/ranker/<version>
and writes the REST bodies beside, into models/requests; examples/serve.md has the command that
starts a server. With --server the requests are sent, and the answers compared with the model's.
"""

import argparse
import json
import os
import pathlib
import urllib.request

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import numpy as np  # noqa: E402

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig  # noqa: E402
from tfrec_models.datasets import ClickLog  # noqa: E402
from tfrec_models.optimizers import RowWiseAdagrad  # noqa: E402
from tfrec_models.serving import RequestWriter, export  # noqa: E402

SIGNATURES = ("serving_default", "serving_packed", "serving_examples", "serving_rows")


def train():
    """A DLRM after one pass over a small log, and a batch of four rows it has not seen."""
    log = ClickLog(num_train=50_000, num_validation=0, num_test=4)
    tables = [
        EmbeddingBagConfig(size, 16, f"t_{name}", feature_names=[name])
        for name, size in log.table_sizes.items()
    ]
    model = DLRM(EmbeddingBagCollection(tables), 13, [64, 16], [64, 1])
    model.compile(RowWiseAdagrad(0.02), loss=keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(log.dataset("train", batch_size=512), verbose=0)
    return model, next(iter(log.dataset("test", batch_size=4)))[0]


def post(server, name, body):
    """The logits a server answers with."""
    url = f"http://{server}/v1/models/{name}:predict"
    with urllib.request.urlopen(urllib.request.Request(url, body.encode())) as response:
        answer = json.load(response)
    if "outputs" in answer:  # the answer to a request in columns
        return np.array(answer["outputs"]["logits"])
    return np.array([row["logits"] for row in answer["predictions"]])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", default="models/ranker", help="default: %(default)s")
    parser.add_argument("--table-dtype", choices=("int8", "float16", "bfloat16"))
    parser.add_argument("--server", metavar="HOST:PORT", help="the REST port of a running server")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    model, batch = train()
    path = export(model, arguments.directory, table_dtype=arguments.table_dtype, sample=batch)
    writer = RequestWriter(path)
    print(f"exported {path}")
    requests = pathlib.Path(arguments.directory).parent / "requests"
    requests.mkdir(exist_ok=True)
    logits = model.predict(batch, verbose=0)
    for signature in SIGNATURES:
        body = writer.rest(batch, signature)
        (requests / f"{signature}.json").write_text(body)
        print(f"wrote {requests / signature}.json")
        if arguments.server:
            answer = post(arguments.server, pathlib.Path(arguments.directory).name, body)
            print(f"{signature}: largest difference {np.abs(answer - logits).max():.1e}")


if __name__ == "__main__":
    main()
