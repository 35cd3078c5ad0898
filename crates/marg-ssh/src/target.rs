//! Where a session goes to.

use crate::HostKey;

/// A machine to connect to, with the one host key that it must show.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name that the host key is pinned under and that messages use, for example
    /// `marg-http1`. It is stable while addresses change.
    pub name: String,
    /// IP address or name to connect to; seen from the jump host if there is one.
    pub address: String,
    /// TCP port of sshd.
    pub port: u16,
    /// Account to log in to.
    pub user: String,
    /// The key that the machine must show. There is no way to accept any other.
    pub host_key: HostKey,
    /// The machine to go through, where this one cannot be reached directly.
    pub jump: Option<Box<Target>>,
}

impl Target {
    /// A target that is reached directly on port 22.
    pub fn new(
        name: impl Into<String>,
        address: impl Into<String>,
        user: impl Into<String>,
        host_key: HostKey,
    ) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            port: 22,
            user: user.into(),
            host_key,
            jump: None,
        }
    }

    /// The same target through a jump host.
    #[must_use]
    pub fn through(mut self, jump: Target) -> Self {
        self.jump = Some(Box::new(jump));
        self
    }

    /// `address:port` as messages show it, with brackets around IPv6 addresses.
    pub fn endpoint(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}
