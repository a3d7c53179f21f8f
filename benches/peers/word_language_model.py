#!/usr/bin/env python3
"""Trains the reference language-model recipe in PyTorch, as a peer to compare lexmax with.

The recipe: WikiText-2 words, embedding 200, two LSTM layers of 200, dropout 0.2 on the embedding,
between the layers and on the output, an untied full softmax with bias over all 33,278 words
(or another output layer, for its speed: --output);
20 streams, 35 steps of back-propagation through time, plain SGD at learning rate 20, all gradients
clipped to a joint L2 norm of 0.25. Embedding and output weight start uniform in (-0.1, 0.1), the
output bias at 0, the LSTM as PyTorch initialises it, an adaptive softmax too. The hidden state is carried from step to step
without its gradient, and is zero at the start of an epoch.

The loss of a step is the mean negative log-probability (nats) of its tokens. The validation
perplexity is exact: full softmax, no dropout, sums in f64, hidden state carried through the split.
"""

import argparse
import gzip
import json
import math
import os
import platform
import statistics
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

EPILOG = """\
examples:
  one epoch on one thread, all results in a JSON file
      python benches/peers/word_language_model.py --seed 1 --threads 1 --json epoch.json
  speed alone: stop after 120 steps and time steps 21 to 120
      python benches/peers/word_language_model.py --threads 2 --steps 120 --time-steps 21:120
  the same with sampled softmax (1,024 log-uniform negatives), sparse gradients for the rows it reads
      python benches/peers/word_language_model.py --output sampled --sparse --threads 2 --steps 400 \\
          --time-steps 101:400
  perplexity with the validation split as one stream, and as ten
      python benches/peers/word_language_model.py --eval-batch 1 10

needs: pip install torch==2.13.0 numpy
"""

RECIPE = {"emb": 200, "hidden": 200, "layers": 2, "dropout": 0.2, "batch": 20, "bptt": 35,
          "lr": 20.0, "clip": 0.25, "init": 0.1}
REPORT_EVERY = 200  # steps behind each printed mean of the training loss
EVAL_ROWS = 350  # tokens scored at once; the carried state makes the result independent of it
SPLITS = ("train", "valid")


def default_data():
    shared = os.environ.get("LEXMAX_SHARED")
    root = Path(shared) if shared else Path(__file__).resolve().parents[3] / "shared"
    return root / "data" / "wikitext-2"


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected an integer of at least 1")
    return value


def step_window(text):
    try:
        first, last = (int(part) for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: expected A:B, for example 21:120") from None
    if not 1 <= first <= last:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 <= A <= B")
    return first, last


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=default_data(), metavar="DIR",
                        help="folder with train.txt.gz and valid.txt.gz (default: %(default)s)")
    parser.add_argument("--output", choices=["full", "adaptive", "sampled"], default="full",
                        help="full softmax, nn.AdaptiveLogSoftmaxWithLoss with the cutoffs 2,000 and 10,000, "
                             "or sampled softmax (default: %(default)s)")
    parser.add_argument("--sparse", action="store_true",
                        help="sparse gradients for the input embedding and for the rows of sampled softmax")
    parser.add_argument("--seed", type=int, default=1, help="PyTorch's seed (default: %(default)s)")
    parser.add_argument("--threads", type=positive, default=1,
                        help="threads within an operation (default: %(default)s)")
    parser.add_argument("--epochs", type=positive, default=1,
                        help="passes over the training split (default: %(default)s)")
    parser.add_argument("--steps", type=positive, metavar="N",
                        help="stop after N training steps in all; an epoch cut short is not evaluated")
    parser.add_argument("--eval-batch", type=positive, nargs="+", default=[10], metavar="B",
                        help="streams the validation split is cut into; several are scored in turn "
                             "(default: 10)")
    parser.add_argument("--time-steps", type=step_window, metavar="A:B",
                        help="report the speed over steps A to B as well (counted from 1, B included)")
    parser.add_argument("--json", type=Path, metavar="OUT",
                        help="write all results there; rewritten as the run goes on")
    return parser.parse_args()


ARGS = parse_args() if __name__ == "__main__" else None
if ARGS is not None:
    # OpenMP reads this once, when torch is loaded; so --help also works without torch.
    os.environ["OMP_NUM_THREADS"] = str(ARGS.threads)

import torch  # noqa: E402
from torch import nn  # noqa: E402

import measure  # noqa: E402
from layers import Adaptive, Full, Sampled  # noqa: E402


def read_words(path):
    words = []
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            words.extend(line.split())
            words.append("<eos>")
    if not words:
        raise ValueError(f"{path}: holds no words")
    return words


def load_corpus(folder):
    """Ids of each split, and V; ids fall by frequency in the training split."""
    texts = {split: read_words(folder / f"{split}.txt.gz") for split in SPLITS}
    counts = Counter(texts["train"])
    for split in SPLITS[1:]:
        for word in texts[split]:
            counts.setdefault(word, 0)
    ids = {word: rank for rank, (word, _) in enumerate(counts.most_common())}
    return {split: torch.tensor([ids[w] for w in text]) for split, text in texts.items()}, len(ids)


def streams(tokens, batch):
    """`[length, batch]`: contiguous streams side by side; what does not fill a row is left out."""
    length = tokens.numel() // batch
    if length < 2:
        raise ValueError(f"{tokens.numel()} tokens do not make {batch} streams of at least 2")
    return tokens[: length * batch].view(batch, length).t().contiguous()


def chunks(columns, bptt):
    """Pairs of inputs and targets, each `[at most bptt, batch]`."""
    for start in range(0, columns.size(0) - 1, bptt):
        stop = min(start + bptt, columns.size(0) - 1)
        yield columns[start:stop], columns[start + 1 : stop + 1]


def output_layer(name, width, vocab_size, sparse):
    if name == "adaptive":
        return Adaptive(width, vocab_size, "module")
    if name == "sampled":
        return Sampled(width, vocab_size, "sparse" if sparse else "dense")
    return Full(width, vocab_size, "eager")


class LanguageModel(nn.Module):
    """The layers up to the output's loss: `forward` gives the hidden states `[N, D]`."""

    def __init__(self, vocab_size, recipe, output, sparse):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, recipe["emb"], sparse=sparse)
        self.lstm = nn.LSTM(recipe["emb"], recipe["hidden"], recipe["layers"], dropout=recipe["dropout"])
        self.output = output_layer(output, recipe["hidden"], vocab_size, sparse)
        self.dropout = nn.Dropout(recipe["dropout"])
        nn.init.uniform_(self.embedding.weight, -recipe["init"], recipe["init"])
        class_weight = {"full": "linear.weight", "sampled": "weight.weight"}.get(output)
        if class_weight is not None:
            nn.init.uniform_(self.output.get_parameter(class_weight), -recipe["init"], recipe["init"])

    def forward(self, inputs, state):
        embedded = self.dropout(self.embedding(inputs))
        hidden, state = self.lstm(embedded, state)
        return self.dropout(hidden).flatten(0, 1), state


def evaluate(model, tokens, batch):
    columns = streams(tokens, batch)
    nll, scored, state = 0.0, 0, None
    start = time.perf_counter()
    model.eval()
    with torch.inference_mode():
        for inputs, targets in chunks(columns, max(1, EVAL_ROWS // batch)):
            hidden, state = model(inputs, state)
            losses = -model.output.log_prob(hidden, targets.flatten())
            nll += losses.double().sum().item()
            scored += losses.numel()
    model.train()
    seconds = time.perf_counter() - start
    mean = nll / scored
    return {"eval_batch": batch, "tokens_scored": scored, "mean_nll": mean,
            "perplexity": math.exp(mean) if mean < 700 else None,
            "seconds": seconds, "tokens_per_second": scored / seconds}


def speed(steps, first, last):
    """Speed over steps `first` to `last`, from 1; each is (loss, tokens, wall s, cpu s)."""
    window = steps[first - 1 : last]
    wall = [s[2] for s in window]
    cpu = [s[3] for s in window]
    tokens = sum(s[1] for s in window)
    median = statistics.median(wall)
    return {"first_step": first, "last_step": first - 1 + len(window), "tokens": tokens,
            "seconds": sum(wall), "tokens_per_second": tokens / sum(wall),
            "median_ms_per_step": 1e3 * median,
            "tokens_per_second_at_median": statistics.median(s[1] for s in window) / median,
            "cpu_seconds": sum(cpu), "median_cpu_ms_per_step": 1e3 * statistics.median(cpu)}


def loss_means(steps):
    """Mean training loss of each full block of steps, and of the rest."""
    means = []
    for start in range(0, len(steps), REPORT_EVERY):
        block = [s[0] for s in steps[start : start + REPORT_EVERY]]
        means.append({"first_step": start + 1, "last_step": start + len(block),
                      "mean_loss": sum(block) / len(block)})
    return means


def summary(header, steps, evaluations, window, status):
    result = dict(header, status=status, steps_done=len(steps), loss_means=loss_means(steps),
                  evaluations=evaluations)
    if steps:
        result["speed"] = speed(steps, 1, len(steps))
    if window and len(steps) >= window[1]:
        result["speed_window"] = speed(steps, *window)
    result["step_losses"] = [round(s[0], 6) for s in steps]
    result["step_ms"] = [round(1e3 * s[2], 3) for s in steps]
    return result


def write_json(path, result):
    if path is None:
        return
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


def clip_gradients(model, longest):
    """As nn.utils.clip_grad_norm_, which takes no sparse gradients."""
    gradients = []
    for parameter in model.parameters():
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
                gradients.append(parameter.grad._values())
            else:
                gradients.append(parameter.grad)
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (longest / (norm + 1e-6)).clamp(max=1.0))


def train_step(model, optimizer, inputs, targets, state, clip):
    if state is not None:
        state = tuple(part.detach() for part in state)
    optimizer.zero_grad(set_to_none=True)
    hidden, state = model(inputs, state)
    loss = model.output(hidden, targets.flatten())
    loss.backward()
    clip_gradients(model, clip)
    optimizer.step()
    return loss.item(), state


def planned_steps(columns, recipe, args):
    epoch = math.ceil((columns.size(0) - 1) / recipe["bptt"])
    total = epoch * args.epochs
    return epoch, min(total, args.steps) if args.steps else total


def print_speed(label, values):
    print(f"{label}, steps {values['first_step']}-{values['last_step']}: "
          f"{values['tokens_per_second']:.1f} tokens/s over all of them; median "
          f"{values['median_ms_per_step']:.1f} ms/step = {values['tokens_per_second_at_median']:.1f} tokens/s "
          f"({values['median_cpu_ms_per_step']:.1f} ms of CPU time)", flush=True)


def main(args):
    recipe = RECIPE
    measure.keep_freed_memory()  # as lexmax's runs do
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(args.seed)

    corpus, vocab_size = load_corpus(args.data)
    columns = streams(corpus["train"], recipe["batch"])
    per_epoch, total = planned_steps(columns, recipe, args)
    if args.time_steps and args.time_steps[1] > total:
        raise ValueError(f"--time-steps ends at step {args.time_steps[1]}, but the run has {total} steps")
    for batch in args.eval_batch:
        streams(corpus["valid"], batch)  # refuse before the training, not after it

    model = LanguageModel(vocab_size, recipe, args.output, args.sparse)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe["lr"])
    parameters = sum(p.numel() for p in model.parameters())
    header = {"torch": torch.__version__, "cpu_capability": torch.backends.cpu.get_cpu_capability(),
              "machine": platform.machine(), "cpus": os.cpu_count(), "threads": torch.get_num_threads(),
              "niceness": os.nice(0), "seed": args.seed, "output": args.output, "sparse": args.sparse,
              "recipe": recipe, "vocab_size": vocab_size,
              "parameters": parameters, "steps_per_epoch": per_epoch, "steps_planned": total,
              "tokens": {split: ids.numel() for split, ids in corpus.items()}}
    print(f"torch {torch.__version__}, {header['threads']} thread(s), {header['cpu_capability']}; "
          f"V = {vocab_size}, {header['tokens']['train']} training tokens, {parameters} parameters, "
          f"{per_epoch} steps an epoch, {total} planned; seed {args.seed}", flush=True)

    steps, evaluations = [], []
    for epoch in range(1, args.epochs + 1):
        state = None
        for inputs, targets in chunks(columns, recipe["bptt"]):
            if len(steps) == total:
                break
            wall, cpu = time.perf_counter(), time.process_time()
            loss, state = train_step(model, optimizer, inputs, targets, state, recipe["clip"])
            took = time.perf_counter() - wall, time.process_time() - cpu
            if not math.isfinite(loss):
                write_json(args.json, summary(header, steps, evaluations, args.time_steps, "diverged"))
                raise ValueError(f"step {len(steps) + 1}: the training loss is {loss}")
            steps.append((loss, targets.numel(), *took))
            if len(steps) % REPORT_EVERY == 0 or len(steps) == total:
                block = loss_means(steps)[-1]
                print(f"steps {block['first_step']}-{block['last_step']}: mean training loss "
                      f"{block['mean_loss']:.4f}; {speed(steps, 1, len(steps))['tokens_per_second']:.1f} "
                      "tokens/s so far", flush=True)
                write_json(args.json, summary(header, steps, evaluations, args.time_steps, "running"))
        if len(steps) < epoch * per_epoch:
            print(f"stopped within epoch {epoch}: no evaluation", flush=True)
            break
        for batch in args.eval_batch:
            score = dict(evaluate(model, corpus["valid"], batch), epoch=epoch, step=len(steps))
            evaluations.append(score)
            shown = "above e^700" if score["perplexity"] is None else f"{score['perplexity']:.4f}"
            print(f"epoch {epoch}: valid perplexity {shown} (mean {score['mean_nll']:.6f} nats over "
                  f"{score['tokens_scored']} tokens in {batch} stream(s); "
                  f"{score['tokens_per_second']:.1f} tokens/s)", flush=True)
            write_json(args.json, summary(header, steps, evaluations, args.time_steps, "running"))

    result = summary(header, steps, evaluations, args.time_steps, "finished")
    print_speed("training", result["speed"])
    if "speed_window" in result:
        print_speed("window", result["speed_window"])
    write_json(args.json, result)


if __name__ == "__main__":
    try:
        main(ARGS)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        sys.exit(f"word_language_model.py: {error}")
