//! An ordered map whose clone is cheap: values are shared until one of the copies changes them.

use std::borrow::Borrow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A value that carries its own key.
pub trait Keyed {
    /// The key's type.
    type Key: Ord + ?Sized;

    /// The key; it never changes.
    fn key(&self) -> &Self::Key;
}

/// Values ordered by key. Look-ups are binary searches; an insertion moves pointers only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf<V> {
    values: Vec<Arc<V>>,
}

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

impl<V: Keyed + Clone> Shelf<V> {
    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &V::Key) -> Option<&V> {
        self.find(key).ok().map(|i| self.values[i].borrow())
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &V::Key) -> Option<&mut V> {
        self.find(key)
            .ok()
            .map(|i| Arc::make_mut(&mut self.values[i]))
    }

    /// Puts a value in its place; one with the same key goes.
    pub fn put(&mut self, value: V) {
        match self.find(value.key()) {
            Ok(i) => self.values[i] = Arc::new(value),
            Err(i) => self.values.insert(i, Arc::new(value)),
        }
    }

    /// All values by key.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        self.values.iter().map(Borrow::borrow)
    }

    fn find(&self, key: &V::Key) -> Result<usize, usize> {
        self.values.binary_search_by(|value| value.key().cmp(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Entry(String, u32);

    impl Keyed for Entry {
        type Key = str;
        fn key(&self) -> &str {
            &self.0
        }
    }

    #[test]
    fn a_clone_keeps_what_the_original_changes() {
        let mut shelf = Shelf::default();
        for (name, n) in [("c", 3), ("a", 1), ("b", 2), ("a", 9)] {
            shelf.put(Entry(name.to_owned(), n));
        }
        let before = shelf.clone();
        shelf.get_mut("b").unwrap().1 = 20;
        assert_eq!(before.iter().map(|e| e.1).collect::<Vec<_>>(), [9, 2, 3]);
        assert_eq!(shelf.iter().map(|e| e.1).collect::<Vec<_>>(), [9, 20, 3]);
        assert_eq!(shelf.get("d"), None);
        assert_eq!(shelf.len(), 3);
    }
}
