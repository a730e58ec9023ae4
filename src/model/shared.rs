//! Shared: a list that is copied only where it is changed.
//!
//! Of our own, since the standard library's `Arc<Vec<_>>` asks for `make_mut` at every change: most
//! of a status is the same from turn to turn, and a turn makes several statuses of one.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A list whose copies are one until one of them is changed.
#[derive(Debug, Eq)]
pub struct Shared<T>(Arc<Vec<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl<T> Deref for Shared<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> From<Vec<T>> for Shared<T> {
    fn from(list: Vec<T>) -> Self {
        Self(Arc::new(list))
    }
}

impl<T, const N: usize> From<[T; N]> for Shared<T> {
    fn from(list: [T; N]) -> Self {
        Self(Arc::new(list.into()))
    }
}

impl<T> FromIterator<T> for Shared<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(Arc::new(items.into_iter().collect()))
    }
}

impl<'a, T> IntoIterator for &'a Shared<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_one_copy_is_none_of_the_other() {
        let mut one: Shared<u8> = [1, 2].into();
        let other = one.clone();
        assert!(Arc::ptr_eq(&one.0, &other.0) && one == other);
        one.push(3);
        assert_eq!((one.as_slice(), other.as_slice()), (&[1, 2, 3][..], &[1, 2][..]));
        assert_ne!(one, other);
        assert_eq!(other, vec![1, 2].into(), "what is equal need not be shared");
    }
}
