//! The name that was probably meant. It knows nothing of what the names stand for.

/// The name nearest to `typed`, if one is near enough to be meant: at most one letter in three differs.
pub(super) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = typed.chars().count().div_ceil(3).max(1);
    names
        .map(|name| (distance(typed, name), name))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Letters to insert, remove or replace, or neighbours to swap, to come from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut older: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut before = None;
    for (row, letter) in from.chars().enumerate() {
        let mut here = Vec::with_capacity(above.len());
        here.push(row.saturating_add(1));
        for (column, other) in to.iter().enumerate() {
            let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&above, column).saturating_add(usize::from(letter != *other));
            let removed = at(&above, column.saturating_add(1)).saturating_add(1);
            let inserted = at(&here, column).saturating_add(1);
            let left = column.checked_sub(1);
            let swapped = match left.and_then(|left| Some((left, to.get(left)?))) {
                Some((left, beside)) if before == Some(*other) && *beside == letter => {
                    at(&older, left).saturating_add(1)
                }
                _ => usize::MAX,
            };
            here.push(replaced.min(removed).min(inserted).min(swapped));
        }
        older = std::mem::replace(&mut above, here);
        before = Some(letter);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_one_letter_in_three() {
        let names = || ["status", "start", "stop", "restart"].into_iter();
        assert_eq!(nearest("statsu", names()), Some("status"));
        assert_eq!(nearest("strat", names()), Some("start"));
        assert_eq!(nearest("stpo", names()), Some("stop"));
        assert_eq!(nearest("zzz", names()), None);
        assert_eq!(nearest("", names()), None);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
