//! Values that the configuration allows.

use std::collections::HashSet;

use crate::kind::{Finding, Kind};
use crate::normalise::normalise;

/// Values and domains that are never findings, in lower case.
#[derive(Debug, Default)]
pub(super) struct AllowList {
    values: HashSet<String>,
    domains: HashSet<String>,
    parents: HashSet<String>,
}

impl AllowList {
    pub(super) fn extend(&mut self, values: impl IntoIterator<Item = String>) {
        for value in values {
            let value = value.trim().to_lowercase();
            if let Some(domain) = value.strip_prefix('@') {
                self.domains.insert(domain.to_owned());
            } else if let Some(domain) = value.strip_prefix("*.") {
                self.parents.insert(domain.to_owned());
            } else {
                self.values.extend(
                    Kind::BUILT_IN
                        .iter()
                        .map(|kind| normalise(kind, &value).to_lowercase()),
                );
                self.values.insert(value);
            }
        }
    }

    pub(super) fn contains(&self, finding: &Finding, value: &str) -> bool {
        self.contains_value(finding, value) || self.contains_domain(finding, value)
    }

    fn contains_value(&self, finding: &Finding, value: &str) -> bool {
        !self.values.is_empty()
            && (self
                .values
                .contains(&normalise(&finding.kind, value).to_lowercase())
                || self.values.contains(&value.to_lowercase()))
    }

    fn contains_domain(&self, finding: &Finding, value: &str) -> bool {
        if self.domains.is_empty() && self.parents.is_empty() {
            return false;
        }
        let Some(domain) = domain_of(&finding.kind, value) else {
            return false;
        };
        let domain = domain.to_lowercase();
        self.domains.contains(&domain) || self.is_below_a_parent(&domain)
    }

    fn is_below_a_parent(&self, domain: &str) -> bool {
        let dots = domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..]);
        std::iter::once(domain)
            .chain(dots)
            .any(|parent| self.parents.contains(parent))
    }
}

/// Returns the domain of an e-mail address or URL.
fn domain_of<'v>(kind: &Kind, value: &'v str) -> Option<&'v str> {
    match kind {
        Kind::Email => value.rsplit_once('@').map(|(_, domain)| domain),
        Kind::Url => {
            let authority = value.split_once("://")?.1.split(['/', '?', '#']).next()?;
            authority.rsplit('@').next()?.split(':').next()
        }
        _ => None,
    }
}
