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
