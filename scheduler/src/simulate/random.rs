//! Chance by a seed: the same seed gives the same night on every machine.

use std::f64::consts::TAU;

/// What is drawn for. Each has numbers of its own, so that one more draw for one thing changes nothing of another,
/// and variants of a night meet with the same luck.
#[derive(Debug, Clone, Copy)]
pub(super) enum Draw {
    /// When a pipe is due.
    Due = 1,
    /// An instance: its type, its start, its end.
    Instance = 2,
    /// Which worker receives a message.
    Receiver = 3,
}

/// A row of random numbers (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    /// The row of the `number`th thing of a kind.
    pub(super) fn of(seed: u64, draw: Draw, number: u64) -> Self {
        let mut random = Self(seed);
        for salt in [draw as u64, number] {
            random.0 = random.bits() ^ salt;
        }
        random
    }

    /// From 0 to just below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number below `n`; 0 where `n` is 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// A time until something that happens once in a unit of time on average.
    pub(super) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Normally distributed around 0, by 1 (Box and Muller).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (TAU * self.unit()).cos()
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_repeat_and_differ_from_each_other() {
        let row = |seed, draw, number| {
            let mut random = Random::of(seed, draw, number);
            [random.bits(), random.bits()]
        };
        assert_eq!(row(1, Draw::Due, 7), row(1, Draw::Due, 7));
        assert_ne!(row(1, Draw::Due, 7), row(2, Draw::Due, 7));
        assert_ne!(row(1, Draw::Due, 7), row(1, Draw::Due, 8));
        assert_ne!(row(1, Draw::Due, 7), row(1, Draw::Instance, 7));
    }

    #[test]
    fn the_distributions_have_their_means() {
        let mean = |draw: fn(&mut Random) -> f64| {
            let mut random = Random::of(1, Draw::Instance, 0);
            (0..20_000).map(|_| draw(&mut random)).sum::<f64>() / 20_000.0
        };
        assert!((mean(Random::unit) - 0.5).abs() < 0.02);
        assert!((mean(Random::exponential) - 1.0).abs() < 0.03);
        assert!(mean(Random::normal).abs() < 0.03);
        assert!((mean(|random| random.normal().powi(2)) - 1.0).abs() < 0.05);
        let mut random = Random::of(1, Draw::Receiver, 0);
        assert!((0..1_000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
    }
}
