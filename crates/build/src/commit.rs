//! The commit of a source tree, as records name it.

use std::path::Path;
use std::process::Command;

/// Commit of the git checkout whose root is `root`, with `-dirty` where tracked files below `paths`
/// (git's pathspecs) differ from it. None without git, and where `root` only lies inside another
/// repository: its commit would tell of other sources.
pub fn commit_of(root: &Path, paths: &[&str]) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"], &[])?;
    if Path::new(top.trim_end_matches('\n')).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    let commit = git(root, &["rev-parse", "--short=12", "HEAD"], &[])?;
    let changed = git(root, &["status", "--porcelain", "--untracked-files=no", "--"], paths)?;
    let dirty = if changed.trim().is_empty() { "" } else { "-dirty" };
    Some(format!("{}{dirty}", commit.trim()))
}

/// Output of git in `root`, or none where it fails.
pub fn git(root: &Path, arguments: &[&str], paths: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // A hook that builds has these set for the repository of the hook.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    let output = command.arg("-C").arg(root).args(arguments).args(paths).output().ok()?;
    String::from_utf8(output.stdout).ok().filter(|_| output.status.success())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn results_leave_a_checkout_clean_and_sources_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let outside_results = || commit_of(root, &[".", ":(exclude)results"]);
        assert_eq!(outside_results(), None, "no repository");
        if git(root, &["init", "--quiet"], &[]).is_none() {
            eprintln!("skipped: no git here");
            return;
        }
        assert_eq!(outside_results(), None, "no commit");
        write("crates/a.rs", "one");
        write("results/runs/1.json", "{}");
        git(root, &["add", "."], &[]).unwrap();
        let who = ["-c", "user.name=n", "-c", "user.email=e@e", "-c", "commit.gpgsign=false"];
        git(root, &[&who[..], &["commit", "--quiet", "-m", "first"]].concat(), &[]).unwrap();
        let clean = outside_results().unwrap();
        assert!(clean.len() == 12 && clean.bytes().all(|b| b.is_ascii_hexdigit()), "{clean}");
        write("results/runs/1.json", "{ }");
        assert_eq!(outside_results().unwrap(), clean);
        write("crates/a.rs", "two");
        assert_eq!(outside_results().unwrap(), format!("{clean}-dirty"));
        assert_eq!(commit_of(root, &["build"]).unwrap(), clean);
        assert_eq!(commit_of(&root.join("crates"), &["."]), None, "a folder of another repository");
    }
}
