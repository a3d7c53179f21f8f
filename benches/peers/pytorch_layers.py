#!/usr/bin/env python3
"""Times one output layer in PyTorch and prints one JSON line; `cargo xtask peers` calls it.

full      eager: linear and cross_entropy; compiled: torch.compile of it; linear_cross_entropy: the
          chunked function of PyTorch 2.13 with its default options, which choose chunks of a few rows
          for large V; linear_cross_entropy_quarters: the same with chunks of a quarter of the rows;
          products: the bare matrix products
adaptive  module: nn.AdaptiveLogSoftmaxWithLoss with the cutoffs 2,000 and 10,000
sampled   dense, sparse: softmax over the target and 1,024 log-uniform negatives that all rows share,
          corrected by log q, rows by nn.Embedding with dense or with sparse gradients
mos       eager: mixture of ten softmaxes by its formula

train: loss and gradients of parameters and hidden states; step: these and the SGD update;
language-model: a whole step of word_language_model.py with the layer, on windows of 35 ids of the corpus
(the variant sparse: input embedding and sampled rows with sparse gradients; the others: dense);
evaluate: exact log-probabilities of the targets; top-10: the ten best classes of each row.

example:
  python benches/peers/pytorch_layers.py --layer full --variant eager --task train \\
      --rows 1024 --width 256 --classes 33278 --threads 2 --seconds 2
"""

import sys

import measure

ARGS = measure.arguments(
    __doc__,
    layers=["full", "adaptive", "sampled", "mos"],
    variants=["eager", "compiled", "linear_cross_entropy", "linear_cross_entropy_quarters", "products", "module",
              "dense", "sparse"],
    tasks=["train", "step", "language-model", "evaluate", "top-10"],
)

import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import word_language_model as model_script  # noqa: E402
from layers import LAYERS, Sampled  # noqa: E402

LEARNING_RATE = 1e-4


class Subject:
    def __init__(self, args, rows, classes):
        torch.manual_seed(1)
        self.task = args.task
        self.layer = LAYERS[args.layer](args.width, classes, args.variant)
        self.call = torch.compile(self.layer) if args.variant == "compiled" else self.layer
        self.optimizer = torch.optim.SGD(self.layer.parameters(), lr=LEARNING_RATE)
        self.hidden = torch.randn(rows, args.width, requires_grad=True)
        self.targets = torch.from_numpy(measure.zipf_targets(rows, classes))

    def clear(self):
        self.optimizer.zero_grad(set_to_none=True)
        self.hidden.grad = None

    def run(self):
        if self.task in ("train", "step"):
            self.call(self.hidden, self.targets).backward()
            if self.task == "step":
                self.optimizer.step()
            return
        with torch.inference_mode():
            if self.task == "evaluate":
                self.layer.log_prob(self.hidden, self.targets)
            else:
                self.layer.best(self.hidden)

    def gradient_bytes(self):
        total = 0
        for gradient in [p.grad for p in self.layer.parameters()] + [self.hidden.grad]:
            if gradient is None:
                continue
            sparse = gradient.is_sparse
            parts = [gradient._values(), gradient._indices()] if sparse else [gradient]
            total += sum(part.numel() * part.element_size() for part in parts)
        return total

    def check(self):
        """Largest relative deviation of the answer on a few rows from its definition in f64."""
        hidden = self.hidden.detach()[: measure.CHECKED].clone()
        targets = self.targets[: measure.CHECKED].clone()
        if isinstance(self.layer, Sampled):
            self.layer.draws = self.layer.draw()
        with torch.no_grad():
            expected = self.layer.definition(hidden, targets)
            if self.task == "evaluate":
                given = self.layer.log_prob(hidden, targets).double()
            elif self.task == "top-10":
                given = self.layer.best(hidden).values.double()
                weight, bias = self.layer.linear.weight.double(), self.layer.linear.bias.double()
                expected = F.linear(hidden.double(), weight, bias).sort(descending=True).values[:, :10]
            else:
                given, expected = self.layer(hidden, targets).double(), -expected.mean()
        if isinstance(self.layer, Sampled):
            self.layer.draws = None
        return ((given - expected).norm() / expected.norm()).item()


class LanguageModel:
    """The model of word_language_model.py on what lexmax's side reads: a corpus, or a few windows of ids by Zipf's law."""

    BPTT, WINDOWS, LEARNING_RATE = 35, 8, 1.0

    def __init__(self, args):
        torch.manual_seed(1)
        recipe = dict(model_script.RECIPE, emb=args.width, hidden=args.width)
        self.clip = recipe["clip"]
        self.model = model_script.LanguageModel(args.classes, recipe, args.layer, args.variant == "sparse")
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=self.LEARNING_RATE)
        streams = args.rows // self.BPTT
        if args.corpus is None:
            ids, self.corpus = measure.zipf_targets(streams * (self.WINDOWS * self.BPTT + 1), args.classes), None
        else:
            ids, self.corpus = measure.training_ids(args.corpus)
        columns = model_script.streams(torch.from_numpy(ids), streams)
        self.windows = list(model_script.chunks(columns, self.BPTT))
        self.state, self.step = None, 0

    def run(self):
        inputs, targets = self.windows[self.step % len(self.windows)]
        self.step += 1
        _, self.state = model_script.train_step(
            self.model, self.optimizer, inputs, targets, self.state, self.clip
        )

    def check(self):
        """Relative deviation of the output layer's loss on some hidden states of the model from its definition in f64."""
        inputs, targets = self.windows[0]
        layer = self.model.output
        if isinstance(layer, Sampled):
            layer.draws = layer.draw()
        self.model.eval()
        with torch.no_grad():
            hidden = self.model(inputs[:1], None)[0][: measure.CHECKED]
            targets = targets[0][: measure.CHECKED]
            given = layer(hidden, targets).double()
            expected = -layer.definition(hidden, targets).mean()
        self.model.train()
        if isinstance(layer, Sampled):
            layer.draws = None
        return ((given - expected).abs() / expected.abs()).item()


class Products:
    """The three products of a full softmax, or the first, into memory that is there."""

    def __init__(self, args, rows, classes):
        self.hidden, self.weight = torch.randn(rows, args.width), torch.ones(classes, args.width)
        self.logits = torch.ones(rows, classes)
        self.results = None
        if args.task in ("train", "step"):
            self.results = torch.ones(rows, args.width), torch.ones(classes, args.width)

    def clear(self):
        pass

    def run(self):
        torch.matmul(self.hidden, self.weight.t(), out=self.logits)
        if self.results is not None:
            torch.matmul(self.logits, self.weight, out=self.results[0])
            torch.matmul(self.logits.t(), self.hidden, out=self.results[1])


def main(args):
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    software = f"PyTorch {torch.__version__}"
    if args.variant == "products":
        products = Products(args, args.rows, args.classes)
        _, first = measure.memory_rise(products.run)
        times = measure.repeat(args.seconds, first, products.clear, products.run)
        measure.finish(args, "pytorch", software, times, None, None)
        return
    if args.task == "language-model":
        model = LanguageModel(args)
        deviation = model.check()
        _, first = measure.memory_rise(model.run)
        times = measure.repeat(args.seconds, first, lambda: None, model.run)
        measure.finish(args, "pytorch", software, times, None, deviation, model.corpus)
        return
    # A small one first: what PyTorch loads and allocates once is no memory of the layer.
    Subject(args, min(args.rows, 64), min(args.classes, 4096)).run()
    if args.variant == "compiled":
        torch._dynamo.reset()  # else the larger sizes are compiled as dynamic ones
    subject = Subject(args, args.rows, args.classes)
    if args.variant == "compiled":
        subject.run()  # compiles for these sizes
        subject.clear()
    rise, first = measure.memory_rise(subject.run)
    extra = None if rise is None else max(0, rise - subject.gradient_bytes())
    subject.clear()
    deviation = subject.check()
    times = measure.repeat(args.seconds, first, subject.clear, subject.run)
    measure.finish(args, "pytorch", software, times, extra, deviation)


if __name__ == "__main__":
    try:
        main(ARGS)
    except (RuntimeError, AttributeError, OSError, ValueError) as error:
        sys.exit(f"pytorch_layers.py: {error}")
