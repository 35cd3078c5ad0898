//! The lab by itself: `up`, `down`, `serve`, `env`, `status`.

use std::error::Error;

use marg_lab::{Config, DownOptions, UpOptions, down, endpoint, serve, status, up};

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> Result<(), Box<dyn Error>> {
    let word = std::env::args().nth(1).unwrap_or_default();
    let mut show = |event: marg_lab::LabEvent| println!("{event}");
    match word.as_str() {
        "up" => {
            let program = std::env::current_exe()?.into_os_string();
            let mut options = UpOptions::new(vec![program, "serve".into()]);
            if let Some(image) = std::env::args().nth(2) {
                options.images.push(image);
            }
            up(&options, &mut show)?;
        }
        "down" => {
            let purge = std::env::args().nth(2).as_deref() == Some("--purge");
            down(DownOptions { purge }, &mut show)?;
        }
        "serve" => {
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .init();
            tokio::runtime::Runtime::new()?.block_on(serve(Config::load()?))?;
        }
        "env" => {
            if let Some(endpoint) = endpoint()? {
                println!("DIGITALOCEAN_API_URL={}", endpoint.url);
                println!("DIGITALOCEAN_TOKEN={}", endpoint.token.expose());
            }
        }
        "logs" => {
            let host = std::env::args().nth(2).unwrap_or_default();
            println!("{}", std::fs::read_to_string(marg_lab::logs(&host)?)?);
        }
        "shell" => {
            let host = std::env::args().nth(2).unwrap_or_default();
            marg_lab::shell_command(&host)?.status()?;
        }
        _ => println!("{:#?}", status()?),
    }
    Ok(())
}
