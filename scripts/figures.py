"""Writes what README and the docs have from other files: results, and a recipe's keys.

    python scripts/figures.py            # writes the pages
    python scripts/figures.py --check    # fails where a page is not what this writes

Results are those in benchmarks/results, keys those of the classes of `tfrec_models.recipes`. Each
table stands between two lines such as `<!-- results: begin -->` and `<!-- results: end -->`; a test
fails where it is not what this writes.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).parents[1]
PAGES = (
    "README.md",
    "benchmarks/README.md",
    "docs/recipes.md",
    "docs/managed_ids.md",
    "docs/serving.md",
)
PARTS = (
    "products",
    "other dense",
    "casts",
    "interaction",
    "lookup",
    "table update",
    "dense update",
    "feeding",
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    stale = [
        page for page in PAGES if written((ROOT / page).read_text()) != (ROOT / page).read_text()
    ]
    if options.check:
        print(f"Not what this script writes: {', '.join(stale)}" if stale else "All as written.")
        sys.exit(bool(stale))
    for page in stale:
        (ROOT / page).write_text(written((ROOT / page).read_text()))


def written(text):
    """The text of a page with its tables anew."""
    tables = {
        "results": results_table,
        "keys": keys_table,
        "daily": daily_table,
        "headline": headline_list,
        "torchrec": torchrec_table,
        "requests": requests_table,
        "threads": threads_table,
        "breakdown": breakdown_table,
        "forms": forms_table,
        "metrics": metrics_table,
    }
    pattern = r"<!-- (\w+): begin -->\n.*?<!-- \1: end -->"
    if not re.search(pattern, text, re.DOTALL):
        raise ValueError(
            f"The page must have the lines <!-- results: begin --> and <!-- results: end -->, "
            f"received {text[:80]!r}."
        )

    def anew(found):
        name = found[1]
        return f"<!-- {name}: begin -->\n{tables[name]()}\n<!-- {name}: end -->"

    return re.sub(pattern, anew, text, flags=re.DOTALL)


def keys_table():
    """A row for each key of a recipe."""
    from tfrec_models.recipes import Recipe

    return "\n".join(["| key | default | what it is |", "|---|---|---|", *key_rows(Recipe(), "")])


def key_rows(section, prefix):
    """The rows of a section, those of its own sections in their places."""
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from key_rows(value, f"{prefix}{field.name}.")
            continue
        shown = json.dumps(value, ensure_ascii=False)
        choices = field.metadata["choices"]
        allowed = f": {', '.join(f'`{choice}`' for choice in choices)}" if choices else ""
        what = field.metadata["help"].replace("|", "\\|")
        yield f"| `{prefix}{field.name}` | `{shown}` | {what}{allowed} |"


def results_table():
    """A row for each recipe with results."""
    results = sorted((ROOT / "benchmarks" / "results" / "recipes").glob("*.json"))
    if not results:
        return "No results are recorded yet."
    lines = [
        "| recipe | dim | seeds | test AUC | published | test log loss | published | epochs | "
        "minutes | machine |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    return "\n".join([*lines, *(row(json.loads(path.read_text())) for path in results)])


def daily_table():
    """The AUC of each way to map ids to rows, of benchmarks/daily.py, a column each."""
    ways = json.loads((ROOT / "benchmarks" / "results" / "daily.json").read_text())["results"]
    head, ruler, line = "| ids |", "|---|", "| AUC |"
    for way in ways:
        head += f" {way['ids']} |"
        ruler += "---|"
        line += f" {way['auc']:.3f} |"
    return "\n".join([head, ruler, line])


def metrics_table():
    """A row for each set of metrics of benchmarks/metrics.py."""
    results = _results("metrics")
    lines = [
        "| metrics | share of a step | rounds | ms a step without | with |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, found in results["metrics"].items():
        taken = found["processor"]
        lines.append(
            f"| {name} | {100 * taken['share']:.1f} % | {100 * taken['lowest']:.1f} to "
            f"{100 * taken['highest']:.1f} % | {taken['ms_without']:.1f} | {taken['ms_with']:.1f} |"
        )
    settings = results["settings"]
    return "\n".join(
        [
            *lines,
            "",
            f"Processor time, batches of {settings['batch']:,}, {settings['rounds']} rounds of "
            f"{settings['steps']} steps; {results['machine']}, commit {results['commit']}.",
        ]
    )


def headline_list():
    """The three figures of README, of benchmarks/headline.py, and the machine."""
    results = json.loads((ROOT / "benchmarks" / "results" / "headline.json").read_text())
    torchrec, keras, example = (results[name] for name in ("torchrec", "stock_keras", "auc"))
    machines = sorted({result["machine"] for result in results.values()})
    return "\n".join(
        [
            "- DLRM training, times faster than TorchRec 1.8 with fused row-wise Adagrad on the"
            f" same two cores: {torchrec['ratio']:.2f}",
            "- DLRM training, times faster than stock Keras 3 with Adagrad, 16 tables of 1,000,000"
            f" rows: {keras['ratio']:.1f}",
            "- AUC of `examples/train_dlrm.py` beside the best reachable on its generated log: "
            f"{example['auc']:.3f} of {example['best']:.3f}",
            "",
            f"`python benchmarks/headline.py`, {' and '.join(machines)}; [benchmarks]"
            "(benchmarks/README.md) has every figure, and the goals that were not reached.",
        ]
    )


def torchrec_table():
    """A row for each cell of benchmarks/serving_torchrec.py."""
    cells = _results("serving_torchrec")
    lines = [
        "| request | times as fast | rounds | goal | ms | its ms |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for cell in cells.values():
        ours, theirs = cell["ms"]["ours native"], cell["ms"][cell["against"]]
        lines.append(
            f"| {cell['workload']} | {cell['times_faster']:.2f} | {cell['lowest']:.2f} to "
            f"{cell['highest']:.2f} | {cell['goal']} | {_latency(cell, 'ours native', ours)} | "
            f"{_latency(cell, cell['against'], theirs)} |"
        )
    return "\n".join(lines)


def requests_table():
    """A row for each pair of ways of benchmarks/serving_requests.py."""
    lines = [
        "| request | way | p50, ms | p99, ms | bytes |",
        "|---|---|---:|---:|---:|",
    ]
    for request, result in _results("serving_requests").items():
        for way, taken in result.items():
            if isinstance(taken, dict):
                lines.append(
                    f"| {request} | {way} | {taken['p50_ms']} | {taken['p99_ms']} | "
                    f"{taken['request_bytes']:,} |"
                )
    return "\n".join(lines)


def threads_table():
    """A row for each way of benchmarks/serving_many_features.py."""
    lines = [
        "| way | requests | p50, ms | p99, ms | p99.9, ms | MB more after 10 s |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for way, result in _results("serving_many_features").items():
        (latency,) = result["latency"].values()
        growth = result["highest_memory_after_that_mb"] - result["memory_after_10_s_mb"]
        times = " | ".join(f"{value:.0f}" for value in latency)
        lines.append(f"| {way} | {result['requests']:,} | {times} | {growth:.1f} |")
    return "\n".join(lines)


def breakdown_table():
    """A row for each cell of benchmarks/breakdown.py, and the machine."""
    cells = _results("breakdown")
    lines = [
        f"| ms of a step | all | {' | '.join(PARTS)} | waiting |",
        f"|---|{'---:|' * (len(PARTS) + 2)}",
    ]
    for name, cell in cells.items():
        job, bag, precision = name.split("_")[:3]
        threads = f"{cell['threads']} thread{'s' if cell['threads'] > 1 else ''}"
        parts = " | ".join(f"{cell['parts_ms'].get(part, 0):.1f}" for part in PARTS)
        lines.append(
            f"| {job}, bag {bag}, {precision}, {threads} | {cell['step_ms']:.1f} | "
            f"{parts} | {cell['waiting_ms']:.1f} |"
        )
    return "\n".join([*lines, "", _made_on(cells.values())])


def forms_table():
    """A row for each that `benchmarks/compare.py --forms` measured, and the machine."""
    if not (ROOT / "benchmarks" / "results" / "forms.json").exists():
        return "No results are recorded yet."
    cells = _results("forms")
    lines = [
        "| work | peer | against | times | rounds | goal | ms | its ms | peak GB | its GB |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for cell in cells.values():
        for line in cell["rows"]:
            goal = "" if line["goal"] is None else f"{line['goal']:g}"
            if goal:
                goal = f"{'at most' if line['at_most'] else 'at least'} {goal}"
            times, gigabytes = (
                " | ".join(f"{value:.{digits}f}" for value in line[key])
                for key, digits in (("ms", 1), ("peak_gb", 2))
            )
            lines.append(
                f"| {line['work']} | {line['peer']} | {line['against']} | {line['ratio']:.2f} | "
                f"{line['lowest']:.2f} to {line['highest']:.2f} | {goal} | {times} | {gigabytes} |"
            )
    return "\n".join([*lines, "", _made_on(cells.values())])


def _made_on(cells):
    made = sorted({f"{cell['machine']}, commit {cell['commit']}" for cell in cells})
    return f"Measured on {'; '.join(made)}."


def _results(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def _latency(cell, peer, milliseconds):
    """The median of blocks, or p50 and p99 where calls were timed."""
    percentiles = cell["p50_p99_ms"].get(peer)
    if percentiles is None:
        return f"{milliseconds:.1f}"
    return " / ".join(f"{value:.1f}" for value in percentiles)


def row(result):
    """The row of one file of results."""
    recipe, runs = result["recipe"], result["runs"]
    tests = [run["metrics"]["test"] for run in runs]
    published = recipe["published"]
    minutes = statistics.mean(run["metrics"]["seconds"] for run in runs) / 60
    epochs = statistics.mean(run["metrics"]["epochs"] for run in runs)
    machines = sorted({f"{run['machine']}, {run['cores']} cores" for run in runs})
    cells = [
        f"`{recipe['name']}`",
        str(recipe["tables"]["dim"]),
        str(len(runs)),
        spread([test["auc"] for test in tests], 4),
        number(published.get("auc"), 4),
        spread([test["log_loss"] for test in tests], 4),
        number(published.get("log_loss"), 4),
        f"{epochs:.0f}",
        f"{minutes:.1f}",
        "; ".join(machines),
    ]
    return f"| {' | '.join(cells)} |"


def spread(values, digits):
    """The mean, with the standard deviation over seeds where there are several."""
    mean = number(statistics.mean(values), digits)
    return mean if len(values) < 2 else f"{mean} ± {number(statistics.stdev(values), digits)}"


def number(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
