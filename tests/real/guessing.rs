//! A client that guesses passwords locks out only clients of the same address.
//!
//! One worker, so that all of them meet. Each client has an address of its own in 127.0.0.0/8, and Envoy's shipped
//! configuration says which address it trusts. Nothing is behind Envoy: a ping needs a login and nothing else.
//!
//! Issue 11: 100 wrong passwords a second left 12 of 80 other first logins.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::logins::DEAR;
use super::observe::{assert_no_vm_died, fault_lines};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Envoy, manager};
use metahub_testkit::http::Request;
use metahub_testkit::http::connection::Connection;
use metahub_testkit::stage::{Stage, stage};

/// The accounts `login0` to `login99`; each has the password `right`, of bcrypt cost 5.
const LOGINS: u32 = 100;

fn start() -> Stage {
    let hash = bcrypt::hash("right", 5).unwrap();
    let accounts = move |config: &mut Value| {
        for number in 0..LOGINS {
            let account = json!({ "password": hash, "machine_type": "type1" });
            config.add(&format!("accounts.login{number}"), account);
        }
    };
    stage().nothing().concurrency(1).config(accounts).start().unwrap()
}

fn client(envoy: &Envoy, address: [u8; 4]) -> Connection {
    Connection::open_from(Ipv4Addr::from(address), envoy.port()).unwrap()
}

/// The status of a ping with this login.
fn ping(connection: &mut Connection, user: &str, password: &str) -> u16 {
    connection.send(&Request::get("/v2/").login(user, password)).unwrap().status
}

/// Guesses, no two of them alike, and their outcomes.
#[derive(Default)]
struct Guesses {
    sent: AtomicU32,
    limited: AtomicU32,
}

impl Guesses {
    /// Sends a new wrong password, for this name or for an unused one; returns the status.
    fn send(&self, connection: &mut Connection, name: Option<&str>) -> u16 {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let any = format!("name{number}");
        let status = ping(connection, name.unwrap_or(&any), &format!("s3cret-{number}"));
        assert!(status == 401 || status == 429, "{status}");
        self.limited.fetch_add(u32::from(status == 429), Ordering::Relaxed);
        status
    }

    /// Guesses this many times a second from this address until it is time to stop; after a delay on a busy machine it
    /// catches up.
    fn keep_coming(&self, mut connection: Connection, name: Option<&str>, a_second: u32, stop: &AtomicBool) {
        let start = Instant::now();
        for number in 1.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.send(&mut connection, name);
            let due = start + Duration::from_secs(1) * number / a_second;
            std::thread::sleep(due.saturating_duration_since(Instant::now())); // the guesses' pace
        }
    }
}

/// 400 guesses a second for any names from one address, 30 a second for one name from another; a hundred clients log in
/// for the first time, each from its own address, and so does the owner of the name. It takes longer than a window.
#[test]
fn first_logins_elsewhere_go_on_while_somebody_guesses() {
    let stage = start();
    let envoy = &stage.envoy;
    let (any, named, stop) = (Guesses::default(), Guesses::default(), AtomicBool::new(false));
    let refused = std::thread::scope(|scope| {
        for _ in 0..4 {
            let guesser = client(envoy, [127, 0, 0, 2]);
            scope.spawn(|| any.keep_coming(guesser, None, 100, &stop));
        }
        let guesser = client(envoy, [127, 0, 0, 3]);
        scope.spawn(|| named.keep_coming(guesser, Some("login0"), 30, &stop));
        let first_login = |number: u32| {
            // The clients' pace: all of them take longer than a window by the filter's clock.
            std::thread::sleep(Duration::from_millis(110));
            let host = u8::try_from(number).unwrap();
            ping(&mut client(envoy, [127, 0, 1, host]), &format!("login{number}"), "right") != 200
        };
        // The last is the owner of the name, which was guessed all the time.
        let refused = (0..LOGINS).rev().filter(|number| first_login(*number)).count();
        stop.store(true, Ordering::Relaxed);
        refused
    });
    assert!(refused <= 1, "{refused} of 100 first logins");
    let owner = ping(&mut client(envoy, [127, 0, 0, 4]), "login0", "right");
    assert_eq!(owner, 200);

    let (any, named) = (any.sent.into_inner(), named.limited.into_inner());
    assert!(any > 1000 && named > 50, "{any} guesses, {named} of one name limited: too few to tell");
    let lines = fault_lines(envoy);
    assert!(lines.len() < 200, "{} lines about {any} guesses: {lines:#?}", lines.len());
    for said in ["429 login \"name", "from 127.0.0.2: too many", "429 login \"login0\" from 127.0.0.3: too many"] {
        assert!(lines.iter().any(|line| line.contains(said)), "{said}: {lines:#?}");
    }
    assert!(!envoy.log().contains("s3cret"), "a password is in the log");
    assert_no_vm_died(envoy);
}

/// Such as nodes behind one NAT.
#[test]
fn clients_of_one_address_share_a_budget() {
    let (stage, guesses) = (start(), Guesses::default());
    let envoy = &stage.envoy;
    let mut guesser = client(envoy, [127, 0, 0, 2]);
    assert_eq!(ping(&mut guesser, "login0", "right"), 200);
    let looked_at = (0..100).filter(|_| guesses.send(&mut guesser, None) == 401).count();
    assert_eq!(looked_at, 32);
    assert_eq!(ping(&mut client(envoy, [127, 0, 0, 2]), "login1", "right"), 429, "the same address");
    let pretending = Request::get("/v2/").login("login1", "right").header("x-forwarded-for", "127.0.0.9");
    assert_eq!(guesser.send(&pretending).unwrap().status, 429, "the same address, whatever it says");
    assert_eq!(ping(&mut guesser, "login0", "right"), 200, "remembered");
    assert_eq!(ping(&mut client(envoy, [127, 0, 0, 3]), "login1", "right"), 200, "another address");
    assert_no_vm_died(envoy);
}

/// Behind a load balancer, with the right number of trusted hops, clients are told apart by the addresses that it
/// forwards.
#[test]
fn a_trusted_load_balancer_names_the_client() {
    let trust = |bootstrap: &mut Value| manager(bootstrap).add("xff_num_trusted_hops", 1);
    let stage = stage().nothing().concurrency(1).bootstrap(trust).start().unwrap();
    let envoy = &stage.envoy;
    let ping = |address: &str, password: &str| {
        let request = Request::get("/v2/").login("qnib-type1", password).header("x-forwarded-for", address);
        envoy.send(&request).unwrap().status
    };
    for (guesser, same, other) in
        [("192.0.2.7", "192.0.2.7", "192.0.2.8"), ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")]
    {
        (0..10).for_each(|number| assert_eq!(ping(guesser, &format!("{guesser} {number}")), 401));
        assert_eq!(ping(same, "another guess"), 429, "{same}");
        assert_eq!(ping(other, &format!("a guess from {other}")), 401, "{other}");
    }
    let lines = fault_lines(envoy);
    assert!(lines.iter().any(|line| line.contains("429 login \"qnib-type1\" from 2001:db8:0:1::/64:")), "{lines:#?}");
    assert_no_vm_died(envoy);
}

/// 60 addresses guess at once at bcrypt cost 10, where each check takes 60 ms of the worker.
#[test]
fn many_addresses_hold_a_worker_no_longer_than_documented() {
    let dear = |config: &mut Value| config.add("accounts.dear", json!({ "password": DEAR }));
    let stage = stage().nothing().concurrency(1).config(dear).start().unwrap();
    let envoy = &stage.envoy;
    let (guesses, start) = (Guesses::default(), Instant::now());
    let mut guessers: Vec<Connection> = (1..=60).map(|host| client(envoy, [127, 0, 2, host])).collect();
    let looked_at = (0..5).flat_map(|_| 0..60).filter(|host| guesses.send(&mut guessers[*host], None) == 401).count();
    // The filter's clock has whole seconds, so a window may end after nine.
    let windows = 1 + usize::try_from(start.elapsed().as_secs() / 9).unwrap();
    assert!(looked_at >= 16 && looked_at <= 16 * windows, "{looked_at} in {windows} windows");
    assert_no_vm_died(envoy);
}
