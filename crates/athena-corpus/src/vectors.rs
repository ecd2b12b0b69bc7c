//! Clustered directions: what makes a nearest-neighbour search hard is how near the neighbours are.

use crate::Random;

/// Components of a vector.
pub const DIMENSION: usize = 768;
/// Components before the projection: real embeddings have far fewer degrees of freedom than numbers.
const LATENT: usize = 96;
/// Clusters of rows.
pub(crate) const CLUSTERS: u64 = 1_000;
/// What clusters are grouped under.
pub(crate) const TOPICS: u64 = 30;
/// How much of a cluster's centre is its topic's; the rest, to length 1, is its own.
const TOPIC_PART: f64 = 0.6;
const OWN_PART: f64 = 0.8;
/// The variance of a row around its centre, in parts of the centre's squared length.
const NOISE_VARIANCE: f64 = 0.45;
/// The length of what all vectors have in common, as embeddings of one model do.
const COMMON: f64 = 0.85;

const KIND_PROJECTION: u64 = 0x70_72_6f_6a;
const KIND_COMMON: u64 = 0x63_6f_6d;
const KIND_TOPIC: u64 = 0x74_6f_70;
const KIND_CENTRE: u64 = 0x63_65_6e;

/// Where rows lie: 1,000 gaussian clusters under 30 topics in 96 dimensions whose variances decay as
/// 1/√j, projected to 768, moved by a common mean and scaled to length 1.
///
/// The median cosine of a question's nearest, 10th and 100th row is 0.86, 0.75 and 0.62 among 10,000
/// rows; among 60,000 it is 0.88, 0.85 and 0.69.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    /// `LATENT` rows of `DIMENSION` numbers.
    projection: Vec<[f32; DIMENSION]>,
    common: [f32; DIMENSION],
    /// The deviation of each latent component; their squares sum to 1.
    spectrum: [f64; LATENT],
    centres: Vec<[f64; LATENT]>,
}

impl Space {
    pub(crate) fn new() -> Self {
        let spectrum = spectrum();
        let mut random = Random::of(KIND_PROJECTION, 0);
        let projection = (0..LATENT).map(|_| gaussian(&mut random)).collect();
        let mut common = gaussian(&mut Random::of(KIND_COMMON, 0));
        scale(&mut common, COMMON);
        let topics: Vec<[f64; LATENT]> = (0..TOPICS)
            .map(|topic| latent(&mut Random::of(KIND_TOPIC, topic), &spectrum))
            .collect();
        let centre = |cluster: u64| {
            let own = latent(&mut Random::of(KIND_CENTRE, cluster), &spectrum);
            let topic = &topics[usize::try_from(topic_of(cluster)).unwrap_or(0)];
            std::array::from_fn(|at| TOPIC_PART * topic[at] + OWN_PART * own[at])
        };
        let centres = (0..CLUSTERS).map(centre).collect();
        Self {
            projection,
            common,
            spectrum,
            centres,
        }
    }

    /// Makes a vector of length 1 near the centre of a cluster.
    pub(crate) fn near(&self, cluster: u64, random: &mut Random) -> Vec<f32> {
        let centre = &self.centres[usize::try_from(cluster % CLUSTERS).unwrap_or(0)];
        let noise = latent(random, &self.spectrum);
        let deviation = NOISE_VARIANCE.sqrt();
        let mut place: [f64; LATENT] = std::array::from_fn(|at| centre[at] + deviation * noise[at]);
        let length = place.iter().map(|it| it * it).sum::<f64>().sqrt();
        place.iter_mut().for_each(|it| *it /= length);
        let mut vector = [0.0_f32; DIMENSION];
        for (weight, direction) in place.iter().zip(&self.projection) {
            let weight = narrow(*weight);
            for (sum, component) in vector.iter_mut().zip(direction) {
                *sum += weight * component;
            }
        }
        scale(&mut vector, 1.0);
        for (sum, component) in vector.iter_mut().zip(&self.common) {
            *sum += component;
        }
        scale(&mut vector, 1.0);
        vector.to_vec()
    }
}

/// Returns the topic of a cluster.
pub(crate) fn topic_of(cluster: u64) -> u64 {
    cluster % TOPICS
}

/// Returns the sum of the products of two vectors' components, in an order that never changes.
///
/// Components beyond the length of the shorter one count nothing.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f32 = rest.map(|(a, b)| a * b).sum();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn spectrum() -> [f64; LATENT] {
    let mut variances = [0.0; LATENT];
    let mut rank = 0.0_f64;
    for variance in &mut variances {
        rank += 1.0;
        *variance = 1.0 / rank.sqrt();
    }
    let sum: f64 = variances.iter().sum();
    variances.map(|variance| (variance / sum).sqrt())
}

fn latent(random: &mut Random, spectrum: &[f64; LATENT]) -> [f64; LATENT] {
    std::array::from_fn(|at| spectrum[at] * random.normal())
}

fn gaussian(random: &mut Random) -> [f32; DIMENSION] {
    std::array::from_fn(|_| narrow(random.normal()))
}

fn scale(vector: &mut [f32; DIMENSION], to: f64) {
    let length = f64::from(dot(&vector[..], &vector[..])).sqrt();
    let factor = narrow(to / length);
    vector.iter_mut().for_each(|component| *component *= factor);
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "numbers around 1, of which single precision is enough"
)]
fn narrow(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_1() {
        let space = Space::new();
        let vector = space.near(17, &mut Random::new(1));
        assert_eq!(vector.len(), DIMENSION);
        assert!((dot(&vector, &vector) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_cluster_is_nearer_than_its_topic_and_that_nearer_than_the_rest() {
        let space = Space::new();
        let vector = |cluster, seed| space.near(cluster, &mut Random::new(seed));
        let mean = |other: u64| {
            let cosines = (0..40).map(|seed| dot(&vector(5, seed), &vector(other, seed + 40)));
            cosines.sum::<f32>() / 40.0
        };
        let (same, topic, other) = (mean(5), mean(5 + TOPICS), mean(6));
        assert!(
            same > topic + 0.05 && topic > other + 0.05,
            "{same} {topic} {other}"
        );
    }

    #[test]
    fn products_are_summed_to_the_last_component() {
        let a: Vec<f32> = (1_u8..=19).map(f32::from).collect();
        assert_eq!(dot(&a, &a), 2_470.0);
        assert_eq!(dot(&[], &[]), 0.0);
    }
}
