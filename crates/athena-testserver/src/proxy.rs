//! A connection in between that fails as networks do.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
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
    fault: AtomicU8,
    closed: AtomicBool,
    /// Both ends of all connections, so that one that fell silent stays open.
    ends: Mutex<Vec<TcpStream>>,
}

const NONE: u8 = 0;
const SILENCE: u8 = 1;
const LOST_ANSWER: u8 = 2;

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

    /// From now on nothing gets through and nobody is told, as behind a cable that was pulled.
    /// The connections of now stay so.
    pub fn fall_silent(&self) {
        self.line.fault.store(SILENCE, Ordering::SeqCst);
    }

    /// The next answer is lost and its connection ends; the server has done what it was asked.
    pub fn lose_an_answer(&self) {
        self.line.fault.store(LOST_ANSWER, Ordering::SeqCst);
    }

    /// From now on everything gets through again.
    pub fn recover(&self) {
        self.line.fault.store(NONE, Ordering::SeqCst);
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
                thread::spawn(move || line.pass_on(way, from, to));
            }
        }
    }

    fn pass_on(&self, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer).unwrap_or(0);
            match self.fault.load(Ordering::SeqCst) {
                SILENCE => return,
                LOST_ANSWER if way == Way::Back => {
                    self.fault.store(NONE, Ordering::SeqCst);
                    break;
                }
                _ if length == 0 || to.write_all(&buffer[..length]).is_err() => break,
                _ => {}
            }
        }
        for end in [from, to] {
            // The other direction may have been faster.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
