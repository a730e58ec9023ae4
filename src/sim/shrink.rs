//! Shrink: finds a shorter story that goes wrong in the same way.

use crate::sim::story::Story;

/// Plays while looking for a shorter story: each is a few milliseconds.
const TRIES_MAX: u32 = 400;

/// Takes events out of a story, and controllers, as long as it still fails.
///
/// `fails` plays a story and tells whether it goes wrong in the same way.
pub fn shrink(story: &Story, mut fails: impl FnMut(&Story) -> bool) -> Story {
    let mut best = story.clone();
    let mut tries = 0;
    let mut attempt = |candidate: &Story| {
        tries += 1;
        tries <= TRIES_MAX && fails(candidate)
    };
    let mut size = best.events.len().div_ceil(2);
    while 0 < size {
        let mut start = 0;
        while start < best.events.len() {
            let mut candidate = best.clone();
            let end = (start + size).min(candidate.events.len());
            candidate.events.drain(start..end);
            if attempt(&candidate) {
                best = candidate;
            } else {
                start += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    if 1 < best.controllers {
        let candidate = Story { controllers: 1, ..best.clone() };
        if attempt(&candidate) {
            best = candidate;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::moment::Duration;
    use crate::sim::story::{Event, Span, VERSION};

    #[test]
    fn only_what_is_needed_to_fail_is_left() {
        let outage = |secs| Event::Outage {
            at: Span(Duration::from_secs(secs)),
            length: Span(Duration::from_secs(1)),
        };
        let story = Story {
            story: VERSION,
            seed: 7,
            controllers: 2,
            until: Span(Duration::from_secs(60)),
            objects: Vec::new(),
            events: (0..20).map(outage).collect(),
        };
        let needs = [outage(3), outage(17)];
        let short = shrink(&story, |story| needs.iter().all(|event| story.events.contains(event)));
        assert_eq!(short.events, needs);
        assert_eq!(short.controllers, 1);
    }
}
