//! What a DBA can ask of the outgoing path: the words of `bodrelay_command.command`.

/// A command that the outgoing path carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing more begins, until a time or until `resume`.
    Pause,
    Resume,
    /// Looks at the outbox now, and tries now what waits for a retry.
    PollNow,
    /// Sends failed messages again, under their ids.
    Resubmit,
    /// Gives messages up that wait or failed.
    Discard,
    /// Sends accepted messages once more, under new ids.
    Resend,
    /// Deletes settled rows of the message log.
    PurgeLog,
    /// Checks documents and asks ION for its list; sends nothing.
    TestDocument,
    /// Reads the credential files again.
    ReloadCredentials,
    /// Tells ION that a received document could not be processed: a ConfirmBOD goes into the outbox.
    ConfirmError,
}

impl Kind {
    /// `None`: not one of the outgoing path.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "poll_now" => Self::PollNow,
            "resubmit" => Self::Resubmit,
            "discard" => Self::Discard,
            "resend" => Self::Resend,
            "purge_log" => Self::PurgeLog,
            "test_document" => Self::TestDocument,
            "reload_credentials" => Self::ReloadCredentials,
            "confirm_error" => Self::ConfirmError,
            _ => return None,
        })
    }

    /// Done in one moment, in one transaction of the journal.
    pub fn is_lever(self) -> bool {
        matches!(self, Self::Pause | Self::Resume | Self::PollNow)
    }

    /// It leaves nothing behind in the journal: done twice is done once.
    pub fn only_looks(self) -> bool {
        matches!(self, Self::TestDocument | Self::ReloadCredentials | Self::ConfirmError)
    }
}
