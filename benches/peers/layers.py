"""Output layers in PyTorch as its users write them: what the other scripts here time and train.

Every layer has `forward(hidden, targets)`, the mean training loss, and `definition(hidden, targets)`, the
exact log-probabilities of the targets in f64 (of `Sampled` those among the negatives at hand).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

CUTOFFS = [2_000, 10_000]
SAMPLES = 1024
COMPONENTS = 10


class Full(nn.Module):
    def __init__(self, width, classes, variant):
        super().__init__()
        self.linear = nn.Linear(width, classes)
        nn.init.zeros_(self.linear.bias)
        self.variant = variant

    def forward(self, hidden, targets):
        if self.variant.startswith("linear_cross_entropy"):
            options = nn.LinearCrossEntropyOptions()
            if self.variant.endswith("quarters"):
                quarter = max(1, hidden.size(0) // 4)
                options = nn.LinearCrossEntropyOptions(chunking_method=None, batch_chunk_size=quarter)
            return F.linear_cross_entropy(
                hidden, self.linear.weight, targets, linear_bias=self.linear.bias, options=options
            )
        return F.cross_entropy(self.linear(hidden), targets)

    def log_prob(self, hidden, targets):
        return -F.cross_entropy(self.linear(hidden), targets, reduction="none")

    def best(self, hidden):
        return self.linear(hidden).topk(10)

    def definition(self, hidden, targets):
        logits = F.linear(hidden.double(), self.linear.weight.double(), self.linear.bias.double())
        return logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]


class Adaptive(nn.Module):
    def __init__(self, width, classes, variant):
        super().__init__()
        cutoffs = [cutoff for cutoff in CUTOFFS if cutoff < classes]
        self.module = nn.AdaptiveLogSoftmaxWithLoss(width, classes, cutoffs, head_bias=True)

    def forward(self, hidden, targets):
        return self.module(hidden, targets).loss

    def log_prob(self, hidden, targets):
        return self.module(hidden, targets).output

    def definition(self, hidden, targets):
        """Head and tails in f64, by the parameters of the module."""
        module, hidden = self.module, hidden.double()
        head = F.linear(hidden, module.head.weight.double(), module.head.bias.double()).log_softmax(-1)
        parts = [head[:, : module.shortlist_size]]
        for number, (projection, words) in enumerate(module.tail):
            narrow = F.linear(hidden, projection.weight.double())
            tail = F.linear(narrow, words.weight.double()).log_softmax(-1)
            parts.append(head[:, module.shortlist_size + number, None] + tail)
        return torch.cat(parts, 1).gather(1, targets[:, None])[:, 0]


class Sampled(nn.Module):
    """Negatives with replacement; p(id) = log((id + 2) / (id + 1)) / log(V + 1)."""

    def __init__(self, width, classes, variant):
        super().__init__()
        self.classes = classes
        weight = torch.empty(classes, width).uniform_(-(width**-0.5), width**-0.5)
        made = {"freeze": False, "sparse": variant == "sparse"}
        self.weight = nn.Embedding.from_pretrained(weight, **made)
        self.bias = nn.Embedding.from_pretrained(torch.zeros(classes, 1), **made)
        self.draws = None  # negatives to use instead of fresh ones, for the check

    def log_expected(self, ids):
        ids = ids.double()
        share = torch.log1p(1.0 / (ids + 1.0)) / math.log(self.classes + 1.0)
        return torch.log(SAMPLES * share)

    def draw(self):
        uniform = torch.rand(SAMPLES, dtype=torch.float64)
        ids = (uniform * math.log(self.classes + 1.0)).exp().long() - 1
        return ids.clamp_(0, self.classes - 1)

    def forward(self, hidden, targets):
        negatives = self.draw() if self.draws is None else self.draws
        ids = torch.cat([targets, negatives])
        weight, bias = self.weight(ids), self.bias(ids)[:, 0]
        offset = bias - self.log_expected(ids).to(bias.dtype)
        rows = targets.numel()
        positive = (hidden * weight[:rows]).sum(1) + offset[:rows]
        negative = torch.addmm(offset[rows:], hidden, weight[rows:].t())
        negative = negative.masked_fill(targets[:, None] == negatives, -math.inf)
        logits = torch.cat([positive[:, None], negative], 1)
        return F.cross_entropy(logits, torch.zeros_like(targets))

    def log_prob(self, hidden, targets):
        """Over all classes."""
        logits = F.linear(hidden, self.weight.weight, self.bias.weight[:, 0])
        return -F.cross_entropy(logits, targets, reduction="none")

    def definition(self, hidden, targets):
        values = []
        for row, target in zip(hidden.double(), targets.tolist()):
            others = self.draws[self.draws != target]
            ids = torch.cat([torch.tensor([target]), others])
            score = self.weight(ids).double() @ row + self.bias(ids)[:, 0].double() - self.log_expected(ids)
            values.append(score.log_softmax(0)[0])
        return torch.stack(values)


class Mixture(nn.Module):
    def __init__(self, width, classes, variant):
        super().__init__()
        self.prior = nn.Linear(width, COMPONENTS, bias=False)
        self.latent = nn.Linear(width, COMPONENTS * width)
        self.linear = nn.Linear(width, classes)

    def forward(self, hidden, targets):
        rows, width = hidden.shape
        prior = self.prior(hidden).softmax(-1)
        latent = torch.tanh(self.latent(hidden)).view(rows * COMPONENTS, width)
        shares = self.linear(latent).softmax(-1).view(rows, COMPONENTS, -1)
        mixed = (shares * prior[:, :, None]).sum(1)
        return F.nll_loss(torch.log(mixed + 1e-8), targets)

    def definition(self, hidden, targets):
        double = {name: value.detach().double() for name, value in self.named_parameters()}
        rows, width = hidden.shape
        prior = F.linear(hidden.double(), double["prior.weight"]).log_softmax(-1)
        latent = torch.tanh(F.linear(hidden.double(), double["latent.weight"], double["latent.bias"]))
        logits = F.linear(latent.view(rows, COMPONENTS, width), double["linear.weight"], double["linear.bias"])
        at_target = logits.log_softmax(-1).gather(2, targets[:, None, None].expand(-1, COMPONENTS, 1))
        return (prior + at_target[:, :, 0]).logsumexp(1)


LAYERS = {"full": Full, "adaptive": Adaptive, "sampled": Sampled, "mos": Mixture}
