//! The wire: protobuf in, domain types out, and back.
//!
//! What comes in is read once and whole: every fault is found, each names its field, and none repeats a value.
//! What goes out cannot fail. No message can be printed: generated messages have no `Debug`.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod rendering;

pub mod json;
pub mod read;
pub mod tell;
pub mod words;
pub mod write;

/// The generated messages, clients and servers: let in by this door only.
#[allow(missing_docs, clippy::all)]
pub mod wire {
    pub mod common {
        pub mod v1 {
            tonic::include_proto!("safeguarding.common.v1");
        }
    }
    pub mod events {
        pub mod v1 {
            tonic::include_proto!("safeguarding.events.v1");
        }
    }
    pub mod delivery {
        pub mod v1 {
            tonic::include_proto!("safeguarding.delivery.v1");
        }
    }
    pub mod referral {
        pub mod v1 {
            tonic::include_proto!("safeguarding.referral.v1");
        }
    }
    pub mod police {
        pub mod v1 {
            tonic::include_proto!("safeguarding.police.v1");
        }
    }
    pub mod school {
        pub mod v1 {
            tonic::include_proto!("safeguarding.school.v1");
        }
    }
    pub mod childrens_services {
        pub mod v1 {
            tonic::include_proto!("safeguarding.childrens_services.v1");
        }
    }
    pub mod operator {
        pub mod v1 {
            tonic::include_proto!("safeguarding.operator.v1");
        }
    }
    pub mod broker {
        pub mod v1 {
            tonic::include_proto!("safeguarding.broker.v1");
        }
    }
}

/// The contract as an encoded `FileDescriptorSet`: for gRPC reflection and for the JSON mapping.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/safeguarding.binpb"));

/// The content type of everything we put on a queue in binary form.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// The content type of a delivery in protobuf's JSON mapping.
pub const JSON_CONTENT_TYPE: &str = "application/json";
