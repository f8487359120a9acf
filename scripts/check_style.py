"""Checks the language of the documentation: pages, notebooks and docstrings.

    python scripts/check_style.py

Prints each phrase that is on the list below, with its file and what to write. The list has phrases
that readers stumbled over, and one spelling for each term. Code is not checked. A phrase is added
here when a review finds it.
"""

import ast
import json
import pathlib
import re
import sys

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
    # One spelling of each term.
    (r"\b[Hh]yper-parameters?\b", "hyperparameter"),
    (r"\b[Dd]ata sets?\b", "dataset"),
    (r"\b[Cc]heck points?\b", "checkpoint"),
    (r"\bTensorflow\b|\btensorflow\b(?=[ ,.])(?! serving)", "TensorFlow"),
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


def faults():
    """Yields a line for each phrase that is found."""
    for name, text in texts():
        # A phrase may be broken over two lines.
        prose = re.sub(r"\s*\n\s*", " ", CODE.sub(lambda code: " ", text))
        for pattern, instead in TERMS:
            for found in re.finditer(pattern, prose):
                around = prose[max(0, found.start() - 30) : found.end() + 30]
                yield f"{name}: …{around}… write: {instead}"


def main():
    """Prints the faults; exits with 1 if there are any."""
    found = list(faults())
    print("\n".join(found) or "The style is as agreed.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
