//! Which split a line belongs to.

use super::options::TextInput;
use crate::Split;

/// Deals out lines in reading order. Two assigners of the same input deal alike, so that both passes agree.
pub(crate) enum Assign {
    /// Whole files have their split.
    ByFile,
    /// Blocks of lines by ratio.
    Blocks(Blocks),
}

impl Assign {
    pub(crate) fn new(input: &TextInput) -> Assign {
        match *input {
            TextInput::Splits { .. } => Assign::ByFile,
            TextInput::Ratio { valid, test, block_lines, .. } => {
                Assign::Blocks(Blocks::new(valid, test, block_lines))
            }
        }
    }

    /// The split of the next line of a file.
    pub(crate) fn next_line(&mut self, of_file: Option<Split>) -> Split {
        match self {
            Assign::ByFile => of_file.unwrap_or(Split::Train),
            Assign::Blocks(blocks) => blocks.next_line(),
        }
    }
}

/// Every block goes to the held-out split that lags furthest behind its share, if one lags by half a block or more,
/// else to training: so blocks of valid and test are spread evenly, and nothing need be known of the text's length.
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
    fn a_share_of_nothing_gets_nothing() {
        let mut blocks = Blocks::new(0.0, 0.5, 1);
        assert!((0..1000).all(|_| blocks.next_line() != Split::Valid));
    }
}
