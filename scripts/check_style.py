"""Checks the language of the project: pages, notebooks, docstrings, comments and messages.

    python scripts/check_style.py

Prints each phrase that is on the list below, with its file and what to write. The list has phrases
that readers stumbled over, and one spelling for each term. Code is not checked. A phrase is added
here when a review finds it.

Messages say "X must be ..., received Y; do Z" in one sentence up to what was received, and name
arguments without quotes.

Docstrings of public names must have a summary line that is a sentence, their sections in one order,
every argument, and the shapes and an example of a layer.
"""

import ast
import json
import pathlib
import re
import sys
import tokenize

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ["*.md", "docs/**/*.md", "examples/*.md", "benchmarks/*.md"]

# A regular expression, and what to write in place of what it finds.
TERMS = [
    # Riddles and figures of speech.
    (r"let go", "released, ended"),
    (r"settl(e|es|ed|ing)\b", "resolve"),
    (r"\bcame\b|\bcome into being", "was received, is created"),
    (r"\bbrought\b", "given"),
    (r"by itself alone", "alone"),
    (r"\brooms?\b", "package, space"),
    (r"\bthe house\b|\broads?\b|\bdoors?\b|\bdialects?\b", "say what it is"),
    (r"\bat hand\b", "available, in memory"),
    (r"\bsurviv\w+ a kill", "fault-tolerant"),
    (r"\bas ever\b", "as usual"),
    (r"\banew\b", "again"),
    (r"\bfor ever\b", "without end"),
    (r"\bnobody\b", "no one, no process"),
    (r"\bcomes? between\b", "atomically"),
    (r"\bout of its reach\b", "not available to it"),
    (r"(?<!is )\breads? on\b", "does not check"),
    (r"\bas (?:its|the) paper has it\b", "as published"),
    (r"\bas said above\b", "as described above"),
    (r"\b(?:un)?mend(?:s|ed|ing)?\b", "fix"),
    (r"\bknots?\b", "complication"),
    (r"\bthe begin\b|\bbegin of\b", "the start"),
    (r"\btold (?:by|apart|otherwise)\b|\bis told\b", "found by, distinguished, unless set"),
    (r"\b(?:has|have) not(?=[,.;:)]| the | a | one | so )", "does not have"),
    (r"\bwhat comes of\b|\bno use\b", "say what happens"),
    (r"\bgo(?:es)? on\b|\bwent on\b", "continue"),
    (r"\bpassed over\b", "skipped"),
    (r"\b(?:tells?|telling|told) (?:\w+ )?apart\b", "distinguish"),
    (r"\bhands? (?:on|out|over)\b|\bhanded\b", "pass, return, schedule"),
    (r"\bcomes? and go(?:es)?\b|\bkeeps? coming\b", "change"),
    (r"\bfor good\b", "permanently"),
    (r"\bwhat stays as it is\b", "stability"),
    (r"\b(?:eats?|swallows?)\b", "say what it takes, or drops"),
    # One spelling of each term.
    (r"\b[Hh]yper-parameters?\b", "hyperparameter"),
    (r"\b[Dd]ata sets?\b", "dataset"),
    (r"\b[Cc]heck points?\b", "checkpoint"),
    (r"\bTensorflow\b|(?<!=)\btensorflow\b(?=[ ,.])(?! serving)", "TensorFlow"),
    (r"\bTorchrec\b", "TorchRec"),
    (r"\bPytorch\b", "PyTorch"),
    (r"\bTF ?Serving\b|\bTensorFlow serving\b", "TensorFlow Serving"),
    (r"\b[Ss]aved [Mm]odels?\b(?! is)", "SavedModel"),
    (r"\b[Cc]lickthrough\b", "click-through"),
    (r"\b[Pp]arameter-server\b(?! run| cluster| training)", "parameter server"),
    (r"\b[Bb]atchsize\b", "batch size"),
    (r"\b[Oo]ut-of-vocab\b", "outside the vocabulary"),
    (r"\b[Mm]ulti-worker mirrored\b", "MultiWorkerMirroredStrategy"),
]
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`|\]\([^)]*\)|^ *(?:>>>|\.\.\.) .*$", re.M | re.S)

# The sections of a docstring in their order; what a thing is and the formula stand before them.
SECTIONS = [
    *("Paper", "Args", "Attributes", "Input shape", "Output shape"),
    *("Returns", "Raises", "Example"),
]
# What a message must not have.
MESSAGES = [
    (r"(?:[.:;] |^)Received\b|\bReceived:", "X must be ..., received Y"),
    (r"`\w+`(?= must| needs| has to)", "the argument's name without quotes"),
]
SECTION = re.compile(r"^(\w[\w ]*):$", re.M)
# An argument of Args: its name, or several; a type and what it is.
ARGUMENTS = re.compile(r"^ {4}([*`\w]+(?:, [*`\w]+)*): (.*)$", re.M)


def texts():
    """Yields a name and the text of each page, notebook cell and docstring."""
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            yield path.relative_to(ROOT).as_posix(), path.read_text()
    for path in sorted(ROOT.glob("docs/**/*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "markdown":
                yield path.relative_to(ROOT).as_posix(), "".join(cell["source"])
    for path in sorted(ROOT.glob("tfrec_models/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                line = node.body[0].lineno if node.body else 1
                yield f"{path.relative_to(ROOT)}:{line}", ast.get_docstring(node) or ""
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.COMMENT:
                    yield f"{path.relative_to(ROOT)}:{token.start[0]}", token.string
    kernels = ROOT / "tfrec_models" / "native" / "kernels"
    for path in sorted([*kernels.glob("*.cc"), *kernels.glob("*.h")]):
        for line, comment in enumerate(path.read_text().splitlines(), 1):
            if "//" in comment:
                yield f"{path.relative_to(ROOT)}:{line}", comment.partition("//")[2]


def messages():
    """Yields a name and the text of each string of the library that a person may read."""
    for path in sorted(ROOT.glob("tfrec_models/**/*.py")):
        tree = ast.parse(path.read_text())
        # Docstrings, and the parts of f-strings, which are taken whole.
        parts = {
            id(part)
            for node in ast.walk(tree)
            for part in (
                node.values
                if isinstance(node, ast.JoinedStr)
                else [node.value]
                if isinstance(node, ast.Expr)
                else []
            )
        }
        for node in ast.walk(tree):
            text = None
            if isinstance(node, ast.JoinedStr):
                text = "".join(
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            if text and " " in text and id(node) not in parts:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def faults():
    """Yields a line for each phrase that is found."""
    prose = [(name, CODE.sub(" ", text), TERMS) for name, text in texts()]
    for name, text, terms in [*prose, *((*message, TERMS + MESSAGES) for message in messages())]:
        # A phrase may be broken over two lines.
        line = re.sub(r"\s*\n\s*", " ", text)
        for pattern, instead in terms:
            for found in re.finditer(pattern, line):
                around = line[max(0, found.start() - 30) : found.end() + 30]
                yield f"{name}: …{around}… write: {instead}"


def docstring_faults():
    """Yields a line for each fault in the form of a public docstring."""
    manifest = json.loads((ROOT / "tests" / "public_api.json").read_text())
    public = {name for names in manifest.values() for name in names}
    for path in sorted(ROOT.glob("tfrec_models/**/*.py")):
        for node in ast.parse(path.read_text()).body:
            is_item = isinstance(node, (ast.ClassDef, ast.FunctionDef))
            if is_item and node.name in public and not node.name.startswith("_"):
                for fault in faults_of(node):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} {fault}"


def faults_of(node):
    """Yields what is wrong with the docstring of one class or function."""
    text = ast.get_docstring(node) or ""
    summary = text.partition("\n")[0]
    if not re.fullmatch(r"[A-Z`F].*\.", summary):
        yield f"has the summary line {summary!r}; write one sentence with a full stop"
    found = [name for name in SECTION.findall(text) if name in SECTIONS]
    if found != sorted(found, key=SECTIONS.index):
        yield f"has its sections as {', '.join(found)}; write them as {', '.join(SECTIONS)}"
    for name in {"Arguments", "References", "Reference", "Examples", "Return"}.intersection(
        SECTION.findall(text)
    ):
        yield f"has a section {name}; it is one of {', '.join(SECTIONS)}"
    methods = {m.name: m for m in getattr(node, "body", []) if isinstance(m, ast.FunctionDef)}
    if isinstance(node, ast.ClassDef) and {"call", "update_state"} & set(methods):
        for name in {"Input shape", "Output shape", "Example"}.difference(found):
            yield f"is a layer without {name}"
    function = node if isinstance(node, ast.FunctionDef) else methods.get("__init__")
    if function is None:
        return
    args = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    names = {arg.arg for arg in args} - {"self"}
    section = re.search(r"^Args:\n((?: {4}.*\n|\n)*)", text + "\n", re.M)
    told = {
        name.strip(" *`")
        for group, _ in ARGUMENTS.findall(section[1] if section else "")
        for name in group.split(",")
    }
    for name in sorted(names - told):
        yield f"does not say what {name} is"
    for name in sorted(told - names - {"kwargs", "options"} if section else ()):
        if not function.args.kwarg:
            yield f"has an argument {name} that is not in the signature"


def main():
    """Prints the faults; exits with 1 if there are any."""
    found = [*faults(), *docstring_faults()]
    print("\n".join(found) or "The style is as agreed.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
