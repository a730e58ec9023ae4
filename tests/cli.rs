//! Runs the commands that need no cluster, and compares exit codes and what they complain about.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    const ROLLOUT: &str = "apiVersion: stairlock.dev/v1alpha1
kind: Rollout
metadata: {name: web, namespace: prod}
spec:
  sourceRef: {kind: ImagePolicy, name: web}
  replicas: 2
  progressDeadlineSeconds: 60
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: \"registry.example/web:1.0.0\"}]}
  strategy: {canary: {steps: [{setWeight: 50, pause: {duration: 30s}}, {setWeight: 100}]}}
";

    struct Ended {
        code: i32,
        out: String,
        complaint: String,
    }

    /// Writes the files of a case and runs the program beside them.
    fn run(case: &str, files: &[(&str, &str)], arguments: &str) -> Ended {
        let name: String =
            case.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        let program = env!("CARGO_BIN_EXE_stairlock");
        let mut command = Command::new(program);
        let output = command.args(arguments.split(' ')).current_dir(folder).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            complaint: text(output.stderr),
        }
    }

    /// The program ends with a code and says something.
    fn ends(case: &str, files: &[(&str, &str)], arguments: &str, (code, said): (i32, &str)) {
        let Ended { code: found, out, complaint } = run(case, files, arguments);
        assert_eq!(found, code, "{case}\n{out}{complaint}");
        assert!(out.contains(said), "{case}: no {said}\n{out}{complaint}");
    }

    /// The program refuses what it is given, prints nothing and says why.
    fn complains(case: &str, files: &[(&str, &str)], arguments: &str, said: &str) {
        let Ended { code, out, complaint } = run(case, files, arguments);
        assert_eq!(code, 2, "{case}\n{out}{complaint}");
        assert_eq!(out, "", "{case}: nothing is printed");
        assert!(complaint.contains(said), "{case}: no {said}\n{complaint}");
    }

    #[test]
    fn an_end_has_its_exit_code() {
        let story = |events: &str| format!("story: 1\nuntil: 20m\nevents:\n{events}");
        let begin = "- release: {at: 1s, version: 1.0.0}\n- release: {at: 1m, version: 1.1.0}\n";
        let stuck = format!("{begin}- pods: {{at: 1m, version: 1.1.0, fate: stuck}}\n");
        let abort = format!("{begin}- annotate: {{at: 70s, set: {{abort: \"true\"}}}}\n");
        let next = format!("{begin}- release: {{at: 75s, version: 1.2.0}}\n");
        let older = format!("{begin}- release: {{at: 5m, version: 0.9.0}}\n");
        let gone = format!("{begin}- delete: {{at: 5m, object: rollouts/web}}\n");
        let manual = ROLLOUT.replace("{duration: 30s}", "{}");
        let scenario = "simulate -f r.yaml --scenario s.yaml";
        let completed = "simulate -f r.yaml --scenario s.yaml --assert completed";
        let rolled_back = "simulate -f r.yaml --scenario s.yaml --assert rolledBack";
        let overtaking = "simulate -f r.yaml --scenario s.yaml --release 1.1.0";
        let cut = story(begin).replace("20m", "70s");
        let short = "story: 1\nuntil: 1ms\n".to_owned();
        for (case, rollout, story, arguments, code, said) in [
            ("completes", ROLLOUT, story(begin), scenario, 0, "completed (exit 0)"),
            ("release", ROLLOUT, String::new(), "simulate -f r.yaml --release 1.1.0", 0, "1.1.0"),
            ("asserted", ROLLOUT, story(begin), completed, 0, "weights     50, 100"),
            (
                "way back asserted",
                ROLLOUT,
                story(&stuck),
                rolled_back,
                0,
                "ended at weight 50: DeadlineExceeded",
            ),
            (
                "way back asserted in vain",
                ROLLOUT,
                story(begin),
                rolled_back,
                1,
                "completed (exit 1)",
            ),
            ("gone", ROLLOUT, story(&gone), scenario, 1, "the Rollout is gone"),
            ("too slow", ROLLOUT, story(&stuck), scenario, 3, "rolledBack (exit 3)"),
            ("aborted", ROLLOUT, story(&abort), scenario, 3, "ended at weight 50: Aborted"),
            ("a person", &manual, story(begin), scenario, 4, "AwaitingPromotion"),
            ("not taken", ROLLOUT, story(&older), scenario, 4, "OlderRelease"),
            ("a pause", ROLLOUT, cut, scenario, 5, "Paused: the pause of this step runs"),
            ("no time", ROLLOUT, short, scenario, 6, "nothing began"),
            ("overtaken", ROLLOUT, story(&next), overtaking, 7, "Superseded"),
        ] {
            ends(case, &[("r.yaml", rollout), ("s.yaml", &story)], arguments, (code, said));
        }
    }

    #[test]
    fn a_plan_has_its_exit_code() {
        let manual = ROLLOUT.replace("{duration: 30s}", "{}");
        let paused = ROLLOUT.replace("  replicas", "  paused: true\n  replicas");
        for (case, rollout, story, arguments, code, said) in [
            ("plan", ROLLOUT, String::new(), "plan -f r.yaml --version 1.1.0", 0, "earliest end"),
            (
                "plan with a time",
                ROLLOUT,
                String::new(),
                "plan -f r.yaml --version 1.1.0 --at 2026-11-27T17:30:00+01:00",
                0,
                "(2026-11-27T16:3",
            ),
            (
                "promoted",
                &manual,
                String::new(),
                "plan -f r.yaml --version 1.1.0",
                0,
                "if promoted",
            ),
            ("frozen", &paused, String::new(), "plan -f r.yaml --version 1.1.0", 1, "Suspended"),
            ("older", ROLLOUT, String::new(), "plan -f r.yaml --version 0.9.0", 1, "OlderRelease"),
        ] {
            ends(case, &[("r.yaml", rollout), ("s.yaml", &story)], arguments, (code, said));
        }
    }

    #[test]
    fn what_cannot_be_used_is_code_2_with_the_place() {
        let weight = ROLLOUT.replace("setWeight: 50", "setWeight: 101");
        let field = ROLLOUT.replace("replicas", "replica");
        let twice = format!("{ROLLOUT}---\n{ROLLOUT}");
        let policy = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: \
                      {name: web}\n";
        let bare = ROLLOUT.replace("  sourceRef: {kind: ImagePolicy, name: web}\n", "");
        let no_image = bare.replace(", image: \"registry.example/web:1.0.0\"", "");
        let release = "simulate -f r.yaml --release 1.1.0";
        let plan = "plan -f r.yaml --version 1.1.0";
        for (case, rollout, story, arguments, said) in [
            ("weight", weight.as_str(), "", release, "r.yaml:12:43: spec.strategy.canary.steps[0]"),
            ("field", &field, "", release, "r.yaml:6:3: spec.replica: found an unknown field"),
            ("field in a plan", &field, "", plan, "r.yaml:6:3: spec.replica: found an unknown"),
            ("twice", &twice, "", release, "r.yaml:14:1: found a second Rollout web"),
            ("none", policy, "", plan, "r.yaml: found no Rollout of stairlock.dev, expected one"),
            ("empty", "", "", plan, "no file: found no Rollout"),
            ("no yaml", "a: [\n", "", plan, "r.yaml:1:4: is not YAML: unclosed bracket"),
            (
                "no file",
                ROLLOUT,
                "",
                "plan -f x.yaml --version 1.1.0",
                "x.yaml: unreadable: No such",
            ),
            ("a folder", ROLLOUT, "", "plan -f . --version 1.1.0", ".: unreadable: Is a directory"),
            (
                "no image",
                &no_image,
                "",
                plan,
                "--version: the Rollout has no sourceRef, no registry",
            ),
            (
                "no tag",
                &bare,
                "",
                "plan -f r.yaml --version a/b",
                "--version: \"a/b\" is not a tag",
            ),
            ("time", ROLLOUT, "", "plan -f r.yaml --version 1.1.0 --at Fri", "names of days"),
            (
                "no offset",
                ROLLOUT,
                "",
                "plan -f r.yaml --version 1.1.0 --at 2026-11-27T16:30:00",
                "with an offset",
            ),
            (
                "no length",
                ROLLOUT,
                "",
                "plan -f r.yaml --version 1 --ready-after 5",
                "unknown unit",
            ),
            ("no version", ROLLOUT, "", "plan -f r.yaml", "--version <VERSION>"),
            ("nothing happens", ROLLOUT, "", "simulate -f r.yaml", "--scenario <FILE>"),
            ("no files", ROLLOUT, "", "simulate --release 1.1.0", "--filename <FILE>"),
            ("flag", ROLLOUT, "", "simulate -f r.yaml --release 1 --assert done", "rolledBack"),
            ("form", ROLLOUT, "", "plan -f r.yaml --version 1 -o yaml", "text, json"),
            ("seed", ROLLOUT, "", "simulate -f r.yaml --release 1 --seed x", "invalid digit"),
        ] {
            complains(case, &[("r.yaml", rollout), ("s.yaml", story)], arguments, said);
        }
    }

    #[test]
    fn a_story_that_cannot_be_used_is_code_2_with_the_place() {
        let policy = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: \
                      {name: web}\n";
        let scenario = "simulate -f r.yaml --scenario s.yaml";
        let plan = "plan -f r.yaml --version 1.1.0";
        for (case, rollout, story, arguments, said) in [
            ("no story", ROLLOUT, "", scenario, "s.yaml: found nothing, expected `story: 1`"),
            ("version", ROLLOUT, "story: 2\n", scenario, "s.yaml:1:8: story: found the number 2"),
            ("swapped", "story: 1\n", ROLLOUT, scenario, "s.yaml:1:1: found a manifest of kind"),
            ("a story", "story: 1\n", "story: 1\n", scenario, "r.yaml:1:1: found a story"),
            (
                "event",
                ROLLOUT,
                "story: 1\nevents:\n- relase: {at: 1s}\n",
                scenario,
                "s.yaml:3:3: events[0]: found relase, expected one of release, source,",
            ),
            (
                "in a scenario",
                ROLLOUT,
                "story: 1\nobjects:\n- {kind: Service}\n",
                scenario,
                "s.yaml:3:3: found no apiVersion, expected a Kubernetes manifest",
            ),
            (
                "a Rollout in a scenario",
                ROLLOUT,
                "story: 1\nobjects:\n- apiVersion: stairlock.dev/v1alpha1\n  kind: Rollout\n  \
                 metadata: {name: b}\n",
                scenario,
                "s.yaml:3:3: found no spec, expected one",
            ),
            (
                "twice in a cluster",
                &format!("{ROLLOUT}---\n{policy}---\n{policy}"),
                "",
                plan,
                "object 3 of the story",
            ),
        ] {
            complains(case, &[("r.yaml", rollout), ("s.yaml", story)], arguments, said);
        }
    }

    #[test]
    fn what_is_left_out_of_the_files_is_told_and_the_output_stays_whole() {
        let text = format!(
            "{ROLLOUT}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: \
                            api}}\n"
        );
        let ended = run("left out", &[("r.yaml", &text)], "plan -f r.yaml --version 1.1.0 -o json");
        let said = "stairlock: Deployment api (r.yaml:14) is no part of the simulation\n";
        assert_eq!((ended.code, ended.complaint.as_str()), (0, said));
        let plan: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(plan["completes"], true);
    }

    #[test]
    fn the_same_seed_prints_the_same() {
        let run = |seed: u32| {
            let files = [("r.yaml", ROLLOUT)];
            let arguments = format!("simulate -f r.yaml --release 1.1.0 --seed {seed}");
            run(&format!("seed {seed}"), &files, &arguments).out
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
