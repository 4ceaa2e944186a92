//! Protobuf's JSON mapping, for those who read and write text: an endpoint that asks for JSON, a person with
//! an editor.
//!
//! A fault says where in the text it is and never repeats what stands there.

use std::fmt;
use std::sync::OnceLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};

use crate::wire;

/// A message that has a name in the contract, and so a form in JSON.
pub trait Named: Message + Default {
    /// Its full name.
    const NAME: &'static str;
}

macro_rules! named {
    ($($message:ty = $name:literal,)+) => {
        $(impl Named for $message { const NAME: &'static str = $name; })+
    };
}

named! {
    wire::common::v1::Submission = "safeguarding.common.v1.Submission",
    wire::common::v1::ReferralStatus = "safeguarding.common.v1.ReferralStatus",
    wire::common::v1::ProgressEntry = "safeguarding.common.v1.ProgressEntry",
    wire::delivery::v1::Delivery = "safeguarding.delivery.v1.Delivery",
    wire::referral::v1::Receipt = "safeguarding.referral.v1.Receipt",
    wire::referral::v1::ListResponse = "safeguarding.referral.v1.ListResponse",
    wire::referral::v1::PreviewResponse = "safeguarding.referral.v1.PreviewResponse",
    wire::police::v1::PublicProtectionNotice = "safeguarding.police.v1.PublicProtectionNotice",
    wire::school::v1::ReferralForm = "safeguarding.school.v1.ReferralForm",
    wire::police::v1::PoliceProtection = "safeguarding.police.v1.PoliceProtection",
    wire::police::v1::MissingChild = "safeguarding.police.v1.MissingChild",
    wire::police::v1::MissingChildReturn = "safeguarding.police.v1.MissingChildReturn",
    wire::police::v1::OperationEncompass = "safeguarding.police.v1.OperationEncompass",
    wire::health::v1::SafeguardingReferral = "safeguarding.health.v1.SafeguardingReferral",
    wire::health::v1::FgmReport = "safeguarding.health.v1.FgmReport",
    wire::health::v1::UnscheduledAttendance = "safeguarding.health.v1.UnscheduledAttendance",
    wire::school::v1::ConcernForm = "safeguarding.school.v1.ConcernForm",
    wire::school::v1::LowLevelConcernForm = "safeguarding.school.v1.LowLevelConcernForm",
    wire::school::v1::AllegationForm = "safeguarding.school.v1.AllegationForm",
    wire::school::v1::FileTransferForm = "safeguarding.school.v1.FileTransferForm",
}

/// Why a text is not the message it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTheMessage {
    message: &'static str,
    /// Line and column, from 1; none when the text ends too early or goes on too long.
    at: Option<(usize, usize)>,
}

impl fmt::Display for NotTheMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is not a {} in JSON", self.message)?;
        match self.at {
            Some((line, column)) => write!(f, ": look at line {line}, column {column}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NotTheMessage {}

/// The message as JSON on one line. What is unset is left out.
pub fn write<M: Named>(message: &M) -> Result<String, NotTheMessage> {
    let fault = NotTheMessage { message: M::NAME, at: None };
    let dynamic = DynamicMessage::decode(descriptor::<M>()?, message.encode_to_vec().as_slice()).map_err(|_| fault)?;
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    dynamic.serialize_with_options(&mut serializer, &SerializeOptions::new()).map_err(|_| fault)?;
    String::from_utf8(json).map_err(|_| fault)
}

/// Reads a message from JSON. A name that the contract does not have is a fault: it is a slip of the pen, and
/// what it carried would be lost.
pub fn read<M: Named>(text: &str) -> Result<M, NotTheMessage> {
    let fault = |at| NotTheMessage { message: M::NAME, at };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // The cause is dropped on purpose: it quotes what it did not understand.
    let dynamic = DynamicMessage::deserialize(descriptor::<M>()?, &mut deserializer)
        .map_err(|cause| fault((cause.line() > 0).then(|| (cause.line(), cause.column()))))?;
    deserializer.end().map_err(|cause| fault(Some((cause.line(), cause.column()))))?;
    M::decode(dynamic.encode_to_vec().as_slice()).map_err(|_| fault(None))
}

fn descriptor<M: Named>() -> Result<MessageDescriptor, NotTheMessage> {
    static CONTRACT: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    let contract = CONTRACT.get_or_init(|| DescriptorPool::decode(crate::DESCRIPTORS).ok());
    let found = contract.as_ref().and_then(|contract| contract.get_message_by_name(M::NAME));
    found.ok_or(NotTheMessage { message: M::NAME, at: None })
}
