//! A proxy through which a registry is reached, by CONNECT, with a login of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::backstage;
use super::guard::{PASSWORD, USER};

/// A proxy.
pub struct Tunnel {
    address: SocketAddr,
    reached: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Opens one.
    pub async fn open() -> Self {
        backstage::spawn(Self::listen()).await.unwrap()
    }

    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reached = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&reached);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(stream, Arc::clone(&noted)));
            }
        });
        Self { address, reached, task }
    }

    /// What the Secret of the proxy holds.
    pub fn means(&self, password: &str) -> Value {
        json!({"address": format!("http://{}", self.address), "username": USER,
            "password": password})
    }

    /// The hosts that were reached through it, in order.
    pub fn reached(&self) -> Vec<String> {
        self.reached.lock().unwrap().clone()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection, which ends when either side breaks it.
async fn pass(stream: TcpStream, reached: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let mut stream = BufReader::new(stream);
    let (mut host, mut known) = (String::new(), false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["CONNECT", target, _] => host = (*target).to_owned(),
            [name, "Basic", shown] if name.eq_ignore_ascii_case("proxy-authorization:") => {
                known = *shown == login;
            }
            [] => break,
            _ => {}
        }
    }
    if !known || host.is_empty() {
        let refused = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        return stream.write_all(refused.as_bytes()).await;
    }
    let mut far = TcpStream::connect(&host).await?;
    reached.lock().unwrap().push(host);
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut far).await.map(|_| ())
}
