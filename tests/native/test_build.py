"""The kernels are compiled once for each user, safely, and nothing depends on them."""

import errno
import itertools
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys

import pytest

from tfrec_models import _processor
from tfrec_models.native import __main__ as command
from tfrec_models.native import _cache, _compiler, _flags, _self_test
from tfrec_models.native import build as builder
from tfrec_models.native.build import BuildError, CacheError, Deadline

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

NO_PASSWD = """
import pwd
def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
"""

VERSION = "echo 1.0"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tfrec_models" / "native"


@pytest.fixture
def compiler(cache, tmp_path, monkeypatch):
    """A stand-in for the compiler that notes the flags of each compilation; all it makes works."""
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(builder, "_test", lambda path, deadline: None)

    def use(body, version=VERSION):
        script = tmp_path / "compiler"
        script.write_text(
            "#!/bin/sh\n"
            f'if [ "$1" = --version ]; then {version}; exit; fi\n'
            'echo "$@" >> "$RUNS"\n'
            'flags="$*"\n'
            'while [ "$1" != -o ]; do shift; done\n' + body
        )
        script.chmod(0o755)
        monkeypatch.setenv("CXX", str(script))
        return tmp_path / "runs"

    return use


def build(seconds=60.0):
    return builder.build(Deadline(seconds))


def run(code, **environment):
    environment = {**os.environ, **environment}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={name: value for name, value in environment.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(path):
    return path.read_text().splitlines()


def links(path):
    """The commands that made a library of what others compiled."""
    return [line for line in lines(path) if " -shared " in line]


def test_compiled_once_and_kept_privately(compiler):
    """The second call finds what the first one made; nobody else can write to it."""
    runs = compiler('echo library > "$2"\n')
    library = build()
    assert library.path.read_text() == "library\n"
    assert build() == library
    assert len(links(runs)) == 1
    for part in (library.path, library.path.parent, library.path.parent.parent):
        assert not part.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    kept = {entry.name for entry in library.path.parent.iterdir() if entry.suffix != ".lock"}
    assert kept == {library.path.name}


def test_processes_that_start_at_once(compiler):
    """One compiles, the other waits for it and takes the same file."""
    runs = compiler('sleep 1\necho library > "$2"\n')
    code = (
        "from tfrec_models.native import build\n"
        "build._test = lambda path, deadline: None\n"
        "print(build.build(build.Deadline(100.0)).path)"
    )
    found = [process.communicate()[0] for process in [run(code), run(code)]]
    assert found[0] == found[1] != ""
    assert len(links(runs)) == 1


def test_a_process_that_keeps_the_lock(compiler, monkeypatch):
    """Whoever waits for it gives up when its own time is over."""
    compiler('echo library > "$2"\n')
    monkeypatch.setattr(_cache, "_try_lock", lambda file: False)
    with pytest.raises(BuildError, match="longer than the 1 seconds it is given"):
        build(1.0)


def test_the_fastest_flags_that_compile(compiler, monkeypatch, caplog):
    """Flags are tried from the fastest down; those that win are in the name of the file."""
    monkeypatch.setattr(_flags.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(_processor, "features", lambda: _flags._V3)
    runs = compiler(
        'case "$flags" in *-march=native*) echo "Eigen.h:1: error: no C++" >&2; exit 1;; esac\n'
        'echo library > "$2"\n'
    )
    with caplog.at_level("INFO", logger="tfrec_models"):
        assert build().flags == "x86-64-v3"
    tried = [[word for word in line.split() if word.startswith("-m")] for line in lines(runs)]
    assert [flags for flags, _ in itertools.groupby(tried)] == [
        ["-march=native"],
        ["-march=native", "-mno-avx512fp16"],
        ["-march=x86-64-v3"],
    ]
    found = lines(runs)
    assert build().flags == "x86-64-v3"
    assert lines(runs) == found
    announced, *refused = caplog.messages
    assert announced.startswith("Compiling the native kernels with ")
    assert announced.endswith("after 60 seconds training continues without them.")
    assert [message.split(":")[0] for message in refused] == [
        "No native kernels with the flags native",
        "No native kernels with the flags native-no-avx512fp16",
    ]


def test_flags_that_fail_the_self_test(compiler, monkeypatch):
    """Code that compiles and does not work is passed over."""
    compiler('echo library > "$2"\n')

    def crash_unless_plain(path, deadline):
        if path.name.startswith("native"):
            raise BuildError("the compiled kernels ended their test with signal 4")

    monkeypatch.setattr(builder, "_test", crash_unless_plain)
    assert not build().flags.startswith("native")


@pytest.mark.parametrize(
    ("machine", "features", "names"),
    [
        ("x86_64", "v4", "native native-no-avx512fp16 x86-64-v4 x86-64-v3 x86-64"),
        ("AMD64", "none", "native native-no-avx512fp16 x86-64"),
        ("aarch64", "arm", "native armv8.2-a armv8-a"),
        ("arm64", "none", "native armv8-a"),
        ("ppc64le", "none", "native default"),
    ],
)
def test_no_flags_that_the_processor_cannot_run(machine, features, names, monkeypatch):
    """Levels whose features are not known to be there are not in the ladder."""
    known = {"v4": _flags._V4, "arm": _flags._ARM_V82, "none": frozenset()}
    monkeypatch.setattr(_flags.platform, "machine", lambda: machine)
    monkeypatch.setattr(_processor, "features", lambda: known[features])
    assert [flags.name for flags in _flags.ladder()] == names.split()


def test_features_of_every_processor(monkeypatch):
    """A feature counts if all processors have it."""
    lines = [("flags", "avx avx2"), ("model name", "fma"), ("flags", "avx sse")]
    monkeypatch.setattr(_processor, "cpuinfo", lambda: lines)
    assert _processor.features() == {"avx"}


def test_a_failed_compilation_leaves_nothing(compiler, cache):
    """The compiler's first error is told, in readable characters; no half-written library stays."""
    compiler(
        'echo "part" > "$2"\n'
        'echo "note" >&2\n'
        "printf 'x.cc:1: error: \\033[1mno \\377such thing\\n' >&2\nexit 1\n"
    )
    with pytest.raises(BuildError, match="failed: x.cc:1: error: .1mno .such thing .flags: "):
        build()
    assert not list(cache.glob("**/*.so"))


def test_a_compiler_that_writes_nothing(compiler, tmp_path):
    """An exit code of 0 alone is no library, whatever lies there from before."""
    compiler("exit 0\n")
    deadline, path = Deadline(60.0), tmp_path / "native.so"
    path.write_text("of another compiler")
    with pytest.raises(BuildError, match="said that it was done and wrote nothing"):
        _compiler.Compiler.look_at((os.environ["CXX"],), deadline).compile(
            _flags.ladder()[0], path, deadline
        )


def test_a_compiler_that_hangs(compiler, cache):
    """It and what it has started are killed when the time is up."""
    compiler('sleep 1000 &\necho $! > "$RUNS.child"\nwait\n')
    with pytest.raises(BuildError, match="had not ended after the 2 seconds it is given"):
        build(2.0)
    child = int(pathlib.Path(os.environ["RUNS"] + ".child").read_text())
    state = pathlib.Path(f"/proc/{child}/stat")
    # Nobody may have fetched its exit code yet.
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_a_compiler_that_does_not_say_its_version(compiler, monkeypatch):
    """Another compiler is taken, or none."""
    monkeypatch.setattr(_compiler, "VERSION_SECONDS", 0.5)
    runs = compiler('echo library > "$2"\n', version="sleep 1000")
    with pytest.raises(BuildError, match="--version did not end within 0 seconds"):
        build()
    assert not runs.exists()


@pytest.mark.parametrize(
    "version",
    [r"printf '\377\376\000g++'", "while :; do echo garbage; done", "exit 3", "kill -9 $$"],
    ids=["not UTF-8", "endless", "exit code", "crash"],
)
def test_versions_that_are_none(compiler, version):
    """Whatever a compiler prints for its version, it is the version."""
    compiler('echo library > "$2"\n', version=version)
    assert build() == build()


def test_a_compiler_replaced_half_way(compiler, tmp_path):
    """What an old and a new compiler made together is not taken."""
    new = tmp_path / "new"
    new.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo 2.0; exit; fi\n'
        'while [ "$1" != -o ]; do shift; done\necho new > "$2"\n'
    )
    new.chmod(0o755)
    compiler(f'echo old > "$2"\nmv {new} "$0"\n')
    library = build()
    assert library.path.read_text() == "new\n"
    assert build() == library


def test_a_compiler_that_goes_away(compiler, monkeypatch, tmp_path):
    """Removed while it compiled, it is one that cannot be run; another takes its place."""
    compiler('rm "$0"\nexit 1\n')
    with pytest.raises(BuildError, match="cannot be run: .*No such file"):
        build()
    compiler('rm "$0"\nexit 1\n')
    other = tmp_path / "other"
    other.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exit\n'
        'while [ "$1" != -o ]; do shift; done\necho other > "$2"\n'
    )
    other.chmod(0o755)
    commands = [(os.environ["CXX"],), (str(other),)]
    monkeypatch.setattr(builder, "find_compilers", lambda: commands)
    assert build().path.read_text() == "other\n"


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "empty"])
def test_a_damaged_file_is_made_anew(compiler, damage, caplog):
    """A file that is not what was compiled is noticed before it is loaded."""
    runs = compiler('echo library > "$2"\n')
    library = build()
    library.path.write_bytes(
        {
            "truncated": b"libr",
            "flipped": b"librarx\n",
            "foreign": b"\x7fELF of somebody else",
            "empty": b"",
        }[damage]
    )
    assert build() == library
    assert library.path.read_text() == "library\n"
    assert len(links(runs)) == 2
    assert caplog.messages[1] == f"{library.path} is damaged and is compiled again."


def test_a_cache_others_can_write_to_is_refused(compiler):
    """What lies there would be executed."""
    compiler('echo library > "$2"\n')
    path = build().path
    path.parent.chmod(0o777)
    with pytest.raises(CacheError, match="writable by others; remove it"):
        build()
    path.parent.chmod(0o700)
    path.chmod(0o722)
    with pytest.raises(CacheError, match="writable by others"):
        build()


def test_the_cache_of_another_user_is_refused(compiler, monkeypatch):
    """What another user wrote is not executed."""
    compiler('echo library > "$2"\n')
    build()
    monkeypatch.setattr(os, "geteuid", lambda: 123456)
    with pytest.raises(CacheError, match="belongs to another user"):
        build()


def test_a_link_is_refused(compiler, cache, tmp_path):
    """A link leads to where somebody else wants."""
    compiler('echo library > "$2"\n')
    cache.parent.mkdir(parents=True, mode=0o700)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CacheError, match="is a symbolic link; remove it"):
        build()


def test_a_cache_that_cannot_be_made(compiler, monkeypatch, tmp_path):
    """Where the cache would be is something else; it says what to do."""
    compiler('echo library > "$2"\n')
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(CacheError, match="set XDG_CACHE_HOME to a directory of your own"):
        build()


def test_a_read_only_cache(compiler, monkeypatch):
    """What is in it is used; nothing else can be put there."""
    compiler('echo library > "$2"\n')
    library = build()

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("builtins.open", refuse)
    assert build() == library
    compiler('echo other > "$2"\n', version="echo 2.0")
    # The stand-in was written before the disk became read-only again.
    with pytest.raises(CacheError, match="Read-only file system"):
        build()


def test_a_full_disk(compiler, cache, monkeypatch):
    """It is found out before half a minute of compiling, and leaves nothing."""
    runs = compiler('echo library > "$2"\n')

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(CacheError, match="No space left on device.*; set XDG_CACHE_HOME"):
        build()
    assert not runs.exists()
    assert not list(cache.glob("*.so")) + list(cache.glob("pending-*"))


def test_no_home_and_no_passwd_entry(compiler, monkeypatch):
    """There is no cache; a private directory that goes away does for one process."""
    compiler('echo library > "$2"\n')
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")

    def getpwuid(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", getpwuid)
    with pytest.raises(CacheError, match="no home directory; set XDG_CACHE_HOME"):
        build()
    with builder.build_unkept(Deadline(60.0)) as library:
        directory = library.path.parent
        assert library.path.read_text() == "library\n"
        assert not directory.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    assert not directory.exists()


def test_no_compiler(monkeypatch, tmp_path, cache):
    """It says which were looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BuildError, match=r"there is no C\+\+ compiler \(\$CXX, g\+\+, clang"):
        build()


def test_compilers_are_found(monkeypatch, tmp_path):
    """$CXX alone, with its arguments; else each program on PATH once, however it is called."""
    for name in ("g++", "clang++"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "c++").symlink_to(tmp_path / "g++")
    monkeypatch.setenv("PATH", str(tmp_path))
    both = [(str(tmp_path / "g++"),), (str(tmp_path / "clang++"),)]
    for nothing in ("", "no-such-compiler", "un'balanced"):
        monkeypatch.setenv("CXX", nothing)
        assert builder.find_compilers() == both
    monkeypatch.setenv("CXX", "clang++ -m64")
    assert builder.find_compilers() == [(str(tmp_path / "clang++"), "-m64")]


def test_another_compiler_where_one_fails(compiler, monkeypatch, tmp_path):
    """The second compiler's library is found at the next start without trying the first again."""
    runs = compiler(
        'case "$0" in *clang*) echo library > "$2";; *) echo "error: broken" >&2; exit 1;; esac\n'
    )
    script = pathlib.Path(os.environ["CXX"])
    monkeypatch.delenv("CXX")
    for name in ("g++", "clang++"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_bytes(script.read_bytes())
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setattr(
        builder,
        "find_compilers",
        lambda: [(str(tmp_path / "bin" / n),) for n in ("g++", "clang++")],
    )
    library = build()
    tried = len(lines(runs))
    assert build() == library
    assert len(lines(runs)) == tried


def test_the_key_changes_with_what_it_depends_on(compiler, monkeypatch):
    """Other flags, another version of the compiler and another processor give another file."""
    compiler('echo library > "$2"\n')
    found = {build().path}
    with monkeypatch.context() as patch:
        patch.setattr(builder, "COMMON", (*builder.COMMON, "-O1"))
        found.add(build().path)
    with monkeypatch.context() as patch:
        patch.setattr(builder, "processor", lambda: "another")
        found.add(build().path)
    compiler('echo library > "$2"\n', version="echo 2.0")
    found.add(build().path)
    assert len(found) == 4


def test_a_library_that_crashes_is_not_loaded(tmp_path):
    """An illegal instruction ends the process of the test and no other."""
    compilers = builder.find_compilers()
    if not compilers:
        pytest.skip("no C++ compiler")
    source, library = tmp_path / "crash.cc", tmp_path / "crash.so"
    source.write_text("__attribute__((constructor)) void crash() { __builtin_trap(); }\n")
    subprocess.run([*compilers[0], "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    with pytest.raises(BuildError, match="ended their test with signal"):
        builder._test(library, Deadline(300.0))


def test_a_library_that_cannot_be_loaded(tmp_path):
    """What is no library at all is no matter of flags."""
    library = tmp_path / "kernels.so"
    library.write_bytes(b"\x7fELF")
    with pytest.raises(builder.UnloadableError, match="cannot be loaded: error: "):
        builder._test(library, Deadline(300.0))


def test_rows_are_asked_for_ahead(kernels):
    """The compiler has kept what asks for rows before their use, which no result depends on."""
    if not (objdump := shutil.which("objdump")):
        pytest.skip("no objdump")
    arguments = [objdump, "--disassemble", "--no-show-raw-insn", str(build(600.0).path)]
    listing = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    functions = re.findall(r"^[0-9a-f]+ <(\w+)>:\n((?:.+\n)*)", listing, re.MULTILINE)
    for name, least in (("UpdateRows", 32), ("PoolBags", 4)):
        found = [code for symbol, code in functions if re.match(rf"_ZN5tfrec\d+{name}I", symbol)]
        assert len(found) >= least
        assert all(re.search(r"\bprefetch|\bprfm", code) for code in found)


def test_the_self_test_passes(kernels):
    """The kernels that these tests run with pass it."""
    from tfrec_models.native.library import kernels as module

    _self_test.check(module())


@pytest.mark.parametrize("name", ["tfrec_pooled_lookup", "tfrec_resolve_ids", "tfrec_admit_ids"])
def test_the_self_test_notices_wrong_results(kernels, name):
    """A result that is off in one place fails it."""
    from tfrec_models.native.library import kernels as module

    class Wrong:
        def __getattr__(self, operation):
            return getattr(module(), operation)

    def wrong(**inputs):
        found = getattr(module(), name)(**inputs)
        if isinstance(found, tuple):
            return [tensor + 1 for tensor in found]
        return found + 1

    setattr(Wrong, name, staticmethod(wrong))
    with pytest.raises(ArithmeticError, match="wrong results: "):
        _self_test.check(Wrong())


def test_training_without_the_kernels(compiler, tmp_path):
    """A broken compiler, no HOME and no passwd entry: one warning, and training continues."""
    compiler('echo "error: broken" >&2\nexit 1\n', version=r"printf '\377g++'")
    # Keras would make a folder called ~ in the working directory.
    process = run(NO_PASSWD + TRAIN, HOME=None, XDG_CACHE_HOME=None, KERAS_HOME=str(tmp_path))
    output, log = process.communicate()
    assert output == "trained with IndexedSlices\n"
    # Keras imports Matplotlib where it is installed, which warns of its fonts without a HOME.
    warned = [
        line
        for line in log.splitlines()
        if line.startswith("WARNING ") and "Matplotlib" not in line
    ]
    assert [line.split()[1] for line in warned] == ["Compiling", "Lookups"]
    assert "stock operations, which are slower, because " in warned[1]
    assert "failed: error: broken" in warned[1]
    assert "`python -m tfrec_models.native` tries again" in warned[1]


def test_the_switch_in_the_environment(compiler):
    """TFREC_MODELS_NATIVE=0 compiles and loads nothing."""
    runs = compiler("exit 1\n")
    output, log = run(TRAIN, TFREC_MODELS_NATIVE="0").communicate()
    assert output == "trained with IndexedSlices\n"
    assert not runs.exists()
    assert log.count("not the native kernels: they are switched off.") == 1


def test_one_line_says_that_they_are_used(kernels):
    """Where they are and how they were compiled, for whoever logs at INFO."""
    output, log = run(TRAIN, TFREC_MODELS_NATIVE="1").communicate()
    assert output == "trained with BagGradient\n"
    told = [line for line in log.splitlines() if "use the native kernels in" in line]
    assert len(told) == 1
    assert " on CPU (flags: " in told[0]


def test_without_fcntl(compiler):
    """Windows has no fcntl: the package is imported, and compiles without a lock."""
    compiler('echo library > "$2"\n')
    code = (
        "import sys\nsys.modules['fcntl'] = None\nimport tfrec_models\n"
        "from tfrec_models.native import build\n"
        "build._test = lambda path, deadline: None\n"
        "print(build.build(build.Deadline(60.0)).flags)"
    )
    output, log = run(code).communicate()
    assert output.strip(), log


def test_the_command(compiler, capsys):
    """`python -m tfrec_models.native` prints where the library is, or why there is none."""
    compiler('echo library > "$2"\n')
    assert command.main([]) == 0
    path = pathlib.Path(capsys.readouterr().out.strip())
    assert path.read_text() == "library\n"
    compiler("exit 1\n")
    path.unlink()
    assert command.main([]) == 1
    assert "No native kernels: " in capsys.readouterr().err


def test_the_commands_help(compiler, capsys):
    """`--help` says what it does and does not do it."""
    runs = compiler("exit 1\n")
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    assert "Compiles the native kernels" in capsys.readouterr().out
    assert not runs.exists()
