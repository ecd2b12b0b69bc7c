//! How fast and how right vectors are found on this machine, kernel by kernel.
//!
//! `cargo run --release -p athena-search --example vectors [ROWS] [DIMENSION]`
//!
//! The data: 1,000 clusters under 30 topics in a latent space of 96 dimensions whose spectrum
//! decays, projected up, with noise and a mean that all vectors share, as embeddings of text have.
//! Times are of the thread's processor clock, medians over the questions (on a busy machine the best says more); recall is that of the
//! ten best by the original floats.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a program that prints a table"
)]

use athena_search::vector::{
    Codes, Estimates, Kernel, PreparedQuery, QueryCodes, StoredVector, centre, kernels,
};
use rustix::time::{ClockId, clock_gettime};

const QUESTIONS: usize = 100;
const BEST: usize = 10;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| {
        let argument = arguments.next();
        argument.map_or(default, |it| it.parse().expect("a whole number"))
    };
    let (rows, dimension) = (number(100_000), number(768));
    let data = Data::generate(rows, dimension);
    data.describe();
    let filters: Vec<Filter> = [1000, 500, 100, 10, 1]
        .into_iter()
        .map(|permille| Filter::new(&data, permille))
        .collect();
    for kernel in kernels() {
        measure(kernel, &data, &filters);
    }
}

fn measure(kernel: &Kernel, data: &Data, filters: &[Filter]) {
    println!("\n{}", kernel.name());
    let rows = Rows::encode(kernel, data);
    exact(kernel, data, &rows);
    for filter in filters {
        approximate(kernel, data, &rows, filter);
    }
}

/// The rows as an index holds them.
struct Rows {
    values: Vec<i8>,
    inverse_norms: Vec<f32>,
    codes: Codes,
}

impl Rows {
    fn encode(kernel: &Kernel, data: &Data) -> Self {
        let mut values = Vec::new();
        let mut inverse_norms = Vec::new();
        let mut times = Vec::new();
        for vector in data.vectors.chunks(data.dimension) {
            let (vector, time) = timed(|| StoredVector::new_with(kernel, 1, vector));
            let vector = vector.expect("generated vectors have a direction");
            values.extend_from_slice(vector.values());
            inverse_norms.push(vector.inverse_norm());
            times.push(time);
        }
        println!("  round a row             {:9.2} µs", median(&mut times));
        let width = values.len() / inverse_norms.len();
        let (centre, time) = timed(|| centre(width, &values, &inverse_norms));
        let count = inverse_norms.len() as f64;
        println!("  add a row to the centre {:9.2} µs", time / count);
        let (codes, time) = timed(|| Codes::encode(&values, &inverse_norms, &centre));
        println!("  give a row its code     {:9.2} µs", time / count);
        Self {
            values,
            inverse_norms,
            codes,
        }
    }

    fn width(&self) -> usize {
        self.codes.width()
    }
}

/// All of 10,000 rows, by bytes.
fn exact(kernel: &Kernel, data: &Data, rows: &Rows) {
    let count = rows.inverse_norms.len().min(10_000);
    let mut products = vec![0; count];
    let (mut preparing, mut scanning) = (Vec::new(), Vec::new());
    for question in &data.questions {
        let (query, time) = timed(|| PreparedQuery::new(question).expect("it has a direction"));
        preparing.push(time);
        let values = &rows.values[..count * rows.width()];
        let ((), time) = timed(|| query.scan_with(kernel, values, None, &mut products));
        scanning.push(time);
    }
    println!(
        "  prepare a question      {:9.2} µs",
        median(&mut preparing)
    );
    let median = median(&mut scanning);
    println!(
        "  bytes, {count:>6} rows      {median:9.1} µs, at best {:.1}",
        scanning[0]
    );
}

/// The rows that pass, by their codes, the candidates by bytes.
fn approximate(kernel: &Kernel, data: &Data, rows: &Rows, filter: &Filter) {
    let passes = (filter.permille < 1000).then_some(&filter.passes[..]);
    let mut times = [const { Vec::new() }; 4];
    let (mut found, mut wanted, mut depth) = (0, 0, 0);
    let mut estimates = Estimates::new();
    for (question, truth) in data.questions.iter().zip(&filter.truths) {
        let query = PreparedQuery::new(question).expect("it has a direction");
        estimates.clear();
        let (codes, prepare) = timed(|| QueryCodes::new(&query, &rows.codes));
        let ((), scan) = timed(|| {
            codes.scan_with(kernel, &rows.codes, passes, &mut estimates);
        });
        let (candidates, select) = timed(|| estimates.candidates(BEST));
        let (best, rescore) = timed(|| best(&query, rows, &candidates));
        for (times, time) in times.iter_mut().zip([prepare, scan, select, rescore]) {
            times.push(time);
        }
        depth += candidates.len();
        wanted += truth.len();
        found += truth.iter().filter(|it| best.contains(it)).count();
    }
    let least = (0..data.questions.len())
        .map(|at| times.iter().map(|times| times[at]).sum())
        .fold(f64::INFINITY, f64::min);
    let [prepare, scan, select, rescore] = times.map(|mut times| median(&mut times));
    println!(
        "  codes, {:5.1} % of rows  {:9.1} µs = {prepare:.1} prepare + {scan:.1} scan + \
         {select:.1} select + {rescore:.1} rescore {} rows, at best {least:.1}; recall {:.4}",
        filter.permille as f64 / 10.0,
        prepare + scan + select + rescore,
        depth / data.questions.len(),
        found as f64 / wanted as f64,
    );
}

/// Which rows are asked for, and the best of them for each question.
struct Filter {
    permille: u64,
    passes: Vec<u64>,
    truths: Vec<Vec<usize>>,
}

impl Filter {
    fn new(data: &Data, permille: u64) -> Self {
        let passes = passing(data.vectors.len() / data.dimension, permille);
        let truth = |question: &Vec<f32>| data.best(question, &passes);
        Self {
            permille,
            truths: data.questions.iter().map(truth).collect(),
            passes,
        }
    }
}

fn best(query: &PreparedQuery, rows: &Rows, candidates: &[u32]) -> Vec<usize> {
    let mut products = vec![0; candidates.len()];
    query.dots(&rows.values, candidates, &mut products);
    let cosines = candidates.iter().zip(products).map(|(&number, product)| {
        let number = number as usize;
        (query.cosine(product, rows.inverse_norms[number]), number)
    });
    first(cosines.collect())
}

/// The numbers of the best.
fn first(mut scored: Vec<(f64, usize)>) -> Vec<usize> {
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.truncate(BEST);
    scored.into_iter().map(|(_, number)| number).collect()
}

fn passing(rows: usize, permille: u64) -> Vec<u64> {
    let mut chance = Chance(9);
    let mut word = |_| {
        (0..64).fold(0, |word, bit| {
            word | u64::from(chance.next() % 1000 < permille) << bit
        })
    };
    (0..rows.div_ceil(64)).map(&mut word).collect()
}

struct Data {
    dimension: usize,
    vectors: Vec<f32>,
    questions: Vec<Vec<f32>>,
}

const LATENT: usize = 96;
const CLUSTERS: usize = 1000;
const TOPICS: usize = 30;
/// The length of what all vectors have in common, beside their own part of length 1.
const COMMON: f32 = 0.85;
const NOISE: f32 = 0.3;

impl Data {
    fn generate(rows: usize, dimension: usize) -> Self {
        let mut chance = Chance(1);
        let spectrum: Vec<f32> = (1..=LATENT).map(|n| (n as f32).powf(-0.4)).collect();
        let mut latent = |scale: f32, around: &[f32]| -> Vec<f32> {
            let pairs = spectrum.iter().zip(around);
            let values: Vec<f32> = pairs
                .map(|(s, at)| at + scale * s * chance.normal())
                .collect();
            values
        };
        let topics: Vec<Vec<f32>> = (0..TOPICS).map(|_| latent(1.0, &[0.0; LATENT])).collect();
        let clusters: Vec<Vec<f32>> = (0..CLUSTERS)
            .map(|n| latent(1.25, &topics[n % TOPICS]))
            .collect();
        let points: Vec<Vec<f32>> = (0..rows + QUESTIONS)
            .map(|n| latent(0.72, &clusters[n * 7919 % CLUSTERS]))
            .collect();
        let common = unit(chance.normals(dimension));
        let projection = chance.normals(LATENT * dimension);
        let mut vectors = Vec::with_capacity((rows + QUESTIONS) * dimension);
        for point in points {
            let mut own = vec![0.0_f32; dimension];
            for (weight, row) in point.iter().zip(projection.chunks(dimension)) {
                for (own, value) in own.iter_mut().zip(row) {
                    *own += weight * value;
                }
            }
            let own = unit(own);
            let noise = unit(chance.normals(dimension));
            let own = unit(own.iter().zip(noise).map(|(a, b)| a + NOISE * b).collect());
            let pairs = own.iter().zip(&common);
            vectors.extend(unit(pairs.map(|(own, c)| own + COMMON * c).collect()));
        }
        let questions = vectors.split_off(rows * dimension);
        Self {
            dimension,
            vectors,
            questions: questions.chunks(dimension).map(<[f32]>::to_vec).collect(),
        }
    }

    fn describe(&self) {
        let rows = self.vectors.len() / self.dimension;
        println!(
            "{rows} rows of {} components, {QUESTIONS} questions",
            self.dimension
        );
        let mut at_ranks = [const { Vec::new() }; 3];
        for question in &self.questions {
            let mut products = self.products(question);
            products.sort_by(|a, b| b.total_cmp(a));
            for (rank, values) in [0, 9, 99].into_iter().zip(&mut at_ranks) {
                values.push(f64::from(products[rank]));
            }
        }
        let [one, ten, hundred] = at_ranks.map(|mut values| median(&mut values));
        println!("median cosine at rank 1, 10, 100: {one:.3}, {ten:.3}, {hundred:.3}");
    }

    fn products(&self, question: &[f32]) -> Vec<f32> {
        let rows = self.vectors.chunks(self.dimension);
        rows.map(|row| dot(question, row)).collect()
    }

    fn best(&self, question: &[f32], passes: &[u64]) -> Vec<usize> {
        let products = self.products(question).into_iter().enumerate();
        let passing = products.filter(|(number, _)| passes[number / 64] >> (number % 64) & 1 == 1);
        first(
            passing
                .map(|(number, product)| (f64::from(product), number))
                .collect(),
        )
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (a, b) = (a.as_chunks::<16>().0, b.as_chunks::<16>().0);
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum()
}

fn unit(values: Vec<f32>) -> Vec<f32> {
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter().map(|value| value / norm).collect()
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// Near enough to normal: the sum of eight uniform numbers.
    fn normal(&mut self) -> f32 {
        let bytes = self.next().to_le_bytes();
        let sum: f32 = bytes.iter().map(|byte| f32::from(*byte)).sum();
        (sum - 1020.0) / 209.0
    }

    fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }
}

/// Runs something; also returns the microseconds of processor time that it took.
fn timed<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let start = now();
    let result = run();
    (result, now() - start)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
