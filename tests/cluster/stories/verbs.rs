//! Who may give a command, where the shipped policy is in force: whoever has its verb.

use kube::Error;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Status;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stories::command::annotation;
use crate::support::cluster::{Cluster, typed};
use crate::support::controller::Controller;
use crate::support::flux::current;
use crate::support::json::{list, merged, number, text};
use crate::support::rig::{rig, succeeded};
use crate::support::shop::{gated_twice, quick, rollout, sourced};
use crate::support::story::{SHOP, Story, attempt_is};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/command-policy");
const APPROVE: &str = "stairlock.dev/approve";
const PROMOTE: &str = "stairlock.dev/promote";
const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// The verb of each annotation that asks for something to be done.
const VERBS: &[(&str, &str)] = &[
    ("stairlock.dev/abort", "abort"),
    ("stairlock.dev/accepted", "accept"),
    ("stairlock.dev/bypass-gates", "bypass-gates"),
    ("rollout.kuberik.com/bypass-gates", "bypass-gates"),
    ("stairlock.dev/conclude-experiment", "conclude-experiment"),
    ("kulta.io/conclude-experiment", "conclude-experiment"),
    ("stairlock.dev/force-deploy", "force-deploy"),
    ("rollout.kuberik.com/force-deploy", "force-deploy"),
    ("stairlock.dev/mark-successful", "mark-successful"),
    (PROMOTE, "promote"),
    ("kulta.io/promote", "promote"),
    ("stairlock.dev/promote-full", "promote-full"),
    ("stairlock.dev/restart", "restart"),
    ("stairlock.dev/retry", "retry"),
    ("rollout.kuberik.com/retry", "retry"),
    ("stairlock.dev/rollback", "rollback"),
    ("stairlock.dev/unblock-failed", "unblock-failed"),
    ("rollout.kuberik.com/unblock-failed", "unblock-failed"),
];

/// A user of the cluster, who has what is granted to the name.
struct User(Cluster);

impl User {
    async fn new(story: &Story, name: &str) -> Self {
        let client = rig().client_as(Some(name)).await;
        Self(Cluster { client, namespace: story.namespace().to_owned() })
    }

    /// Merges a change into an object; a trial changes nothing.
    async fn merge(&self, kind: &str, change: &Value, trial: bool) -> Result<(), Box<Status>> {
        let params = PatchParams { dry_run: trial, ..PatchParams::default() };
        told(self.0.api(kind).patch(SHOP, &params, &Patch::Merge(change)).await)
    }

    /// Sets an annotation of the shop.
    async fn annotate(&self, key: &str, value: &str) -> Result<(), Box<Status>> {
        self.merge("Rollout", &annotated(key, value), false).await
    }

    /// Applies an object as Flux does.
    async fn apply(&self, object: Value) -> Result<(), Box<Status>> {
        let params = PatchParams::apply("kustomize-controller").force();
        let name = text(&object, "/metadata/name").to_owned();
        let patch = Patch::Apply(typed(object));
        told(self.0.api("Rollout").patch(&name, &params, &patch).await)
    }

    async fn create(&self, object: Value) -> Result<(), Box<Status>> {
        let api = self.0.api("Rollout");
        told(api.create(&PostParams::default(), &typed(object)).await)
    }

    /// Waits for the answer to a trial: what is granted and ruled is not in force at once.
    async fn until(
        &self,
        story: &Story,
        (kind, change): (&str, &Value),
        test: impl Fn(&Result<(), Box<Status>>) -> bool,
    ) {
        let mut last = Ok(());
        while Instant::now() < story.end {
            last = self.merge(kind, change, true).await;
            if test(&last) {
                return;
            }
        }
        panic!("{}: gave up trying {change} on {kind}: {last:?}", story.namespace());
    }
}

/// What the API server says to it, where it refuses.
fn told<T>(answer: Result<T, Error>) -> Result<(), Box<Status>> {
    match answer {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) => Err(status),
        Err(error) => panic!("{error}"),
    }
}

fn annotated(key: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {key: value}}})
}

/// Fails unless the policy refused an annotation of a user for the lack of a verb.
fn refused(answer: Result<(), Box<Status>>, user: &str, key: &str, verb: &str) {
    let status = answer.expect_err(key);
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"), "{status:?}");
    let said = status.message.as_str();
    assert!(said.contains(&format!("user {user} may not set {key} on ")), "{said}");
    assert!(said.ends_with(&format!(" without the verb {verb}")), "{said}");
}

/// Puts the shipped policy in force in the namespace of the story, and nowhere else.
async fn guard(story: &Story, jo: &User, kind: &str, key: &str) {
    let rendered = rig().kubectl(&["kustomize", FOLDER]).await;
    let rendered = succeeded("kubectl kustomize config/command-policy", rendered);
    let place = json!({"kubernetes.io/metadata.name": story.namespace()});
    let kept = json!({"spec": {"policyName": story.namespace(),
        "matchResources": {"namespaceSelector": {"matchLabels": place}}}});
    let mut kinds = Vec::new();
    for document in rendered.split("\n---\n") {
        let object: Value = serde_saphyr::from_str(document).unwrap();
        let object = merged(object, &json!({"metadata": {"name": story.namespace()}}));
        let policy = text(&object, "/kind") == "ValidatingAdmissionPolicy";
        let object = if policy { object } else { merged(object, &kept) };
        kinds.push(text(&story.cluster.add(object).await, "/kind").to_owned());
    }
    let [policy, _binding] = kinds.as_slice() else { panic!("{kinds:?}") };
    // Kubernetes reads the expressions with the schemas of the kinds in hand.
    let read = story.becomes(policy, story.namespace(), "it is read", current).await;
    let wrong = list(&read, "/status/typeChecking/expressionWarnings");
    assert!(wrong.is_empty(), "{wrong:?}");
    let ruled = |answer: &Result<(), Box<Status>>| {
        answer.as_ref().is_err_and(|status| status.message.contains(" may not set "))
    };
    jo.until(story, (kind, &annotated(key, "true")), ruled).await;
}

/// Takes the policy away, which is in no namespace.
async fn unguard(story: &Story) {
    for kind in ["ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"] {
        story.cluster.remove(kind, story.namespace()).await;
    }
}

/// Grants verbs on a resource to a user, of one name if it is given.
async fn grant(story: &Story, user: &str, resource: &str, verbs: &[&str], names: &[&str]) {
    let name = format!("{user}-{}", verbs.join("-"));
    let api = "rbac.authorization.k8s.io/v1";
    let rule = json!({"apiGroups": ["stairlock.dev"], "resources": [resource], "verbs": verbs,
        "resourceNames": names});
    let role = json!({"apiVersion": api, "kind": "Role", "metadata": {"name": name},
        "rules": [rule]});
    story.cluster.add(role).await;
    bind(story, user, "Role", &name).await;
}

/// Binds a role to a user in the namespace.
async fn bind(story: &Story, user: &str, kind: &str, role: &str) {
    let group = "rbac.authorization.k8s.io";
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
        "metadata": {"name": format!("{user}-{role}")},
        "roleRef": {"apiGroup": group, "kind": kind, "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}]});
    story.cluster.add(binding).await;
}

/// A shop at its first pause, and a user who may patch it and has no verb of a command.
async fn guarded(title: &str) -> (Story, Controller, User) {
    let story = Story::begin(title, 120).await;
    story.cluster.add(rollout(&story, "1.0.0", gated_twice())).await;
    let controller = story.controller().await;
    story.completed(1).await;
    story.set_image(&story.image("1.1.0")).await;
    story.paused(2, 1).await;
    grant(&story, "jo", "rollouts", &["get", "create", "patch"], &[]).await;
    let jo = User::new(&story, "jo").await;
    guard(&story, &jo, "Rollout", PROMOTE).await;
    (story, controller, jo)
}

#[tokio::test]
async fn a_command_takes_the_verb_of_its_name() {
    let (story, controller, jo) = guarded("verbs").await;
    for (key, verb) in VERBS {
        refused(jo.annotate(key, "true").await, "jo", key, verb);
    }
    // What the controller accepted acts: nobody else may write that.
    refused(
        jo.annotate("stairlock.dev/accepted", "promote 2/1").await,
        "jo",
        "stairlock.dev/accepted",
        "accept",
    );
    // kuberik's dashboard leaves the value empty.
    refused(
        jo.annotate("rollout.kuberik.com/retry", "").await,
        "jo",
        "rollout.kuberik.com/retry",
        "retry",
    );
    let after = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(after.pointer("/metadata/annotations"), None);
    assert_eq!(number(&after, "/status/attempt/step"), 1);

    grant(&story, "jo", "rollouts", &["promote"], &[SHOP]).await;
    jo.until(&story, ("Rollout", &annotated(PROMOTE, "true")), Result::is_ok).await;
    jo.annotate(PROMOTE, "true").await.unwrap();
    let promoted = story.paused(2, 2).await;
    assert_eq!(annotation(&promoted, PROMOTE), "", "the controller took it");
    refused(jo.annotate("stairlock.dev/abort", "true").await, "jo", "stairlock.dev/abort", "abort");
    jo.annotate("kulta.io/promote", "true").await.unwrap();

    let done = story.completed(2).await;
    assert_eq!(annotation(&done, "kulta.io/promote"), "");
    assert_eq!(controller.forbidden(), [""; 0]);
    unguard(&story).await;
}

#[tokio::test]
async fn whoever_has_no_verb_edits_and_takes_commands_away() {
    let (story, controller, jo) = guarded("edits").await;
    // A value that nobody understands stays on the Rollout.
    story.command(PROMOTE, "yes").await;
    jo.annotate("stairlock.dev/deploy-message", "1.1.0 sells more").await.unwrap();
    refused(jo.annotate(PROMOTE, "true").await, "jo", PROMOTE, "promote");
    let applied = |tag: &str| rollout(&story, tag, gated_twice());
    jo.apply(applied("1.1.0")).await.unwrap();
    let still = story.cluster.get("Rollout", SHOP).await;
    assert_eq!(annotation(&still, PROMOTE), "yes");
    let gone = json!({"metadata": {"annotations": {PROMOTE: null}}});
    jo.merge("Rollout", &gone, false).await.unwrap();

    jo.apply(applied("1.2.0")).await.unwrap();
    let next = story.paused(3, 1).await;
    assert_eq!(text(&next, IMAGE), story.image("1.2.0"));
    assert_eq!(annotation(&next, PROMOTE), "");

    let named = |name: &str| merged(applied("1.0.0"), &json!({"metadata": {"name": name}}));
    let commanded = |name: &str| merged(named(name), &annotated(PROMOTE, "true"));
    refused(jo.create(commanded("made")).await, "jo", PROMOTE, "promote");
    refused(jo.apply(commanded("applied")).await, "jo", PROMOTE, "promote");
    for name in ["made", "applied"] {
        assert_eq!(story.cluster.find("Rollout", name).await, None);
    }
    assert!(attempt_is(&story.cluster.get("Rollout", SHOP).await, 3));
    assert_eq!(controller.forbidden(), [""; 0]);
    unguard(&story).await;
}

#[tokio::test]
async fn the_approval_at_a_gate_takes_a_verb_too() {
    let story = Story::begin("approver", 120).await;
    story.offer("1.0.0").await;
    story.cluster.add(sourced(rollout(&story, "1.0.0", quick()))).await;
    let controller = story.controller().await;
    story.completed(1).await;
    let gate = json!({"apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
        "metadata": {"name": SHOP}, "spec": {"rolloutRef": {"name": SHOP}, "approval": {}}});
    story.cluster.add(gate).await;
    story.push("1.1.0").await;
    story.held("NotApproved").await;
    grant(&story, "jo", "rolloutgates", &["patch"], &[]).await;
    let jo = User::new(&story, "jo").await;
    guard(&story, &jo, "RolloutGate", APPROVE).await;

    let (approved, kind) = (annotated(APPROVE, "1.1.0"), "RolloutGate");
    refused(jo.merge(kind, &approved, false).await, "jo", APPROVE, "approve");
    jo.merge(kind, &annotated(PROMOTE, "true"), false).await.unwrap(); // nothing to a gate
    grant(&story, "jo", "rolloutgates", &["approve"], &[]).await;
    jo.until(&story, (kind, &approved), Result::is_ok).await;
    jo.merge(kind, &approved, false).await.unwrap();

    story.completed(2).await;
    assert_eq!(controller.forbidden(), [""; 0]);
    unguard(&story).await;
}

#[tokio::test]
async fn the_shipped_roles_grant_what_they_say() {
    let (story, _controller, _jo) = guarded("roles").await;
    let all: Vec<&str> = VERBS.iter().map(|(_, verb)| *verb).filter(|v| *v != "accept").collect();
    let few = vec!["abort", "promote", "promote-full", "retry"];
    for (role, verbs) in [
        ("edit", &vec![]),
        ("stairlock-editor", &vec![]),
        ("stairlock-promoter", &few),
        ("stairlock-operator", &all),
        ("admin", &all),
    ] {
        bind(&story, role, "ClusterRole", role).await;
        let user = User::new(&story, role).await;
        user.until(&story, ("Rollout", &annotated("example.com/any", "")), Result::is_ok).await;
        for (key, verb) in VERBS {
            let change = annotated(key, "true");
            if verbs.contains(verb) {
                user.until(&story, ("Rollout", &change), Result::is_ok).await;
            } else {
                refused(user.merge("Rollout", &change, true).await, role, key, verb);
            }
        }
    }
    // All at once stays within what Kubernetes lets expressions cost.
    let every = VERBS.iter().filter(|(_, verb)| *verb != "accept");
    let every = every.fold(json!({}), |all, (key, _)| merged(all, &annotated(key, "true")));
    User::new(&story, "admin").await.merge("Rollout", &every, true).await.unwrap();
    unguard(&story).await;
}
