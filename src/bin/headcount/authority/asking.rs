//! Asking the authority: the folder itself, or the service that has it.

use std::path::PathBuf;

use clap::Args;
use headcount::daemon::{
    Access, AuthorityConfig, AuthorityFiles, Command, Failure, FailureKind, KeyDetails,
    ProductDetails, Reply, files::FileError,
};
use serde_json::json;

use super::now;
use crate::output::{Exit, Problem};

/// Where the authority is.
#[derive(Debug, Args)]
pub(super) struct FolderArgument {
    /// The authority's folder, made by 'headcount authority init'. A service that runs there does
    /// what is asked.
    #[arg(long = "dir", value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

impl FolderArgument {
    /// The folder for this process alone.
    pub(super) fn open(&self) -> Result<AuthorityFiles, Problem> {
        Access::alone(&self.folder).map_err(|error| self.explain(error))
    }

    /// What the vendor has decided, whoever has the folder.
    pub(super) fn config(&self) -> Result<AuthorityConfig, Problem> {
        AuthorityFiles::read_config(&self.folder).map_err(|error| self.explain(error))
    }

    /// The folder, or the service that has it.
    pub(super) fn access(&self) -> Result<Asked, Problem> {
        let access = Access::to(&self.folder).map_err(|error| self.explain(error))?;
        Ok(Asked { access, folder: self.folder.clone() })
    }

    fn explain(&self, error: FileError) -> Problem {
        let problem = Problem::from(error);
        if self.folder.join("authority.toml").exists() {
            return problem;
        }
        problem.advise(
            "Name the authority's folder with --dir DIR, or make one: headcount authority init DIR",
        )
    }
}

/// Whoever does what is asked.
pub(super) struct Asked {
    access: Access,
    folder: PathBuf,
}

impl Asked {
    /// Whether a service does it.
    pub(super) const fn is_service(&self) -> bool {
        matches!(self.access, Access::Service(_))
    }

    /// Has something done, and hands on each part of the reply.
    pub(super) fn each(
        &self,
        command: &Command,
        mut tell: impl FnMut(Reply),
    ) -> Result<(), Problem> {
        self.access.run(command, now(), &mut tell).map_err(Problem::from)
    }

    /// Has something done that is told in one part.
    pub(super) fn one(&self, command: &Command) -> Result<Reply, Problem> {
        let mut told = None;
        self.each(command, |reply| told = Some(reply))?;
        told.ok_or_else(|| Problem::new(Exit::Failed, "the authority told nothing"))
    }

    /// A product as it is seen from here: a service may have been started in another folder.
    pub(super) fn seen_from_here(&self, product: ProductDetails) -> ProductDetails {
        let path = product.path.file_name().map(|name| self.folder.join("products").join(name));
        ProductDetails { path: path.unwrap_or_default(), ..product }
    }

    /// Has something done that is told by telling of a key.
    pub(super) fn key(&self, command: &Command) -> Result<KeyDetails, Problem> {
        match self.one(command)? {
            Reply::Key(key) => Ok(key),
            other => Err(unexpected(&other)),
        }
    }

    /// The parts of a list that are of one kind.
    pub(super) fn list<T>(
        &self,
        command: &Command,
        pick: impl Fn(Reply) -> Option<T>,
    ) -> Result<Vec<T>, Problem> {
        let mut list = Vec::new();
        self.each(command, |reply| list.extend(pick(reply)))?;
        Ok(list)
    }
}

/// What a service of another version may say.
pub(super) fn unexpected(reply: &Reply) -> Problem {
    let kind = format!("{reply:?}");
    let kind = kind.split(['(', ' ']).next().unwrap_or_default();
    Problem::new(Exit::Failed, format!("the authority told something else: {kind}"))
        .advise("Is the service of the same version as this program?")
}

impl From<Failure> for Problem {
    fn from(Failure { kind, cause, advice }: Failure) -> Self {
        let exit = match kind {
            FailureKind::Failed => Exit::Failed,
            FailureKind::Usage => Exit::Usage,
            FailureKind::Refused(_) => Exit::Refused,
            FailureKind::NotTrusted => Exit::NotTrusted,
        };
        let problem = Self::new(exit, cause);
        let problem = match advice {
            Some(advice) => problem.advise(advice),
            None => problem,
        };
        match kind {
            FailureKind::Refused(status) => problem.with_details(json!({ "status": status })),
            _ => problem,
        }
    }
}
