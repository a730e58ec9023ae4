//! Hub: the registry of a story, whose tags the story pushes and controllers list. Clones are the
//! same. Nobody is told of a push.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use sha2::{Digest, Sha256};

use crate::model::template::hex;

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

    /// Tells the digest of the image behind a tag: another for each, and always the same.
    ///
    /// # Errors
    /// What is said in place of one.
    pub fn digest(&self, repository: &str, tag: &str) -> Result<String, String> {
        let state = self.lock();
        if state.away {
            return Err("the registry fails (HTTP 503)".to_owned());
        }
        let there = state.tags.get(repository).is_some_and(|tags| tags.contains(tag));
        let digest = || hex(&Sha256::digest(format!("{repository}:{tag}")), 64);
        there.then(|| format!("sha256:{}", digest())).ok_or("the tag does not exist".to_owned())
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
        let digest = hub.digest("shop", "1.1.0");
        assert_eq!((digest.is_ok(), &digest), (true, &hub.digest("shop", "1.1.0")));
        assert_ne!(digest, hub.digest("shop", "1.2.0"));
        assert!(hub.digest("shop", "9.0.0").is_err());
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
