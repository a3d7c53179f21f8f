//! Assignment of lines and tokens to splits.

use super::options::TextInput;
use crate::Split;
use crate::info::SplitUnit;

/// Deals out lines and tokens in reading order. Two assigners made alike deal alike, so that all
/// passes agree.
pub(crate) enum Assign {
    /// Whole files have their split.
    ByFile,
    /// Blocks of lines by ratio.
    Blocks(Blocks),
    /// Tokens by ratio, whatever line they are in.
    Tokens(Runs),
}

impl Assign {
    /// Assigner of an input; by ratio in lines, or in `tokens`, the number of the text's tokens.
    pub(crate) fn new(input: &TextInput, tokens: Option<u64>) -> Assign {
        match (input, tokens) {
            (TextInput::Splits { .. }, _) => Assign::ByFile,
            (&TextInput::Ratio { valid, test, block_lines, .. }, None) => {
                Assign::Blocks(Blocks::new(valid, test, block_lines))
            }
            (&TextInput::Ratio { valid, test, .. }, Some(tokens)) => {
                Assign::Tokens(Runs::new(shares_of(tokens, valid, test)))
            }
        }
    }

    /// The split of the next line of a file: where tokens are dealt out, that of the token next to
    /// come.
    pub(crate) fn next_line(&mut self, of_file: Option<Split>) -> Split {
        match self {
            Assign::ByFile => of_file.unwrap_or(Split::Train),
            Assign::Blocks(blocks) => blocks.next_line(),
            Assign::Tokens(runs) => runs.current(),
        }
    }

    /// The split of the next token, whose line has the split `of_line`.
    pub(crate) fn next_token(&mut self, of_line: Split) -> Split {
        match self {
            Assign::ByFile | Assign::Blocks(_) => of_line,
            Assign::Tokens(runs) => runs.next_token(),
        }
    }

    /// Unit of the shares; none where files have their split.
    pub(crate) fn dealt_in(&self) -> SplitUnit {
        match self {
            Assign::ByFile | Assign::Blocks(_) => SplitUnit::Lines,
            Assign::Tokens(_) => SplitUnit::Tokens,
        }
    }
}

/// Every block goes to the held-out split that lags furthest behind its share, if one lags by half
/// a block or more, else to training: so blocks of valid and test are spread evenly, and nothing
/// need be known of the text's length.
pub(crate) struct Blocks {
    share: [f64; 2],
    given: [u64; 2],
    blocks: u64,
    block_lines: u64,
    left_in_block: u64,
    current: Split,
}

impl Blocks {
    fn new(valid: f64, test: f64, block_lines: u64) -> Blocks {
        let (share, given) = ([valid, test], [0, 0]);
        Blocks { share, given, blocks: 0, block_lines, left_in_block: 0, current: Split::Train }
    }

    fn next_line(&mut self) -> Split {
        if self.left_in_block == 0 {
            self.left_in_block = self.block_lines;
            self.current = self.next_block();
        }
        self.left_in_block -= 1;
        self.current
    }

    fn next_block(&mut self) -> Split {
        self.blocks += 1;
        let lag = |held_out: usize| self.share[held_out] * self.blocks as f64 - self.given[held_out] as f64;
        let furthest = if lag(0) >= lag(1) { 0 } else { 1 };
        if lag(furthest) < 0.5 {
            return Split::Train;
        }
        self.given[furthest] += 1;
        [Split::Valid, Split::Test][furthest]
    }
}

/// The most lines that a block may have for each split to get one of `lines`; none where lines are
/// too few.
pub(crate) fn most_block_lines(valid: f64, test: f64, lines: u64) -> Option<u64> {
    let mut blocks = Blocks::new(valid, test, 1);
    let mut got = [false; 3];
    for count in 1..=lines {
        got[blocks.next_line().index()] = true;
        if got == [true; 3] {
            return Some(lines / count);
        }
    }
    None
}

/// Tokens of each split: those of valid and test rounded to the nearest.
pub(crate) fn shares_of(tokens: u64, valid: f64, test: f64) -> [u64; 3] {
    let share = |ratio: f64| ((tokens as f64 * ratio).round() as u64).min(tokens);
    let (valid, test) = (share(valid), share(test));
    [tokens.saturating_sub(valid + test), valid, test]
}

/// One run of tokens for each split: the first of the text for training, then valid, the last for
/// test.
pub(crate) struct Runs {
    left: [u64; 3],
}

impl Runs {
    fn new(tokens: [u64; 3]) -> Runs {
        Runs { left: tokens }
    }

    /// The split of the token next to come.
    fn current(&self) -> Split {
        let with_room = Split::ALL.into_iter().find(|split| self.left[split.index()] > 0);
        with_room.unwrap_or(Split::Test)
    }

    fn next_token(&mut self) -> Split {
        let split = self.current();
        let left = &mut self.left[split.index()];
        *left = left.saturating_sub(1);
        split
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_and_blocks_stay_whole() {
        let mut blocks = Blocks::new(0.05, 0.1, 7);
        let lines: Vec<Split> = (0..7000).map(|_| blocks.next_line()).collect();
        let of = |split| lines.iter().filter(|&&line| line == split).count();
        assert_eq!((of(Split::Train), of(Split::Valid), of(Split::Test)), (850 * 7, 50 * 7, 100 * 7));
        assert!(lines.chunks(7).all(|block| block.iter().all(|&line| line == block[0])));
        // Spread: every tenth of the text has its share.
        for tenth in lines.chunks(700) {
            let valid = tenth.iter().filter(|&&line| line == Split::Valid).count();
            assert_eq!(valid, 5 * 7);
        }
    }

    #[test]
    fn share_of_nothing_gets_nothing() {
        let mut blocks = Blocks::new(0.0, 0.5, 1);
        assert!((0..1000).all(|_| blocks.next_line() != Split::Valid));
    }

    #[test]
    fn most_block_lines_is_the_largest_that_serves_every_split() {
        for (valid, test, lines) in [(0.05, 0.05, 1000), (0.1, 0.3, 57), (0.01, 0.4, 51), (0.5, 0.4, 9)] {
            let serves = |block_lines: u64| {
                let mut blocks = Blocks::new(valid, test, block_lines);
                let dealt: Vec<Split> = (0..lines).map(|_| blocks.next_line()).collect();
                Split::ALL.iter().all(|split| dealt.contains(split))
            };
            let most = most_block_lines(valid, test, lines);
            assert!(most.is_some_and(|most| (1..=most).all(serves)), "{valid} {test} {lines}: {most:?}");
        }
        assert_eq!(most_block_lines(0.05, 0.05, 10), None);
        assert_eq!(most_block_lines(0.05, 0.05, 11), Some(1));
        assert_eq!(most_block_lines(0.5, 0.4, 1), None);
    }

    #[test]
    fn token_shares_round_and_never_exceed_the_text() {
        assert_eq!(shares_of(2000, 0.05, 0.05), [1800, 100, 100]);
        assert_eq!(shares_of(7, 0.2, 0.2), [5, 1, 1]);
        assert_eq!(shares_of(1, 0.5, 0.4), [0, 1, 0]);
        assert_eq!(shares_of(2, 0.4, 0.4), [0, 1, 1]);
        let mut runs = Runs::new([3, 1, 2]);
        let dealt: Vec<usize> = (0..6).map(|_| runs.next_token().index()).collect();
        assert_eq!(dealt, [0, 0, 0, 1, 2, 2]);
    }
}
