//! Vectors against their definition in f64, and every kernel against the scalar one.

use proptest::prelude::*;

use super::*;

/// Numbers of a normal distribution, near enough: the sum of twelve uniform ones.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / 16_777_216.0
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        let normal = |_| (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0;
        (0..dimension).map(normal).collect()
    }
}

fn exact_cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn cosine(query: &[f32], stored: &[f32]) -> f64 {
    let stored = StoredVector::new(1, stored).unwrap();
    PreparedQuery::new(query).unwrap().cosine_with(&stored)
}

const DIMENSIONS: [usize; 14] = [
    1, 2, 5, 63, 64, 65, 256, 300, 384, 768, 960, 1000, 1536, 65_536,
];

#[test]
fn cosines_are_those_of_the_original_within_two_thousandths() {
    let mut noise = Noise(1);
    for dimension in DIMENSIONS {
        for _ in 0..if dimension > 9999 { 2 } else { 50 } {
            let a = noise.vector(dimension);
            let mut b = noise.vector(dimension);
            let share = noise.uniform();
            for (b, a) in b.iter_mut().zip(&a) {
                *b += share * 3.0 * (a - *b);
            }
            let (found, exact) = (cosine(&a, &b), exact_cosine(&a, &b));
            assert!((found - exact).abs() < 2e-3, "{dimension}: {found} {exact}");
            assert!(cosine(&a, &a) >= 0.9999, "{dimension}");
        }
    }
}

#[test]
fn vectors_with_few_components_keep_their_cosines_too() {
    let mut noise = Noise(2);
    for dimension in DIMENSIONS.into_iter().filter(|it| *it > 2) {
        for filled in 1..4 {
            let mut a = vec![0.0; dimension];
            let mut b = vec![0.0; dimension];
            for n in 0..filled {
                a[(n * 7919) % dimension] = noise.uniform() + 0.1;
                b[(n * 104_729) % dimension] = noise.uniform() - 1.1;
            }
            let (found, exact) = (cosine(&a, &b), exact_cosine(&a, &b));
            assert!((found - exact).abs() < 2e-3, "{dimension}: {found} {exact}");
            assert!(cosine(&a, &a) >= 0.9999, "{dimension}");
        }
    }
}

#[test]
fn the_rotation_keeps_lengths_and_products_and_spreads_what_stands_alone() {
    let mut noise = Noise(3);
    for width in [64, 256, 384, 768, 960, 3584, 65_536] {
        let (a, b) = (noise.vector(width), noise.vector(width));
        let (mut turned_a, mut turned_b) = (a.clone(), b.clone());
        rotation::rotate(&mut turned_a);
        rotation::rotate(&mut turned_b);
        let change = exact_cosine(&turned_a, &turned_b) - exact_cosine(&a, &b);
        assert!(change.abs() < 1e-6, "{width}: {change}");
        for at in [0, 1, width / 2, width - 1] {
            let mut single = vec![0.0; width];
            single[at] = 1.0;
            rotation::rotate(&mut single);
            let norm = sum_of_squares(&single);
            assert!((norm - 1.0).abs() < 1e-5, "{width}: {norm}");
            let peak = f64::from(rotation::peak(&single)) * (width as f64).sqrt();
            assert!(peak < 6.5, "{width}, {at}: {peak}");
        }
    }
}

/// What the rotation does is part of the format: stored rows must fit tomorrow's queries.
#[test]
fn the_rotation_is_what_it_always_was() {
    let values: Vec<f32> = (0..100_u8).map(|n| f32::from(n) - 30.0).collect();
    let stored = StoredVector::new(1, &values).unwrap();
    let start = [23, 35, -41, 47, 14, 24, -10, -17, 25, -5, 8, 77];
    assert_eq!(stored.values()[..12], start);
}

#[test]
fn vectors_without_direction_are_refused() {
    for (values, error) in [
        (&[][..], VectorError::Dimension(0)),
        (&[0.0; 65_537], VectorError::Dimension(65_537)),
        (&[0.0, -0.0], VectorError::Zero),
        (&[1.0, f32::NAN], VectorError::NotFinite(1)),
        (&[f32::INFINITY], VectorError::NotFinite(0)),
        (&[0.0, 0.0, f32::NEG_INFINITY], VectorError::NotFinite(2)),
    ] {
        assert_eq!(StoredVector::new(1, values).unwrap_err(), error);
        assert_eq!(PreparedQuery::new(values).unwrap_err(), error);
        assert_eq!(unit(values).unwrap_err(), error);
    }
}

#[test]
fn huge_tiny_and_denormal_vectors_keep_their_direction() {
    let mut noise = Noise(4);
    let values = noise.vector(100);
    let expected = StoredVector::new(1, &values).unwrap();
    for scale in [2_f32.powi(-100), 2_f32.powi(100)] {
        let scaled: Vec<f32> = values.iter().map(|value| value * scale).collect();
        assert_eq!(StoredVector::new(1, &scaled).unwrap(), expected);
    }
    let smallest = f32::from_bits(1);
    assert!((cosine(&[3.0 * smallest, 4.0 * smallest], &[3.0, 4.0]) - 1.0).abs() < 1e-4);
    assert!((cosine(&[f32::MAX; 768], &[1.0; 768]) - 1.0).abs() < 1e-4);
}

#[test]
fn a_vector_comes_back_and_damage_is_noticed() {
    let vector = StoredVector::new(7, &Noise(5).vector(100)).unwrap();
    let mut bytes = Vec::new();
    put_vector(&mut bytes, &vector);
    assert_eq!(read_vector(&mut Reader::new(&bytes)), Ok(vector));
    for end in 0..bytes.len() {
        assert!(read_vector(&mut Reader::new(&bytes[..end])).is_err());
    }
    let row = bytes.len() - 128;
    for (at, byte) in [(row, 0x80), (row - 1, 1), (1, 0), (2, 0)] {
        let mut damaged = bytes.clone();
        damaged[at] = byte;
        assert!(read_vector(&mut Reader::new(&damaged)).is_err(), "{at}");
    }
    bytes[row..].fill(0);
    assert!(read_vector(&mut Reader::new(&bytes)).is_err());
}

#[test]
fn every_kernel_makes_the_same_rows() {
    let mut noise = Noise(6);
    for dimension in DIMENSIONS {
        let values = noise.vector(dimension);
        for scale in [1.0, f32::MIN_POSITIVE, 1e30] {
            let values: Vec<f32> = values.iter().map(|value| value * scale).collect();
            let expected = StoredVector::new_with(scalar(), 1, &values);
            for kernel in kernels() {
                let found = StoredVector::new_with(kernel, 1, &values);
                assert_eq!(found, expected, "{} {dimension}", kernel.name());
            }
        }
    }
}

fn scalar() -> &'static Kernel {
    kernels().last().unwrap()
}

/// The products by the definition, in integers that cannot overflow.
fn products(query: &PreparedQuery, rows: &[i8]) -> Vec<i32> {
    let product = |row: &[i8]| -> i64 {
        let pairs = query.values.iter().zip(row);
        pairs.map(|(q, x)| i64::from(*q) * i64::from(*x)).sum()
    };
    rows.chunks(query.width())
        .map(|row| i32::try_from(product(row)).unwrap())
        .collect()
}

fn check_products(query: &PreparedQuery, rows: &[i8]) {
    let expected = products(query, rows);
    for kernel in kernels() {
        let mut found = vec![0; expected.len()];
        query.scan_with(kernel, rows, None, &mut found);
        assert_eq!(found, expected, "{} {}", kernel.name(), query.width());
    }
}

/// The row that a query has the largest product with, its opposite, and other extremes.
fn extreme_rows(query: &PreparedQuery) -> Vec<i8> {
    let towards = query.values.iter().map(|q| if *q < 0 { -127 } else { 127 });
    let towards: Vec<i8> = towards.collect();
    let against: Vec<i8> = towards.iter().map(|x| -x).collect();
    let width = query.width();
    [
        towards,
        against,
        vec![0; width],
        vec![127; width],
        vec![-127; width],
    ]
    .concat()
}

#[test]
fn products_never_overflow() {
    let mut noise = Noise(7);
    for dimension in DIMENSIONS {
        let mut single = vec![0.0; dimension];
        single[dimension / 2] = -1.0;
        let signs = noise
            .vector(dimension)
            .iter()
            .map(|it| it.signum())
            .collect();
        for values in [noise.vector(dimension), vec![1.0; dimension], single, signs] {
            let query = PreparedQuery::new(&values).unwrap();
            check_products(&query, &extreme_rows(&query));
        }
    }
}

proptest! {
    #[test]
    fn every_kernel_takes_the_same_products(
        dimension in 1_usize..1400,
        seed: u64,
        rows in 0_usize..11,
        bytes in proptest::collection::vec(-127_i8..=127, 1..97),
        passes: u64,
    ) {
        let query = PreparedQuery::new(&Noise(seed).vector(dimension)).unwrap();
        let rows: Vec<i8> = bytes.iter().copied().cycle().take(rows * query.width()).collect();
        check_products(&query, &rows);
        let all = products(&query, &rows);
        let passing = |n: usize| passes >> n & 1 == 1;
        let expected: Vec<i32> = (0..all.len()).map(|n| if passing(n) { all[n] } else { 7 }).collect();
        for kernel in kernels() {
            let mut found = vec![7; all.len()];
            query.scan_with(kernel, &rows, Some(&[passes]), &mut found);
            prop_assert_eq!(&found, &expected, "{}", kernel.name());
        }
    }
}

/// Rows and their norms, as an index keeps them.
struct Rows {
    values: Vec<i8>,
    norms: Vec<f32>,
}

impl Rows {
    fn of(vectors: &[Vec<f32>]) -> Self {
        let stored: Vec<StoredVector> = vectors
            .iter()
            .map(|it| StoredVector::new(1, it).unwrap())
            .collect();
        Self {
            values: stored.iter().flat_map(|it| it.values().to_vec()).collect(),
            norms: stored.iter().map(StoredVector::inverse_norm).collect(),
        }
    }

    fn codes(&self) -> Codes {
        let width = self.values.len() / self.norms.len();
        let centre = centre(width, &self.values, &self.norms);
        Codes::encode(&self.values, &self.norms, &centre)
    }

    fn cosines(&self, query: &PreparedQuery) -> Vec<f64> {
        let mut products = vec![0; self.norms.len()];
        query.scan(&self.values, None, &mut products);
        let pairs = products.iter().zip(&self.norms);
        pairs.map(|(it, norm)| query.cosine(*it, *norm)).collect()
    }
}

/// Vectors in clusters of about 40 around a mean, and as many of them as questions.
fn clustered(dimension: usize, rows: usize, questions: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut noise = Noise(8);
    let mean = noise.vector(dimension);
    let clusters: Vec<Vec<f32>> = (0..rows.div_ceil(40))
        .map(|_| noise.vector(dimension))
        .collect();
    let mut vectors: Vec<Vec<f32>> = (0..rows + questions)
        .map(|n| {
            let own = noise.vector(dimension);
            let cluster = &clusters[n % clusters.len()];
            (0..dimension)
                .map(|at| mean[at] + cluster[at] + 0.7 * own[at])
                .collect()
        })
        .collect();
    let questions = vectors.split_off(rows);
    (vectors, questions)
}

fn estimates(query: &PreparedQuery, codes: &Codes, passes: Option<&[u64]>) -> Estimates {
    let mut estimates = Estimates::new();
    QueryCodes::new(query, codes).scan(codes, passes, &mut estimates);
    estimates
}

#[test]
fn estimates_are_right_on_average_and_their_bounds_hold() {
    for dimension in [100, 768] {
        let (vectors, questions) = clustered(dimension, 2000, 20);
        let rows = Rows::of(&vectors);
        let codes = rows.codes();
        let (mut outside, mut error) = (0, 0.0);
        for question in &questions {
            let query = PreparedQuery::new(question).unwrap();
            let exact = rows.cosines(&query);
            let estimates = estimates(&query, &codes, None);
            let mean = exact.iter().sum::<f64>() / 2000.0;
            assert!((estimates.mean() - mean).abs() < 5e-3);
            let square = exact
                .iter()
                .map(|it| (it - mean) * (it - mean))
                .sum::<f64>();
            let deviation = (square / 2000.0).sqrt();
            let ratio = estimates.deviation() / deviation;
            assert!((0.94..1.06).contains(&ratio), "{dimension}: {ratio}");
            for (at, exact) in exact.into_iter().enumerate() {
                let off = f64::from(estimates.values()[at]) - exact;
                outside += u32::from(off.abs() > f64::from(estimates.errors()[at]));
                error += off / 40_000.0;
            }
        }
        // Two deviations to either side leave out five of a hundred.
        assert!((100..3200).contains(&outside), "{dimension}: {outside}");
        assert!(error.abs() < 1e-3, "{dimension}: {error}");
    }
}

#[test]
fn the_candidates_hold_the_best_with_any_filter() {
    let (vectors, questions) = clustered(256, 6000, 40);
    let rows = Rows::of(&vectors);
    let codes = rows.codes();
    for every in [1, 2, 10, 100, 1000] {
        let passes: Vec<u64> = (0..94_usize)
            .map(|word| {
                let bits = (0..64).filter(|bit| (word * 64 + bit) % every == 0);
                bits.fold(0, |word, bit| word | 1 << bit)
            })
            .collect();
        let mut missed = 0;
        for question in &questions {
            let query = PreparedQuery::new(question).unwrap();
            let estimates = estimates(&query, &codes, Some(&passes));
            assert_eq!(estimates.count(), 6000_usize.div_ceil(every));
            let candidates = estimates.candidates(10);
            assert!(candidates.len() >= estimates.count().min(100));
            assert!(
                candidates
                    .iter()
                    .all(|it| (*it as usize).is_multiple_of(every))
            );
            let exact = rows.cosines(&query);
            let mut best: Vec<usize> = (0..6000).step_by(every).collect();
            best.sort_by(|a, b| exact[*b].total_cmp(&exact[*a]));
            let is_missing = |at: &&usize| {
                let number = u32::try_from(**at).unwrap();
                candidates.binary_search(&number).is_err()
            };
            missed += best.iter().take(10).filter(is_missing).count();
        }
        assert!(missed <= 4, "{missed} of 400 with one of {every}");
    }
}

#[test]
fn equal_rows_are_candidates_together() {
    let mut vectors = vec![vec![0.6, 0.8, 0.0]; 4000];
    vectors.resize(5000, vec![0.8, 0.6, 0.0]);
    let rows = Rows::of(&vectors);
    let query = PreparedQuery::new(&[0.6, 0.8, 0.1]).unwrap();
    let candidates = estimates(&query, &rows.codes(), None).candidates(10);
    assert_eq!(candidates, (0..4000).collect::<Vec<u32>>());
}

#[test]
fn a_hundred_thousand_identical_rows_are_estimated_exactly() {
    let stored = StoredVector::new(1, &[1.0, 2.0, -3.0]).unwrap();
    let rows = Rows {
        values: stored.values().repeat(100_000),
        norms: vec![stored.inverse_norm(); 100_000],
    };
    let query = PreparedQuery::new(&[1.0, 1.0, 1.0]).unwrap();
    let estimates = estimates(&query, &rows.codes(), None);
    let exact = query.cosine_with(&stored);
    let near = |value: &f32| (f64::from(*value) - exact).abs() < 1e-5;
    assert!(estimates.values().iter().all(near));
    assert!((estimates.mean() - exact).abs() < 2e-4 && estimates.deviation() < 1e-3);
    assert_eq!(estimates.candidates(10).len(), 100_000);
}

#[test]
fn codes_of_several_parts_are_estimated_as_one() {
    let (vectors, questions) = clustered(64, 300, 1);
    let query = PreparedQuery::new(&questions[0]).unwrap();
    let mut all = Estimates::new();
    let mut starts = Vec::new();
    for part in [&vectors[..45], &vectors[45..46], &vectors[46..]] {
        let codes = Rows::of(part).codes();
        starts.push(QueryCodes::new(&query, &codes).scan(&codes, None, &mut all));
    }
    assert_eq!(starts, [0, 64, 96]);
    assert_eq!(all.count(), 300);
    let alone = estimates(&query, &Rows::of(&vectors[46..]).codes(), None);
    assert_eq!(all.values()[96..], *alone.values());
    let numbers = all.candidates(300);
    let expected = (0..45).chain(64..65).chain(96..350);
    assert_eq!(numbers, expected.collect::<Vec<u32>>());
    all.clear();
    assert_eq!((all.count(), all.candidates(10)), (0, Vec::new()));
}

#[test]
fn codes_come_back_and_damage_is_noticed() {
    let (vectors, questions) = clustered(100, 70, 1);
    let codes = Rows::of(&vectors).codes();
    assert_eq!((codes.len(), codes.width()), (70, 128));
    let bytes: Box<[u8]> = codes.as_bytes().into();
    assert_eq!(Codes::from_bytes(bytes.clone()), Ok(codes.clone()));
    let query = QueryCodes::new(&PreparedQuery::new(&questions[0]).unwrap(), &codes);
    assert!(query.fits(&codes) && !query.fits(&Rows::of(&vectors[1..]).codes()));
    for end in 0..bytes.len() {
        assert!(Codes::from_bytes(bytes[..end].into()).is_err());
    }
    // Version, width, rows, and a component of the centre that is no number.
    for (at, byte) in [(0, 2), (4, 63), (7, 1), (8, 7), (15, 0x7f)] {
        let mut damaged = bytes.clone();
        damaged[at] = byte;
        assert!(Codes::from_bytes(damaged).is_err(), "{at}");
    }
    let none = Codes::encode(&[], &[], &[0.0; 64]);
    assert_eq!(Codes::from_bytes(none.as_bytes().into()), Ok(none.clone()));
    assert!(none.is_empty());
}

/// Codes whose every table entry and sign is as large as can be.
#[test]
fn sums_never_overflow() {
    for dimension in DIMENSIONS {
        let width = padded(dimension);
        let rows: Vec<i8> = [vec![127; width], vec![-127; width]].concat();
        let norm = inverse_norm(&rows[..width]);
        let codes = Codes::encode(&rows, &[norm; 2], &vec![0.0; width]);
        let mut query =
            QueryCodes::new(&PreparedQuery::new(&vec![1.0; dimension]).unwrap(), &codes);
        query.tables.low.fill([63; 32]);
        query.tables.high.fill([63; 32]);
        check_estimates(&query, &codes, None);
        query.line.step = 1.0;
        query.line.start = 0.0;
        query.line.base = 0.0;
        let mut estimates = Estimates::new();
        query.scan(&codes, None, &mut estimates);
        let sum = f64::from(estimates.values()[0]) * f64::from(norm) * 127.0;
        let expected = width as f64 / 4.0 * 63.0 / (width as f64);
        assert!(
            (sum - expected).abs() < 1e-3 * expected,
            "{width}: {sum} {expected}"
        );
    }
}

fn check_estimates(query: &QueryCodes, codes: &Codes, passes: Option<&[u64]>) {
    let of = |kernel| {
        let mut estimates = Estimates::new();
        query.scan_with(kernel, codes, passes, &mut estimates);
        let bits: Vec<u32> = estimates.values().iter().map(|it| it.to_bits()).collect();
        (bits, estimates)
    };
    let expected = of(scalar());
    for kernel in kernels() {
        assert_eq!(of(kernel), expected, "{} {}", kernel.name(), codes.width());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_kernel_gives_the_same_estimates(
        dimension in prop_oneof![1_usize..1400, 60_000_usize..65_536],
        seed: u64,
        rows in 1_usize..140,
        bytes in proptest::collection::vec(-127_i8..=127, 1..97),
        passes in proptest::option::of(any::<[u64; 3]>()),
    ) {
        let query = PreparedQuery::new(&Noise(seed).vector(dimension)).unwrap();
        let rows = if dimension > 9999 { rows.min(40) } else { rows };
        let values = bytes.iter().copied().chain([1]).cycle();
        let values: Vec<i8> = values.take(rows * query.width()).collect();
        let norms = values.chunks(query.width()).map(inverse_norm).collect();
        let codes = Rows { values, norms }.codes();
        let query = QueryCodes::new(&query, &codes);
        check_estimates(&query, &codes, passes.as_ref().map(|it| &it[..]));
    }
}
