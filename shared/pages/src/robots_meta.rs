//! What a page's `<meta name="robots">` asks of crawlers.

/// What a page asks of crawlers; several elements add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RobotsMeta {
    /// Not to index the page.
    pub noindex: bool,
    /// Not to follow its links.
    pub nofollow: bool,
}

impl RobotsMeta {
    /// Reads the names and contents of a page's `<meta>` elements.
    pub fn from_metas<'a>(metas: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut robots = Self::default();
        for (_, content) in metas.filter(|(name, _)| name.eq_ignore_ascii_case("robots")) {
            for word in content.split([',', ' ']) {
                let word = word.trim().to_ascii_lowercase();
                robots.noindex |= matches!(word.as_str(), "noindex" | "none");
                robots.nofollow |= matches!(word.as_str(), "nofollow" | "none");
            }
        }
        robots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_metas_ask_adds_up() {
        for (metas, noindex, nofollow) in [
            (vec![("robots", "index, follow")], false, false),
            (vec![("ROBOTS", "NoIndex,follow")], true, false),
            (vec![("robots", "noindex"), ("robots", "nofollow")], true, true),
            (vec![("robots", "none")], true, true),
            (vec![("description", "noindex")], false, false),
        ] {
            let robots = RobotsMeta::from_metas(metas.iter().copied());
            assert_eq!(robots, RobotsMeta { noindex, nofollow }, "{metas:?}");
        }
    }
}
