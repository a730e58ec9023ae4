//! Commands: reads what a person asks for from the Rollout's annotations. It never obeys.

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::api::keys;
use crate::api::rollout::Rollout;
use crate::model::command::{
    ANNOTATIONS_MAX, Asked, Command, Commands, Force, Intent, Token, Value,
};

/// Longest name of a user that is kept, in characters.
const USER_MAX: usize = 128;
/// Longest message that is kept, in characters.
const MESSAGE_MAX: usize = 512;

/// Every annotation that asks for a command, aliases included; those that conclude an experiment
/// name its winner.
const KEYS: [(&str, Command); ANNOTATIONS_MAX] = [
    (keys::COMMAND_ABORT, Command::Abort),
    (keys::COMMAND_CONCLUDE, Command::ConcludeA),
    (keys::COMMAND_CONCLUDE_KULTA, Command::ConcludeA),
    (keys::COMMAND_PROMOTE_FULL, Command::PromoteFull),
    (keys::COMMAND_PROMOTE, Command::Promote),
    (keys::COMMAND_PROMOTE_KULTA, Command::Promote),
    (keys::COMMAND_RETRY, Command::Retry),
    (keys::COMMAND_RETRY_KUBERIK, Command::Retry),
    (keys::COMMAND_MARK, Command::MarkSuccessful),
    (keys::COMMAND_UNBLOCK, Command::UnblockFailed),
    (keys::COMMAND_UNBLOCK_KUBERIK, Command::UnblockFailed),
    (keys::COMMAND_RESTART, Command::Restart),
];

/// The annotations that have a version pass gates by.
const BYPASS: [&str; 2] = [keys::COMMAND_BYPASS, keys::COMMAND_BYPASS_KUBERIK];
/// The annotations that choose a version, the one that wins first.
const FORCE: [&str; 3] = [keys::COMMAND_FORCE, keys::COMMAND_FORCE_KUBERIK, keys::COMMAND_ROLLBACK];
/// The longest tag.
const VERSION_MAX: usize = 128;

/// Reads the command annotations, the command that wins first.
pub fn asked(rollout: &Rollout) -> Commands {
    let annotations = rollout.annotations();
    let mut asked: Vec<Asked> = KEYS
        .into_iter()
        .filter_map(|(key, command)| {
            let text = annotations.get(key)?;
            let (command, value) = match command {
                Command::ConcludeA | Command::ConcludeB | Command::Conclude => winner(text),
                // kuberik's dashboard leaves the value empty.
                Command::Retry if key == keys::COMMAND_RETRY_KUBERIK => (command, Value::Present),
                Command::Abort
                | Command::PromoteFull
                | Command::Promote
                | Command::Retry
                | Command::MarkSuccessful
                | Command::UnblockFailed
                | Command::Restart => (command, Value::parse(text)),
            };
            Some(Asked { command, key: key.to_owned(), value })
        })
        .collect();
    asked.sort_by(|a, b| a.command.cmp(&b.command).then_with(|| a.key.cmp(&b.key)));
    let accepted = annotations.get(keys::ACCEPTED);
    let accepted = accepted.map(|text| (keys::ACCEPTED.to_owned(), Token::parse(text)));
    let key = |key: &&str| annotations.get(*key).map(|text| ((*key).to_owned(), cut(text)));
    let bypass = BYPASS.iter().filter_map(key).collect();
    let force = FORCE.into_iter().find_map(|key| {
        let version = annotations.get(key)?.clone();
        Some(Force { key: key.to_owned(), version, back: key == keys::COMMAND_ROLLBACK })
    });
    Commands { asked, accepted, bypass, force, intent: intent(annotations) }
}

/// Tells whether a person asks for something to be done, or did and it is not done yet.
pub fn any(rollout: &Rollout) -> bool {
    let Commands { asked, accepted, bypass, force, intent: _ } = asked(rollout);
    !asked.is_empty() || accepted.is_some() || !bypass.is_empty() || force.is_some()
}

/// Who asks for a release, and why; our own spelling goes first.
fn intent(annotations: &BTreeMap<String, String>) -> Option<(Vec<String>, Intent)> {
    let users = [keys::DEPLOY_USER, keys::DEPLOY_USER_KUBERIK];
    let messages = [keys::DEPLOY_MESSAGE, keys::DEPLOY_MESSAGE_KUBERIK];
    let there = |key: &&str| annotations.contains_key(*key);
    let all: Vec<String> =
        users.into_iter().chain(messages).filter(there).map(str::to_owned).collect();
    let said = |keys: [&str; 2], most: usize| {
        let text = keys.into_iter().find_map(|key| annotations.get(key));
        let text = text.map(String::as_str).unwrap_or_default();
        text.chars().filter(|c| !c.is_control()).take(most).collect::<String>()
    };
    let intent = Intent { user: said(users, USER_MAX), message: said(messages, MESSAGE_MAX) };
    (!all.is_empty()).then_some((all, intent))
}

/// What is kept of a version that somebody wrote.
fn cut(version: &str) -> String {
    version.trim().chars().take(VERSION_MAX).collect()
}

/// Reads the winner of an experiment, whom the data tell with `true`.
fn winner(text: &str) -> (Command, Value) {
    match text {
        "A" => (Command::ConcludeA, Value::Present),
        "true" => (Command::Conclude, Value::Present),
        "B" => (Command::ConcludeB, Value::Present),
        other => (Command::ConcludeA, Value::unknown(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::validate::fixture;

    fn of(annotations: Json) -> Commands {
        asked(&fixture::rollout(json!({"metadata": {"annotations": annotations}})))
    }

    #[test]
    fn commands_are_read_from_annotations() {
        let asked = |command, key: &str, value| Asked { command, key: key.to_owned(), value };
        let promote = asked(Command::Promote, "stairlock.dev/promote", Value::Present);
        let kulta = asked(Command::Promote, "kulta.io/promote", Value::Present);
        let abort = asked(Command::Abort, "stairlock.dev/abort", Value::Present);
        let named = Value::Named { attempt: 7, step: 2 };
        for (case, annotations, want) in [
            ("no annotation, no command", json!({}), vec![]),
            ("other keys are not ours", json!({"stairlock.dev/promoted": "true"}), vec![]),
            ("a key of another case is not ours", json!({"stairlock.dev/Abort": "true"}), vec![]),
            ("true is a command", json!({"stairlock.dev/promote": "true"}), vec![promote.clone()]),
            (
                "abort comes before promote",
                json!({"stairlock.dev/promote": "true", "stairlock.dev/abort": "true"}),
                vec![abort, promote.clone()],
            ),
            (
                "KULTA's spelling is the same command",
                json!({"stairlock.dev/promote": "true", "kulta.io/promote": "true"}),
                vec![kulta, promote],
            ),
            (
                "attempt and step are read",
                json!({"stairlock.dev/promote-full": "7/2"}),
                vec![asked(Command::PromoteFull, "stairlock.dev/promote-full", named)],
            ),
            (
                "an experiment is concluded with its winner",
                json!({"stairlock.dev/conclude-experiment": "B",
                    "kulta.io/conclude-experiment": "true"}),
                vec![
                    asked(Command::ConcludeB, "stairlock.dev/conclude-experiment", Value::Present),
                    asked(Command::Conclude, "kulta.io/conclude-experiment", Value::Present),
                ],
            ),
            (
                "there is no third variant",
                json!({"stairlock.dev/conclude-experiment": "7/1"}),
                vec![asked(
                    Command::ConcludeA,
                    "stairlock.dev/conclude-experiment",
                    Value::Unknown("7/1".into()),
                )],
            ),
            (
                "another value is kept to be answered",
                json!({"stairlock.dev/retry": "yes"}),
                vec![asked(Command::Retry, "stairlock.dev/retry", Value::Unknown("yes".into()))],
            ),
        ] {
            assert_eq!(of(annotations).asked, want, "{case}");
        }
    }

    #[test]
    fn a_version_is_asked_for_by_the_first_key_that_is_there() {
        let (ours, theirs, back) = (
            "stairlock.dev/force-deploy",
            "rollout.kuberik.com/force-deploy",
            "stairlock.dev/rollback",
        );
        for (case, annotations, want) in [
            ("none", json!({}), None),
            ("ours goes first", json!({ours: "1.0.0", theirs: "2.0.0"}), Some((ours, "1.0.0"))),
            ("then kuberik's", json!({theirs: "2.0.0", back: "3"}), Some((theirs, "2.0.0"))),
            ("an empty value is one to be answered", json!({ours: ""}), Some((ours, ""))),
            ("also before another key", json!({theirs: "", back: "3"}), Some((theirs, ""))),
        ] {
            let force = of(annotations).force;
            let force = force.as_ref().map(|force| (&*force.key, &*force.version));
            assert_eq!(force, want, "{case}");
        }
    }

    #[test]
    fn the_accepted_token_is_read() {
        let key = "stairlock.dev/accepted".to_owned();
        let token = Token { command: Command::Promote, attempt: 7, step: 2 };
        assert_eq!(of(json!({})).accepted, None);
        let accepted = of(json!({"stairlock.dev/accepted": "promote 7/2"})).accepted;
        assert_eq!(accepted, Some((key.clone(), Some(token))));
        let garbage = of(json!({"stairlock.dev/accepted": "promote"})).accepted;
        assert_eq!(garbage, Some((key, None)));
    }

    /// Every annotation of a Rollout that has something done: what is read here, and whatever
    /// `keys.rs` calls a command.
    fn every_key() -> BTreeSet<&'static str> {
        let named = include_str!("../api/keys.rs").split("pub const COMMAND_").skip(1);
        let named = named.map(|text| text.split('"').nth(1).unwrap());
        let read = KEYS.into_iter().map(|(key, _)| key).chain(BYPASS).chain(FORCE);
        named.chain(read).chain([keys::ACCEPTED]).collect()
    }

    /// The verb of an annotation: its word. Only the controller accepts.
    fn verb(key: &str) -> &str {
        let word = key.rsplit('/').next().unwrap();
        if key == keys::ACCEPTED { "accept" } else { word }
    }

    /// The verbs that a role grants on a resource.
    fn granted(role: &str, resource: &str) -> BTreeSet<String> {
        let role: Json = serde_saphyr::from_str(role).unwrap();
        let rules = role["rules"].as_array().unwrap().iter();
        let rules = rules.filter(|rule| rule["resources"] == json!([resource]));
        let verbs = rules.flat_map(|rule| rule["verbs"].as_array().unwrap());
        verbs.map(|verb| verb.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_command_policy_rules_every_command() {
        let policy = include_str!("../../config/command-policy/policy.yaml");
        let policy: Json = serde_saphyr::from_str(policy).unwrap();
        let variables = policy["spec"]["variables"].as_array().unwrap();
        let table = |name: &str| -> Json {
            let variable = variables.iter().find(|variable| variable["name"] == name).unwrap();
            // A map in CEL is one in YAML too.
            serde_saphyr::from_str(variable["expression"].as_str().unwrap()).unwrap()
        };
        let keys = every_key();
        let want: BTreeMap<&str, &str> = keys.iter().map(|key| (*key, verb(key))).collect();
        assert_eq!(table("rollouts"), json!(want), "each annotation has the verb of its word");
        assert_eq!(table("rolloutgates"), json!({keys::APPROVE: "approve"}));

        let verbs: BTreeSet<&str> = keys.iter().map(|key| verb(key)).chain(["approve"]).collect();
        let rule = |verb: &&str| {
            let asked = format!("'{verb}' in variables.needed");
            json!({
                "expression": format!("!({asked}) || variables.resource.check('{verb}').allowed()"),
                "messageExpression": format!("variables.lack + '{verb}'"),
                "reason": "Forbidden",
            })
        };
        let rules: Vec<Json> = verbs.iter().map(rule).collect();
        assert_eq!(policy["spec"]["validations"], json!(rules), "each verb has its rule, in order");
    }

    #[test]
    fn people_may_be_granted_every_verb_but_that_of_the_controller() {
        let operator = include_str!("../../config/rbac/rollout_operator_role.yaml");
        let verbs = every_key().into_iter().map(verb).filter(|verb| *verb != "accept");
        let want = verbs.chain(["get", "list", "watch", "patch"]).map(str::to_owned).collect();
        assert_eq!(granted(operator, "rollouts"), want);
        assert!(granted(operator, "rolloutgates").contains("approve"));
        let controller = include_str!("../../config/rbac/controller_role.yaml");
        assert!(granted(controller, "rollouts").contains("accept"));
    }
}
