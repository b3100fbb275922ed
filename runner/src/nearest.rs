//! The nearest valid name to one that was mistyped. It knows no flag and no key.

/// The candidate that `name` was most likely meant to be, if any is close enough to be worth saying.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |candidate: &&str| distance(name, candidate);
    let best = candidates.into_iter().min_by_key(near)?;
    // A third of the letters may differ: beyond that a suggestion is a guess.
    (distance(name, best) <= best.chars().count().div_ceil(3)).then_some(best)
}

/// How many letters must be added, removed or replaced to make one of the other, without regard to case.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.to_ascii_lowercase(), right.to_ascii_lowercase());
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, a) in left.chars().enumerate() {
        let mut beside = index + 1;
        let mut next = vec![beside];
        for ((b, &above), &corner) in right.chars().zip(row.iter().skip(1)).zip(&row) {
            beside = (corner + usize::from(a != b)).min(above + 1).min(beside + 1);
            next.push(beside);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_nonsense_is_not() {
        let names = ["port", "transport", "endpoint"];
        assert_eq!(nearest("prot", names), Some("port"));
        assert_eq!(nearest("tranport", names), Some("transport"));
        assert_eq!(nearest("endPoint", names), Some("endpoint"));
        assert_eq!(nearest("colour", names), None);
    }

    #[test]
    fn distances_are_counted_in_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("größe", "grösse"), 2);
    }
}
