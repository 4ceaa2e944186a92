//! The other forms of a sender's own door, each by the call that is for it.

use std::path::Path;

use adapters::console::Stopped;
use prost::Message as _;
use proto::wire::health::v1::health_service_client::HealthServiceClient;
use proto::wire::health::v1::{self as health, NotifyUnscheduledAttendanceRequest, ReferRequest, ReportFgmRequest};
use proto::wire::police::v1::police_service_client::PoliceServiceClient;
use proto::wire::police::v1::{
    self as force, NotifyOperationEncompassRequest, ReportMissingChildRequest, ReportMissingChildReturnRequest,
    ReportPoliceProtectionRequest,
};
use proto::wire::referral::v1::Receipt;
use proto::wire::school::v1::school_service_client::SchoolServiceClient;
use proto::wire::school::v1::{
    self as form, RaiseConcernRequest, ReportAllegationRequest, ReportLowLevelConcernRequest, TransferChildProtectionFileRequest,
};
use referral::Digest;
use safeguarding_client::no_receipt;

use crate::{Key, Sender, from_json};

/// The forms that are not what `refer` sends, each as its message of the contract in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A school's short form: safeguarding.school.v1.ConcernForm.
    Concern,
    /// A school's own record of a low-level concern: safeguarding.school.v1.LowLevelConcernForm.
    LowLevelConcern,
    /// An allegation against staff of a school: safeguarding.school.v1.AllegationForm.
    Allegation,
    /// A child protection file for the next school: safeguarding.school.v1.FileTransferForm.
    ChildProtectionFile,
    /// A child was taken into police protection: safeguarding.police.v1.PoliceProtection.
    PoliceProtection,
    /// A child is missing: safeguarding.police.v1.MissingChild.
    MissingChild,
    /// A missing child came back: safeguarding.police.v1.MissingChildReturn.
    MissingChildReturn,
    /// Operation Encompass: safeguarding.police.v1.OperationEncompass.
    OperationEncompass,
    /// A health body's safeguarding referral: safeguarding.health.v1.SafeguardingReferral.
    SafeguardingReferral,
    /// A health body's report of female genital mutilation: safeguarding.health.v1.FgmReport.
    Fgm,
    /// A child who is known to children's services attended unscheduled care: safeguarding.health.v1.UnscheduledAttendance.
    UnscheduledAttendance,
}

impl Sender {
    /// Sends the form in the file at `path` through the door it belongs to, which names its faults in its own words.
    pub async fn report(&self, which: Form, path: &Path, key: Key) -> Result<Receipt, Stopped> {
        let key = key.asked(false);
        macro_rules! send {
            ($service:ident.$method:ident($request:ident { $form:ty })) => {{
                let form: $form = from_json(path)?;
                let what = Digest::of(&[stringify!($method).as_bytes(), &form.encode_to_vec()]);
                let send = |idempotency_key| {
                    let request = self.client.ask($request { idempotency_key, form: Some(form.clone()) });
                    let mut service = $service::new(self.client.channel());
                    async move { service.$method(request).await?.into_inner().receipt.ok_or_else(no_receipt) }
                };
                Ok(self.client.send(&what, key, send).await?)
            }};
        }
        match which {
            Form::Concern => send!(SchoolServiceClient.raise_concern(RaiseConcernRequest { form::ConcernForm })),
            Form::LowLevelConcern => {
                send!(SchoolServiceClient.report_low_level_concern(ReportLowLevelConcernRequest { form::LowLevelConcernForm }))
            }
            Form::Allegation => send!(SchoolServiceClient.report_allegation(ReportAllegationRequest { form::AllegationForm })),
            Form::ChildProtectionFile => send!(
                SchoolServiceClient.transfer_child_protection_file(TransferChildProtectionFileRequest { form::FileTransferForm })
            ),
            Form::PoliceProtection => {
                send!(PoliceServiceClient.report_police_protection(ReportPoliceProtectionRequest { force::PoliceProtection }))
            }
            Form::MissingChild => {
                send!(PoliceServiceClient.report_missing_child(ReportMissingChildRequest { force::MissingChild }))
            }
            Form::MissingChildReturn => send!(
                PoliceServiceClient.report_missing_child_return(ReportMissingChildReturnRequest { force::MissingChildReturn })
            ),
            Form::OperationEncompass => send!(
                PoliceServiceClient.notify_operation_encompass(NotifyOperationEncompassRequest { force::OperationEncompass })
            ),
            Form::SafeguardingReferral => {
                send!(HealthServiceClient.refer(ReferRequest { health::SafeguardingReferral }))
            }
            Form::Fgm => send!(HealthServiceClient.report_fgm(ReportFgmRequest { health::FgmReport })),
            Form::UnscheduledAttendance => send!(
                HealthServiceClient.notify_unscheduled_attendance(NotifyUnscheduledAttendanceRequest {
                    health::UnscheduledAttendance
                })
            ),
        }
    }
}
