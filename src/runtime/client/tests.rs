use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::runtime::settings::LogFormat;

fn settings(path: PathBuf) -> Settings {
    Settings {
        access: Access::File(path),
        insecure_kubeconfig_tls: false,
        insecure_kubeconfig_exec: false,
        watch_namespaces: [].into(),
        watch_label_selector: None,
        allow_cross_namespace_refs: [].into(),
        leader_election: false,
        lease_name: "l".to_owned(),
        lease_namespace: "ns".to_owned(),
        identity: "me".to_owned(),
        bind_address: ([127, 0, 0, 1], 0).into(),
        concurrency: 1,
        log_format: LogFormat::Text,
        log_filter: "info".to_owned(),
    }
}

/// A kubeconfig file that goes with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, server: &str, cluster: &str, user: &str) -> Self {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
             clusters: [{{name: k, cluster: {{server: '{server}'{cluster}}}}}]\n\
             users: [{{name: u, user: {{{user}}}}}]\n"
        );
        let file = format!("stairlock-{}-{name}.yaml", std::process::id());
        let path = std::env::temp_dir().join(file);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_kubeconfig_that_weakens_the_connection_needs_a_flag() {
    install_tls();
    const INSECURE: &str = ", insecure-skip-tls-verify: true";
    const EXEC: &str = "exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/false}";
    const PROVIDER: &str = "auth-provider: {name: gcp, config: {cmd-path: /bin/false}}";
    for (case, cluster, user, tls, exec, want) in [
        ("plain", "", "token: t", false, false, ""),
        ("insecure", INSECURE, "", false, true, "--insecure-kubeconfig-tls accepts it"),
        ("insecure, accepted", INSECURE, "", true, false, ""),
        ("exec", "", EXEC, true, false, "--insecure-kubeconfig-exec accepts it"),
        ("exec, accepted", "", EXEC, false, true, ""),
        ("provider", "", PROVIDER, true, false, "--insecure-kubeconfig-exec accepts it"),
    ] {
        let file = File::new(&case.replace(' ', "-"), "https://127.0.0.1:1", cluster, user);
        let mut settings = settings(file.0.clone());
        settings.insecure_kubeconfig_tls = tls;
        settings.insecure_kubeconfig_exec = exec;
        let text = configure(&settings).await.err().map(|error| error.to_string());
        assert_eq!(text.is_none(), want.is_empty(), "{case}: {text:?}");
        assert!(text.unwrap_or_default().ends_with(want), "{case}");
    }
}

#[tokio::test]
async fn our_limits_replace_those_of_the_library() {
    install_tls();
    let file = File::new("limits", "https://127.0.0.1:1", "", "token: t");
    let config = configure(&settings(file.0.clone())).await.unwrap();
    assert!(!config.default_retry);
    assert_eq!(config.connect_timeout, Some(Duration::from_secs(5)));
    assert_eq!(config.write_timeout, Some(Duration::from_secs(10)));
    assert_eq!(watch_config().timeout, Some(50));
}

#[tokio::test]
async fn a_file_that_is_missing_is_an_error() {
    let error = configure(&settings("/does/not/exist".into())).await.unwrap_err();
    assert!(matches!(error, Error::Kubeconfig(_)), "{error:?}");
}

#[tokio::test]
async fn a_plain_server_is_asked_once_and_told_who_we_are() {
    install_tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let file = File::new("plain-http", &server, "", "token: t");
    let config = configure(&settings(file.0.clone())).await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(open(config, Clock::system()).unwrap(), "ns");
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let count = stream.read(&mut head).await.unwrap();
        let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","code":429}"#;
        let length = body.len();
        let text = format!(
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut more = [0; 1];
        let again = stream.read(&mut more);
        let again = tokio::time::timeout(Duration::from_millis(300), again).await;
        (String::from_utf8_lossy(&head[..count]).to_lowercase(), again.is_ok())
    };
    let (reply, (head, again)) = tokio::join!(
        async {
            let reply = api.get("a").await;
            tokio::time::sleep(Duration::from_millis(400)).await;
            reply
        },
        serve
    );
    assert!(matches!(reply, Err(kube::Error::Api(status)) if status.code == 429));
    assert!(head.contains(concat!("user-agent: stairlock/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(head.contains("authorization: bearer t"), "{head}");
    assert!(!again, "a 429 is not retried behind our back");
}
