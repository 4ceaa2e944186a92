//! Nothing of the wire can be printed: a generated message has no `Debug`, so a log line with one in it does
//! not compile. The JSON mapping gives every word back, and its faults give none.

use proto::json;
use proto::wire::common::v1 as common;
use proto::wire::school::v1 as school;

/// What is `Debug` answers through the inherent function, everything else through the trait.
struct Printable<T>(std::marker::PhantomData<T>);

trait NotPrintable {
    const IS: bool = false;
}

impl<T> NotPrintable for Printable<T> {}

impl<T: std::fmt::Debug> Printable<T> {
    const IS: bool = true;
}

#[test]
fn no_message_can_be_printed() {
    use proto::wire::{
        broker::v1 as broker, childrens_services::v1 as front_door, delivery::v1 as delivery, events::v1 as events,
        referral::v1 as referral,
    };
    const { assert!(Printable::<String>::IS, "the probe itself works") };
    macro_rules! none_is_printable {
        ($($message:ty)+) => { $( const { assert!(!Printable::<$message>::IS, stringify!($message)) }; )+ };
    }
    none_is_printable! {
        common::Submission common::Child common::Identity common::Address common::InformationItem common::Field
        common::Practitioner common::ProgressEntry common::ReferralStatus common::information_item::Body
        common::identity::Age common::progress_entry::Step
        events::Intake events::Event events::Submitted events::event::Event events::intake::Body
        delivery::DeliveryEnvelope delivery::Delivery delivery::DisclosedItem
        school::ReferralForm school::ConcernForm school::Pupil school::Statement
        referral::SubmitRequest referral::WithdrawRequest referral::Receipt
        front_door::AcknowledgeRequest front_door::DecideRequest
        broker::PreviewRequest broker::GetResponse
    }
}

#[test]
fn json_gives_back_what_it_was_given() {
    let form = school::ReferralForm {
        school: Some(school::School { urn: "999001".to_owned(), ..school::School::default() }),
        level: common::Level::InNeed as i32,
        ..school::ReferralForm::default()
    };
    let text = json::write(&form).unwrap();
    assert_eq!(text, r#"{"school":{"urn":"999001"},"level":"LEVEL_IN_NEED"}"#);
    assert!(json::read::<school::ReferralForm>(&text).ok() == Some(form));
}

#[test]
fn a_slip_in_json_is_found_by_its_place_and_not_repeated() {
    let fault = |text: &str| json::read::<common::Submission>(text).map(|_| ()).unwrap_err().to_string();
    let slip = fault("{\n  \"level\": \"LEVEL_IN_NEED\",\n  \"Zebedee Canary\": 1\n}");
    assert!(slip.starts_with("it is not a safeguarding.common.v1.Submission in JSON: look at line 3"), "{slip}");
    for text in
        ["{\"purpose\": \"Zebedee Canary\"", "{\"level\": \"Zebedee Canary\"}", "{} Zebedee Canary", "[\"Zebedee Canary\"]"]
    {
        assert!(!fault(text).contains("Canary"), "{text}");
    }
}
