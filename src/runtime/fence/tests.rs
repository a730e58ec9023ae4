use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{PostParams, WatchParams};
use kube::client::ClientBuilder;
use kube::{Api, Client};

use super::*;
use crate::runtime::lease::{RENEW_DEADLINE, Role};

/// How the server answers.
#[derive(Clone, Copy)]
enum Pace {
    Prompt,
    /// Never begins to answer.
    Silent,
    /// Answers when the deadline has just come.
    Late,
    /// Begins and never ends the body.
    Stalled,
}

fn client(pace: Pace, fence: &Fence) -> Client {
    let service = tower::service_fn(move |_: Request<Body>| async move {
        let body: Box<DynBody> = match pace {
            Pace::Silent => std::future::pending().await,
            Pace::Prompt | Pace::Late => {
                if matches!(pace, Pace::Late) {
                    tokio::time::sleep(CALL_TIMEOUT).await;
                }
                let text = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
                Box::new(Full::new(text.into()).map_err(BoxError::from))
            }
            Pace::Stalled => {
                let frames = futures::stream::pending::<Result<_, BoxError>>();
                Box::new(http_body_util::StreamBody::new(frames))
            }
        };
        let mut reply = Response::new(body);
        reply.headers_mut().insert(DATE, "Tue, 01 Jan 2030 00:00:00 GMT".parse()?);
        Ok::<_, BoxError>(reply)
    });
    ClientBuilder::new(service, "ns").with_layer(fence).build()
}

fn maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, "ns")
}

async fn write(api: &Api<ConfigMap>) -> Result<ConfigMap, Option<Stop>> {
    let params = PostParams::default();
    api.create(&params, &ConfigMap::default()).await.map_err(|error| Stop::of(&error))
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_call_is_cut_after_10_s_reply_included() {
    let clock = Clock::system();
    // What is late goes no further, though it could: that is how a stalled process begins again.
    for pace in [Pace::Silent, Pace::Late, Pace::Stalled] {
        let api = maps(client(pace, &Fence::deadlines(clock.clone())));
        let begun = clock.monotonic();
        let error = api.get("a").await.unwrap_err();
        assert_eq!(Stop::of(&error), Some(Stop::TimedOut), "{error:?}");
        assert_eq!((clock.monotonic() - begun).as_secs(), 10);
    }
    let api = maps(client(Pace::Prompt, &Fence::deadlines(clock)));
    assert_eq!(api.get("a").await.unwrap().metadata.name.as_deref(), Some("a"));
    write(&api).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_watch_must_begin_in_10_s_and_may_then_last() {
    let clock = Clock::system();
    let watch = |pace| {
        let api = maps(client(pace, &Fence::deadlines(clock.clone())));
        async move { api.watch(&WatchParams::default(), "0").await.map(|_| ()) }
    };
    let error = watch(Pace::Silent).await.unwrap_err();
    assert_eq!(Stop::of(&error), Some(Stop::TimedOut));
    let begun = clock.monotonic();
    watch(Pace::Stalled).await.unwrap();
    assert_eq!(begun, clock.monotonic(), "the stream is handed over at once");
}

#[tokio::test(start_paused = true)]
async fn a_follower_reads_and_writes_nothing() {
    let clock = Clock::system();
    let (role, leadership) = Leadership::set_by_hand(clock.clone());
    let api = maps(client(Pace::Prompt, &Fence::leading(clock.clone(), leadership)));
    assert_eq!(write(&api).await, Err(Some(Stop::NotLeading)));
    api.get("a").await.unwrap();

    role.send_replace(Role::Leading { renewed: clock.monotonic() });
    write(&api).await.unwrap();
    tokio::time::advance(RENEW_DEADLINE).await;
    assert_eq!(write(&api).await, Err(Some(Stop::NotLeading)), "by itself, at the deadline");
}

#[tokio::test(start_paused = true)]
async fn a_write_under_way_is_cut_before_others_may_lead() {
    let clock = Clock::system();
    let (role, leadership) = Leadership::set_by_hand(clock.clone());
    let api = maps(client(Pace::Silent, &Fence::leading(clock.clone(), leadership)));
    let renewed = clock.monotonic();
    role.send_replace(Role::Leading { renewed });
    tokio::time::advance(std::time::Duration::from_secs(9)).await;
    assert_eq!(write(&api).await, Err(Some(Stop::TimedOut)));
    assert_eq!((clock.monotonic() - renewed).as_secs(), 14);
}

#[tokio::test(start_paused = true)]
async fn without_election_only_the_deadline_counts() {
    let clock = Clock::system();
    let fence = Fence::leading(clock.clone(), Leadership::always(clock.clone()));
    write(&maps(client(Pace::Prompt, &fence))).await.unwrap();
    assert_eq!(write(&maps(client(Pace::Silent, &fence))).await, Err(Some(Stop::TimedOut)));
}

#[tokio::test(start_paused = true)]
async fn the_date_of_a_reply_reaches_the_clock() {
    let year = |year: &str| format!("{year}-01-01T00:00:00Z").parse::<Timestamp>().unwrap();
    let clock = Clock::starting_at(year("2029"));
    let api = maps(client(Pace::Prompt, &Fence::deadlines(clock.clone())));
    assert_eq!(clock.now(), year("2029"));
    api.get("a").await.unwrap();
    assert_eq!(clock.now(), year("2030"));
}
