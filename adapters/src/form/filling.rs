//! A form filled in by its own description, so that a field added tomorrow is in the tests of today.

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

/// Which of the fields of a oneof is filled in: the first, the second...
pub(crate) type Choice = usize;

/// Fills in every field of a message, each text with its own canary.
pub(crate) struct Filling {
    pub(crate) choice: Choice,
    pub(crate) canaries: Vec<String>,
}

pub(crate) fn contract() -> DescriptorPool {
    DescriptorPool::decode(proto::DESCRIPTORS).unwrap()
}

impl Filling {
    pub(crate) fn message(&mut self, about: &MessageDescriptor, path: &str) -> DynamicMessage {
        let mut message = DynamicMessage::new(about.clone());
        for field in about.fields() {
            let chosen = field
                .containing_oneof()
                .filter(|oneof| !oneof.is_synthetic())
                .is_none_or(|oneof| oneof.fields().nth(self.choice % oneof.fields().count()) == Some(field.clone()));
            if chosen {
                let value = self.value(&field, &format!("{path}.{}", field.name()));
                message.set_field(&field, value);
            }
        }
        message
    }

    fn value(&mut self, field: &FieldDescriptor, path: &str) -> Value {
        let one = match field.kind() {
            Kind::Message(about) => Value::Message(self.message(&about, path)),
            Kind::Enum(about) => Value::EnumNumber(about.values().find(|value| value.number() != 0).unwrap().number()),
            Kind::String => Value::String(self.text(field, path)),
            Kind::Bytes => Value::Bytes(vec![0xca; 32].into()),
            Kind::Bool => Value::Bool(true),
            Kind::Uint32 => Value::U32(0),
            Kind::Double => Value::F64(12.25),
            other => panic!("{path} is of a kind that no form had so far: {other:?}"),
        };
        if field.is_list() { Value::List(vec![one]) } else { one }
    }

    /// A text that names its own place, in the form that its field asks for.
    fn text(&mut self, field: &FieldDescriptor, path: &str) -> String {
        let nth = self.canaries.len();
        let text = match field.full_name() {
            "safeguarding.school.v1.School.urn" => "999001".to_owned(),
            "safeguarding.school.v1.School.dfe_number" => format!("999/{nth:04}"),
            "safeguarding.common.v1.Identity.date_of_birth" | "safeguarding.common.v1.Identity.expected_delivery_date" => {
                format!("2015-{:02}-{:02}", nth / 28 % 12 + 1, nth % 28 + 1)
            }
            "safeguarding.common.v1.Attachment.media_type" => format!("application/canary-{nth}"),
            "safeguarding.school.v1.StaffMember.employer_area" => format!("E{nth:08}"),
            "safeguarding.school.v1.FileTransferForm.new_school_urn" | "safeguarding.police.v1.Child.school_urn" => {
                format!("9{nth:05}")
            }
            "safeguarding.health.v1.Organisation.ods_code" => format!("Z{nth:04}"),
            "safeguarding.health.v1.RegisterStatus.authority" => format!("E{nth:08}"),
            "safeguarding.health.v1.FgmReport.discovered_at" | "safeguarding.health.v1.UnscheduledAttendance.attended_at" => {
                format!("2026-11-{:02}T{:02}:07:00Z", nth / 24 % 28 + 1, nth % 24)
            }
            "safeguarding.health.v1.Report.addressed_to" => "la.E08000035.front-door".to_owned(),
            "safeguarding.school.v1.ReferralForm.tell"
            | "safeguarding.police.v1.Report.tell"
            | "safeguarding.health.v1.Report.tell" => format!("school.9{nth:05}"),
            "safeguarding.police.v1.Incident.force_code" => "13".to_owned(),
            "safeguarding.school.v1.AllegationForm.learned_at"
            | "safeguarding.police.v1.PoliceProtection.taken_at"
            | "safeguarding.police.v1.MissingChild.missing_from"
            | "safeguarding.police.v1.MissingChildReturn.missing_from"
            | "safeguarding.police.v1.MissingChildReturn.returned_at"
            | "safeguarding.police.v1.OperationEncompass.next_school_day" => {
                format!("2026-11-{:02}T{:02}:07:00Z", nth / 24 % 28 + 1, nth % 24)
            }
            "safeguarding.police.v1.Report.addressed_to" | "safeguarding.school.v1.ReferralForm.addressed_to" => {
                "la.E08000035.front-door".to_owned()
            }
            name if name.starts_with("safeguarding.common.v1.Places.") => format!("E{nth:08}"),
            _ => format!("canary {nth} of {path} ends"),
        };
        self.canaries.push(text.clone());
        text
    }
}

/// The message called `name` with every field filled in, and the texts in it.
pub(crate) fn filled(name: &str, choice: Choice) -> (DynamicMessage, Vec<String>) {
    let about = contract().get_message_by_name(name).unwrap();
    let mut filling = Filling { choice, canaries: Vec::new() };
    let form = filling.message(&about, "form");
    (form, filling.canaries)
}

/// Every tick, number and choice of the form, by its path: the form as filled in, and with that one changed.
pub(crate) fn changes(message: &DynamicMessage, path: &str, found: &mut Vec<(String, DynamicMessage)>) {
    for field in message.descriptor().fields().filter(|field| message.has_field(field)) {
        let at = format!("{path}.{}", field.name());
        let one = match message.get_field(&field).into_owned() {
            Value::List(list) => list.into_iter().next().unwrap(),
            one => one,
        };
        let wrap = |value: Value| if field.is_list() { Value::List(vec![value]) } else { value };
        let mut change = |value: Value| {
            let mut changed = message.clone();
            changed.set_field(&field, wrap(value));
            found.push((at.clone(), changed));
        };
        match one {
            Value::Bool(tick) => change(Value::Bool(!tick)),
            Value::F64(number) => change(Value::F64(number + 1.0)),
            Value::U32(number) => change(Value::U32(number + 1)),
            Value::EnumNumber(number) => change(Value::EnumNumber(number + 1)),
            Value::Bytes(_) => change(Value::Bytes(vec![0xcb; 32].into())),
            Value::Message(inner) => {
                let mut inside = Vec::new();
                changes(&inner, &at, &mut inside);
                for (at, inner) in inside {
                    let mut changed = message.clone();
                    changed.set_field(&field, wrap(Value::Message(inner)));
                    found.push((at, changed));
                }
            }
            Value::String(_) | Value::I32(_) | Value::I64(_) | Value::U64(_) | Value::F32(_) | Value::List(_) | Value::Map(_) => {
            }
        }
    }
}
