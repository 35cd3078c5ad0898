//! Faults on demand, of machines and of the API: for rehearsals and tests.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::endpoint::{self, Reply};
use crate::error::{LabError, LabResult};
use crate::faults::ApiFault;
use crate::inspect::{LabMachine, find};
use crate::machine_fault::MachineFault;

/// A machine that boots or is killed needs a moment.
const LIMIT: Duration = Duration::from_secs(60);

/// Lets a fault strike a machine; gives the machine that was meant. `host` is a droplet's name,
/// its last part, its id or one of its addresses.
pub fn strike(host: &str, fault: MachineFault) -> LabResult<LabMachine> {
    let machine = find(host)?;
    let what = format!("let `{}` be {}", machine.name, fault.state());
    let path = format!("/lab/machines/{}/faults", machine.id);
    ask(&what, "POST", &path, &json!({ "fault": fault }))?;
    Ok(machine)
}

/// Undoes every fault of a machine; one that was killed boots again. Gives the machine that was
/// meant, as it was before.
pub fn heal(host: &str) -> LabResult<LabMachine> {
    let machine = find(host)?;
    let what = format!("heal `{}`", machine.name);
    let path = format!("/lab/machines/{}/faults", machine.id);
    ask(&what, "DELETE", &path, &Value::Null)?;
    Ok(machine)
}

/// Arms a fault of the API.
pub fn arm(fault: &ApiFault) -> LabResult<()> {
    ask("arm the fault", "POST", "/lab/faults", &json!(fault)).map(drop)
}

/// Disarms all faults of the API.
pub fn disarm() -> LabResult<()> {
    ask("disarm its faults", "DELETE", "/lab/faults", &Value::Null).map(drop)
}

/// The API's armed faults.
pub fn api_faults() -> LabResult<Vec<ApiFault>> {
    #[derive(Deserialize)]
    struct Armed {
        faults: Vec<ApiFault>,
    }
    let what = "tell its faults";
    let reply = ask(what, "GET", "/lab/faults", &Value::Null)?;
    let armed: Armed = serde_json::from_str(&reply.body).map_err(|error| LabError::Refused {
        what: what.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(armed.faults)
}

fn ask(what: &str, method: &str, path: &str, body: &Value) -> LabResult<Reply> {
    let endpoint = endpoint::endpoint()?.ok_or(LabError::NotUp)?;
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let refused = |reason: String| LabError::Refused {
        what: what.to_owned(),
        reason,
    };
    let reply = endpoint::send(&endpoint, method, path, &body, LIMIT);
    let reply = reply.map_err(|error| refused(error.to_string()))?;
    if (200..300).contains(&reply.status) {
        return Ok(reply);
    }
    let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let message = answer["message"].as_str().unwrap_or(&reply.body);
    Err(refused(format!("{} {message}", reply.status)))
}
