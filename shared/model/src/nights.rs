//! Nights without a product: how many, and what they prove.

/// What a run that did not mention a product says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Night {
    /// Its source was complete: the product is not there.
    Complete,
    /// Its source ended as it should, but nothing proves that it was complete, such as one that is far shorter than
    /// usual: an operator can tell.
    Doubtful,
    /// Its source was cut off: nothing.
    Cut,
}

/// Runs in a row that did not mention a product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nights {
    /// Those whose source was complete.
    pub complete: u8,
    /// Those whose source was doubtful.
    pub doubtful: u8,
}

impl Nights {
    /// One more.
    pub fn add(&mut self, night: Night) {
        match night {
            Night::Complete => self.complete = self.complete.saturating_add(1),
            Night::Doubtful => self.doubtful = self.doubtful.saturating_add(1),
            Night::Cut => {}
        }
    }

    /// Whether a product that has to be absent for so many nights has been, after a last night such as this. Only
    /// complete ones count where it would be removed; where an operator decides, doubtful ones count too, or a source
    /// that stays doubtful would never have anything decided.
    pub fn are_enough(self, needed: u8, last: Night) -> bool {
        match last {
            Night::Complete => self.complete >= needed,
            Night::Doubtful | Night::Cut => self.complete.saturating_add(self.doubtful) >= needed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_nights_remove_and_doubtful_ones_are_held() {
        let mut nights = Nights { complete: 1, doubtful: 0 };
        nights.add(Night::Doubtful);
        nights.add(Night::Cut);
        assert_eq!(nights, Nights { complete: 1, doubtful: 1 });
        assert!(nights.are_enough(2, Night::Doubtful) && nights.are_enough(2, Night::Cut));
        assert!(!nights.are_enough(2, Night::Complete));
        nights.add(Night::Complete);
        assert!(nights.are_enough(2, Night::Complete) && !nights.are_enough(3, Night::Complete));
        let mut many = Nights { complete: 255, doubtful: 255 };
        many.add(Night::Complete);
        many.add(Night::Doubtful);
        assert!(many.are_enough(255, Night::Doubtful));
    }
}
