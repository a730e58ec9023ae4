//! One namespace of the cluster as admin: objects by kind, as plain JSON.

use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Client, Error};
use serde_json::Value;

/// Who a person is in managedFields.
const PERSON: &str = "kubectl-edit";

/// The resources that stories touch: group/version, kind, plural.
const RESOURCES: &[(&str, &str, &str)] = &[
    ("stairlock.dev/v1alpha1", "Rollout", "rollouts"),
    ("stairlock.dev/v1alpha1", "RolloutGate", "rolloutgates"),
    ("stairlock.dev/v1alpha1", "RolloutSchedule", "rolloutschedules"),
    ("stairlock.dev/v1alpha1", "HealthCheck", "healthchecks"),
    ("apps/v1", "Deployment", "deployments"),
    ("stairlock.dev/v1alpha1", "ClusterRolloutSchedule", "clusterrolloutschedules"),
    ("apps/v1", "ReplicaSet", "replicasets"),
    ("v1", "Pod", "pods"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("v1", "Service", "services"),
    ("v1", "Secret", "secrets"),
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "ServiceAccount", "serviceaccounts"),
    ("v1", "Namespace", "namespaces"),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    ("events.k8s.io/v1", "Event", "events"),
    ("coordination.k8s.io/v1", "Lease", "leases"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes"),
    ("gateway.networking.k8s.io/v1", "GRPCRoute", "grpcroutes"),
    ("image.toolkit.fluxcd.io/v1", "ImageRepository", "imagerepositories"),
    ("image.toolkit.fluxcd.io/v1", "ImagePolicy", "imagepolicies"),
    ("source.toolkit.fluxcd.io/v1", "OCIRepository", "ocirepositories"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kustomizations"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions"),
    ("rbac.authorization.k8s.io/v1", "Role", "roles"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    (ADMISSION, "ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
    (ADMISSION, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
];

const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// Those of them that are in no namespace.
const WHOLE: &[&str] = &[
    "Namespace",
    "ClusterRolloutSchedule",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

/// A namespace, seen as admin.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
    pub namespace: String,
}

/// The resource of a kind.
pub fn resource(kind: &str) -> ApiResource {
    let known = RESOURCES.iter().find(|known| known.1 == kind).expect("a kind of the table");
    let (group, version) = known.0.split_once('/').unwrap_or(("", known.0));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: known.0.to_owned(),
        kind: kind.to_owned(),
        plural: known.2.to_owned(),
    }
}

impl Cluster {
    /// Makes the namespace.
    pub async fn create(client: Client, namespace: &str) -> Self {
        let cluster = Self { client, namespace: namespace.to_owned() };
        let object = serde_json::json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace}});
        cluster.api("Namespace").create(&PostParams::default(), &typed(object)).await.unwrap();
        cluster
    }

    /// Objects of a kind in the namespace; of a kind that is in none, all.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (client, resource) = (self.client.clone(), resource(kind));
        if WHOLE.contains(&kind) {
            return Api::all_with(client, &resource);
        }
        Api::namespaced_with(client, &self.namespace, &resource)
    }

    /// Creates an object as a person does.
    pub async fn add(&self, object: Value) -> Value {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let params = PostParams { field_manager: Some(PERSON.into()), ..PostParams::default() };
        plain(self.api(&kind).create(&params, &typed(object)).await.unwrap())
    }

    /// Applies an object server-side under a field manager.
    pub async fn apply(&self, manager: &str, object: Value) -> Value {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let params = PatchParams::apply(manager).force();
        let api = self.api(&kind);
        plain(api.patch(&name, &params, &Patch::Apply(typed(object))).await.unwrap())
    }

    /// Merges a change into an object as a person does.
    pub async fn merge(&self, kind: &str, name: &str, change: Value) -> Value {
        let params = PatchParams { field_manager: Some(PERSON.into()), ..PatchParams::default() };
        let patch = Patch::Merge(change);
        plain(self.api(kind).patch(name, &params, &patch).await.unwrap())
    }

    /// Merges a change into the status of an object, as its controller would.
    pub async fn merge_status(&self, kind: &str, name: &str, change: Value) -> Value {
        let patch = Patch::Merge(change);
        let params = PatchParams::default();
        plain(self.api(kind).patch_status(name, &params, &patch).await.unwrap())
    }

    /// The object, if it exists.
    pub async fn find(&self, kind: &str, name: &str) -> Option<Value> {
        self.api(kind).get_opt(name).await.unwrap().map(plain)
    }

    /// The object, which has to exist.
    pub async fn get(&self, kind: &str, name: &str) -> Value {
        self.find(kind, name).await.unwrap_or_else(|| panic!("{kind} {name} is not there"))
    }

    /// All objects of a kind.
    pub async fn all(&self, kind: &str) -> Vec<Value> {
        let list = self.api(kind).list(&ListParams::default()).await.unwrap();
        list.items.into_iter().map(plain).collect()
    }

    /// Deletes an object, whether or not it is there.
    pub async fn remove(&self, kind: &str, name: &str) {
        match self.api(kind).delete(name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("{kind} {name} is not deleted: {error}"),
        }
    }
}

/// JSON as an object that the client can send.
pub fn typed(object: Value) -> DynamicObject {
    serde_json::from_value(object).unwrap()
}

/// An object as JSON.
pub fn plain(object: DynamicObject) -> Value {
    serde_json::to_value(object).unwrap()
}
