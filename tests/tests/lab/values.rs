//! Values full of quotes, dollars, backticks, percent signs, newlines and non-ASCII arrive as
//! they were written.

use marg_tests::fleet::{FLOW, Fleet, LINKS, MOTTO, PASSWORD};

cases! {
    "values: an awkward variable is the same in the application" => motto,
    "values: an awkward database password works in SQL and in .env" => password,
    "values: an awkward value arrives on every host's command line as it was written" => argument,
}

fn motto() {
    let fleet = Fleet::provisioned();
    for app in [FLOW, LINKS] {
        let page = fleet
            .browser()
            .get(app, "/echo-config?key=app.motto")
            .has(200)
            .json();
        assert_eq!(page["value"], MOTTO, "{app}");
    }
    // Also where PHP reads .env itself, without the configuration's cache.
    let code = "echo base64_encode(Dotenv\\Dotenv::parse(file_get_contents('.env'))['APP_MOTTO']);";
    let encoded = fleet.php("worker1", "flow.marg", code);
    let expected = fleet.feed("worker1", "base64 -w0", MOTTO);
    assert_eq!(encoded.trim(), expected.trim());
}

fn password() {
    let fleet = Fleet::provisioned();
    for app in [FLOW, LINKS] {
        let checks = fleet.browser().get(app, "/health").has(200).json()["checks"].clone();
        assert_eq!(checks["database"], "ok", "{app}: {checks}");
        assert_eq!(checks["rbac"], "ok", "{app}: {checks}");
    }
    let code = "echo base64_encode(config('database.connections.mysql.password'));";
    let encoded = fleet.php("http1", "flow.marg", code);
    let expected = fleet.feed("http1", "base64 -w0", PASSWORD);
    assert_eq!(encoded.trim(), expected.trim());
}

fn argument() {
    let fleet = Fleet::provisioned();
    let outcome = fleet
        .marg(["run", "--json", "--", "printf", "%s", MOTTO])
        .run()
        .ok();
    let ran = outcome.event("ran");
    let items = ran["items"].as_array().unwrap();
    assert_eq!(items.len(), 4);
    for item in items {
        // Output is told in lines, the last one too.
        assert_eq!(item["stdout"], format!("{MOTTO}\n"), "{item}");
    }
}
