//! Certificates of an authority that exists for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::succeed;

/// An authority whose word is good for nothing but a test.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key in PEM files.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority.
    ///
    /// # Panics
    ///
    /// There is no `openssl`.
    #[must_use]
    pub fn new() -> Self {
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut request = authority.request("root", "Athena's test authority");
        request.args(["-x509", "-days", "2"]);
        request.args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        succeed(&mut request);
        authority
    }

    /// Returns the file of the authority's own certificate.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.path("root.crt")
    }

    /// Vouches for somebody: `name` for files and for who it is, `subject` as in
    /// `DNS:localhost` for where it may be met.
    ///
    /// # Panics
    ///
    /// `openssl` does not like the names.
    #[must_use]
    pub fn identity(&self, name: &str, subject: &str) -> Identity {
        succeed(&mut self.request(name, name));
        let extensions = self.path("extensions");
        std::fs::write(&extensions, format!("subjectAltName={subject}\n")).unwrap();
        succeed(
            Command::new("openssl")
                .args(["x509", "-req", "-days", "2", "-CAcreateserial", "-in"])
                .arg(self.path(&format!("{name}.csr")))
                .arg("-CA")
                .arg(self.root())
                .arg("-CAkey")
                .arg(self.path("root.key"))
                .arg("-extfile")
                .arg(extensions)
                .arg("-out")
                .arg(self.path(&format!("{name}.crt"))),
        );
        Identity {
            certificate: self.path(&format!("{name}.crt")),
            key: self.path(&format!("{name}.key")),
        }
    }

    fn request(&self, name: &str, subject: &str) -> Command {
        let out = if name == "root" { "crt" } else { "csr" };
        let mut command = Command::new("openssl");
        command
            .args(["req", "-new", "-nodes", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-subj", &format!("/CN={subject}")])
            .arg("-keyout")
            .arg(self.path(&format!("{name}.key")))
            .arg("-out")
            .arg(self.path(&format!("{name}.{out}")));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(self.folder.path(), name)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
