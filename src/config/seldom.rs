//! A part of a service that few services say anything about: it takes room only where something is said. What is
//! said is not known here.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// A part of a service for which there are words that say nothing.
pub(crate) trait Part: PartialEq + 'static {
    /// The part when nothing is said.
    const UNSAID: &'static Self;
}

/// A part that takes the room of a pointer while it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Seldom<T>(Option<Box<T>>);

impl<T: Part> From<T> for Seldom<T> {
    fn from(part: T) -> Self {
        Self((part != *T::UNSAID).then(|| Box::new(part)))
    }
}

impl<T: Part> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::UNSAID)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::Success;

    #[test]
    fn what_says_nothing_takes_no_room_and_reads_the_same() {
        let nothing = Seldom::from(Success::default());
        assert_eq!((&*nothing, nothing.0.is_none()), (&Success::default(), true));
        let some = Seldom::from(Success { codes: vec![3], signals: Vec::new() });
        assert_eq!(some.codes, [3]);
        for part in [nothing, some] {
            let text = serde_json::to_string(&part).unwrap();
            assert_eq!(serde_json::from_str::<Seldom<Success>>(&text).unwrap(), part);
        }
    }
}
