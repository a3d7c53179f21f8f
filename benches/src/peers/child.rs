//! Child processes: a case, a script, pip.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Standard output of a child that ends well.
pub fn output(command: &mut Command) -> Result<String> {
    let program =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{program}`"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{program}` ended with {}: {}", output.status, last_words(&error));
    String::from_utf8(output.stdout).with_context(|| format!("`{program}` printed no text"))
}

/// The end of what a program said: a traceback's last line says what happened.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.iter().rev().take(2).rev().copied().collect::<Vec<_>>().join(" ");
    if last.is_empty() { "it said nothing".to_owned() } else { last }
}

/// Whether the program starts and ends well, in silence.
pub fn runs(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a program whose output passes through.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start `{program}`"))?;
    ensure!(status.success(), "`{program}` ended with {status}; its own output above says why");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_child_that_fails_is_told_by_its_last_words() {
        let mut child = Command::new("sh");
        let error = output(child.args(["-c", "echo a >&2; echo b >&2; echo no module named x >&2; exit 3"]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("exit status: 3: b no module named x"), "{error}");
    }
}
