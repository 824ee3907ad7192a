//! The order of turns of round robin, made once for a snapshot.

/// Places of a schedule, beyond one for each instance: weights whose sum is larger are rounded.
const PLACES: u64 = 4096;

/// Places by weight, evenly spread: the n-th turn of an instance of weight w comes at (n + ½) / w of a round. Equal weights
/// give each a turn in order. Without any weight: empty.
pub fn schedule(weights: &[u32]) -> Box<[u32]> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight / divisor)).sum();
    let most = PLACES + weights.len() as u64;
    let turns = |weight: u32| {
        let weight = u64::from(weight / divisor);
        if sum > most && weight > 0 { (weight * most / sum).max(1) } else { weight }
    };
    let mut places: Vec<(u64, u32)> = (0..)
        .zip(weights)
        .flat_map(|(place, &weight)| {
            let turns = turns(weight);
            (0..turns).map(move |turn| (((2 * turn + 1) << 32) / (2 * turns), place))
        })
        .collect();
    places.sort_unstable();
    places.into_iter().map(|(_, place)| place).collect()
}

fn gcd(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { gcd(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_bounded_whatever_the_weights() {
        let schedule = schedule(&[u32::MAX, u32::MAX - 1, 1]);
        assert!(schedule.len() as u64 <= PLACES + 4, "{}", schedule.len());
        assert!(schedule.contains(&2), "rounded, but not away");
        let heavy = schedule.iter().filter(|&&place| place == 0).count();
        assert!((2040..=2056).contains(&heavy), "{heavy}");
    }
}
