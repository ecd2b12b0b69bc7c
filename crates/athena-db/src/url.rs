//! What the URL of a server says beside what the driver reads of it, and which file one of SQLite
//! names.

use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::error::{Error, ErrorKind, Result};

/// Returns the URL of a SQLite file, whatever signs its path is made of.
///
/// ```
/// use athena_db::{sqlite_file, sqlite_url};
/// use std::path::Path;
///
/// let path = Path::new("/home/me/100% mine?.db");
/// assert_eq!(sqlite_url(path), "sqlite:/home/me/100%25 mine%3F.db");
/// assert_eq!(sqlite_file(&sqlite_url(path)).as_deref(), Some(path));
/// ```
#[must_use]
pub fn sqlite_url(path: &Path) -> String {
    let path = path.as_os_str().as_encoded_bytes();
    // What would be read as something else than the beginning of a path.
    let before = match path {
        b":memory:" => "./",
        [b'/', b'/', ..] => "//",
        _ => "",
    };
    let mut url = format!("sqlite:{before}");
    for chunk in path.utf8_chunks() {
        url.push_str(&chunk.valid().replace('%', "%25").replace('?', "%3F"));
        url.push_str(&percent_encode(chunk.invalid(), NON_ALPHANUMERIC).to_string());
    }
    url
}

/// Returns the file that a URL of SQLite names; `None` for one in memory, and for other databases.
///
/// `%20` and the like stand for the signs that they encode; a `%` that encodes nothing is one.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let (path, options) = sqlite_parts(url)?;
    let in_memory =
        path.as_os_str() == ":memory:" || options.split('&').any(|o| o == "mode=memory");
    (!in_memory && path.as_os_str() != "").then_some(path)
}

/// Splits the URL of a SQLite database into the file and the options.
pub(crate) fn sqlite_parts(url: &str) -> Option<(PathBuf, &str)> {
    let rest = url.strip_prefix("sqlite:")?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    Some((path_of(percent_decode_str(path).collect()), options))
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// The options of a URL that are ours to follow.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) mode: SslMode,
    /// Whom to trust.
    pub(crate) roots: Option<Roots>,
    /// Who we say we are.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// Connections are shared with others between transactions: a pooler stands in between.
    pub(crate) pooled: bool,
}

/// `sslmode`, as `libpq` knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS only where the server insists.
    Allow,
    /// TLS where the server can, with whomever it is.
    #[default]
    Prefer,
    /// TLS with whomever it is.
    Require,
    /// TLS with somebody whom an authority vouches for.
    VerifyCa,
    /// TLS with the host that the URL names.
    VerifyFull,
}

/// Where the certificates of trusted authorities are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    /// In the operating system's store.
    System,
    /// In a PEM file.
    File(PathBuf),
}

impl SslMode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// Takes our options out of a URL, and returns the rest of it.
pub(crate) fn split(url: &str) -> Result<(String, Options)> {
    let host = url.find('@').unwrap_or(0);
    let Some(start) = url[host..].find('?').map(|start| host + start) else {
        return Ok((url.to_owned(), Options::default()));
    };
    let mut options = Options::default();
    let mut rest = Vec::new();
    let pairs = url[start + 1..].split('&').filter(|pair| !pair.is_empty());
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !options.take(name, &decode(value)?)? {
            rest.push(pair);
        }
    }
    options.check()?;
    let separator = if rest.is_empty() { "" } else { "?" };
    let url = format!("{}{separator}{}", &url[..start], rest.join("&"));
    Ok((url, options))
}

impl Options {
    /// Follows an option; `false` says that it is not ours.
    fn take(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "sslmode" => {
                self.mode = SslMode::parse(value).ok_or_else(|| {
                    wrong("`sslmode` may be disable, allow, prefer, require, verify-ca or verify-full")
                })?;
            }
            "sslrootcert" if value == "system" => self.roots = Some(Roots::System),
            "sslrootcert" => self.roots = Some(Roots::File(value.into())),
            "sslcert" => self.certificate = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            "pooler" => {
                self.pooled = match value {
                    "transaction" => true,
                    "session" => false,
                    _ => return Err(wrong("`pooler` may be transaction or session")),
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn check(&mut self) -> Result<()> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err(wrong("`sslcert` and `sslkey` belong together"));
        }
        // As `libpq` has it: whoever names authorities wants them asked.
        if self.roots.is_some() && self.mode == SslMode::Require {
            self.mode = SslMode::VerifyCa;
        }
        Ok(())
    }
}

fn decode(value: &str) -> Result<String> {
    let decoded = percent_decode_str(value).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| wrong("an option is not UTF-8"))
}

fn wrong(message: &str) -> Error {
    let message = format!("the URL of the server cannot be read: {message}");
    Error::new(ErrorKind::Connection, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_options_are_taken_out() {
        let (url, options) = split(
            "postgres://u:p@h/db?sslmode=verify-full&application_name=x&sslrootcert=%2Fa%20b%2Froot.crt&pooler=transaction",
        )
        .unwrap();
        assert_eq!(url, "postgres://u:p@h/db?application_name=x");
        assert_eq!(
            options,
            Options {
                mode: SslMode::VerifyFull,
                roots: Some(Roots::File("/a b/root.crt".into())),
                pooled: true,
                ..Options::default()
            }
        );
        let (url, options) = split("postgres://u:p?q@h/db?sslmode=disable").unwrap();
        assert_eq!(
            (url.as_str(), options.mode),
            ("postgres://u:p?q@h/db", SslMode::Disable)
        );
        assert_eq!(split("postgres://h").unwrap().1, Options::default());
    }

    #[test]
    fn a_file_is_found_whatever_its_name() {
        let file = |url: &str| sqlite_file(url).map(|path| path.display().to_string());
        assert_eq!(file("sqlite:a%20b.db").as_deref(), Some("a b.db"));
        assert_eq!(file("sqlite:50%.db").as_deref(), Some("50%.db"));
        assert_eq!(
            file("sqlite:///a/b#c.db?mode=ro").as_deref(),
            Some("/a/b#c.db")
        );
        assert_eq!(file("sqlite::memory:"), None);
        assert_eq!(file("sqlite:?mode=memory"), None);
        assert_eq!(file("postgres://h/d"), None);
        assert_eq!(file("sqlite:a.db?mode=memory"), None);
    }

    #[test]
    fn a_url_names_the_path_that_it_was_made_of() {
        for path in [
            "/a/b.db",
            "//data/x.db",
            "///data//x.db",
            "é ü.db",
            "50%.db",
            "%41",
            "a?b#c.db",
            "?mode=ro",
            "?mode=memory",
            "./:memory:",
            "/:memory:",
            "a:b",
        ] {
            let path = Path::new(path);
            let file = sqlite_file(&sqlite_url(path)).unwrap();
            assert_eq!(file.as_os_str(), path.as_os_str());
        }
        let in_memory = sqlite_url(Path::new(":memory:"));
        assert_eq!(sqlite_file(&in_memory), Some("./:memory:".into()));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_utf_8() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff?%\xc3\xa9\xe2\x82.db"));
        let url = sqlite_url(path);
        assert_eq!(url, "sqlite:/a%FF%3F%25é%E2%82.db");
        assert_eq!(sqlite_file(&url).as_deref(), Some(path));
    }

    #[test]
    fn naming_authorities_asks_them() {
        let mode = |url| split(url).unwrap().1.mode;
        assert_eq!(mode("postgres://h?sslmode=require"), SslMode::Require);
        assert_eq!(
            mode("postgres://h?sslrootcert=system&sslmode=require"),
            SslMode::VerifyCa
        );
    }

    #[test]
    fn wrong_options_are_errors_without_their_values() {
        for url in [
            "postgres://h?sslmode=secret",
            "postgres://h?sslcert=secret",
            "postgres://h?pooler=secret",
            "postgres://h?sslmode=%ff",
        ] {
            let error = split(url).unwrap_err();
            assert!(
                error.is_connection() && !error.to_string().contains("secret"),
                "{error}"
            );
        }
    }
}
