use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use super::*;
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::runtime::metrics::Metrics;
use crate::runtime::shutdown::{Trigger, pair};

fn fresh() -> Probes {
    Probes { health: Health::new(Clock::system()), metrics: Metrics::new() }
}

async fn ask(probes: &Probes, method: Method, path: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let reply = router(probes.clone()).oneshot(request).await.unwrap();
    let status = reply.status();
    let bytes = reply.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn healthz_fails_while_the_loop_is_wedged() {
    let probes = fresh();
    assert_eq!(ask(&probes, Method::GET, "/healthz").await.0, StatusCode::OK);
    let turn = probes.health.begin();
    tokio::time::advance(Duration::from_secs(60)).await;
    let (status, text) = ask(&probes, Method::GET, "/healthz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "wedged: reconciles due for 60 s, none done\n");
    assert!(ask(&probes, Method::GET, "/metrics").await.1.contains("stairlock_due_seconds 60"));
    drop(turn);
    assert_eq!(ask(&probes, Method::GET, "/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn readyz_is_503_until_the_stores_are_filled() {
    let probes = fresh();
    assert_eq!(ask(&probes, Method::GET, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    probes.health.set_synced(true);
    assert_eq!(ask(&probes, Method::GET, "/readyz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn only_get_on_the_three_paths_is_answered() {
    for (method, path, want) in [
        (Method::GET, "/metrics", StatusCode::OK),
        (Method::HEAD, "/healthz", StatusCode::OK),
        (Method::POST, "/healthz", StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, "/metrics", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/", StatusCode::NOT_FOUND),
        (Method::GET, "/healthz/", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(&fresh(), method.clone(), path).await.0, want, "{method} {path}");
    }
}

/// Serves on a loopback port of the system's choice.
async fn served() -> (SocketAddr, Trigger) {
    let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = pair();
    tokio::spawn(serve(listener, router(fresh()), shutdown));
    (address, trigger)
}

/// Sends bytes and reads until the server closes.
async fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before all is sent: that is an answer too.
    let _ = stream.write_all(bytes).await;
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8_lossy(&reply).into_owned()
}

#[tokio::test]
async fn a_request_is_answered_and_its_connection_closed() {
    let (address, _trigger) = served().await;
    let reply = send(address, b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.contains("application/openmetrics-text"), "{reply}");
    assert!(reply.ends_with("# EOF\n"), "{reply}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (address, _trigger) = served().await;
    let long = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(32 * 1024));
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "x: a\r\n".repeat(65));
    for bytes in [long, many] {
        let reply = send(address, bytes.as_bytes()).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431"), "{reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_ends_its_head_is_cut() {
    let (address, _trigger) = served().await;
    let begun = Clock::system().monotonic();
    let reply = send(address, b"GET /healthz HTTP/1.1\r\n").await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 408"), "{reply}");
    let took = Clock::system().monotonic() - begun;
    assert!(took <= CONNECTION_TIMEOUT, "{took:?}");
}

#[tokio::test]
async fn the_port_is_closed_when_the_end_is_requested() {
    let (address, trigger) = served().await;
    trigger.request();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
