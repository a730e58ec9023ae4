//! Hub: the registry of a story, whose tags the story pushes and controllers list. Clones are the
//! same. Nobody is told of a push.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

/// The registry of a story.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    tags: BTreeMap<String, BTreeSet<String>>,
    /// Pushes that nobody asked about yet.
    pushed: Vec<(String, String)>,
    away: bool,
    chance: Rng,
}

impl Hub {
    /// Makes one without repositories; `chance` says what it answers while it is away.
    pub fn new(chance: Rng) -> Self {
        let (tags, pushed) = (BTreeMap::new(), Vec::new());
        Self(Arc::new(Mutex::new(State { tags, pushed, away: false, chance })))
    }

    /// Tells whether it has a repository.
    pub fn any(&self) -> bool {
        !self.lock().tags.is_empty()
    }

    /// Pushes a tag; without one it only makes the repository.
    pub fn push(&self, repository: &str, tag: Option<&str>) {
        let mut state = self.lock();
        let tags = state.tags.entry(repository.to_owned()).or_default();
        if let Some(tag) = tag {
            tags.insert(tag.to_owned());
            state.pushed.push((repository.to_owned(), tag.to_owned()));
        }
    }

    /// Tells what was pushed since it was last asked for that.
    pub fn pushed(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.lock().pushed)
    }

    /// Has it answer as it should, or not.
    pub fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// Lists the tags of a repository. While it is away that fails, or has no tags or only some of
    /// them: registries do so.
    ///
    /// # Errors
    /// What is said in place of tags.
    pub fn list(&self, repository: &str) -> Result<BTreeSet<String>, String> {
        let mut state = self.lock();
        let Some(all) = state.tags.get(repository).cloned() else {
            return Err("the registry does not know the repository".to_owned());
        };
        if !state.away {
            return Ok(all);
        }
        match state.chance.u32(0..3) {
            0 => Err("the registry fails (HTTP 503)".to_owned()),
            1 => Ok(BTreeSet::new()),
            _ => Ok(all.into_iter().filter(|_| state.chance.bool()).collect()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves tags that are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_is_away_never_tells_more_than_there_is() {
        let hub = Hub::new(Rng::with_seed(7));
        assert!(!hub.any());
        hub.push("shop", None);
        assert_eq!((hub.any(), hub.list("shop")), (true, Ok(BTreeSet::new())));
        let all: BTreeSet<String> = ["1.0.0", "1.1.0", "1.2.0"].map(str::to_owned).into();
        all.iter().for_each(|tag| hub.push("shop", Some(tag)));
        assert_eq!(hub.pushed().len(), 3);
        assert_eq!(hub.pushed(), [], "each is told once");
        assert!(hub.list("till").is_err());
        hub.set_away(true);
        let answers: Vec<_> = (0..50).map(|_| hub.list("shop")).collect();
        let fewer = |some: &BTreeSet<String>| some.is_subset(&all) && some.len() < all.len();
        assert!(answers.iter().any(Result::is_err));
        assert!(answers.iter().flatten().any(fewer));
        assert!(answers.iter().flatten().all(|some| some.is_subset(&all)));
        hub.set_away(false);
        assert_eq!(hub.list("shop"), Ok(all));
    }
}
