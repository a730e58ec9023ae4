//! Weight: shares of traffic and of pods. It never rounds traffic away from a side that has some.

#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use std::fmt;

/// The share of traffic that the canary gets, a whole percentage in `0..=100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u8);

impl Weight {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const FULL: Self = Self(100);

    /// Makes a weight of a percentage, `None` above 100.
    pub fn new(percent: u32) -> Option<Self> {
        u8::try_from(percent).ok().filter(|percent| *percent <= 100).map(Self)
    }

    /// Tells the percentage.
    pub fn percent(self) -> u32 {
        u32::from(self.0)
    }

    /// Tells what is left for the other side; both add up to 100.
    pub fn rest(self) -> Self {
        Self(100 - self.0)
    }

    /// Tells how many of `count` pods carry this share, rounded up.
    pub fn share(self, count: u32) -> u32 {
        #[cfg(feature = "planted")]
        if active(Bug::ShareRoundsDown) {
            return u32::try_from(u64::from(count) * u64::from(self.0) / 100).unwrap_or(count);
        }
        let pods = (u64::from(count) * u64::from(self.0)).div_ceil(100);
        u32::try_from(pods).unwrap_or(count)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A number of pods, plain or as a percentage of the wanted replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// So many pods.
    Count(u32),
    /// So many percent of the replicas, `0..=100`.
    Percent(u32),
}

impl Quantity {
    /// Tells the number of pods out of `replicas`, rounded up (surge).
    pub fn up(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => part(replicas, percent).div_ceil(100).try_into().unwrap_or(0),
        }
    }

    /// Tells the number of pods out of `replicas`, rounded down (unavailable).
    pub fn down(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (part(replicas, percent) / 100).try_into().unwrap_or(0),
        }
    }
}

fn part(replicas: u32, percent: u32) -> u64 {
    u64::from(replicas) * u64::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_rounds_up_and_never_exceeds_the_whole() {
        for (percent, count, want) in [
            (0, 5, 0),
            (1, 5, 1),
            (20, 5, 1),
            (21, 5, 2),
            (50, 1, 1),
            (50, 3, 2),
            (100, 7, 7),
            (99, u32::MAX, 4_252_017_623),
            (100, u32::MAX, u32::MAX),
        ] {
            let weight = Weight::new(percent).unwrap();
            assert_eq!(weight.share(count), want, "{percent} % of {count}");
            assert_eq!(weight.percent() + weight.rest().percent(), 100);
        }
        assert_eq!(Weight::new(101), None);
    }

    #[test]
    fn surge_rounds_up_and_unavailable_rounds_down() {
        for (quantity, replicas, up, down) in [
            (Quantity::Percent(25), 5, 2, 1),
            (Quantity::Percent(25), 1, 1, 0),
            (Quantity::Percent(0), 5, 0, 0),
            (Quantity::Percent(100), 5, 5, 5),
            (Quantity::Count(3), 1, 3, 3),
        ] {
            assert_eq!((quantity.up(replicas), quantity.down(replicas)), (up, down));
        }
    }
}
