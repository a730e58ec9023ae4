//! The two tests: the stored answers are those of the real server, and the simulated one's.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use super::golden::{self, Difference};
use super::real::{self, Rig};
use super::table::{self, Sequence};
use super::{accepted, asked, simulated};

/// How long all sequences may take on the real server.
const REAL_TIMEOUT: Duration = Duration::from_secs(120);

/// Requests of the controller whose kinds the simulated server does not have: those of a registry,
/// Namespaces, another controller's Rollouts, and what HealthChecks look at.
const NOT_SIMULATED: &[&str] = &[
    "GET /api/v1 ? ",
    "GET /apis/apps/v1 ? ",
    "GET deployments of a namespace ?allowWatchBookmarks=true&labelSelector&resourceVersion&\
     timeoutSeconds&watch=true ",
    "GET deployments of a namespace ?allowWatchBookmarks=true&labelSelector&resourceVersion=0&\
     resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds&watch=true ",
    "GET deployments/NAME ? ",
    "GET limitranges of a namespace ?allowWatchBookmarks=true&labelSelector&resourceVersion&\
     timeoutSeconds&watch=true ",
    "GET limitranges of a namespace ?allowWatchBookmarks=true&labelSelector&resourceVersion=0&\
     resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds&watch=true ",
    "GET limitranges/NAME ? ",
    "GET namespaces ?fieldSelector=metadata.name%3D# ",
    "GET /apis/kuberik.com/v1alpha1 ? ",
    "GET imagerepositories/NAME ? ",
    "GET namespaces ?allowWatchBookmarks=true&resourceVersion&timeoutSeconds&watch=true ",
    "GET namespaces ?allowWatchBookmarks=true&resourceVersion=0&resourceVersionMatch=NotOlderThan&\
     sendInitialEvents=true&timeoutSeconds&watch=true ",
    "GET namespaces ?limit=250 ",
    // kuberik's, of all namespaces; ours are asked for with labels there.
    "GET rollouts ?allowWatchBookmarks=true&resourceVersion=0&resourceVersionMatch=NotOlderThan&\
     sendInitialEvents=true&timeoutSeconds&watch=true ",
    "GET secrets/NAME ? ",
    "GET serviceaccounts/NAME ? ",
];

#[test]
fn the_real_server_answers_as_stored() {
    let Some(rig) = Rig::find() else {
        println!("no rig: the real server is asked in the cluster run of `make test`");
        return;
    };
    let sequences = chosen(table::read());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = runtime.block_on(async {
        tokio::time::timeout(REAL_TIMEOUT, real::play(&rig, &sequences)).await.unwrap()
    });
    if std::env::var_os("UPDATE").is_some() {
        golden::write(&sequences, &answers);
    }
    let stored = golden::read(&sequences);
    let mut report = String::new();
    for (sequence, answers) in sequences.iter().zip(&answers) {
        let stored = stored.get(&sequence.title).map_or(&[][..], Vec::as_slice);
        tell(sequence, &golden::differences(answers, stored), &mut report);
    }
    assert!(report.is_empty(), "the real server does not answer as stored\n{report}");
}

/// All, or those whose title contains the variable CASE.
fn chosen(mut sequences: Vec<Sequence>) -> Vec<Sequence> {
    if let Ok(case) = std::env::var("CASE") {
        sequences.retain(|s| s.title.contains(&case) || s.family == case);
        for sequence in &sequences {
            println!("{}: {}", sequence.family, sequence.title);
        }
    }
    sequences
}

fn tell(sequence: &Sequence, differences: &[Difference], report: &mut String) {
    if differences.is_empty() {
        return;
    }
    let _ = writeln!(report, "\n{}: {}", sequence.family, sequence.title);
    for Difference { field, real, other } in differences {
        let _ = writeln!(report, "  {field}\n    real   {real}\n    other  {other}");
    }
}

#[test]
fn the_simulated_server_answers_as_the_real_one() {
    let sequences = chosen(table::read());
    let stored = golden::read(&table::read());
    let accepted = accepted::read();
    let mut used = BTreeSet::new();
    let (mut report, mut equal) = (String::new(), 0);
    for sequence in &sequences {
        let real = stored.get(&sequence.title).map_or(&[][..], Vec::as_slice);
        let mut differences = golden::differences(real, &simulated::play(sequence));
        differences.retain(|difference| {
            let known = accepted.iter().position(|accepted| accepted.covers(sequence, difference));
            used.extend(known);
            known.is_none()
        });
        equal += usize::from(differences.is_empty());
        tell(sequence, &differences, &mut report);
    }
    println!("{equal} of {} sequences are equal", sequences.len());
    assert!(report.is_empty(), "{equal} of {} are equal\n{report}", sequences.len());
    let unused = accepted.iter().enumerate().filter(|(at, _)| !used.contains(at));
    let unused: Vec<&str> = unused.map(|(_, accepted)| accepted.sequence.as_str()).collect();
    assert!(unused.is_empty() || sequences.len() < stored.len(), "differ no more: {unused:#?}");
}

#[test]
fn few_differences_are_accepted_and_none_in_a_request_of_ours() {
    let accepted = accepted::read();
    assert!(accepted.len() <= accepted::ACCEPTED_MAX, "{} are too many", accepted.len());
    let sequences = table::read();
    for accepted in &accepted {
        let sequence = sequences.iter().find(|sequence| sequence.title == accepted.sequence);
        let sequence = sequence.unwrap_or_else(|| panic!("no sequence `{}`", accepted.sequence));
        assert!(!sequence.marks.contains("@stairlock"), "{} is ours", accepted.sequence);
    }
}

#[test]
fn every_request_of_the_controller_is_in_the_table() {
    if Rig::find().is_none() {
        println!("no rig: the controller is heard in the cluster run of `make test`");
        return;
    }
    let asked = asked::by_the_controller();
    println!("{} kinds of requests of the controller in the audit log", asked.len());
    let known = asked::in_the_table(&table::read());
    let beside: BTreeSet<String> = NOT_SIMULATED.iter().map(|text| text.to_string()).collect();
    let missing: Vec<&String> = asked.difference(&known).filter(|a| !beside.contains(*a)).collect();
    assert!(missing.is_empty(), "{missing:#?} of the controller are not in the table: {known:#?}");
}

#[test]
fn every_title_is_stored() {
    let sequences = table::read();
    let stored = golden::read(&sequences);
    let missing = sequences.iter().filter(|sequence| !stored.contains_key(&sequence.title));
    let missing: Vec<&str> = missing.map(|sequence| sequence.title.as_str()).collect();
    assert!(missing.is_empty(), "not played on the real server: {missing:#?}");
    assert_eq!(stored.len(), sequences.len(), "answers are stored for titles that are not there");
}
