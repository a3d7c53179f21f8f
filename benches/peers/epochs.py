#!/usr/bin/env python3
"""Sets the epochs of lexmax beside those of word_language_model.py: exact validation perplexity of every seed, means, and how far
apart the means are, with the standard error of that.

Reads stored results only: the runs of one or more results folders of lexmax, and JSON files of the script.
"""

import argparse
import json
import math
import statistics
from pathlib import Path

EPILOG = """\
example:
  python benches/peers/epochs.py results/wikitext-2-pytorch results/wikitext-2-pytorch-one-thread \\
      --pytorch results/wikitext-2-pytorch/pytorch
"""


def of_lexmax(folders):
    """Perplexity of each seed, from the finished runs of one output."""
    found, outputs = {}, set()
    for folder in folders:
        runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "runs").glob("*.json"))]
        finished = [run for run in runs if run["result"] and run["result"].get("valid_nll") is not None]
        if not finished:
            raise SystemExit(f"{folder}: holds no finished runs, expected runs/*.json of `lexmax run`")
        for run in finished:
            outputs.add(run["name"])
            if len(outputs) > 1:
                raise SystemExit(f"{folder}: holds runs of {' and '.join(sorted(outputs))}, expected one output")
            if run["seed"] in found:
                raise SystemExit(f"{folder}: seed {run['seed']} is there twice, expected every seed once")
            found[run["seed"]] = math.exp(run["result"]["valid_nll"])
    return found


def of_pytorch(folder):
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    finished = [run for run in runs if run.get("status") == "finished"]
    if not finished:
        raise SystemExit(f"{folder}: holds no finished epochs, expected the files of word_language_model.py --json")
    return {run["seed"]: run["evaluations"][-1]["perplexity"] for run in finished}


def compare(lexmax, pytorch):
    """How far lexmax's mean is above PyTorch's and the standard error of that, as shares of PyTorch's mean."""
    means = [statistics.mean(side.values()) for side in (lexmax, pytorch)]
    spread = sum(statistics.variance(side.values()) / len(side) for side in (lexmax, pytorch))
    return means[0] / means[1] - 1, math.sqrt(spread) / means[1]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="RESULTS", help="results folders of lexmax")
    parser.add_argument("--pytorch", type=Path, required=True, metavar="DIR", help="folder with the script's JSON files")
    args = parser.parse_args()
    sides = {"lexmax": of_lexmax(args.folders), "PyTorch": of_pytorch(args.pytorch)}
    for name, side in sides.items():
        each = ", ".join(f"{seed}: {side[seed]:.1f}" for seed in sorted(side))
        print(f"{name:8} mean {statistics.mean(side.values()):.1f}  ({each})")
    if min(len(side) for side in sides.values()) < 2:
        raise SystemExit("a standard error takes two seeds on either side")
    apart, error = compare(*sides.values())
    print(f"lexmax's mean is {100 * apart:+.1f} % from PyTorch's, standard error {100 * error:.1f} %")


if __name__ == "__main__":
    main()
