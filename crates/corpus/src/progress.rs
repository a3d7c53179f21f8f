//! Progress bars with rate and time left; silent where standard error is no terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over bytes read.
pub(crate) fn bytes(total: u64, message: &'static str) -> ProgressBar {
    bar(total, message, "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
}

/// A bar over things that are counted one by one.
pub(crate) fn items(total: u64, message: &'static str) -> ProgressBar {
    bar(total, message, "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta} left")
}

fn bar(total: u64, message: &'static str, template: &str) -> ProgressBar {
    // `stderr` draws nothing where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(message)
}
