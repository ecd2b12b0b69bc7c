//! Keys that are known by their format: a prefix, an alphabet and a length.

use super::super::scan::{Scan, is_word};
use super::{jwt, value};
use crate::kind::Kind;

const CONFIDENCE: f64 = 0.95;

/// The characters after a prefix.
#[derive(Clone, Copy)]
enum Set {
    /// Letters and digits.
    Alnum,
    /// Letters, digits and `_`.
    Word,
    /// Letters, digits, `_` and `-`.
    Url,
    /// Those and `.`.
    Dotted,
    /// Those and `=`, `:`.
    Loose,
    /// Base64, also of the kind for URLs.
    Base64,
    /// Lower-case hexadecimal digits.
    Hex,
    /// Hexadecimal digits in groups.
    HexDash,
    /// Capital letters and digits.
    Upper,
    /// Lower-case letters and digits.
    Lower,
}

use Set::{Alnum, Base64, Dotted, Hex, HexDash, Loose, Lower, Upper, Url, Word};

/// Prefix, rule, alphabet, and the shortest and longest rest.
type Format = (&'static str, &'static str, Set, usize, usize);

#[rustfmt::skip]
static FORMATS: [Format; 178] = [
    ("AKIA", "aws_access_key", Upper, 16, 16),
    ("ASIA", "aws_access_key", Upper, 16, 16),
    ("ABIA", "aws_access_key", Upper, 16, 16),
    ("ACCA", "aws_access_key", Upper, 16, 16),
    ("A3T", "aws_access_key", Upper, 17, 17),
    ("ABSK", "aws_bedrock_key", Base64, 109, 269),
    ("ghp_", "github_token", Alnum, 36, 255),
    ("gho_", "github_token", Alnum, 36, 255),
    ("ghu_", "github_token", Alnum, 36, 255),
    ("ghs_", "github_token", Dotted, 36, 600),
    ("ghr_", "github_token", Alnum, 36, 255),
    ("github_pat_", "github_token", Word, 60, 255),
    ("glpat-", "gitlab_token", Dotted, 20, 300),
    ("gldt-", "gitlab_token", Dotted, 20, 64),
    ("glrt-", "gitlab_token", Dotted, 20, 64),
    ("glrtr-", "gitlab_token", Dotted, 20, 64),
    ("glft-", "gitlab_token", Dotted, 20, 64),
    ("glffct-", "gitlab_token", Dotted, 20, 64),
    ("glsoat-", "gitlab_token", Dotted, 20, 64),
    ("glptt-", "gitlab_token", Hex, 40, 40),
    ("glcbt-", "gitlab_token", Dotted, 20, 64),
    ("glimt-", "gitlab_token", Dotted, 20, 64),
    ("glagent-", "gitlab_token", Dotted, 40, 64),
    ("gloas-", "gitlab_token", Dotted, 40, 64),
    ("glwt-", "gitlab_token", Dotted, 20, 64),
    ("GR1348941", "gitlab_token", Url, 20, 20),
    ("xoxb-", "slack_token", Url, 20, 300),
    ("xoxp-", "slack_token", Url, 20, 300),
    ("xoxa-", "slack_token", Url, 20, 300),
    ("xoxr-", "slack_token", Url, 20, 300),
    ("xoxs-", "slack_token", Url, 20, 300),
    ("xoxo-", "slack_token", Url, 20, 300),
    ("xoxe-", "slack_token", Url, 20, 300),
    ("xoxe.xoxb-", "slack_token", Url, 20, 400),
    ("xoxe.xoxp-", "slack_token", Url, 20, 400),
    ("xoxc-", "slack_token", Url, 20, 300),
    ("xoxd-", "slack_token", Url, 20, 400),
    ("xapp-", "slack_token", Url, 20, 300),
    ("hooks.slack.com/", "slack_webhook", Base64, 40, 100),
    ("discord.com/api/webhooks/", "discord_webhook", Base64, 70, 120),
    ("discordapp.com/api/webhooks/", "discord_webhook", Base64, 70, 120),
    ("sk_live_", "stripe_key", Alnum, 10, 247),
    ("sk_test_", "stripe_key", Alnum, 10, 247),
    ("sk_prod_", "stripe_key", Alnum, 10, 247),
    ("rk_live_", "stripe_key", Alnum, 10, 247),
    ("rk_test_", "stripe_key", Alnum, 10, 247),
    ("rk_prod_", "stripe_key", Alnum, 10, 247),
    ("whsec_", "stripe_webhook_secret", Base64, 24, 88),
    ("sk-proj-", "openai_key", Url, 20, 250),
    ("sk-svcacct-", "openai_key", Url, 20, 250),
    ("sk-admin-", "openai_key", Url, 20, 250),
    ("sk-None-", "openai_key", Url, 20, 250),
    ("sk-ant-", "anthropic_key", Url, 24, 160),
    ("sk-or-v1-", "openrouter_key", Hex, 64, 64),
    ("sk-lf-", "langfuse_key", HexDash, 36, 36),
    ("sk-", "openai_key", Alnum, 20, 100),
    ("AIza", "google_api_key", Url, 35, 35),
    ("GOCSPX-", "google_client_secret", Url, 28, 28),
    ("ya29.", "google_oauth_token", Dotted, 20, 2048),
    ("npm_", "npm_token", Alnum, 36, 36),
    ("pypi-AgE", "pypi_token", Url, 50, 1000),
    ("hf_", "hugging_face_token", Alnum, 30, 40),
    ("api_org_", "hugging_face_token", Alnum, 34, 34),
    ("dop_v1_", "digitalocean_token", Hex, 64, 64),
    ("doo_v1_", "digitalocean_token", Hex, 64, 64),
    ("dor_v1_", "digitalocean_token", Hex, 64, 64),
    ("SG.", "sendgrid_key", Dotted, 60, 70),
    ("xkeysib-", "brevo_key", Url, 60, 90),
    ("xsmtpsib-", "brevo_key", Url, 60, 90),
    ("SK", "twilio_key", Hex, 32, 32),
    ("key-", "mailgun_key", Hex, 32, 32),
    ("HRKU-", "heroku_key", Url, 36, 70),
    ("shpat_", "shopify_token", HexDash, 32, 32),
    ("shpca_", "shopify_token", HexDash, 32, 32),
    ("shppa_", "shopify_token", HexDash, 32, 32),
    ("shpss_", "shopify_token", HexDash, 32, 32),
    ("shpua_", "shopify_token", HexDash, 32, 32),
    ("sq0atp-", "square_token", Url, 22, 22),
    ("sq0csp-", "square_secret", Url, 43, 43),
    ("EAAA", "square_token", Url, 60, 60),
    ("EAA", "facebook_token", Alnum, 60, 400),
    ("dapi", "databricks_token", HexDash, 32, 34),
    ("dckr_pat_", "docker_token", Url, 27, 32),
    ("dckr_oat_", "docker_token", Url, 27, 36),
    ("hvs.", "vault_token", Url, 24, 300),
    ("hvb.", "vault_token", Url, 90, 400),
    ("hvr.", "vault_token", Url, 24, 300),
    ("dp.pt.", "doppler_token", Alnum, 40, 44),
    ("dp.st.", "doppler_token", Dotted, 40, 80),
    ("dp.ct.", "doppler_token", Alnum, 40, 44),
    ("dp.sa.", "doppler_token", Alnum, 40, 44),
    ("dp.scim.", "doppler_token", Alnum, 40, 44),
    ("dp.audit.", "doppler_token", Alnum, 40, 44),
    ("lin_api_", "linear_key", Alnum, 32, 64),
    ("lin_oauth_", "linear_key", Alnum, 32, 80),
    ("secret_", "notion_token", Alnum, 43, 43),
    ("ntn_", "notion_token", Alnum, 43, 50),
    ("sntrys_", "sentry_token", Base64, 60, 500),
    ("sntryu_", "sentry_token", Hex, 64, 64),
    ("NRAK-", "new_relic_key", Upper, 27, 27),
    ("NRJS-", "new_relic_key", Hex, 19, 19),
    ("NRII-", "new_relic_key", Url, 32, 32),
    ("NRIQ-", "new_relic_key", Url, 32, 32),
    ("glsa_", "grafana_token", Word, 41, 41),
    ("glc_", "grafana_token", Base64, 32, 400),
    ("v1.0-", "cloudflare_origin_key", HexDash, 171, 171),
    ("pscale_tkn_", "planetscale_token", Loose, 32, 64),
    ("pscale_pw_", "planetscale_token", Loose, 32, 64),
    ("pscale_oauth_", "planetscale_token", Loose, 32, 64),
    ("sbp_", "supabase_token", Alnum, 40, 64),
    ("sb_secret_", "supabase_token", Url, 20, 64),
    ("vcp_", "vercel_token", Alnum, 24, 64),
    ("vercel_blob_rw_", "vercel_token", Word, 24, 64),
    ("nfp_", "netlify_token", Alnum, 36, 40),
    ("PMAK-", "postman_key", HexDash, 59, 59),
    ("rubygems_", "rubygems_key", Hex, 48, 48),
    ("cio", "crates_io_token", Alnum, 32, 32),
    ("AGE-SECRET-KEY-1", "age_key", Upper, 58, 58),
    ("xai-", "xai_key", Alnum, 64, 100),
    ("gsk_", "groq_key", Alnum, 40, 64),
    ("pplx-", "perplexity_key", Alnum, 40, 64),
    ("r8_", "replicate_token", Alnum, 37, 40),
    ("tskey-", "tailscale_key", Url, 20, 100),
    ("ops_eyJ", "onepassword_token", Base64, 200, 2000),
    ("A3-", "onepassword_key", Url, 30, 40),
    ("aio_", "adafruit_key", Alnum, 28, 28),
    ("pat", "airtable_token", Dotted, 79, 79),
    ("AKCp", "artifactory_key", Alnum, 69, 73),
    ("ATATT3", "atlassian_token", Base64, 100, 250),
    ("ATCTT3", "atlassian_token", Base64, 100, 250),
    ("ATBB", "bitbucket_token", Alnum, 24, 40),
    ("CLOJARS_", "clojars_token", Lower, 60, 60),
    ("CFPAT-", "contentful_token", Url, 40, 64),
    ("sl.", "dropbox_token", Url, 100, 1400),
    ("duffel_live_", "duffel_token", Loose, 43, 43),
    ("duffel_test_", "duffel_token", Loose, 43, 43),
    ("dt0c01.", "dynatrace_token", Dotted, 80, 100),
    ("dt0s16.", "dynatrace_token", Dotted, 80, 100),
    ("EZAK", "easypost_key", Alnum, 54, 54),
    ("EZTK", "easypost_key", Alnum, 54, 54),
    ("FLWSECK", "flutterwave_key", Url, 13, 60),
    ("FlyV1", "flyio_token", Base64, 43, 2000),
    ("fo1_", "flyio_token", Url, 43, 43),
    ("fm1r_", "flyio_token", Base64, 100, 2000),
    ("fm2_", "flyio_token", Base64, 100, 2000),
    ("fio-u-", "frameio_token", Loose, 64, 64),
    ("ico-", "infracost_key", Alnum, 32, 32),
    ("sha256~", "openshift_token", Url, 43, 43),
    ("pnu_", "prefect_token", Lower, 36, 36),
    ("pul-", "pulumi_token", Hex, 40, 40),
    ("rdme_", "readme_token", Lower, 70, 70),
    ("shippo_live_", "shippo_token", Hex, 40, 40),
    ("shippo_test_", "shippo_token", Hex, 40, 40),
    ("sgp_", "sourcegraph_token", Word, 40, 64),
    ("tfp_", "typeform_token", Loose, 40, 64),
    ("oy2", "nuget_key", Lower, 43, 43),
    ("API-", "octopus_key", Upper, 26, 26),
    ("bkua_", "buildkite_token", Hex, 40, 40),
    ("CCIPAT_", "circleci_token", Word, 40, 80),
    ("figd_", "figma_token", Url, 38, 64),
    ("pat-na1-", "hubspot_token", HexDash, 36, 36),
    ("pat-eu1-", "hubspot_token", HexDash, 36, 36),
    ("lsv2_pt_", "langsmith_key", Word, 40, 50),
    ("lsv2_sk_", "langsmith_key", Word, 40, 50),
    ("pcsk_", "pinecone_key", Word, 40, 90),
    ("tvly-", "tavily_key", Url, 30, 64),
    ("re_", "resend_key", Word, 32, 40),
    ("fc-", "firecrawl_key", Hex, 32, 32),
    ("napi_", "neon_key", Alnum, 40, 80),
    ("rnd_", "render_key", Alnum, 24, 40),
    ("LTAI", "alibaba_access_key", Alnum, 17, 26),
    ("AQVN", "yandex_key", Url, 35, 38),
    ("t1.9eue", "yandex_token", Dotted, 60, 300),
    ("sk.eyJ1", "mapbox_token", Dotted, 60, 200),
    ("sm_aat_", "settlemint_token", Alnum, 16, 16),
    ("esecret_", "anyscale_key", Alnum, 24, 64),
    ("nvapi-", "nvidia_key", Url, 60, 80),
    ("eyJrIjoi", "grafana_key", Base64, 70, 400),
];

/// The end of a list in [`INDEX`].
const NONE: u8 = u8::MAX;

/// Lists of formats by their first two bytes.
static INDEX: Index = index();

/// Where each list begins, and for each format the next of its list.
struct Index {
    first: [u8; 1024],
    next: [u8; FORMATS.len()],
}

const fn index() -> Index {
    let mut index = Index {
        first: [NONE; 1024],
        next: [NONE; FORMATS.len()],
    };
    let mut format = FORMATS.len();
    while format > 0 {
        format -= 1;
        let prefix = FORMATS[format].0.as_bytes();
        let slot = slot(prefix[0], prefix[1]);
        index.next[format] = index.first[slot];
        #[expect(
            clippy::cast_possible_truncation,
            reason = "there are fewer than 255 formats"
        )]
        let position = format as u8;
        index.first[slot] = position;
    }
    index
}

const fn slot(first: u8, second: u8) -> usize {
    (first as usize * 37 + second as usize) % 1024
}

/// Reports the key that begins with the word from `start` to `end`, and returns its end.
#[inline]
pub(super) fn find(scan: &mut Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let list = INDEX.first[slot(scan.at(start), scan.at(start + 1))];
    if list != NONE
        && let Some(end) = prefixed(scan, start, list)
    {
        return Some(end);
    }
    if scan.has(start, b"eyJ") {
        return jwt::find(scan, start);
    }
    if scan.has(start, b"bot") && number(scan, start + 3, end) {
        return Some(end);
    }
    if end - start < 14 {
        return None;
    }
    unprefixed(scan, start, end)
}

/// Reports a key by its prefix, one of a list.
fn prefixed(scan: &mut Scan<'_>, start: usize, list: u8) -> Option<usize> {
    let mut list = usize::from(list);
    while let Some((prefix, rule, set, shortest, longest)) = FORMATS.get(list) {
        list = usize::from(INDEX.next[list]);
        if !scan.has(start, prefix.as_bytes()) {
            continue;
        }
        let body = start + prefix.len();
        let end = scan.end_of(body, longest + 1, |b| set.has(b));
        let end = if matches!(set, Dotted | Loose) {
            scan.start_of(end, 3, |b| b == b'.').max(body)
        } else {
            end
        };
        let fits = (*shortest..=*longest).contains(&(end - body)) && !is_word(scan.at(end));
        if fits && is_random(&scan.text[body..end]) {
            let start = url_start(scan, start, prefix);
            scan.report(Kind::Secret, rule, start..end, CONFIDENCE);
            return Some(end);
        }
    }
    None
}

/// Returns where the URL of a web hook begins, or `start`.
fn url_start(scan: &Scan<'_>, start: usize, prefix: &str) -> usize {
    let is_url = prefix.contains('/') && scan.text[..start].ends_with("://");
    if !is_url {
        return start;
    }
    scan.start_of(start - 3, 8, |b| b.is_ascii_alphabetic())
}

/// Whether the characters after a prefix were drawn rather than written.
fn is_random(body: &str) -> bool {
    !body.ends_with("EXAMPLE")
        && !value::is_placeholder(body)
        && value::entropy(body) > 2.3
        && (body.len() < 20 || body.bytes().any(|b| b.is_ascii_digit()) || is_mixed(body))
}

fn is_mixed(body: &str) -> bool {
    let lower = body.bytes().filter(u8::is_ascii_lowercase).count();
    let upper = body.bytes().filter(u8::is_ascii_uppercase).count();
    (lower > 3 && upper > 3) || lower == 0
}

/// Reports a key of a format without a prefix.
fn unprefixed(scan: &mut Scan<'_>, start: usize, end: usize) -> Option<usize> {
    let length = end - start;
    let (rule, end) = if length == 14 && scan.has(end, b".atlasv1.") {
        (
            "terraform_token",
            scan.end_of(end + 9, 80, |b| Url.has(b) || b == b'='),
        )
    } else if (23..=28).contains(&length)
        && matches!(scan.at(start), b'M' | b'N' | b'O')
        && scan.at(end) == b'.'
    {
        ("discord_token", discord_end(scan, end)?)
    } else if length == 32 && scan.at(end) == b'-' {
        ("mailchimp_key", hex_with_suffix(scan, start, end)?)
    } else {
        return None;
    };
    scan.report(Kind::Secret, rule, start..end, CONFIDENCE);
    Some(end)
}

fn discord_end(scan: &Scan<'_>, dot: usize) -> Option<usize> {
    let second = scan.end_of(dot + 1, 8, |b| Url.has(b));
    let third = scan.end_of(second + 1, 48, |b| Url.has(b));
    let fits =
        second - dot == 7 && scan.at(second) == b'.' && (27..=38).contains(&(third - second - 1));
    fits.then_some(third)
}

/// Returns the end of 32 hexadecimal digits with `-us1` or with two groups of eight after them.
fn hex_with_suffix(scan: &Scan<'_>, start: usize, end: usize) -> Option<usize> {
    if !scan.bytes[start..end].iter().all(|b| Hex.has(*b)) {
        return None;
    }
    if scan.has(end, b"-us") {
        let digits = scan.end_of(end + 3, 3, |b| b.is_ascii_digit());
        return ((1..=2).contains(&(digits - end - 3)) && !is_word(scan.at(digits)))
            .then_some(digits);
    }
    let first = scan.end_of(end + 1, 9, |b| Hex.has(b));
    let second = scan.end_of(first + 1, 9, |b| Hex.has(b));
    let fits = first - end == 9 && scan.at(first) == b'-' && second - first == 9;
    (fits && !is_word(scan.at(second))).then_some(second)
}

/// Reports the key that begins with the digits of the word from `start` to `end`.
pub(in super::super) fn number(scan: &mut Scan<'_>, start: usize, end: usize) -> bool {
    if scan.at(end) == b':' && (8..=10).contains(&(end - start)) && scan.has(end + 1, b"AA") {
        let body = scan.end_of(end + 1, 40, |b| Url.has(b));
        if body - end == 36 {
            scan.report(Kind::Secret, "telegram_bot_token", start..body, CONFIDENCE);
            return true;
        }
    }
    if scan.has(start, b"1//0") {
        let body = scan.end_of(start + 4, 120, |b| Url.has(b));
        if body - start > 40 {
            scan.report(
                Kind::Secret,
                "google_refresh_token",
                start..body,
                CONFIDENCE,
            );
            return true;
        }
    }
    end - start == 32 && unprefixed(scan, start, end).is_some()
}

/// Reports the secret of an Azure application whose `~` stands at `tilde`.
pub(in super::super) fn azure(scan: &mut Scan<'_>, tilde: usize) -> bool {
    if scan.before(tilde) != b'Q' || tilde < 5 || !scan.at(tilde - 2).is_ascii_digit() {
        return false;
    }
    let start = scan.start_of(tilde, 5, is_azure);
    let end = scan.end_of(tilde + 1, 36, is_azure);
    let end = scan.start_of(end, 2, |b| b == b'.').max(tilde + 1);
    let fits = tilde - start == 5 && (31..=34).contains(&(end - tilde - 1));
    if fits {
        scan.report(Kind::Secret, "azure_client_secret", start..end, CONFIDENCE);
    }
    fits
}

fn is_azure(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'~' | b'.' | b'-')
}

impl Set {
    fn has(self, b: u8) -> bool {
        match self {
            Alnum => b.is_ascii_alphanumeric(),
            Word => is_word(b),
            Url => is_word(b) || b == b'-',
            Dotted => is_word(b) || matches!(b, b'-' | b'.'),
            Loose => is_word(b) || matches!(b, b'-' | b'.' | b'=' | b':'),
            Base64 => is_word(b) || matches!(b, b'-' | b'+' | b'/' | b'=' | b'%'),
            Hex => b.is_ascii_digit() || matches!(b, b'a'..=b'f'),
            HexDash => b.is_ascii_hexdigit() || b == b'-',
            Upper => b.is_ascii_digit() || b.is_ascii_uppercase(),
            Lower => b.is_ascii_digit() || b.is_ascii_lowercase(),
        }
    }
}
