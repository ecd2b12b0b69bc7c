//! Stopping a statement, which takes a connection of its own.
//!
//! Whoever asks must not hang up before the server does: PgBouncer 1.18 ends itself over it, and
//! the wish would be lost on others. When the server hangs up it has told the statement.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::config::Host;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, Config};

use super::tls::{Encrypted, Handshake, Tls};

/// The ways to a server.
#[derive(Debug)]
pub(super) struct Ways {
    endpoints: Vec<(Endpoint, u16)>,
    tls: Tls,
}

#[derive(Debug)]
enum Endpoint {
    Named {
        host: String,
        address: String,
    },
    #[cfg(unix)]
    Socket(std::path::PathBuf),
}

/// How long the server has to take note.
const PATIENCE: Duration = Duration::from_secs(5);

impl Ways {
    pub(super) fn new(config: &Config, tls: Tls) -> Self {
        let addresses = config.get_hostaddrs();
        let count = config.get_hosts().len().max(addresses.len());
        let ports = config.get_ports();
        let endpoints = (0..count).filter_map(|index| {
            let port = ports.get(index).or(ports.first()).copied();
            let endpoint = endpoint(config.get_hosts().get(index), addresses.get(index))?;
            Some((endpoint, port.unwrap_or(5432)))
        });
        Self {
            endpoints: endpoints.collect(),
            tls,
        }
    }

    /// Asks to stop whatever runs on a connection, and waits until the server has heard.
    ///
    /// Where a name stands for several servers all are asked: nobody says which of them it is,
    /// and only that one knows the connection.
    pub(super) async fn cancel(&self, token: &CancelToken) {
        let all = async {
            for (endpoint, port) in &self.endpoints {
                let _ = self.ask(token, endpoint, *port).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }

    async fn ask(&self, token: &CancelToken, endpoint: &Endpoint, port: u16) -> io::Result<()> {
        match endpoint {
            Endpoint::Named { host, address } => {
                for address in tokio::net::lookup_host((address.as_str(), port)).await? {
                    if let Ok(stream) = TcpStream::connect(address).await {
                        self.say(token, stream, host).await?;
                    }
                }
                Ok(())
            }
            #[cfg(unix)]
            Endpoint::Socket(folder) => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                let stream = tokio::net::UnixStream::connect(path).await?;
                self.say(token, stream, "localhost").await
            }
        }
    }

    async fn say<S>(&self, token: &CancelToken, stream: S, host: &str) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = Patient(self.tls.handshake(host));
        let said = token.cancel_query_raw(Patient(stream), handshake).await;
        said.map_err(io::Error::other)
    }
}

fn endpoint(host: Option<&Host>, address: Option<&IpAddr>) -> Option<Endpoint> {
    let address = address.map(ToString::to_string);
    Some(match host {
        Some(Host::Tcp(host)) => Endpoint::Named {
            address: address.unwrap_or_else(|| host.clone()),
            host: host.clone(),
        },
        #[cfg(unix)]
        Some(Host::Unix(folder)) => Endpoint::Socket(folder.clone()),
        None => Endpoint::Named {
            host: address.clone()?,
            address: address?,
        },
    })
}

/// A connection that is not shut down before the other side has done so.
struct Patient<S>(S);

impl<S> TlsConnect<Patient<S>> for Patient<Handshake>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Patient<Encrypted<Patient<S>>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Stream>>;

    fn connect(self, stream: Patient<S>) -> Self::Future {
        let encrypted = TlsConnect::connect(self.0, stream);
        encrypted.map(|result| result.map(Patient)).boxed()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Patient<Encrypted<S>> {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut rest = [0; 64];
            let mut rest = ReadBuf::new(&mut rest);
            let read = ready!(Pin::new(&mut self.0).poll_read(context, &mut rest));
            if read.is_err() || rest.filled().is_empty() {
                return Pin::new(&mut self.0).poll_shutdown(context);
            }
        }
    }
}
