//! Commands: each is taken once, acts once, and only where it was accepted for (S10).
//!
//! A write to a Rollout names the version that it was decided on, so each is judged by what stood
//! there before it.

use std::collections::BTreeMap;

use crate::sim::judge::facts::rollout::{COMMANDS, Pause, Rollout};
use crate::sim::judge::facts::status::{Attempt, Stage, Status};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh};

/// Which accepted commands have acted.
#[derive(Debug, Default)]
pub struct Commands {
    /// By the uid of the Rollout: the token in force and whether it acted.
    acted: BTreeMap<String, bool>,
}

impl Commands {
    /// Looks at a change of a Rollout.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        let Fresh::Rollout(Some(is)) = case.fresh else { return };
        let Some((was, is)) = case.own() else {
            // Somebody else touched it: what has acted is not told of what they wrote.
            let name = (case.namespace().to_owned(), case.name().to_owned());
            let was = case.scene.rollout(&name);
            if was.is_none_or(|was| was.accepted != is.accepted || was.status != is.status) {
                self.acted.remove(&is.uid);
            }
            return;
        };
        if was.status == is.status {
            self.taken(was, is, found);
            self.removed(was, is, found);
        } else {
            self.acts(was, is, found);
        }
    }

    /// A command annotation becomes a token, or is dropped.
    fn taken(&mut self, was: &Rollout, is: &Rollout, found: &mut Found) {
        let name = &is.name;
        let gone = |key: &str| is.asked.iter().all(|(known, _, _)| *known != key);
        let taken: Vec<_> = was.asked.iter().filter(|(key, _, _)| gone(key)).collect();
        let wanted = was.asked.iter().filter(|(_, word, value)| possible(was, word, value));
        let best = wanted.clone().next();
        let accepted = is.accepted.as_ref().filter(|_| was.accepted != is.accepted);
        if let Some(token) = accepted {
            self.acted.insert(is.uid.clone(), false);
            let asked = best.map(|(_, word, _)| bound(was, word));
            found.unless(asked.as_ref() == Some(token), "S10", || {
                format!("{name}: {token:?} is accepted, {asked:?} was asked for")
            });
            let left = COMMANDS.iter().filter(|(key, _)| !gone(key));
            let twice = left.map(|(key, _)| *key).find(|key| best.is_some_and(|b| b.0 == *key));
            found.unless(twice.is_none(), "S10", || {
                format!("{name}: {token:?} is accepted and {twice:?} stays to be taken again")
            });
        } else if !taken.is_empty() {
            let lost = taken.iter().find(|(_, word, value)| possible(was, word, value));
            found.unless(lost.is_none(), "S10", || format!("{name}: {lost:?} is lost"));
        }
    }

    /// A token goes once it acted, or where it has become void.
    fn removed(&mut self, was: &Rollout, is: &Rollout, found: &mut Found) {
        let Some(token) = was.accepted.as_ref().filter(|_| is.accepted.is_none()) else { return };
        let acted = self.acted.remove(&is.uid);
        let Some((word, at)) = token.split_once(' ') else { return };
        let here = bound(was, word) == format!("{word} {at}");
        let lost = acted == Some(false) && here && could_act(was, word);
        found.unless(!lost, "S10", || format!("{}: {token:?} is removed unused", is.name));
    }

    /// What only a command may do is done only by one, and once.
    fn acts(&mut self, was: &Rollout, is: &Rollout, found: &mut Found) {
        let (Some(old), Some(new)) = (&was.status.attempt, &is.status.attempt) else { return };
        let same = old.number == new.number;
        found.unless(same || !new.unpaused || is.returns(&new.revision), "S10", || {
            format!("{}: attempt {} begins without pauses", is.name, new.number)
        });
        let mut by = |words: &[&str], what: &str| {
            let tokens = words.iter().map(|word| bound(was, word));
            let token = tokens.into_iter().find(|token| was.accepted.as_ref() == Some(token));
            found.unless(token.is_some(), "S10", || {
                format!("{}: {what} without a command ({:?} is accepted)", is.name, was.accepted)
            });
            let twice = token.is_some() && self.acted.insert(is.uid.clone(), true) == Some(true);
            found.unless(!twice, "S10", || {
                format!("{}: {:?} acts a second time: {what}", is.name, was.accepted)
            });
        };
        if same && left_manual_pause(was, old, new) {
            let words = ["promote", "promote-full", "conclude-b"];
            by(&words, "a pause without an end is left");
        } else if same && new.unpaused && !old.unpaused {
            by(&["promote-full"], "pauses are left out");
        }
        if same && new.concludes && !old.concludes && !new.lost() {
            by(&["conclude"], "the data of an experiment decide");
        }
        let aborted = |attempt: &Attempt| attempt.cause.as_deref() == Some("Aborted");
        if same && aborted(new) && !aborted(old) {
            by(&["abort"], "the attempt is aborted");
        }
        let kept = &is.status.quarantine;
        let freed = was.status.quarantine.iter().find(|failed| {
            kept.len() < was.status.quarantine.len()
                && kept.iter().all(|kept| kept.revision != failed.revision)
        });
        let began = |status: &Status| status.restart.as_ref().map(|restart| restart.number);
        if is.status.restart.is_some() && began(&is.status) != began(&was.status) {
            by(&["restart"], "a restart begins");
        }
        let forced = |status: &Status| status.pin.clone().filter(|pin| pin.forced);
        let forces = forced(&is.status).is_some() && forced(&was.status) != forced(&is.status);
        if forces {
            found.unless(was.force.is_some(), "S10", || {
                format!("{}: {:?} is chosen without a command", is.name, is.status.pin)
            });
        } else if freed.is_some() {
            by(&["retry"], "the quarantine is lifted");
        } else if was.status.pin.is_some() && is.status.pin.is_none() && same {
            by(&["retry"], "the pin is lifted");
        }
    }
}

/// The token of a command that is accepted here. One of a restart names no step, but which restart
/// it is to be.
fn bound(rollout: &Rollout, word: &str) -> String {
    let (attempt, step) = place(rollout);
    let number = rollout.status.restart.as_ref().map_or(0, |restart| restart.number);
    let step = if word == "restart" { number + 1 } else { step };
    format!("{word} {attempt}/{step}")
}

/// Attempt and step as a token names them.
fn place(rollout: &Rollout) -> (i64, i64) {
    rollout.status.attempt.as_ref().map_or((0, 0), Attempt::place)
}

fn left_manual_pause(was: &Rollout, old: &Attempt, new: &Attempt) -> bool {
    let paused = old.stage() == Stage::Step && old.paused_at.is_some() && !old.unpaused;
    let manual = match was.spec.step(old.step).pause {
        Pause::UntilPromoted | Pause::UntilConcluded(_) => true,
        Pause::None | Pause::For(_) => false,
    };
    paused && manual && new.left(old)
}

/// Whether a command annotation is for what the Rollout waits for.
fn possible(rollout: &Rollout, word: &str, value: &str) -> bool {
    let Some(attempt) = &rollout.status.attempt else { return false };
    let (number, step) = attempt.place();
    let named = value.split_once('/').is_some_and(|(a, s)| {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        digits(a) && digits(s) && a.parse() == Ok(number) && s.parse() == Ok(step)
    });
    let named = match word {
        "conclude-a" => value == "A",
        "conclude-b" => value == "B",
        _ => value == "true" || named,
    };
    let paused = attempt.stage() == Stage::Step && attempt.paused_at.is_some();
    let failed = rollout.status.quarantine.iter().any(|failed| failed.attempt == number);
    named
        && match word {
            "promote" => paused && !stands(rollout),
            "conclude-a" | "conclude-b" | "conclude" => paused && could_act(rollout, word),
            "retry" => {
                rollout.status.pin.is_some() || ((failed || attempt.kept) && !attempt.open())
            }
            word => could_act(rollout, word),
        }
}

/// Whether the attempt waits for the spec and for no promotion: it is frozen, has no pods, or is to
/// go back since something else is named.
fn stands(rollout: &Rollout) -> bool {
    rollout.spec.paused || rollout.spec.replicas == 0 || rollout.renamed()
}

/// Whether an accepted command still does something at its place.
fn could_act(rollout: &Rollout, word: &str) -> bool {
    let Some(attempt) = &rollout.status.attempt else { return false };
    let step = attempt.stage() == Stage::Step;
    match word {
        "promote" => step && !stands(rollout),
        "conclude-a" | "conclude-b" | "conclude" => {
            let pause = rollout.spec.step(attempt.step).pause;
            let news = word != "conclude" || !attempt.concludes;
            news && step && matches!(pause, Pause::UntilConcluded(_)) && !stands(rollout)
        }
        "promote-full" => step && !attempt.unpaused && !stands(rollout),
        "restart" => true,
        "mark-successful" => attempt.kept || attempt.stage() == Stage::Baking,
        "unblock-failed" => attempt.kept && !attempt.unblocked,
        "abort" => {
            matches!(attempt.stage(), Stage::First | Stage::Step | Stage::Promoting | Stage::Baking)
        }
        "retry" => {
            let failed = |f: &crate::sim::judge::facts::status::Failed| f.attempt == attempt.number;
            attempt.kept
                || rollout.status.pin.is_some()
                || rollout.status.quarantine.iter().any(failed)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
