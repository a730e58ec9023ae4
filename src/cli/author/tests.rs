use super::*;

fn chosen(change: impl Fn(String) -> String) -> Chosen {
    let text = change(include_str!("../../../tests/crd/accept/smallest.yaml").to_owned());
    manifest::read(&manifest::sources("a.yaml", &text).unwrap()).unwrap().rollout
}

fn sourced(text: String) -> String {
    text.replace("spec:\n  sel", "spec:\n  sourceRef: {kind: ImagePolicy, name: shop}\n  sel")
}

fn bare(text: String) -> String {
    sourced(text).replace("          image: \"registry.example/shop:1.2.3\"\n", "")
}

#[test]
fn a_release_comes_to_a_rollout_that_stands() {
    let ready = Duration::from_secs(10);
    let named = |text: String| text.replace("spec:\n  s", "spec:\n  container: app\n  s");
    let ranged = |text: String| text.replace("spec:\n  s", "spec:\n  semver: \">=2.0.0\"\n  s");
    for (case, rollout, version, from, releases) in [
        ("the image tells", chosen(sourced), "1.3.0", "1.2.3", vec![("1.3.0", 0, 70)]),
        ("no image", chosen(bare), "1.3.1", "1.3.0", vec![("1.3.0", 0, 1), ("1.3.1", 0, 70)]),
        ("minor", chosen(bare), "v1.3.0", "v1.2.0", vec![("v1.2.0", 0, 1), ("v1.3.0", 0, 70)]),
        ("major", chosen(bare), "2.0.0", "1.0.0", vec![("1.0.0", 0, 1), ("2.0.0", 0, 70)]),
        ("the lowest", chosen(bare), "0.0.0", "0.0.0", vec![("0.0.0", 0, 1), ("0.0.0", 1, 70)]),
        (
            "out of range",
            chosen(|text| ranged(bare(text))),
            "2.0.0",
            "2.0.0",
            vec![("2.0.0", 0, 1), ("2.0.0", 1, 70)],
        ),
        ("no version", chosen(bare), "main", "main", vec![("main", 0, 1), ("main", 1, 70)]),
        (
            "a named container",
            chosen(|text| named(bare(text))),
            "1.3.1",
            "1.3.0",
            vec![("1.3.0", 0, 1), ("1.3.1", 0, 70)],
        ),
    ] {
        let arrival = arrival(&rollout, version, ready).unwrap();
        let event = |(version, build, secs): (&str, u32, u64)| Event::Release {
            at: Span(Duration::from_secs(secs)),
            name: Some("shop".into()),
            version: version.into(),
            build,
        };
        assert_eq!(arrival.from, from, "{case}");
        assert_eq!(arrival.at, Span(Duration::from_secs(70)), "{case}");
        assert_eq!(arrival.events, releases.into_iter().map(event).collect::<Vec<_>>(), "{case}");
    }
}

#[test]
fn without_a_source_the_template_is_edited() {
    let two = |text: String| {
        let other = "        - {name: log, image: \"registry.example/log:7\"}\n        - {name: b, \
                     image: \"registry.example/shop:1.2.3@sha256:DIGEST\"}\n  strategy:";
        text.replace("  strategy:", &other.replace("DIGEST", &"a".repeat(64)))
    };
    let arrival = arrival(&chosen(two), "1.3.0", Duration::ZERO).unwrap();
    let [Event::Edit { object, merge, .. }] = arrival.events.as_slice() else { panic!() };
    assert_eq!((object.as_str(), arrival.from.as_str()), ("rollouts/shop", "1.2.3"));
    let containers = merge.pointer("/spec/template/spec/containers").unwrap();
    let want = json!([
        {"name": "app", "image": "registry.example/shop:1.3.0"},
        {"name": "log", "image": "registry.example/log:7"},
        {"name": "b", "image": "registry.example/shop:1.3.0"},
    ]);
    assert_eq!(*containers, want, "all containers of the repository, and no other");

    let tag = super::arrival(&chosen(|text| text), "1 3", Duration::ZERO).unwrap_err();
    assert!(tag.to_string().contains("is not a tag"), "{tag}");
    let none =
        chosen(|text| text.replace("          image: \"registry.example/shop:1.2.3\"\n", ""));
    let none = super::arrival(&none, "1.3.0", Duration::ZERO).unwrap_err();
    assert!(none.to_string().contains("no container with an image"), "{none}");
}
