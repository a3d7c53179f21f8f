//! Damaged, foreign and copied files among the records: each is named with its reason, and none
//! hides a sound record.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::record;
use lexmax_records::{Contents, RecordError, RunRecord, RunStatus, RunStore, SCHEMA_VERSION};
use serde_json::{Value, json};

/// A store with one sound record, and the folder of its files.
struct Scene {
    folder: tempfile::TempDir,
    store: RunStore,
    sound: RunRecord,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = RunStore::open(folder.path());
        let sound = record("full", 1);
        store.write(&sound).unwrap();
        Self { folder, store, sound }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("runs").join(name)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.store.path(&self.sound.run.id)).unwrap()
    }

    /// Reads all, holds the sound record to be among them once, and returns the reasons by file
    /// name.
    fn skipped(&self) -> Vec<(String, String)> {
        let Contents { stored, skipped } = self.store.read_all().unwrap();
        assert_eq!(stored.len(), 1, "{stored:?}");
        assert_eq!(stored[0].record, self.sound);
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        skipped.into_iter().map(|file| (name(&file.path), file.reason)).collect()
    }

    /// Puts a file among the records and expects it to be skipped with these words.
    fn skips(&self, name: &str, bytes: &[u8], words: &str) {
        std::fs::write(self.file(name), bytes).unwrap();
        self.skips_what_is_there(name, words);
    }

    fn skips_what_is_there(&self, name: &str, words: &str) {
        let skipped = self.skipped();
        assert_eq!(skipped.len(), 1, "{skipped:?}");
        assert_eq!(skipped[0].0, name);
        assert!(skipped[0].1.contains(words), "{name}: {:?}, expected {words:?}", skipped[0].1);
        if std::fs::remove_file(self.file(name)).is_err() {
            std::fs::remove_dir(self.file(name)).unwrap();
        }
    }
}

#[test]
fn a_damaged_file_is_skipped_by_name() {
    let scene = Scene::new();
    let text = scene.text();
    scene.skips("0.json", &text.as_bytes()[..text.len() / 2], "not a run record");
    scene.skips("0.json", b"", "not a run record");
    scene.skips("zz.json", &[0xff, 0xfe, 0, 1], "not a run record");
    scene.skips("zz.json", text.replace("3.25", "NaN").as_bytes(), "not a run record");
    scene.skips("zz.json", text.replace("3.25", "\"fast\"").as_bytes(), "expected a number");
    scene.skips("deep.json", "[".repeat(100_000).as_bytes(), "not a run record");
    // A result that lost its place, and bands that do not add up.
    let mut torn: Value = serde_json::from_str(&text).unwrap();
    torn["result"] = Value::Null;
    scene.skips("torn.json", torn.to_string().as_bytes(), "expected a `result`");
    scene.skips("edited.json", text.replacen("250.0", "240.0", 1).as_bytes(), "240 of the whole");
}

#[test]
fn a_file_of_another_program_is_skipped_by_name() {
    let scene = Scene::new();
    for bytes in ["[]", "null", "17", r#"{"name": "package", "version": "1.0"}"#, r#"{"schema": "two"}"#] {
        scene.skips("package.json", bytes.as_bytes(), "not a run record");
    }
}

#[test]
fn another_layout_is_skipped_with_its_version() {
    let scene = Scene::new();
    for version in [1, SCHEMA_VERSION + 1] {
        let mut value: Value = serde_json::from_str(&scene.text()).unwrap();
        value["schema"] = json!(version);
        // Another layout may lack fields of this one; the words must still be about the version.
        value.as_object_mut().unwrap().remove("curve");
        scene.skips("other.json", value.to_string().as_bytes(), &format!("record layout {version}"));
    }
}

#[test]
fn a_copy_is_counted_once_and_named() {
    let scene = Scene::new();
    let text = scene.text();
    let id = scene.sound.run.id.clone();
    for name in ["0 (copy).json", "zzz.json", &format!("{id} (copy).json")] {
        scene.skips(name, text.as_bytes(), &format!("a copy: run {id} is counted from {id}.json"));
    }
    for name in [format!("{id}.json.bak"), format!("{id}.json~"), format!("{id}.JSON")] {
        scene.skips(&name, text.as_bytes(), "does not end in .json");
    }
    // Where the original is damaged or gone, its copy stands in for it.
    std::fs::write(scene.file("copy.json"), &text).unwrap();
    std::fs::write(scene.store.path(&id), "{").unwrap();
    assert_eq!(scene.skipped().len(), 1);
    std::fs::remove_file(scene.store.path(&id)).unwrap();
    assert_eq!(scene.skipped(), []);
}

#[test]
fn a_path_that_is_no_readable_file_is_skipped() {
    let scene = Scene::new();
    std::fs::create_dir(scene.file("folder.json")).unwrap();
    scene.skips_what_is_there("folder.json", "not a file");
    // Longer than the memory of the machine; it takes no room on the disk.
    std::fs::File::create(scene.file("huge.json")).unwrap().set_len(1 << 40).unwrap();
    scene.skips_what_is_there("huge.json", "1099511627776 bytes");
}

#[cfg(unix)]
#[test]
fn a_link_without_an_end_a_pipe_and_a_locked_file_are_skipped() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let scene = Scene::new();
    symlink(scene.file("a.json"), scene.file("a.json")).unwrap();
    scene.skips_what_is_there("a.json", "cannot read it");
    symlink(scene.file("gone"), scene.file("b.json")).unwrap();
    scene.skips_what_is_there("b.json", "cannot read it");
    let made = std::process::Command::new("mkfifo").arg(scene.file("pipe.json")).status();
    if made.is_ok_and(|status| status.success()) {
        scene.skips_what_is_there("pipe.json", "not a file");
    }
    let locked = scene.file("locked.json");
    std::fs::write(&locked, "{}").unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    // An administrator reads it all the same, and finds no record.
    let words = if std::fs::read(&locked).is_ok() { "not a run record" } else { "cannot read it" };
    scene.skips_what_is_there("locked.json", words);
}

#[test]
fn temporary_files_and_other_names_are_passed_over() {
    let scene = Scene::new();
    std::fs::write(scene.file(".writing-Ab12.json"), "{\"half\": ").unwrap();
    std::fs::write(scene.file("notes.txt"), "notes").unwrap();
    assert_eq!(scene.skipped(), []);
}

#[test]
fn reading_one_run_names_the_file_and_the_fault() {
    let scene = Scene::new();
    let (id, text) = (&scene.sound.run.id, scene.text());
    let path = scene.store.path(id);
    let other = text.replace(id.as_str(), "0123456789abcdef");
    for (bytes, words) in [
        (&text[..40], "not a run record"),
        (&text.replace("\"schema\": 2", "\"schema\": 3"), "layout 3"),
        (&other, "holds the record of run 0123456789abcdef"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = scene.store.read(id).unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(matches!(
            error,
            RecordError::Parse { .. } | RecordError::Version { .. } | RecordError::OtherRun { .. }
        ));
    }
}

#[test]
fn a_write_keeps_what_stood_in_its_place_and_is_no_record() {
    let scene = Scene::new();
    let path = scene.store.path(&scene.sound.run.id);
    let aside = |n: &str| PathBuf::from(format!("{}.unusable{n}", path.display()));
    std::fs::write(&path, "half of a rec").unwrap();
    // A failure may take the place of what is no result.
    let mut failed = scene.sound.clone();
    failed.status = RunStatus::Failed { error: "signal 9".into(), step: None };
    assert!(scene.store.write_unless_worse(&failed).unwrap());
    assert_eq!(scene.store.read(&failed.run.id).unwrap(), Some(failed));
    assert_eq!(std::fs::read_to_string(aside("")).unwrap(), "half of a rec");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    scene.store.write(&scene.sound).unwrap();
    assert!(aside("-2").is_dir());
    assert_eq!(scene.skipped().len(), 2, "what was set aside is named");
}
