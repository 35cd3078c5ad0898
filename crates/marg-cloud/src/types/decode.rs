//! Small decoders shared by the types.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// `null` reads like an absent field.
pub(super) fn null_as_default<'de, D, T>(source: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(source)?.unwrap_or_default())
}

/// A time that marg only sorts by: one that cannot be read is no reason to fail.
pub(super) fn lenient_time<'de, D>(source: D) -> Result<Option<Timestamp>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(source)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// An address in text form; an empty or strange one reads as `None` (entries are still being
/// filled in while a droplet is created).
pub(super) fn lenient_address<'de, D>(source: D) -> Result<Option<std::net::Ipv4Addr>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(source)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// An object of which only the slug matters, such as a droplet's region.
#[derive(Deserialize)]
struct Slugged {
    slug: Option<String>,
}

pub(super) fn slug_of_object<'de, D>(source: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<Slugged>::deserialize(source)?.and_then(|object| object.slug))
}

/// An object of which only the numeric id matters, such as a reserved IP's droplet.
#[derive(Deserialize)]
struct Numbered<T> {
    id: T,
}

pub(super) fn id_of_object<'de, D, T>(source: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Numbered<T>>::deserialize(source)?.map(|object| object.id))
}
