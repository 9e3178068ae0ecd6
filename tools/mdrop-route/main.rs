//! mdrop-route: reads a stream, decides which users each message belongs to, and writes the stream with that decision (mdrop-route(1)).
//!
//! Bodies are passed on as they came; only the header is read, and of a journal report what encloses the message.

mod calibrate;
mod credible;
mod decide;
mod evidence;
mod explain;
mod fields;
mod judge;
mod missing;
mod moment;
mod peer;
mod policy;
mod received;
mod sender;
mod stage;
mod tally;
mod verp;
mod whose;

use clap::Parser;
use mdrop::error::Result;
use mdrop::frame::{self, Common, Run};
use std::process::ExitCode;

/// Decide which users each message of a stream belongs to, and say why.
#[derive(Parser)]
#[command(name = "mdrop-route", version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Print the decisions and their reasons, JSON lines, in place of the stream.
    #[arg(long)]
    explain: bool,
    /// Print which fields are genuine in this mail, and the [route] section that says so, in place of the stream.
    #[arg(long, conflicts_with = "explain")]
    calibrate: bool,
    /// Print the local addresses that belong to nobody, JSON lines, in place of the stream.
    #[arg(long, conflicts_with_all = ["explain", "calibrate"])]
    users_missing: bool,
}

impl AsRef<Common> for Arguments {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    frame::run("mdrop-route", route)
}

fn route(arguments: &Arguments, run: &mut Run) -> Result<()> {
    let profile = arguments.common.load_profile(run)?;
    let users = mdrop::config::load_users(&profile.route)?;
    let (input, output) = (frame::stdin()?, frame::stdout()?);
    if arguments.calibrate {
        let calibration = calibrate::Calibration::new(&profile.name, profile.route, users);
        let policy = calibration.policy()?;
        return stage::Stage::calibrate(&policy, output, calibration).run(input, run);
    }
    if arguments.users_missing {
        let missing = missing::Missing::new(users.as_ref())?;
        let policy = policy::Policy::new(&profile.route, users)?;
        return stage::Stage::users_missing(&policy, output, missing).run(input, run);
    }
    let policy = policy::Policy::new(&profile.route, users)?;
    let explain = arguments.explain || arguments.common.dry_run;
    stage::Stage::new(&policy, output, explain).run(input, run)
}
