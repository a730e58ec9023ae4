//! Stray: which objects of Flux name a Rollout by their annotations, for the case that it is not
//! there, and which can name none. It never tells whether it is there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};

use crate::api::keys;
use crate::api::kind::{Key, Kind, Reference};
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;
use crate::model::template::hex;
use crate::validate::binding::{self, Claim};
use crate::validate::excerpt::excerpt;

/// An object of Flux of which a field is bound to no Rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The object.
    pub object: Reference,
    /// Its uid.
    pub uid: String,
    /// The Rollout that is not there; none where the annotations can name none.
    pub rollout: Option<Key>,
    /// The annotations that bind; where they can name no Rollout, with what they hold.
    pub annotations: Vec<String>,
}

impl Stray {
    /// Reads the annotations of a Kustomization or OCIRepository that name a Rollout; `None` where
    /// none does, or the object is on its way out. `kuberik`: whether a Rollout of kuberik of that
    /// name may live, which its spelling means then.
    pub fn of(kind: Kind, meta: &ObjectMeta, rollout: &Key, kuberik: bool) -> Option<Self> {
        let names = |claim: &Claim| claim.rollout == *rollout && !(claim.alias && kuberik);
        let claims = binding::claims(meta, binding::reads(kind)).into_iter().filter(names);
        let annotations = claims.map(|claim| annotation(kind, &claim)).collect();
        Self::about(kind, meta, Some(rollout.clone()), annotations)
    }

    /// Reads the annotations of a Kustomization or OCIRepository that would bind a field and can
    /// name no Rollout; `None` where there is none, or the object is on its way out. `kuberik`:
    /// whether kuberik's spelling may be meant for kuberik.
    pub fn nameless(kind: Kind, meta: &ObjectMeta, kuberik: bool) -> Option<Self> {
        let all = binding::nameless(meta, binding::reads(kind)).into_iter();
        let all = all.filter(|(_, _, alias)| !(*alias && kuberik));
        let annotations = all.map(|(key, value, _)| format!("{key} is {:?}", excerpt(value)));
        Self::about(kind, meta, None, annotations.collect())
    }

    fn about(
        kind: Kind,
        meta: &ObjectMeta,
        rollout: Option<Key>,
        annotations: Vec<String>,
    ) -> Option<Self> {
        let stays = meta.deletion_timestamp.is_none() && !annotations.is_empty();
        let object = Reference { kind, key: Key::of(meta) };
        let uid = meta.uid.clone().unwrap_or_default();
        stays.then_some(Self { object, uid, rollout, annotations })
    }

    /// Makes what people are told of it: the same of one object, however often.
    pub fn notice(&self, at: Timestamp) -> Notice {
        let Self { uid, rollout, annotations, .. } = self;
        let keys = annotations.join(", ");
        let (reason, what, message) = match rollout {
            Some(rollout) => {
                let message = format!(
                    "there is no Rollout {rollout}, so nothing is delivered here; create it, or \
                     correct or remove the annotation {keys}"
                );
                ("RolloutNotFound", rollout.to_string(), message)
            }
            None => {
                let message = format!(
                    "nothing is delivered here: annotation {keys}, which can be no Rollout; \
                     [<namespace>/]<name> is allowed, of lower-case letters, \
                     digits, \"-\" and \".\""
                );
                ("InvalidBinding", keys, message)
            }
        };
        let which = hex(&Sha256::digest(format!("{uid} {what}").as_bytes()), 10);
        let id = format!("{reason}-{which}");
        Notice { id, warning: true, reason: reason.to_owned(), message, at }
    }
}

/// The annotation that makes a claim.
fn annotation(kind: Kind, claim: &Claim) -> String {
    let Claim { variable, alias, .. } = claim;
    match (kind == Kind::OciRepository, alias) {
        (true, false) => keys::BIND_TAG.to_owned(),
        (true, true) => keys::BIND_TAG_KUBERIK.to_owned(),
        (false, false) => format!("{}{variable}.from", keys::BIND_VARIABLE),
        (false, true) => format!("{}{variable}.from", keys::BIND_VARIABLE_KUBERIK),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_annotation_that_names_no_rollout_is_told_where_it_is() {
        let (own, alias) =
            ("stairlock.dev/substitute.TAG.from", "rollout.kuberik.com/substitute.TAG.from");
        let (tag, other) = ("stairlock.dev/rollout", "stairlock.dev/substitute.B.from");
        let (apps, oci) = (Kind::Kustomization, Kind::OciRepository);
        let two = "stairlock.dev/substitute.B.from, stairlock.dev/substitute.TAG.from";
        for (case, kind, annotations, kuberik, want) in [
            ("a variable", apps, json!({own: "shop"}), false, own),
            ("two variables", apps, json!({own: "shop", other: "prod/shop"}), false, two),
            ("a tag", oci, json!({tag: "shop"}), false, tag),
            ("a tag is not for a Kustomization", apps, json!({tag: "shop"}), false, ""),
            ("another Rollout", apps, json!({own: "till"}), false, ""),
            ("none at all", apps, json!({own: "my shop"}), false, ""),
            ("kuberik's spelling", apps, json!({alias: "shop"}), false, alias),
            ("and kuberik has one", apps, json!({alias: "shop"}), true, ""),
            ("our spelling beside it", apps, json!({own: "shop", alias: "shop"}), true, own),
        ] {
            let meta = json!({"namespace": "prod", "name": "apps", "uid": "k",
                "annotations": annotations});
            let meta: ObjectMeta = serde_json::from_value(meta).unwrap();
            let stray = Stray::of(kind, &meta, &Key::new("prod", "shop"), kuberik);
            let told = stray.map(|stray| stray.annotations.join(", ")).unwrap_or_default();
            assert_eq!(told, want, "{case}");
        }
    }

    #[test]
    fn an_annotation_that_can_name_no_rollout_is_told_with_what_it_holds() {
        let (own, alias) =
            ("stairlock.dev/substitute.TAG.from", "rollout.kuberik.com/substitute.TAG.from");
        let (tag, other) = ("stairlock.dev/rollout", "stairlock.dev/substitute.B.from");
        let (apps, oci) = (Kind::Kustomization, Kind::OciRepository);
        let is = |value: &str| format!("{own} is {value:?}");
        let two = format!("{other} is \"\", {}", is("my shop"));
        for (case, kind, annotations, kuberik, want) in [
            ("a name", apps, json!({own: "shop"}), false, String::new()),
            ("a namespace too", apps, json!({own: "prod/shop.eu-1"}), false, String::new()),
            ("a space", apps, json!({own: "my shop"}), false, is("my shop")),
            ("a capital", apps, json!({own: "Shop"}), false, is("Shop")),
            ("a path", apps, json!({own: "prod/eu/shop"}), false, is("prod/eu/shop")),
            ("a way up", apps, json!({own: ".."}), false, is("..")),
            ("a hyphen at an end", apps, json!({own: "shop-"}), false, is("shop-")),
            ("a dot in a namespace", apps, json!({own: "a.b/shop"}), false, is("a.b/shop")),
            ("a line break", apps, json!({own: "shop\n"}), false, is("shop")),
            ("two, one of them empty", apps, json!({own: "my shop", other: ""}), false, two),
            ("a tag", oci, json!({tag: "A"}), false, format!("{tag} is \"A\"")),
            ("a tag is not for a Kustomization", apps, json!({tag: "A"}), false, String::new()),
            ("kuberik's spelling", apps, json!({alias: "A"}), false, format!("{alias} is \"A\"")),
            ("and it may be kuberik's", apps, json!({alias: "A"}), true, String::new()),
        ] {
            let meta = json!({"namespace": "prod", "name": "apps", "uid": "k",
                "annotations": annotations});
            let meta: ObjectMeta = serde_json::from_value(meta).unwrap();
            let stray = Stray::nameless(kind, &meta, kuberik);
            let told = stray.iter().flat_map(|stray| &stray.annotations).cloned();
            assert_eq!(told.collect::<Vec<_>>().join(", "), want, "{case}");
            let notice = stray.map(|stray| stray.notice(Timestamp::from_millis(1)));
            let reason = notice.map(|notice| notice.reason).unwrap_or_default();
            assert_eq!(reason.is_empty(), want.is_empty(), "{case}: {reason}");
        }
    }

    #[test]
    fn one_object_is_told_the_same_every_time() {
        let told = |uid: &str, rollout: &str, at: i64| {
            let meta = json!({"namespace": "prod", "name": "apps", "uid": uid,
                "annotations": {"stairlock.dev/substitute.TAG.from": rollout}});
            let meta: ObjectMeta = serde_json::from_value(meta).unwrap();
            let stray = Stray::of(Kind::Kustomization, &meta, &Key::new("prod", rollout), false);
            stray.unwrap().notice(Timestamp::from_millis(at))
        };
        let first = told("k", "shop", 1);
        let want = "there is no Rollout prod/shop, so nothing is delivered here; create it, or \
                    correct or remove the annotation stairlock.dev/substitute.TAG.from";
        assert_eq!((first.message.as_str(), first.warning), (want, true));
        assert_eq!(told("k", "shop", 2).id, first.id, "later");
        assert_ne!(told("k", "till", 1).id, first.id, "another Rollout");
        assert_ne!(told("l", "shop", 1).id, first.id, "another object of the name");
    }
}
