"""Tests of measure.py and epochs.py: python benches/peers/test_measure.py (standard library and numpy only)."""

import time
import unittest

import epochs
import measure


class Measure(unittest.TestCase):
    def test_targets_are_those_of_lexmax(self):
        # The same numbers stand in benches/src/inputs.rs.
        self.assertEqual(measure.zipf_targets(8, 10_000).tolist(), [237, 5, 2397, 56, 0, 574, 13, 5795])

    def test_the_budget_decides_how_often(self):
        def count(budget, first, each):
            return len(measure.repeat(budget, first, lambda: None, lambda: time.sleep(each)))

        self.assertGreaterEqual(count(0.03, 0.001, 0.001), measure.LEAST)
        self.assertLess(count(0.01, 0.015, 0.015), measure.LEAST)
        self.assertEqual(count(0.01, 0.2, 0.2), 1)
        self.assertEqual(count(100, 0, 0), measure.MOST)

    def test_the_peak_of_the_call_counts(self):
        rise, _ = measure.memory_rise(lambda: len(b"x" * (64 << 20)))
        if rise is not None:
            self.assertGreaterEqual(rise, 60 << 20)
            self.assertLess(rise, 80 << 20)

    def test_epochs_are_compared_by_their_means(self):
        # Means 102 and 100; variances 8 and 2 of two seeds each: sqrt(8 / 2 + 2 / 2) / 100.
        apart, error = epochs.compare({1: 100.0, 2: 104.0}, {1: 99.0, 2: 101.0})
        self.assertAlmostEqual(apart, 0.02)
        self.assertAlmostEqual(error, 5**0.5 / 100)


if __name__ == "__main__":
    unittest.main()
