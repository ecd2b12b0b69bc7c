//! A connection in between that fails as networks do.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes on to a server on this machine what reaches a port of its own, until it is told not to.
/// Its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    target: u16,
    line: Arc<Line>,
}

#[derive(Debug, Default)]
struct Line {
    losing: AtomicBool,
    /// So many connections there were, and so many of them fell silent.
    accepted: AtomicUsize,
    silent: AtomicUsize,
    closed: AtomicBool,
    /// Both ends of all connections, so that one that fell silent stays open.
    ends: Mutex<Vec<TcpStream>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

impl Proxy {
    /// Stands in front of the server on a port.
    ///
    /// # Panics
    ///
    /// No port is free.
    #[must_use]
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::<Line>::default();
        let accepting = Arc::clone(&line);
        thread::spawn(move || accepting.accept(&listener, target));
        Self { port, target, line }
    }

    /// Returns the URL that leads through here instead of straight to the server.
    #[must_use]
    pub fn through(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.target), &format!(":{}/", self.port))
    }

    /// Nothing gets through on the connections of now any more and nobody is told, as behind a
    /// cable that was pulled. New ones work.
    pub fn fall_silent(&self) {
        let all = self.line.accepted.load(Ordering::SeqCst);
        self.line.silent.store(all, Ordering::SeqCst);
    }

    /// The next answer is lost and its connection ends; the server has done what it was asked.
    pub fn lose_an_answer(&self) {
        self.line.losing.store(true, Ordering::SeqCst);
    }

    /// Ends all connections of now.
    ///
    /// # Panics
    ///
    /// A thread of the proxy has panicked.
    pub fn cut(&self) {
        for end in self.line.ends.lock().unwrap().drain(..) {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.closed.store(true, Ordering::SeqCst);
        // Wakes whoever accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        self.cut();
    }
}

impl Line {
    fn accept(self: Arc<Self>, listener: &TcpListener, target: u16) {
        while let Ok((client, _)) = listener.accept() {
            if self.closed.load(Ordering::SeqCst) {
                return;
            }
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else {
                continue;
            };
            let number = self.accepted.fetch_add(1, Ordering::SeqCst);
            for end in [&client, &server] {
                end.set_nodelay(true).unwrap();
                self.ends.lock().unwrap().push(end.try_clone().unwrap());
            }
            for (way, from, to) in [
                (Way::There, &client, &server),
                (Way::Back, &server, &client),
            ] {
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let line = Arc::clone(&self);
                thread::spawn(move || line.pass_on(number, way, from, to));
            }
        }
    }

    fn pass_on(&self, number: usize, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer).unwrap_or(0);
            if number < self.silent.load(Ordering::SeqCst) {
                return;
            }
            let lost = way == Way::Back && self.losing.swap(false, Ordering::SeqCst);
            if length == 0 || lost || to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        for end in [from, to] {
            // The other direction may have been faster.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
