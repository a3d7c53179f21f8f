#!/usr/bin/env python3
"""Times tf.nn.sampled_softmax_loss with its gradients and the SGD update, and prints one JSON line.

1,024 log-uniform negatives that all rows share, drawn without replacement, as the function's default is; the gradients of weights and biases are IndexedSlices and are subtracted row by row. The step is one tf.function. `cargo xtask peers` calls it.

example:
  python benches/peers/tensorflow_sampled.py --layer sampled-unique --variant sampled_softmax_loss --task step \\
      --rows 1024 --width 512 --classes 267735 --threads 2 --seconds 2
"""

import os
import sys

import measure

ARGS = measure.arguments(__doc__, layers=["sampled-unique"], variants=["sampled_softmax_loss"], tasks=["step"])
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy  # noqa: E402
import tensorflow as tf  # noqa: E402

SAMPLES = 1024
LEARNING_RATE = 1e-4


class Subject:
    def __init__(self, args, rows, classes):
        rng = numpy.random.default_rng(1)
        bound = args.width**-0.5
        weight = rng.random((classes, args.width), dtype=numpy.float32)
        weight *= 2 * bound
        weight -= bound
        self.classes = classes
        self.weight, self.bias = tf.Variable(weight), tf.Variable(tf.zeros([classes]))
        self.hidden = tf.constant(rng.standard_normal((rows, args.width), dtype=numpy.float32))
        self.targets = tf.constant(measure.zipf_targets(rows, classes)[:, None])
        self.step = tf.function(self.eager_step)
        self.gradients = None

    def loss(self, hidden, targets, sampled=None):
        losses = tf.nn.sampled_softmax_loss(
            self.weight, self.bias, targets, hidden, SAMPLES, self.classes, sampled_values=sampled
        )
        return tf.reduce_mean(losses)

    def eager_step(self):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([self.hidden, self.weight, self.bias])
            loss = self.loss(self.hidden, self.targets)
        gradients = tape.gradient(loss, [self.hidden, self.weight, self.bias])
        for variable, gradient in zip([self.weight, self.bias], gradients[1:]):
            assert isinstance(gradient, tf.IndexedSlices)
            variable.scatter_sub(tf.IndexedSlices(LEARNING_RATE * gradient.values, gradient.indices))
        return loss, gradients[0]

    def clear(self):
        self.gradients = None

    def run(self):
        loss, self.gradients = self.step()
        loss.numpy()  # waits for the result

    def check(self):
        """Relative deviation of the loss on a few rows from its definition in f64, with the same negatives."""
        hidden, targets = self.hidden[: measure.CHECKED], self.targets[: measure.CHECKED]
        sampled = tf.random.log_uniform_candidate_sampler(targets, 1, SAMPLES, True, self.classes)
        given = float(self.loss(hidden, targets, sampled))
        negatives, of_targets, of_negatives = (part.numpy() for part in sampled)
        weight, bias = self.weight.numpy(), self.bias.numpy()
        expected = 0.0
        for row, target, count in zip(hidden.numpy(), targets.numpy()[:, 0], of_targets[:, 0]):
            kept = negatives != target
            ids = numpy.append(target, negatives[kept])
            counts = numpy.append(count, of_negatives[kept]).astype(numpy.float64)
            scores = weight[ids].astype(numpy.float64) @ row.astype(numpy.float64) + bias[ids] - numpy.log(counts)
            expected += (numpy.logaddexp.reduce(scores) - scores[0]) / len(targets)
        return abs(given - expected) / expected


def main(args):
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    Subject(args, min(args.rows, 64), max(2 * SAMPLES, min(args.classes, 4096))).run()
    subject = Subject(args, args.rows, args.classes)
    subject.run()  # traces the function for these sizes
    subject.clear()
    # The threads of the executor keep what the traced call took, so the rise of a further one says nothing of its memory.
    _, first = measure.memory_rise(subject.run)
    deviation = subject.check()
    times = measure.repeat(args.seconds, first, subject.clear, subject.run)
    measure.finish(args, "tensorflow", f"TensorFlow {tf.__version__}", times, None, deviation)


if __name__ == "__main__":
    try:
        main(ARGS)
    except tf.errors.OpError as error:
        sys.exit(f"tensorflow_sampled.py: {error}")
