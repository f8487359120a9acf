"""The parts of a conversion on Apache Beam, for more than one machine."""

import importlib
import json
import os

from tfrec_models._files import atomic_path
from tfrec_models.datasets._convert_part import ERRORS, PartConverter, kind_of, record_path
from tfrec_models.datasets._listing import RECORDS


class Beam:
    """Converts parts of a job, one an element of a pipeline.

    Args:
        job: `Job`; its `out` is the same folder on all machines.
        runner: str, the name of a runner, such as "DirectRunner".
        options: list of str, further options of the pipeline.

    Raises:
        ModuleNotFoundError: without Apache Beam.
        ValueError: where the schema is not fitted, or not of this log.
    """

    def __init__(self, job, runner, options):
        self._job = job
        try:
            self._beam = importlib.import_module("apache_beam")
            module = importlib.import_module("apache_beam.options.pipeline_options")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"runner={runner!r} needs Apache Beam: {error}. Install it with "
                "`pip install 'tfrec_models[beam]'`, or leave runner out."
            ) from error
        self._options = module.PipelineOptions(list(options), runner=runner)
        PartConverter(job, lambda rows: None)

    def records(self, numbers):
        """Yields (number, record) of each part, once all are finished.

        Raises:
            ValueError, OSError: what a part's conversion raised.
        """
        beam, job = self._beam, self._job

        class ConvertParts(beam.DoFn):
            """Converts one part after the other."""

            def setup(self):
                self._converter = PartConverter(job, lambda rows: None)

            def process(self, number):
                try:
                    self._converter.convert(number)
                except (ValueError, OSError) as error:
                    # Beam would try again, and raise a RuntimeError of its own.
                    _write_error(job.out, number, error)

        with beam.Pipeline(options=self._options) as pipeline:
            _ = pipeline | beam.Create(numbers) | beam.Reshuffle() | beam.ParDo(ConvertParts())
        _raise_errors(job.out)
        for number in numbers:
            with open(record_path(job.out, job.parts[number])) as file:
                yield number, json.load(file)


def _write_error(out, number, error):
    with atomic_path(_error_path(out, number)) as path:
        path.write_text(json.dumps({"kind": kind_of(error), "error": str(error)}))


def _raise_errors(out):
    """Raises the error of the first part that has one, and forgets all."""
    folder = os.path.join(out, RECORDS)
    paths = [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if n.startswith("error-")]
    errors = []
    for path in paths:
        with open(path) as file:
            errors.append(json.load(file))
        os.unlink(path)
    if errors:
        raise ERRORS[errors[0]["kind"]](errors[0]["error"])


def _error_path(out, number):
    return os.path.join(out, RECORDS, f"error-{number:05d}.json")
