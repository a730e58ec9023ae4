//! Replicas: how many pods each revision has next, where traffic follows the numbers of pods.
//!
//! It never lets ready pods fall below the wanted number less `unavailable`, nor pods exceed it
//! by more than `surge`.

#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// The wanted size and its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Pods of a full side.
    pub replicas: u32,
    /// Pods allowed beyond them.
    pub surge: u32,
    /// Pods allowed to lack of them.
    pub unavailable: u32,
}

/// One ReplicaSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Pods that it is asked to have.
    pub desired: u32,
    /// Pods that are there.
    pub replicas: u32,
    /// Pods that are available.
    pub available: u32,
    /// Whether these numbers are of its present generation.
    pub settled: bool,
    /// Pods that it is to have in the end.
    pub target: u32,
}

/// Tells the next number of pods for each set, in the order given; the sets that come first grow
/// first and shrink last.
pub fn next(bounds: Bounds, sets: &[Set]) -> Vec<u32> {
    let there = sum(sets.iter().map(|set| set.desired.max(set.replicas)));
    #[cfg(feature = "planted")]
    let there =
        if active(Bug::SurgeMiscounted) { sum(sets.iter().map(|s| s.replicas)) } else { there };
    let mut room = bounds.replicas.saturating_add(bounds.surge).saturating_sub(there);
    let mut wanted: Vec<u32> = sets
        .iter()
        .map(|set| {
            let more = set.target.saturating_sub(set.desired).min(room);
            room -= more;
            set.desired + more
        })
        .collect();
    let available = sum(sets.iter().map(|set| set.available.min(set.desired)));
    let least = bounds.replicas.saturating_sub(bounds.unavailable);
    #[cfg(feature = "planted")]
    let available =
        if active(Bug::UnreadyIsSpare) { sum(sets.iter().map(|s| s.desired)) } else { available };
    let mut spare = available.saturating_sub(least);
    for (set, next) in sets.iter().zip(wanted.iter_mut()).rev() {
        if !set.settled {
            continue;
        }
        // A ReplicaSet ends its unready pods first.
        let unready = set.desired.saturating_sub(set.available);
        let fewer = set.desired.saturating_sub(set.target).min(unready.saturating_add(spare));
        spare -= fewer.saturating_sub(unready);
        *next -= fewer;
    }
    wanted
}

/// Tells the target of stable beside a canary of so many pods: its share, as far as the surge
/// leaves room.
pub fn stable_target(bounds: Bounds, share: u32, canary: u32) -> u32 {
    share.min(bounds.replicas.saturating_add(bounds.surge).saturating_sub(canary))
}

/// Adds numbers of pods; someone may have written any number into a ReplicaSet.
fn sum(counts: impl Iterator<Item = u32>) -> u32 {
    counts.fold(0, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weight::Weight;

    fn set(desired: u32, available: u32, target: u32) -> Set {
        Set { desired, replicas: desired, available, settled: true, target }
    }

    #[test]
    fn pods_move_within_surge_and_unavailable() {
        let unsettled = Set { settled: false, ..set(10, 0, 5) };
        for (case, (replicas, surge, unavailable), sets, want) in [
            ("nothing to do", (10, 3, 0), [set(10, 10, 10), set(0, 0, 0)], [10, 0]),
            ("canary grows into the surge", (10, 3, 0), [set(10, 10, 5), set(0, 0, 5)], [10, 3]),
            ("stable goes as canary comes", (10, 3, 0), [set(10, 10, 5), set(3, 3, 5)], [7, 3]),
            ("unready canary frees nothing", (10, 3, 0), [set(10, 10, 5), set(3, 0, 5)], [10, 3]),
            ("no surge: stable goes first", (10, 0, 1), [set(10, 10, 5), set(0, 0, 5)], [9, 0]),
            ("then canary takes its room", (10, 0, 1), [set(9, 9, 5), set(0, 0, 5)], [9, 1]),
            ("unready stable goes freely", (10, 3, 0), [set(10, 6, 5), set(3, 3, 5)], [6, 3]),
            ("old numbers end no pod", (10, 3, 0), [unsettled, set(3, 3, 5)], [10, 3]),
            ("one pod, one surge", (1, 1, 0), [set(1, 1, 1), set(0, 0, 1)], [1, 1]),
            ("back to stable", (10, 3, 0), [set(5, 5, 10), set(5, 5, 0)], [8, 5]),
            ("then canary goes", (10, 3, 0), [set(8, 8, 10), set(5, 5, 0)], [8, 2]),
            ("scaled to nothing", (0, 0, 0), [set(3, 3, 0), set(0, 0, 0)], [0, 0]),
        ] {
            let bounds = Bounds { replicas, surge, unavailable };
            assert_eq!(next(bounds, &sets), want, "{case}");
        }
    }

    /// Every ladder of every small size ends, within its bounds at each turn, however late pods
    /// become ready.
    #[test]
    fn every_small_split_is_reached_within_bounds() {
        for replicas in 1..=6_u32 {
            for (surge, unavailable) in [(1, 0), (0, 1), (2, 1), (replicas, 0), (0, replicas)] {
                for percent in [0, 1, 20, 50, 99, 100] {
                    climb(Bounds { replicas, surge, unavailable }, Weight::new(percent).unwrap());
                }
            }
        }
    }

    fn climb(bounds: Bounds, weight: Weight) {
        let canary = weight.share(bounds.replicas);
        let stable = stable_target(bounds, weight.rest().share(bounds.replicas), canary);
        let mut sets = [set(bounds.replicas, bounds.replicas, stable), set(0, 0, canary)];
        for turn in 0..100 {
            let wanted = next(bounds, &sets);
            for (set, wanted) in sets.iter_mut().zip(wanted) {
                let late = u32::from(turn % 3 == 0);
                set.desired = wanted;
                set.replicas = wanted;
                set.available = set.available.min(wanted).max(wanted.saturating_sub(late));
            }
            let pods: u32 = sets.iter().map(|set| set.desired).sum();
            let ready: u32 = sets.iter().map(|set| set.available).sum();
            assert!(pods <= bounds.replicas + bounds.surge, "{bounds:?} {weight} {sets:?}");
            let least = bounds.replicas.saturating_sub(bounds.unavailable);
            assert!(ready + 1 >= least.min(pods), "{bounds:?} {weight} {sets:?}");
        }
        let reached = sets.map(|set| set.desired);
        assert_eq!(reached, [stable, canary], "{bounds:?} {weight}");
    }
}
