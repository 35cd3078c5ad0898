//! A topology as data: `phases/phase-N.toml`.

/// A phase: groups of hosts, their sizes, roles and order, its capacity and budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// 1 to 4 are built in; a project may have its own up to 9.
    pub number: u8,
    /// One line: what the phase is for.
    pub title: String,
    /// Group whose first host holds the public entry address.
    pub entry: String,
    /// Groups in the order in which they are listed to people.
    pub groups: Vec<Group>,
    /// What it carries.
    pub capacity: Capacity,
    /// What the guide says it costs, in US dollars per month: from and to.
    pub budget: (u32, u32),
}

/// Hosts of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Name; hosts are called `<name>1`, `<name>2`, …
    pub name: String,
    /// Number of hosts.
    pub count: u16,
    /// Size slug.
    pub size: String,
    /// Roles in the order in which they are applied.
    pub roles: Vec<String>,
    /// Groups that must be ready before this one's services can be checked.
    pub needs: Vec<String>,
    /// Whether its hosts hold data that exists nowhere else.
    pub holds_data: bool,
    /// Names below the internal domain that lead to this group, for example `redis`.
    pub names: Vec<String>,
}

/// What a phase carries, from the guide's capacity plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Active users: from and to.
    pub users: (u32, u32),
    /// Requests per user and minute.
    pub requests_per_user_minute: u32,
    /// Named limits in units per second, in the order of the file: `php-fpm` → 200.
    pub limits: Vec<Limit>,
}

/// One component's limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Component, for example `php-fpm`.
    pub component: String,
    /// Unit, for example `requests`, `operations`, `queries`.
    pub unit: String,
    /// How many per second: in all, or per host of the group below.
    pub per_second: u32,
    /// Group whose hosts each carry that much; `None` when more hosts do not carry more.
    pub per_host: Option<String>,
}
