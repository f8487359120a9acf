"""The kernels are compiled once for each user, safely, and nothing depends on them."""

import os
import pathlib
import stat
import subprocess
import sys

import pytest

from tfrec_models.native import __main__ as command
from tfrec_models.native import build as builder

# A step of training, and which operations it was made of.
TRAIN = """
import logging
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
import tensorflow as tf
from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig
from tfrec_models.optimizers import RowWiseAdagrad
ebc = EmbeddingBagCollection([EmbeddingBagConfig(9, 4, "a")])
ebc.build()
for _ in range(2):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(ebc({"a": tf.ragged.constant([[1, 2], [1]])}, training=True).values())
    gradient = tape.gradient(loss, ebc.variables[0].value)
    RowWiseAdagrad(0.5).apply([gradient], [ebc.variables[0]])
print("trained with", type(gradient).__name__)
"""


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A cache of its own, and a stand-in for the compiler that notes each time it compiles."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))

    def use(body):
        script = tmp_path / "compiler"
        script.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = --version ]; then echo 1.0; exit; fi\n'
            'echo run >> "$RUNS"\n'
            'while [ "$1" != -o ]; do shift; done\n' + body
        )
        script.chmod(0o755)
        monkeypatch.setenv("CXX", str(script))
        return tmp_path / "runs"

    return use


def run(code, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_compiled_once_and_kept_privately(compiler):
    """The second call finds what the first one made; nobody else can write to it."""
    runs = compiler('echo library > "$2"\n')
    path = builder.build()
    assert path.read_text() == "library\n"
    assert builder.build() == path
    assert runs.read_text() == "run\n"
    for part in (path, path.parent, path.parent.parent):
        assert not part.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    leftovers = [entry.name for entry in path.parent.iterdir() if entry.suffix == ".so"]
    assert leftovers == [path.name]


def test_processes_that_start_at_once(compiler):
    """One compiles, the other waits for it and takes the same file."""
    runs = compiler('sleep 1\necho library > "$2"\n')
    code = "from tfrec_models.native.build import build; print(build())"
    found = [process.communicate()[0] for process in [run(code), run(code)]]
    assert found[0] == found[1] != ""
    assert runs.read_text() == "run\n"


def test_a_failed_compilation_leaves_nothing(compiler):
    """The compiler's first error is told, and no half-written library stays."""
    compiler('echo "part" > "$2"\necho "x.cc:1: error: no such thing" >&2\nexit 1\n')
    with pytest.raises(builder.BuildError, match="failed: x.cc:1: error: no such thing"):
        builder.build()
    cache = pathlib.Path(os.environ["XDG_CACHE_HOME"], "tfrec_models", "native")
    assert not list(cache.glob("*.so"))


def test_a_cache_others_can_write_to_is_refused(compiler):
    """What lies there would be executed."""
    compiler('echo library > "$2"\n')
    path = builder.build()
    path.parent.chmod(0o777)
    with pytest.raises(builder.BuildError, match="writable by others; remove it"):
        builder.build()
    path.parent.chmod(0o700)
    path.chmod(0o722)
    with pytest.raises(builder.BuildError, match="writable by others"):
        builder.build()


def test_no_compiler(monkeypatch, tmp_path):
    """It says which were looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(builder.BuildError, match=r"no C\+\+ compiler found"):
        builder.build()


def test_the_key_changes_with_what_it_depends_on(compiler, monkeypatch):
    """Another compiler's flags give another file."""
    compiler('echo library > "$2"\n')
    first = builder.build()
    monkeypatch.setattr(builder, "FLAGS", (*builder.FLAGS, "-O1"))
    assert builder.build() != first


def test_training_without_the_kernels(compiler):
    """With a compiler that fails there is one warning, and training goes on as without one."""
    compiler('echo "error: broken" >&2\nexit 1\n')
    output, log = run(TRAIN).communicate()
    assert output == "trained with IndexedSlices\n"
    warned = [line for line in log.splitlines() if line.startswith("WARNING Lookups")]
    assert len(warned) == 1
    assert warned[0].endswith("failed: error: broken.")


def test_the_switch_in_the_environment(compiler):
    """TFREC_MODELS_NATIVE=0 compiles and loads nothing."""
    runs = compiler("exit 1\n")
    output, log = run(TRAIN, TFREC_MODELS_NATIVE="0").communicate()
    assert output == "trained with IndexedSlices\n"
    assert not runs.exists()
    assert log.count("not the kernels: they are switched off.") == 1


def test_one_line_says_that_they_are_used(kernels):
    """Where they are, for whoever logs at INFO."""
    output, log = run(TRAIN, TFREC_MODELS_NATIVE="1").communicate()
    assert output == "trained with BagGradient\n"
    told = [line for line in log.splitlines() if "use the native kernels in" in line]
    assert len(told) == 1


def test_the_command(compiler, capsys):
    """`python -m tfrec_models.native` prints where the library is, or why there is none."""
    compiler('echo library > "$2"\n')
    assert command.main() == 0
    path = pathlib.Path(capsys.readouterr().out.strip())
    assert path.read_text() == "library\n"
    compiler("exit 1\n")
    path.unlink()
    assert command.main() == 1
    assert "No native kernels: " in capsys.readouterr().err
