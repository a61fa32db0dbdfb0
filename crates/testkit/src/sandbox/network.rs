//! A network of a sandbox's own: this machine is its only neighbour, and sees its connections come from addresses that
//! no other sandbox has.
//!
//! Both sides have two addresses, and a connection to this machine's second one comes from the sandbox's second one, so
//! that a client chooses the address that it is seen with.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::command::{run, search_path};
use crate::{Failure, Result};

/// The network for tests of networks (RFC 2544), of which each sandbox gets eight addresses.
pub const RANGE: &str = "198.18.0.0/15";
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const NETWORKS: u32 = (1 << 17) / 8;

/// The link between this machine and a sandbox; it ends with this value, or with the sandbox.
pub struct Network {
    link: String,
    first: u32,
}

impl Network {
    /// Links the namespace of this process, which bears `name`, with this machine.
    pub(super) fn attach(process: &str, name: &str) -> Result<Self> {
        let network = Self::link(process)?;
        let ([here, other], [there, second]) = (network.here(), network.there());
        let link = &network.link;
        // The alias lets `traces` find it.
        let ours = format!(
            "ip link set {link} alias {name}\nip address add {here}/29 dev {link}\n\
             ip address add {other}/29 dev {link}\nip link set {link} up"
        );
        let theirs = format!(
            "ip link set lo up\nip address add {there}/29 dev eth0\nip address add {second}/29 dev eth0\n\
             ip link set eth0 up\nip route add {other}/32 dev eth0 src {second}"
        );
        run(Command::new("sh").args(["-ec", &ours]).env("PATH", search_path()))?;
        let mut enter = Command::new("nsenter");
        run(enter.args(["--target", process, "--net", "--", "sh", "-ec", &theirs]).env("PATH", search_path()))?;
        Ok(network)
    }

    /// A link that no other test has, and the first address of its network: the name of the link reserves it.
    fn link(process: &str) -> Result<Self> {
        // Another process starts elsewhere, so that two test runs rarely meet.
        let start = std::process::id().wrapping_mul(151);
        let mut failure = None;
        for number in (0..64).map(|step| start.wrapping_add(step) % NETWORKS) {
            let link = format!("metahub{number}");
            let mut command = Command::new("ip");
            command.args(["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", process]);
            match run(command.env("PATH", search_path())) {
                Ok(_) => return Ok(Self { link, first: FIRST + 8 * number }),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Failure::new("no free network")))
    }

    /// This machine's two addresses, as the sandbox reaches it.
    pub fn here(&self) -> [Ipv4Addr; 2] {
        [self.address(1), self.address(2)]
    }

    /// The sandbox's two addresses: that of connections to the first of [`Network::here`], and to the second.
    pub fn there(&self) -> [Ipv4Addr; 2] {
        [self.address(3), self.address(4)]
    }

    fn address(&self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first + number)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The kernel would remove it a moment after the sandbox.
        let _ = run(Command::new("ip").args(["link", "delete", &self.link]).env("PATH", search_path()));
    }
}
