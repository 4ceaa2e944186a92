//! What is written is read back as it was; whatever else comes is answered, and never with a panic.

mod generated;

use proptest::prelude::*;
use prost::Message as _;
use proto::wire::common::v1 as common;
use proto::wire::events::v1 as events;
use proto::{read, write};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back_as_it_was(arrival in generated::arrival()) {
        let bytes = write::arrival(&arrival, "");
        prop_assert_eq!(read::arrival(&bytes), Ok(arrival));
    }

    #[test]
    fn the_digest_follows_from_the_content_alone(submission in generated::submission()) {
        let content = write::submission(&submission);
        let decoded = common::Submission::decode(content.encode_to_vec().as_slice()).unwrap();
        prop_assert_eq!(read::digest_of(&decoded), submission.digest);
        let later = read::submission(&submission.sender, submission.key, jiff::Timestamp::MAX, &decoded);
        prop_assert_eq!(later.unwrap().digest, submission.digest);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read::arrival(&bytes).is_err());
        // As content, where the rest is in order.
        let plain = events::intake::Body::Plain(bytes);
        let intake = events::Intake { sender: "school.999001".to_owned(), body: Some(plain), ..events::Intake::default() };
        prop_assert!(read::arrival(&intake.encode_to_vec()).is_err());
    }

    #[test]
    fn a_message_damaged_anywhere_is_answered(
        arrival in generated::arrival(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = write::arrival(&arrival, "");
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read::arrival(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = read::arrival(&bytes);
    }
}
