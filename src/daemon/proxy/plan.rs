//! Whom to ask the authority for, and who has an answer already.

use std::collections::HashMap;
use std::string::String;
use std::vec::Vec;

use super::identity::{Group, Identity};
use super::judge::Judge;
use super::pair::Pair;
use super::store::Entry;

/// What is to be done for the machines of a store.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// They have their answers.
    pub done: Vec<&'a Entry>,
    /// They were activated before under another name, or before their disk was written anew, and get
    /// the answer of that time.
    pub earlier: Vec<Earlier<'a>>,
    /// The authority is to be asked for these: first those that nobody asked for yet.
    pub ask: Vec<&'a Entry>,
    /// The same machine is asked for under another name. They wait for that answer.
    pub twins: Vec<&'a Entry>,
    /// The authority has refused them, and would again.
    pub refused: Vec<&'a Entry>,
    /// There are product files, and none is of their product.
    pub unknown: Vec<&'a Entry>,
}

/// A machine that was activated before.
#[derive(Clone, Debug)]
pub struct Earlier<'a> {
    /// The machine.
    pub entry: &'a Entry,
    /// The answer of that time.
    pub pair: Pair,
    /// Whose it is in the store.
    pub of: String,
}

impl<'a> Plan<'a> {
    /// Makes a plan; with `again` also for machines that the authority has refused.
    #[must_use]
    pub fn of(machines: &'a [Entry], judge: &Judge, again: bool) -> Self {
        let mut plan = Self::default();
        let mut activated = Machines::new(judge);
        for (entry, pair) in
            machines.iter().filter_map(|entry| entry.pair.map(|pair| (entry, pair)))
        {
            plan.done.push(entry);
            activated.add(entry, pair);
        }
        let mut asked = Machines::new(judge);
        let mut open: Vec<_> = machines.iter().filter(|entry| entry.pair.is_none()).collect();
        open.sort_by_key(|entry| entry.failure.as_ref().map_or(0, |failure| failure.runs));
        for entry in open {
            if entry.request().is_some_and(|request| !judge.covers(&request)) {
                plan.unknown.push(entry);
            } else if let Some((earlier, pair)) = activated.find(entry) {
                plan.earlier.push(Earlier { entry, pair, of: earlier.stem.clone() });
            } else if !again && entry.failure.as_ref().is_some_and(super::Failure::is_final) {
                plan.refused.push(entry);
            } else if asked.find(entry).is_some() {
                plan.twins.push(entry);
            } else {
                asked.add(entry, ());
                plan.ask.push(entry);
            }
        }
        plan
    }
}

/// Machines, to find the same one among them.
struct Machines<'a, 'j, T> {
    judge: &'j Judge,
    groups: HashMap<Group, Vec<(Identity, &'a Entry, T)>>,
}

impl<'a, 'j, T: Copy> Machines<'a, 'j, T> {
    fn new(judge: &'j Judge) -> Self {
        Self { judge, groups: HashMap::new() }
    }

    fn add(&mut self, entry: &'a Entry, with: T) {
        if let Some(identity) = entry.identity() {
            self.groups.entry(identity.group()).or_default().push((identity, entry, with));
        }
    }

    fn find(&self, entry: &Entry) -> Option<(&'a Entry, T)> {
        let identity = entry.identity()?;
        let rule = self.judge.matching(identity.group());
        let group = self.groups.get(&identity.group())?;
        let same = group.iter().find(|(other, ..)| identity.is_same(other, rule))?;
        Some((same.1, same.2))
    }
}
