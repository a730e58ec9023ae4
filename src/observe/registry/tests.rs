use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request as Asked;
use axum::http::Response;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A reply: code, headers, body.
type Reply = (u16, Vec<(&'static str, String)>, String);
/// What the registry answers to a path with its query and the headers.
type Answer = dyn Fn(&str, &HeaderMap) -> Reply + Send + Sync;

/// A path that was asked for, and the header Authorization.
type Heard = (String, Option<String>);

/// A registry on this machine, and what it was asked.
struct Mock {
    place: Place,
    asked: Arc<Mutex<Vec<Heard>>>,
}

impl Mock {
    async fn start(
        answer: impl Fn(&str, &str, Option<&str>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::hearing(move |own, path, headers| {
            answer(own, path, headers.get(AUTHORIZATION).map(|pass| pass.to_str().unwrap()))
        })
        .await
    }

    /// One that looks at all headers.
    async fn hearing(
        answer: impl Fn(&str, &str, &HeaderMap) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (heard, own) = (Arc::clone(&asked), host.clone());
        let answer: Arc<Answer> = Arc::new(move |path, headers| answer(&own, path, headers));
        let service = axum::Router::new().fallback(move |request: Asked| {
            let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
            let head = if *request.method() == Method::HEAD { "HEAD " } else { "" };
            let path = format!("{head}{path}");
            let pass = request.headers().get(AUTHORIZATION);
            let pass = pass.map(|pass| pass.to_str().unwrap().to_owned());
            let (code, headers, body) = answer(&path, request.headers());
            heard.lock().unwrap().push((path, pass));
            let mut reply = Response::builder().status(code);
            for (key, value) in headers {
                reply = reply.header(key, value);
            }
            std::future::ready(reply.body(Body::from(body)).unwrap())
        });
        tokio::spawn(async move { axum::serve(listener, service).await });
        let place = Place { host, path: "team/shop".to_owned(), insecure: true };
        Self { place, asked }
    }

    async fn list(&self, login: Option<&Login>) -> Result<Tags, Fault> {
        self.list_after(login, &Pages::default()).await.map(|(tags, _)| tags)
    }

    async fn list_after(
        &self,
        login: Option<&Login>,
        last: &Pages,
    ) -> Result<(Tags, Pages), Fault> {
        let means = Means { login: login.cloned(), ..Means::default() };
        list_tags(&self.place, &means, last).await
    }

    async fn manifests(
        &self,
        tags: &[(&str, Option<Manifest>)],
    ) -> BTreeMap<String, Result<Manifest, Fault>> {
        let tags = tags.iter().map(|(tag, known)| ((*tag).to_owned(), known.clone())).collect();
        read_manifests(&self.place, &Means::default(), &tags).await
    }

    /// The paths that were asked for since the last time.
    fn paths(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().map(|(path, _)| path).collect()
    }

    fn asked(&self) -> Vec<Heard> {
        self.asked.lock().unwrap().clone()
    }
}

fn login() -> Login {
    Login { user: "me".to_owned(), password: "secret".to_owned() }
}

fn page(tags: Value) -> String {
    json!({"name": "team/shop", "tags": tags}).to_string()
}

fn ok(body: String) -> Reply {
    (200, Vec::new(), body)
}

#[tokio::test]
async fn one_page_of_tags_whatever_it_looks_like() {
    for (case, code, body, want) in [
        ("tags", 200, page(json!(["1.0.0", "1.1.0", "1.0.0"])), Ok(2)),
        ("null", 200, page(Value::Null), Ok(0)),
        ("none", 200, json!({"name": "team/shop"}).to_string(), Ok(0)),
        (
            "another repository",
            200,
            json!({"name": "x", "tags": ["1"]}).to_string(),
            Err("another"),
        ),
        ("no JSON", 200, "<html>".to_owned(), Err("no list")),
        ("numbers", 200, page(json!([1])), Err("no list")),
        ("too long", 200, "x".repeat(BODY_MAX + 1), Err("too long")),
        ("not known", 404, String::new(), Err("does not know")),
        ("it fails", 500, String::new(), Err("HTTP 500")),
        ("it leads elsewhere", 307, String::new(), Err("HTTP 307")),
        ("forbidden", 403, String::new(), Err("HTTP 403")),
        ("no challenge", 401, String::new(), Err("HTTP 401")),
    ] {
        let reply = body.clone();
        let mock = Mock::start(move |_, _, _| (code, Vec::new(), reply.clone())).await;
        let got = mock.list(None).await.map(|tags| tags.tags.len()).map_err(|f| f.to_string());
        match want {
            Ok(count) => assert_eq!(got, Ok(count), "{case}"),
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{case}: {got:?}"),
        }
    }
}

#[tokio::test]
async fn pages_are_followed_to_their_end_and_no_further() {
    let link = |to: String| vec![("link", format!("<{to}>; rel=\"next\""))];
    let more = |path: &str| path.contains("last=");
    let mock = Mock::start(move |_, path, _| match more(path) {
        false => (200, link("/v2/team/shop/tags/list?n=2&last=b".into()), page(json!(["a", "b"]))),
        true => ok(page(json!(["c"]))),
    });
    let mock = mock.await;
    assert_eq!(mock.list(None).await.unwrap().tags.len(), 3);
    assert_eq!(mock.asked().len(), 2);

    let circle =
        Mock::start(move |_, path, _| (200, link(path.to_owned()), page(json!(["a", "b"]))));
    let circle = circle.await;
    assert_eq!(circle.list(None).await.unwrap().tags.len(), 2);
    assert_eq!(circle.asked().len(), 2, "a circle ends where nothing new comes");

    let away = Mock::start(move |_, _, _| {
        (200, link("http://evil.example/v2/x".into()), page(json!(["a"])))
    });
    let away = away.await.list(None).await;
    assert_eq!(away, Err(Fault::Malformed("a next page on another host")));

    // A registry that cuts its pages and names no next one, with more tags than are kept.
    let many = Mock::start(move |_, path, _| {
        let from =
            path.split_once("last=t").map_or(0, |(_, last)| last.parse::<usize>().unwrap() + 1);
        let tags: Vec<_> = (from..from + PAGE_SIZE).map(|at| format!("t{at:07}")).collect();
        ok(page(json!(tags)))
    });
    let found = many.await.list(None).await.unwrap();
    assert_eq!((found.tags.len(), found.truncated), (TAGS_MAX, true));
}

#[tokio::test]
async fn a_token_is_asked_for_where_the_registry_says_and_is_its_own() {
    let bearer = |realm: String| {
        let value = format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:a:pull\"");
        (401, vec![("www-authenticate", value)], String::new())
    };
    let mock = Mock::start(move |own, path, pass| match (path.starts_with("/token"), pass) {
        (true, Some(pass)) => {
            assert_eq!(pass, "Basic bWU6c2VjcmV0");
            ok(json!({"token": "abc"}).to_string())
        }
        (false, Some("Bearer abc")) => ok(page(json!(["1.0.0"]))),
        _ => bearer(format!("http://{own}/token")),
    });
    let mock = mock.await;
    assert_eq!(mock.list(Some(&login())).await.unwrap().tags.len(), 1);
    let asked = mock.asked();
    assert_eq!(asked[1].0, "/token?service=reg&scope=repository:a:pull");

    let basic = Mock::start(|_, _, pass| match pass {
        Some("Basic bWU6c2VjcmV0") => ok(page(json!(["1.0.0"]))),
        _ => (401, vec![("www-authenticate", "Basic realm=\"r\"".to_owned())], String::new()),
    });
    let basic = basic.await;
    assert_eq!(basic.list(Some(&login())).await.unwrap().tags.len(), 1);
    assert_eq!(basic.list(None).await, Err(Fault::Unauthorized(401)));

    let spy = Mock::start(|_, _, _| ok(json!({"token": "abc"}).to_string())).await;
    let there = format!("http://{}/token", spy.place.host);
    let foreign = Mock::start(move |_, _, _| bearer(there.clone())).await;
    let got = foreign.list(Some(&login())).await;
    assert!(matches!(got, Err(Fault::ForeignRealm(_))), "{got:?}");
    assert_eq!(spy.asked(), [], "nobody else is told who we are");

    let wrong = Mock::start(move |own, path, _| match path.starts_with("/token") {
        true => (401, Vec::new(), String::new()),
        false => bearer(format!("http://{own}/token")),
    });
    assert_eq!(wrong.await.list(Some(&login())).await, Err(Fault::Unauthorized(401)));
    assert_eq!(format!("{:?}", login()), "Login");
}

#[tokio::test]
async fn a_page_that_is_as_it_was_is_not_sent_again() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let codes = Arc::clone(&sent);
    // Of two pages the second one grows.
    let mock = Mock::hearing(move |_, path, headers| {
        let (etag, tags) = match (path.contains("last="), codes.lock().unwrap().len() < 4) {
            (false, _) => ("\"one\"", json!(["a", "b"])),
            (true, true) => ("\"two\"", json!(["c"])),
            (true, false) => ("\"three\"", json!(["c", "d"])),
        };
        let next = "</v2/team/shop/tags/list?n=2&last=b>; rel=\"next\"".to_owned();
        let mut all = vec![("etag", etag.to_owned())];
        all.extend((etag == "\"one\"").then_some(("link", next)));
        let same = headers.get(IF_NONE_MATCH).is_some_and(|asked| asked == etag);
        codes.lock().unwrap().push(if same { 304 } else { 200 });
        if same { (304, all, String::new()) } else { (200, all, page(tags)) }
    });
    let mock = mock.await;
    let mut last = Pages::default();
    for (case, count) in [("first", 3), ("the same", 3), ("one more", 4)] {
        let (tags, pages) = mock.list_after(None, &last).await.unwrap();
        assert_eq!(tags.tags.len(), count, "{case}");
        last = pages;
    }
    assert_eq!(*sent.lock().unwrap(), [200, 200, 304, 304, 304, 200]);

    let without = Mock::start(|_, _, _| ok(page(json!(["a"])))).await;
    let (_, pages) = without.list_after(None, &Pages::default()).await.unwrap();
    assert_eq!(pages, Pages::default(), "nothing is kept of what says no etag");
    let odd = Mock::start(|_, _, _| (304, Vec::new(), String::new())).await;
    assert_eq!(odd.list(None).await, Err(Fault::Failing(304)), "nobody asked for that");
}

/// A proxy that wants a login; returns its address and what it was asked.
async fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let known = head.to_lowercase().contains("proxy-authorization: basic bwu6c2vjcmv0");
            let line = head.lines().next().unwrap().to_owned();
            heard.lock().unwrap().push(line.clone());
            if !known {
                client.write_all(b"HTTP/1.1 407 No\r\n\r\n").await.unwrap();
                continue;
            }
            let host = line.split(' ').nth(1).unwrap();
            let mut there = tokio::net::TcpStream::connect(host).await.unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut client, &mut there).await },
            );
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_registry_is_reached_through_a_proxy() {
    let mock = Mock::start(|_, _, _| ok(page(json!(["1.0.0"])))).await;
    let (address, asked) = proxy().await;
    let Login { user, password } = login();
    let through = |user: &str, address: &str| {
        let (user, address) = (user.to_owned(), address.to_owned());
        Some(Proxy { address, user, password: password.clone() })
    };
    for (case, proxy, want) in [
        ("with its login", through(&user, &address), Ok(1)),
        ("without", through("", &address), Err("no connection")),
        ("another scheme", through(&user, "socks5://127.0.0.1:1"), Err("address of the Secret")),
        ("a login in the address", through("", "http://me:it@127.0.0.1:1"), Err("address of the")),
        ("no address", through("", ""), Err("address of the Secret of the proxy cannot be used")),
        ("nobody there", through(&user, "http://127.0.0.1:1"), Err("no connection")),
    ] {
        let means = Means { proxy, ..Means::default() };
        let got = list_tags(&mock.place, &means, &Pages::default()).await;
        let got = got.map(|(tags, _)| tags.tags.len()).map_err(|fault| fault.to_string());
        match want {
            Ok(count) => assert_eq!(got, Ok(count), "{case}"),
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{case}: {got:?}"),
        }
    }
    assert_eq!(mock.asked().len(), 1);
    let line = format!("CONNECT {} HTTP/1.1", mock.place.host);
    assert_eq!(*asked.lock().unwrap(), [line.clone(), line]);
    assert_eq!(format!("{:?}", through("me", "it")), "Some(Proxy)");
}

#[tokio::test]
async fn a_registry_without_a_connection_is_named() {
    let mock = Mock::start(|_, _, _| ok(page(json!(["1.0.0"])))).await;
    let plain = mock.place.host.as_str();
    for (case, host, insecure, want) in [
        ("nobody there", "127.0.0.1:1", true, "127.0.0.1:1"),
        ("nor with TLS", "127.0.0.1:1", false, "127.0.0.1:1"),
        ("it speaks no TLS", plain, false, plain),
        ("a password before it", "me:secret@127.0.0.1:1", true, "127.0.0.1:1"),
    ] {
        let place = Place { host: host.to_owned(), insecure, ..mock.place.clone() };
        let got = list_tags(&place, &Means::default(), &Pages::default()).await;
        let want = Fault::Unreachable(format!("no connection to {want}"));
        assert_eq!(got, Err(want), "{case}");
    }
}

#[tokio::test]
async fn a_registry_that_asks_for_patience_gets_some() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let mock = Mock::start(move |_, _, _| {
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 => (429, vec![("retry-after", "1".to_owned())], String::new()),
            _ => ok(page(json!(["1.0.0"]))),
        }
    });
    let mock = mock.await;
    assert_eq!(mock.list(None).await.unwrap().tags.len(), 1);
    assert_eq!(mock.asked().len(), 2);
    let busy = Mock::start(|_, _, _| (503, vec![("retry-after", "0".to_owned())], String::new()));
    assert_eq!(busy.await.list(None).await, Err(Fault::Failing(503)));

    let header = |value: &str| HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
    for (value, seconds) in [("5", 5), ("86400", 30), ("Fri, 31 Dec 1999 23:59:59 GMT", 30)] {
        assert_eq!(patience(&header(value)).as_secs(), seconds, "{value}");
    }
    assert_eq!(patience(&HeaderMap::new()).as_secs(), 1);
}

/// A manifest as a registry sends it, with the digest that it has.
fn manifest(title: &str) -> (Reply, String) {
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let annotations = json!({"org.opencontainers.image.title": title, "other": "x"});
    sent(kind, &json!({"annotations": annotations}))
}

fn sent(kind: &str, document: &Value) -> (Reply, String) {
    let body = document.to_string();
    let digest = format!("sha256:{}", crate::model::template::hex(&sha2_of(&body), 64));
    let headers =
        vec![("content-type", kind.to_owned()), ("docker-content-digest", digest.clone())];
    ((200, headers, body), digest)
}

fn sha2_of(body: &str) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(body).into()
}

#[tokio::test]
async fn what_is_behind_a_tag_is_read_once_as_long_as_its_digest_stays() {
    let ((old, digest), (new, other)) = (manifest("old"), manifest("new"));
    let pushed = Arc::new(Mutex::new(old));
    let current = Arc::clone(&pushed);
    let mock = Mock::start(move |_, path, _| {
        let missing = (404, Vec::new(), String::new());
        if path.ends_with("/v2/team/shop/manifests/1.0.0") {
            current.lock().unwrap().clone()
        } else {
            missing
        }
    });
    let mock = mock.await;
    let read = mock.manifests(&[("1.0.0", None), ("2.0.0", None)]).await;
    let known = read["1.0.0"].clone().unwrap();
    assert_eq!((known.digest.as_str(), known.annotations.len()), (digest.as_str(), 1));
    assert_eq!(known.annotations["org.opencontainers.image.title"], "old");
    assert_eq!(read["2.0.0"], Err(Fault::Untagged));
    assert_eq!(mock.paths().len(), 2);

    let again = mock.manifests(&[("1.0.0", Some(known.clone()))]).await;
    assert_eq!(again["1.0.0"], Ok(known.clone()));
    assert_eq!(mock.paths(), ["HEAD /v2/team/shop/manifests/1.0.0"]);

    *pushed.lock().unwrap() = new;
    let moved = mock.manifests(&[("1.0.0", Some(known))]).await["1.0.0"].clone().unwrap();
    assert_eq!((moved.digest.as_str(), mock.paths().len()), (other.as_str(), 2));
}

#[tokio::test]
async fn an_index_without_annotations_tells_those_of_one_platform() {
    let (image, digest) = manifest("amd64");
    let one = |digest: &str, architecture: &str| {
        let platform = json!({"os": "linux", "architecture": architecture});
        json!({"digest": digest, "platform": platform})
    };
    let away = format!("sha256:{}", "b".repeat(64));
    let all = [one(&away, "arm64"), one(&digest, "amd64")];
    let kind = "application/vnd.oci.image.index.v1+json";
    let (index, whole) = sent(kind, &json!({"manifests": all}));
    let (partial, _) = sent(kind, &json!({"manifests": [one(&away, "amd64")]}));
    let (swapped, _) = manifest("another");
    let end = format!("/manifests/{digest}");
    for (case, index, child, want) in [
        ("of amd64", &index, &image, Ok(Some("amd64"))),
        ("which is not copied", &partial, &image, Ok(None)),
        ("another than is named", &index, &swapped, Err(Fault::DigestMismatch)),
    ] {
        let (index, child, end) = (index.clone(), child.clone(), end.clone());
        let mock = Mock::start(move |_, path, _| match path {
            "/v2/team/shop/manifests/1.0.0" => index.clone(),
            path if path.ends_with(&end) => child.clone(),
            _ => (404, Vec::new(), String::new()),
        });
        let read = mock.await.manifests(&[("1.0.0", None)]).await["1.0.0"].clone();
        let title = read
            .clone()
            .map(|read| read.annotations.get("org.opencontainers.image.title").cloned());
        assert_eq!(title, want.map(|title| title.map(str::to_owned)), "{case}");
        assert!(read.is_err() || case != "of amd64" || read.unwrap().digest == whole, "{case}");
    }
}

/// An image without annotations, its configuration, and the path of that.
fn labelled(title: &str) -> (Reply, Reply, String) {
    let labels = json!({"org.opencontainers.image.title": title});
    let (config, digest) = sent("any/kind", &json!({"config": {"Labels": labels}}));
    let kind = "application/vnd.oci.image.config.v1+json";
    let document = json!({"config": {"mediaType": kind, "digest": digest}});
    let (image, _) = sent("application/vnd.oci.image.manifest.v1+json", &document);
    (image, config, format!("/v2/team/shop/blobs/{digest}"))
}

#[tokio::test]
async fn labels_are_read_once_where_there_are_no_annotations() {
    let (image, config, path) = labelled("labelled");
    let answers = Arc::new(Mutex::new(Vec::new()));
    let next = Arc::clone(&answers);
    let blob = path.clone();
    let mock = Mock::start(move |own, path, pass| match path {
        "/v2/team/shop/manifests/1.0.0" | "HEAD /v2/team/shop/manifests/1.0.0" => image.clone(),
        "/v2/store" if pass.is_none() => config.clone(),
        path if path == blob && pass.is_none() => {
            (401, vec![("www-authenticate", "Basic realm=\"x\"".to_owned())], String::new())
        }
        path if path == blob => match next.lock().unwrap().pop() {
            Some(Some(reply)) => reply,
            Some(None) => {
                (307, vec![("location", format!("http://{own}/v2/store"))], String::new())
            }
            None => config.clone(),
        },
        _ => (404, Vec::new(), String::new()),
    });
    let mock = mock.await;
    let means = Means { login: Some(login()), ..Means::default() };
    let away = |to: &str| (302, vec![("location", to.to_owned())], String::new());
    let swapped = ok(json!({}).to_string());
    for (case, answer, want) in [
        ("there", vec![], Some(false)),
        ("in a store", vec![None], Some(false)),
        ("failing", vec![Some((500, Vec::new(), String::new()))], None),
        ("in a place that is not asked", vec![Some(away("https://169.254.169.254/x"))], Some(true)),
        ("another than is named", vec![Some(swapped)], None),
        ("too long", vec![Some(ok("x".repeat(BODY_MAX + 1)))], Some(true)),
    ] {
        answers.lock().unwrap().extend(answer);
        let wanted = BTreeMap::from([("1.0.0".to_owned(), None)]);
        let read = read_manifests(&mock.place, &means, &wanted).await["1.0.0"].clone().unwrap();
        let title = read.annotations.get("org.opencontainers.image.title").map(String::as_str);
        assert_eq!(title, (want == Some(false)).then_some("labelled"), "{case}");
        assert_eq!(read.unread, want.is_none(), "{case}: asked again");
        mock.paths();
        let again = BTreeMap::from([("1.0.0".to_owned(), Some(read))]);
        let again = read_manifests(&mock.place, &means, &again).await["1.0.0"].clone().unwrap();
        let title = again.annotations.get("org.opencontainers.image.title").map(String::as_str);
        assert_eq!(title, (want != Some(true)).then_some("labelled"), "{case}");
        let blobs = mock.paths().iter().filter(|asked| **asked == path).count();
        assert_eq!(blobs > 0, want.is_none(), "{case}: of what is known only the digest is asked");
    }
}

#[tokio::test]
async fn where_one_configuration_cannot_be_read_no_other_is_asked_for() {
    let (image, _, blob) = labelled("labelled");
    let mock = Mock::start(move |_, path, _| match path {
        path if path.contains("/manifests/") => image.clone(),
        _ => (503, vec![("retry-after", "0".to_owned())], String::new()),
    });
    let mock = mock.await;
    let read = mock.manifests(&[("1.0.0", None), ("1.1.0", None)]).await;
    assert!(read.values().all(|one| one.as_ref().is_ok_and(|one| one.unread)), "{read:?}");
    let tries = u32::try_from(mock.paths().iter().filter(|path| **path == blob).count());
    assert_eq!(tries, Ok(TRIES_MAX), "the manifests are known all the same");
}

#[tokio::test]
async fn a_registry_that_fails_is_asked_for_no_further_tag() {
    let mock = Mock::start(|_, _, _| (500, Vec::new(), String::new())).await;
    let read = mock.manifests(&[("1.0.0", None), ("1.1.0", None), ("1.2.0", None)]).await;
    assert!(read.len() == 3 && read.values().all(|one| *one == Err(Fault::Failing(500))));
    assert_eq!(mock.paths().len(), 1);
    let long = Mock::start(|_, _, _| ok("x".repeat(BODY_MAX + 1))).await;
    let read = long.manifests(&[("1.0.0", None)]).await;
    assert_eq!(read["1.0.0"], Err(Fault::Malformed("it is cut or too long")));
}

#[test]
fn a_repository_is_host_and_path() {
    for (text, host, path) in [
        ("nginx", "registry-1.docker.io", "library/nginx"),
        ("a/b", "registry-1.docker.io", "a/b"),
        ("docker.io/a/b", "registry-1.docker.io", "a/b"),
        ("ghcr.io/a/b/c", "ghcr.io", "a/b/c"),
        ("localhost/a", "localhost", "a"),
        ("127.0.0.1:5055/a", "127.0.0.1:5055", "a"),
    ] {
        let place = Place::of(text, false);
        assert_eq!((place.server(), place.path.as_str()), (host, path), "{text}");
    }
}
