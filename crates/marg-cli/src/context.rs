//! What a verb needs to begin: the inventory, the cloud, the engine, the output.

use std::env;
use std::path::PathBuf;

use marg::{Blueprint, Edited, Endpoint, Engine, Event, Project};

use crate::args::{Global, PhaseArg};
use crate::failure::Failure;
use crate::output::{Output, Question, Shape};
use crate::verbs::lab;

/// The global options and the output.
pub struct Context {
    /// Options that every verb takes.
    pub global: Global,
    /// Where everything is printed.
    pub output: Output,
}

/// An engine and what it works on.
pub struct Session {
    /// The inventory and the phases.
    pub project: Project,
    /// The engine.
    pub engine: Engine,
    /// Every host of the chosen phase.
    pub blueprint: Blueprint,
    /// Whether the cloud is the lab: nothing is billed there.
    pub in_lab: bool,
}

impl Context {
    /// Takes what the command line says.
    pub fn new(global: Global, output: Output) -> Context {
        Context { global, output }
    }

    /// The phase that is meant when none is named: the one in which the environment stands. The
    /// inventory's own is for an environment that does not stand yet.
    async fn living_phase(
        &self,
        project: &Project,
        engine: &Engine,
    ) -> Result<Option<u8>, Failure> {
        let environment = &project.inventory().environment;
        let living = engine.living_phase(&environment.name).await?;
        if let (Some(living), Some(written)) = (living, environment.phase)
            && living != written
        {
            self.output.sink().emit(Event::Note {
                host: None,
                message: format!(
                    "{} stands in phase {living}, which is meant; `phase = {written}` in the \
                     inventory is not. To move, name the phase: --phase {written}",
                    environment.name
                ),
            });
        }
        Ok(living)
    }

    /// Whether the operator is asked before something is paid for or stops: in the lab nothing is
    /// billed, and --yes answers in advance.
    pub fn asks(&self, session: &Session) -> bool {
        !session.in_lab && !self.global.yes
    }

    /// Ends the run unless the operator says yes.
    pub async fn agree(&self, text: &str) -> Result<(), Failure> {
        let question = Question {
            text,
            wanted: "yes",
            option: "--yes",
        };
        self.output.ask(&question).await
    }

    /// Writes a changed inventory, and says what it says now.
    pub fn save(&self, edited: &Edited) -> Result<(), Failure> {
        edited.save()?;
        let file = edited.project.path().display();
        self.output.sink().emit(Event::Note {
            host: None,
            message: format!("{file} says {}", edited.change),
        });
        Ok(())
    }

    /// The project: the named inventory, or the one that is found from the working folder.
    pub fn project(&self) -> Result<Project, Failure> {
        let folder = env::current_dir();
        let folder: PathBuf = folder.map_err(|e| Failure::io("find the working folder", &e))?;
        Ok(Project::open(self.global.inventory.as_deref(), &folder)?)
    }

    /// The cloud that is meant. With `--lab` the lab is up when this returns.
    async fn endpoint(&self) -> Result<Endpoint, Failure> {
        match self.global.lab {
            true => lab::ensure_up(&self.output).await,
            false => Ok(Endpoint::from_env()?),
        }
    }

    /// Everything that works on an environment begins here. Mistakes in files are told before
    /// the lab boots or the cloud is asked.
    pub async fn session(&self, phase: PhaseArg, shape: Shape) -> Result<Session, Failure> {
        let project = self.project()?;
        let written = project.inventory().environment.phase;
        if phase.phase.or(written).is_some() {
            project.blueprint(phase.phase)?;
        }
        self.output.listen(shape, false)?;
        let endpoint = self.endpoint().await?;
        let engine = project.engine(&endpoint, self.output.sink())?;
        let phase = match phase.phase {
            Some(named) => Some(named),
            None => self.living_phase(&project, &engine).await?,
        };
        let blueprint = project.blueprint(phase)?;
        Ok(Session {
            in_lab: endpoint.is_local(),
            project,
            engine,
            blueprint,
        })
    }
}
