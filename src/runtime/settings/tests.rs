use clap::{CommandFactory, Parser};

use super::*;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    flags: Flags,
}

fn around(variables: &[(&'static str, &str)]) -> Surroundings {
    let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Surroundings { variables, hostname: Some("machine\n".to_owned()) }
}

fn read(flags: &[&str], variables: &[(&'static str, &str)]) -> Result<Settings, Error> {
    let program = Program::parse_from([&["stairlock"], flags].concat());
    program.flags.resolve(&around(variables))
}

#[test]
fn every_flag_has_its_variable() {
    for argument in Program::command().get_arguments() {
        let Some(flag) = argument.get_long() else { continue };
        let variable = format!("STAIRLOCK_{}", flag.replace('-', "_").to_uppercase());
        let env = argument.get_env().map(|env| env.to_string_lossy().into_owned());
        assert_eq!(env, Some(variable), "{flag}");
        assert_ne!(flag, "drain-delay");
    }
}

#[test]
fn defaults_outside_a_cluster() {
    let settings = read(&[], &[]).unwrap();
    assert_eq!(settings.access, Access::Default);
    assert!(settings.watch_namespaces.is_empty() && settings.watch_label_selector.is_none());
    assert!(settings.allow_cross_namespace_refs.is_empty());
    assert!(!settings.leader_election);
    assert_eq!(settings.lease_name, "stairlock-controller");
    assert_eq!(settings.lease_namespace, "stairlock-system");
    assert_eq!(settings.identity, "machine");
    assert_eq!(settings.bind_address.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.concurrency, 32);
    assert_eq!(settings.log_format, LogFormat::Json);
    assert!(settings.log_filter.starts_with("info"));
}

#[test]
fn lists_are_split_and_empty_ones_stay_empty() {
    let settings = read(
        &["--watch-namespaces=b, a,b", "--allow-cross-namespace-refs="],
        &[("KUBECONFIG", "/some/file")],
    )
    .unwrap();
    let names: Vec<_> = settings.watch_namespaces.iter().map(String::as_str).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(settings.allow_cross_namespace_refs.is_empty());
}

#[test]
fn leader_election_is_the_flag_then_kultas_variable_then_whether_we_run_in_a_cluster() {
    const KULTA: &str = "KULTA_LEADER_ELECTION";
    const CLUSTER: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    for (case, flags, variables, want) in [
        ("flag alone", &["--leader-election"][..], &[][..], true),
        ("flag with a value", &["--leader-election=false"], &[(KULTA, "true")], false),
        ("KULTA's true", &[], &[(KULTA, "true")], true),
        ("KULTA's 1", &[], &[(KULTA, "1")], true),
        ("KULTA's false in a cluster", &[], &[(KULTA, "false"), CLUSTER], false),
        ("KULTA's empty is unset", &[], &[(KULTA, ""), CLUSTER], true),
        ("in a cluster", &[], &[CLUSTER], true),
    ] {
        assert_eq!(read(flags, variables).unwrap().leader_election, want, "{case}");
    }
}

#[test]
fn the_pod_tells_identity_and_namespace_unless_flags_do() {
    let pod = [("POD_NAME", "stairlock-0"), ("POD_NAMESPACE", "releases"), ("HOSTNAME", "h")];
    let settings = read(&[], &pod).unwrap();
    assert_eq!(settings.identity, "stairlock-0");
    assert_eq!(settings.lease_namespace, "releases");
    let settings = read(&["--identity=me", "--lease-namespace=mine"], &pod).unwrap();
    assert_eq!(settings.identity, "me");
    assert_eq!(settings.lease_namespace, "mine");
    assert_eq!(read(&[], &[("HOSTNAME", "h")]).unwrap().identity, "h");
}

#[test]
fn access_is_the_flag_then_kubeconfig_then_the_pod() {
    const CLUSTER: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let file = Access::File(PathBuf::from("f"));
    assert_eq!(read(&["--kubeconfig=f"], &[CLUSTER]).unwrap().access, file);
    assert_eq!(read(&[], &[CLUSTER, ("KUBECONFIG", "f")]).unwrap().access, Access::Default);
    assert_eq!(read(&[], &[CLUSTER]).unwrap().access, Access::Pod);
}

#[test]
fn a_bad_variable_is_named_with_its_value_and_what_is_allowed() {
    let text = |variables| read(&[], variables).unwrap_err().to_string();
    assert_eq!(
        text(&[("KULTA_LEADER_ELECTION", "yes")]),
        "invalid value 'yes' for KULTA_LEADER_ELECTION: allowed are true, 1, false and 0"
    );
    assert!(text(&[("RUST_LOG", "a=b=c")]).contains("'a=b=c' for RUST_LOG"));
    assert!(text(&[("POD_NAMESPACE", "A")]).contains("'A' for POD_NAMESPACE"));
}

#[test]
fn a_bad_flag_is_named_with_its_value_and_what_is_allowed() {
    for (flag, value, allowed) in [
        ("--watch-namespaces", "a,B", "lower case letters"),
        ("--watch-label-selector", "team in a", "key in (a,b)"),
        ("--allow-cross-namespace-refs", "*", "lower case letters"),
        ("--leader-election", "yes", "true, 1, false and 0"),
        ("--lease-name", "A", "lower case letters"),
        ("--lease-namespace", "a.b", "lower case letters"),
        ("--identity", "a b", "printable"),
        ("--bind-address", "8080", "127.0.0.1:8080"),
        ("--concurrency", "0", "1..=256"),
        ("--concurrency", "many", "invalid digit"),
        ("--log-format", "xml", "json, text"),
        ("--log-filter", "a=b=c", "target=level"),
    ] {
        let given = format!("{flag}={value}");
        let Err(error) = Program::try_parse_from(["stairlock", &given]) else {
            panic!("{given} was taken")
        };
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2, "{given}");
        for part in [flag, value, allowed] {
            assert!(text.contains(part), "{given}: {part} is missing in: {text}");
        }
    }
}
