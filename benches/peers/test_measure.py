"""Tests of measure.py and epochs.py: python benches/peers/test_measure.py (standard library and numpy only)."""

import json
import tempfile
import time
import unittest
from pathlib import Path

import epochs
import measure


class Measure(unittest.TestCase):
    def test_targets_are_those_of_lexmax(self):
        # The same numbers stand in benches/src/inputs.rs.
        self.assertEqual(measure.zipf_targets(8, 10_000).tolist(), [237, 5, 2397, 56, 0, 574, 13, 5795])

    def test_a_corpus_gives_its_ids_and_its_name(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "corpus.toml").write_text('layout = 1\nname = "small"\n', encoding="utf-8")
            (folder / "train.bin").write_bytes(b"\x02\0\0\0\x01\x01\0\0")
            ids, name = measure.training_ids(folder)
            self.assertEqual((ids.tolist(), name), ([2, 257], "small"))
            (folder / "corpus.toml").write_text("layout = 1\n", encoding="utf-8")
            self.assertRaises(ValueError, measure.training_ids, folder)

    def test_the_budget_decides_how_often(self):
        def count(budget, first, each):
            return len(measure.repeat(budget, first, lambda: None, lambda: time.sleep(each)))

        self.assertGreaterEqual(count(0.03, 0.001, 0.001), measure.LEAST)
        self.assertLess(count(0.01, 0.015, 0.015), measure.LEAST)
        self.assertEqual(count(0.01, 0.2, 0.2), measure.LEAST_OF_ALL)
        self.assertEqual(count(100, 0, 0), measure.MOST)

    def test_one_call_warms_up_and_does_not_count(self):
        for first, expected in [(0.0, 1), (2 * measure.WARM, 0)]:
            calls = []
            times = measure.repeat(0.001, first, lambda: None, lambda: calls.append(time.sleep(0.002)))
            self.assertEqual(len(calls), len(times) + expected)

    def test_the_peak_of_the_call_counts(self):
        rise, _ = measure.memory_rise(lambda: len(b"x" * (64 << 20)))
        if rise is not None:
            self.assertGreaterEqual(rise, 60 << 20)
            self.assertLess(rise, 80 << 20)

    def test_epochs_are_compared_by_their_means(self):
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(folder) / "runs"
            runs.mkdir()

            def store(name, seed, output, result):
                record = {"seed": seed, "name": output, "result": result}
                (runs / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")

            store("a", 1, "full", {"valid_nll": 5.0})
            store("b", 2, "full", None)  # a failed run
            self.assertEqual(list(epochs.of_lexmax([Path(folder)])), [1])
            store("c", 1, "full", {"valid_nll": 5.1})
            self.assertRaises(SystemExit, epochs.of_lexmax, [Path(folder)])
            store("c", 3, "adaptive", {"valid_nll": 5.1})
            self.assertRaises(SystemExit, epochs.of_lexmax, [Path(folder)])
        # Means 102 and 100; variances 8 and 2 of two seeds each: sqrt(8 / 2 + 2 / 2) / 100.
        apart, error = epochs.compare({1: 100.0, 2: 104.0}, {1: 99.0, 2: 101.0})
        self.assertAlmostEqual(apart, 0.02)
        self.assertAlmostEqual(error, 5**0.5 / 100)


if __name__ == "__main__":
    unittest.main()
