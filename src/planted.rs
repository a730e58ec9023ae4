//! Planted: deliberate defects by which the simulator is measured. Each is one small change, as an
//! engineer makes it. It never is in a shipped binary: only the feature `planted` compiles it, and
//! there none is active unless a test asks for it.

use std::cell::Cell;

/// What only a binary with planted defects holds; `make image` looks for it.
pub const MARK: &str = "stairlock was built with planted defects";

/// A deliberate defect: what the program does where it is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    // The order of traffic and pods.
    /// Gives the canary its weight before its pods are ready.
    WeightBeforeReady,
    /// Turns the canary Service to a new revision while the old one still has traffic.
    CanaryTurnedUnderTraffic,
    /// Points the stable Service at the first revision before it has pods.
    SelectBeforeAvailable,
    /// Gives the turned stable Service all traffic before its endpoints follow.
    PromotionSkipsEndpoints,
    /// Goes back to stable without a look at its ready endpoints.
    RollbackToDeadStable,
    /// Takes the canary's pods away before its traffic, on the way back.
    ShrinkBeforeWeight,
    /// Leaves a changed strategy before the side that lost its traffic has drained.
    StrategyLeftAtOnce,
    /// Leaves a Service that is not named any more on the one revision that it selects.
    ServiceLeftNarrowed,
    /// Scales stable down as the canary climbs although a route splits the traffic.
    StableShrinksInLadder,
    /// Turns the stable Service to a revision without pods, where pods split the traffic.
    ServiceTurnedToNoPods,
    /// Counts the pods that are there, not those asked for, against the surge.
    SurgeMiscounted,
    /// Takes pods away as if those that are not ready carried traffic.
    UnreadyIsSpare,
    /// Rounds the canary's share of pods down.
    ShareRoundsDown,
    /// Gives the canary one part in a hundred less than the step says.
    WeightOffByOne,
    /// Scales a failed first revision to nothing although there is no other.
    FirstAbortScalesDown,
    /// Sets weights on the first route of several.
    FirstRouteOnly,
    /// Raises the weight on the routes that can be written, though another cannot.
    RoutesRiseApart,
    /// Leaves the weight on every route as long as one of them cannot be written.
    OneRouteHoldsAll,
    /// Makes its route with half of the traffic on the canary Service.
    RouteBornSplit,
    /// Does not make its route again once it has a stable revision.
    RouteNotMadeAgain,
    /// Adds the rule of an experiment before the side behind it is ready.
    RuleBeforeReady,
    /// Turns the Service of variant B to a new revision while a rule still leads to it.
    RuleKeptOnSupersede,
    /// Leaves the rules of an experiment in the route when it is over.
    RuleLeft,
    /// Turns the active Service to a new side that is not whole.
    SwitchBeforeWhole,
    /// Does not wait for the pods of a side that is to be looked at.
    PreviewNotAwaited,
    /// Lets an old side stay for 30 s, whatever the strategy says.
    DelayIgnored,
    // What was seen.
    /// Takes a gateway that has said nothing for one that accepts.
    SilenceAccepts,
    /// Sets weights in the first rule of several that hold both Services.
    FirstRuleOnly,
    /// Takes what a gateway said of an older generation for its answer.
    OldAcceptanceCounts,
    /// Takes every ReplicaSet with its label for its own, whoever controls it.
    OwnerUnchecked,
    /// Counts endpoints that are not ready.
    UnreadyEndpointsCount,
    /// Does not look for an older Rollout that uses the same objects.
    DuplicateUnchecked,
    /// Takes what a source shows that is not Ready.
    SourceNotReadyTaken,
    /// Takes a prerelease where the range names none.
    PrereleaseCounts,
    /// Takes a release that is older than what runs.
    DowngradeTaken,
    /// Tells releases apart by tag alone.
    RepushIgnored,
    /// Writes the tag without the digest that was offered.
    DigestDropped,
    /// Writes the release into every container.
    WrongContainer,
    // Delivery and bake.
    /// Delivers to the first of several variables of a Kustomization.
    FirstBindingOnly,
    /// Writes a bound field that another manager has.
    BindingForced,
    /// Delivers to whatever object has the name, as if nothing had changed.
    DeliveryUnguarded,
    /// Takes what was delivered for applied without a look at what Flux says.
    DeliveryNotObserved,
    /// Ends a bake at its first look.
    BakeCutShort,
    /// Takes a HealthCheck that was healthy before the delivery.
    HealthFromBefore,
    /// Starts a release without a look at its gates.
    GatesUnasked,
    // Time.
    /// Counts a pause from the step's start, not from when it is in force.
    PauseFromEntry,
    /// Keeps the start of a pause in memory, so that a new process begins it again.
    PauseRestarts,
    /// Lets a pause run on while `spec.paused` freezes the Rollout.
    PauseRunsWhileFrozen,
    /// Waits for an event to notice that a pause is over.
    PauseTimerNotArmed,
    /// Counts the time in which `spec.paused` is set against the progress deadline.
    FrozenTimeCounts,
    /// Waits for an event to notice that the progress deadline is over.
    DeadlineTimerNotArmed,
    /// Begins the progress deadline again at every write of status.
    DeadlineRestarts,
    /// Keeps a step whose pods died for ever.
    DeadStepHeld,
    /// Takes pods away as soon as their weight is 0.
    DrainDelaySkipped,
    /// Counts the drain of a superseded side from the decision, not from weight 0.
    DrainFromIntent,
    /// Counts the drain from the write of the route, not from its acceptance.
    DrainBeforeAcceptance,
    /// Waits for an event to notice that a drain is over.
    DrainTimerNotArmed,
    // Attempts and commands.
    /// Goes on while `spec.paused` is set.
    PausedStillWrites,
    /// Does not note what failed, so that it is tried again.
    FailureForgotten,
    /// Leaves the pods of a superseded attempt running.
    SupersededLeft,
    /// Keeps every old ReplicaSet.
    RevisionsNotTrimmed,
    /// Keeps every ended attempt in status.
    HistoryNotTrimmed,
    /// Ends an attempt a second time when the next one begins.
    EndedTwice,
    /// Numbers attempts by the length of the history, which is bounded.
    NumberFromHistory,
    /// Begins to number attempts anew after status was lost.
    NumberLostWithStatus,
    /// Takes a Rollout whose status was lost for a new one.
    StatusLossStartsOver,
    /// Climbs without pauses in the attempt after the one that was promoted in full.
    UnpausedSurvives,
    /// Obeys an accepted command whatever attempt and step it names.
    TokenUnbound,
    /// Removes the annotation of a command without storing that it was accepted.
    TokenNotStored,
    /// Obeys a command that names another attempt or step.
    NamedStepUnchecked,
    /// Obeys a promotion of a step that is not in force yet.
    PromoteWithoutPause,
    /// Drops an abort unless the step is in force.
    AbortWaitsForPause,
    /// Evicts the pods of a restart without a look at those that are missed.
    EvictsAllAtOnce,
    /// Ends a restart once every old pod is asked to go, whether or not others took their places.
    RestartEndsEarly,
    /// Forgets a restart when the attempt beside it ends.
    RestartForgotten,
    // What is written.
    /// Replaces the list of backends of a rule instead of two weights in it.
    RuleListReplaced,
    /// Leaves a weight of 0 out of the write.
    ZeroOmitted,
    /// Writes weights that add up to 100 where other backends share the rule.
    SharedSumIgnored,
    /// Replaces the whole selector of a Service instead of one key.
    SelectorReplaced,
    /// Patches objects without demanding the resourceVersion that was seen.
    VersionNotDemanded,
    /// Stores status without demanding the resourceVersion that was seen.
    StatusWithoutVersion,
    /// Sends the Events of a transition before it is stored.
    AnnounceBeforeCommit,
    /// Names an Event by what happened alone, so that the next attempt has no own.
    EventIdWithoutAttempt,
    /// Sets the time of each condition at every look.
    ConditionsRestart,
    /// Keeps the finalizer while the HTTPRoute is missing.
    FinalizerNeedsRoute,
    /// Removes the finalizer before routing is restored.
    FinalizerDroppedFirst,
    /// Keeps the finalizer while the gateway is silent.
    FinalizerWaitsForGateway,
    // Stores, turns and leadership.
    /// Decides although its own last writes are not seen yet.
    NoBarrier,
    /// Forgets at a conflict what else it still has to see.
    BarrierForgetsOnConflict,
    /// Goes on after a lost reply without asking what became of the write.
    UnansweredForgotten,
    /// Compares resourceVersions as text.
    VersionsAsText,
    /// Keeps what was deleted while a watch was down.
    RelistKeepsDeleted,
    /// Lets an older event overwrite a newer object.
    OlderEventWins,
    /// Acts once the Rollouts are listed, whether or not the other kinds are.
    ActsBeforeListed,
    /// Ends a watch at its first error; it is begun again half a minute later.
    WatchEndsOnError,
    /// Leaves a Rollout whose timer is set to it, whatever event comes before.
    TimerBeatsEvent,
    /// Tries again at once after every error, and what was refused.
    NoBackoff,
    /// Waits for an hour for a reply.
    CallWithoutDeadline,
    /// Lets writes pass that leave after the Lease was lost.
    NoWriteGate,
    /// Tells by the machine's own clock and the time in the Lease whether that is over.
    LeaseByWallClock,
    /// Takes the Lease a second after the holder should have renewed it.
    LeaseTooShort,
    /// Takes the Lease without a look at who holds it.
    HolderUnchecked,
}

impl Bug {
    /// All of them, in the order in which they are declared.
    pub const ALL: &[Self] = &[
        Self::WeightBeforeReady,
        Self::CanaryTurnedUnderTraffic,
        Self::SelectBeforeAvailable,
        Self::PromotionSkipsEndpoints,
        Self::RollbackToDeadStable,
        Self::ShrinkBeforeWeight,
        Self::StrategyLeftAtOnce,
        Self::ServiceLeftNarrowed,
        Self::StableShrinksInLadder,
        Self::ServiceTurnedToNoPods,
        Self::SurgeMiscounted,
        Self::UnreadyIsSpare,
        Self::ShareRoundsDown,
        Self::WeightOffByOne,
        Self::FirstAbortScalesDown,
        Self::FirstRouteOnly,
        Self::RoutesRiseApart,
        Self::OneRouteHoldsAll,
        Self::RouteBornSplit,
        Self::RouteNotMadeAgain,
        Self::RuleBeforeReady,
        Self::RuleKeptOnSupersede,
        Self::RuleLeft,
        Self::SwitchBeforeWhole,
        Self::PreviewNotAwaited,
        Self::DelayIgnored,
        Self::SilenceAccepts,
        Self::FirstRuleOnly,
        Self::OldAcceptanceCounts,
        Self::OwnerUnchecked,
        Self::UnreadyEndpointsCount,
        Self::DuplicateUnchecked,
        Self::SourceNotReadyTaken,
        Self::PrereleaseCounts,
        Self::DowngradeTaken,
        Self::RepushIgnored,
        Self::DigestDropped,
        Self::WrongContainer,
        Self::FirstBindingOnly,
        Self::BindingForced,
        Self::DeliveryUnguarded,
        Self::DeliveryNotObserved,
        Self::BakeCutShort,
        Self::HealthFromBefore,
        Self::GatesUnasked,
        Self::PauseFromEntry,
        Self::PauseRestarts,
        Self::PauseRunsWhileFrozen,
        Self::PauseTimerNotArmed,
        Self::FrozenTimeCounts,
        Self::DeadlineTimerNotArmed,
        Self::DeadlineRestarts,
        Self::DeadStepHeld,
        Self::DrainDelaySkipped,
        Self::DrainFromIntent,
        Self::DrainBeforeAcceptance,
        Self::DrainTimerNotArmed,
        Self::PausedStillWrites,
        Self::FailureForgotten,
        Self::SupersededLeft,
        Self::RevisionsNotTrimmed,
        Self::HistoryNotTrimmed,
        Self::EndedTwice,
        Self::NumberFromHistory,
        Self::NumberLostWithStatus,
        Self::StatusLossStartsOver,
        Self::UnpausedSurvives,
        Self::TokenUnbound,
        Self::TokenNotStored,
        Self::NamedStepUnchecked,
        Self::PromoteWithoutPause,
        Self::AbortWaitsForPause,
        Self::EvictsAllAtOnce,
        Self::RestartEndsEarly,
        Self::RestartForgotten,
        Self::RuleListReplaced,
        Self::ZeroOmitted,
        Self::SharedSumIgnored,
        Self::SelectorReplaced,
        Self::VersionNotDemanded,
        Self::StatusWithoutVersion,
        Self::AnnounceBeforeCommit,
        Self::EventIdWithoutAttempt,
        Self::ConditionsRestart,
        Self::FinalizerNeedsRoute,
        Self::FinalizerDroppedFirst,
        Self::FinalizerWaitsForGateway,
        Self::NoBarrier,
        Self::BarrierForgetsOnConflict,
        Self::UnansweredForgotten,
        Self::VersionsAsText,
        Self::RelistKeepsDeleted,
        Self::OlderEventWins,
        Self::ActsBeforeListed,
        Self::WatchEndsOnError,
        Self::TimerBeatsEvent,
        Self::NoBackoff,
        Self::CallWithoutDeadline,
        Self::NoWriteGate,
        Self::LeaseByWallClock,
        Self::LeaseTooShort,
        Self::HolderUnchecked,
    ];

    /// Tells the name as it is spelled here.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Tells what it stands for in the list of mutants of the reliability reference, section 4.4:
    /// that one, or the nearest to it in what Stairlock does.
    pub fn mutant(self) -> Option<&'static str> {
        MUTANTS.iter().find(|(bug, _)| *bug == self).map(|(_, mutant)| *mutant)
    }
}

const MUTANTS: &[(Bug, &str)] = &[
    (Bug::RuleListReplaced, "M1"),
    (Bug::NoBarrier, "M3"),
    (Bug::AnnounceBeforeCommit, "M5"),
    (Bug::ShrinkBeforeWeight, "M7"),
    (Bug::SilenceAccepts, "M9: no answer passes, as NaN would"),
    (Bug::FirstRuleOnly, "M11: the first of many rules, as the first of many series"),
    (Bug::OldAcceptanceCounts, "M13"),
    (Bug::OwnerUnchecked, "M15: no look at the owner, where it counts at present"),
    (Bug::FirstAbortScalesDown, "M17"),
    (Bug::FinalizerNeedsRoute, "M19"),
    (Bug::NoWriteGate, "M21"),
    (Bug::PrereleaseCounts, "M23: by the range, since Flux lists the tags"),
    (
        Bug::DowngradeTaken,
        "M25: Flux lists the tags; a policy that goes back is what is left of an empty list",
    ),
    (Bug::SelectorReplaced, "M27: the selector is the only map that is written to"),
    (Bug::DuplicateUnchecked, "M29: the holder of a binding is not looked for"),
    (Bug::UnpausedSurvives, "M31: promote-full is the only command that lasts"),
    (Bug::PauseRestarts, "M33"),
    (Bug::RuleKeptOnSupersede, "M35"),
    (Bug::RelistKeepsDeleted, "M37"),
    (Bug::NoBackoff, "M39"),
];

thread_local! {
    /// Simulations run on several threads at once, each with a defect of its own.
    static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Tells whether a defect is active on this thread.
pub fn active(bug: Bug) -> bool {
    ACTIVE.get() == Some(bug)
}

/// Makes a defect, or none, active on this thread.
pub fn plant(bug: Option<Bug>) {
    ACTIVE.set(bug);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn one_defect_at_a_time_is_active_on_a_thread() {
        plant(Some(Bug::NoBarrier));
        assert!(active(Bug::NoBarrier) && !active(Bug::NoBackoff));
        let other = std::thread::spawn(|| Bug::ALL.iter().any(|bug| active(*bug)));
        assert!(!other.join().unwrap());
        plant(None);
        assert!(!active(Bug::NoBarrier));
    }

    #[test]
    fn every_defect_is_listed_once_and_every_mutant_has_one() {
        let names: BTreeSet<String> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        assert_eq!(names.len(), Bug::ALL.len());
        let text = include_str!("planted.rs");
        let declared = text.split("pub enum Bug {").nth(1).unwrap().split("\n}").next().unwrap();
        assert_eq!(declared.lines().filter(|line| line.ends_with(',')).count(), Bug::ALL.len());
        let numbers: BTreeSet<&str> =
            MUTANTS.iter().filter_map(|(_, said)| said.split(':').next()).collect();
        let wanted: BTreeSet<String> = (1..40).step_by(2).map(|n| format!("M{n}")).collect();
        assert_eq!(numbers, wanted.iter().map(String::as_str).collect());
    }
}
