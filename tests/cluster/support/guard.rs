//! A registry that does not let everybody in: that of the rig, behind a login, and behind TLS where
//! that is asked for.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use tokio_rustls::TlsAcceptor;

use super::backstage;
use super::rig::{rig, succeeded};
use super::story::{SHOP, Story};

/// Who is let in.
pub const USER: &str = "shop";
/// By which word.
pub const PASSWORD: &str = "sesame";

type Failure = Box<dyn Error + Send + Sync>;

/// A registry behind a login.
pub struct Guard {
    address: SocketAddr,
    /// Why there was no connection, each time.
    unmet: watch::Receiver<Vec<String>>,
    task: JoinHandle<()>,
}

impl Guard {
    /// Opens one; with certificates of an authority it is behind TLS, and lets in only who shows
    /// one of the same authority.
    pub async fn open(authority: Option<&Authority>) -> Self {
        let tls = authority.map(Authority::acceptor);
        backstage::spawn(Self::listen(tls)).await.unwrap()
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (note, unmet) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, note) = (tls.clone(), note.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else { return serve(stream).await };
                    match tls.accept(stream).await {
                        Ok(stream) => serve(stream).await,
                        Err(why) => note.send_modify(|all| all.push(why.to_string())),
                    }
                });
            }
        });
        Self { address, unmet, task }
    }

    /// Waits until there was no connection for a reason.
    pub async fn unmet(&self, story: &Story, why: &str) {
        let mut unmet = self.unmet.clone();
        let said = |all: &Vec<String>| all.iter().any(|said| said.contains(why));
        let said = timeout_at(story.end, unmet.wait_for(said)).await.is_ok();
        assert!(said, "{why}: {:?}", self.unmet.borrow());
    }

    /// The repository of the shop, as it is named here.
    pub fn repository(&self, story: &Story) -> String {
        format!("{}/{}/{SHOP}", self.address, story.namespace())
    }

    /// The image of the shop at a tag, as it is named here.
    pub fn image(&self, story: &Story, tag: &str) -> String {
        format!("{}:{tag}", self.repository(story))
    }

    /// What a Secret with a login holds.
    pub fn login(&self, password: &str) -> String {
        let login = json!({"username": USER, "password": password});
        json!({"auths": {self.address.to_string(): login}}).to_string()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let connection = hyper::server::conn::http1::Builder::new();
    // A client that goes away breaks it: no error of the registry.
    let _ = connection.serve_connection(TokioIo::new(stream), service_fn(pass)).await;
}

/// Answers as the rig's registry does to who has the login.
async fn pass(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
    let login = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    if request.headers().get(AUTHORIZATION).is_none_or(|shown| shown != login.as_str()) {
        let refused = Response::builder().status(401);
        let asks = refused.header(WWW_AUTHENTICATE, "Basic realm=\"rig\"");
        return Ok(asks.body(Full::default())?);
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut asked = Request::builder().method(request.method());
    for accepted in request.headers().get_all(ACCEPT) {
        asked = asked.header(ACCEPT, accepted);
    }
    let asked = asked.uri(format!("http://{}{path}", rig().registry()));
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let (parts, body) = client.request(asked.body(Full::default())?).await?.into_parts();
    Ok(Response::from_parts(parts, Full::new(body.collect().await?.to_bytes())))
}

/// An authority of a story's own, with one certificate for both ends.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes one.
    pub async fn make(story: &Story) -> Self {
        let folder = rig().folder(&format!("stories/{}-authority", story.namespace()));
        std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
        let made = Self { folder };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout";
        made.openssl(&format!("req -x509 {key} ca.key -out ca.crt -days 2 -subj /CN=rig")).await;
        made.openssl(&format!("req {key} tls.key -out tls.csr -subj /CN=registry")).await;
        let sign = "x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2";
        made.openssl(&format!("{sign} -extfile names -out tls.crt")).await;
        made
    }

    async fn openssl(&self, line: &str) {
        let mut openssl = Command::new("openssl");
        openssl.args(line.split(' ')).current_dir(&self.folder);
        succeeded(line, openssl.output().await.unwrap());
    }

    /// The Secret with some of its files.
    pub fn secret(&self, name: &str, files: &[&str]) -> Value {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {}});
        for file in files {
            let text = std::fs::read_to_string(self.folder.join(file)).unwrap();
            secret["stringData"][file] = json!(text);
        }
        secret
    }

    fn certificates(&self, file: &str) -> Vec<CertificateDer<'static>> {
        let all = CertificateDer::pem_file_iter(self.folder.join(file)).unwrap();
        all.map(Result::unwrap).collect()
    }

    fn acceptor(&self) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates("ca.crt") {
            roots.add(certificate).unwrap();
        }
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let key = PrivateKeyDer::from_pem_file(self.folder.join("tls.key")).unwrap();
        let config = ServerConfig::builder().with_client_cert_verifier(verifier);
        let config = config.with_single_cert(self.certificates("tls.crt"), key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
