//! What a promote would risk, and what it did.

use marg::{PromotePreview, PromoteReport};

use crate::output::{BOLD, GREEN, RED, YELLOW, clean, paint};

/// What may be lost and what must not happen.
pub fn promote_preview(preview: &PromotePreview) -> String {
    let host = paint(BOLD, &clean(&preview.host));
    let title = format!("This makes {host} the primary of {}:", preview.service);
    let sign = paint(RED, "!");
    let risks = preview.risks.iter();
    let lines: String = risks
        .map(|risk| format!("  {sign} {}\n", clean(risk)))
        .collect();
    format!("{title}\n{lines}")
}

/// Who leads now, and who follows.
pub fn promoted(report: &PromoteReport) -> String {
    let sign = paint(GREEN, "✓");
    let head = format!("{sign} {} leads {}", clean(&report.host), report.service);
    let how = match (&report.from, report.pause_millis) {
        (Some(from), Some(millis)) => {
            let seconds = millis as f64 / 1000.0;
            format!(
                ": {} handed over, and nobody could write for {seconds:.1} s",
                clean(from)
            )
        }
        _ => String::new(),
    };
    let mut text = format!("{head}{how}.\n");
    if !report.followers.is_empty() {
        text.push_str(&format!("  {} follow it.\n", names(&report.followers)));
    }
    if !report.left.is_empty() {
        let sign = paint(YELLOW, "!");
        let left = names(&report.left);
        text.push_str(&format!(
            "{sign} {left}: not followers yet; `marg provision` makes them when they answer.\n"
        ));
    }
    text
}

fn names(hosts: &[String]) -> String {
    let hosts: Vec<String> = hosts.iter().map(|host| clean(host)).collect();
    hosts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plain;

    #[test]
    fn what_is_risked_and_what_was_done() {
        let text = |text: &str| text.to_owned();
        let preview = PromotePreview {
            host: text("mysql2"),
            service: text("mysql"),
            risks: vec![text("mysql1 does not answer: transactions are lost")],
            ..PromotePreview::default()
        };
        let planned = PromoteReport {
            host: text("mysql2"),
            service: text("mysql"),
            from: Some(text("mysql1")),
            pause_millis: Some(1234),
            followers: vec![text("mysql1"), text("mysql3")],
            left: Vec::new(),
        };
        let failover = PromoteReport {
            from: None,
            pause_millis: None,
            followers: vec![text("mysql3")],
            left: vec![text("mysql1")],
            ..planned.clone()
        };
        let shown = [
            promote_preview(&preview),
            promoted(&planned),
            promoted(&failover),
        ];
        insta::assert_snapshot!("promote", plain(&shown.join("\n")));
    }
}
