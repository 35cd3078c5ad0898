//! The lab and its machines.

use marg::lab::{LabMachine, LabStatus, MachineFault};
use serde_json::{Value, json};

use super::status::bare_table;
use super::trimmed;
use crate::output::{BOLD, CYAN, DIM, GREEN, paint};

/// The lab is up.
pub fn lab_up(url: &str) -> String {
    let up = format!("{} the lab is up: {}", paint(GREEN, "✓"), paint(BOLD, url));
    let next = paint(CYAN, "marg --lab provision --phase 2");
    format!("{up}\n  now: {next}\n")
}

/// The lab is down.
pub fn lab_down(purged: bool) -> String {
    let what = match purged {
        true => "nothing of it is left, images and cache included",
        false => "nothing of it runs; images and package cache are kept (--purge removes them)",
    };
    format!("{} the lab is down: {what}\n", paint(GREEN, "✓"))
}

/// Whether it is up, and every machine.
pub fn lab_status(status: &LabStatus) -> String {
    let state = match (status.running, &status.url) {
        (true, Some(url)) => format!("the lab is up: {url}"),
        (false, Some(_)) => "the lab's API does not answer: `marg lab up` starts it".to_owned(),
        _ => "the lab is down: `marg lab up` starts it".to_owned(),
    };
    let images = match status.images.as_slice() {
        [] => "none yet".to_owned(),
        some => some.join(", "),
    };
    let images = paint(DIM, &format!("images: {images}"));
    trimmed(&format!(
        "{}\n{images}\n{}",
        paint(BOLD, &state),
        machines(&status.machines)
    ))
}

fn machines(machines: &[LabMachine]) -> String {
    if machines.is_empty() {
        return "\nno machines\n".to_owned();
    }
    let mut table = bare_table(&[
        "ID", "MACHINE", "STATUS", "PUBLIC", "PRIVATE", "SIZE", "IMAGE",
    ]);
    for machine in machines {
        table.add_row(vec![
            machine.id.to_string(),
            machine.name.clone(),
            state(machine),
            machine.public.to_string(),
            machine.private.to_string(),
            machine.size.clone(),
            machine.image.clone(),
        ]);
    }
    format!("\n{table}\n")
}

/// How a machine is, as the API says it, and what has befallen it.
fn state(machine: &LabMachine) -> String {
    let mut words = vec![machine.status.as_str()];
    words.extend(machine.faults.iter().map(|fault| fault.state()));
    words.join(", ")
}

/// A machine was struck by a fault, or healed.
pub fn lab_fault(machine: &str, fault: Option<MachineFault>) -> String {
    let done = paint(GREEN, "✓");
    match fault {
        Some(fault) => {
            let undo = paint(CYAN, &format!("marg lab fault {machine} heal"));
            format!(
                "{done} {machine} is {}\n  undone by: {undo}\n",
                fault.state()
            )
        }
        None => format!("{done} {machine} is healed\n"),
    }
}

/// How many faults of the API are armed.
pub fn lab_api_faults(armed: usize) -> String {
    match armed {
        0 => "the API has no faults\n".to_owned(),
        1 => "1 fault of the API is armed\n".to_owned(),
        some => format!("{some} faults of the API are armed\n"),
    }
}

/// The same for programs.
pub fn lab_document(status: &LabStatus) -> Value {
    let machine = |machine: &LabMachine| {
        json!({
            "id": machine.id, "name": machine.name, "status": machine.status,
            "public_ip": machine.public, "private_ip": machine.private,
            "size": machine.size, "image": machine.image, "tags": machine.tags,
            "faults": machine.faults,
        })
    };
    json!({
        "running": status.running,
        "url": status.url,
        "images": status.images,
        "machines": status.machines.iter().map(machine).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::testing::plain;

    #[test]
    fn up_down_and_its_machines() {
        let machine = LabMachine {
            id: 1001,
            name: "marg-http1".to_owned(),
            status: "active".to_owned(),
            image: "debian-13-x64".to_owned(),
            size: "s-1vcpu-1gb".to_owned(),
            public: Ipv4Addr::new(198, 18, 0, 10),
            private: Ipv4Addr::new(10, 20, 0, 2),
            tags: vec!["marg".to_owned()],
            faults: vec![MachineFault::Cut],
        };
        let url = Some("http://127.0.0.1:4050".to_owned());
        let images = vec!["debian-13-x64".to_owned()];
        let up = LabStatus {
            running: true,
            url,
            images,
            machines: vec![machine],
        };
        let dead = LabStatus {
            running: false,
            machines: Vec::new(),
            ..up.clone()
        };
        let down = LabStatus {
            url: None,
            images: Vec::new(),
            ..dead.clone()
        };
        let shown = [lab_status(&up), lab_status(&dead), lab_status(&down)];
        let ends = [
            lab_up("http://127.0.0.1:4050"),
            lab_down(false),
            lab_down(true),
        ];
        let shown = format!("{}\n---\n{}", shown.join("---\n"), ends.join("---\n"));
        insta::assert_snapshot!("lab", plain(&shown));
        let document = serde_json::to_string_pretty(&lab_document(&up)).unwrap();
        insta::assert_snapshot!("lab-document", document);
    }
}
