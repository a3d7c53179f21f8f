"""Times counting the words of a gzip text, as the program corpus_reader does it beside lexmax.

Two counters: the standard library's (read, split, collections.Counter), and the whitespace pre-tokenizer of Hugging Face
`tokenizers`, where that is installed. Neither writes ids; lexmax's time has that in it.

Example: python benches/peers/words.py text.txt.gz --repeats 5
"""

import argparse
import gzip
import statistics
import subprocess
import sys
import time
from collections import Counter


def count_by_split(path):
    """zcat | split and count: unpacking runs in a process of its own."""
    counts = Counter()
    with subprocess.Popen(["gzip", "-dc", path], stdout=subprocess.PIPE) as unpacker:
        for line in unpacker.stdout:
            counts.update(line.decode().split())
    if unpacker.returncode:
        raise SystemExit(f"{path}: gzip ended with {unpacker.returncode}; expected a gzip text")
    return sum(counts.values())


def count_by_tokenizers(path):
    from tokenizers.pre_tokenizers import WhitespaceSplit

    split = WhitespaceSplit()
    counts = Counter()
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as text:
        for line in text:
            counts.update(word for word, _ in split.pre_tokenize_str(line))
    return sum(counts.values())


def size(path):
    total = 0
    with gzip.open(path) as text:
        while block := text.read(1 << 20):
            total += len(block)
    return total


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected an integer of at least 1")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a gzip text in UTF-8")
    parser.add_argument("--repeats", type=positive, default=5)
    args = parser.parse_args()
    megabytes = size(args.text) / 1e6
    counters = [("gzip -dc | split and count", count_by_split)]
    try:
        import tokenizers

        counters.append((f"tokenizers {tokenizers.__version__}, whitespace", count_by_tokenizers))
    except ImportError:
        print(f"no `tokenizers` in {sys.executable}: its whitespace pre-tokenizer is not timed")
    print(f"{'counter in Python':32} {'seconds':>24} {'MB/s':>10}")
    found = set()
    for name, count in counters:
        times = []
        for _ in range(args.repeats):
            started = time.perf_counter()
            found.add(count(args.text))
            times.append(time.perf_counter() - started)
        times.sort()
        low, high = (times[quarter * (len(times) - 1) // 4] for quarter in (1, 3))
        median = statistics.median_low(times)
        shown = f"{median:.2f} [{low:.2f}, {high:.2f}]"
        print(f"{name:32} {shown:>24} {megabytes / median:>10.1f}")
    if len(found) != 1:
        print(f"the counters found {sorted(found)} words: Python splits at four control characters more")


if __name__ == "__main__":
    main()
