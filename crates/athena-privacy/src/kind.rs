//! What is found: kinds of personal data, and where they stand in a text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A kind of personal data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// The number of a payment card.
    CreditCard,
    /// An international bank account number.
    Iban,
    /// A social security number of the United States.
    UsSsn,
    /// Another country's number of a person, such as an NHS number or a CPF.
    NationalId,
    /// A public address of the internet protocol.
    IpAddress,
    /// A URL with credentials.
    Url,
    /// A path below somebody's home.
    Path,
    /// A key, token, password or other secret.
    Secret,
    /// What a pattern of the configuration finds, by the pattern's name.
    Custom(Arc<str>),
}

impl Kind {
    /// Every kind that needs no configuration.
    pub const BUILT_IN: [Self; 10] = [
        Self::Email,
        Self::Phone,
        Self::CreditCard,
        Self::Iban,
        Self::UsSsn,
        Self::NationalId,
        Self::IpAddress,
        Self::Url,
        Self::Path,
        Self::Secret,
    ];

    /// Returns the kind of that name: a built-in one, or that of a pattern.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let built_in = Self::BUILT_IN.into_iter().find(|it| it.as_str() == name);
        built_in.unwrap_or_else(|| Self::Custom(name.into()))
    }

    /// Returns the name that tokens and reports use, such as `credit_card`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::CreditCard => "credit_card",
            Self::Iban => "iban",
            Self::UsSsn => "us_ssn",
            Self::NationalId => "national_id",
            Self::IpAddress => "ip_address",
            Self::Url => "url",
            Self::Path => "path",
            Self::Secret => "secret",
            Self::Custom(name) => name,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Personal data in a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Which rule found it, such as `aws_access_key`.
    pub rule: Arc<str>,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// The part of it, in bytes, that a token replaces: of a path only the home, otherwise all.
    pub masked: Range<usize>,
    /// How sure the rule is, 0 to 1.
    pub confidence: f64,
}
