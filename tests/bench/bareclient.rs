//! bareclient: asks a server for all mail of INBOX and throws the octets away, as fast as a client can.
//!
//! Decision: it is what scripts/bench measures mdrop-fetch against, so it does nothing else: one command (IMAP), or all RETR
//! commands written by a thread of their own (POP3), blocking reads of up to 256 KiB, and of what comes only the end is looked at. It does
//! not notice a message that is missing; the number of octets on stdout is for the script to compare.

use native_tls::TlsConnector;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::{env, thread};

const USAGE: &str = "usage: bareclient imap|imaps|pop3 PORT USER PASSWORD";
const BUFFER: usize = 256 << 10;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(octets) => {
            println!("{octets}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bareclient: {error}");
            ExitCode::from(69)
        }
    }
}

fn run(arguments: &[String]) -> io::Result<u64> {
    let [protocol, port, user, password] = arguments else { return Err(io::Error::other(USAGE)) };
    let port = port.parse().map_err(|_| io::Error::other(USAGE))?;
    let tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_nodelay(true)?;
    match protocol.as_str() {
        "imap" => imap(tcp, user, password),
        "imaps" => imap(secure(tcp)?, user, password),
        "pop3" => pop3(tcp, user, password),
        _ => Err(io::Error::other(USAGE)),
    }
}

/// TLS as native-tls sets it up; whose certificate it is makes no difference to the time.
fn secure(tcp: TcpStream) -> io::Result<impl Stream> {
    let connector = TlsConnector::builder().danger_accept_invalid_certs(true).build().map_err(io::Error::other)?;
    connector.connect("localhost", tcp).map_err(|error| io::Error::other(error.to_string()))
}

fn imap(mut stream: impl Stream, user: &str, password: &str) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    read_to(&mut stream, &mut buffer, b"* OK")?;
    for (tag, command) in [("bare1", format!("LOGIN {user} {password}")), ("bare2", "EXAMINE INBOX".to_owned())] {
        stream.write_all(format!("{tag} {command}\r\n").as_bytes())?;
        read_to(&mut stream, &mut buffer, format!("{tag} OK").as_bytes())?;
    }
    stream.write_all(b"bare3 UID FETCH 1:* (UID BODY.PEEK[])\r\n")?;
    read_to(&mut stream, &mut buffer, b"bare3 OK")
}

fn pop3(mut stream: TcpStream, user: &str, password: &str) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    read_to(&mut stream, &mut buffer, b"+OK")?;
    for command in [format!("USER {user}"), format!("PASS {password}")] {
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        read_to(&mut stream, &mut buffer, b"+OK")?;
    }
    stream.write_all(b"STAT\r\n")?;
    let read = stream.read(&mut buffer)?;
    let said = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()).into_owned();
    let count: u64 = said.split(' ').nth(1).and_then(|count| count.parse().ok()).ok_or_else(|| io::Error::other(said))?;
    let mut commands: String = (1..=count).flat_map(|number| ["RETR ".to_owned(), number.to_string(), "\r\n".to_owned()]).collect();
    commands.push_str("QUIT\r\n");
    let mut writing = stream.try_clone()?;
    // The server reads no command while it waits for us to read: written from here, that would be a deadlock.
    let writer = thread::spawn(move || writing.write_all(commands.as_bytes()));
    let octets = read_all(&mut stream, &mut buffer)?;
    writer.join().map_err(|_| io::Error::other("the writing thread panicked"))??;
    Ok(octets)
}

/// Reads up to a line that begins so, the last of what has come; returns how many octets there were.
fn read_to(stream: &mut impl Stream, buffer: &mut [u8], beginning: &[u8]) -> io::Result<u64> {
    let (mut octets, mut end) = (0, Vec::new());
    loop {
        let read = match stream.read(buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => read,
        };
        octets += read as u64;
        let new = buffer.get(read.saturating_sub(512)..read).unwrap_or_default();
        end.extend_from_slice(new);
        end.drain(..end.len().saturating_sub(512));
        let Some(line) = end.strip_suffix(b"\r\n") else { continue };
        let begins = line.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        if line.get(begins..).is_some_and(|line| line.starts_with(beginning)) {
            return Ok(octets);
        }
    }
}

fn read_all(stream: &mut impl Stream, buffer: &mut [u8]) -> io::Result<u64> {
    let mut octets = 0;
    loop {
        match stream.read(buffer)? {
            0 => return Ok(octets),
            read => octets += read as u64,
        }
    }
}
