//! Events: what people see of a stored transition in `kubectl describe` and `kubectl events`.

use serde_json::{Value, json};

use crate::api::keys;
use crate::api::kind::Reference;
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;

/// The longest note that the API server takes, in bytes.
const NOTE_MAX: usize = 1024;
/// The longest name of an object, in bytes.
const NAME_MAX: usize = 253;
/// The longest name of a reporting instance, in bytes.
const INSTANCE_MAX: usize = 128;

/// Tells the name of the Event of a notice: the same notice has the same name, so that a second
/// Event of it cannot be.
pub fn name(object: &Reference, notice: &Notice) -> String {
    let legal = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-' => c,
        _ => '-',
    };
    let id: String = notice.id.chars().map(legal).collect();
    let room = NAME_MAX.saturating_sub(id.len() + 1);
    let object = cut(&object.key.name, room).trim_end_matches(['.', '-']);
    format!("{object}.{id}").trim_end_matches(['.', '-']).to_owned()
}

/// Makes the Event of a notice about an object, which has this uid. `instance` names the process
/// that sends it.
pub fn create((object, uid): (&Reference, &str), notice: &Notice, instance: &str) -> Value {
    let namespace = &object.key.namespace;
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name(object, notice), "namespace": namespace},
        "eventTime": micro(notice.at),
        "regarding": {
            "apiVersion": object.kind.resource().api_version,
            "kind": object.kind.as_str(),
            "namespace": namespace,
            "name": object.key.name,
            "uid": uid,
        },
        "type": if notice.warning { "Warning" } else { "Normal" },
        "reason": notice.reason,
        "action": notice.reason,
        "note": cut(&notice.message, NOTE_MAX),
        "reportingController": format!("{}/controller", keys::GROUP),
        "reportingInstance": cut(instance, INSTANCE_MAX),
    })
}

/// The first bytes of a text, at most `max`, without cutting a character in two.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// A point in time with six digits after the dot: the API server takes no other form.
fn micro(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.trim_end_matches('Z');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{fraction:0<6}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kind::Kind;

    fn notice(id: &str, message: &str) -> Notice {
        Notice {
            id: id.to_owned(),
            warning: true,
            reason: "Aborted".to_owned(),
            message: message.to_owned(),
            at: Timestamp::from_millis(1_700_000_000_120),
        }
    }

    #[test]
    fn an_event_is_about_its_object() {
        let shop = Reference::new(Kind::Rollout, "prod", "shop");
        let golden = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "shop.7-2-aborted", "namespace": "prod"},
            "eventTime": "2023-11-14T22:13:20.120000Z",
            "regarding": {
                "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
                "namespace": "prod", "name": "shop", "uid": "u1",
            },
            "type": "Warning",
            "reason": "Aborted",
            "action": "Aborted",
            "note": "it was aborted",
            "reportingController": "stairlock.dev/controller",
            "reportingInstance": "pod-1",
        });
        let notice = notice("7-2-Aborted", "it was aborted");
        assert_eq!(create((&shop, "u1"), &notice, "pod-1"), golden);

        let apps = Reference::new(Kind::Kustomization, "prod", "apps");
        let regarding = &create((&apps, "k"), &notice, "pod-1")["regarding"];
        let (version, kind) = ("kustomize.toolkit.fluxcd.io/v1", "Kustomization");
        let golden = json!({"apiVersion": version, "kind": kind, "namespace": "prod",
            "name": "apps", "uid": "k"});
        assert_eq!(*regarding, golden);
    }

    #[test]
    fn an_event_fits_the_limits_of_the_api_server() {
        let shop = Reference::new(Kind::Rollout, "prod", "s".repeat(253));
        let event = create((&shop, "u1"), &notice("7/2 a", &"ü".repeat(900)), "pod-1");
        assert_eq!(event["metadata"]["name"].as_str().unwrap().len(), 253);
        assert!(event["metadata"]["name"].as_str().unwrap().ends_with("s.7-2-a"));
        assert_eq!(event["note"].as_str().unwrap().len(), 1024);
        assert_eq!(micro(Timestamp::from_millis(0)), "1970-01-01T00:00:00.000000Z");
    }
}
