//! Signatures as cosign makes them with a key of its own: an artifact beside the signed one, which
//! holds a statement of its digest and, in an annotation, the signature of that statement.
//!
//! Source: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>

use std::path::{Path, PathBuf};
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::json::text;
use super::rig::{rig, succeeded};
use super::story::Story;

/// The media type of a statement.
const STATEMENT: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of a layer that holds the signature of its statement.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A key by which artifacts are signed.
pub struct Signer {
    name: String,
    key: PathBuf,
    folder: PathBuf,
}

async fn openssl(args: &[&str], file: &Path) -> Output {
    Command::new("openssl").args(args).arg(file).output().await.unwrap()
}

impl Signer {
    /// Makes one of a name.
    pub async fn make(story: &Story, name: &str) -> Self {
        let folder = rig().folder(&format!("stories/{}-{name}", story.namespace()));
        let key = folder.join("key.pem");
        let make = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"];
        succeeded("openssl ecparam", openssl(&make, &key).await);
        Self { name: name.to_owned(), key, folder }
    }

    /// The Secret by which Flux knows the signatures of this key.
    pub async fn secret(&self) -> Value {
        let public = succeeded("openssl ec", openssl(&["ec", "-pubout", "-in"], &self.key).await);
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.name},
            "stringData": {"cosign.pub": public}})
    }

    /// The part of an OCIRepository that asks for signatures of this key.
    pub fn asked_for(&self) -> Value {
        json!({"spec": {"verify": {"provider": "cosign", "secretRef": {"name": self.name}}}})
    }

    async fn signature(&self, statement: &Path) -> String {
        let mut sign = Command::new("openssl");
        sign.args(["dgst", "-sha256", "-sign"]).arg(&self.key).arg(statement);
        let output = sign.output().await.unwrap();
        let signature = STANDARD.encode(&output.stdout);
        succeeded("openssl dgst", output);
        signature
    }

    /// Keeps a blob in a layout of OCI; what a manifest says of it.
    fn blob(&self, media: &str, content: &str) -> Value {
        let digest: String =
            Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let blobs = self.folder.join("layout/blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(&digest), content).unwrap();
        json!({"mediaType": media, "size": content.len(), "digest": format!("sha256:{digest}")})
    }

    /// Pushes the signature of a digest in a repository, in place of any other.
    async fn push(&self, repository: &str, digest: &str) {
        let statement = json!({"optional": null, "critical": {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        }})
        .to_string();
        let file = self.folder.join("statement.json");
        std::fs::write(&file, &statement).unwrap();
        let mut layer = self.blob(STATEMENT, &statement);
        let rootfs = json!({"type": "layers", "diff_ids": [layer["digest"]]});
        layer["annotations"] = json!({SIGNATURE: self.signature(&file).await});
        let config = json!({"architecture": "", "os": "", "config": {}, "rootfs": rootfs});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(CONFIG, &config.to_string()),
            "layers": [layer],
        });
        let all = [self.blob(MANIFEST, &manifest.to_string())];
        let layout = self.folder.join("layout");
        for (file, content) in [
            ("oci-layout", json!({"imageLayoutVersion": "1.0.0"})),
            ("index.json", json!({"schemaVersion": 2, "manifests": all})),
        ] {
            std::fs::write(layout.join(file), content.to_string()).unwrap();
        }
        let image = format!("{repository}:{}.sig", digest.replace(':', "-"));
        rig().crane("push", &[layout.to_str().unwrap(), &image]).await;
    }
}

impl Story {
    /// Signs an artifact that was published; the OCIRepository once Flux has looked at it again.
    pub async fn sign(&self, by: &Signer, name: &str, tag: &str) -> Value {
        let repository = self.repository_of(name);
        let digest = rig().crane("digest", &[&format!("{repository}:{tag}")]).await;
        by.push(&repository, &digest).await;
        let token = format!("{tag} by {}", by.name);
        self.reconcile("OCIRepository", name, &token).await;
        let looked = |object: &Value| text(object, "/status/lastHandledReconcileAt") == token;
        self.becomes("OCIRepository", name, "Flux looked at it", looked).await
    }
}
