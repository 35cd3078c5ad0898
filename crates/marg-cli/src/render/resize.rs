//! What a resize interrupts, before and after.

use marg::{HandOver, ResizePreview, ResizeReport};

use super::{monthly, trimmed};
use crate::output::{BOLD, YELLOW, paint, seconds};

/// The sizes, the cost, and what stops meanwhile.
pub fn resize_preview(preview: &ResizePreview) -> String {
    let ResizePreview {
        host,
        from,
        to,
        disk_gib,
        ..
    } = preview;
    let title = match from == to {
        true => format!("{host}: {to} already"),
        false => format!("{host}: {from} → {to}"),
    };
    let disk = match disk_gib {
        (had, has) if had == has => format!("the disk stays at {has} GiB"),
        (had, has) => format!("the disk grows from {had} to {has} GiB, which cannot be undone"),
    };
    trimmed(&format!(
        "{}\n  {disk}\n  droplets: {}\n  {}\n",
        paint(BOLD, &title),
        monthly(preview.monthly),
        interruption(preview)
    ))
}

/// What users notice.
fn interruption(preview: &ResizePreview) -> String {
    let host = &preview.host;
    if let Some(HandOver { service, to }) = &preview.hand_over {
        let waits = "nothing is lost, and what writes waits for some seconds";
        let mut text = format!("first {to} leads {service} instead, and goes on leading: {waits}");
        if preview.unlike.contains(to) {
            // The leader would be smaller than those that follow it.
            text += &format!("; {to} has another size, so resize {to} before {host}");
        }
        return paint(YELLOW, &text);
    }
    let off = "one to some minutes on DigitalOcean, seconds in the lab";
    let alone = preview.others.is_empty();
    let text = match (preview.is_entry, alone, preview.names.is_empty()) {
        (true, true, _) => {
            format!("interruption: visitors arrive at {host}, and nobody answers them")
        }
        (_, true, false) => format!(
            "interruption: {} does not answer, and the applications fail",
            preview.names.join(", ")
        ),
        (_, true, true) => format!("interruption: {host} has no fellow; its work waits"),
        (_, false, _) => {
            let go = if preview.others.len() == 1 {
                "goes"
            } else {
                "go"
            };
            format!("{} {go} on", preview.others.join(", "))
        }
    };
    paint(YELLOW, &format!("{text} while {host} is off: {off}"))
}

/// How long it was off, and who leads now.
pub fn resized(report: &ResizeReport) -> String {
    let ResizeReport {
        host,
        to,
        off_millis,
        promoted,
        ..
    } = report;
    let led = promoted.as_ref();
    let led = led.map(|report| super::promoted(report).trim_end().to_owned());
    let off = match off_millis {
        0 => format!("{host} has the size {to}."),
        millis => format!(
            "{host} has the size {to}; it was off for {}.",
            seconds(*millis)
        ),
    };
    led.into_iter().chain([off]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use marg::Monthly;

    use super::*;
    use crate::testing::plain;

    fn preview() -> ResizePreview {
        ResizePreview {
            host: "mysql1".to_owned(),
            from: "s-1vcpu-2gb".to_owned(),
            to: "s-2vcpu-4gb".to_owned(),
            disk_gib: (50, 50),
            monthly: Monthly {
                before: 28.0,
                after: 40.0,
            },
            others: Vec::new(),
            names: vec!["mysql.marg.internal".to_owned()],
            is_entry: false,
            hand_over: None,
            unlike: Vec::new(),
        }
    }

    #[test]
    fn what_stops_is_announced() {
        let single = preview();
        let entry = ResizePreview {
            host: "http1".to_owned(),
            is_entry: true,
            names: Vec::new(),
            disk_gib: (50, 80),
            ..preview()
        };
        let worker = ResizePreview {
            host: "worker1".to_owned(),
            names: Vec::new(),
            ..preview()
        };
        let fellow = ResizePreview {
            host: "mysql2".to_owned(),
            others: vec!["mysql1".to_owned(), "mysql3".to_owned()],
            from: "s-2vcpu-4gb".to_owned(),
            ..preview()
        };
        let leader = ResizePreview {
            others: vec!["mysql2".to_owned(), "mysql3".to_owned()],
            unlike: vec!["mysql2".to_owned()],
            hand_over: Some(HandOver {
                service: "mysql".to_owned(),
                to: "mysql2".to_owned(),
            }),
            ..preview()
        };
        let report = |off_millis| ResizeReport {
            host: "mysql1".to_owned(),
            to: "s-2vcpu-4gb".to_owned(),
            off_millis,
            ..ResizeReport::default()
        };
        let mut shown: Vec<String> = [single, entry, worker, fellow, leader]
            .iter()
            .map(resize_preview)
            .collect();
        shown.extend([0, 7_400].map(|millis| resized(&report(millis))));
        insta::assert_snapshot!("resize", plain(&shown.join("\n")));
    }
}
