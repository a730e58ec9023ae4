//! What people see with stock kubectl.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::json::{condition, merged, text};
use crate::support::rig::rig;
use crate::support::shop::{gated, rollout, route, routed};
use crate::support::story::{SHOP, Story};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/golden");

/// Compares `kubectl get slr` with the stored table; `UPDATE=1` stores it. The age is left out.
async fn shows(story: &Story, phase: &str) {
    let table = story.kubectl(&["get", "slr"]).await;
    let lines =
        table.lines().enumerate().map(|(at, line)| match line.trim_end().rsplit_once(' ') {
            Some((columns, _)) if at > 0 => format!("{columns} <age>\n"),
            Some(_) | None => format!("{}\n", line.trim_end()),
        });
    let table: String = lines.collect();
    let path = format!("{GOLDEN}/get-{}.txt", phase.to_lowercase());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(GOLDEN).unwrap();
        std::fs::write(&path, &table).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(table, stored, "{path} is another; UPDATE=1 stores it");
}

#[tokio::test]
async fn get_shows_every_phase() {
    let story = Story::begin("get", 120).await;
    story.cluster.add(route()).await;
    let long = json!({"spec": {"progressDeadlineSeconds": 600}});
    story.cluster.add(merged(routed(&story, "1.0.0-bad.1", gated()), &long)).await;
    let _controller = story.controller().await;
    story.held("PodsNotReady").await;
    shows(&story, "Initializing").await;

    story.set_image(&story.image("1.0.0")).await;
    let completed = |r: &Value| condition(r, "Completed") == "True";
    story.until("the first revision is Completed", completed).await;
    shows(&story, "Completed").await;

    story.set_image(&story.image("1.1.0-bad.1")).await;
    let waits = |r: &Value| {
        text(r, "/status/phase") == "Progressing"
            && text(r, "/status/waitingFor/0/kind") == "PodsNotReady"
    };
    story.until("the second revision waits for pods", waits).await;
    shows(&story, "Progressing").await;

    story.set_image(&story.image("1.2.0")).await;
    story.until("Paused", |r| text(r, "/status/phase") == "Paused").await;
    shows(&story, "Paused").await;

    story.command("stairlock.dev/abort", "true").await;
    let ended = |r: &Value| {
        text(r, "/status/phase") == "Failed" && text(r, "/status/attempt/stage") == "Ended"
    };
    story.until("Failed", ended).await;
    shows(&story, "Failed").await;
}

#[tokio::test]
async fn wait_returns_once_completed_and_not_before() {
    let story = Story::begin("wait", 60).await;
    story.cluster.add(rollout(&story, "1.0.0", gated())).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;

    let args = ["wait", "slr", SHOP, "--for=condition=Completed", "--timeout=50s"];
    let mut wait = rig().program("kubectl");
    wait.arg("-n").arg(story.namespace()).args(args);
    let mut wait = wait.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    story.clock("clock").await;
    assert!(wait.try_wait().unwrap().is_none(), "it returned at the pause");

    story.command("stairlock.dev/promote", "true").await;
    assert!(wait.wait().await.unwrap().success());
    let after = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(text(&after, "/status/phase"), "Completed");
    assert_eq!(text(&after, "/status/stable/release/version"), "1.1.0");
}

#[tokio::test]
async fn wait_is_not_fooled_by_a_generation_that_nobody_has_seen() {
    let story = Story::begin("unseen", 60).await;
    story.cluster.add(rollout(&story, "1.0.0", gated())).await;
    let controller = story.controller().await;
    story.completed(1).await;
    controller.kill();
    story.set_image(&story.image("1.1.0")).await;

    let stale = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(condition(&stale, "Completed"), "True", "of the old generation");
    let wait = ["-n", story.namespace(), "wait", "slr", SHOP, "--for=condition=Completed"];
    let output = rig().kubectl(&[&wait[..], &["--timeout=1s"]].concat()).await;
    assert!(!output.status.success(), "{output:?}");

    let fresh = rollout(&story, "1.0.0", gated());
    story.cluster.add(merged(fresh, &json!({"metadata": {"name": "fresh"}}))).await;
    let fresh = story.cluster.get("Rollout", "fresh").await;
    assert_eq!(fresh["status"]["observedGeneration"], -1, "nobody has looked at it");
}

#[tokio::test]
async fn commands_of_waiting_for_work_as_they_are_shown() {
    let story = Story::begin("shown", 60).await;
    story.cluster.add(rollout(&story, "1.0.0", gated())).await;
    let _controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    let paused = story.paused(2, 1).await;
    let command = text(&paused, "/status/waitingFor/0/command").to_owned();

    let words: Vec<&str> = command.split_whitespace().collect();
    let (program, args) = words.split_first().expect("a command");
    assert_eq!(*program, "kubectl", "{command}");
    let output = rig().kubectl(args).await;
    assert!(output.status.success(), "{command}: {output:?}");
    story.completed(2).await;
}
