//! What a role lets an inventory set: the one list from which checks, suggestions and the
//! reference pages are made.

use std::fmt;

/// A role's name and its settings.
#[derive(Clone, Copy, Debug)]
pub struct RoleSchema {
    /// Name in phases and inventories, for example `php-fpm`.
    pub name: &'static str,
    /// One sentence for the reference.
    pub doc: &'static str,
    /// Settings that an inventory may give.
    pub settings: &'static [Setting],
}

/// One setting of a role.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Key below `settings.<role>`.
    pub name: &'static str,
    /// Shape of the value.
    pub kind: SettingKind,
    /// What holds when nothing is set, in words.
    pub default: &'static str,
    /// One sentence for the reference.
    pub doc: &'static str,
}

/// Shape of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// A whole number, zero or more.
    Integer,
    /// Any text without control characters.
    Text,
    /// `true` or `false`.
    Bool,
    /// A list of texts.
    List,
}

impl fmt::Display for SettingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SettingKind::Integer => "a whole number",
            SettingKind::Text => "a text",
            SettingKind::Bool => "true or false",
            SettingKind::List => "a list of texts",
        })
    }
}

/// A checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingValue {
    /// A whole number.
    Integer(u64),
    /// A text.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A list of texts.
    List(Vec<String>),
}
