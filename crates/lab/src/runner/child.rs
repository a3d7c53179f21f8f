//! One run's process: started, listened to, stopped.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::interrupts;
use crate::worker::{Event, Job, RunEnd};
use crate::{LabError, Result};

/// Bytes of standard error that are kept for the message of a broken run.
const KEPT_ERROR_BYTES: usize = 2000;

/// Runs a job in a process of its own. At the first interrupt it is asked to stop, at the second it
/// is ended.
///
/// # Errors
/// The process cannot be started or talked to.
pub(crate) fn run_child(
    worker: &(PathBuf, Vec<String>),
    job: &Job,
    interrupts: &AtomicUsize,
    listen: &mut dyn FnMut(Event),
) -> Result<RunEnd> {
    let (program, arguments) = worker;
    let mut command = Command::new(program);
    command.args(arguments);
    // All runs of an experiment multiply by one library, also where its measurement cannot be kept.
    if let Some(products) = &job.run.environment.products {
        command.env(lexmax_products::VARIABLE, products);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(LabError::io("start", program))?;
    let end = converse(&mut child, job, interrupts, listen);
    if end.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(LabError::io("wait for", program))?;
    let (last, errors) = end?;
    Ok(match (last, stopping_signal(status)) {
        (Some(Event::Ended(end)), _) => end,
        // Before it was ready to end in good order, or pressed twice: what it did since its
        // checkpoint is lost, no more.
        (_, Some(signal)) => RunEnd::Stopped { signal: Some(signal) },
        _ if interrupts.load(Ordering::Relaxed) > 0 => RunEnd::Stopped { signal: None },
        _ => RunEnd::Broken {
            error: format!("the run's process ended with {}{}", shown(status), said(&errors)),
        },
    })
}

/// The signal that ended a process, where it is one that asks for an end.
fn stopping_signal(status: ExitStatus) -> Option<i32> {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        status.signal().filter(|signal| interrupts::ASKING.contains(signal))
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        None
    }
}

/// Sends the job and listens until the process closes its output; returns its last word and what it
/// said on standard error.
fn converse(
    child: &mut Child,
    job: &Job,
    interrupts: &AtomicUsize,
    listen: &mut dyn FnMut(Event),
) -> Result<(Option<Event>, String)> {
    let protocol = |message: &str| LabError::Protocol { what: "run's process", message: message.to_owned() };
    let mut stdin = child.stdin.take().ok_or_else(|| protocol("no standard input"))?;
    let stdout = child.stdout.take().ok_or_else(|| protocol("no standard output"))?;
    let mut stderr = child.stderr.take().ok_or_else(|| protocol("no standard error"))?;
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let job = serde_json::to_string(job).map_err(|error| protocol(&error.to_string()))?;
    // A process that is gone already says why by its status.
    let _ = writeln!(stdin, "{job}").and_then(|()| stdin.flush());
    let mut stdin = Some(stdin);
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            // What is no event (a library that prints) is not for us.
            if let Ok(event) = serde_json::from_str::<Event>(&line)
                && sender.send(event).is_err()
            {
                break;
            }
        }
    });
    let mut last = None;
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(event) => {
                last = Some(event.clone());
                listen(event);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        match interrupts.load(Ordering::Relaxed) {
            0 => {}
            // Its end of input tells the run to stop.
            1 => drop(stdin.take()),
            _ => {
                let _ = child.kill();
            }
        }
    }
    let errors = errors.join().unwrap_or_default();
    Ok((last, errors))
}

fn shown(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            let hint = if signal == 9 { " (killed: out of memory?)" } else { "" };
            return format!("signal {signal}{hint}");
        }
    }
    status.to_string()
}

/// The end of standard error, where there was any.
fn said(errors: &str) -> String {
    let errors = errors.trim();
    let start = errors.len().saturating_sub(KEPT_ERROR_BYTES);
    let start = (start..errors.len()).find(|&at| errors.is_char_boundary(at)).unwrap_or(errors.len());
    if errors.is_empty() { String::new() } else { format!(": {}", &errors[start..]) }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use lexmax_records::{CorpusFacts, RunHeader, RunId};

    fn job() -> Job {
        let corpus = CorpusFacts {
            name: "c".to_owned(),
            hash: String::new(),
            vocab_size: 1,
            train_tokens: 1,
            valid_tokens: 1,
            test_tokens: 1,
        };
        let run = RunHeader {
            id: RunId::of_config(&serde_json::json!(1)),
            experiment: "e".to_owned(),
            experiment_file: None,
            name: "o".to_owned(),
            family: "full".to_owned(),
            seed: 1,
            config: serde_json::json!(1),
            environment: crate::machine::environment(None, 1, "cpu", "f32"),
            corpus,
            started_unix: 0,
        };
        Job { corpus_dir: PathBuf::new(), results: PathBuf::new(), run }
    }

    fn end_of(script: &str, interrupts: usize) -> (RunEnd, Vec<Event>) {
        let worker = (PathBuf::from("/bin/sh"), vec!["-c".to_owned(), script.to_owned()]);
        let mut heard = Vec::new();
        let end = run_child(&worker, &job(), &AtomicUsize::new(interrupts), &mut |event| heard.push(event))
            .unwrap();
        (end, heard)
    }

    #[test]
    fn the_last_word_decides() {
        let (end, heard) = end_of(r#"read job; echo noise; echo '{"event":"ended","end":"recorded"}'"#, 0);
        assert_eq!((end, heard), (RunEnd::Recorded, vec![Event::Ended(RunEnd::Recorded)]));
    }

    #[test]
    fn a_process_that_dies_is_broken_and_says_why() {
        let (end, _) = end_of("echo no memory >&2; exit 3", 0);
        let RunEnd::Broken { error } = end else { panic!("{end:?}") };
        assert!(error.contains('3') && error.contains("no memory"), "{error}");
        let (end, _) = end_of("kill -9 $$", 0);
        let RunEnd::Broken { error } = end else { panic!("{end:?}") };
        assert!(error.contains("signal 9"), "{error}");
    }

    #[test]
    fn an_interrupt_ends_the_input_and_a_second_one_the_process() {
        let (end, _) = end_of(r#"cat >/dev/null; echo '{"event":"ended","end":"stopped","signal":null}'"#, 1);
        assert_eq!(end, RunEnd::Stopped { signal: None });
        let (end, _) = end_of("exec sleep 60", 2);
        assert_eq!(end, RunEnd::Stopped { signal: None });
    }

    #[test]
    fn process_ended_by_a_signal_is_stopped_and_not_failed() {
        // A shell cannot take back a signal that the tests were started with ignored.
        let signals = [("TERM", 15), ("INT", 2), ("HUP", 1)];
        for (name, signal) in
            signals.into_iter().filter(|(_, signal)| !crate::interrupts::is_ignored(*signal))
        {
            let (end, _) = end_of(&format!("kill -s {name} $$; sleep 60"), 0);
            assert_eq!(end, RunEnd::Stopped { signal: Some(signal) }, "{name}");
        }
    }
}
