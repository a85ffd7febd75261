//! "Did you mean": the known word that is nearest to what somebody wrote.

/// The name nearest to `word`, if it is near: at most one letter in three differs. Case does not
/// count.
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let word = word.to_lowercase();
    let limit = match word.chars().count() {
        // A word of one letter is as near to every other.
        0 | 1 => 0,
        letters => (letters / 3).max(1),
    };
    names
        .into_iter()
        .map(|name| (distance(&word, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What to say to somebody who wrote `word` where one of `names` is expected. Without a word,
/// because it must not be shown, the names alone.
pub(crate) fn one_of(word: Option<&str>, names: &[&str]) -> String {
    if let [only] = names {
        return format!("expected '{only}'");
    }
    let list = names.join(", ");
    match word.and_then(|word| nearest(word, names.iter().copied())) {
        Some(name) => format!("did you mean '{name}'? Expected one of {list}"),
        None => format!("expected one of {list}"),
    }
}

/// The number of letters to insert, remove, replace or swap with their neighbour (optimal string
/// alignment).
pub fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut cost = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                cost[i][j] = i + j;
                continue;
            }
            let replaced = cost[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(cost[i - 1][j] + 1).min(cost[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(cost[i - 2][j - 2] + 1);
            }
            cost[i][j] = best;
        }
    }
    cost[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_textbook() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("가격", "가게"), 1);
        assert_eq!(distance("fromat", "format"), 1);
    }

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["price", "title", "id"];
        assert_eq!(nearest("prize", names), Some("price"));
        assert_eq!(nearest("Price", names), Some("price"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest(";", [".", ","]), None);
        assert_eq!(
            one_of(Some("titel"), &names),
            "did you mean 'title'? Expected one of price, title, id"
        );
        assert_eq!(one_of(None, &names), "expected one of price, title, id");
        assert_eq!(one_of(Some("pric"), &["price"]), "expected 'price'");
    }
}
