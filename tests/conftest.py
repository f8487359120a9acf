"""Two logical CPU devices for every test, so that strategies are always tested; shared fixtures."""

import gc
import os
import pathlib
import secrets

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# What is imported stays: to look through its million objects for garbage is a tenth of a test.
gc.disable()

import hypothesis  # noqa: E402
import keras  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

from tests.support import oracle  # noqa: E402
from tests.support.examples import FEW_EXAMPLES  # noqa: E402
from tests.support.recordings_plugin import RecordingsPlugin  # noqa: E402
from tests.support.seeds import start_from_seed  # noqa: E402
from tfrec_models import native, xla_disabled  # noqa: E402
from tfrec_models.native.build import find_compilers  # noqa: E402
from tfrec_models.native.library import why_unavailable  # noqa: E402

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()],
)

# What these folders test is the same with XLA, which is half of a small model's first step.
WITHOUT_XLA = {"datasets", "metrics", "optimizers", "recipes", "report", "sparse"}

# Their tests take minutes. Begun first, none of them is left for one process while others idle.
LONGEST_FIRST = {
    "test_fit_on_servers.py",
    "test_multi_worker.py",
    "test_outside_python.py",
    "test_threads.py",
}


def pytest_addoption(parser):
    """How long the properties in `tests/properties` are tried."""
    parser.addoption(
        "--examples",
        type=int,
        default=None,
        help="how many random examples the properties are tried on in all, from a seed drawn anew "
        "and printed; without it a few each, always the same",
    )


def pytest_report_header(config):
    return seed_line(config)


def pytest_sessionstart(session):
    """Says so in a quiet run too, which has no header, before an example can end the process."""
    config = session.config
    is_worker = hasattr(config, "workerinput")
    if config.option.drawn_anew and config.option.verbose < 0 and not is_worker:
        config.get_terminal_writer().line(seed_line(config), flush=True)


def seed_line(config):
    option = config.option
    return f"hypothesis: --examples {option.examples} --hypothesis-seed {option.hypothesis_seed}"


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST_FIRST)


def pytest_collection_finish():
    """From here on, garbage is looked for among what tests make."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """The examples of properties; a whole run fails where no test compared a recorded case."""
    drawn_anew = config.option.drawn_anew = config.option.examples is not None
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32) if drawn_anew else 0)
    config.option.examples = config.option.examples or FEW_EXAMPLES
    hypothesis.settings.register_profile(
        "properties",
        max_examples=config.option.examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("properties")
    root = pathlib.Path(__file__).parent
    config.pluginmanager.register(RecordingsPlugin(root, oracle.COMPARED, oracle.not_compared))


@pytest.fixture(scope="session")
def two_devices():
    """One MirroredStrategy over both devices.

    One for all tests: TensorFlow numbers the collective operations of every new strategy from the
    same start, and refuses a number that meant another operation before.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def kernels():
    """Skips without a C++ compiler or with TFREC_MODELS_NATIVE=0; else the kernels must load."""
    if os.environ.get("TFREC_MODELS_NATIVE") == "0":
        pytest.skip("TFREC_MODELS_NATIVE=0")
    if not find_compilers():
        pytest.skip("no C++ compiler")
    if not native.is_native_available():
        pytest.fail(f"There is a C++ compiler and no native kernels: {why_unavailable()}.")


@pytest.fixture(params=["native", "stock"])
def both_paths(request):
    """Runs a test with the native kernels, and with TensorFlow's operations alone."""
    if request.param == "native":
        request.getfixturevalue("kernels")
        yield
    else:
        with native.native_disabled():
            yield


@pytest.fixture(scope="module", autouse=True)
def _fresh_operations():
    """Each file starts without the compiled operations of the one before, which would pile up."""
    keras.utils.set_random_seed(1)


@pytest.fixture(autouse=True)
def _fresh_keras(request):
    """Each test starts from the same seed and leaves no dtype policy behind."""
    start_from_seed(1, request.node.nodeid)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture(autouse=True)
def _without_xla(request):
    """Training steps are not compiled by XLA in the folders of `WITHOUT_XLA`."""
    if request.path.parent.name not in WITHOUT_XLA:
        yield
        return
    with xla_disabled():
        yield
