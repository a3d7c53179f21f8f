//! A workspace holds what it states, and serves calls of many sizes in turn.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Problem, Rounded, fused};
use lexmax_kernels::linear_ce::{Options, Upstream, Workspace, workspace_bytes};

#[test]
fn workspace_is_within_the_stated_bytes() {
    let limit = 32 << 20;
    for (rows, size, vocab) in [
        (1024, 256, 33_278),
        (256, 512, 267_735),
        (8192, 512, 267_735),
        (700, 200, 33_278),
        (64, 64, 1_000_000),
    ] {
        for threads in [1, 2] {
            let bytes = workspace_bytes::<f32>(rows, size, vocab, threads, limit, true);
            // A limit below the least that the problem can do with is raised to that.
            let least = workspace_bytes::<f32>(rows, size, vocab, threads, 0, true);
            assert!(bytes <= limit.max(least), "{bytes} for {rows} {size} {vocab} with {threads} threads");
        }
    }
    let problem = Problem::new(1, 100, 32, 3000, 1.0);
    let rounded = Rounded::of(&problem);
    let mut workspace = Workspace::new(2);
    let _ =
        fused(rounded.linear(), &problem.targets, &Options::default(), Upstream::Same(1.0), &mut workspace);
    assert!(workspace.bytes() <= workspace_bytes::<f32>(100, 32, 3000, 2, limit, true));
    assert!(workspace.bytes() > 0);
}

#[test]
fn workspace_shared_by_calls_of_many_sizes_keeps_their_results() {
    let limit = 6 << 20;
    let mut workspace = Workspace::new(2).with_memory_limit(limit);
    let problems = [(200, 40, 2000), (2, 1, 5000), (120, 2, 9000)].map(|(rows, size, vocab)| {
        let problem = Problem::new(4, rows, size, vocab, 1.0);
        (Rounded::of(&problem), problem.targets)
    });
    let turn = |workspace: &mut Workspace<f32>, which: usize| {
        let (rounded, targets) = &problems[which];
        fused(rounded.linear(), targets, &Options::default(), Upstream::Same(1.0), workspace)
    };
    let alone = [0, 1, 2].map(|which| turn(&mut Workspace::new(2).with_memory_limit(limit), which));
    for which in [0, 1, 2, 1, 0, 2] {
        let got = turn(&mut workspace, which);
        assert_eq!((&got.loss, &got.d_hidden), (&alone[which].loss, &alone[which].d_hidden));
        assert!(workspace.bytes() <= limit, "{} bytes after problem {which}", workspace.bytes());
    }
    // A problem of one thread between two of two leaves the second thread its buffers.
    let mut workspace = Workspace::new(2);
    turn(&mut workspace, 0);
    let held = workspace.bytes();
    turn(&mut workspace, 1);
    assert!(workspace.bytes() >= held);
}
